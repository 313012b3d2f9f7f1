package service

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
	"offhook/park"
	"offhook/park/line"
)

const (
	// offerWait bounds an offer of ours in a dialog: a re-INVITE that nobody answers has no other limit once it got a 100.
	offerWait = 32 * time.Second
	// maxOut bounds the requests that wait to be sent in one dialog.
	maxOut = 64
)

// leg is one dialog of the service and its media.
type leg struct {
	// Immutable
	s     *Service
	line  *line.Line
	party park.Party                     // who is at the other end of it; immutable once the leg is up
	alias park.Party                     // the same as others may see it; immutable once the leg is up
	out   chan func(ctx context.Context) // what is to be sent in the dialog, in this order

	dialog *sipua.Dialog // Set by up, under the service's mu; immutable from then on

	describing sync.Mutex
	// Guarded by describing
	description *sdp.Negotiation
	wish        sdp.Direction // what they want, as this side sees it: without Sending they hold
	shown       view          // what they were shown last

	// Guarded by the service's mu
	over        bool
	unconfirmed bool    // the 200 is under way, and its ACK
	peer        *leg    // of a bridge
	parked      *parked // who waits here
	reserved    uint64  // id of the park that somebody is about to transfer a caller to
}

// openLeg makes the media of a leg. towards is where the other side may be, not valid if nothing is known.
func (s *Service) openLeg(ctx context.Context, party park.Party, towards netip.Addr) (*leg, error) {
	l := &leg{s: s, party: party, alias: party, out: make(chan func(context.Context), maxOut), wish: sdp.Both}
	at := s.cfg.Media
	if !towards.IsValid() {
		towards, _ = netip.ParseAddr(strings.Trim(s.cfg.Proxy.Host, "[]")) // better than the way out into the world
	}
	if !at.IsValid() {
		at = sipua.LocalTowards(towards)
	}
	opened, err := line.Open(ctx, line.Config{
		Local: at, ListenPacket: s.cfg.ListenPacket, Policy: s.cfg.Policy, Logger: s.log,
		Certificate: &s.keys.certificate, Fingerprint: s.keys.fingerprint, Told: l.told,
	})
	if err != nil {
		s.log.Error("no media", "err", err)
		return nil, err
	}
	l.line, l.description = opened, sdp.NewNegotiation(opened.Local())
	return l, nil
}

// openFor makes the media of a leg to who has sent an INVITE.
func (s *Service) openFor(ctx context.Context, inv *sipua.Invite, who park.Party) (*leg, error) {
	req := inv.Request()
	l, err := s.openLeg(ctx, who, towards(req.Body(), req.Contact().Address))
	if err == nil && isPrivate(req) {
		l.alias = anonymous
	}
	return l, err
}

// told ends a leg whose media cannot be protected as agreed: the session must fail then (RFC 8643 §3).
func (l *leg) told(e media.Event) {
	if e.Kind != media.SecurityFailed {
		return
	}
	l.s.spawn(func(ctx context.Context) {
		l.s.mu.Lock()
		d := l.dialog
		l.s.mu.Unlock()
		if d != nil {
			l.s.bye(ctx, d, reason(488, "The media could not be protected"))
		}
	})
}

// close ends the media of a leg that has no dialog, or none any more.
func (l *leg) close() {
	if err := l.line.Close(); err != nil {
		l.s.log.Debug("media were not closed well", "err", err)
	}
}

// towards is where the media of a description go, or else where the first of some URIs leads that has an address: a name, as
// in a GRUU, says nothing.
func towards(description []byte, uris ...sip.Uri) netip.Addr {
	if d, err := sdp.Parse(description); err == nil && d.Addr.IsValid() {
		return d.Addr
	}
	for _, u := range uris {
		if a, err := netip.ParseAddr(strings.Trim(u.Host, "[]")); err == nil {
			return a
		}
	}
	return netip.Addr{}
}

