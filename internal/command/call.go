package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"offhook/session"
)

// callArg is the optional word that names a call other than the one in the window.
var callArg = Arg{Param: "call", Show: "#CALL", Kind: Call, Optional: true}

// callCommands are what calls of both kinds understand. What is only for audio is in audiocall.go.
func callCommands() []Command {
	call := Param{Name: "call", Type: String, Help: "may be left out where exactly one call is meant"}
	to := Param{Name: "to", Type: String, Help: "address, contact or number"}
	required := to
	required.Required = true
	return []Command{
		{
			Method:  "call.dial",
			Summary: "call somebody",
			Params:  waitable(to, Param{Name: "conversation", Type: String, Help: "instead of to"}),
			Forms: []Form{{
				Name: "call", Focus: OnConversation, Summary: "call somebody, or the peer of this window; next goes to the next call",
				Args: []Arg{{Param: "to", Show: "WHO|next", Kind: Who, Choices: []string{"next"}, Optional: true}},
			}},
			run: waiting(dial),
		}, {
			Method:  "call.answer",
			Summary: "accept an incoming call here",
			Params:  waitable(call),
			Forms:   []Form{{Name: "answer", Aliases: []string{"accept"}, Focus: OnCall, Args: []Arg{callArg}}},
			run:     waiting(onCall(ringing, session.Call.Accept)),
		}, {
			Method:  "call.decline",
			Summary: "refuse an incoming call here; other devices go on",
			Params: waitable(call,
				Param{Name: "everywhere", Type: Boolean, Help: "refuse it for all devices"},
				Param{Name: "message", Type: String, Help: "refuse it for all devices, and send this to the caller"}),
			Forms: []Form{{
				Name: "decline", Focus: OnCall, Summary: "refuse an incoming call here, or on all devices, which a message to the caller does, too",
				Args: []Arg{{Param: "message", Other: "everywhere", Show: "all|MESSAGE", Kind: Choice, Choices: []string{"all"}, Rest: true, Optional: true}},
			}},
			run: waiting(declineCall),
		}, {
			Method:  "call.forward",
			Summary: "send an incoming call on to somebody else",
			Params:  waitable(call, required),
			Forms:   []Form{{Name: "forward", Focus: OnCall, Args: []Arg{{Param: "to", Show: "WHO", Kind: Who}}}},
			run:     waiting(forward),
		}, {
			Method:  "call.transfer",
			Summary: "refer the peer to somebody else, or to the peer of another call, and leave",
			Params:  waitable(call, to, Param{Name: "replaces", Type: String, Help: "instead of to: a second call; its peer gets this one's"}),
			Forms: []Form{{
				Name: "transfer", Focus: OnAnyCall,
				Args: []Arg{{Param: "to", Other: "replaces", Show: "WHO|#CALL", Kind: WhoOrCall}},
			}},
			run: waiting(transfer),
		}, {
			Method:  "call.hangup",
			Summary: "end a call",
			Params:  waitable(call),
			Forms:   []Form{{Name: "hangup", Focus: OnAnyCall, Args: []Arg{callArg}}},
			run:     waiting(onCall(anyCall, session.Call.Terminate)),
		},
	}
}

// callRef is the result of what acts on a call.
type callRef struct {
	Conversation string `json:"conversation"`
	Call         string `json:"call"`
}

func refOf(c session.Call) callRef {
	return callRef{Conversation: c.Conversation().ID(), Call: c.ID()}
}

type callParam struct {
	Call string `json:"call"`
}

func dial(e *Env, p struct {
	To           string `json:"to"`
	Conversation string `json:"conversation"`
},
) (any, Operation, error) {
	conversation, err := e.conversation("call.dial", p.To, p.Conversation)
	if err != nil {
		return nil, nil, err
	}
	c := conversation.NewAudio()
	return refOf(c), func(ctx context.Context) (any, error) {
		return refOf(c), c.Establish(ctx, session.AudioOptions{})
	}, nil
}

// among tells which calls a method may mean when it is not told which.
type among struct {
	what string // a ringing call
	fits func(session.CallInfo) bool
}

var (
	ringing = among{"an incoming call", func(c session.CallInfo) bool { return c.State == session.Incoming }}
	anyCall = among{"a call", func(c session.CallInfo) bool { return c.State != session.Terminating && c.State != session.Terminated }}
)

// findCall finds a call by its id, by the number in it, or the only one that fits.
func (e *Env) findCall(id string, a among) (session.Call, error) {
	if id == "" {
		only, err := e.only(a)
		if err != nil {
			return nil, err
		}
		id = only
	}
	for _, long := range callIDs(id) {
		if c, ok := e.Endpoint.FindCall(long); ok {
			return c, nil
		}
	}
	return nil, unknown("call", id)
}

// callIDs are the ids that a call may be meant by: people write 3 or #3 for audio-3. No two calls have the same number.
func callIDs(s string) []string {
	number := strings.TrimPrefix(s, "#")
	if number == "" || strings.Trim(number, "0123456789") != "" {
		return []string{s}
	}
	return []string{kindAudio + "-" + number, kindIM + "-" + number}
}

