package command

import (
	"context"

	"offhook/session"
)

func callCommands() []Command {
	call := Param{Name: "call", Type: String, Required: true}
	return []Command{
		{
			Method:  "call.answer",
			Summary: "accept an incoming call here",
			Params:  waitable(call),
			Forms:   []Form{{Name: "answer", Aliases: []string{"accept"}, Focus: OnCall}},
			run:     waiting(onCall((*session.InstantMessagingCall).Accept)),
		}, {
			Method:  "call.decline",
			Summary: "refuse an incoming call here; other devices go on",
			Params:  waitable(call, Param{Name: "everywhere", Type: Boolean, Help: "refuse it for all devices"}),
			Forms: []Form{
				{
					Name: "decline", Focus: OnCall,
					Args: []Arg{{Param: "everywhere", Show: "all", Kind: Choice, Choices: []string{"all"}, Optional: true}},
				},
			},
			run: waiting(declineCall),
		}, {
			Method:  "call.forward",
			Summary: "send an incoming call on to somebody else",
			Params:  waitable(call, Param{Name: "to", Type: String, Required: true, Help: "address, contact or number"}),
			Forms:   []Form{{Name: "forward", Focus: OnCall, Args: []Arg{{Param: "to", Show: "WHO", Kind: Who}}}},
			run:     waiting(redirect((*session.InstantMessagingCall).Forward)),
		}, {
			Method:  "call.transfer",
			Summary: "refer the peer to somebody else and leave",
			Params:  waitable(call, Param{Name: "to", Type: String, Required: true, Help: "address, contact or number"}),
			Forms:   []Form{{Name: "transfer", Focus: OnCall, Args: []Arg{{Param: "to", Show: "WHO", Kind: Who}}}},
			run:     waiting(redirect((*session.InstantMessagingCall).Transfer)),
		}, {
			Method:  "call.hangup",
			Summary: "end a call",
			Params:  waitable(call),
			Forms:   []Form{{Name: "hangup", Focus: OnCall}},
			run:     waiting(onCall((*session.InstantMessagingCall).Terminate)),
		},
	}
}

// callRef is the result of what acts on a call.
type callRef struct {
	Conversation string `json:"conversation"`
	Call         string `json:"call"`
}

func refOf(c *session.InstantMessagingCall) callRef {
	return callRef{Conversation: c.Conversation().ID(), Call: c.ID()}
}

type callParam struct {
	Call string `json:"call"`
}

func (e *Env) findCall(id string) (*session.InstantMessagingCall, error) {
	c, ok := e.Endpoint.FindCall(id)
	if !ok {
		return nil, unknown("call", id)
	}
	return c, nil
}

// onCall begins a method of a call that has no further parameter.
func onCall(do func(*session.InstantMessagingCall, context.Context) error) func(*Env, callParam) (any, Operation, error) {
	return func(e *Env, p callParam) (any, Operation, error) {
		c, err := e.findCall(p.Call)
		if err != nil {
			return nil, nil, err
		}
		return refOf(c), func(ctx context.Context) (any, error) { return refOf(c), do(c, ctx) }, nil
	}
}

func declineCall(e *Env, p struct {
	Call       string `json:"call"`
	Everywhere bool   `json:"everywhere"`
},
) (any, Operation, error) {
	c, err := e.findCall(p.Call)
	if err != nil {
		return nil, nil, err
	}
	return refOf(c), func(ctx context.Context) (any, error) { return refOf(c), c.Decline(ctx, p.Everywhere) }, nil
}

type callToParams struct {
	Call string `json:"call"`
	To   string `json:"to"`
}

// redirect begins a method of a call that takes an address.
func redirect(do func(*session.InstantMessagingCall, context.Context, string) error) func(*Env, callToParams) (any, Operation, error) {
	return func(e *Env, p callToParams) (any, Operation, error) {
		c, err := e.findCall(p.Call)
		if err != nil {
			return nil, nil, err
		}
		to, err := e.resolve(p.To)
		if err != nil {
			return nil, nil, err
		}
		return refOf(c), func(ctx context.Context) (any, error) { return refOf(c), do(c, ctx, to) }, nil
	}
}