// localFor is what this side brings to a negotiation in a view.
func (l *leg) localFor(v view) sdp.Local {
	if v.formats == nil {
		return l.line.Local()
	}
	return l.line.Restrict(v.formats)
}

// offer writes an offer.
func (l *leg) offer(v view) ([]byte, error) {
	l.describing.Lock()
	defer l.describing.Unlock()
	l.description.SetLocal(l.localFor(v))
	return l.description.Offer(v.want)
}

// rollback forgets an offer that was refused. What they see is what they have seen before.
func (l *leg) rollback() {
	l.describing.Lock()
	defer l.describing.Unlock()
	l.description.Rollback()
	l.dialog.SetContactParams(l.shown.params())
}

// accept takes the answer to our offer and puts it into force. Of their wishes it says only what the offer left open.
func (l *leg) accept(answer []byte, v view) error {
	l.describing.Lock()
	defer l.describing.Unlock()
	agreed, err := l.description.Accept(answer)
	if err != nil {
		return err
	}
	if err := l.line.Apply(agreed); err != nil {
		return err
	}
	l.wish, l.shown = l.wish&^v.want|wished(agreed)&v.want, v
	return nil
}

// wished is the direction that an agreement leaves them, an old-fashioned hold included.
func wished(a sdp.Agreement) sdp.Direction {
	if a.Silent {
		return a.Direction &^ sdp.Sending
	}
	return a.Direction
}

// offered says what an offer of theirs brings that this side knows: the formats, and the direction as this side sees it.
func (l *leg) offered(offer []byte) ([]sdp.Format, sdp.Direction, error) {
	l.describing.Lock()
	defer l.describing.Unlock()
	next := l.description.Clone()
	next.SetLocal(l.line.Local())
	_, asked, err := next.Answer(offer, sdp.Both)
	return asked.Send, wished(asked), err
}

// answerOffer answers an offer of theirs and puts it into force.
func (l *leg) answerOffer(offer []byte, v view) ([]byte, error) {
	l.describing.Lock()
	defer l.describing.Unlock()
	next := l.description.Clone()
	next.SetLocal(l.localFor(v))
	_, asked, err := next.Clone().Answer(offer, sdp.Both) // what they want, whatever the other end does
	if err != nil {
		return nil, err
	}
	answer, agreed, err := next.Answer(offer, v.want)
	if err == nil {
		err = l.line.Apply(agreed)
	}
	if err != nil {
		return nil, err
	}
	l.description, l.wish, l.shown = next, wished(asked), v
	return answer, nil
}

// formats are the codecs in use.
func (l *leg) formats() []sdp.Format {
	a, _ := l.line.Agreement()
	return a.Send
}

// view is what a leg makes its peer see.
func (l *leg) view() view {
	l.describing.Lock()
	defer l.describing.Unlock()
	return view{party: l.alias, formats: l.formats(), want: reversed(l.wish)}
}

// shows reports whether a leg sees what it should.
func (l *leg) shows(v view) bool {
	l.describing.Lock()
	defer l.describing.Unlock()
	return l.shown.party == v.party && l.shown.orbit == v.orbit && l.shown.want == v.want && isWithin(l.formats(), v.formats)
}

// propose shows a leg another view, by re-INVITE. What fails leaves the session as it was (RFC 6141 §3.1).
func (l *leg) propose(ctx context.Context, v view) error {
	ctx, cancel := context.WithTimeoutCause(ctx, offerWait, sipua.ErrTimeout)
	defer cancel()
	headers := append(l.s.headers(v), l.s.mark(l.dialog.ID().CallID))
	var taken error
	_, err := l.dialog.Propose(ctx, sipua.Offer{
		Method: sip.INVITE,
		Describe: func() (string, []byte, error) {
			offer, err := l.offer(v)
			switch {
			case err == nil:
				l.dialog.SetContactParams(v.params())
			case errors.Is(err, sdp.ErrState):
				err = sipua.ErrNotYet
			}
			return body.TypeSDP, offer, err
		},
		Refused:  l.rollback,
		Accepted: func(res *sip.Response) { taken = l.accept(res.Body(), v) },
	}, headers...)
	if err != nil {
		return err
	}
	return taken
}

