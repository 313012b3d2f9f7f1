package session

import (
	"context"
	"slices"
)

// Conference joins calls, so that their other parties and this user all hear each other. What is on hold is resumed, and
// any other active call is put on hold. Calls that are in a conference already bring it along.
func (e *Endpoint) Conference(ctx context.Context, calls ...*AudioVideoCall) error {
	e.mu.Blocking()
	e.mu.Lock()
	joined, err := e.joinLocked(calls)
	e.mu.Unlock()
	if err != nil {
		return err
	}
	for _, c := range joined {
		if s, err := c.established("join"); err == nil {
			s.Conference(c.conference())
		}
	}
	for _, c := range joined {
		err := c.Resume(ctx)
		if err != nil {
			e.mu.Lock()
			c.leaveLocked()
			e.mu.Unlock()
			regroup(joined)
			return fail("join", c.conv.peerURI(), err)
		}
		c.claim()
	}
	return nil
}

// joinLocked puts calls into one conference.
func (e *Endpoint) joinLocked(calls []*AudioVideoCall) ([]*AudioVideoCall, error) {
	e.mu.Held()
	var joined []*AudioVideoCall
	group := ""
	for _, c := range calls {
		if c.e != e || c.state != Established {
			return nil, refuse("join", c.conv.peer.URI, KindState, "the call is %s", c.state)
		}
		if group == "" {
			group = c.group
		}
		for _, o := range e.audioLocked() {
			if (o == c || c.group != "" && o.group == c.group) && !slices.Contains(joined, o) {
				joined = append(joined, o)
			}
		}
	}
	if len(joined) < 2 {
		return nil, refuse("join", "", KindState, "a conference needs two calls")
	}
	if group == "" {
		group = e.nextIDLocked("conference")
	}
	for _, c := range joined {
		c.joinLocked(group)
	}
	return joined, nil
}

func (c *AudioVideoCall) joinLocked(group string) {
	if c.group == group {
		return
	}
	c.group = group
	c.e.publishLocked(CallConference{Call: c.id, Conversation: c.conv.id, Conference: group})
	c.e.audioChangedLocked(c.conv)
}

func (c *AudioVideoCall) conference() string {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.group
}

// Leave takes the call out of its conference and puts it on hold. Where one party is left, the conference is over and
// the call with it goes on.
func (c *AudioVideoCall) Leave(ctx context.Context) error {
	e := c.e
	e.mu.Blocking()
	e.mu.Lock()
	if c.group == "" {
		e.mu.Unlock()
		return refuse("leave", c.conv.peerURI(), KindState, "the call is in no conference")
	}
	members := c.membersLocked()
	c.leaveLocked()
	c.holdLocked(hold)
	e.mu.Unlock()
	c.settle()
	regroup(members)
	c.tellHold(ctx)
	return nil
}

// leaveLocked takes a call out of its conference, and ends the conference if only one other is left.
func (c *AudioVideoCall) leaveLocked() {
	if c.group == "" {
		return
	}
	members := c.membersLocked()
	c.joinLocked("")
	if len(members) == 2 {
		for _, o := range members {
			o.joinLocked("")
		}
	}
}

// membersLocked are the calls in the conference of c, itself among them; none without a conference.
func (c *AudioVideoCall) membersLocked() []*AudioVideoCall {
	return slices.DeleteFunc(c.e.audioLocked(), func(o *AudioVideoCall) bool { return c.group == "" || o.group != c.group })
}

// regroup tells the streams of calls which conference they are in now.
func regroup(calls []*AudioVideoCall) {
	for _, o := range calls {
		if s := o.media(); s != nil {
			s.Conference(o.conference())
		}
	}
}
