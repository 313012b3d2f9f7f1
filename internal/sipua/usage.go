package sipua

import (
	"context"
	"sync"
	"time"
)

// maxInbox bounds the requests that wait for their reader, in a dialog and in a usage.
const maxInbox = 64

// answerTimeout bounds how long a handler waits for the answer to a request it has handed over. The sender has given up
// by then (RFC 3261 §17.1.2.2, timer F).
const answerTimeout = 64 * T1

// inbox is a bounded queue of requests with one reader.
type inbox struct {
	arrived chan struct{} // capacity 1: something is there

	mu sync.Mutex
	// Guarded by mu
	queue  []*Request
	closed bool
}

func newInbox() *inbox { return &inbox{arrived: make(chan struct{}, 1)} }

// put appends a request. It reports false when the queue is full or closed.
func (b *inbox) put(req *Request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.queue) >= maxInbox {
		return false
	}
	b.queue = append(b.queue, req)
	b.signal()
	return true
}

func (b *inbox) signal() {
	select {
	case b.arrived <- struct{}{}:
	default:
	}
}

// take removes the first request, or returns nil.
func (b *inbox) take() *Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return nil
	}
	req := b.queue[0]
	b.queue[0] = nil
	b.queue = b.queue[1:]
	if len(b.queue) > 0 {
		b.signal()
	}
	return req
}

// close refuses further requests and returns those that nobody read.
func (b *inbox) close() []*Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	rest := b.queue
	b.queue = nil
	return rest
}

// next waits for a request. What is queued comes before the end that done announces: nothing that arrived is lost.
func (b *inbox) next(ctx context.Context, done <-chan struct{}, end func() error) (*Request, error) {
	for {
		if req := b.take(); req != nil {
			return req, nil
		}
		select {
		case <-b.arrived:
		case <-done:
			if req := b.take(); req != nil {
				return req, nil
			}
			return nil, end()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// halfID names a dialog of ours before the other side's tag is known.
type halfID struct{ callID, localTag string }

// Usage receives the in-dialog requests of one non-INVITE dialog, e.g. the NOTIFYs of a subscription, in CSeq order.
type Usage struct {
	// Immutable
	agent *Agent
	id    halfID
	inbox *inbox
	done  chan struct{}
	once  sync.Once // closes done

	mu     sync.Mutex
	orders map[string]*sequence // Guarded by mu; by remote tag: a forked SUBSCRIBE has several notifiers
}

// maxNotifiers bounds the forks of one subscription.
const maxNotifiers = 16

// OpenUsage routes requests with this Call-ID whose To tag is localTag to the returned usage, from now on: a NOTIFY may
// arrive before the 2xx of the SUBSCRIBE that caused it (RFC 6665 §4.1.2.4).
func (a *Agent) OpenUsage(callID, localTag string) *Usage {
	u := &Usage{
		agent: a, id: halfID{callID, localTag}, inbox: newInbox(), done: make(chan struct{}),
		orders: map[string]*sequence{},
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.usages[u.id] = u
	return u
}

// Next waits for a request; the caller must respond to it. After Close the error is ErrClosed.
func (u *Usage) Next(ctx context.Context) (*Request, error) {
	return u.inbox.next(ctx, u.done, func() error { return ErrClosed })
}

// Close stops routing; later requests, and those that nobody read, get 481.
func (u *Usage) Close() {
	u.once.Do(func() {
		u.agent.mu.Lock()
		if u.agent.usages[u.id] == u {
			delete(u.agent.usages, u.id)
		}
		u.agent.mu.Unlock()
		for _, req := range u.inbox.close() {
			_ = req.Respond(481, "Subscription does not exist")
		}
		close(u.done)
	})
}

// receive serves one request on its handler's goroutine: it waits for its turn, hands it over, and stays until it is
// answered.
func (u *Usage) receive(ctx context.Context, req *Request) {
	order := u.order(fromTag(req))
	if order == nil {
		_ = req.Respond(503, "Too Many Notifiers")
		return
	}
	n := req.CSeq().SeqNo
	if err := order.enter(ctx, n); err != nil {
		_ = req.Respond(500, "Old CSeq") // RFC 3261 §12.2.2
		return
	}
	answered := answerable(req)
	ok := u.inbox.put(req)
	order.leave(n)
	if !ok {
		refuseFull(req)
		return
	}
	awaitAnswer(ctx, req, answered)
}

func (u *Usage) order(remoteTag string) *sequence {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.orders[remoteTag]
	if s == nil && len(u.orders) < maxNotifiers {
		s = newSequence(0)
		u.orders[remoteTag] = s
	}
	return s
}

// refuseFull answers a request whose reader does not keep up. 500 with Retry-After ends neither dialog nor usage
// (RFC 5057 §5.1).
func refuseFull(req *Request) {
	_ = req.Respond(500, "Too Many Requests Pending", retryAfter(1))
}

// awaitAnswer keeps a handler's goroutine, and with it the server transaction, until the request is answered. One that
// is never answered gets 500, through whatever watches its answer.
func awaitAnswer(ctx context.Context, req *Request, answered <-chan struct{}) {
	timer := time.NewTimer(answerTimeout)
	defer timer.Stop()
	select {
	case <-answered:
	case <-timer.C:
		_ = req.Respond(500, "Server Internal Error")
	case <-ctx.Done():
	}
}
