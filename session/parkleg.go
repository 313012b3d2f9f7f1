package session

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
	"offhook/park"
)

// leg is the call as a park strategy sees it.
type leg struct {
	// Immutable.
	call      *AudioVideoCall
	dlg       *sipua.Dialog
	remote    park.Party
	supported []string

	open []*reference // Owned by Park. REFERs whose outcome is not known yet.
}

// ReferTo is the other side, with Replaces for this call.
func (l *leg) ReferTo() sip.Uri {
	to := replacing(l.dlg)
	to.Headers = append(to.Headers, sip.HeaderKV{K: "Require", V: "replaces"}) // RFC 3891 §6.2: succeed as meant, or not at all
	return to
}

// Remote is the other side.
func (l *leg) Remote() park.Party { return l.remote }

// Supports reports what the other side has said it supports.
func (l *leg) Supports(option string) bool {
	return slices.ContainsFunc(l.supported, func(s string) bool { return strings.EqualFold(s, option) })
}

// ReferOut refers a park service to the other side (RFC 3515), outside of the call.
func (l *leg) ReferOut(ctx context.Context, to, referTo sip.Uri, note string) (body.Sipfrag, error) {
	r := l.call.e.refer(to, l.remote, referTo, note)
	l.open = append(l.open, r)
	return r.await(ctx, l.dlg)
}

// ReferIn refers the other side, inside of the call.
func (l *leg) ReferIn(ctx context.Context, referTo sip.Uri) (body.Sipfrag, error) {
	t := &transfer{outcome: make(chan body.Sipfrag, 1)}
	l.call.e.mu.Lock()
	l.call.transfer = t
	l.call.e.mu.Unlock()
	defer func() {
		l.call.e.mu.Lock()
		defer l.call.e.mu.Unlock()
		l.call.transfer = nil
	}()
	return l.call.refer(ctx, l.dlg, referTo, t)
}

// finish is the end of the attempt. The park service of a REFER that was given up may still do as it was told: for a while
// it is listened to.
func (l *leg) finish(note string, failed bool) {
	for _, r := range l.open {
		if !failed || r.decided {
			r.usage.Close()
			continue
		}
		e := l.call.e
		e.mu.Lock()
		running := e.goLocked("late outcome of a park", func(ctx context.Context) {
			defer r.usage.Close()
			l.late(ctx, r, note)
		})
		e.mu.Unlock()
		if !running {
			r.usage.Close()
		}
	}
}

// late takes the outcome of a park that was given up. A caller who is parked has to be known.
func (l *leg) late(ctx context.Context, r *reference, note string) {
	ctx, cancel := context.WithTimeout(ctx, parkLate)
	defer cancel()
	frag, err := r.outcome(ctx)
	if err != nil {
		return
	}
	if o, err := park.ParseOutcome(frag, time.Now()); err == nil {
		l.call.isParked(l, o, note)
	}
}

// reference is a REFER of ours outside of a dialog, with the implicit subscription that tells its outcome.
type reference struct {
	// Immutable.
	e     *Endpoint
	req   *sip.Request
	usage *sipua.Usage

	decided bool // Owned by whoever waits: there is nothing to come any more.
}

// refer prepares a REFER of a park service to somebody. A NOTIFY may come before the answer to it, so it is listened
// for from the beginning.
func (e *Endpoint) refer(to sip.Uri, who park.Party, referTo sip.Uri, note string) *reference {
	req := e.agent.NewRequest(sip.REFER, to)
	about := sipua.NameAddr{Display: who.Display, URI: referTo}.String()
	if who.URI != "" { // which device it is does not tell who it is
		about += `;x-identity="` + sipua.QuoteText(who.URI) + `"`
	}
	req.AppendHeader(sip.NewHeader("Refer-To", about))
	req.AppendHeader(sip.NewHeader("Referred-By", "<"+e.self.URI+">")) // RFC 3892 §2
	if note != "" {
		req.AppendHeader(sip.NewHeader("Subject", note))
	}
	tag, _ := req.From().Params.Get("tag")
	return &reference{e: e, req: req, usage: e.agent.OpenUsage(req.CallID().Value(), tag)}
}

// await sends the REFER and waits for its outcome. After a BYE of the other side in dlg, whom it is about, that has to
// come soon.
func (r *reference) await(ctx context.Context, dlg *sipua.Dialog) (body.Sipfrag, error) {
	r.e.mu.Blocking()
	ctx, cancel := context.WithCancelCause(ctx)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer cancel(nil)
	sending.Go(func() {
		if _, err := r.e.agent.Do(ctx, r.req); err != nil { // RFC 7647 §5: 202 is a 200
			cancel(err)
		}
	})
	sending.Go(func() {
		select {
		case <-dlg.Done():
			if sleep(ctx, parkGrace) == nil {
				cancel(errLeft)
			}
		case <-ctx.Done():
		}
	})
	frag, err := r.outcome(ctx)
	if err != nil {
		err = context.Cause(ctx)
		r.decided = statusOf(err) != 0 // refused
	}
	return frag, err
}

// outcome waits for the final status. What is notified before is only that something is being done.
func (r *reference) outcome(ctx context.Context) (body.Sipfrag, error) {
	for {
		req, err := r.usage.Next(ctx)
		if err != nil {
			return body.Sipfrag{}, err
		}
		frag, over, ok := readOutcome(req)
		switch {
		case !ok:
		case frag.Code >= 200:
			r.decided = true
			return frag, nil
		case over: // the service will not say more
			r.decided = true
			return body.Sipfrag{Code: 500, Reason: "no outcome was told"}, nil
		}
	}
}

// readOutcome reads and answers a NOTIFY of a REFER (RFC 3515 §2.4.5).
func readOutcome(req *sipua.Request) (frag body.Sipfrag, over, ok bool) {
	if req.Method != sip.NOTIFY {
		_ = req.Respond(405, "Method Not Allowed", sip.NewHeader("Allow", "NOTIFY"))
		return frag, false, false
	}
	frag, err := body.ParseSipfrag(req.Body())
	if err != nil {
		_ = req.Respond(400, "Bad Request")
		return frag, false, false
	}
	_ = req.Respond(200, "OK")
	state, _, _ := strings.Cut(headerOf(req.Request, "Subscription-State"), ";")
	return frag, strings.EqualFold(strings.TrimSpace(state), "terminated"), true
}

// headerOf is the value of a header, "" if there is none.
func headerOf(msg interface{ GetHeader(string) sip.Header }, name string) string {
	if h := msg.GetHeader(name); h != nil {
		return h.Value()
	}
	return ""
}
