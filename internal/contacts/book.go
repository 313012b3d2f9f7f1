package contacts

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// Errors that callers tell apart.
var (
	ErrUnknown   = errors.New("no such contact")
	ErrAmbiguous = errors.New("several contacts have this name; use the address")
)

// Book is a contact list. Its methods may be called from any goroutine.
type Book struct {
	path string // Immutable; "" keeps the list in memory.

	mu       sync.Mutex
	contacts []Contact // Guarded by mu. In the order of the file.
	read     stamp     // Guarded by mu. The file that contacts were read from.
}

// Open reads the list at path. A file that does not exist is an empty list; the first change creates it. With path ""
// the list lives in memory only.
func Open(path string) (*Book, error) {
	b := &Book{path: path}
	if path == "" {
		return b, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b, b.refreshLocked()
}

// All returns every contact, by name.
func (b *Book) All() []Contact {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Contact, 0, len(b.contacts))
	for _, c := range b.contacts {
		out = append(out, c.clone())
	}
	slices.SortStableFunc(out, byName)
	return out
}

// Groups returns the contacts below their headings: groups in the order of the file, those without a group last. A
// contact of several groups appears in each.
func (b *Book) Groups() []Group {
	b.mu.Lock()
	var groups []Group
	for _, c := range b.contacts {
		for _, name := range c.Groups {
			if !slices.ContainsFunc(groups, func(g Group) bool { return g.Name == name }) {
				groups = append(groups, Group{Name: name})
			}
		}
	}
	b.mu.Unlock()
	groups = append(groups, Group{})
	for _, c := range b.All() {
		for i := range groups {
			if slices.Contains(c.Groups, groups[i].Name) || groups[i].Name == "" && len(c.Groups) == 0 {
				groups[i].Contacts = append(groups[i].Contacts, c)
			}
		}
	}
	return slices.DeleteFunc(groups, func(g Group) bool { return len(g.Contacts) == 0 })
}

// Find returns the contact with this name or address. A name is compared without regard to case. The error is
// ErrUnknown, or ErrAmbiguous where two contacts share the name.
func (b *Book) Find(nameOrURI string) (Contact, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, err := b.findLocked(nameOrURI)
	if err != nil {
		return Contact{}, err
	}
	return b.contacts[i].clone(), nil
}

func (b *Book) findLocked(nameOrURI string) (int, error) {
	if uri, err := Canonical(nameOrURI); err == nil {
		if i := b.indexLocked(uri); i >= 0 {
			return i, nil
		}
	}
	found := -1
	for i, c := range b.contacts {
		if !strings.EqualFold(c.Name, strings.TrimSpace(nameOrURI)) {
			continue
		}
		if found >= 0 {
			return -1, ErrAmbiguous
		}
		found = i
	}
	if found < 0 {
		return -1, ErrUnknown
	}
	return found, nil
}

func (b *Book) indexLocked(uri string) int {
	return slices.IndexFunc(b.contacts, func(c Contact) bool { return c.URI == uri })
}

// Name returns the name of the contact with this address, or "".
func (b *Book) Name(uri string) string {
	canonical, err := Canonical(uri)
	if err != nil {
		return ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := b.indexLocked(canonical); i >= 0 {
		return b.contacts[i].Name
	}
	return ""
}

// Add adds c, or changes the contact with its address: a given name replaces the old one, groups are added. It returns
// the contact as it is now.
func (b *Book) Add(c Contact) (Contact, error) {
	added, err := b.merge([]Contact{c})
	if err != nil {
		return Contact{}, err
	}
	return added[0], nil
}

// Remove removes the contact with this name or address and returns it.
func (b *Book) Remove(nameOrURI string) (Contact, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refreshLocked(); err != nil {
		return Contact{}, err
	}
	i, err := b.findLocked(nameOrURI)
	if err != nil {
		return Contact{}, err
	}
	removed := b.contacts[i]
	return removed, b.replaceLocked(slices.Concat(b.contacts[:i], b.contacts[i+1:]))
}

// Import adds the contacts of a vCard file with SIP addresses and returns them as they are now in the list.
func (b *Book) Import(path string) ([]Contact, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cards, err := ReadVCards(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(cards) == 0 {
		return nil, fmt.Errorf("%s: no contact with a SIP address (IMPP, TEL or X-SIP with sip:user@host)", path)
	}
	return b.merge(cards)
}

// merge adds or changes several contacts with a single write.
func (b *Book) merge(news []Contact) ([]Contact, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refreshLocked(); err != nil {
		return nil, err
	}
	list, out := slices.Clone(b.contacts), make([]Contact, 0, len(news))
	for _, n := range news {
		c, err := clean(n)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(list, func(old Contact) bool { return old.URI == c.URI })
		if i < 0 {
			list = append(list, c)
			out = append(out, c.clone())
			continue
		}
		list[i] = update(list[i], c, n.Name != "")
		out = append(out, list[i].clone())
	}
	return out, b.replaceLocked(list)
}

// update lays c over old.
func update(old, c Contact, named bool) Contact {
	out := old.clone()
	if named {
		out.Name = c.Name
	}
	for _, g := range c.Groups {
		if !slices.Contains(out.Groups, g) {
			out.Groups = append(out.Groups, g)
		}
	}
	return out
}

func (c Contact) clone() Contact {
	c.Groups = slices.Clone(c.Groups)
	return c
}
