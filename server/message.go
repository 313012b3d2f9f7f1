package server

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
)

// messageLimit is how long the endpoints of a user may be silent about a MESSAGE before it is stored: short enough that
// the sender still waits for an answer (64*T1).
const messageLimit = 40 * sipua.T1

// proxyMessage forwards a pager message to all endpoints of a user, or keeps it for a user who is away (RFC 3428 §8).
func (s *Server) proxyMessage(ctx context.Context, req *sipua.Request, mark string) {
	arrived := time.Now()
	targets, missing := s.targets(ctx, req.Request)
	if missing != nil && !s.mayStore(req.Request, missing.code) {
		s.respond(req, missing.code, missing.reason)
		return
	}
	if missing == nil {
		r := s.try(ctx, req, targets, mark, messageLimit)
		if r.sent != 0 {
			return
		}
		if !r.nobodyThere() || !s.mayStore(req.Request, 480) || ctx.Err() != nil {
			r.finish()
			return
		}
	}
	user := userOf(&req.Recipient)
	switch err := s.store.put(storedMessage(req.Request, user, arrived)); {
	case errors.Is(err, errFull):
		s.respond(req, 480, "The Message Store Of This User Is Full")
		return
	case err != nil:
		s.log.Error("message not stored", "err", err)
		s.respond(req, 500, "The Message Could Not Be Stored")
		return
	}
	s.respond(req, 202, "Accepted")
	for _, b := range s.location.bindings(user) {
		if !b.created.Before(arrived) { // signed in meanwhile
			s.deliverStored(user)
			return
		}
	}
}

// nobodyThere reports whether no endpoint took notice of the request: none was reached, or each says that its user is
// not there. A refusal by any of them is the answer to the sender instead.
func (r *responses) nobodyThere() bool {
	if r.best == nil {
		return true
	}
	switch r.best.StatusCode {
	case 408, 430, 480, 503:
		return true
	}
	return false
}

// mayStore reports whether a message that cannot be delivered now, for the reason of that code, may wait: it is for a
// user as a whole, it is worth something later, and its sender has not said that it is not.
func (s *Server) mayStore(req *sip.Request, code int) bool {
	if code != 480 || req.Recipient.UriParams.Has("gr") || !s.isOurs(&req.Recipient) {
		return false
	}
	if seconds, given := expiresOf(req, nil); given && seconds == 0 {
		return false
	}
	h := req.ContentType()
	return h == nil || !strings.HasPrefix(strings.ToLower(h.Value()), body.TypeIsComposing)
}

// hopHeaders are the fields of a message that belong to its way and not to its content.
var hopHeaders = map[string]bool{
	"via": true, "route": true, "record-route": true, "from": true, "to": true, "call-id": true, "cseq": true,
	"max-forwards": true, "content-length": true, "authorization": true, "proxy-authorization": true,
	"proxy-require": true, "require": true, "supported": true, "allow": true, "contact": true, "user-agent": true,
	"expires": true, "date": true, "timestamp": true,
}

// storedMessage keeps what a message says: its sender, its date, its body and the fields about it, e.g. Message-ID.
func storedMessage(req *sip.Request, user string, arrived time.Time) message {
	m := message{To: user, From: req.From().Value(), Date: httpDate(arrived), Body: req.Body()}
	if from := req.From(); from.Params.Has("tag") {
		without := *from
		without.Params = from.Params.Clone()
		without.Params.Remove("tag")
		m.From = without.Value()
	}
	if h := req.GetHeader("Date"); h != nil {
		m.Date = h.Value()
	}
	if seconds, given := expiresOf(req, nil); given {
		m.Expires = arrived.Add(time.Duration(seconds) * time.Second)
	}
	for _, h := range req.Headers() {
		if !hopHeaders[sip.HeaderToLower(h.Name())] {
			m.Headers = append(m.Headers, [2]string{h.Name(), h.Value()})
		}
	}
	return m
}
