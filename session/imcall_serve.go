package session

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
)

const (
	// countPatience is how long after its arrival an INVITE waits for proof that this is the user's only endpoint. It
	// spares that user a toast and ten seconds.
	countPatience = 900 * time.Millisecond
	// lostRace is how soon after an acceptance without anybody's doing a BYE "completed elsewhere" means that
	// another endpoint had accepted too.
	lostRace = 5 * time.Second
)

// serveInvite is the straight line of an inbound call: from the INVITE to the end of the session.
func (e *Endpoint) serveInvite(ctx context.Context, inv *sipua.Invite) {
	arrived := time.Now()
	end, ok := e.begin("inbound call")
	if !ok {
		e.reject(inv, 480, "")
		return
	}
	defer end()
	served := e.serving()
	in, err := readInvitation(inv.Request(), e.cfg.Media != nil)
	if err != nil {
		served()
		e.refuseInvite(inv, err)
		return
	}
	if in.audio {
		e.serveAudio(ctx, inv, in, arrived, served)
		return
	}
	c, code, reason := e.offeredCall(ctx, inv, in, arrived)
	served()
	if c == nil {
		e.reject(inv, code, reason)
		return
	}
	stop := context.AfterFunc(ctx, c.cancel)
	defer stop()
	c.serve(inv, in, arrived)
}

func (e *Endpoint) refuseInvite(inv *sipua.Invite, err error) {
	r := &refusal{code: 400, reason: "Bad Request"}
	errors.As(err, &r)
	var headers []sip.Header
	if r.accept != "" {
		headers = append(headers, sip.NewHeader("Accept", r.accept))
	}
	if r.code == 488 {
		headers = append(headers, sip.NewHeader("Warning", `399 offhook "`+r.reason+`"`)) // RFC 3261 §20.43
		r = &refusal{code: r.code}
	}
	e.reject(inv, r.code, r.reason, headers...)
}

func (e *Endpoint) reject(inv *sipua.Invite, code int, reason string, headers ...sip.Header) {
	if err := inv.Reject(code, reason, headers...); err != nil {
		e.log.Debug("invite could not be refused", "code", code, "err", err)
	}
}

