package service

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sdp"
	"offhook/internal/sipua"
)

// bridge makes two legs one call, whose media are joined already. It reports false if either is over or in another call.
func (s *Service) bridge(a, b *leg) bool {
	s.mu.Lock()
	ok := !a.over && !b.over && a.peer == nil && b.peer == nil
	if ok {
		a.peer, b.peer, a.parked, b.parked = b, a, nil, nil
	}
	s.mu.Unlock()
	if ok {
		s.follow(a)
		s.follow(b)
	}
	return ok
}

// join joins the media of two legs, whatever either heard before.
func join(a, b *leg) error {
	a.line.Part()
	b.line.Part()
	return a.line.Join(b.line)
}

// unite joins two legs and makes them one call. Where that fails both end, or one would be left that nobody can reach.
func (s *Service) unite(a, b *leg) {
	if join(a, b) == nil && s.bridge(a, b) {
		return
	}
	for _, l := range []*leg{a, b} {
		s.spawn(func(ctx context.Context) { s.bye(ctx, l.dialog, reason(480, "The call could not be joined")) })
	}
}

func (s *Service) peerOf(l *leg) *leg {
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.peer
}

// viewFor is what a leg is to see at this moment.
func (s *Service) viewFor(l *leg) view {
	s.mu.Lock()
	peer, p := l.peer, l.parked
	s.mu.Unlock()
	switch {
	case peer != nil:
		return peer.view()
	case p != nil:
		return parkedAt(p.orbit.Number, nil)
	}
	l.describing.Lock()
	defer l.describing.Unlock()
	return view{party: l.shown.party, orbit: l.shown.orbit, want: sdp.Both}
}

// followers lets the peer of a leg follow what has changed with it.
func (s *Service) followers(l *leg) {
	if peer := s.peerOf(l); peer != nil {
		s.follow(peer)
	}
}

// follow makes a leg see what its peer is, has and wants by now: hold and resume, another codec, somebody else. What it
// answers may have to be followed in turn; that ends, because codecs only become fewer by it and wishes are their own.
func (s *Service) follow(l *leg) {
	l.send(func(ctx context.Context) {
		peer := s.peerOf(l)
		if peer == nil {
			return
		}
		v := peer.view()
		if l.shows(v) {
			return
		}
		if err := l.propose(ctx, v); err != nil {
			s.log.Info("the other side of a call did not follow", "err", err)
			return
		}
		if !peer.shows(l.view()) {
			s.follow(peer)
		}
	})
}

// relay passes a request on to the other side of the bridge, with the headers that belong to its method, and the answer
// back. It is queued: the order stays, and nothing else waits for it.
func (l *leg) relay(req *sipua.Request, keep ...string) {
	peer := l.s.peerOf(l)
	if peer == nil {
		_ = req.Respond(480, phrases[480])
		return
	}
	if !peer.send(func(ctx context.Context) { peer.pass(ctx, req, keep) }) {
		_ = req.Respond(500, phrases[500], sip.NewHeader("Retry-After", "1"))
	}
}

// pass sends a relayed request in the dialog of a leg, and answers it with what comes back.
func (l *leg) pass(ctx context.Context, req *sipua.Request, keep []string) {
	var headers []sip.Header
	for _, name := range keep {
		for _, h := range req.GetHeaders(name) {
			headers = append(headers, sip.NewHeader(name, relayed(name, h.Value())))
		}
	}
	contentType := ""
	if h := req.ContentType(); h != nil {
		contentType = h.Value()
	}
	res, err := l.dialog.Do(ctx, req.Method, contentType, req.Body(), headers...)
	var status *sipua.StatusError
	switch {
	case err == nil:
		err = req.Respond(res.StatusCode, res.Reason)
	case errors.As(err, &status) && status.Code != 408 && status.Code != 481: // those would end the sender's dialog
		err = req.Respond(status.Code, status.Reason)
	default:
		err = req.Respond(480, phrases[480])
	}
	if err != nil {
		l.s.log.Debug("a relayed answer was not sent", "method", req.Method, "err", err)
	}
}

// relayed is the value of a header on the other side. The id of a REFER's event is a CSeq number, which the other side has
// never seen; without it there is one subscription in the dialog (RFC 3515 §2.4.6).
func relayed(name, value string) string {
	if name != "Event" {
		return value
	}
	parts := slices.DeleteFunc(strings.Split(value, ";"), func(p string) bool {
		key, _, _ := strings.Cut(p, "=")
		return strings.EqualFold(strings.TrimSpace(key), "id")
	})
	return strings.Join(parts, ";")
}
