package session

import (
	"context"
	"time"

	"offhook/internal/fsm"
	"offhook/internal/sdp"
)

// holdLocked asks the hold table and tells a change.
func (c *AudioVideoCall) holdLocked(on holdInput) (moved bool) {
	c.e.mu.Held()
	to, outcome, _ := holds.Next(c.hold, on)
	if outcome != fsm.Moved {
		return false
	}
	switch here := to.here(); {
	case here && !c.hold.here():
		c.since = time.Now()
	case !here && c.hold.here():
		c.noticeLocked("call resumed after " + clock(time.Since(c.since)) + " on hold")
	}
	c.hold = to
	if to != HoldNone {
		c.quietLocked()
	}
	c.e.publishLocked(CallHold{Call: c.id, Conversation: c.conv.id, Hold: to})
	c.e.audioChangedLocked(c.conv)
	return true
}

// Hold puts the other side on hold and blocks until it has agreed. Microphone and speaker stop at once; if it refuses they
// go on and the call is as it was.
func (c *AudioVideoCall) Hold(ctx context.Context) error {
	return c.change(ctx, "hold", hold, sdp.Sending) // RFC 3264 §8.4
}

// Resume takes it off hold. Another call that is active is put on hold, unless it is in the same conference.
func (c *AudioVideoCall) Resume(ctx context.Context) error {
	return c.change(ctx, "resume", resume, sdp.Both)
}

// change proposes what this user wants now, if that is anything new, and tells it when the other side has agreed.
func (c *AudioVideoCall) change(ctx context.Context, op string, on holdInput, want sdp.Direction) error {
	c.e.mu.Blocking()
	c.e.mu.Lock()
	c.heldFor = nil // from now on it is as this user wants
	c.e.mu.Unlock()
	if err := c.takeTurn(ctx); err != nil {
		return fail(op, c.conv.peerURI(), err)
	}
	defer c.passTurn()
	s, err := c.established(op)
	if err != nil {
		return err
	}
	c.e.mu.Lock()
	needed := holds.Can(c.hold, on)
	c.e.mu.Unlock()
	if !needed {
		return nil
	}
	if on == hold {
		s.Hold(true) // before anybody has agreed
	}
	if err := c.propose(want); err != nil {
		c.settle()
		return fail(op, c.conv.peerURI(), err)
	}
	var others []*AudioVideoCall
	c.e.mu.Lock()
	c.holdLocked(on)
	if on == resume {
		others = c.claimLocked()
	}
	c.e.mu.Unlock()
	settle(others)
	c.settle()
	return nil
}

// settle makes the stream do what is said of the call. Whoever changes that calls it afterwards, so that the last one sees
// the truth.
func (c *AudioVideoCall) settle() {
	c.settling.Lock()
	defer c.settling.Unlock()
	c.e.mu.Lock()
	s, quiet := c.stream, c.hold.here() || c.taken
	c.e.mu.Unlock()
	if s != nil {
		s.Hold(quiet)
	}
}

// claim makes this the call that the user talks in: every other is put on hold, except those in the same conference. Their
// sound stops before this returns; their other sides are told behind it, and whether they agree or not is theirs.
func (c *AudioVideoCall) claim() {
	c.e.mu.Lock()
	others := c.claimLocked()
	c.e.mu.Unlock()
	settle(others)
}

// claimLocked is claim without the settling of the calls that it returns. What makes a call active and what takes that
// from the others is one step: of two calls that became active in one and then quieted each other in another, none would
// be left.
func (c *AudioVideoCall) claimLocked() (others []*AudioVideoCall) {
	c.e.mu.Held()
	c.active = true
	return c.quietOthersLocked()
}

// quietOthers puts the others on hold for a call that is about to be made.
func (c *AudioVideoCall) quietOthers() {
	c.e.mu.Lock()
	others := c.quietOthersLocked()
	c.e.mu.Unlock()
	settle(others)
}

func (c *AudioVideoCall) quietOthersLocked() (quiet []*AudioVideoCall) {
	e := c.e
	e.mu.Held()
	for _, o := range e.audioLocked() {
		joined := c.group != "" && o.group == c.group
		if o == c || joined || o.taken || !o.active {
			continue
		}
		if o.holdLocked(hold) {
			quiet = append(quiet, o)
			e.goLocked("hold", o.tellHold)
			o.heldFor = c
		} else if o.heldFor != nil && o.heldFor.upTime.IsZero() {
			o.heldFor = c // two that do not come about are one reason
		}
	}
	return quiet
}

// giveBackLocked resumes what was put on hold for this call, if nothing has come of it: a failure leaves the user in the
// call they were in. A call of which this user has decided anything since stays as it is, and so does every one if the user
// talks in another by now. What is about to be established may still need the silence.
func (c *AudioVideoCall) giveBackLocked() {
	e := c.e
	e.mu.Held()
	nothing := c.upTime.IsZero() || c.retrieval != nil && c.retrieval.stranger && c.muted
	var mine []*AudioVideoCall
	var next *AudioVideoCall
	for _, o := range e.audioLocked() {
		switch {
		case o.heldFor == c:
			mine = append(mine, o)
		case o.state == Establishing:
			next = o
		case live(o.state) && !o.hold.here() && !o.taken:
			nothing = false
		}
	}
	for _, o := range mine {
		switch {
		case !nothing || o.group != mine[0].group || o.group == "" && o != mine[0]: // one microphone has one listener
			o.heldFor = nil
		case next != nil:
			o.heldFor = next
		default:
			e.goLocked("resume", func(ctx context.Context) { o.comeBack(ctx, c) })
		}
	}
}

// comeBack resumes a call that was put on hold for another, unless it is not for that one any more that it is.
func (c *AudioVideoCall) comeBack(ctx context.Context, from *AudioVideoCall) {
	if c.takeTurn(ctx) != nil {
		return
	}
	defer c.passTurn()
	here := func() bool { return c.heldFor == from && c.state == Established && c.hold.here() }
	c.e.mu.Lock()
	wanted := here()
	c.e.mu.Unlock()
	if !wanted {
		return
	}
	err := c.agree(sdp.Both)
	var others []*AudioVideoCall
	c.e.mu.Lock()
	switch {
	case !here(): // decided anew meanwhile
		wanted = false
	case err != nil:
		c.heldFor = nil
		c.noticeLocked("still on hold: " + because(err))
	default:
		c.heldFor = nil
		c.holdLocked(resume)
		others = c.claimLocked()
	}
	c.e.mu.Unlock()
	if !wanted {
		if err := c.agree(c.want()); err != nil {
			c.e.log.Info("the other side was not told that it is on hold", "call", c.id, "err", err)
		}
	}
	settle(others)
	c.settle()
}

// agree proposes d, unless that is what the other side was told last. The caller holds the turn.
func (c *AudioVideoCall) agree(d sdp.Direction) error {
	c.describing.Lock()
	wire := c.wire
	c.describing.Unlock()
	if d == wire {
		return nil
	}
	return c.propose(d)
}

func settle(calls []*AudioVideoCall) {
	for _, c := range calls {
		c.settle()
	}
}

// tellHold tells the other side what is so here already. A call that is not Established yet tells it then.
func (c *AudioVideoCall) tellHold(ctx context.Context) {
	if c.takeTurn(ctx) != nil {
		return
	}
	defer c.passTurn()
	if _, err := c.established("hold"); err != nil {
		return
	}
	if err := c.agree(c.want()); err != nil {
		c.e.log.Info("the other side was not put on hold", "call", c.id, "err", err)
	}
}
