package session

import (
	"context"
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/fsm"
	"offhook/internal/plaintext"
	"offhook/park"
)

// Parking, the parker's side. The call is Transferring while it is being parked, and nothing else is done with it: nobody
// is put on hold, the sound goes on. It ends in one of two ways: the park service has the caller, who has left us with a
// BYE, and the conversation is Parked; or the call is Established as it was.

const (
	// parkGuard bounds the decision of a park service (RFC 3261 §17.1.2.2: 64*T1).
	parkGuard = 32 * time.Second
	// parkGrace is how long after the BYE of the other side the park service may take to say that it has it.
	parkGrace = 5 * time.Second
	// parkBye is how long the other side may take for its BYE, before we send one.
	parkBye = 2 * time.Second
	// parkLate is how much longer than that an outcome is heard of.
	parkLate = 3 * time.Minute
	// maxParkNote bounds a note, in bytes of 200 characters.
	maxParkNote = 800
)

// errLeft is why a call is not parked whose other side hangs up meanwhile.
var errLeft = errors.New("the other side hung up")

// parkAttempt is a call being parked.
type parkAttempt struct {
	over chan struct{} // closed when it is decided
}

// Park parks the audio call and blocks until that is done, or has failed: then the call goes on as if nothing had been.
// orbit is the number that the user would like, "" for any; note is for whoever picks the call up.
//
// If ctx ends first the call goes on, too; but what a park service was told cannot be taken back (RFC 3515 §2.4.4). If
// it parks the call all the same, that is told by ParkDone as for any other.
func (c *Conversation) Park(ctx context.Context, orbit, note string) (park.CallParkOrbit, error) {
	e := c.e
	e.mu.Blocking()
	note = plaintext.Line(note, maxParkNote)
	e.mu.Lock()
	av := c.audioLocked()
	e.mu.Unlock()
	if av == nil {
		return park.CallParkOrbit{}, refuse("park", c.peerURI(), KindState, "there is no call")
	}
	ctx, stop := e.join(ctx)
	defer stop()
	if err := av.takeTurn(ctx); err != nil {
		return park.CallParkOrbit{}, fail("park", c.peerURI(), err)
	}
	defer av.passTurn()
	strategy, err := e.strategyNow()
	if err != nil {
		return park.CallParkOrbit{}, failPark("park", c.peerURI(), err)
	}
	leg, err := av.beginParking()
	if err != nil {
		return park.CallParkOrbit{}, err
	}
	guarded, cancel := context.WithTimeoutCause(ctx, parkGuard, errParkTime)
	o, err := strategy.Park(guarded, leg, orbit, note)
	cancel()
	leg.finish(note, err != nil)
	if err != nil {
		return park.CallParkOrbit{}, av.notParked(leg, err)
	}
	av.isParked(leg, o, note)
	return o, nil
}

// CallParkOrbit is where the call of the conversation is parked; ok is false unless it is.
func (c *Conversation) CallParkOrbit() (o park.CallParkOrbit, ok bool) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.orbitLocked()
}

func (c *Conversation) orbitLocked() (park.CallParkOrbit, bool) {
	if c.parked == nil {
		return park.CallParkOrbit{}, false
	}
	return c.parked.record.Orbit, true
}

// parkObstacle says why the call cannot be parked now.
func (c *Conversation) parkObstacle() string {
	av := c.audioLocked()
	switch {
	case av == nil || av.state != Established:
		if av != nil && av.parking != nil {
			return "the call is being parked"
		}
		if c.parked != nil {
			return "the call is parked already"
		}
		return "there is no established call to park"
	case av.lodging != nil && av.lodging.parked:
		return "you are parked yourself"
	case c.e.isParkService(c.uri) && av.retrieval == nil:
		return "this is a call with the park service"
	case av.hold.here():
		return "the call is on hold: resume it first"
	case av.hold.there():
		return "you are on hold: wait until the other side is back"
	case av.group != "" || av.far.focus:
		return "a conference cannot be parked"
	case !c.e.cfg.NoRegister && c.e.registration.State != registered:
		return "not signed in"
	case !c.e.parking.service.Available:
		return c.e.parking.service.Why
	}
	return ""
}

