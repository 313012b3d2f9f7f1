package server

import (
	"context"
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// defaultHops is the Max-Forwards of a request that came without (RFC 3261 §16.6 step 3).
const defaultHops = 70

// maxActive bounds the requests of one user that are forwarded and not yet answered.
const maxActive = 1024

// target is one place to forward a request to: its next Request-URI and the way there.
type target struct {
	uri      sip.Uri
	to       sipua.Target
	instance string // of the endpoint, "" if it is not known
	user     string // who has signed in with it, "" if it is not known
}

// proxy forwards a request and its responses (RFC 3261 §16). mark is its loopMark. inDialog tells that it belongs to a
// dialog that was let through before.
func (s *Server) proxy(ctx context.Context, req *sipua.Request, mark string, inDialog bool) {
	if !s.validate(req, mark) {
		return
	}
	sender, find := "", s.targets
	if !inDialog {
		var ok bool
		if sender, find, ok = s.admitted(req); !ok {
			return
		}
		if !s.begin(sender) {
			s.respond(req, 503, "Too Many Requests Under Way", sip.NewHeader("Retry-After", "5"))
			return
		}
		defer s.end(sender)
	}
	stripCredentials(req.Request, s.cfg.Domain)
	if req.Method == sip.INVITE {
		s.respond(req, 100, "Trying")
	}
	if req.Method == sip.MESSAGE && !inDialog && !req.To().Params.Has("tag") && !s.parks(userOf(&req.Recipient)) {
		s.vouch(req, sender, nil)
		s.proxyMessage(ctx, req, mark)
		return
	}
	targets, missing := find(ctx, req.Request)
	if missing != nil {
		s.respond(req, missing.code, missing.reason)
		return
	}
	if inDialog {
		s.noteReferral(req, targets)
	} else if s.parks(userOf(&req.Recipient)) {
		s.sayReferrer(req, sender)
	}
	s.vouch(req, sender, targets)
	s.fork(ctx, req, targets, mark, 0)
}

// finder determines where a request goes.
type finder func(ctx context.Context, req *sip.Request) ([]target, *refusal)

// admitted finds out who sends a request that begins something, and whether this server relays it. If ok is false it has
// been answered.
func (s *Server) admitted(req *sipua.Request) (sender string, find finder, ok bool) {
	ours := s.isOurs(&req.Recipient) && req.Route() == nil
	if !ours && req.To().Params.Has("tag") {
		s.refuse(req, 481, "This Dialog Did Not Begin Here") // its Route lacks our mark
		return "", nil, false
	}
	if sender, ok = s.identify(req, true); !ok { // RFC 3261 §16.3 step 6
		return "", nil, false
	}
	switch {
	case s.park != nil && sender == parkUser && req.Route() == nil: // without call park that is a user like others
		return sender, s.parkCalls, true
	case ours:
		return sender, s.targets, true
	}
	s.refuse(req, 403, "This Server Relays For Its Own Users Only")
	return "", nil, false
}

// begin counts a request of a user that is under way; false if there are too many already.
func (s *Server) begin(sender string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active[sender] >= maxActive {
		return false
	}
	s.active[sender]++
	return true
}

// end is the end of a request that was counted.
func (s *Server) end(sender string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active[sender]--; s.active[sender] <= 0 {
		delete(s.active, sender)
	}
}

// validate checks a request before anything is done for it (RFC 3261 §16.3).
func (s *Server) validate(req *sipua.Request, mark string) bool {
	hops := req.MaxForwards()
	switch {
	case hops != nil && hops.Val() == 0: // step 3
		s.refuse(req, 483, "Too Many Hops")
		return false
	case s.isLoop(req.Request, mark): // step 4
		s.refuse(req, 482, "Loop Detected")
		return false
	}
	if unknown := unsupported(req.Request, "Proxy-Require"); len(unknown) > 0 { // step 5
		s.badExtension(req, unknown)
		return false
	}
	return true
}

func (s *Server) badExtension(req *sipua.Request, unknown []string) {
	s.refuse(req, 420, "Bad Extension", sip.NewHeader("Unsupported", strings.Join(unknown, ", ")))
}

// stripCredentials removes what was meant for this proxy (RFC 3261 §22.3): nobody behind it needs to see it.
func stripCredentials(req *sip.Request, realm string) {
	var keep []sip.Header
	for _, h := range req.GetHeaders("Proxy-Authorization") {
		if !strings.Contains(h.Value(), `realm="`+sipua.QuoteText(realm)+`"`) {
			keep = append(keep, h)
		}
	}
	for req.RemoveHeader("Proxy-Authorization") {
	}
	for _, h := range keep {
		req.AppendHeader(h)
	}
}

// targets determines where a request goes (RFC 3261 §16.5): to all endpoints of a user of ours at once, to the one
// endpoint that a GRUU names, or, inside a dialog, to the next Route or the endpoint in the Request-URI.
func (s *Server) targets(ctx context.Context, req *sip.Request) ([]target, *refusal) {
	if route := req.Route(); route != nil {
		return s.located(ctx, req.Recipient, route.Address)
	}
	if !s.isOurs(&req.Recipient) {
		if b := s.location.byContact(&req.Recipient); b != nil {
			if t, ok := s.bindingTarget(b); ok {
				return []target{t}, nil
			}
		}
		return s.located(ctx, req.Recipient, req.Recipient)
	}
	user := userOf(&req.Recipient)
	if s.parks(user) {
		return s.parkTargets(req.Recipient)
	}
	if b, isGRUU := s.resolveGRUU(&req.Recipient); isGRUU {
		if b != nil {
			if t, ok := s.bindingTarget(b); ok {
				return []target{t}, nil
			}
			return nil, &refusal{430, "Flow Failed"} // RFC 5626 §5.3
		}
		if s.isKnown(user) || strings.HasPrefix(user, tempPrefix) {
			return nil, &refusal{480, "This Endpoint Is Not Signed In"}
		}
		return nil, &refusal{404, "No Such User"}
	}
	targets := s.userTargets(user)
	switch {
	case len(targets) > 0:
		return targets, nil
	case s.isKnown(user):
		return nil, &refusal{480, "Not Signed In"}
	}
	return nil, &refusal{404, "No Such User"}
}

// userTargets are the endpoints of a user that can be reached.
func (s *Server) userTargets(user string) []target {
	var targets []target
	for _, b := range s.location.bindings(user) {
		if t, ok := s.bindingTarget(b); ok {
			targets = append(targets, t)
		}
	}
	return targets
}

func (s *Server) bindingTarget(b *binding) (target, bool) {
	to, ok := s.reach(&b.contact.Address, b.source)
	return target{uri: b.contact.Address, to: to, instance: b.instance, user: b.user}, ok
}

// located looks the next hop up.
func (s *Server) located(ctx context.Context, uri, next sip.Uri) ([]target, *refusal) {
	found, err := s.stack.Locate(ctx, next)
	if err != nil || len(found) == 0 {
		s.log.Info("next hop not found", "uri", next.String(), "err", err)
		return nil, &refusal{480, "The Next Hop Cannot Be Found"}
	}
	return []target{{uri: uri, to: found[0]}}, nil
}

// forwarded prepares the copy of a request for one target (RFC 3261 §16.6).
func (s *Server) forwarded(req *sip.Request, t target, source sipua.Target, mark string) *sip.Request {
	out := sipua.CloneRequest(req)
	out.Recipient = *t.uri.Clone() // step 2
	out.Recipient.Headers = nil
	hops := sip.MaxForwardsHeader(defaultHops)
	if h := req.MaxForwards(); h != nil {
		hops = sip.MaxForwardsHeader(h.Val() - 1) // step 3
		out.ReplaceHeader(&hops)
	} else {
		out.AppendHeader(&hops)
	}
	if formsDialog(req) {
		s.recordRoute(out, source, t.to)
	}
	if route := out.Route(); route != nil && !route.Address.UriParams.Has("lr") { // step 6: the next hop is a strict router
		out.AppendHeader(&sip.RouteHeader{Address: out.Recipient})
		out.Recipient = *route.Address.Clone()
		out.RemoveHeader("Route")
	}
	out.PrependHeader(&sip.ViaHeader{Params: sip.HeaderParams{{K: "branch", V: s.newBranch(mark)}}}) // step 8
	return out
}

// formsDialog reports whether a request may begin a dialog, whose later requests should come this way too.
func formsDialog(req *sip.Request) bool {
	if req.To().Params.Has("tag") {
		return false
	}
	switch req.Method {
	case sip.INVITE, sip.SUBSCRIBE, sip.REFER:
		return true
	}
	return false
}

// forwardACK passes on the ACK of a 2xx, which belongs to no transaction (RFC 3261 §16.6 and §17.1.1.3). It is never
// answered.
func (s *Server) forwardACK(ctx context.Context, req *sipua.Request, inDialog bool) {
	hops := req.MaxForwards()
	if !inDialog || hops != nil && hops.Val() == 0 {
		return
	}
	targets, missing := s.targets(ctx, req.Request)
	if missing != nil || len(targets) != 1 {
		return
	}
	s.vouch(req, "", targets)
	out := s.forwarded(req.Request, targets[0], req.Source(), s.loopMark(req.Request))
	if err := s.stack.Write(ctx, out, targets[0].to); err != nil {
		s.log.Debug("ACK not forwarded", "to", targets[0].to, "err", err)
	}
}

// forwardStray passes on a 2xx whose transaction is over: the repetition of one that was forwarded, or that of another
// branch, which came late (RFC 3261 §16.7). The branch must be one of ours.
func (s *Server) forwardStray(_ context.Context, res *sip.Response) {
	s.contain("forwarding", func() {
		if _, ours := s.ownBranch(res.Via()); ours && removeOwnVia(res) {
			if at, err := netip.ParseAddrPort(res.Source()); err != nil || !s.isPark(sipua.Target{Network: strings.ToLower(res.Transport()), Addr: at}) {
				removeAll(res, assertedHeader) // a repetition loses nothing by it
			}
			s.forwardStateless(res)
		}
	})
}

// forwardStateless sends a response upstream by its Vias.
func (s *Server) forwardStateless(res *sip.Response) {
	if err := s.stack.Forward(res); err != nil {
		s.log.Debug("response not forwarded", "code", res.StatusCode, "err", err)
	}
}

// removeOwnVia takes our own Via from a response (RFC 3261 §16.7 step 3). It reports whether one is left: else it was for us
// alone.
func removeOwnVia(res *sip.Response) bool {
	res.RemoveHeader("Via")
	return res.Via() != nil
}
