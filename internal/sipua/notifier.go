package sipua

import (
	"context"
	"sync"

	"github.com/emiago/sipgo/sip"
)

// Notifier is our side of the subscription that a REFER from outside of any dialog creates (RFC 3515 §2.4.4): NOTIFYs
// leave through it, and what the subscriber sends in it, such as a SUBSCRIBE that ends it, arrives at Next.
type Notifier struct {
	*Usage // of the subscriber's requests

	// Immutable
	local  sip.FromHeader
	remote sip.ToHeader
	routes []sip.Uri

	turn chan struct{} // capacity 1, a token for the NOTIFY under way: one at a time keeps CSeq order

	mu sync.Mutex
	// Guarded by mu
	target sip.Uri
	seq    uint32
}

// OpenNotifier makes the subscription of a request that is about to be accepted: once it is, the subscriber may send
// something in it. The request must have a Contact (RFC 3515 §2.2), and be accepted with ours.
func (a *Agent) OpenNotifier(req *Request) *Notifier {
	n := &Notifier{
		Usage: a.OpenUsage(callID(req), req.Tag()), local: req.To().AsFrom(), remote: req.From().AsTo(),
		routes: routesOf(req, false), turn: make(chan struct{}, 1), target: *req.Contact().Address.Clone(),
	}
	n.local.Params = sip.HeaderParams{{K: "tag", V: req.Tag()}}
	n.remote.Params = nil
	if tag := fromTag(req); tag != "" {
		n.remote.Params.Add("tag", tag)
	}
	return n
}

// Accept answers a request that creates or refreshes the subscription, with the Contact that it takes (RFC 6665 §4.2.1.1).
func (n *Notifier) Accept(req *Request, headers ...sip.Header) error {
	if c := req.Contact(); c != nil {
		n.mu.Lock()
		n.target = *c.Address.Clone()
		n.mu.Unlock()
	}
	contact := &sip.ContactHeader{Address: n.agent.contactFor(req.Source())}
	return req.Respond(200, "OK", append(headers[:len(headers):len(headers)], contact)...)
}

// Notify sends a NOTIFY and waits for its answer. It is repeated until there is one (RFC 3261 §17.1.2.2).
func (n *Notifier) Notify(ctx context.Context, contentType string, body []byte, headers ...sip.Header) error {
	select {
	case n.turn <- struct{}{}:
		defer func() { <-n.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	n.mu.Lock()
	target := *n.target.Clone()
	n.mu.Unlock()
	target.Headers = nil
	req := n.agent.NewRequest(sip.NOTIFY, target)
	if len(n.routes) > 0 { // else by the outbound proxy, as everything of this agent
		for req.RemoveHeader("Route") {
		}
	}
	for _, r := range n.routes {
		req.AppendHeader(&sip.RouteHeader{Address: *r.Clone()})
	}
	id := sip.CallIDHeader(n.id.callID)
	req.ReplaceHeader(sip.HeaderClone(&n.local))
	req.ReplaceHeader(sip.HeaderClone(&n.remote))
	req.ReplaceHeader(&id)
	req.CSeq().SeqNo = n.nextSeq()
	for _, h := range headers {
		req.AppendHeader(h)
	}
	setBody(req, contentType, body)
	_, err := n.agent.exchange(ctx, req, route{hop: hopOf(req)}, n.nextSeq)
	return err
}

func (n *Notifier) nextSeq() uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seq++
	return n.seq
}