// beginParking takes the input Transfer, if the call can be parked.
func (c *AudioVideoCall) beginParking() (*leg, error) {
	e, conv := c.e, c.conv
	e.mu.Lock()
	defer e.mu.Unlock()
	if why := conv.parkObstacle(); why != "" || conv.audioLocked() != c {
		kind := KindState
		if c.lodging != nil && c.lodging.parked {
			kind = KindDoublePark
		}
		e.askAgainLocked()
		return nil, refuse("park", conv.peer.URI, kind, "%s", why)
	}
	if outcome, err := c.inputLocked(Transfer, why{}); outcome != fsm.Moved {
		return nil, fail("park", conv.peer.URI, err)
	}
	c.parking = &parkAttempt{over: make(chan struct{})}
	return &leg{call: c, dlg: c.dialog, remote: park.Party(c.partyLocked()), supported: c.far.supported}, nil
}

// parkingOverLocked lets those go on that wait for what becomes of the call.
func (c *AudioVideoCall) parkingOverLocked() {
	if c.parking != nil { // nil: an outcome that comes late finds the call going on
		close(c.parking.over)
		c.parking = nil
	}
}

// awaitParking blocks while a call is being parked whose other side has sent BYE: either that is how it left for the park
// service, or it has hung up, and the park service is about to say which.
func (c *AudioVideoCall) awaitParking() {
	c.e.mu.Lock()
	attempt := c.parking
	c.e.mu.Unlock()
	if attempt != nil {
		<-attempt.over
	}
}

// notParked puts everything back: there is nothing to put back but the state.
func (c *AudioVideoCall) notParked(l *leg, err error) error {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	failed := failPark("park", c.conv.peer.URI, err)
	told := ParkFailed{Conversation: c.conv.id, Kind: kindOf(failed), Message: failed.Error(), SIP: statusOf(failed)}
	select {
	case <-l.dlg.Done(): // it ends as any other call
	default:
		c.inputMovesLocked(TransferFailed, why{reason: kindOf(failed).text().message, sip: told.SIP})
		c.noticeLocked("not parked, you are still talking: " + told.Message)
	}
	e.serviceFailedLocked(failed)
	e.publishLocked(told)
	c.parkingOverLocked()
	e.audioChangedLocked(c.conv)
	return failed
}

// isParked makes the conversation Parked, and ends the call: the other side does with its BYE, or we do.
func (c *AudioVideoCall) isParked(l *leg, o park.CallParkOrbit, note string) {
	e := c.e
	c.close() // the sound
	conv := c.callerConversation(l.remote)
	p := e.addPark(park.Record{
		ID: newMessageID(), Orbit: o, Caller: l.remote, ParkedBy: park.Party(e.self), Note: note,
		Conversation: conv.id, Service: addressOf(e.parking.server),
	}, conv)
	e.mu.Lock()
	defer e.mu.Unlock()
	line := "parked"
	if o.FriendlyOrbit != "" {
		line += " on " + o.FriendlyOrbit
	}
	conv.parkedLocked(p, line)
	if c.far.video {
		c.noticeLocked("only the sound is parked: whoever picks the call up has no video of it")
	}
	told := c.inputMovesLocked(TransferCompleted, why{reason: line})
	if !told {
		told = c.inputMovesLocked(Terminate, why{reason: line}) // told late: the call had gone on
	}
	if !told || conv != c.conv { // else the end of the call says it, and more
		conv.noticeLocked(line)
	}
	c.parkingOverLocked()
	e.goLocked("parked", func(ctx context.Context) {
		select {
		case <-l.dlg.Done():
		case <-time.After(parkBye):
		case <-ctx.Done():
		}
		c.hangUp(ctx, "")
	})
}

// callerConversation is the conversation with whoever is parked. A call that was picked up by a number, or a safe URI of
// somebody else's, may have begun in the conversation of that.
func (c *AudioVideoCall) callerConversation(who park.Party) *Conversation {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	var uri sip.Uri
	if c.retrieval == nil || parseAddress(who.URI, &uri) != nil || uri.User == "" || peerKey(uri) == c.conv.key {
		return c.conv
	}
	return c.e.conversationLocked(target(uri), Party(who))
}

// parkedLocked makes the conversation Parked, and tells. What is told is true already. line is the reason.
func (c *Conversation) parkedLocked(p *parkedCall, line string) {
	e := c.e
	e.mu.Held()
	if c.state == ConversationTerminated {
		p.conv = nil
	} else {
		c.parked = p
		c.inputLocked(parked, line)
	}
	e.publishLocked(ParkDone{Conversation: c.id, Orbit: p.record.Orbit, Caller: Party(p.record.Caller), Note: p.record.Note})
	e.boardLocked(e.parking.board.Mine(p.record))
	e.followParkLocked(p)
}
