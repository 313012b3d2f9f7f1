package command

import (
	"context"
	"errors"

	"offhook/internal/contacts"
	"offhook/session"
)

func contactCommands() []Command {
	return []Command{
		{
			Method:  "contacts.list",
			Summary: "the contacts with their presence",
			run:     immediate(listContacts),
		}, {
			Method:  "contacts.add",
			Summary: "add a contact, or change its name and groups",
			Params: []Param{
				{Name: "uri", Type: String, Required: true, Help: "address or number"},
				{Name: "name", Type: String},
				{Name: "groups", Type: Strings},
			},
			Forms: []Form{{Name: "add", Args: []Arg{
				{Param: "uri", Show: "ADDRESS", Kind: Who},
				{Param: "name", Show: "NAME", Optional: true},
				{Param: "groups", Show: "GROUP", Optional: true, List: true},
			}}},
			run: immediate(addContact),
		}, {
			Method:  "contacts.remove",
			Summary: "remove a contact",
			Params:  []Param{{Name: "uri", Type: String, Required: true, Help: "its address or name"}},
			Forms:   []Form{{Name: "remove", Args: []Arg{{Param: "uri", Show: "WHO", Kind: Who}}}},
			run:     immediate(removeContact),
		}, {
			Method:  "contacts.import",
			Summary: "add the contacts of a vCard file",
			Params:  []Param{{Name: "file", Type: String, Required: true, Help: "path of a vCard 3.0 or 4.0 file"}},
			Forms:   []Form{{Name: "import", Args: []Arg{{Param: "file", Show: "FILE", Kind: File, Rest: true}}}},
			run:     immediate(importContacts),
		},
	}
}

var errNoContacts = errors.New("this instance keeps no contacts")

// contact is a line of contacts.list.
type contact struct {
	contacts.Contact
	Availability string `json:"availability"`
}

func listContacts(_ context.Context, e *Env, _ none) (any, error) {
	out := []contact{}
	if e.Contacts == nil {
		return out, nil
	}
	known := map[string]string{}
	for _, p := range e.Endpoint.Snapshot().Presences {
		if uri, err := contacts.Canonical(p.URI); err == nil {
			known[uri] = p.Availability
		}
	}
	for _, c := range e.Contacts.All() {
		availability := known[c.URI]
		if availability == "" {
			availability = "unknown"
		}
		out = append(out, contact{c, availability})
	}
	return out, nil
}

func addContact(_ context.Context, e *Env, p struct {
	URI    string   `json:"uri"`
	Name   string   `json:"name"`
	Groups []string `json:"groups"`
},
) (any, error) {
	if e.Contacts == nil {
		return nil, errNoContacts
	}
	uri, err := e.Endpoint.Resolve(p.URI)
	if err != nil {
		return nil, err
	}
	added, err := e.Contacts.Add(contacts.Contact{Name: p.Name, URI: uri.String(), Groups: p.Groups})
	if err != nil {
		return nil, err
	}
	// Without presence a contact is still a contact.
	_ = e.Endpoint.Watch(added.URI)
	return added, nil
}

func removeContact(_ context.Context, e *Env, p uriParam) (any, error) {
	if e.Contacts == nil {
		return nil, errNoContacts
	}
	removed, err := e.Contacts.Remove(p.URI)
	if errors.Is(err, contacts.ErrUnknown) { // a user or number as it was given to contacts.add
		if uri, bad := e.Endpoint.Resolve(p.URI); bad == nil {
			removed, err = e.Contacts.Remove(uri.String())
		}
	}
	if err != nil {
		return nil, err
	}
	_ = e.Endpoint.Unwatch(removed.URI)
	return removed, nil
}

func importContacts(_ context.Context, e *Env, p struct {
	File string `json:"file"`
},
) (any, error) {
	if e.Contacts == nil {
		return nil, errNoContacts
	}
	added, err := e.Contacts.Import(p.File)
	if err != nil {
		return nil, &session.Error{Op: "import contacts", Kind: "Config", Err: err}
	}
	for _, c := range added {
		_ = e.Endpoint.Watch(c.URI)
	}
	return added, nil
}

// WatchContacts follows the presence of all contacts. Call it once the endpoint has been started.
func (e *Env) WatchContacts() {
	if e.Contacts == nil {
		return
	}
	for _, c := range e.Contacts.All() {
		_ = e.Endpoint.Watch(c.URI)
	}
}
