package session

import (
	"context"
	"time"

	"offhook/internal/body"
)

// maxArrivals is how many received Message-IDs are remembered in memory. The journal remembers all of them.
const maxArrivals = 8192

// arrivals are the messages that have been received, so that a text which comes by two ways (inside an INVITE, in the
// session, by pager, from the store) is shown once.
type arrivals struct {
	byKey map[string]*arrival
	ring  [maxArrivals]string
	next  int
}

// arrival is one received message. done is closed when it has been journaled.
type arrival struct{ done chan struct{} }

func (a *arrivals) init() { a.byKey = map[string]*arrival{} }

// claim returns the arrival of key; first is true for the caller that is to journal it.
func (a *arrivals) claim(key string) (got *arrival, first bool) {
	if got, ok := a.byKey[key]; ok {
		return got, false
	}
	delete(a.byKey, a.ring[a.next])
	a.ring[a.next] = key
	a.next = (a.next + 1) % maxArrivals
	got = &arrival{done: make(chan struct{})}
	a.byKey[key] = got
	return got, true
}

// journal records an inbound message before it is acknowledged to the network. known is true if it has been received
// before. It returns only when the message is on record, also if somebody else is recording it at this moment.
func (e *Endpoint) journal(ctx context.Context, m Message) (known bool) {
	e.mu.Blocking()
	e.mu.Lock()
	got, first := e.arrivals.claim(m.Peer.URI + "\n" + m.ID)
	e.mu.Unlock()
	if !first {
		<-got.done
		return true
	}
	defer close(got.done)
	if e.cfg.Journal == nil {
		return false
	}
	known, err := e.cfg.Journal.Journal(ctx, m)
	e.mu.Lock()
	defer e.mu.Unlock()
	// A message that cannot be recorded is shown all the same: refusing it would lose it for sure, and the user is told
	// of the condition.
	e.setHealthLocked(healthJournal, err != nil)
	if err != nil {
		e.log.Error("message could not be recorded", "err", err)
	}
	return known && err == nil
}

// receivedLocked shows a message that is new.
func (c *Conversation) receivedLocked(m Message) {
	c.e.mu.Held()
	c.unread++
	c.last = time.Now()
	c.peerStoppedLocked() // RFC 3994 §3.3: the message itself says that the sender is done composing
	c.e.publishLocked(MessageChanged{m})
}

// inboundLocked makes the record of a text from the peer.
func (c *Conversation) inboundLocked(id, text string, at time.Time) Message {
	return Message{
		Conversation: c.id, ID: id, Direction: Inbound, Peer: c.peer, From: c.peer, Text: text,
		ContentType: body.TypeText, Status: Delivered, Time: at,
	}
}
