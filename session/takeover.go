package session

import (
	"offhook/internal/sdp"
	"offhook/internal/sipua"
)

// replaced is the call that an INVITE wants to take over (RFC 3891), nil if it wants none.
func (e *Endpoint) replaced(inv *sipua.Invite) (*AudioVideoCall, error) {
	dlg, err := inv.Replaced()
	if dlg == nil || err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.audioLocked() {
		early := c.dialog == nil && c.state == Establishing && c.dir == Outbound && c.callID == dlg.ID().CallID
		if c.dialog == dlg && live(c.state) || early {
			return c, nil
		}
	}
	return nil, &sipua.StatusError{Code: 481, Reason: "Call/Transaction Does Not Exist"}
}

// inherit makes this the active call, and returns the direction it begins with: a call that takes the place of one on hold
// is on hold.
func (c *AudioVideoCall) inherit(replaced *AudioVideoCall) sdp.Direction {
	onHold := false
	if replaced != nil {
		c.e.mu.Lock()
		if onHold = replaced.hold.here(); onHold {
			c.holdLocked(hold)
			c.active, replaced.taken, replaced.next = true, true, c.goesOnLocked()
		}
		c.e.mu.Unlock()
	}
	if onHold {
		c.settle()
	} else {
		c.takePlace(replaced)
	}
	return c.want()
}

// goesOnLocked says how a call goes on whose place this one takes.
func (c *AudioVideoCall) goesOnLocked() string {
	if c.lodging != nil {
		return c.lodging.sentence()
	}
	return "it goes on with " + c.conv.peer.URI
}

// takePlace makes this the active call: others are put on hold, and the one whose place it takes is silent.
func (c *AudioVideoCall) takePlace(of *AudioVideoCall) {
	if of != nil {
		c.e.mu.Lock()
		of.taken, of.next = true, c.goesOnLocked()
		c.e.mu.Unlock()
		of.settle()
	}
	c.claim()
}

// goOn takes back that another call takes the place of this one: it did not come about. Nil is no call.
func (c *AudioVideoCall) goOn() {
	if c == nil {
		return
	}
	c.e.mu.Lock()
	was := c.taken
	c.taken = false
	alone := was && !c.hold.here() && live(c.state)
	c.e.mu.Unlock()
	if alone {
		c.claim()
		c.settle()
	}
}
