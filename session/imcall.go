package session

import (
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"
)

// InstantMessagingCall is an SDP-based IM session: an INVITE dialog in which MESSAGE requests go both ways.
type InstantMessagingCall struct {
	call

	flow flow // the messages of the session

	toast *ToastMessage // Guarded by e.mu. What an inbound call's INVITE carried, cleaned.
}

// newIMLocked makes a call in its first state.
func (c *Conversation) newIMLocked(dir Direction) *InstantMessagingCall {
	im := &InstantMessagingCall{}
	im.initLocked(im, c, kindIM, dir)
	im.flow.init()
	c.ims = append(c.ims, im)
	return im
}

// Toast is what an inbound call's INVITE carried.
func (c *InstantMessagingCall) Toast() (ToastMessage, bool) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if c.toast == nil {
		return ToastMessage{}, false
	}
	return *c.toast, true
}

// IsImmediateAutoAcceptNeeded reports whether this endpoint is certainly the only one that the call was offered to. It
// is then accepted at once; no toast is shown and no election held.
func (c *InstantMessagingCall) IsImmediateAutoAcceptNeeded() bool {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.immediate
}

// endedLocked forgets a Terminated call.
func (c *InstantMessagingCall) endedLocked() {
	c.conv.ims = slices.DeleteFunc(c.conv.ims, func(o *InstantMessagingCall) bool { return o == c })
}

// establishedLocked makes the call Established with its dialog, unless it has been terminated or the conversation keeps
// another session: there is at most one. superseded calls are ended here.
func (c *InstantMessagingCall) establishedLocked(on Input) error {
	c.e.mu.Held()
	if c.state != Establishing {
		return errEnded
	}
	for _, o := range c.conv.ims {
		if o == c || !live(o.state) {
			continue
		}
		if o.keptBefore(c) {
			c.inputMovesLocked(Terminate, why{reason: errSuperseded.Error()})
			return errSuperseded
		}
		act := o.terminateLocked(errSuperseded.Error())
		c.e.goLocked("hang up", act)
	}
	c.upTime = time.Now()
	c.inputMovesLocked(on, why{})
	return nil
}

// glareWindow is how close in time two sessions that both sides have made count as made at once.
const glareWindow = 5 * time.Second

// keptBefore decides between an Established session c and a new one. Usually the new one stays: the other side made it
// because it has lost the old one. But when both sides called at once, both see both sessions, and both keep the one
// with the smaller Call-ID. Which of the two was there first cannot decide: the network shows it differently at each end.
func (c *InstantMessagingCall) keptBefore(n *InstantMessagingCall) bool {
	atOnce := c.dir != n.dir && n.born.Sub(c.upTime) < glareWindow
	return atOnce && c.callID < n.callID
}

// supports reports whether a message's Supported headers list an option tag, or one beginning with it for "ms-*".
func supports(msg interface{ GetHeaders(string) []sip.Header }, match func(tag string) bool) bool {
	for _, h := range msg.GetHeaders("Supported") {
		for _, tag := range splitTokens(h.Value()) {
			if match(tag) {
				return true
			}
		}
	}
	return false
}
