package session

// actions are what Can knows, in the order in which changes are told, with what stands in their way; "" means nothing.
var actions = []struct {
	name     string
	obstacle func(*Conversation) string
}{
	{"send", (*Conversation).endedObstacle},
	{"end", (*Conversation).endedObstacle},
	{"transfer", (*Conversation).transferObstacle},
	{"call", (*Conversation).callObstacle},
	{"answer", onAudio(func(c *AudioVideoCall) bool { return c.state == Incoming }, "no call is coming in")},
	{"hangup", onAudio(func(c *AudioVideoCall) bool { return c.state != Terminating }, "the call is ending")},
	{"hold", onAudio(func(c *AudioVideoCall) bool { return c.state == Established && !c.hold.here() }, "there is no call to put on hold")},
	{"resume", onAudio(func(c *AudioVideoCall) bool { return c.state == Established && c.hold.here() }, "the call is not on hold")},
	{"mute", onAudio(func(c *AudioVideoCall) bool { return live(c.state) }, "the call is not established")},
	{"dtmf", onAudio(func(c *AudioVideoCall) bool { return live(c.state) && c.hold == HoldNone }, "the call is not established, or on hold")},
	{"record", onAudio(func(c *AudioVideoCall) bool { return live(c.state) }, "the call is not established")},
	{"conference", (*Conversation).conferenceObstacle},
	{"park", (*Conversation).parkObstacle},
}

// Can reports whether an action (send, call, answer, hangup, hold, resume, mute, dtmf, transfer, record, conference, park,
// end) is possible now, and if not why.
func (c *Conversation) Can(action string) (available bool, why string) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if action == "park" {
		c.e.askAgainLocked()
	}
	for _, a := range actions {
		if a.name == action {
			why = a.obstacle(c)
			return why == "", why
		}
	}
	return false, "there is no such action"
}

func (c *Conversation) endedObstacle() string {
	if c.state == ConversationTerminated {
		return "the conversation has ended"
	}
	return ""
}

func (c *Conversation) callObstacle() string {
	switch {
	case c.e.cfg.Media == nil:
		return "this endpoint has no audio"
	case c.state == ConversationTerminated:
		return "the conversation has ended"
	case c.audioLocked() != nil:
		return "there is a call already"
	}
	return ""
}

// transferObstacle is about the audio call if there is one, else about the IM session.
func (c *Conversation) transferObstacle() string {
	var subject *call
	if av := c.audioLocked(); av != nil {
		subject = &av.call
	} else if im := c.imLocked(); im != nil {
		subject = &im.call
	}
	switch {
	case subject == nil || !live(subject.state):
		return "there is no session to transfer"
	case subject.state == Transferring:
		return "a transfer is under way"
	}
	return ""
}

func (c *Conversation) conferenceObstacle() string {
	av := c.audioLocked()
	if av == nil || av.state != Established {
		return "there is no call to join"
	}
	if av.group != "" {
		return ""
	}
	for _, o := range c.e.audioLocked() {
		if o != av && o.state == Established {
			return ""
		}
	}
	return "there is no second call to join with"
}

// onAudio makes an obstacle of a condition of the conversation's audio call.
func onAudio(can func(*AudioVideoCall) bool, otherwise string) func(*Conversation) string {
	return func(c *Conversation) string {
		switch av := c.audioLocked(); {
		case av == nil:
			return "there is no call"
		case !can(av):
			return otherwise
		}
		return ""
	}
}

func (c *Conversation) obstaclesLocked() map[string]string {
	all := make(map[string]string, len(actions))
	for _, a := range actions {
		all[a.name] = a.obstacle(c)
	}
	return all
}

// tellActionsLocked publishes what has become possible in a conversation, or is no more. What it is that stands in the way
// is no news as long as something does.
func (e *Endpoint) tellActionsLocked(c *Conversation) {
	e.mu.Held()
	for _, a := range actions {
		why := a.obstacle(c)
		if told := c.obstacles[a.name]; (told == "") != (why == "") {
			e.publishLocked(ActionAvailability{Conversation: c.id, Action: a.name, Available: why == "", Why: why})
		}
		c.obstacles[a.name] = why
	}
}

// tellAllActionsLocked does so for all conversations.
func (e *Endpoint) tellAllActionsLocked() {
	e.mu.Held()
	for _, c := range e.byID {
		e.tellActionsLocked(c)
	}
}

// audioChangedLocked follows a change of an audio call: what is heard beside the calls, and what is possible with it and
// with the others.
func (e *Endpoint) audioChangedLocked(c *Conversation) {
	e.mu.Held()
	e.tones.wakeUp()
	e.tellActionsLocked(c)
	for _, o := range e.audioLocked() {
		if o.conv != c {
			e.tellActionsLocked(o.conv)
		}
	}
}