// The kinds of calls, with which their ids begin.
const (
	kindAudio = "audio"
	kindIM    = "im"
)

// only returns the id of the one call that fits. Sessions of messages are meant only where there is no audio call, calls on
// hold only where no other fits.
func (e *Env) only(a among) (string, error) {
	calls := slices.DeleteFunc(e.Endpoint.Snapshot().Calls, func(c session.CallInfo) bool { return !a.fits(c) })
	for _, better := range []func(session.CallInfo) bool{isAudio, isHeard} {
		if slices.ContainsFunc(calls, better) {
			calls = slices.DeleteFunc(calls, func(c session.CallInfo) bool { return !better(c) })
		}
	}
	switch len(calls) {
	case 0:
		return "", &session.Error{Op: "find call", Kind: session.KindNotFound, Err: fmt.Errorf("there is not %s", a.what)}
	case 1:
		return calls[0].Call, nil
	}
	names := make([]string, len(calls))
	for i, c := range calls {
		names[i] = fmt.Sprintf("%s (%s)", c.Call, strings.TrimPrefix(c.Peer.URI, "sip:"))
	}
	return "", &session.Error{Op: "find call", Kind: session.KindState, Err: fmt.Errorf("say which is meant: %s", strings.Join(names, ", "))}
}

func isAudio(c session.CallInfo) bool { return c.Kind == kindAudio }

func isHeard(c session.CallInfo) bool { return !heldHere(c) }

// onCall begins a method of a call that has no further parameter.
func onCall(a among, do func(session.Call, context.Context) error) func(*Env, callParam) (any, Operation, error) {
	return func(e *Env, p callParam) (any, Operation, error) {
		c, err := e.findCall(p.Call, a)
		if err != nil {
			return nil, nil, err
		}
		return refOf(c), func(ctx context.Context) (any, error) { return refOf(c), do(c, ctx) }, nil
	}
}

func declineCall(e *Env, p struct {
	Call       string `json:"call"`
	Everywhere bool   `json:"everywhere"`
	Message    string `json:"message"`
},
) (any, Operation, error) {
	c, err := e.findCall(p.Call, ringing)
	if err != nil {
		return nil, nil, err
	}
	message := strings.TrimSpace(p.Message)
	return refOf(c), func(ctx context.Context) (any, error) {
		err := c.Decline(ctx, p.Everywhere || message != "")
		var gone *session.Error
		if message != "" && (err == nil || errors.As(err, &gone) && gone.Kind == session.KindState) { // who has just given up wants to know, too
			_, err = c.Conversation().Send(ctx, message)
		}
		return refOf(c), err
	}, nil
}

func forward(e *Env, p struct {
	Call string `json:"call"`
	To   string `json:"to"`
},
) (any, Operation, error) {
	c, err := e.findCall(p.Call, ringing)
	if err != nil {
		return nil, nil, err
	}
	to, err := e.resolve(p.To)
	if err != nil {
		return nil, nil, err
	}
	return refOf(c), func(ctx context.Context) (any, error) { return refOf(c), c.Forward(ctx, to) }, nil
}

// transfer is blind to an address, attended to the peer of a second call (RFC 5589 §7).
func transfer(e *Env, p struct {
	Call     string `json:"call"`
	To       string `json:"to"`
	Replaces string `json:"replaces"`
},
) (any, Operation, error) {
	switch {
	case p.To != "" && p.Replaces != "":
		return nil, nil, &ParamError{Method: "call.transfer", Problem: "give to or replaces, not both"}
	case p.To == "" && p.Replaces == "":
		return nil, nil, &ParamError{Method: "call.transfer", Problem: "to or replaces is missing"}
	case p.Replaces != "":
		return attended(e, p.Call, p.Replaces)
	}
	c, err := e.findCall(p.Call, current)
	if err != nil {
		return nil, nil, err
	}
	to, err := e.resolve(p.To)
	if err != nil {
		return nil, nil, err
	}
	return refOf(c), func(ctx context.Context) (any, error) { return refOf(c), c.Transfer(ctx, to) }, nil
}

// attended hands the peer of a call over to the peer of another. Without the first it is the one call besides.
func attended(e *Env, id, replaces string) (any, Operation, error) {
	other, err := e.findAudio(replaces, among{})
	if err != nil {
		return nil, nil, err
	}
	besides := among{"a call besides " + other.ID(), func(i session.CallInfo) bool { return established.fits(i) && i.Call != other.ID() }}
	c, err := e.findAudio(id, besides)
	if err != nil {
		return nil, nil, err
	}
	if c == other {
		return nil, nil, &ParamError{Method: "call.transfer", Problem: "a call cannot replace itself"}
	}
	return refOf(c), func(ctx context.Context) (any, error) { return refOf(c), c.TransferTo(ctx, other) }, nil
}
