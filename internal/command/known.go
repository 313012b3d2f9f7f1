package command

import (
	"strconv"
	"strings"

	"offhook/internal/contacts"
)

// meant reports whether what was typed can be who it resolves to. A single word may be a name or a user of this domain, and
// what is misspelt is both: so a word that is nearly the name of a contact or a group is nobody's, unless there has been a
// conversation with that user. Whoever else is meant has an address.
func (e *Env) meant(who, uri string) bool {
	if strings.ContainsAny(who, "@:") || strings.Trim(who, "+*#0123456789 -()/.") == "" {
		return true
	}
	if addressKey(uri) == addressKey(e.Endpoint.Snapshot().Account.AOR) {
		return true
	}
	if e.Contacts != nil {
		for _, c := range e.Contacts.All() {
			if addressKey(c.URI) == addressKey(uri) {
				return true
			}
		}
	}
	for _, c := range e.Endpoint.Snapshot().Conversations {
		if addressKey(c.Peer.URI) == addressKey(uri) {
			return true
		}
	}
	return e.perhaps(who) == ""
}

// perhaps names the contact or the group that is nearest to what was typed: ` (perhaps "Carol Diaz")`, "" if none is near.
func (e *Env) perhaps(who string) string {
	typed := []rune(strings.ToLower(strings.TrimSpace(who)))
	name, least := "", 1+len(typed)/3 // so many letters may be wrong, and no more
	try := func(as, is string) {
		if d := distance(typed, []rune(strings.ToLower(as))); d < least {
			name, least = is, d
		}
	}
	for _, g := range e.groups() {
		try(g, g)
	}
	if e.Contacts != nil {
		for _, c := range e.Contacts.All() {
			for _, word := range append(strings.Fields(c.Name), c.Name, userPart(c.URI)) {
				try(word, c.Name)
			}
		}
	}
	if name == "" {
		return ""
	}
	return " (perhaps " + strconv.Quote(name) + ")"
}

// userPart is the part of an address in front of the @.
func userPart(uri string) string {
	canonical, err := contacts.Canonical(uri)
	if err != nil {
		return uri
	}
	_, rest, _ := strings.Cut(canonical, ":")
	return rest[:strings.LastIndexByte(rest, '@')]
}

// distance counts the letters that are missing, too many, wrong, or swapped with the next one.
func distance(a, b []rune) int {
	rows := [][]int{make([]int, len(b)+1)}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := range a {
		row := append([]int{i + 1}, make([]int, len(b))...)
		for j := range b {
			change := rows[i][j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, rows[i][j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], rows[i-1][j-1]+1)
			}
		}
		rows = append(rows, row)
	}
	return rows[len(a)][len(b)]
}
