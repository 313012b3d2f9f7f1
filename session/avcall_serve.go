package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/plaintext"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
)

// maxIncoming bounds the audio calls that ring at a time.
const maxIncoming = 8

// serveAudio is the straight line of an inbound audio call: from the INVITE to the end of the call. served is called when
// the INVITE has been looked at.
func (e *Endpoint) serveAudio(ctx context.Context, inv *sipua.Invite, in invitation, arrived time.Time, served func()) {
	replaced, err := e.replaced(inv)
	if err == nil && replaced != nil {
		in.lodging, err = e.mayReplace(ctx, inv, replaced)
	}
	if err != nil {
		served()
		e.reject(inv, statusOf(err), "")
		return
	}
	if replaced == nil {
		in.recall = e.recallOf(ctx, inv)
	}
	c := e.offeredAudio(inv, in, replaced, arrived)
	served()
	if c == nil {
		return
	}
	stop := context.AfterFunc(ctx, c.cancel)
	defer stop()
	c.serve(inv, in, replaced, arrived)
}

// offeredAudio makes the Incoming call and rings. It returns nil, and has answered, when the user is not to be disturbed or
// the call cannot be taken.
func (e *Endpoint) offeredAudio(inv *sipua.Invite, in invitation, replaced *AudioVideoCall, arrived time.Time) *AudioVideoCall {
	e.mu.Blocking()
	e.mu.Lock()
	conv := e.conversationOfLocked(in, replaced)
	quiet := e.wish.availability == availabilityDND && replaced == nil && !in.recall.comesBack()
	ringing := 0
	for _, o := range e.audioLocked() {
		if o.state == Incoming {
			ringing++
		}
	}
	if quiet || ringing >= maxIncoming {
		because := "too many at once"
		if quiet {
			because = "not to be disturbed"
		}
		conv.missCallLocked(nil, because)
		e.mu.Unlock()
		e.reject(inv, 486, "")
		return nil
	}
	c := conv.newAudioLocked(Inbound)
	c.born = arrived
	c.callID = inv.Request().CallID().Value()
	c.lodging, c.recall = in.lodging, in.recall
	if c.recall != nil {
		c.recall.own.takingLocked()
	}
	e.publishLocked(CallStateChanged{
		Call: c.id, Conversation: conv.id, Kind: c.kind, Direction: Inbound, State: Incoming,
	})
	e.mu.Unlock()
	c.learn(inv.Request())
	if err := c.prepare(in); err != nil {
		c.unsuitable(inv, err)
		return nil
	}
	if replaced == nil {
		if err := inv.Ringing(); err != nil {
			e.log.Debug("ringing could not be sent", "err", err)
		}
	}
	return c
}

// prepare opens the media and works the answer out, or the offer if the INVITE has none: a call that cannot be taken does
// not ring.
func (c *AudioVideoCall) prepare(in invitation) error {
	if err := c.open(c.ctx); err != nil {
		return err
	}
	if len(in.description) == 0 {
		return nil
	}
	_, _, err := c.description.Clone().Answer(in.description, sdp.Both)
	return err
}

// unsuitable refuses a call that cannot be taken here, so that other devices of the user may (RFC 3261 §21.4.26: 488
// rather than 606).
func (c *AudioVideoCall) unsuitable(inv *sipua.Invite, err error) {
	e := c.e
	code, reason := 488, sentence(err)
	var known *Error
	if errors.As(err, &known) { // no media at all
		code, reason = 480, known.Err.Error()
	}
	if code == 488 {
		e.reject(inv, code, "", warning(err))
	} else {
		e.reject(inv, code, "")
	}
	c.close()
	e.mu.Lock()
	defer e.mu.Unlock()
	c.noticeLocked("call refused: " + reason)
	_ = c.decideLocked(decision{input: Terminate}, why{reason: reason, sip: code})
	c.terminatedLocked()
}

