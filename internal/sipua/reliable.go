package sipua

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"
)

// reliability keeps the provisional responses of one dialog in order and acknowledged (RFC 3262).
type reliability struct {
	mu sync.Mutex
	// Guarded by mu
	sent   uint32        // RSeq of ours that waits for, or has had, its PRACK; 0: none
	invite uint32        // CSeq of the INVITE it answers
	acked  chan struct{} // closed by that PRACK
	done   bool
	last   uint32 // RSeq of theirs, accepted last; 0: none
}

// ringReliably sends a 180 that is repeated until the caller's PRACK (RFC 3262 §3). It returns when the first has been
// sent. Without a PRACK within 64*T1 the INVITE is refused.
func (i *Invite) ringReliably() error {
	r := &i.dialog.reliable
	r.mu.Lock()
	if r.sent != 0 {
		r.mu.Unlock()
		return nil // one is enough, and a second would have to wait for the first one's PRACK
	}
	r.sent, r.invite, r.acked = 1+rand.Uint32N(1<<31-1), i.req.CSeq().SeqNo, make(chan struct{})
	rseq, acked := r.sent, r.acked
	r.mu.Unlock()
	res := i.provisional(180, "Ringing")
	res.AppendHeader(sip.NewHeader("Require", "100rel"))
	res.AppendHeader(sip.NewHeader("RSeq", fmt.Sprint(rseq)))
	if err := i.req.Send(res); err != nil {
		return err
	}
	i.agent.spawn(func(ctx context.Context) {
		const most = 64 * T1 // none but the end
		err := retransmit(ctx, most, func() error { return i.req.Send(res) }, acked, i.decided)
		if errors.Is(err, ErrTimeout) {
			_ = i.Reject(504, "Provisional Response Not Acknowledged")
		}
	})
	return nil
}

// servePrack answers a PRACK: 200 if it names the provisional response we sent, else 481 (RFC 3262 §3).
func (d *Dialog) servePrack(req *Request) {
	if d.reliable.acknowledge(req) {
		_ = req.Respond(200, "OK")
		return
	}
	_ = req.Respond(481, "Call/Transaction Does Not Exist")
}

func (r *reliability) acknowledge(req *Request) bool {
	rseq, seq, ok := parseRAck(req)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !ok || r.sent == 0 || rseq != r.sent || seq != r.invite || r.done {
		return false
	}
	r.done = true
	close(r.acked)
	return true
}

// parseRAck reads "RSeq CSeq method" (RFC 3262 §7.2).
func parseRAck(msg message) (rseq, seq uint32, ok bool) {
	h := msg.GetHeader("rack")
	if h == nil {
		return 0, 0, false
	}
	f := strings.Fields(h.Value())
	if len(f) != 3 || f[2] != string(sip.INVITE) {
		return 0, 0, false
	}
	a, err1 := strconv.ParseUint(f[0], 10, 32)
	b, err2 := strconv.ParseUint(f[1], 10, 31)
	return uint32(a), uint32(b), err1 == nil && err2 == nil
}

// parseRSeq reads the number of a reliable provisional response; ok is false for one that is not.
func parseRSeq(res *sip.Response) (rseq uint32, ok bool) {
	h := res.GetHeader("rseq")
	if h == nil || !hasToken(res, "require", "100rel") || res.StatusCode == 100 {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(h.Value()), 10, 32)
	return uint32(n), err == nil && n > 0
}

// accept takes a reliable provisional response of theirs. It reports false for a repetition, and for one that has
// overtaken another, which will be repeated (RFC 3262 §4).
func (r *reliability) accept(rseq uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last != 0 && rseq != r.last+1 {
		return false
	}
	r.last = rseq
	return true
}

// prack acknowledges a provisional response of the other side, in the background.
func (d *Dialog) prack(rseq, inviteSeq uint32) {
	d.agent.spawn(func(ctx context.Context) {
		req, to := d.request(sip.PRACK, d.nextSeq())
		req.AppendHeader(sip.NewHeader("RAck", fmt.Sprintf("%d %d INVITE", rseq, inviteSeq)))
		req.SetBody(nil)
		if _, err := d.agent.exchange(ctx, req, to, d.nextSeq); err != nil {
			d.agent.log.Info("PRACK failed", "call", d.id.CallID, "err", err)
		}
	})
}
