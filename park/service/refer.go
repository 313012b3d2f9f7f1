package service

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/plaintext"
	"offhook/internal/sipua"
	"offhook/park"
)

const (
	// parkWait bounds parking: 64*T1, as long as an INVITE may take to be answered at all (RFC 3261 §17.1.1.2).
	parkWait = 64 * sipua.T1
	// maxNote bounds the note of a parker in characters.
	maxNote = 200
)

// order is what a REFER asks for.
type order struct {
	by       park.Party
	device   string // the parker's, to ring back
	wish     string // the orbit that is wished for; "" any
	note     string
	from     sip.Uri    // the same; the caller is often near it
	target   sip.Uri    // the caller's device
	caller   park.Party // as the parker knows him
	replaces sipua.Replaces
	headers  []sip.Header // Replaces and Require for the INVITE
	near     *leg         // the parker's leg, if the call is one that was picked up here; nil else
}

// serveRefer parks a call on behalf of the device that has it (RFC 5359 §2.15): the service takes the device's place in it.
// Whatever fails leaves the call as it was (RFC 3891 §3).
func (s *Service) serveRefer(ctx context.Context, req *sipua.Request) {
	ord, err := s.readOrder(req)
	var o park.Orbit
	if err == nil {
		o, err = s.lot.Reserve(time.Now(), ord.by, ord.device, ord.note, ord.wish, false)
	}
	if err != nil {
		code, phrase, headers := s.refusal(err)
		s.log.Info("parking was refused", "err", err)
		_ = req.Respond(code, phrase, headers...)
		return
	}
	n := s.openNews(ctx, req)
	defer n.close()
	var trying sync.WaitGroup
	trying.Go(func() { n.tell(ctx, body.Sipfrag{Code: 100, Reason: "Trying"}) }) // parking does not wait for who is slow to read
	outcome := s.follows(ctx, ord, o)
	trying.Wait()
	n.tell(ctx, outcome)
}

// follows does what a REFER asks for, and returns what came of it.
func (s *Service) follows(ctx context.Context, ord order, o park.Orbit) body.Sipfrag {
	p, err := s.park(ctx, ord, o)
	if err != nil {
		s.release(o.ID, ord.by)
		s.log.Info("parking failed", "orbit", o.Number, "err", err)
		return s.failed(err)
	}
	info := s.retrieveInfo(p.orbit, time.Until(p.orbit.RingBack))
	return body.Sipfrag{Code: 200, Reason: "OK", Headers: map[string][]string{"Call-Info": {info}}}
}

// readOrder reads a REFER and sees whether it may be followed. The error is a *park.Failure.
func (s *Service) readOrder(req *sipua.Request) (order, error) {
	if !s.marked(req.Request) {
		return order{}, park.ErrNotAllowed
	}
	by, user := s.sender(req.Request)
	referrer, named := s.referrer(req.Request)
	to, replaces, headers, err := readReferTo(req.Request)
	wish := userOf(req.Recipient)
	switch {
	case user == "":
		return order{}, park.ErrOutside
	case named && referrer.URI != by.URI: // RFC 3892 §6: nobody parks in the name of somebody else
		return order{}, park.ErrNotAllowed
	case wish == userPark:
		wish = ""
	case !s.isOrbit(wish):
		return order{}, park.ErrOrbitNotFound
	}
	if err != nil || req.Contact() == nil {
		return order{}, park.ErrBadRequest
	}
	device := req.Contact().Address.Clone()
	device.Headers = nil
	o := order{
		by: by, device: device.String(), from: *device, wish: wish, target: to.URI, replaces: replaces, headers: headers,
		caller: s.callerOf(to),
	}
	if h := req.GetHeader("Subject"); h != nil {
		o.note = plaintext.Line(h.Value(), maxNote)
	}
	o.near, err = s.ownLeg(replaces, by)
	return o, err
}

