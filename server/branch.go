package server

import (
	"context"
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// branch is one forwarded copy of a request.
type branch struct {
	// Immutable
	s        *Server
	request  *sip.Request
	to       sipua.Target
	instance string        // of the endpoint it leads to
	user     string        // who has signed in there, "" if it is not known
	limit    time.Duration // of silence before a final response; 0 means the transaction's own timers
	cancels  chan string   // at most one: the reason to cancel with

	err error // why it ended without a final response; set before the event that tells
}

// branchEvent is a response of a branch; a nil response means that the branch failed.
type branchEvent struct {
	branch   *branch
	response *sip.Response
}

// cancel ends the branch, if it is still waiting (RFC 3261 §16.10). Only the first reason counts.
func (b *branch) cancel(reason string) {
	select {
	case b.cancels <- reason:
	default:
	}
}

// serve is run; a fault in it fails the branch.
func (b *branch) serve(ctx context.Context, events chan<- branchEvent) {
	if !b.s.contain("forwarding", func() { b.run(ctx, events) }) {
		b.err = errFault
		events <- branchEvent{b, nil}
	}
}

// errFault ends a branch with which something is wrong here.
var errFault = errors.New("server: fault")

// run sends the request and reports its responses, up to the final one. Repetitions of a 2xx come as strays.
func (b *branch) run(ctx context.Context, events chan<- branchEvent) {
	tx, err := b.s.stack.Relay(ctx, b.request, b.to)
	if err != nil {
		b.err = err
		events <- branchEvent{b, nil}
		return
	}
	patience := time.NewTimer(b.patience())
	defer patience.Stop()
	cancels := b.cancels
	for {
		select {
		case res, ok := <-tx.Responses():
			if !ok {
				b.err = tx.Err()
				events <- branchEvent{b, nil}
				return
			}
			events <- branchEvent{b, res}
			if !res.IsProvisional() {
				if res.IsSuccess() {
					tx.Terminate()
				}
				return
			}
			if res.StatusCode > 100 && b.request.Method == sip.INVITE {
				patience.Reset(b.s.cfg.TimerC) // RFC 3261 §16.7 step 2
			}
		case reason := <-cancels:
			cancels = nil
			tx.Cancel(reason)
		case <-patience.C:
			if b.request.Method == sip.INVITE && cancels != nil { // timer C, RFC 3261 §16.8
				cancels = nil
				tx.Cancel("")
				patience.Reset(64 * sipua.T1)
				continue
			}
			tx.Terminate()
			b.err = sipua.ErrTimeout
			events <- branchEvent{b, nil}
			return
		case <-ctx.Done():
			tx.Terminate()
			b.err = context.Cause(ctx)
			events <- branchEvent{b, nil}
			return
		}
	}
}

// patience is how long a branch may take.
func (b *branch) patience() time.Duration {
	switch {
	case b.request.Method == sip.INVITE:
		return b.s.cfg.TimerC
	case b.limit > 0:
		return b.limit
	}
	return 64*sipua.T1 + time.Second // the transaction ends it before
}

// failure is the response that stands for the missing one (RFC 3261 §16.9, §16.8): 503 if the endpoint could not be
// reached, 408 if it was silent, which for anything but INVITE is no response at all.
func (b *branch) failure(req *sipua.Request) *sip.Response {
	if errors.Is(b.err, sipua.ErrTimeout) {
		if req.Method != sip.INVITE {
			return nil
		}
		return sip.NewResponse(408, "Request Timeout")
	}
	return sip.NewResponse(503, "Service Unavailable")
}
