package server

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// cancelGrace is how long a canceled branch may take to end before the caller gets its answer without it. A branch that
// never gave a sign of life would else keep the caller for half a minute. A 2xx that comes later is still passed on.
const cancelGrace = sipua.T2

// response context of one forwarded request (RFC 3261 §16.7): its branches and what is known of their outcome.
type responses struct {
	// Immutable
	s        *Server
	req      *sipua.Request
	invite   bool
	park     bool // it is for the park service
	branches []*branch

	// Owned by run
	best     *sip.Response // best final response so far, without our Via
	sent     int           // status of the final response sent upstream; 0 none
	canceled bool
}

// fork forwards a request to all targets at once and its responses upstream, until every branch has ended. Within it the
// final response is sent. A request other than INVITE may be given a limit, after which silent branches count as dead.
func (s *Server) fork(ctx context.Context, req *sipua.Request, targets []target, mark string, limit time.Duration) {
	if r := s.try(ctx, req, targets, mark, limit); r.sent == 0 {
		r.finish()
	}
}

// try is fork without the final response, if that is not a 2xx: the caller decides what to do about it.
func (s *Server) try(ctx context.Context, req *sipua.Request, targets []target, mark string, limit time.Duration) *responses {
	r := &responses{s: s, req: req, invite: req.Method == sip.INVITE, park: s.arePark(targets)}
	events := make(chan branchEvent)
	var all sync.WaitGroup
	for _, t := range targets {
		b := &branch{
			s: s, request: s.forwarded(req.Request, t, req.Source(), mark), to: t.to, instance: t.instance, user: t.user,
			limit: limit, cancels: make(chan string, 1),
		}
		r.branches = append(r.branches, b)
		all.Go(func() { b.serve(ctx, events) })
	}
	go func() { // ends when the branches have, which end with ctx or their timers
		all.Wait()
		close(events)
	}()
	r.run(events)
	return r
}

// run is the response context from the first response to the end of the last branch.
func (r *responses) run(events <-chan branchEvent) {
	var grace <-chan time.Time
	canceled := r.req.Canceled()
	if !r.invite {
		canceled = nil
	}
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			if r.take(e) && grace == nil {
				grace = time.After(cancelGrace)
			}
		case <-canceled:
			canceled = nil
			r.canceled = true
			r.cancelAll(reasonOf(r.req.Cancel())) // RFC 3261 §16.10
			grace = time.After(cancelGrace)
		case <-grace:
			grace = nil
			r.finish()
		}
	}
}

// take deals with what a branch tells. It reports whether the other branches were canceled because of it.
func (r *responses) take(e branchEvent) (decided bool) {
	res := e.response
	if res != nil && !r.park {
		r.vouch(res, e.branch.user)
	}
	switch {
	case res == nil:
		r.keep(e.branch.failure(r.req))
	case res.StatusCode == 100 || !removeOwnVia(res):
	case res.IsProvisional():
		r.provisional(res)
	case res.IsSuccess():
		r.success(res)
		if r.invite {
			r.cancelAll(sipua.AnsweredBy(e.branch.instance).String())
		}
	default:
		r.keep(res)
		if res.StatusCode >= 600 && r.invite { // RFC 3261 §16.7 step 5
			r.cancelAll("SIP;cause=" + itoa(res.StatusCode) + `;text="` + sipua.QuoteText(res.Reason) + `"`)
			return true
		}
	}
	return false
}

// vouch removes whom an endpoint claims to be from its response. The park service is told who has signed in there instead:
// whoever parked a caller has only said who that is.
func (r *responses) vouch(res *sip.Response, user string) {
	removeAll(res, assertedHeader)
	if user != "" && r.s.isPark(r.req.Source()) {
		res.AppendHeader(sip.NewHeader(assertedHeader, "<"+r.s.aor(user)+">"))
	}
}

// provisional passes a 1xx on, as long as nothing is decided.
func (r *responses) provisional(res *sip.Response) {
	if r.sent == 0 {
		r.send(res)
	}
}

// success passes a 2xx on: to an INVITE every one, since each is a dialog that the caller must know (RFC 3261 §16.7
// step 5 and step 10); to another request the first.
func (r *responses) success(res *sip.Response) {
	if r.sent != 0 && !r.invite {
		return
	}
	if r.sent >= 300 { // the server transaction has ended with something else
		r.s.forwardStateless(res)
		return
	}
	r.sent = res.StatusCode
	if !r.send(res) {
		r.s.forwardStateless(res)
	}
}

// keep remembers the best final response.
func (r *responses) keep(res *sip.Response) {
	if res != nil && (r.best == nil || better(res, r.best)) {
		if r.best != nil {
			collectChallenges(r.best, res)
		}
		r.best = res
	} else if res != nil {
		collectChallenges(res, r.best)
	}
}

// finish sends the best response upstream (RFC 3261 §16.7 step 6), unless one was sent.
func (r *responses) finish() {
	if r.sent != 0 {
		return
	}
	switch best := r.best; {
	case r.canceled:
		r.respond(487, "Request Terminated")
	case best == nil && r.invite:
		r.respond(408, "Request Timeout")
	case best == nil:
		// RFC 4320 §4.2: a 408 to anything but INVITE would only come when its sender has given up.
		r.sent = 408
		r.req.Drop()
	case best.StatusCode == 503 && !r.park: // RFC 3261 §16.7 step 6: it says something of the branch, not of this server
		r.respond(500, "All Endpoints Are Overloaded")
	default:
		if best.Via() == nil { // made here, for a branch that failed
			r.respond(best.StatusCode, best.Reason)
			return
		}
		r.sent = best.StatusCode
		r.send(best)
	}
}

func (r *responses) respond(code int, reason string, headers ...sip.Header) {
	r.sent = code
	r.s.respond(r.req, code, reason, headers...)
}

func (r *responses) send(res *sip.Response) bool {
	if err := r.req.Send(res); err != nil {
		r.s.log.Debug("response not forwarded", "code", res.StatusCode, "err", err)
		return false
	}
	return true
}

func (r *responses) cancelAll(reason string) {
	for _, b := range r.branches {
		b.cancel(reason)
	}
}

// reasonOf is the Reason of the caller's CANCEL, which is passed on as it is (RFC 3326 §2).
func reasonOf(cancel *sip.Request) string {
	if cancel == nil {
		return ""
	}
	var all []string
	for _, h := range cancel.GetHeaders("Reason") {
		all = append(all, h.Value())
	}
	return strings.Join(all, ", ")
}