// serve carries an Incoming call to its end.
func (c *AudioVideoCall) serve(inv *sipua.Invite, in invitation, replaced *AudioVideoCall, arrived time.Time) {
	var d decision
	if c.acceptAtOnce(in, replaced) {
		d = <-c.decision
	} else {
		d = c.awaitDecision(inv, arrived)
	}
	switch d.input {
	case Accept, AcceptAutomatically:
		c.giveWay()
		c.answer(inv, in, replaced)
		return
	case Decline:
		c.e.reject(inv, d.status, "")
	case Forward:
		c.redirect(inv, d.to)
	case Terminate:
		c.e.reject(inv, 480, "")
	default: // RemoteCanceled: the stack has answered 487
	}
	c.close()
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	switch d.input {
	case Decline:
		text := "call declined"
		if d.status == 603 {
			text += " everywhere"
		}
		if c.recall.comesBack() {
			text += ": it goes back to park " + c.recall.orbit
		}
		c.noticeLocked(text)
	case Forward:
		c.noticeLocked("call forwarded to " + d.to)
	case Terminate:
		if c.reason == "" { // this user hung up before there was anything to hang up
			c.noticeLocked("call declined")
		}
	default: // told by whoever decided
	}
	c.terminatedLocked()
}

// acceptAtOnce accepts a call that takes the place of another one, or that is answered by policy. The latter never
// interrupts: with another call going on it rings.
func (c *AudioVideoCall) acceptAtOnce(in invitation, replaced *AudioVideoCall) bool {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	reason := "takes the place of another call"
	if replaced == nil {
		if !e.cfg.AutoAnswer || in.manual {
			return false
		}
		for _, o := range e.audioLocked() {
			if o != c && (live(o.state) || o.state == Establishing) {
				return false
			}
		}
		reason = "answered automatically"
	}
	if in.lodging != nil {
		reason = in.lodging.sentence()
	}
	if c.state != Incoming { // ended meanwhile
		return false
	}
	c.immediate = true
	e.publishLocked(AutoAccept{Call: c.id, Conversation: c.conv.id, Immediate: true})
	return c.decideLocked(decision{input: AcceptAutomatically}, why{reason: reason}) == nil
}

// awaitDecision shows the toast and waits for the user, for the caller's CANCEL, or for the end of all patience. There is no
// election: a conversation needs somebody who speaks.
func (c *AudioVideoCall) awaitDecision(inv *sipua.Invite, arrived time.Time) decision {
	c.e.mu.Lock()
	if c.state == Incoming {
		c.showIncomingLocked(subjectOf(inv.Request()), arrived)
		c.e.audioChangedLocked(c.conv)
	}
	c.e.mu.Unlock()
	limit := time.NewTimer(time.Until(arrived.Add(maxRinging)))
	defer limit.Stop()
	look := time.NewTicker(asleepLook)
	defer look.Stop()
	sleep := c.e.newAsleep()
	canceled := inv.Canceled()
	for {
		select {
		case d := <-c.decision:
			return d
		case <-canceled:
			c.remoteCanceled(inv.CancelReason())
			canceled = nil // whatever was decided, it is in the channel now
		case <-limit.C:
			c.giveUp("nobody answered in time")
		case <-look.C:
			if sleep.was() {
				c.e.agent.Reregister()
				c.giveUp("this device was asleep")
			}
		case <-c.ctx.Done():
			c.e.mu.Lock()
			_ = c.decideLocked(decision{input: Terminate}, why{reason: "closing"})
			c.e.mu.Unlock()
			return <-c.decision
		}
	}
}

// giveUp ends an Incoming call that nobody has answered.
func (c *AudioVideoCall) giveUp(reason string) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if c.state != Incoming {
		return
	}
	c.closeToastLocked(toastMissed, "")
	c.missLocked()
	_ = c.decideLocked(decision{input: Terminate}, why{reason: reason})
}

// remoteCanceled ends an Incoming call: it was answered on another device, declined for all, or the caller gave up.
func (c *AudioVideoCall) remoteCanceled(reason sipua.Reason) {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if !c.machine.Can(c.state, RemoteCanceled) {
		return // decided here first: Answer finds out who was first on the wire
	}
	told := why{reason: "canceled"}
	switch {
	case reason.Elsewhere():
		told.reason = toastElsewhere
		c.answeredElsewhereLocked(e.answererLocked(reason, c.callID, 0))
	case reason.Protocol == "SIP" && reason.Cause == 603: // another device has declined for all (RFC 3261 §16.7)
		told.reason = toastDeclined
		c.closeToastLocked(toastDeclined, "")
		c.noticeLocked("call declined on another device")
	case c.conv.talksLocked(c): // both called at once, and the other call it is
		c.closeToastLocked(toastCanceled, "")
	default:
		c.closeToastLocked(toastMissed, "")
		c.missLocked()
	}
	_ = c.decideLocked(decision{input: RemoteCanceled}, told)
}

