package session

import (
	"context"
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/fsm"
	"offhook/internal/plaintext"
	"offhook/park"
)

// ParkJournal remembers parked calls across restarts. It is implemented by history.Store. Calls may write to disk.
type ParkJournal interface {
	// SavePark inserts a record, or replaces the one with its ID.
	SavePark(ctx context.Context, r park.Record) error
	// Parks lists records, the newest first.
	Parks(ctx context.Context, limit int) ([]park.Record, error)
}

// maxParks bounds the records that are kept in memory, of calls that are parked no more.
const maxParks = 500

// parkedCall is a call that this user has parked.
type parkedCall struct {
	// Guarded by the endpoint's mu.
	record park.Record
	conv   *Conversation      // nil once it was ended
	taking int                // calls of this endpoint that are about to have it
	news   *unparkNews        // what was told meanwhile
	usage  usage              // tells when it is over; nil until there is a subscription
	stop   context.CancelFunc // ends the subscription; nil without
	dark   bool               // the lamp of the orbit is
}

func (p *parkedCall) over() bool { return !p.record.Ended.IsZero() }

// addPark keeps a new record, in the journal before anybody is told of it.
func (e *Endpoint) addPark(r park.Record, conv *Conversation) *parkedCall {
	e.mu.Blocking()
	p := &parkedCall{record: r, conv: conv}
	e.mu.Lock()
	e.parking.parks = slices.Insert(e.parking.parks, 0, p)
	for at := len(e.parking.parks) - 1; at > 0 && len(e.parking.parks) > maxParks; at-- {
		if e.parking.parks[at].over() {
			e.parking.parks = slices.Delete(e.parking.parks, at, at+1)
		}
	}
	e.mu.Unlock()
	e.savePark(p)
	return p
}

