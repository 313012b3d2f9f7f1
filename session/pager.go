package session

import (
	"context"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// page sends a text outside of any session (RFC 3428): the peer's server may store it for later. The conversation's queue
// keeps it to one at a time, as §8 demands.
func (c *Conversation) page(ctx context.Context, to sip.Uri, m *Message) error {
	err := c.pageOnce(ctx, to, m)
	if !silent(err) || c.e.cfg.NoRegister {
		return err
	}
	if err := c.e.awaitServer(ctx, m, true); err != nil {
		return err
	}
	return c.pageOnce(ctx, to, m)
}

func (c *Conversation) pageOnce(ctx context.Context, to sip.Uri, m *Message) error {
	c.e.mu.Blocking()
	req := c.e.agent.NewRequest(sip.MESSAGE, target(to))
	req.AppendHeader(sip.NewHeader(headerMessageID, m.ID))
	req.AppendHeader(sip.NewHeader(headerConversationID, c.thread))
	req.AppendHeader(sip.NewHeader("Content-Type", "text/plain; charset=UTF-8"))
	req.SetBody([]byte(m.Text))
	m.Call, m.Toast = "", false
	res, err := c.e.agent.Do(ctx, req)
	if err != nil {
		return err
	}
	m.Status = statusOfAnswer(res.StatusCode)
	return nil
}

// serveMessage takes a text that comes outside of any session.
func (e *Endpoint) serveMessage(ctx context.Context, req *sipua.Request) {
	if err := e.takeMessage(ctx, req); err != nil {
		e.log.Debug("response could not be sent", "method", req.Method, "err", err)
	}
}

func (e *Endpoint) takeMessage(ctx context.Context, req *sipua.Request) error {
	end, ok := e.begin("pager message")
	if !ok {
		return req.Respond(480, "Temporarily Unavailable")
	}
	defer end()
	defer e.serving()()
	got, err := readContent(req.Request)
	if err != nil {
		return respondUnsupported(req)
	}
	uri, party := senderOf(req.Request)
	if got.composing != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		if c, ok := e.byPeer[peerKey(uri)]; ok {
			c.peerTypesLocked(got.composing.Active, got.composing.Refresh)
		}
		return req.Respond(200, "OK")
	}
	e.mu.Lock()
	c := e.conversationLocked(uri, party)
	e.mu.Unlock()
	return c.receive(ctx, req, got.text, "")
}
