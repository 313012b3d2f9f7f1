package command

import (
	"context"

	"offhook/session"
)

// parkCommands put calls aside and take them up again.
func parkCommands() []Command {
	call := Param{Name: "call", Type: String, Help: "may be left out where exactly one call is meant"}
	orbit := func(required bool, help string) Param {
		return Param{Name: "orbit", Type: String, Required: required, Help: help}
	}
	return []Command{
		{
			Method:  "park.park",
			Summary: "park a call: it waits with music, and whoever dials its number has it",
			Params: waitable(call,
				Param{Name: "conversation", Type: String, Help: "instead of call"},
				orbit(false, "a wish; by default the service chooses"),
				Param{Name: "note", Type: String, Help: "for who picks it up"}),
			Forms: []Form{{Name: "park", Focus: OnAudio, Args: []Arg{
				{Param: "orbit", Show: "ORBIT", Kind: FreeOrbit, Optional: true},
				{Param: "note", Show: "NOTE", Rest: true, Optional: true},
			}}},
			run: waiting(parkCall),
		}, {
			Method:  "park.retrieve",
			Summary: "pick up a parked call; somebody else than was announced only with anyway",
			Params: waitable(
				orbit(false, "its number"),
				Param{Name: "safe_retrieve_uri", Type: String, Help: "instead of orbit: this very call or none"},
				Param{Name: "anyway", Type: Boolean, Help: "whoever is there"}),
			Forms: []Form{{Name: "pickup", Args: []Arg{
				{Param: "orbit", Show: "ORBIT", Kind: Orbit},
				{Param: "anyway", Show: "anyway", Kind: Choice, Choices: []string{"anyway"}, Optional: true},
			}}},
			run: waiting(retrieve),
		}, {
			Method:  "park.list",
			Summary: "the board: which calls are parked where, by whom and for how long",
			Forms:   []Form{{Name: "orbits"}},
			run: immediate(func(_ context.Context, e *Env, _ none) (any, error) {
				rows := list(e.Endpoint.Board())
				for i := range rows {
					rows[i].Since, rows[i].RingBack = rows[i].Since.UTC(), rows[i].RingBack.UTC()
				}
				return rows, nil
			}),
		}, {
			Method:  "park.broadcast",
			Summary: "tell others the number of a parked call",
			Params: waitable(
				orbit(false, "by default where you have parked last"),
				Param{Name: "to", Type: Strings, Help: "addresses, contacts and groups"},
				Param{Name: "text", Type: String, Help: "instead of the usual one"}),
			Forms: []Form{{Name: "broadcast", Args: []Arg{
				{Param: "orbit", Show: "ORBIT", Kind: Orbit, Optional: true},
				{Param: "to", Show: "WHO", Kind: WhoOrGroup, Optional: true, List: true},
			}}},
			run: waiting(broadcast),
		}, {
			Method:  "park.history",
			Summary: "the calls that you have parked, latest first, and what became of them",
			Params:  []Param{{Name: "limit", Type: Integer, Help: "1 to 1000, 50 by default"}},
			run:     immediate(parkHistory),
		}, {
			Method:  "park.service",
			Summary: "whether there is a park service, and how it parks",
			run: immediate(func(_ context.Context, e *Env, _ none) (any, error) {
				return e.Endpoint.ParkService(), nil
			}),
		}, {
			Method:  "park.note",
			Summary: "change the note of a call that you have parked",
			Params:  []Param{orbit(true, "its number"), {Name: "note", Type: String, Required: true, Help: "empty removes it"}},
			run:     immediate(noteOrbit),
		},
	}
}

func parkCall(e *Env, p struct {
	Call         string `json:"call"`
	Conversation string `json:"conversation"`
	Orbit        string `json:"orbit"`
	Note         string `json:"note"`
},
) (any, Operation, error) {
	if p.Call != "" && p.Conversation != "" {
		return nil, nil, &ParamError{Method: "park.park", Problem: "give call or conversation, not both"}
	}
	var c *session.Conversation
	var err error
	if p.Conversation != "" {
		c, err = e.find(p.Conversation)
	} else {
		var call *session.AudioVideoCall
		if call, err = e.findAudio(p.Call, talking); err == nil {
			c = call.Conversation()
		}
	}
	if err != nil {
		return nil, nil, err
	}
	early := struct {
		Conversation string `json:"conversation"`
	}{c.ID()}
	return early, func(ctx context.Context) (any, error) {
		orbit, err := c.Park(ctx, p.Orbit, p.Note)
		if err != nil {
			return nil, err
		}
		orbit.Parked, orbit.RingBack = orbit.Parked.UTC(), orbit.RingBack.UTC()
		return orbit, nil
	}, nil
}

func retrieve(e *Env, p struct {
	Orbit  string `json:"orbit"`
	Safe   string `json:"safe_retrieve_uri"`
	Anyway bool   `json:"anyway"`
},
) (any, Operation, error) {
	what := p.Orbit
	switch {
	case p.Orbit != "" && p.Safe != "":
		return nil, nil, &ParamError{Method: "park.retrieve", Problem: "give orbit or safe_retrieve_uri, not both"}
	case p.Safe != "":
		what = p.Safe
	case p.Orbit == "":
		return nil, nil, &ParamError{Method: "park.retrieve", Problem: "orbit or safe_retrieve_uri is missing"}
	}
	return none{}, func(ctx context.Context) (any, error) {
		call, err := e.Endpoint.Retrieve(ctx, what, p.Anyway)
		if err != nil {
			return nil, err
		}
		return refOf(call), nil
	}, nil
}
