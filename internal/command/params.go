package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// ParamError refuses a call whose parameters make no sense. Nothing has happened.
type ParamError struct {
	Method  string
	Problem string // unknown parameter "tex"
	Accepts string // to, conversation, text
}

func (e *ParamError) Error() string {
	if e.Accepts == "" {
		return fmt.Sprintf("%s: %s", e.Method, e.Problem)
	}
	return fmt.Sprintf("%s: %s; accepted: %s", e.Method, e.Problem, e.Accepts)
}

// MethodError refuses a method that is not in the table.
type MethodError struct{ Method string }

func (e *MethodError) Error() string { return fmt.Sprintf("no method %q", e.Method) }

// params are the parameters of one call, by name.
type params struct {
	command Command
	fields  map[string]json.RawMessage
}

// parseParams checks the names of a params object against the command's.
func parseParams(c Command, raw json.RawMessage) (params, error) {
	p := params{command: c}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		raw = []byte("{}")
	}
	if raw[0] != '{' {
		return p, p.problem("params must be an object")
	}
	if err := json.Unmarshal(raw, &p.fields); err != nil {
		return p, p.problem("params are not valid JSON")
	}
	for name, value := range p.fields {
		if !slices.ContainsFunc(c.Params, func(a Param) bool { return a.Name == name }) {
			return p, p.problem(fmt.Sprintf("unknown parameter %.60q", name))
		}
		if string(bytes.TrimSpace(value)) == "null" {
			delete(p.fields, name)
		}
	}
	for _, a := range c.Params {
		if _, given := p.fields[a.Name]; a.Required && !given {
			return p, p.problem(a.Name + " is missing")
		}
	}
	return p, nil
}

func (p params) problem(what string) error {
	return &ParamError{Method: p.command.Method, Problem: what, Accepts: p.command.accepts()}
}

// accepts lists the parameters, optional ones in brackets.
func (c Command) accepts() string {
	if len(c.Params) == 0 {
		return "no parameters"
	}
	names := make([]string, len(c.Params))
	for i, a := range c.Params {
		names[i] = a.Name
		if !a.Required {
			names[i] = "[" + a.Name + "]"
		}
	}
	return strings.Join(names, ", ")
}

// decode fills the struct at to, whose json tags are names of parameters.
func (p params) decode(to any) error {
	v := reflect.ValueOf(to).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		raw, given := p.fields[name]
		if !given {
			continue
		}
		if v.Field(i).Kind() == reflect.String {
			raw = scalar(raw)
		}
		if err := json.Unmarshal(raw, v.Field(i).Addr().Interface()); err != nil {
			return p.problem(fmt.Sprintf("%s must be %s", name, p.expected(name)))
		}
	}
	return nil
}

func (p params) expected(name string) string {
	for _, a := range p.command.Params {
		if a.Name == name {
			if a.Help != "" {
				return fmt.Sprintf("%s (%s)", article(a.Type), a.Help)
			}
			return article(a.Type)
		}
	}
	return "something else"
}

func article(t Type) string {
	switch t {
	case Integer, Strings:
		return "an " + string(t)
	default:
		return "a " + string(t)
	}
}

// scalar makes a string of a bare number or boolean: an address may be a number, and what is typed as KEY=VALUE has no
// types.
func scalar(raw json.RawMessage) json.RawMessage {
	raw = bytes.TrimSpace(raw)
	if c := raw[0]; c == '-' || c >= '0' && c <= '9' || c == 't' || c == 'f' {
		quoted, err := json.Marshal(string(raw))
		if err == nil {
			return quoted
		}
	}
	return raw
}
