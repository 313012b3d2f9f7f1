package command

import (
	"context"
	"errors"

	"offhook/internal/contacts"
	"offhook/session"
)

func messageCommands() []Command {
	return []Command{
		{
			Method:  "im.send",
			Summary: "send a message",
			Params: waitable(
				Param{Name: "to", Type: String, Help: "who: address, contact or number"},
				Param{Name: "conversation", Type: String, Help: "instead of to"},
				Param{Name: "text", Type: String, Required: true}),
			Forms: []Form{{
				Name: "msg", Aliases: []string{"m"},
				Args: []Arg{{Param: "to", Show: "WHO", Kind: Who}, {Param: "text", Show: "TEXT", Rest: true}},
			}},
			run: waiting(sendMessage),
		}, {
			Method:  "im.compose",
			Summary: "tell the peer that you type, or stopped",
			Params: []Param{
				{Name: "conversation", Type: String, Required: true},
				{Name: "active", Type: Boolean, Required: true},
			},
			run: immediate(compose),
		}, {
			Method:  "conversation.list",
			Summary: "the conversations and their state",
			run:     immediate(listConversations),
		}, {
			Method:  "conversation.end",
			Summary: "end a conversation and its calls",
			Params:  waitable(Param{Name: "conversation", Type: String, Required: true}),
			Forms:   []Form{{Name: "close", Focus: OnConversation, Summary: "end the conversation and close its window"}},
			run:     waiting(endConversation),
		}, {
			Method:  "conversation.can",
			Summary: "whether an action is possible now, and if not why",
			Params: []Param{
				{Name: "conversation", Type: String, Required: true},
				{Name: "action", Type: String, Required: true, Help: "send, call, answer, hangup, hold, resume, mute, dtmf, transfer, record, conference, park or end"},
			},
			run: immediate(canAct),
		},
	}
}

type sendParams struct {
	To           string `json:"to"`
	Conversation string `json:"conversation"`
	Text         string `json:"text"`
}

// sent is the result of im.send.
type sent struct {
	Conversation string         `json:"conversation"`
	Call         string         `json:"call,omitempty"`
	Message      string         `json:"message,omitempty"`
	Status       session.Status `json:"status"`
	Error        *problem       `json:"error,omitempty"` // with failed
}

// problem says why something failed: the data of an error, and its text.
type problem struct {
	Kind    session.Kind `json:"kind"`
	Message string       `json:"message"`
	Hint    string       `json:"hint,omitempty"`
	SIP     int          `json:"sip,omitempty"`
}

func problemOf(err error) *problem {
	p := &problem{Kind: session.KindInternal, Message: err.Error()}
	var known *session.Error
	if errors.As(err, &known) {
		p.Kind, p.Hint, p.SIP = known.Kind, known.Hint(), known.Code
	}
	return p
}

func sendMessage(e *Env, p sendParams) (any, Operation, error) {
	if p.Text == "" {
		return nil, nil, &ParamError{Method: "im.send", Problem: "text is empty"}
	}
	conversation, err := e.conversation("im.send", p.To, p.Conversation)
	if err != nil {
		return nil, nil, err
	}
	early := sent{Conversation: conversation.ID(), Status: session.Sending}
	return early, func(ctx context.Context) (any, error) {
		conversation.Read() // who answers has read
		m, err := conversation.Send(ctx, p.Text)
		e.markRead(ctx, conversation.Peer().URI)
		result := sent{Conversation: conversation.ID(), Call: m.Call, Message: m.ID, Status: m.Status}
		switch {
		case err == nil:
			return result, nil
		case m.ID == "": // it never became a message
			return nil, err
		}
		result.Status, result.Error = session.Failed, problemOf(err)
		return nil, &Reply{err, result}
	}, nil
}

// listConversations counts what has not been read since before this start, too: a conversation with such messages is one
// of this process from now on.
func listConversations(ctx context.Context, e *Env, _ none) (any, error) {
	unread := map[string]int{}
	if e.History != nil {
		var err error
		if unread, err = e.History.Unread(ctx); err != nil {
			unread = map[string]int{} // the record reports its own condition
		}
	}
	for peer := range unread {
		if _, err := e.Endpoint.Conversation(peer); err != nil {
			delete(unread, peer)
		}
	}
	conversations := list(e.Endpoint.Snapshot().Conversations)
	for i := range conversations {
		c := &conversations[i]
		if uri, err := contacts.Canonical(c.Peer.URI); err == nil {
			c.Unread = max(c.Unread, unread[uri])
		}
	}
	return conversations, nil
}

// markRead makes it last that the user has seen all from a peer.
func (e *Env) markRead(ctx context.Context, peer string) {
	if e.History != nil {
		_ = e.History.MarkRead(ctx, peer) // unread once more after a restart is all that can come of a failure
	}
}

// conversation finds the conversation that exactly one of to and id names.
func (e *Env) conversation(method, to, id string) (*session.Conversation, error) {
	switch {
	case to != "" && id != "":
		return nil, &ParamError{Method: method, Problem: "give to or conversation, not both"}
	case id != "":
		return e.find(id)
	case to != "":
		address, err := e.Address(to)
		if err != nil {
			return nil, err
		}
		return e.Endpoint.Conversation(address)
	default:
		return nil, &ParamError{Method: method, Problem: "to or conversation is missing"}
	}
}

func (e *Env) find(id string) (*session.Conversation, error) {
	c, ok := e.Endpoint.FindConversation(id)
	if !ok {
		return nil, unknown("conversation", id)
	}
	return c, nil
}

func compose(_ context.Context, e *Env, p struct {
	Conversation string `json:"conversation"`
	Active       bool   `json:"active"`
},
) (any, error) {
	c, err := e.find(p.Conversation)
	if err != nil {
		return nil, err
	}
	c.Compose(p.Active)
	return none{}, nil
}

type conversationParam struct {
	Conversation string `json:"conversation"`
}

func endConversation(e *Env, p conversationParam) (any, Operation, error) {
	c, err := e.find(p.Conversation)
	if err != nil {
		return nil, nil, err
	}
	return none{}, func(ctx context.Context) (any, error) { return none{}, c.End(ctx) }, nil
}

// can is the result of conversation.can.
type can struct {
	Available bool   `json:"available"`
	Why       string `json:"why"`
}

func canAct(_ context.Context, e *Env, p struct {
	Conversation string `json:"conversation"`
	Action       string `json:"action"`
},
) (any, error) {
	c, err := e.find(p.Conversation)
	if err != nil {
		return nil, err
	}
	available, why := c.Can(p.Action)
	return can{available, why}, nil
}

// list makes an empty JSON array, not null, of a nil slice.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