// offeredCall journals the text, rings, and makes the Incoming call. It returns nil, and the status to refuse with, when
// the user is not to be disturbed or the text cannot be recorded: it is shown as missed then.
func (e *Endpoint) offeredCall(
	ctx context.Context, inv *sipua.Invite, in invitation, arrived time.Time,
) (c *InstantMessagingCall, code int, reason string) {
	e.mu.Blocking()
	e.mu.Lock()
	quiet := e.wish.availability == availabilityDND
	conv := e.conversationLocked(in.from, in.party)
	var text *Message
	if in.toast != nil {
		m := conv.inboundLocked(in.messageID, in.toast.Text, arrived)
		m.Toast, m.Partial = true, !in.whole
		text = &m
	}
	e.mu.Unlock()

	if !quiet {
		if err := inv.Ringing(); err != nil {
			e.log.Debug("ringing could not be sent", "err", err)
		}
	}
	var (
		what receipt
		err  error
	)
	if text != nil {
		what, err = e.journal(ctx, *text)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if quiet || err != nil {
		if text != nil && what != known {
			text.Missed = true
			conv.receivedLocked(*text)
			conv.missed = append(conv.missed, *text)
		}
		if err != nil {
			return nil, 480, notRecorded
		}
		return nil, 486, ""
	}
	c = conv.newIMLocked(Inbound)
	c.callID = inv.Request().CallID().Value()
	c.toast = in.toast
	c.flow.ocs = in.ocs
	e.publishLocked(CallStateChanged{
		Call: c.id, Conversation: conv.id, Kind: c.kind, Direction: Inbound, State: Incoming,
	})
	if text != nil && what != known { // what is known has its own history
		text.Call = c.id
		c.text = text
		conv.receivedLocked(*text)
	}
	return c, 0, ""
}

// serve carries an Incoming call to its end.
func (c *InstantMessagingCall) serve(inv *sipua.Invite, in invitation, arrived time.Time) {
	var d decision
	if c.acceptAtOnce(in, arrived) {
		d = <-c.decision
	} else {
		d = c.awaitDecision(inv, in, arrived)
	}
	switch d.input {
	case Accept, AcceptAutomatically:
		c.answer(inv, in)
	case Decline:
		c.e.reject(inv, d.status, "")
	case Forward:
		c.redirect(inv, d.to)
	case Terminate:
		c.e.reject(inv, 480, "")
	default: // RemoteCanceled: the stack has answered 487
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.terminatedLocked()
}

func (c *call) redirect(inv *sipua.Invite, to string) {
	var uri sip.Uri
	if err := parseAddress(to, &uri); err == nil {
		err = inv.Redirect(uri)
		if err == nil {
			return
		}
	}
	c.e.reject(inv, 480, "")
}

// acceptAtOnce accepts a call that needs neither toast nor election: this is the only endpoint, or the conversation is
// going on here already and the caller has lost its end of it, or both sides call at once.
func (c *InstantMessagingCall) acceptAtOnce(in invitation, arrived time.Time) bool {
	e := c.e
	e.mu.Blocking()
	e.mu.Lock()
	here := slices.ContainsFunc(c.conv.ims, func(o *InstantMessagingCall) bool {
		return o != c && (live(o.state) || o.state == Establishing)
	})
	e.mu.Unlock()
	if in.manual || !here && !e.certainlySole(c.ctx, arrived) {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.state != Incoming { // ended meanwhile
		return false
	}
	if !here {
		c.immediate = true
		e.publishLocked(AutoAccept{Call: c.id, Conversation: c.conv.id, Immediate: true})
	}
	return c.decideLocked(decision{input: AcceptAutomatically}, why{reason: "accepted at once"}) == nil
}

// awaitDecision shows the toast and waits for whatever comes first: the user, the caller's CANCEL, or the moment at which
// this endpoint is to accept by election.
func (c *InstantMessagingCall) awaitDecision(inv *sipua.Invite, in invitation, arrived time.Time) decision {
	window := c.e.window()
	deadline := arrived.Add(window)
	c.e.mu.Lock()
	if c.state == Incoming {
		shown := deadline
		if in.manual {
			shown = time.Time{}
		}
		c.offerLocked(arrived, shown)
	}
	c.e.mu.Unlock()

	evaluate := time.NewTimer(time.Until(deadline.Add(-min(decideBefore, window/2))))
	defer evaluate.Stop()
	look := time.NewTicker(asleepLook)
	defer look.Stop()
	sleep := c.e.newAsleep()
	var (
		place    int
		accept   <-chan time.Time
		canceled = inv.Canceled()
	)
	for {
		select {
		case d := <-c.decision:
			return d
		case <-canceled:
			c.remoteCanceled(inv.CancelReason(), arrived)
			canceled = nil // whatever was decided, it is in the channel now
		case <-evaluate.C:
			var delay time.Duration
			place, delay = c.e.place(c.callID)
			timer := time.NewTimer(time.Until(arrived.Add(delay)))
			defer timer.Stop()
			accept = timer.C
		case <-accept:
			c.windowOver(place, in.manual)
		case <-look.C:
			if sleep.was() {
				c.overslept()
			}
		case <-c.ctx.Done():
			c.e.mu.Lock()
			_ = c.decideLocked(decision{input: Terminate}, why{reason: "closing"})
			c.e.mu.Unlock()
			return <-c.decision
		}
	}
}

// window is the time that a person has to click.
func (e *Endpoint) window() time.Duration {
	if e.cfg.ToastTimeout > 0 {
		return e.cfg.ToastTimeout
	}
	return acceptWindow
}

// place computes this endpoint's rank for a call, and when it accepts, from the newest state.
func (e *Endpoint) place(callID string) (place int, delay time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	place = rank(e.cfg.Instance, e.candidatesLocked(), callID)
	return place, acceptDelay(delayInput{
		window: e.window(), rank: place, idle: e.machine.idle(time.Now()), haveDevice: e.devicesUsableLocked(),
		jitter: rand.Float64(),
	})
}

// windowOver accepts by election, if nobody has decided otherwise. AutoAcceptNeeded is this event.
func (c *InstantMessagingCall) windowOver(place int, manual bool) {
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if !c.machine.Can(c.state, AcceptAutomatically) {
		return
	}
	if manual { // RFC 5373: the caller wants a person or nobody
		c.missedLocked(toastMissed, "nobody answered in time")
		_ = c.decideLocked(decision{input: Decline, status: 403}, why{reason: "only a person may answer"})
		return
	}
	c.elected = true
	e.publishLocked(AutoAccept{Call: c.id, Conversation: c.conv.id, Elected: true, Rank: &place})
	_ = c.decideLocked(decision{input: AcceptAutomatically}, why{reason: "elected"})
}

// remoteCanceled ends an Incoming call: another device has answered, or the caller has given up.
func (c *InstantMessagingCall) remoteCanceled(reason sipua.Reason, arrived time.Time) {
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
		by := e.answererLocked(reason, c.callID, time.Since(arrived))
		c.elsewhereLocked(toastElsewhere, by, "answered on another device")
	case reason.Protocol == "SIP" && reason.Cause == 603: // another device has declined for all (RFC 3261 §16.7)
		told.reason = toastDeclined
		c.elsewhereLocked(toastDeclined, "", "")
	default:
		c.missedLocked(toastCanceled, "the sender gave up")
	}
	_ = c.decideLocked(decision{input: RemoteCanceled}, told)
}

// answer sends the 200 and, when it has been acknowledged, serves the session until its end.
func (c *InstantMessagingCall) answer(inv *sipua.Invite, in invitation) {
	e := c.e
	media := e.localMedia()
	answer, err := sdp.AnswerMessage(in.offer, media, e.self.URI)
	if err != nil {
		e.refuseInvite(inv, err)
		c.acceptFailed(err)
		return
	}
	var headers []sip.Header
	if in.toast != nil && in.whole {
		headers = append(headers, sip.NewHeader("Supported", tagTextFormat))
	}
	dlg, err := inv.Answer(c.ctx, body.TypeSDP, answer, headers...) // RFC 3261 §13.3.1.4
	if err != nil {
		c.answerLost(inv, err)
		c.acceptFailed(err)
		return
	}
	c.flow.accepts = offeredTypes(in.offer)
	if c.up(dlg, AcceptCompleted) == nil {
		c.run(dlg)
	}
}

// answerLost tells the user when a 200 came too late because another device has the conversation: the caller's CANCEL was
// faster, or its BYE for an answer that was not the first.
func (c *InstantMessagingCall) answerLost(inv *sipua.Invite, err error) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	var end *sipua.EndError
	switch {
	case errors.As(err, &end) && end.Remote && end.Reason.Elsewhere(),
		errors.Is(err, sipua.ErrCanceled) && inv.CancelReason().Elsewhere():
		c.lostRaceLocked()
	case errors.Is(err, sipua.ErrCanceled):
		c.missedLocked(toastCanceled, "the sender gave up")
	}
}

// offeredTypes is what the offerer of a session takes.
func offeredTypes(offer sdp.Session) []string {
	types, _ := sdp.AcceptedMessage(offer)
	return types
}

func (c *call) acceptFailed(err error) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.inputMovesLocked(AcceptFailed, why{reason: err.Error(), sip: statusOf(err)})
}

// up makes the call Established with its dialog, or ends the dialog if it came too late or is one too many.
func (c *InstantMessagingCall) up(dlg *sipua.Dialog, on Input) error {
	c.e.mu.Lock()
	c.dialog = dlg
	err := c.establishedLocked(on)
	c.e.mu.Unlock()
	if err != nil {
		c.hangUp(context.WithoutCancel(c.ctx), "")
	}
	return err
}