// savePark writes a record as it is now.
func (e *Endpoint) savePark(p *parkedCall) {
	e.mu.Blocking()
	if e.cfg.Parks == nil {
		return
	}
	e.parking.saving <- struct{}{}
	defer func() { <-e.parking.saving }()
	e.mu.Lock()
	r := p.record
	r.Sent = slices.Clone(r.Sent)
	e.mu.Unlock()
	err := e.cfg.Parks.SavePark(context.WithoutCancel(e.ctx), r)
	if err != nil {
		e.log.Error("a parked call could not be recorded", "park", r, "err", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.setHealthLocked(healthParks, err != nil)
}

// saveParkLocked has a record written behind the caller.
func (e *Endpoint) saveParkLocked(p *parkedCall) {
	e.goLocked("park record", func(context.Context) { e.savePark(p) })
}

// readParks takes up what was parked before this program was started.
func (e *Endpoint) readParks(ctx context.Context) {
	e.mu.Blocking()
	if e.cfg.Parks == nil || e.parking.server.Host == "" {
		return
	}
	records, err := e.cfg.Parks.Parks(ctx, maxParks)
	if err != nil {
		e.log.Error("parked calls could not be read", "err", err)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range records {
		p := &parkedCall{record: r}
		e.parking.parks = append(e.parking.parks, p)
		if !p.over() {
			e.takeUpLocked(p)
		}
	}
}

// takeUpLocked makes the conversation of a call that is parked still.
func (e *Endpoint) takeUpLocked(p *parkedCall) {
	r := &p.record
	var uri sip.Uri
	if err := parseAddress(r.Caller.URI, &uri); err == nil {
		p.conv = e.conversationLocked(target(uri), Party(r.Caller))
		r.Conversation = p.conv.id
		if p.conv.parked == nil {
			p.conv.parked = p
			p.conv.inputLocked(parked, "parked on "+r.Orbit.FriendlyOrbit)
		}
	}
	e.boardLocked(e.parking.board.Mine(*r))
	e.followParkLocked(p)
}

// ParkHistory lists the calls that this user has parked here, the newest first.
func (e *Endpoint) ParkHistory() []park.Record {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]park.Record, len(e.parking.parks))
	for i, p := range e.parking.parks {
		all[i] = p.record
		all[i].Sent = slices.Clone(p.record.Sent)
	}
	return all
}

// ownParkLocked is the call of this user that is parked at an orbit, nil if none is.
func (e *Endpoint) ownParkLocked(orbit string) *parkedCall {
	e.mu.Held()
	for _, p := range e.parking.parks {
		if !p.over() && orbit != "" && p.record.Orbit.FriendlyOrbit == orbit {
			return p
		}
	}
	return nil
}

// parkedHereLocked is the call of a conversation that is parked, the newest of several, nil if none is.
func (e *Endpoint) parkedHereLocked(c *Conversation) *parkedCall {
	e.mu.Held()
	for _, p := range e.parking.parks {
		if p.conv == c && !p.over() {
			return p
		}
	}
	return nil
}

// parkByURILocked is the record with a safe URI, nil if there is none.
func (e *Endpoint) parkByURILocked(uri sip.Uri) *parkedCall {
	e.mu.Held()
	for _, p := range e.parking.parks {
		var safe sip.Uri
		if p.record.Orbit.SafeRetrieveURI != "" && parseAddress(p.record.Orbit.SafeRetrieveURI, &safe) == nil &&
			peerKey(safe) == peerKey(uri) {
			return p
		}
	}
	return nil
}

// SetParkNote changes the note of a call that this user has parked. Announcements from now on have it.
func (e *Endpoint) SetParkNote(orbit, note string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.ownParkLocked(orbit)
	if p == nil {
		return refuse("note", plaintext.Line(orbit, maxName), KindOrbitNotFound, "no call of yours is parked there")
	}
	p.record.Note = plaintext.Line(note, maxParkNote)
	e.boardLocked(e.parking.board.Mine(p.record))
	e.saveParkLocked(p)
	return nil
}

// unparkNews is how a park has ended.
type unparkNews struct {
	reason park.UnparkReason
	target Party // who has the call now
}

// unparkedLocked ends a park: its record, the conversation, the board, and what others were told.
func (e *Endpoint) unparkedLocked(p *parkedCall, news unparkNews) {
	e.mu.Held()
	if p.over() {
		return
	}
	r := &p.record
	r.Ended, r.Reason, r.Target = time.Now().Round(0), news.reason, park.Party(news.target)
	if p.stop != nil {
		p.stop()
	}
	waited := max(r.Ended.Sub(r.Orbit.Parked), 0)
	e.publishLocked(Unparked{
		FriendlyOrbit: r.Orbit.FriendlyOrbit, Reason: r.Reason, Target: news.target, Conversation: r.Conversation,
		Caller: Party(r.Caller), Waited: waited.Round(time.Millisecond).Seconds(),
	})
	if c := p.conv; c != nil {
		c.unparkedLocked(p, news, waited)
	}
	e.boardLocked(e.parking.board.Mine(*r))
	e.saveParkLocked(p)
	if to := recipientsOf(*r); len(to) > 0 { // whoever is just being told hears of it there
		notice := takenNotice(*r)
		e.goLocked("taken notice", func(ctx context.Context) { e.tellTaken(ctx, to, notice) })
	}
}

// unparkedLocked moves a conversation whose call is parked no more.
func (c *Conversation) unparkedLocked(p *parkedCall, news unparkNews, waited time.Duration) {
	c.noticeLocked(news.sentence(c.e.self.URI, waited))
	if c.parked != p {
		return
	}
	if c.parked = c.e.parkedHereLocked(c); c.parked != nil { // the same caller waits in another orbit as well
		c.callChangedLocked()
		return
	}
	on := gone
	switch {
	case p.taking > 0 && (news.reason == park.Retrieved || news.reason == park.Ringback):
		on = unparked // this user has it back, here
	case len(c.callsLocked()) > 0 || len(c.queue) > 0:
		on = left
	}
	to, outcome, _ := conversations.Next(c.state, on)
	if outcome != fsm.Moved {
		return
	}
	c.state = to
	c.e.publishLocked(ConversationChanged{
		Conversation: c.id, Peer: c.peer, State: to, Reason: string(news.reason), Target: news.target.URI,
	})
	if to == ConversationTerminated {
		c.forgetLocked()
		return
	}
	c.callChangedLocked()
}

// sentence says it in words for people.
func (n unparkNews) sentence(self string, waited time.Duration) string {
	after := " after " + clock(waited)
	who := park.Party(n.target).Name()
	switch n.reason {
	case park.Retrieved:
		switch {
		case n.target.URI == self:
			return "picked up by you" + after
		case who == "":
			return "picked up" + after
		}
		return "picked up by " + who + after
	case park.Ringback:
		return "came back to you" + after
	case park.Fallback:
		if who != "" {
			return "sent to the fallback number, " + who + "," + after
		}
		return "sent to the fallback number" + after
	case park.Abandoned:
		return "the caller hung up" + after
	case park.Disconnected:
		return "line lost" + after
	case park.Dropped:
		return "nobody took the call: the park service ended it" + after
	default:
		return "parked no more" + after + ", no reason was given"
	}
}
