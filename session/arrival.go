package session

import (
	"context"
	"time"

	"offhook/internal/body"
)

// maxArrivals is how many received Message-IDs are remembered in memory. The journal remembers all of them.
const maxArrivals = 8192

// arrivals are the messages that have been received, so that a text which comes by two ways (inside an INVITE, in the
// session, by pager, from the store) is shown once. Of a long text the beginning comes first, and then the whole: that
// is one message, too, which changes once.
type arrivals struct {
	byKey map[string]*arrival
	ring  []string // the keys in the order of their arrival, from next on
	next  int
}

// arrival is one received message.
type arrival struct {
	partial  bool          // Immutable.
	done     chan struct{} // closed when it has been tried to put it on record
	recorded bool          // Guarded by the endpoint's mu.
}

// receipt is what a message is to who receives it.
type receipt int

const (
	known     receipt = iota // it has been shown
	fresh                    // it is new
	completes                // its beginning has been shown
)

func (a *arrivals) init() { a.byKey = map[string]*arrival{} }

// claim returns the arrival of key. Unless that is known, the caller is to journal it; before is the arrival of the
// beginning of the same text, which has to be on record first, nil if there was none.
func (a *arrivals) claim(key string, partial bool) (got, before *arrival, what receipt) {
	before, had := a.byKey[key]
	if had && (partial || !before.partial) {
		return before, nil, known
	}
	switch {
	case had:
	case len(a.ring) < maxArrivals:
		a.ring = append(a.ring, key)
	default:
		delete(a.byKey, a.ring[a.next])
		a.ring[a.next] = key
		a.next = (a.next + 1) % maxArrivals
	}
	got = &arrival{partial: partial, done: make(chan struct{})}
	a.byKey[key] = got
	if had {
		return got, before, completes
	}
	return got, nil, fresh
}

// journal records an inbound message and says what it is here. It returns only when that has been done or has failed,
// also if somebody else is recording the message at this moment. With an error it is to be shown, if it is not known,
// but not acknowledged to the network: whoever has it keeps it then, and brings it again.
func (e *Endpoint) journal(ctx context.Context, m Message) (receipt, error) {
	e.mu.Blocking()
	e.mu.Lock()
	got, before, what := e.arrivals.claim(m.Peer.URI+"\n"+m.ID, m.Partial)
	e.mu.Unlock()
	if what == known {
		<-got.done
	} else {
		defer close(got.done)
	}
	if before != nil {
		<-before.done
	}
	e.mu.Lock()
	recorded := got.recorded || e.cfg.Journal == nil
	e.mu.Unlock()
	if recorded {
		return what, nil
	}
	had, err := e.cfg.Journal.Journal(ctx, m)
	e.mu.Lock()
	defer e.mu.Unlock()
	got.recorded = err == nil
	e.setHealthLocked(healthJournal, err != nil)
	if err != nil {
		e.log.Error("message could not be recorded", "err", err)
		return what, err
	}
	if had {
		return known, nil
	}
	return what, nil
}

// receivedLocked shows a message that is new.
func (c *Conversation) receivedLocked(m Message) {
	c.unread++
	c.shownLocked(m)
}

// completedLocked shows a whole text in the place of its beginning, and takes over what has become of that.
func (c *Conversation) completedLocked(m Message) {
	replace := func(old *Message) {
		if old != nil && old.ID == m.ID && old.Partial {
			m.Toast, m.Missed, m.Elsewhere, m.Time = old.Toast, old.Missed, old.Elsewhere, old.Time
			*old = m
		}
	}
	for _, im := range c.ims {
		replace(im.text)
	}
	for i := range c.missed {
		replace(&c.missed[i])
	}
	c.shownLocked(m)
}

func (c *Conversation) shownLocked(m Message) {
	c.e.mu.Held()
	c.last = time.Now()
	c.peerStoppedLocked() // RFC 3994 §3.3: the message itself says that the sender is done composing
	c.e.publishLocked(MessageChanged{m})
	c.textLocked(m)
}

// inboundLocked makes the record of a text from the peer.
func (c *Conversation) inboundLocked(id, text string, at time.Time) Message {
	return Message{
		Conversation: c.id, ID: id, Direction: Inbound, Peer: c.peer, From: c.peer, Text: text,
		ContentType: body.TypeText, Status: Delivered, Time: at,
	}
}
