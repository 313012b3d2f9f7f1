package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/plaintext"
)

const (
	// maxQueue bounds the texts of a conversation that wait to go out.
	maxQueue = 64
	// maxSessions is how many sessions a text tries before it goes by pager.
	maxSessions = 3
)

// turn is a place in a conversation's queue. Texts go out one after the other, in the order of Send.
type turn struct{ ready chan struct{} } // closed at the head of the queue

// Send delivers text: in the session, by establishing one with text as its toast, or by pager message when no session
// can be had. It blocks until the message is delivered, stored or failed; the returned message says which. Messages of a
// conversation go out in the order of the Send calls.
func (c *Conversation) Send(ctx context.Context, text string) (Message, error) {
	return c.send(ctx, text, c.deliver)
}

// send queues a text, delivers it when its turn has come, and tells its fate.
func (c *Conversation) send(ctx context.Context, text string, deliver func(context.Context, *Message) error) (Message, error) {
	e := c.e
	e.mu.Blocking()
	if err := validText(text); err != nil {
		return Message{}, refuse("send", c.peerURI(), KindUnsupported, "%w", err)
	}
	e.mu.Lock()
	m, mine, err := c.enqueueLocked(text)
	e.mu.Unlock()
	if err != nil {
		return m, err
	}
	defer c.leave(mine)
	ctx, stop := e.join(ctx)
	defer stop()
	select {
	case <-mine.ready:
		err = deliver(ctx, &m)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	err = fail("send", m.Peer.URI, err)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		m.Status, m.Error = Failed, err.Error()
	}
	e.tellOutboundLocked(m)
	return m, err
}

// tellOutboundLocked publishes a text of this user, cleaned like any other: the sender may have pasted anything.
func (e *Endpoint) tellOutboundLocked(m Message) {
	m.Text = plaintext.Text(m.Text, maxText+maxText/2)
	e.publishLocked(MessageChanged{m})
}

// enqueueLocked makes the record of a text and takes a turn for it.
func (c *Conversation) enqueueLocked(text string) (Message, *turn, error) {
	e := c.e
	switch {
	case !e.started || e.closing:
		return Message{}, nil, fail("send", c.peer.URI, errClosing)
	case c.state == ConversationTerminated:
		return Message{}, nil, refuse("send", c.peer.URI, KindState, "the conversation has ended")
	case len(c.queue) >= maxQueue:
		return Message{}, nil, refuse("send", c.peer.URI, KindBusy, "%d messages wait already", maxQueue)
	}
	m := Message{
		Conversation: c.id, ID: newMessageID(), Direction: Outbound, Peer: c.peer, From: e.self, Text: text,
		ContentType: body.TypeText, Status: Sending, Time: time.Now(),
	}
	if im := c.imLocked(); im != nil {
		m.Call = im.id
	}
	mine := &turn{ready: make(chan struct{})}
	c.queue = append(c.queue, mine)
	if len(c.queue) == 1 {
		close(mine.ready)
	}
	c.last = m.Time
	c.stopComposingLocked()
	e.tellOutboundLocked(m)
	return m, mine, nil
}

// leave gives the turn to the next.
func (c *Conversation) leave(mine *turn) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	head := c.queue[0] == mine
	c.queue = slices.DeleteFunc(c.queue, func(t *turn) bool { return t == mine })
	if head && len(c.queue) > 0 {
		close(c.queue[0].ready)
	}
}

// deliver brings a text to the peer by the best way there is: the session, a session made for it, or the pager. Its
// Message-ID is the same on every way, so that it can be tried on the next one without being shown twice.
func (c *Conversation) deliver(ctx context.Context, m *Message) error {
	for range maxSessions {
		if err := c.e.awaitServer(ctx, m, false); err != nil {
			return err
		}
		call, err := c.session(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			continue // it ended before it began
		case call == nil:
			call = c.NewIM()
			m.Call, m.Toast = call.id, true
			taken, err := call.establish(ctx, c.uri, m)
			if silent(err) && !c.e.cfg.NoRegister {
				if err := c.e.awaitServer(ctx, m, true); err != nil {
					return err
				}
				continue
			}
			return c.afterInvite(ctx, call, c.uri, m, taken, err)
		}
		m.Call = call.id
		again, err := c.inSession(ctx, call, m)
		if !again {
			return err
		}
		if c.live() == nil {
			break
		}
	}
	return c.page(ctx, c.uri, m)
}

// afterInvite goes on with a text whose INVITE to somebody has been decided.
func (c *Conversation) afterInvite(
	ctx context.Context, call *InstantMessagingCall, to sip.Uri, m *Message, taken bool, err error,
) error {
	switch {
	case taken:
		m.Status = Delivered
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		if again, err := c.inSession(ctx, call, m); !again {
			return err
		}
	case errors.Is(err, errSuperseded):
		if other := c.live(); other != nil {
			if again, err := c.inSession(ctx, other, m); !again {
				return err
			}
		}
	case final(err):
		return err
	}
	return c.page(ctx, to, m)
}

// final reports whether the answer to an INVITE says that this person does not want the text, or does not exist. After
// anything else the text can still be stored for later.
func final(err error) bool {
	switch statusOf(err) {
	case 401, 403, 404, 407, 410, 416, 484, 485, 603, 604, 607, 608:
		return true
	}
	return false
}

// inSession sends a text in a session. again says that the session is no more and the text goes another way.
func (c *Conversation) inSession(ctx context.Context, call *InstantMessagingCall, m *Message) (again bool, err error) {
	code, err := call.sendText(ctx, *m)
	switch {
	case err == nil:
		m.Status = statusOfAnswer(code)
		return false, nil
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case !sessionGone(err):
		return false, err
	}
	c.e.log.Info("session is gone, message goes another way", "call", call.id, "err", err)
	c.e.mu.Lock()
	act := call.terminateLocked("the other side does not answer any more")
	c.e.goLocked("hang up", act)
	c.e.mu.Unlock()
	if silent(err) { // is it the peer or the server that is gone?
		if err := c.e.awaitServer(ctx, m, true); err != nil {
			return false, err
		}
	}
	return true, nil
}

// statusOfAnswer tells a message that somebody has (200) from one that is stored (RFC 3428 §7: 202).
func statusOfAnswer(code int) Status {
	if code == 202 {
		return Sent
	}
	return Delivered
}

// session returns the call to send in, having accepted it or waited for it if need be; nil if there is none.
func (c *Conversation) session(ctx context.Context) (*InstantMessagingCall, error) {
	call := c.IM()
	if call == nil {
		return nil, nil
	}
	if call.State() == Incoming {
		// Typing an answer accepts. If somebody was faster the table refuses, and the state tells the rest.
		err := call.Accept(ctx)
		if kind := kindOf(err); err != nil && kind != KindState {
			return nil, err
		}
	}
	if err := call.awaitEstablished(ctx, "send"); err != nil && call.State() != Transferring {
		return nil, err
	}
	return call, nil
}

func kindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// live is the session that is Established, or nil.
func (c *Conversation) live() *InstantMessagingCall {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if im := c.imLocked(); im != nil && live(im.state) {
		return im
	}
	return nil
}
