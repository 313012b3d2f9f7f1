package session

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"offhook/internal/plaintext"
	"offhook/park"
)

// maxBroadcast bounds the recipients of an announcement, and broadcastAtOnce those it is sent to at a time.
const (
	maxBroadcast    = 100
	broadcastAtOnce = 8
)

// Announcement is the text by which others are told of a parked call. People read it, and clients like this one offer to
// pick the call up.
func (e *Endpoint) Announcement(orbit string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a, _, err := e.announcementLocked(orbit)
	if err != nil {
		return "", err
	}
	return a.String(), nil
}

func (e *Endpoint) announcementLocked(orbit string) (park.Announcement, *parkedCall, error) {
	e.boardLocked(e.parking.board.Expire(time.Now()))
	orbit = strings.TrimSpace(orbit)
	row, ok := e.parking.board.Row(orbit)
	if !ok {
		return park.Announcement{}, nil, refuse("broadcast", plaintext.Line(orbit, maxName), KindOrbitNotFound, "no call is known to be parked there")
	}
	a := park.Announcement{Orbit: row.Orbit, Caller: park.Party(e.knownLocked(Party(row.Caller))), Note: row.Note}
	if left := time.Until(row.RingBack); left > 0 {
		a.Within = left
	}
	own := e.ownParkLocked(row.Orbit)
	if own != nil && row.Caller.URI != "" && !park.SameParty(own.record.Caller, row.Caller) {
		own = nil // that one is gone, which will be told in a moment
	}
	return a, own, nil
}

// Broadcast tells others of a parked call, each in the conversation with that one, and blocks until it is known what has
// become of every text. The error is about the whole; what failed with one recipient is in its status. Whoever has been
// told of a call of this user is told, too, when it is taken.
func (e *Endpoint) Broadcast(ctx context.Context, orbit string, to []string, text string) ([]park.Recipient, error) {
	e.mu.Blocking()
	e.mu.Lock()
	a, own, err := e.announcementLocked(orbit)
	e.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(text) == "" {
		text = a.String()
	}
	people, err := e.recipients(to)
	switch {
	case err != nil:
		return nil, err
	case len(people) == 0:
		return nil, refuse("broadcast", "", KindConfig, "nobody is named")
	case len(people) > maxBroadcast:
		return nil, refuse("broadcast", "", KindConfig, "%d are too many: %d at most", len(people), maxBroadcast)
	}
	return e.sendAll(people, func(c *Conversation) park.Recipient {
		r := e.announce(ctx, c, own, text)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.publishLocked(BroadcastChanged{Orbit: a.Orbit, Recipient: r})
		return r
	}), nil
}

// announce tells one of a parked call. While others were told it may have been taken: then nobody else is told, and who
// was just being told hears that, too.
func (e *Endpoint) announce(ctx context.Context, c *Conversation, own *parkedCall, text string) park.Recipient {
	e.mu.Blocking()
	e.mu.Lock()
	late := own != nil && own.over()
	e.mu.Unlock()
	if late {
		return park.Recipient{URI: c.peerURI(), Status: string(Failed), Error: "not told: the call is not parked any more"}
	}
	r := c.tell(ctx, text)
	if own == nil {
		return r
	}
	e.mu.Lock()
	own.sentLocked(r)
	e.saveParkLocked(own)
	late = own.over() && r.Status != string(Failed)
	record := own.record
	e.mu.Unlock()
	if late {
		c.tell(ctx, takenNotice(record))
	}
	return r
}

// tell sends a text and says what has become of it.
func (c *Conversation) tell(ctx context.Context, text string) park.Recipient {
	m, err := c.Send(ctx, text)
	r := park.Recipient{URI: c.peerURI(), Status: string(m.Status)}
	if err != nil {
		r.Status, r.Error = string(Failed), err.Error()
	}
	return r
}

// recipients finds the conversations of those named, each once, and not this user's own.
func (e *Endpoint) recipients(to []string) ([]*Conversation, error) {
	var people []*Conversation
	for _, name := range to {
		c, err := e.Conversation(name)
		if err != nil {
			return nil, err
		}
		if c.key != peerKey(e.aor) && !slices.Contains(people, c) {
			people = append(people, c)
		}
	}
	return people, nil
}

// sendAll sends to all, some at a time.
func (e *Endpoint) sendAll(people []*Conversation, send func(*Conversation) park.Recipient) []park.Recipient {
	all := make([]park.Recipient, len(people))
	places := make(chan struct{}, broadcastAtOnce)
	var sending sync.WaitGroup
	for i, c := range people {
		places <- struct{}{}
		sending.Go(func() {
			defer func() { <-places }()
			all[i] = send(c)
		})
	}
	sending.Wait()
	return all
}

// sentLocked notes in the record what has become of an announcement.
func (p *parkedCall) sentLocked(r park.Recipient) {
	if at := slices.IndexFunc(p.record.Sent, func(o park.Recipient) bool { return o.URI == r.URI }); at >= 0 {
		p.record.Sent[at] = r
		return
	}
	p.record.Sent = append(p.record.Sent, r)
}

// tellTaken tells all who know of a parked call that it waits no more.
func (e *Endpoint) tellTaken(ctx context.Context, to []string, notice string) {
	e.mu.Blocking()
	people, err := e.recipients(to)
	if err != nil {
		e.log.Debug("nobody is told that a call was taken", "err", err)
		return
	}
	e.sendAll(people, func(c *Conversation) park.Recipient { return c.tell(ctx, notice) })
}

// takenNotice is the text by which those who were told of a parked call are told how that has ended.
func takenNotice(r park.Record) string {
	return park.TakenNotice{
		Orbit: r.Orbit.FriendlyOrbit, By: r.Target, After: r.Ended.Sub(r.Orbit.Parked), Reason: r.Reason,
	}.String()
}

// recipientsOf are those that have been told of an orbit.
func recipientsOf(r park.Record) []string {
	var all []string
	for _, to := range r.Sent {
		if to.Status != string(Failed) && !slices.Contains(all, to.URI) {
			all = append(all, to.URI)
		}
	}
	return all
}
