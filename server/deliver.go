package server

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// deliverStored sends a user's stored messages to the endpoints that are signed in, in order, in the background. While
// that is under way another call makes it look again afterwards.
func (s *Server) deliverStored(user string) {
	if s.store.count(user) == 0 || s.ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, busy := s.delivering[user]; busy {
		s.delivering[user] = true
		return
	}
	s.delivering[user] = false
	s.work.Go(func() {
		for again := true; again; {
			s.contain("delivering", func() { s.deliverAll(user) })
			s.mu.Lock()
			if again = s.delivering[user] && s.ctx.Err() == nil; again {
				s.delivering[user] = false
			} else {
				delete(s.delivering, user)
			}
			s.mu.Unlock()
		}
	})
}

// deliverAll delivers messages until there is none left or nobody takes them. One waits for the answer to the one
// before (RFC 3428 §8).
func (s *Server) deliverAll(user string) {
	for s.ctx.Err() == nil {
		m, ok := s.store.first(user, time.Now())
		targets := s.userTargets(user)
		if !ok || len(targets) == 0 {
			return
		}
		switch code := s.deliver(m, targets); {
		case code == 0 || isTemporary(code):
			return // nobody there after all; the next registration tries again
		case code >= 300:
			s.log.Warn("stored message refused", "user", user, "code", code)
		}
		if err := s.store.remove(m); err != nil {
			s.log.Error("stored message not removed", "err", err)
			return
		}
	}
}

// isTemporary reports whether a refusal says nothing about the message itself.
func isTemporary(code int) bool {
	switch code {
	case 401, 403, 404, 407, 408, 430, 480, 481, 486, 487, 491, 600:
		return true
	}
	return code >= 500 && code < 600 && code != 513
}

// deliver sends one message to all targets and returns the best final status, as soon as one has taken it; 0 if none
// answered.
func (s *Server) deliver(m message, targets []target) int {
	events := make(chan branchEvent, 64)
	var all sync.WaitGroup
	for _, t := range targets {
		b := &branch{s: s, request: s.storedRequest(m, t), to: t.to, instance: t.instance, limit: messageLimit, cancels: make(chan string, 1)}
		all.Go(func() { b.serve(s.ctx, events) })
	}
	s.work.Go(func() {
		all.Wait()
		close(events)
	})
	var best *sip.Response
	for e := range events {
		switch res := e.response; {
		case res == nil || res.IsProvisional():
		case res.IsSuccess():
			s.work.Go(func() { // the slower endpoints finish by themselves
				for range events {
				}
			})
			return res.StatusCode
		case best == nil || better(res, best):
			best = res
		}
	}
	if best == nil {
		return 0
	}
	return best.StatusCode
}

// storedRequest makes a stored message a request again: from the same sender, with the date it was sent.
func (s *Server) storedRequest(m message, t target) *sip.Request {
	req := sip.NewRequest(sip.MESSAGE, *t.uri.Clone())
	req.AppendHeader(sip.NewHeader("From", m.From+";tag="+rand.Text()))
	to := sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: escapeUser(m.To), Host: s.cfg.Domain}}
	req.AppendHeader(&to)
	callID := sip.CallIDHeader(rand.Text())
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: sip.MESSAGE})
	hops := sip.MaxForwardsHeader(defaultHops)
	req.AppendHeader(&hops)
	req.AppendHeader(sip.NewHeader("Date", m.Date))
	if left := time.Until(m.Expires); !m.Expires.IsZero() {
		req.AppendHeader(sip.NewHeader("Expires", wholeSeconds(left)))
	}
	for _, h := range m.Headers {
		req.AppendHeader(sip.NewHeader(h[0], h[1]))
	}
	req.SetBody(m.Body)
	return req
}