// invite calls somebody and shows him a view. It returns once the leg is up; run has to follow. When it fails the leg is
// closed.
func (l *leg) invite(ctx context.Context, opt sipua.InviteOptions, v view) error {
	offer, err := l.offer(v)
	if err != nil {
		l.close()
		return err
	}
	opt.ContentType, opt.Body, opt.ContactParams = body.TypeSDP, offer, v.params()
	opt.CallID = newCallID()
	opt.Headers = append(opt.Headers, l.s.mark(opt.CallID))
	d, res, err := l.s.agent.Invite(ctx, opt)
	if err == nil {
		if who := sipua.NameAddrs(res, "P-Asserted-Identity"); len(who) > 0 { // the proxy knows whose device it is
			l.assert(l.s.partyOf(who[0]))
		}
		if isPrivate(res) {
			l.alias = anonymous
		}
		l.up(d)
		if err = l.accept(res.Body(), v); err != nil {
			l.drop(reason(488, phrases[488]))
			return err
		}
	}
	if err != nil {
		l.close()
	}
	return err
}

// drop ends a leg that is up and not run.
func (l *leg) drop(why string) {
	l.s.bye(l.s.ctx, l.dialog, why)
	l.s.ended(l)
	l.close()
}

// answer answers an INVITE and shows the caller a view. ready is called when the agreement is in force: before the 200,
// if the INVITE has an offer, so that the first word is heard; it may be nil. When answer returns without an error the leg
// is up and run has to follow; otherwise the INVITE is answered and the leg closed.
func (l *leg) answer(ctx context.Context, inv *sipua.Invite, v view, ready func() error, headers ...sip.Header) error {
	inv.Dialog().SetContactParams(v.params())
	headers = append(l.s.headers(v), headers...)
	l.unconfirmed = true // nobody else knows l yet
	l.up(inv.Dialog())   // whoever gets the 200 may tell somebody to replace it before its ACK is here
	err := l.answered(ctx, inv, v, ready, headers)
	l.s.mu.Lock()
	l.unconfirmed = false
	l.s.mu.Unlock()
	if err != nil {
		l.s.ended(l)
		l.close()
	}
	return err
}

func (l *leg) answered(ctx context.Context, inv *sipua.Invite, v view, ready func() error, headers []sip.Header) error {
	if ready == nil {
		ready = func() error { return nil }
	}
	if offer := inv.Request().Body(); len(offer) > 0 {
		answer, err := l.answerOffer(offer, v)
		if err == nil {
			err = ready()
		}
		if err != nil {
			_ = inv.Reject(488, phrases[488], warning(l.s.cfg.Domain, err))
			return err
		}
		_, err = inv.Answer(ctx, body.TypeSDP, answer, headers...)
		return err
	}
	offer, err := l.offer(v) // RFC 3261 §13.2.1: ours goes with the 200, and the ACK answers
	if err != nil {
		_ = inv.Reject(488, phrases[488], warning(l.s.cfg.Domain, err))
		return err
	}
	d, ack, err := inv.AnswerOffer(ctx, body.TypeSDP, offer, headers...)
	if err != nil {
		return err
	}
	if err = l.accept(ack.Body(), v); err == nil {
		err = ready()
	}
	if err != nil {
		l.s.bye(context.WithoutCancel(ctx), d, reason(488, phrases[488]))
	}
	return err
}

// assert notes who is at the other end for certain. A name is kept as long as it is that of the same address. The leg is not
// up yet.
func (l *leg) assert(who park.Party) {
	if who.Display == "" && who.URI == l.party.URI {
		who.Display = l.party.Display
	}
	l.party, l.alias = who, who
}

// up makes the leg findable by its dialog.
func (l *leg) up(d *sipua.Dialog) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.dialog = d
	l.s.legs[d.ID()] = l
}
