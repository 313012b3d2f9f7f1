package session

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/fsm"
	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
)

// maxRinging bounds how long an audio call rings, on either side. Proxies give up after three minutes, too (RFC 3261
// §16.6, timer C).
const maxRinging = 3 * time.Minute

// AudioOptions for an outbound call.
type AudioOptions struct {
	Destination string // default: the conversation's peer
}

// Establish calls and blocks until the call is Established or has failed. Another call that is active is put on hold. If
// ctx ends first the call is canceled.
func (c *AudioVideoCall) Establish(ctx context.Context, opt AudioOptions) error {
	c.e.mu.Blocking()
	o := outgoing{to: c.conv.uri}
	if opt.Destination != "" {
		var err error
		if o.to, err = c.e.Resolve(opt.Destination); err != nil {
			return err
		}
	}
	return fail("call", c.conv.peerURI(), c.establish(ctx, o))
}

// outgoing is a call to be made.
type outgoing struct {
	to      sip.Uri
	headers []sip.Header
	rings   func()          // told of the first ringing; nil tells nobody
	instead *AudioVideoCall // takes the place of this call, which goes on until then; nil: none
}

// establish is the straight line of an outbound call up to Established.
func (c *AudioVideoCall) establish(ctx context.Context, o outgoing) error {
	e := c.e
	e.mu.Blocking()
	ctx, stop := e.join(ctx)
	defer stop()
	e.mu.Lock()
	if e.closing || !e.started || c.conv.state == ConversationTerminated {
		e.mu.Unlock()
		return errEnded
	}
	if outcome, err := c.inputLocked(Establish, why{}); outcome != fsm.Moved {
		e.mu.Unlock()
		return err
	}
	c.conv.closeMissedCallLocked(toastDismissed)
	e.mu.Unlock()

	dlg, err := c.place(ctx, o)
	if err == nil {
		err = c.up(dlg, EstablishCompleted)
	}
	if err != nil {
		c.notEstablished(err)
		o.instead.goOn()
		return err
	}
	e.mu.Lock()
	running := e.goLocked("call", func(context.Context) { c.run(dlg) })
	if !running { // Close has just begun and may have told this call to terminate
		c.inputMovesLocked(Terminate, why{reason: "closing"})
	}
	e.mu.Unlock()
	if running {
		return nil
	}
	c.hangUp(context.WithoutCancel(ctx), "")
	c.run(dlg) // ends at once
	return errClosing
}

// place sends the INVITE and puts into force what the first answer accepts.
func (c *AudioVideoCall) place(ctx context.Context, o outgoing) (*sipua.Dialog, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxRinging, errNoAnswer)
	defer cancel()
	stop := context.AfterFunc(c.ctx, cancel) // Terminate
	defer stop()
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	if o.instead == nil {
		c.quietOthers()
	}
	a, err := c.persuade(ctx, o)
	if err != nil {
		return nil, explain(err, c.e.cfg.Encryption)
	}
	if err := c.begins(a, o.instead); err != nil {
		c.bye(ctx, a.dlg)
		return nil, err
	}
	return a.dlg, nil
}

// answered is an INVITE that was accepted, with an answer that makes sense.
type answered struct {
	dlg         *sipua.Dialog
	res         *sip.Response
	description *sdp.Negotiation
	agreed      sdp.Agreement
}

// invite sends the INVITE and waits for its outcome.
func (c *AudioVideoCall) invite(ctx context.Context, o outgoing) (answered, error) {
	offer, err := c.description.Offer(sdp.Both)
	if err != nil {
		return answered{}, err
	}
	c.e.mu.Lock()
	callID := c.callID
	c.e.mu.Unlock()
	forks := &forks{call: c, offered: c.description, rings: o.rings}
	headers := append(o.headers[:len(o.headers):len(o.headers)],
		sip.NewHeader(headerConversationID, c.conv.thread), sip.NewHeader("Accept", body.TypeSDP))
	dlg, res, err := c.e.agent.Invite(ctx, sipua.InviteOptions{
		Target: target(o.to), ContentType: body.TypeSDP, Body: offer, CallID: callID, Headers: headers,
		Provisional: forks.provisional, FollowRedirects: 5,
	})
	if err != nil {
		return answered{}, err
	}
	description, agreed, err := forks.answer(res)
	if err != nil {
		c.bye(ctx, dlg)
		return answered{}, err
	}
	return answered{dlg, res, description, agreed}, nil
}

// bye ends a dialog that is of no use.
func (c *AudioVideoCall) bye(ctx context.Context, dlg *sipua.Dialog) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), byeWait)
	defer cancel()
	if err := dlg.Bye(ctx, ""); err != nil {
		c.e.log.Debug("bye was not answered", "call", c.id, "err", err)
	}
}

// begins puts the answer of the fork that was first into force.
func (c *AudioVideoCall) begins(a answered, instead *AudioVideoCall) error {
	c.learn(a.res)
	c.lodges(a.res)
	c.meet(a.res)
	c.takePlace(instead)
	c.describing.Lock()
	defer c.describing.Unlock()
	c.description, c.wire = a.description, sdp.Both
	if state := c.State(); state != Establishing {
		return errEnded
	}
	return c.apply(a.agreed, false)
}

