package session

import (
	"context"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sdp"
)

// RFC 3994 §3.2: when the news that somebody types ends.
const (
	composingIdle    = 15 * time.Second  // without a key press the sender is idle
	composingRefresh = 60 * time.Second  // who goes on typing says so again
	composingTold    = 90 * time.Second  // the refresh interval that is told: with time for the repetition to arrive
	composingExpires = 120 * time.Second // what a receiver assumes without a refresh interval
	composingWait    = 5 * time.Second   // for the answer, which nobody depends on
)

// composing is this user typing in a conversation.
type composing struct {
	last time.Time     // last key press; guarded by the endpoint's mu
	stop chan struct{} // closed when the user stops or sends
}

// peerTyping is the other party typing.
type peerTyping struct{ timer *time.Timer }

// Compose tells the peer that the user types, or stopped. Typing accepts a session that waits to be accepted. It does not
// wait for the network.
func (c *Conversation) Compose(active bool) {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if !active {
		c.stopComposingLocked()
		return
	}
	if im := c.imLocked(); im != nil && im.state == Incoming {
		_ = im.decideLocked(decision{input: Accept}, why{reason: "accepted by typing"})
	}
	if c.composing == nil {
		mine := &composing{last: time.Now(), stop: make(chan struct{})}
		if !e.goLocked("composing", func(ctx context.Context) { c.runComposing(ctx, mine) }) {
			return
		}
		c.composing = mine
	}
	c.composing.last = time.Now()
}

// stopComposingLocked ends the state of typing. A text that goes out says so by itself.
func (c *Conversation) stopComposingLocked() {
	c.e.mu.Held()
	if c.composing == nil {
		return
	}
	close(c.composing.stop)
	c.composing = nil
}

// runComposing tells the peer that the user types, again while it goes on, and when it has stopped.
func (c *Conversation) runComposing(ctx context.Context, mine *composing) {
	e := c.e
	c.tellComposing(ctx, true)
	told := time.Now()
	for {
		e.mu.Lock()
		idleAt := mine.last.Add(composingIdle)
		e.mu.Unlock()
		now := time.Now()
		if !now.Before(idleAt) {
			break
		}
		if again := told.Add(composingRefresh); !now.Before(again) {
			c.tellComposing(ctx, true)
			told = now
		}
		select {
		case <-mine.stop:
			e.mu.Lock()
			sends := len(c.queue) > 0
			e.mu.Unlock()
			if !sends {
				c.tellComposing(ctx, false)
			}
			return
		case <-time.After(min(time.Until(idleAt), time.Until(told.Add(composingRefresh)))):
		case <-ctx.Done():
			return
		}
	}
	e.mu.Lock()
	if c.composing == mine {
		c.composing = nil
	}
	e.mu.Unlock()
	c.tellComposing(ctx, false)
}

// tellComposing sends the news in the session, in the form that the other side understands. Without a session there is
// nobody to tell. It gives way to texts: while one is under way nothing is sent.
func (c *Conversation) tellComposing(ctx context.Context, active bool) {
	c.e.mu.Blocking()
	call := c.live()
	if call == nil {
		return
	}
	f := &call.flow
	select {
	case f.sending <- struct{}{}:
		defer f.unlock()
	default:
		return
	}
	dlg, err := call.openDialog()
	if err != nil || f.deaf {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, composingWait)
	defer cancel()
	switch {
	case sdp.Accepts(f.accepts, body.TypeIsComposing):
		news := body.IsComposing{Active: active, ContentType: body.TypeText, Refresh: composingTold}
		_, err = dlg.Do(ctx, sip.MESSAGE, body.TypeIsComposing, news.Marshal())
	case f.ocs:
		_, err = dlg.Do(ctx, sip.INFO, typeKeyboardActivity, body.MarshalKeyboardActivity(active))
	}
	if code := statusOf(err); code == 415 || code == 405 || code == 501 {
		f.deaf = true // RFC 3994 §3.4
	}
}

// peerTypesLocked notes that the other party types, until refresh has passed without a repetition.
func (c *Conversation) peerTypesLocked(active bool, refresh time.Duration) {
	c.e.mu.Held()
	if !active {
		c.peerStoppedLocked()
		return
	}
	if refresh <= 0 || refresh > time.Hour {
		refresh = composingExpires
	}
	if c.peerTypes != nil {
		c.peerTypes.timer.Reset(refresh)
		return
	}
	mine := &peerTyping{}
	mine.timer = time.AfterFunc(refresh, func() {
		c.e.mu.Lock()
		defer c.e.mu.Unlock()
		if c.peerTypes == mine {
			c.peerStoppedLocked()
		}
	})
	c.peerTypes = mine
	c.tellTypingLocked(true)
}

func (c *Conversation) peerStoppedLocked() {
	c.e.mu.Held()
	if c.peerTypes == nil {
		return
	}
	c.peerTypes.timer.Stop()
	c.peerTypes = nil
	c.tellTypingLocked(false)
}

func (c *Conversation) tellTypingLocked(active bool) {
	c.e.hub.PublishKeyed("composing "+c.id, Composing{Conversation: c.id, From: c.peer, Active: active})
}
