package command

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Place is where a line is typed: what the window shows. Empty fields are what it does not have.
type Place struct {
	Conversation string
	Call         string // its session of messages, or the call it is offered
	Audio        string // its audio call
	Toast        string // the toast on top
}

// Invocation is a parsed line.
type Invocation struct {
	Command Command
	Form    Form
	Params  map[string]any // for Env.Call, where the command has a method; else by the names of the form's arguments
}

// ErrNotCommand tells that a line is text to be sent: it does not begin with a slash, or with two.
var ErrNotCommand = errors.New("not a command")

// ParseLine understands a line that begins with a slash. Words are separated by spaces; a word with spaces is written in
// double quotes. Errors say the accepted form.
func ParseLine(line string, at Place) (Invocation, error) {
	if !strings.HasPrefix(line, "/") || strings.HasPrefix(line, "//") {
		return Invocation{}, ErrNotCommand
	}
	name, rest, _ := strings.Cut(line[1:], " ")
	c, f, ok := FindForm(strings.ToLower(name))
	if !ok {
		return Invocation{}, unknownForm(name)
	}
	inv := Invocation{Command: c, Form: f, Params: map[string]any{}}
	maps.Copy(inv.Params, f.Preset)
	for _, a := range f.Args {
		rest = strings.TrimLeft(rest, " ")
		if rest == "" {
			if !a.Optional {
				return inv, fmt.Errorf("%s is missing: %s", a.Show, f.Usage())
			}
			continue
		}
		if a.Optional && a.orbit() && !isOrbit(rest) {
			continue
		}
		value, left, err := a.take(rest)
		if err != nil {
			return inv, fmt.Errorf("%w: %s", err, f.Usage())
		}
		name, value := a.sort(value)
		inv.Params[name], rest = value, left
	}
	if strings.TrimSpace(rest) != "" {
		return inv, fmt.Errorf("%.40q is too much: %s", strings.TrimSpace(rest), f.Usage())
	}
	return inv, inv.focus(at)
}

// take cuts the argument off the line.
func (a Arg) take(line string) (value any, rest string, err error) {
	switch {
	case a.Rest:
		return line, "", nil
	case a.List:
		var words []string
		for line != "" {
			var word string
			word, line = cutWord(line)
			words = append(words, word)
		}
		return words, "", nil
	}
	word, rest := cutWord(line)
	if a.Kind != Choice {
		return word, rest, nil
	}
	for _, choice := range a.Choices {
		if strings.EqualFold(choice, word) {
			if len(a.Choices) == 1 { // a flag
				return true, rest, nil
			}
			return choice, rest, nil
		}
	}
	return nil, "", fmt.Errorf("%.40q is not %s", word, strings.Join(a.Choices, ", "))
}

// orbit tells whether the word is the number of an orbit.
func (a Arg) orbit() bool { return a.Kind == Orbit || a.Kind == FreeOrbit }

// isOrbit reports whether a line begins with what can be dialled as an orbit: digits, perhaps behind a star.
func isOrbit(line string) bool {
	word, _ := cutWord(line)
	word = strings.TrimPrefix(word, "*")
	return word != "" && strings.Trim(word, "0123456789") == ""
}

// sort tells which parameter a word becomes.
func (a Arg) sort(value any) (param string, as any) {
	word, _ := value.(string)
	switch {
	case a.Other == "":
	case a.Kind == WhoOrCall && strings.HasPrefix(word, "#"):
		return a.Other, word
	case a.Kind != WhoOrCall && slices.ContainsFunc(a.Choices, func(c string) bool { return strings.EqualFold(c, strings.TrimSpace(word)) }):
		return a.Other, true
	}
	return a.Param, value
}

// cutWord cuts the first word, which may be quoted, and the spaces behind it.
func cutWord(line string) (word, rest string) {
	if strings.HasPrefix(line, `"`) {
		if end := strings.Index(line[1:], `"`); end >= 0 {
			return line[1 : end+1], strings.TrimLeft(line[end+2:], " ")
		}
	}
	word, rest, _ = strings.Cut(line, " ")
	return word, strings.TrimLeft(rest, " ")
}

// focus adds the parameter that the window gives.
func (inv *Invocation) focus(at Place) error {
	call := ""
	switch inv.Form.Focus {
	case OnConversation:
		if _, named := inv.Params["to"]; named {
			return nil
		}
		if at.Conversation != "" {
			inv.Params["conversation"] = at.Conversation
		} else if inv.Command.required("conversation") {
			return fmt.Errorf("%s: there is no conversation in this window", inv.Form.Usage())
		}
	case OnCall:
		call = at.Call
	case OnAudio:
		call = at.Audio
	case OnAnyCall:
		call = cmp.Or(at.Audio, at.Call)
	case OnToast:
		if at.Toast == "" {
			return fmt.Errorf("%s: nothing is offered", inv.Form.Usage())
		}
		inv.Params["toast"] = at.Toast
	case NoFocus:
	}
	// Without a call in the window Env.Call finds the only one that can be meant.
	if _, named := inv.Params["call"]; call != "" && !named {
		inv.Params["call"] = call
	}
	return nil
}

func (c Command) required(param string) bool {
	for _, p := range c.Params {
		if p.Name == param {
			return p.Required
		}
	}
	return false
}

// unknownForm names the commands that begin alike.
func unknownForm(name string) error {
	var near []string
	for _, n := range formNames() {
		if name != "" && strings.HasPrefix(n, strings.ToLower(name[:1])) {
			near = append(near, "/"+n)
		}
	}
	if len(near) == 0 {
		return fmt.Errorf("no command /%.40s; /help lists them, // sends text that begins with a slash", name)
	}
	return fmt.Errorf("no command /%.40s; perhaps %s; // sends text that begins with a slash", name, strings.Join(near, ", "))
}

// formNames are the names of all forms, in the order of the table.
func formNames() []string {
	var names []string
	for _, c := range Table() {
		for _, f := range c.Forms {
			names = append(names, f.Name)
		}
	}
	return names
}
