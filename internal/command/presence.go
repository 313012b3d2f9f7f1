package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"offhook/session"
)

// availabilities are what presence.set accepts.
var availabilities = []string{"available", "busy", "dnd", "away", "offline"}

func presenceCommands() []Command {
	note := Arg{Param: "note", Show: "NOTE", Rest: true, Optional: true}
	short := func(name, availability, summary string) Form {
		return Form{Name: name, Args: []Arg{note}, Preset: map[string]any{"availability": availability}, Summary: summary}
	}
	uri := Param{Name: "uri", Type: String, Required: true, Help: "address, contact or number"}
	return []Command{
		{
			Method:  "presence.set",
			Summary: "say whether you are available",
			Params: waitable(
				Param{Name: "availability", Type: String, Help: strings.Join(availabilities, ", ")},
				Param{Name: "note", Type: String}),
			Forms: []Form{
				{Name: "presence", Args: []Arg{
					{Param: "availability", Show: "AVAILABILITY", Kind: Choice, Choices: availabilities}, note,
				}},
				short("online", "available", "be available"),
				short("busy", "busy", "be busy"),
				short("dnd", "dnd", "do not be disturbed: messages are refused on this device"),
				short("away", "away", "be away"),
				{Name: "note", Args: []Arg{{Param: "note", Show: "TEXT", Rest: true, Optional: true}}, Summary: "set the note beside your presence"},
			},
			run: waiting(setPresence),
		}, {
			Method:  "presence.input",
			Summary: "report user input on this device",
			Params:  []Param{{Name: "at", Type: String, Help: "RFC 3339 time, not in the future"}},
			run:     immediate(reportInput),
		}, {
			Method:  "presence.get",
			Summary: "ask for somebody's presence",
			Params:  []Param{uri},
			Forms:   []Form{{Name: "whois", Args: []Arg{{Param: "uri", Show: "WHO", Kind: Who}}}},
			run:     immediate(getPresence),
		}, {
			Method:  "presence.watch",
			Summary: "follow somebody's presence",
			Params:  []Param{uri},
			run:     immediate(watchPresence),
		}, {
			Method:  "presence.unwatch",
			Summary: "stop to follow somebody's presence",
			Params:  []Param{uri},
			run: immediate(func(_ context.Context, e *Env, p uriParam) (any, error) {
				address, err := e.resolve(p.URI)
				if err != nil {
					return nil, err
				}
				return none{}, e.Endpoint.Unwatch(address)
			}),
		},
	}
}

type presenceParams struct {
	Availability string  `json:"availability"`
	Note         *string `json:"note"`
}

// setPresence changes what is given and leaves the rest as it is.
func setPresence(e *Env, p presenceParams) (any, Operation, error) {
	account := e.Endpoint.Snapshot().Account
	availability, note := account.Availability, account.Note
	if p.Availability == "" && p.Note == nil {
		return nil, nil, &ParamError{Method: "presence.set", Problem: "availability or note is missing"}
	}
	if p.Availability != "" {
		availability = p.Availability
	}
	if p.Note != nil {
		note = *p.Note
	}
	if p.Availability != "" && !slices.Contains(availabilities, availability) {
		return nil, nil, &ParamError{
			Method:  "presence.set",
			Problem: fmt.Sprintf("unknown availability %.40q", availability), Accepts: strings.Join(availabilities, ", "),
		}
	}
	if availability == "" {
		availability = "available"
	}
	return none{}, func(ctx context.Context) (any, error) {
		return none{}, e.Endpoint.SetPresence(ctx, availability, note)
	}, nil
}

func reportInput(_ context.Context, e *Env, p struct {
	At string `json:"at"`
},
) (any, error) {
	at := time.Now()
	if p.At != "" {
		parsed, err := time.Parse(time.RFC3339Nano, p.At)
		if err != nil {
			return nil, &ParamError{Method: "presence.input", Problem: "at must be an RFC 3339 time, e.g. 2026-01-02T03:04:05Z"}
		}
		if parsed.After(at.Add(time.Second)) {
			return nil, &ParamError{Method: "presence.input", Problem: "at is in the future"}
		}
		at = parsed
	}
	e.Endpoint.Input(at)
	return none{}, nil
}

type uriParam struct {
	URI string `json:"uri"`
}

func getPresence(ctx context.Context, e *Env, p uriParam) (any, error) {
	address, err := e.resolve(p.URI)
	if err != nil {
		return nil, err
	}
	presence, err := e.Endpoint.Presence(ctx, address)
	presence.Devices = list(presence.Devices)
	return presence, err
}

// watchPresence answers with what is known by now; events follow.
func watchPresence(_ context.Context, e *Env, p uriParam) (any, error) {
	address, err := e.resolve(p.URI)
	if err != nil {
		return nil, err
	}
	if err := e.Endpoint.Watch(address); err != nil {
		return nil, err
	}
	for _, known := range e.Endpoint.Snapshot().Presences {
		if known.URI == address {
			known.Devices = list(known.Devices)
			return known, nil
		}
	}
	return session.Presence{URI: address, Availability: "unknown", Devices: []session.Device{}}, nil
}
