package sipua

import (
	"fmt"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// The timers of RFC 3261 §17.1.1.1, from which all others follow.
const (
	T1 = 500 * time.Millisecond // round trip estimate
	T2 = 4 * time.Second        // longest interval between repetitions
	T4 = 5 * time.Second        // longest life of a message in the network
)

// ClientTx is a client transaction. Its run loop is the state machine of RFC 3261 §17.1 with RFC 6026 §7.2. When all that is
// left is to absorb repetitions, the goroutine ends and a timer holds the transaction: it may be one of many thousand.
type ClientTx struct {
	// Immutable
	stack     *Stack
	req       *sip.Request
	data      []byte
	flow      flow
	target    Target
	key       string
	invite    bool
	responses chan *sip.Response
	arrived   chan *sip.Response // from the flow's reader
	done      chan struct{}      // closed when run returns
	cancels   chan string        // at most one: the reason to cancel with
	stop      chan struct{}
	stopOnce  sync.Once

	mu sync.Mutex
	// Guarded by mu
	err       error
	absorbing *time.Timer // timers D and K, once only repetitions can come
	ack       []byte      // what answers each of them
}

// begin registers the transaction, sends the request and starts the state machine.
func (s *Stack) begin(out *outgoing) (*ClientTx, error) {
	branch, _ := out.req.Via().Params.Get("branch")
	t := &ClientTx{
		stack: s, req: out.req, data: out.data, flow: out.flow, target: out.to, key: clientKey(branch, out.req.Method),
		invite: out.req.Method == sip.INVITE, arrived: make(chan *sip.Response, 32), done: make(chan struct{}),
		cancels: make(chan string, 1), stop: make(chan struct{}),
	}
	size := 16
	if t.invite {
		size = 64 // each fork may ring for minutes and repeat its 2xx for half a minute
	}
	t.responses = make(chan *sip.Response, size)
	s.mu.Lock()
	if s.closed || s.clients[t.key] != nil {
		closed := s.closed
		s.mu.Unlock()
		if closed {
			return nil, ErrClosed
		}
		return nil, fmt.Errorf("%w: branch %s is in use", errUnsafe, branch)
	}
	s.clients[t.key] = t
	s.mu.Unlock()
	if err := t.flow.send(t.data, t.target.Addr); err != nil {
		s.forget(t)
		return nil, err
	}
	if !s.spawn(t.run) {
		s.forget(t)
		return nil, ErrClosed
	}
	return t, nil
}

func (s *Stack) forget(t *ClientTx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[t.key] == t {
		delete(s.clients, t.key)
	}
}

// Responses delivers every response, also each repeated or further 2xx to an INVITE, and is closed when no more can
// come: after the final response, or for an INVITE answered with 2xx 64*T1 later (RFC 6026). It is buffered and need
// not be drained; a reader that falls far behind loses provisional responses first.
func (t *ClientTx) Responses() <-chan *sip.Response { return t.responses }

// Err says why the transaction ended without a final response: ErrTimeout or ErrUnreachable wrapped, or ErrClosed.
// Valid once Responses is closed.
func (t *ClientTx) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// Request is the request as sent, with its Via.
func (t *ClientTx) Request() *sip.Request { return t.req }

// Target is where it was sent; its network is tcp where a long request has moved from udp.
func (t *ClientTx) Target() Target { return t.target }

// Cancel sends CANCEL as soon as a provisional response has arrived (RFC 3261 §9.1), with a Reason header if reason
// is not empty. It returns at once and is harmless after a final response.
func (t *ClientTx) Cancel(reason string) {
	select {
	case t.cancels <- reason:
	default:
	}
}

// Terminate forgets the transaction.
func (t *ClientTx) Terminate() {
	t.stopOnce.Do(func() {
		close(t.stop)
		t.mu.Lock()
		absorbing := t.absorbing
		t.mu.Unlock()
		if absorbing != nil && absorbing.Stop() {
			t.stack.forget(t)
		}
	})
}

// deliver takes a response from the flow's reader. It reports false when the transaction has ended.
func (t *ClientTx) deliver(res *sip.Response) bool {
	t.mu.Lock()
	absorbing, ack := t.absorbing != nil, t.ack
	t.mu.Unlock()
	if absorbing {
		if ack != nil && !res.IsProvisional() && !res.IsSuccess() {
			t.send(ack)
		}
		return true
	}
	select {
	case <-t.done:
		return false
	default:
	}
	select {
	case t.arrived <- res:
		return true
	default: // a flood: the peer will repeat what matters
		t.stack.counters.overflow.Add(1)
		return true
	}
}

// pass hands a response to the reader, keeping a quarter of the room for final ones.
func (t *ClientTx) pass(res *sip.Response) {
	if res.IsProvisional() && len(t.responses) > cap(t.responses)*3/4 {
		t.stack.counters.overflow.Add(1)
		return
	}
	select {
	case t.responses <- res:
	default:
		t.stack.counters.overflow.Add(1)
	}
}

// fail ends the transaction with an error.
func (t *ClientTx) fail(err error) {
	t.mu.Lock()
	t.err = err
	t.mu.Unlock()
}

// run is the transaction from the sending of the request to the last message it absorbs.
func (t *ClientTx) run() {
	defer close(t.done)
	final := t.await()
	switch {
	case final == nil:
	case t.invite && final.IsSuccess():
		t.pass(final)
		t.acceptMore()
	default:
		if t.invite {
			t.acknowledge(final)
		}
		t.absorb()
		t.pass(final)
		close(t.responses)
		return
	}
	close(t.responses)
	t.stack.forget(t)
}

// await repeats the request until a response comes, and returns the final one; nil when there is none to come.
func (t *ClientTx) await() *sip.Response {
	timeout := time.NewTimer(64 * T1) // timers B and F
	defer timeout.Stop()
	interval := T1 // timers A and E
	repeat := time.NewTimer(interval)
	defer repeat.Stop()
	if t.flow.gone() != nil {
		repeat.Stop()
	}
	ringing, canceling, reason := false, false, ""
	cancel := func() {
		t.sendCancel(reason)
		timeout.Reset(64 * T1) // RFC 3261 §9.1: then the request is considered canceled
	}
	for {
		select {
		case res := <-t.arrived:
			if !res.IsProvisional() {
				return res
			}
			if !ringing && t.invite {
				repeat.Stop()
				timeout.Stop() // an INVITE may ring for as long as somebody lets it; timer C is the user's
			}
			if !ringing && canceling {
				cancel()
			}
			ringing = true
			interval = T2 // RFC 3261 §17.1.2.2: in Proceeding
			t.pass(res)
		case reason = <-t.cancels:
			if !t.invite || canceling {
				continue
			}
			if canceling = true; ringing {
				cancel()
			}
		case <-repeat.C:
			if err := t.flow.send(t.data, t.target.Addr); err != nil {
				t.fail(err)
				return nil
			}
			if interval *= 2; !t.invite {
				interval = min(interval, T2)
			}
			repeat.Reset(interval)
		case <-timeout.C:
			t.fail(fmt.Errorf("%w: %s to %s", ErrTimeout, t.req.Method, t.target))
			return nil
		case <-t.flow.gone():
			if res := t.pending(); res != nil {
				return res
			}
			t.fail(fmt.Errorf("%w: the connection to %s was lost", ErrUnreachable, t.target))
			return nil
		case <-t.stop:
			t.fail(ErrClosed)
			return nil
		}
	}
}

// pending looks for a final response that arrived together with the end of the connection.
func (t *ClientTx) pending() *sip.Response {
	for {
		select {
		case res := <-t.arrived:
			if !res.IsProvisional() {
				return res
			}
			t.pass(res)
		default:
			return nil
		}
	}
}

// acceptMore passes on every further 2xx of an INVITE, of this fork or another, until timer M (RFC 6026 §7.2).
func (t *ClientTx) acceptMore() {
	timerM := time.NewTimer(64 * T1)
	defer timerM.Stop()
	for {
		select {
		case res := <-t.arrived:
			if res.IsSuccess() {
				t.pass(res)
			}
		case <-timerM.C:
			return
		case <-t.stop:
			return
		}
	}
}

// absorb leaves the transaction to swallow repetitions of the final response: timers D and K.
func (t *ClientTx) absorb() {
	wait := T4
	switch {
	case t.flow.gone() != nil:
		t.stack.forget(t)
		return
	case t.invite:
		wait = 64 * T1
	}
	t.mu.Lock()
	t.absorbing = time.AfterFunc(wait, func() { t.stack.forget(t) })
	t.mu.Unlock()
	select {
	case <-t.stop: // in between
		t.absorbing.Stop()
		t.stack.forget(t)
	default:
	}
}

// acknowledge sends the ACK that belongs to the transaction (RFC 3261 §17.1.1.3).
func (t *ClientTx) acknowledge(res *sip.Response) {
	ack := t.sibling(sip.ACK)
	if to := res.To(); to != nil {
		ack.RemoveHeader("To")
		ack.AppendHeader(sip.HeaderClone(to))
	}
	data, err := encode(ack)
	if err != nil {
		t.stack.log.Debug("ACK not sent", "to", t.target, "err", err)
		return
	}
	t.mu.Lock()
	t.ack = data
	t.mu.Unlock()
	t.send(data)
}

// send sends an ACK; one that is lost is asked for again by a repetition.
func (t *ClientTx) send(ack []byte) {
	if err := t.flow.send(ack, t.target.Addr); err != nil {
		t.stack.log.Debug("ACK not sent", "to", t.target, "err", err)
	}
}

// sendCancel starts the transaction of the CANCEL (RFC 3261 §9.1). Its result changes nothing: the INVITE is answered
// by its own final response.
func (t *ClientTx) sendCancel(reason string) {
	req := t.sibling(sip.CANCEL)
	if reason != "" && !hasControl(reason) {
		req.AppendHeader(sip.NewHeader("Reason", reason)) // RFC 3326
	}
	data, err := encode(req)
	if err == nil {
		_, err = t.stack.begin(&outgoing{req, data, t.flow, t.target})
	}
	if err != nil {
		t.stack.log.Debug("CANCEL not sent", "to", t.target, "err", err)
	}
}

// sibling builds the ACK or CANCEL of this INVITE: the same request line, topmost Via, route, From, To, Call-ID and
// CSeq number.
func (t *ClientTx) sibling(method sip.RequestMethod) *sip.Request {
	req := sip.NewRequest(method, *t.req.Recipient.Clone())
	req.AppendHeader(t.req.Via().Clone())
	sip.CopyHeaders("Route", t.req, req)
	hops := sip.MaxForwardsHeader(70)
	req.AppendHeader(&hops)
	for _, name := range []string{"From", "To", "Call-ID"} {
		sip.CopyHeaders(name, t.req, req)
	}
	req.AppendHeader(&sip.CSeqHeader{SeqNo: t.req.CSeq().SeqNo, MethodName: method})
	req.SetBody(nil)
	return req
}