// notEstablished ends a call that did not come about.
func (c *AudioVideoCall) notEstablished(err error) {
	c.close()
	e := c.e
	e.mu.Lock()
	defer e.mu.Unlock()
	took := "(" + clock(time.Since(c.born)) + ")"
	switch code := statusOf(err); {
	case errors.Is(err, context.Canceled):
		c.noticeLocked("call given up " + took)
		c.inputMovesLocked(EstablishFailed, why{reason: "given up"})
	case c.inputMovesLocked(EstablishFailed, why{reason: because(err), sip: code}):
		c.noticeLocked("call failed " + took + ": " + because(err))
		if tone := toneOf(code); tone != media.NoTone {
			e.tones.afterLocked(tone, busyTone)
		}
	default: // ended here
		c.noticeLocked("call given up " + took)
	}
	c.terminatedLocked()
}

// up makes the call Established with its dialog, or ends the dialog if it came too late.
func (c *AudioVideoCall) up(dlg *sipua.Dialog, on Input) error {
	c.e.mu.Lock()
	c.dialog = dlg
	c.upTime = time.Now()
	moved := c.state == Establishing && c.inputMovesLocked(on, why{})
	if moved {
		c.reason = "" // how it began is not why it ends
		c.beginsLocked()
		if c.hold.here() {
			c.e.goLocked("hold", c.tellHold)
		}
	} else {
		c.upTime = time.Time{}
	}
	c.e.audioChangedLocked(c.conv)
	c.e.mu.Unlock()
	if !moved {
		c.hangUp(context.WithoutCancel(c.ctx), "")
		return errEnded
	}
	return nil
}

// beginsLocked says in the thread how the call began.
func (c *AudioVideoCall) beginsLocked() {
	switch {
	case c.lodging != nil:
		c.lodgedLocked()
	case c.recall.comesBack(), c.retrieval != nil && c.retrieval.own != nil: // the end of the park says it
	case c.retrieval != nil && c.retrieval.orbit != "":
		c.noticeLocked("picked up from park " + c.retrieval.orbit)
	case c.dir == Inbound:
		c.noticeLocked("call answered here")
	default:
		c.noticeLocked("call answered")
	}
	c.backLocked(true)
}

// forks are the answers to an INVITE that was forked. Each To tag answers the same offer for itself (RFC 3261 §13.2.2.4).
// It belongs to the goroutine of the INVITE.
type forks struct {
	call    *AudioVideoCall
	offered *sdp.Negotiation // with our offer open
	rings   func()
	byTag   map[string]*earlyFork
	playing string // tag of the fork whose media are played
}

// earlyFork is a fork that has sent its answer before it was answered.
type earlyFork struct {
	body        []byte
	description *sdp.Negotiation
	agreed      sdp.Agreement
}

func tagOf(res *sip.Response) string {
	if to := res.To(); to != nil {
		if tag, ok := to.Params.Get("tag"); ok {
			return tag
		}
	}
	return ""
}

// provisional takes ringing and early media (RFC 3960). Of several forks with early media one is played, the first: two
// announcements at once are none.
func (f *forks) provisional(res *sip.Response) {
	c := f.call
	if len(res.Body()) > 0 {
		f.early(res)
	}
	if c.rings(res) && f.rings != nil {
		f.rings()
	}
}

func (f *forks) early(res *sip.Response) {
	tag := tagOf(res)
	if had := f.byTag[tag]; had != nil && bytes.Equal(had.body, res.Body()) {
		return // repeated
	}
	description := f.offered.Clone()
	agreed, err := description.Accept(res.Body())
	if err != nil {
		f.call.e.log.Info("an early answer makes no sense", "call", f.call.id, "err", err)
		return
	}
	if f.byTag == nil {
		f.byTag = map[string]*earlyFork{}
	}
	f.byTag[tag] = &earlyFork{res.Body(), description, agreed}
	if f.playing == "" {
		f.playing = tag
	}
	if f.playing == tag {
		f.call.playEarly(agreed)
	}
}

// playEarly lets the user hear what the other side has to say before it answers; that takes the place of our ringback.
func (c *AudioVideoCall) playEarly(agreed sdp.Agreement) {
	if err := c.apply(agreed, true); err != nil {
		c.e.log.Info("early media cannot be played", "call", c.id, "err", err)
		return
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.early = true
	c.e.tones.wakeUp()
}

// answer is what a 2xx accepts. It need not repeat what the same fork has said reliably before (RFC 3261 §13.2.1).
func (f *forks) answer(res *sip.Response) (*sdp.Negotiation, sdp.Agreement, error) {
	if had := f.byTag[tagOf(res)]; had != nil && (len(res.Body()) == 0 || bytes.Equal(had.body, res.Body())) {
		return had.description, had.agreed, nil
	}
	agreed, err := f.offered.Accept(res.Body())
	return f.offered, agreed, err
}