// talksLocked reports whether there is another call with the same peer, up or on its way there.
func (c *Conversation) talksLocked(than *AudioVideoCall) bool {
	return slices.ContainsFunc(c.audio, func(o *AudioVideoCall) bool {
		return o != than && (live(o.state) || o.active || o.dir == Outbound && o.state == Establishing)
	})
}

// giveWay cancels calls of this user to the same peer that still ring: both have called at once, and one call is enough.
func (c *AudioVideoCall) giveWay() {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	for _, o := range c.conv.audio {
		if o != c && o.dir == Outbound && o.state == Establishing {
			c.e.goLocked("hang up", o.terminateLocked("they called at the same moment"))
		}
	}
}

func (c *AudioVideoCall) answeredElsewhereLocked(by string) {
	c.closeToastLocked(toastElsewhere, by)
	if c.recall.comesBack() { // who has it is told by the end of the park
		return
	}
	text := "call answered on another device"
	if by != "" {
		text += " (" + by + ")"
	}
	c.noticeLocked(text)
}

// answer sends the 200 and, when it has been acknowledged, serves the call until its end.
func (c *AudioVideoCall) answer(inv *sipua.Invite, in invitation, replaced *AudioVideoCall) {
	dlg, err := c.accepted(inv, in, replaced)
	if err == nil {
		err = c.up(dlg, AcceptCompleted)
	}
	if err != nil {
		c.answerLost(inv, err)
		replaced.goOn()
		return
	}
	if replaced != nil {
		c.e.mu.Lock()
		reason := "another call took its place"
		if c.lodging != nil {
			reason = c.lodging.sentence()
		}
		act := replaced.terminateLocked(reason)
		c.e.goLocked("hang up", act)
		c.e.mu.Unlock()
	}
	c.run(dlg)
}

// accepted answers the INVITE and puts the agreement into force: with an offer in the INVITE before the 200 goes out, so
// that the first word is heard; without one when the ACK has brought the answer (RFC 3261 §13.2.1).
func (c *AudioVideoCall) accepted(inv *sipua.Invite, in invitation, replaced *AudioVideoCall) (*sipua.Dialog, error) {
	want := c.inherit(replaced)
	if len(in.description) > 0 {
		answer, err := c.answerOffer(in.description, want)
		if err != nil {
			e := c.e
			e.reject(inv, 488, "", warning(err))
			return nil, err
		}
		return inv.Answer(c.ctx, body.TypeSDP, answer) // RFC 3261 §13.3.1.4
	}
	c.describing.Lock()
	offer, err := c.description.Offer(want)
	c.describing.Unlock()
	if err != nil {
		return nil, err
	}
	dlg, ack, err := inv.AnswerOffer(c.ctx, body.TypeSDP, offer)
	if err != nil {
		return nil, err
	}
	if err := c.accept(ack.Body(), want); err != nil {
		if bye := dlg.Bye(context.WithoutCancel(c.ctx), ""); bye != nil {
			c.e.log.Debug("bye was not answered", "call", c.id, "err", bye)
		}
		return nil, err
	}
	return dlg, nil
}

// answerLost ends a call whose 200 came to nothing: another device was faster, or the caller gave up at this moment.
func (c *AudioVideoCall) answerLost(inv *sipua.Invite, err error) {
	c.close()
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	var end *sipua.EndError
	switch {
	case errors.As(err, &end) && end.Remote && end.Reason.Elsewhere(),
		errors.Is(err, sipua.ErrCanceled) && inv.CancelReason().Elsewhere():
		c.answeredElsewhereLocked(c.e.answererLocked(inv.CancelReason(), c.callID, 0))
	case errors.Is(err, sipua.ErrCanceled):
		c.missLocked()
	case c.state == Establishing:
		c.noticeLocked("call failed: " + because(err))
	}
	c.inputMovesLocked(AcceptFailed, why{reason: because(err), sip: statusOf(err)})
	c.terminatedLocked()
}

// subjectOf is what the caller says the call is about (RFC 3261 §20.36), or who has sent him (RFC 3892), "" if nothing.
func subjectOf(req *sip.Request) string {
	if h := req.GetHeader("Subject"); h != nil {
		return plaintext.Line(h.Value(), 128)
	}
	if h := req.GetHeader("Referred-By"); h != nil {
		_, by, _ := strings.Cut(h.Value(), "<")
		by, _, _ = strings.Cut(by, ">")
		return plaintext.Line("sent by "+by, 128)
	}
	return ""
}
