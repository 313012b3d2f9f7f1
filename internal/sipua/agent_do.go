package sipua

import (
	"context"
	"errors"

	"github.com/emiago/sipgo/sip"
)

// Do sends a request outside any dialog (not INVITE) and returns its final response. It locates the server, fails over
// to the next address on timeout, transport error or 503 (RFC 3263 §4.3), and answers a challenge once per realm and
// nonce (RFC 8760: SHA-256 preferred, MD5 accepted, stale honoured). A response that is not 2xx comes with *StatusError.
func (a *Agent) Do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	if req.Method == sip.INVITE || req.Method == sip.ACK || req.Method == sip.CANCEL {
		return nil, errors.New("sipua: Do does not send " + string(req.Method))
	}
	return a.exchange(ctx, req, route{hop: hopOf(req)}, func() uint32 { return req.CSeq().SeqNo + 1 })
}

// route is where a request goes first.
type route struct {
	hop  sip.Uri
	flow Target // tried last: where the other side's request came from, which may be all that leads through its NAT
}

// exchange carries a request to its final response, through challenges. next numbers each repetition: it is a new
// request with a new CSeq (RFC 3261 §22.2). An error comes with the response if there is one.
func (a *Agent) exchange(ctx context.Context, req *sip.Request, to route, next func() uint32) (*sip.Response, error) {
	round := a.account.begin(req, to.hop)
	for {
		res, err := a.attempt(ctx, req, to)
		if err != nil {
			return nil, err
		}
		again, err := round.answer(ctx, res)
		if err != nil {
			return res, err
		}
		if !again {
			return res, statusError(res)
		}
		req.CSeq().SeqNo = next()
	}
}

// attempt sends a request to the targets of its next hop in order, until one answers (RFC 3263 §4.3).
func (a *Agent) attempt(ctx context.Context, req *sip.Request, to route) (*sip.Response, error) {
	targets, err := a.targets(ctx, to)
	if err != nil {
		return nil, err
	}
	for i, t := range targets {
		var res *sip.Response
		res, err = a.sendTo(ctx, req, t)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		last := i == len(targets)-1
		if err == nil && (last || res.StatusCode != 503) {
			return res, nil
		}
		if !last {
			a.log.Info("trying the next address", "method", req.Method, "target", t, "err", err)
		}
	}
	return nil, err
}

// targets locates the next hop. The flow, where there is one, comes last.
func (a *Agent) targets(ctx context.Context, to route) ([]Target, error) {
	targets, err := a.stack.Locate(ctx, to.hop)
	if !to.flow.Addr.IsValid() {
		if err == nil && len(targets) == 0 {
			err = ErrUnreachable
		}
		return targets, err
	}
	for _, t := range targets {
		if t.Network == to.flow.Network && t.Addr == to.flow.Addr {
			return targets, nil
		}
	}
	return append(targets, to.flow), nil
}

// sendTo runs one client transaction to its final response.
func (a *Agent) sendTo(ctx context.Context, req *sip.Request, t Target) (*sip.Response, error) {
	tx, err := a.open(ctx, req, t)
	if err != nil {
		return nil, err
	}
	for {
		select {
		case res, ok := <-tx.Responses():
			if !ok {
				return nil, ended(tx)
			}
			if !res.IsProvisional() {
				return res, nil
			}
		case <-ctx.Done():
			tx.Terminate()
			return nil, context.Cause(ctx)
		case <-a.ctx.Done():
			tx.Terminate()
			return nil, ErrClosed
		}
	}
}

// open starts a transaction, with the Contact that suits the target.
func (a *Agent) open(ctx context.Context, req *sip.Request, t Target) (*ClientTx, error) {
	if hop := hopOf(req); req.Method == sip.REGISTER || a.cfg.Server.Host != "" && sameURI(&hop, &a.cfg.Server) {
		a.mu.Lock()
		a.home = t
		a.mu.Unlock()
	}
	if c := req.Contact(); c != nil && formsDialog(req.Method) {
		params := c.Params
		req.ReplaceHeader(&sip.ContactHeader{DisplayName: c.DisplayName, Address: a.contactFor(t), Params: params})
	}
	return a.stack.Send(ctx, req, t)
}

// ended says why a transaction closed without a final response.
func ended(tx *ClientTx) error {
	if err := tx.Err(); err != nil {
		return err
	}
	return ErrTimeout
}
