package command

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"offhook/session"
)

// Completion is what can stand in place of the end of a line: Line[:From] followed by one of Candidates.
type Completion struct {
	From       int
	Candidates []string // each ends with a space where a further word may follow
}

// Complete completes the end of a typed line that begins with a slash: the command's name, then its words.
func (e *Env) Complete(line string) Completion {
	if !strings.HasPrefix(line, "/") || strings.HasPrefix(line, "//") {
		return Completion{From: len(line)}
	}
	name, rest, spaced := strings.Cut(line[1:], " ")
	if !spaced {
		return complete(1, name, formNames())
	}
	_, form, ok := FindForm(strings.ToLower(name))
	if !ok {
		return Completion{From: len(line)}
	}
	for args := form.Args; len(args) > 0; {
		a := args[0]
		rest = strings.TrimLeft(rest, " ")
		if a.Optional && a.orbit() && rest != "" && !isOrbit(rest) {
			args = args[1:]
			continue
		}
		from := len(line) - len(rest)
		word, left := cutWord(rest)
		open := strings.HasPrefix(rest, `"`) && strings.Count(rest, `"`) == 1
		if a.Rest || open || left == "" && !strings.HasSuffix(rest, " ") {
			if open || a.Rest {
				word = strings.TrimPrefix(rest, `"`)
			}
			all := e.candidates(a, word)
			if a.Optional && a.orbit() && rest == "" && len(args) > 1 { // it may be left out
				all = append(all, e.candidates(args[1], word)...)
			}
			return complete(from, word, all)
		}
		rest = left
		if !a.List {
			args = args[1:]
		}
	}
	return Completion{From: len(line)}
}

func complete(from int, prefix string, all []string) Completion {
	c := Completion{From: from}
	for _, s := range all {
		if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
			continue
		}
		switch {
		case strings.HasSuffix(s, "/"):
		case strings.Contains(s, " "):
			s = `"` + s + `" `
		default:
			s += " "
		}
		if !slices.Contains(c.Candidates, s) {
			c.Candidates = append(c.Candidates, s)
		}
	}
	return c
}

func (e *Env) candidates(a Arg, prefix string) []string {
	switch a.Kind {
	case Who:
		return append(e.people(), a.Choices...)
	case Choice:
		return a.Choices
	case Name:
		return formNames()
	case File:
		return append(files(prefix), a.Choices...)
	case Call:
		return e.calls()
	case WhoOrCall:
		return append(e.calls(), e.people()...)
	case Microphone:
		return e.devices(true)
	case Speaker:
		return e.devices(false)
	case Orbit:
		return e.orbits()
	case FreeOrbit:
		return e.freeOrbits()
	case WhoOrGroup:
		return append(e.groups(), e.people()...)
	case Word:
	}
	return nil
}

// calls are the audio calls, as they are written short.
func (e *Env) calls() []string {
	var out []string
	for _, c := range e.Endpoint.Snapshot().Calls {
		if number, ok := strings.CutPrefix(c.Call, kindAudio+"-"); ok && isAudio(c) && anyCall.fits(c) {
			out = append(out, "#"+number)
		}
	}
	return out
}

// people are contacts by name, then those of conversations, latest first, by user or address.
func (e *Env) people() []string {
	var out []string
	if e.Contacts != nil {
		for _, c := range e.Contacts.All() {
			out = append(out, c.Name)
		}
	}
	conversations := slices.Clone(e.Endpoint.Snapshot().Conversations)
	slices.SortStableFunc(conversations, func(a, b session.ConversationInfo) int { return b.Last.Compare(a.Last) })
	for _, c := range conversations {
		out = append(out, strings.TrimPrefix(c.Peer.URI, "sip:"))
	}
	if e.Contacts != nil {
		for _, c := range e.Contacts.All() {
			out = append(out, strings.TrimPrefix(c.URI, "sip:"))
		}
	}
	return out
}

// files lists paths that begin with prefix; a directory ends with a slash.
func files(prefix string) []string {
	dir, _ := filepath.Split(prefix)
	look := dir
	if look == "" {
		look = "."
	}
	entries, err := os.ReadDir(look)
	if err != nil {
		return nil
	}
	var out []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		path := dir + entry.Name()
		if entry.IsDir() {
			path += "/"
		}
		out = append(out, path)
	}
	return out
}
