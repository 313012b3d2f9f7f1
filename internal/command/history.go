package command

import (
	"context"
	"errors"

	"offhook/internal/contacts"
	"offhook/session"
)

// Bounds of how many messages one call returns.
const (
	defaultLimit = 50
	maxLimit     = 1000
)

func historyCommands() []Command {
	common := []Param{
		{Name: "conversation", Type: String, Help: "its id, or the peer's address"},
		{Name: "limit", Type: Integer, Help: "1 to 1000, 50 by default"},
		{Name: "before", Type: String, Help: "id of a message: only older ones"},
	}
	return []Command{
		{
			Method:  "history.list",
			Summary: "the messages of a conversation, oldest first",
			Params:  append([]Param(nil), common...),
			run:     immediate(listHistory),
		}, {
			Method:  "history.search",
			Summary: "find messages",
			Params:  append([]Param{{Name: "query", Type: String, Required: true}}, common...),
			Forms: []Form{{
				Name: "search", Args: []Arg{{Param: "query", Show: "TEXT", Rest: true}}, Focus: OnConversation,
				Summary: "find messages in this conversation, in the home window in all",
			}},
			run: immediate(searchHistory),
		},
	}
}

type historyParams struct {
	Query        string `json:"query"`
	Conversation string `json:"conversation"`
	Limit        *int   `json:"limit"`
	Before       string `json:"before"`
}

var errNoHistory = errors.New("this instance keeps no history")

func listHistory(ctx context.Context, e *Env, p historyParams) (any, error) {
	peer, limit, err := e.scope("history.list", p)
	if err != nil {
		return nil, err
	}
	messages, err := e.History.Messages(ctx, peer, p.Before, limit)
	return e.current(messages), err
}

func searchHistory(ctx context.Context, e *Env, p historyParams) (any, error) {
	peer, limit, err := e.scope("history.search", p)
	if err != nil {
		return nil, err
	}
	messages, err := e.History.Search(ctx, p.Query, peer, p.Before, limit)
	return e.current(messages), err
}

// scope returns whose messages are meant, "" for all, and how many.
func (e *Env) scope(method string, p historyParams) (peer string, limit int, err error) {
	limit = defaultLimit
	if p.Limit != nil {
		limit = *p.Limit
	}
	switch {
	case e.History == nil:
		return "", 0, errNoHistory
	case limit < 1 || limit > maxLimit:
		return "", 0, &ParamError{Method: method, Problem: "limit must be 1 to 1000"}
	case p.Conversation == "":
		return "", limit, nil
	}
	if c, ok := e.Endpoint.FindConversation(p.Conversation); ok {
		return c.Peer().URI, limit, nil
	}
	peer, err = e.resolve(p.Conversation)
	if err != nil {
		return "", 0, unknown("conversation", p.Conversation)
	}
	return peer, limit, nil
}

// current replaces the ids of conversations, which are those of the process that recorded them, by the present ones.
func (e *Env) current(messages []session.Message) []session.Message {
	ids := e.conversationIDs()
	for i := range messages {
		uri, _ := contacts.Canonical(messages[i].Peer.URI)
		messages[i].Conversation = ids[uri]
	}
	return list(messages)
}

// conversationIDs are the ids of conversations, by the canonical address of the peer.
func (e *Env) conversationIDs() map[string]string {
	ids := map[string]string{}
	for _, c := range e.Endpoint.Snapshot().Conversations {
		if uri, err := contacts.Canonical(c.Peer.URI); err == nil {
			ids[uri] = c.Conversation
		}
	}
	return ids
}
