package event

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// dialog is one subscription as the notifier knows it, named by a Call-ID of its own.
type dialog struct {
	// Immutable
	agent    *sipua.Agent
	opt      SubscribeOptions
	usage    *sipua.Usage
	callID   string
	local    *sip.FromHeader
	requests chan *sipua.Request // NOTIFYs as they arrive; closed when the usage ends
	ctx      context.Context     // ends with close
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	// Owned by the goroutine that lives it
	seq      uint32    // of the next SUBSCRIBE
	notifier string    // the notifier's tag; "" until its first NOTIFY
	target   sip.Uri   // where SUBSCRIBEs go
	routes   []sip.Uri // on the way there
}

// answer is what became of a SUBSCRIBE.
type answer struct {
	res *sip.Response
	err error
	seq uint32 // the number it had in the end, after challenges
}

// openDialog prepares a dialog. Nothing is sent.
func openDialog(ctx context.Context, a *sipua.Agent, opt SubscribeOptions) *dialog {
	first := a.NewRequest(sip.SUBSCRIBE, opt.Target)
	d := &dialog{
		agent: a, opt: opt, callID: first.CallID().Value(), local: first.From(), requests: make(chan *sipua.Request),
		seq: 1, target: opt.Target,
	}
	tag, _ := d.local.Params.Get("tag")
	d.usage = a.OpenUsage(d.callID, tag)
	d.ctx, d.cancel = context.WithCancel(ctx)
	d.wg.Go(d.read)
	return d
}

// read passes NOTIFYs on, so that they can be waited for together with other things.
func (d *dialog) read() {
	defer close(d.requests)
	for {
		req, err := d.usage.Next(d.ctx)
		if err != nil {
			return
		}
		select {
		case d.requests <- req:
		case <-d.ctx.Done():
			refuse(req)
		}
	}
}

// close ends the dialog for us. A notifier that does not know yet learns it from a 481.
func (d *dialog) close() {
	d.cancel()
	d.usage.Close()
	d.wg.Wait()
}

// subscribe sends SUBSCRIBE; its answer comes on the channel. There is never more than one under way.
func (d *dialog) subscribe(ctx context.Context, expires time.Duration) <-chan answer {
	req := d.request(expires)
	out := make(chan answer, 1)
	d.wg.Go(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(d.ctx, cancel)()
		res, err := d.agent.Do(ctx, req)
		out <- answer{res, err, req.CSeq().SeqNo}
	})
	return out
}

func (d *dialog) request(expires time.Duration) *sip.Request {
	req := d.agent.NewRequest(sip.SUBSCRIBE, d.opt.Target)
	id := sip.CallIDHeader(d.callID)
	req.ReplaceHeader(&id)
	req.ReplaceHeader(&sip.FromHeader{
		DisplayName: d.local.DisplayName, Address: *d.local.Address.Clone(), Params: d.local.Params.Clone(),
	})
	req.CSeq().SeqNo = d.seq
	if d.notifier != "" { // RFC 3261 §12.2.1.1
		req.To().Params.Add("tag", d.notifier)
		req.Recipient = *d.target.Clone()
		for req.RemoveHeader("Route") {
		}
		for _, r := range d.routes {
			req.AppendHeader(&sip.RouteHeader{Address: *r.Clone()})
		}
	}
	req.AppendHeader(sip.NewHeader("Event", d.opt.Event))
	for _, t := range d.opt.Accept {
		req.AppendHeader(sip.NewHeader("Accept", t))
	}
	req.AppendHeader(sip.NewHeader("Expires", seconds(expires)))
	return req
}

// accept answers a NOTIFY and reports whether it belongs to this dialog. The first one makes the dialog; what comes from
// another fork is refused (RFC 6665 §4.1.4 leaves the choice to the package; those we use have one notifier).
func (d *dialog) accept(req *sipua.Request) bool {
	tag, _ := req.From().Params.Get("tag")
	switch {
	case req.Method != sip.NOTIFY:
		_ = req.Respond(405, "Method Not Allowed", sip.NewHeader("Allow", "NOTIFY"))
		return false
	case d.notifier != "" && tag != d.notifier:
		refuse(req)
		return false
	case !samePackage(field(req, "Event"), d.opt.Event):
		_ = req.Respond(489, "Bad Event")
		return false
	}
	if d.notifier == "" {
		d.notifier = tag
		d.routes = routesOf(req)
	}
	if c := req.Contact(); c != nil && c.Address.Host != "" { // every NOTIFY refreshes the target: RFC 6665 §4.2.2
		d.target = *c.Address.Clone()
	}
	_ = req.Respond(200, "OK")
	return true
}

func refuse(req *sipua.Request) { _ = req.Respond(481, "Subscription does not exist") }

// routesOf reads the route set from a NOTIFY: in it we are the callee, so it stands as it is (RFC 3261 §12.1.1).
func routesOf(req *sipua.Request) []sip.Uri {
	var routes []sip.Uri
	for _, h := range req.GetHeaders("Record-Route") {
		if r, ok := h.(*sip.RecordRouteHeader); ok {
			routes = append(routes, *r.Address.Clone())
		}
	}
	return slices.Clip(routes)
}