// readReferTo reads whom the service is to call, and whom it is to replace there (RFC 3515 §2.1, RFC 3891).
func readReferTo(req *sip.Request) (to sipua.NameAddr, r sipua.Replaces, headers []sip.Header, err error) {
	values := req.GetHeaders("Refer-To")
	if len(values) != 1 { // RFC 3515 §2.4.2
		return to, r, nil, park.ErrBadRequest
	}
	if to, err = sipua.ParseNameAddr(values[0].Value()); err != nil {
		return to, r, nil, err
	}
	method, _ := to.URI.UriParams.Get("method")
	if to.URI.Scheme != "sip" && to.URI.Scheme != "sips" || method != "" && !strings.EqualFold(method, "INVITE") {
		return to, r, nil, park.ErrBadRequest
	}
	if to.URI, headers, err = sipua.Referred(to.URI); err != nil {
		return to, r, nil, err
	}
	if len(headers) == 0 { // without Replaces the parker would go on talking to a caller who is parked
		return to, r, nil, park.ErrBadRequest
	}
	r, err = sipua.ParseReplaces(headers[0].Value())
	return to, r, headers, err
}

// callerOf is the caller as the parker names him: the address in x-identity, or else what Refer-To shows.
func (s *Service) callerOf(to sipua.NameAddr) park.Party {
	named := to
	if identity, ok := to.Params.Get("x-identity"); ok {
		if u, err := sipua.ParseURI(identity); err == nil {
			named.URI = u
		}
	}
	return s.partyOf(named)
}

// ownLeg finds the parker's leg if the call is one of this service. A caller who is parked already is not parked again.
func (s *Service) ownLeg(r sipua.Replaces, by park.Party) (*leg, error) {
	d, ok := s.agent.FindDialog(sipua.DialogID{CallID: r.CallID, LocalTag: r.ToTag, RemoteTag: r.FromTag})
	if !ok {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.legs[d.ID()]
	switch {
	case l == nil:
		return nil, park.ErrNoCall
	case l.parked != nil:
		return nil, park.ErrDoublePark
	case l.peer == nil:
		return nil, park.ErrNoCall
	case l.party.URI != by.URI:
		return nil, park.ErrNotAllowed
	}
	return l, nil
}

// park takes a caller over. The error is a *park.Failure, or what the caller's device has answered.
func (s *Service) park(ctx context.Context, ord order, o park.Orbit) (*parked, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, parkWait, park.ErrParkTimeout)
	defer cancel()
	if ord.near != nil {
		return s.repark(ctx, ord.near, o)
	}
	l, err := s.openLeg(ctx, ord.caller, towards(nil, ord.target, ord.from))
	if err != nil {
		return nil, err
	}
	l.play()
	v := parkedAt(o.Number, nil)
	headers := append(s.headers(v), ord.headers...)
	headers = append(headers, sip.NewHeader("Referred-By", "<"+ord.by.URI+">")) // RFC 3892 §2.2
	err = l.invite(ctx, sipua.InviteOptions{
		Target: ord.target, Headers: headers, From: sip.FromHeader{DisplayName: "Park " + o.Number, Address: s.uri(userPark)},
	}, v)
	if err != nil {
		return nil, err
	}
	if !s.spawn(l.run) {
		l.drop(reason(503, "The park service is closing"))
		return nil, park.ErrLotClosed
	}
	p, err := s.settle(o.ID, l)
	if err != nil {
		s.spawn(func(ctx context.Context) { s.bye(ctx, l.dialog, reason(500, err.Error())) })
		return nil, err
	}
	s.arrived(p)
	return p, nil
}

// failed is the outcome of a park that has failed: the caller's own status, or that of a failure (RFC 3515 §2.4.5).
func (s *Service) failed(err error) body.Sipfrag {
	var status *sipua.StatusError
	var failure *park.Failure
	switch {
	case errors.As(err, &status):
		return body.Sipfrag{
			Code: status.Code, Reason: status.Reason,
			Headers: map[string][]string{"Warning": {park.ErrReplaces.Warning(s.cfg.Domain)}},
		}
	case errors.As(err, &failure):
	case errors.Is(err, sipua.ErrTimeout):
		failure = park.ErrParkTimeout
	case errors.Is(err, sipua.ErrUnreachable):
		failure = park.ErrReplaces
	default:
		failure = park.ErrProcessing
	}
	return body.Sipfrag{
		Code: failure.Status, Reason: phrases[failure.Status],
		Headers: map[string][]string{"Warning": {failure.Warning(s.cfg.Domain)}},
	}
}
