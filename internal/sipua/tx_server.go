package sipua

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// tagFor derives the To tag from the transaction, so that a request that was answered without keeping state gets the
// same tag when it is repeated (RFC 3261 §8.2.7), and nobody else can guess it.
func (s *Stack) tagFor(key string) string {
	m := hmac.New(sha256.New, s.secret[:])
	m.Write([]byte(key))
	return hex.EncodeToString(m.Sum(nil)[:10])
}

// serverState is where a server transaction stands: RFC 3261 §17.2 with RFC 6026 §7.1.
type serverState int

const (
	proceeding serverState = iota // also Trying
	accepted                      // INVITE answered with 2xx
	completed                     // final response sent; repeated on demand, and for INVITE by timer G
	confirmed                     // ACK seen
	terminated
)

// serverTx is a server transaction. Its timers and the flow's reader call it; everything is short.
type serverTx struct {
	// Immutable
	stack    *Stack
	key      string
	flow     flow
	reply    netip.AddrPort // where responses go
	again    Target         // where they go if the connection is gone
	tag      string         // set before the handler runs
	invite   bool
	canceled chan struct{}
	done     chan struct{}

	mu sync.Mutex
	// Guarded by mu
	state    serverState
	req      *sip.Request // of an INVITE, until it is decided: a copy, since the handler may change its own
	last     []byte       // last response, for repetitions
	final    bool         // a final response was given
	cancel   *sip.Request
	interval time.Duration // of timer G
	repeats  *time.Timer   // timer G, or the wait before 100
	end      *time.Timer   // timers H, I, J, L
}

func newServerTx(s *Stack, key string, req *sip.Request, f flow, src netip.AddrPort) *serverTx {
	t := &serverTx{
		stack: s, key: key, flow: f, reply: replyAddr(req.Via(), src), invite: req.Method == sip.INVITE,
		canceled: make(chan struct{}), done: make(chan struct{}),
	}
	port := uint16(defaultPort(req.Via().Port, f.network()))
	t.again = Target{Network: f.network(), Addr: netip.AddrPortFrom(src.Addr(), port)}
	if t.invite {
		t.req = CloneRequest(req)
	}
	if t.tag, _ = req.To().Params.Get("tag"); t.tag == "" {
		t.tag = s.tagFor(key)
	}
	return t
}

// start arms the 100 that stops the caller's retransmissions when the handler is slow (RFC 3261 §17.2.1).
func (t *serverTx) start() {
	if !t.invite {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.repeats = time.AfterFunc(200*time.Millisecond, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.state == proceeding && t.last == nil {
			res := buildResponse(t.req, 100, "Trying", "")
			res.SetBody(nil)
			t.last = []byte(res.String())
			_ = t.writeLocked()
		}
	})
}

// respond sends a response of the handler.
func (t *serverTx) respond(res *sip.Response) error {
	data, err := encode(res)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == terminated {
		return fmt.Errorf("%w: the transaction has ended", ErrClosed)
	}
	again := t.state == accepted && res.IsSuccess()
	if t.state != proceeding && !again {
		return nil // RFC 3261 §17.2.1: a second final response is not passed on
	}
	t.last = data
	err = t.writeLocked()
	switch {
	case again || res.IsProvisional():
	case !t.invite:
		t.enterLocked(completed, t.unreliable(64*T1)) // timer J
	case res.IsSuccess():
		t.enterLocked(accepted, 64*T1) // timer L
	default:
		t.enterLocked(completed, 64*T1) // timer H
		t.interval = T1
		if t.flow.gone() == nil {
			t.repeats = time.AfterFunc(t.interval, t.retransmit)
		}
	}
	return err
}

// respondOnce sends a final response without entering Completed.
func (t *serverTx) respondOnce(data []byte) error {
	t.mu.Lock()
	if t.state != proceeding {
		t.mu.Unlock()
		return nil
	}
	t.last = data
	err := t.writeLocked()
	t.mu.Unlock()
	t.terminate()
	return err
}

// unreliable is d over UDP and nothing over streams, which repeat no messages.
func (t *serverTx) unreliable(d time.Duration) time.Duration {
	if t.flow.gone() != nil {
		return 0
	}
	return d
}

// enterLocked moves to a state after the final response that ends by itself.
func (t *serverTx) enterLocked(next serverState, lasts time.Duration) {
	t.state, t.final, t.req = next, true, nil
	if t.repeats != nil {
		t.repeats.Stop()
		t.repeats = nil
	}
	if t.end != nil {
		t.end.Stop()
	}
	t.end = time.AfterFunc(lasts, t.terminate)
}

// retransmit is timer G: the final response again, until the ACK or timer H.
func (t *serverTx) retransmit() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != completed {
		return
	}
	_ = t.writeLocked()
	t.interval = min(2*t.interval, T2)
	t.repeats = time.AfterFunc(t.interval, t.retransmit)
}

// repeat answers a repeated request with the last response. In Accepted that is the handler's work (RFC 6026 §7.1).
func (t *serverTx) repeat() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last != nil && (t.state == proceeding || t.state == completed) {
		_ = t.writeLocked()
	}
}

// acknowledge takes an ACK that matches this INVITE. It reports whether the transaction has absorbed it.
func (t *serverTx) acknowledge() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == accepted {
		return false // the ACK of a 2xx, from a client that reuses the branch
	}
	if t.state == completed {
		t.enterLocked(confirmed, t.unreliable(T4)) // timer I
	}
	return true
}

// canceledBy notes the CANCEL and ends the INVITE, if it is not decided yet.
func (t *serverTx) canceledBy(req *sip.Request) {
	t.mu.Lock()
	if t.state != proceeding || t.cancel != nil {
		t.mu.Unlock()
		return // RFC 3261 §9.2: a CANCEL after the final response has no effect
	}
	t.cancel = req
	invite := t.req
	t.mu.Unlock()
	if !t.stack.cfg.HoldCancel {
		r := &Request{Request: invite, tx: t}
		_ = r.Respond(487, "Request Terminated")
	}
	close(t.canceled)
}

// decided reports whether a final response was given.
func (t *serverTx) decided() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.final || t.state == terminated
}

// writeLocked sends the last response. When the connection of the request is gone, the address in the Via is tried
// (RFC 3261 §18.2.2), on a goroutine because connecting waits.
func (t *serverTx) writeLocked() error {
	err := t.flow.send(t.last, t.reply)
	if err == nil || t.flow.network() != "tcp" {
		return err
	}
	data, to := t.last, t.again
	t.stack.spawn(func() {
		c, err := t.stack.connect(t.stack.ctx, to)
		if err == nil {
			err = c.send(data, to.Addr)
		}
		if err != nil {
			t.stack.log.Debug("response not sent", "to", to, "err", err)
		}
	})
	return nil
}

// terminate forgets the transaction.
func (t *serverTx) terminate() {
	t.mu.Lock()
	if t.state == terminated {
		t.mu.Unlock()
		return
	}
	t.state = terminated
	if t.repeats != nil {
		t.repeats.Stop()
	}
	if t.end != nil {
		t.end.Stop()
	}
	t.mu.Unlock()
	t.stack.mu.Lock()
	if t.stack.servers[t.key] == t {
		delete(t.stack.servers, t.key)
	}
	t.stack.mu.Unlock()
	close(t.done)
}
