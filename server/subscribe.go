package server

import (
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
)

// The event packages of users; lamp.go has that of call park.
const (
	eventPresence = "presence"
	eventReg      = "reg"
	userEvents    = "presence, reg"
)

// eventTypes is the content type of each package's notifications.
var eventTypes = map[string]string{
	eventPresence: body.TypePIDF, eventReg: body.TypeReginfo, eventDialog: body.TypeDialogInfo,
}

// serveSubscribe is the notifier's side of a SUBSCRIBE (RFC 6665 §4.2.1): a new subscription, a refresh, or its end.
func (s *Server) serveSubscribe(req *sipua.Request) {
	user := userOf(&req.Recipient)
	if user == parkLotUser && s.parks(user) {
		if !s.requires(req, "eventlist") {
			return
		}
	} else if !s.requires(req) {
		return
	}
	watcher, ok := s.identify(req, false)
	if !ok {
		return
	}
	event, id := eventOf(req.Request)
	inDialog := req.To().Params.Has("tag")
	if !s.knowsEvent(event) || event == eventDialog && !inDialog && !s.parks(user) {
		s.respond(req, 489, "Bad Event", sip.NewHeader("Allow-Events", s.allowEvents(user)))
		return
	}
	lifetime, ok := s.lifetime(req)
	if !ok {
		return
	}
	contact := req.Contact()
	switch {
	case contact == nil || contact.Address.Wildcard:
		s.respond(req, 400, "Missing Contact")
	case !accepts(req.Request, eventTypes[event]):
		s.respond(req, 406, "Not Acceptable", sip.NewHeader("Accept", eventTypes[event]))
	case inDialog:
		s.resubscribe(req, watcher, event, lifetime)
	default:
		s.subscribe(req, watcher, event, id, lifetime)
	}
}

// accepts reports whether the subscriber can read notifications of a type. Without an Accept field it has named the
// package's own type by naming the package.
func accepts(req *sip.Request, mime string) bool {
	any := true
	for _, h := range req.GetHeaders("Accept") {
		any = false
		for v := range strings.SplitSeq(h.Value(), ",") {
			if t := mediaType(v); t == mime || t == "*/*" || t == "application/*" {
				return true
			}
		}
	}
	return any
}

// subscribe begins a subscription.
func (s *Server) subscribe(req *sipua.Request, watcher, event, id string, lifetime time.Duration) {
	user := userOf(&req.Recipient)
	switch parks := s.parks(user); {
	case parks && s.refuseLamp(req, user, watcher, event):
		return
	case !parks && !s.isKnown(user):
		s.respond(req, 404, "No Such User")
		return
	case event == eventReg && watcher != user:
		s.respond(req, 403, "Only The User Watches Its Registrations")
		return
	}
	to, reachable := s.reach(&req.Contact().Address, req.Source())
	if !reachable {
		s.respond(req, 400, "Contact Cannot Be Reached")
		return
	}
	fromTag, _ := req.From().Params.Get("tag")
	sub := newSubscription(s.notifier)
	sub.user, sub.watcher, sub.event, sub.eventID = user, watcher, event, id
	sub.callID, sub.localTag, sub.remoteTag = string(*req.CallID()), req.Tag(), fromTag
	sub.local, sub.remote = *req.To(), *req.From()
	sub.cseq, sub.contact, sub.to = req.CSeq().SeqNo, *req.Contact().Address.Clone(), to
	sub.expires = time.Now().Add(lifetime)
	sub.list = event == eventDialog && s.isList(req.Request, user)
	for _, h := range req.GetHeaders("Record-Route") {
		sub.routes = append(sub.routes, h.(*sip.RecordRouteHeader).Address)
	}
	if !s.notifier.add(sub) {
		s.respond(req, 503, "Too Many Subscriptions", sip.NewHeader("Retry-After", "60"))
		return
	}
	s.subscribed(req, to, lifetime, sub.list)
	s.notify(sub)
}

// notify serves a subscription in the background, to its end.
func (s *Server) notify(sub *subscription) {
	s.work.Go(func() { s.contain("notifying", func() { sub.run(s.ctx) }) })
}

// resubscribe refreshes or ends a subscription. Either way its state is told once more (RFC 6665 §4.2.1.2).
func (s *Server) resubscribe(req *sipua.Request, watcher, event string, lifetime time.Duration) {
	localTag, _ := req.To().Params.Get("tag")
	remoteTag, _ := req.From().Params.Get("tag")
	key := subscriptionKey{string(*req.CallID()), localTag, remoteTag}
	to, reachable := s.reach(&req.Contact().Address, req.Source())
	list, bad := false, &refusal{400, "Contact Cannot Be Reached"}
	if reachable {
		list, bad = s.notifier.refresh(key, watcher, event, refreshed{
			cseq: req.CSeq().SeqNo, contact: *req.Contact().Address.Clone(), to: to, expires: time.Now().Add(lifetime),
		})
	}
	if bad != nil {
		s.respond(req, bad.code, bad.reason)
		return
	}
	s.subscribed(req, to, lifetime, list)
	s.notifier.poke(key)
}

// subscribed answers a SUBSCRIBE. Require tells a subscriber to a list that it gets one (RFC 4662 §4.4).
func (s *Server) subscribed(req *sipua.Request, to sipua.Target, lifetime time.Duration, list bool) {
	hs := []sip.Header{sip.NewHeader("Expires", wholeSeconds(lifetime))}
	if list {
		hs = append(hs, sip.NewHeader("Require", "eventlist"))
	}
	if here, ok := s.local(to.Network, to.Addr.Addr()); ok {
		hs = append(hs, &sip.ContactHeader{Address: here})
	}
	s.respond(req, 200, "OK", hs...)
}

// lifetime is how long what a PUBLISH or SUBSCRIBE asks for lives: 0 ends it. What is too brief is answered here (RFC
// 3903 §6, RFC 6665 §4.2.1.1), and ok is then false.
func (s *Server) lifetime(req *sipua.Request) (d time.Duration, ok bool) {
	seconds, given := expiresOf(req.Request, nil)
	if !given {
		return s.cfg.MaxExpires, true
	}
	d = time.Duration(seconds) * time.Second
	if d > 0 && d < s.cfg.MinExpires {
		s.respond(req, 423, "Interval Too Brief", sip.NewHeader("Min-Expires", wholeSeconds(s.cfg.MinExpires)))
		return 0, false
	}
	return min(d, s.cfg.MaxExpires), true
}
