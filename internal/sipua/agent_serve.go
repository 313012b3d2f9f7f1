package sipua

import (
	"context"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// handle routes a request that arrived. Its goroutine is the stack's; the agent waits for it in Close.
func (a *Agent) handle(ctx context.Context, req *Request) {
	mux, ok := a.enter()
	if !ok {
		_ = req.Respond(503, "Service Unavailable", retryAfter(10))
		return
	}
	defer a.wg.Done()
	ctx, stop := a.bind(ctx)
	defer stop()
	switch {
	case req.Method == sip.ACK:
		a.serveAck(req)
	case toTag(req) != "":
		a.serveInDialog(ctx, req, mux)
	default:
		a.serveNew(ctx, req, mux)
	}
}

// enter counts a handler, so that Close waits for it.
func (a *Agent) enter() (Mux, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return Mux{}, false
	}
	a.wg.Add(1)
	return a.mux, true
}

// serveNew routes a request that belongs to nothing yet.
func (a *Agent) serveNew(ctx context.Context, req *Request, mux Mux) {
	release, ok := a.admit(req, mux)
	if !ok {
		return
	}
	defer release()
	switch req.Method {
	case sip.INVITE:
		a.serveInvite(ctx, req, mux.Invite)
	case sip.MESSAGE:
		a.pass(ctx, req, mux.Message, 405, "Method Not Allowed")
	case sip.NOTIFY:
		a.pass(ctx, req, mux.Notify, 481, "Subscription does not exist")
	case sip.REFER:
		a.pass(ctx, req, mux.Refer, 403, "Forbidden")
	case sip.OPTIONS:
		a.serveOptions(req, mux)
	case sip.BYE, sip.UPDATE, sip.PRACK, sip.INFO:
		_ = req.Respond(481, "Call/Transaction Does Not Exist")
	case sip.CANCEL: // RFC 3261 §9.2: the stack found no transaction for it
		_ = req.Respond(481, "Call/Transaction Does Not Exist")
	default:
		a.refuseMethod(req)
	}
}

// pass hands a request over, or refuses it when nobody takes such requests.
func (a *Agent) pass(ctx context.Context, req *Request, to func(context.Context, *Request), code int, reason string) {
	if to == nil {
		_ = req.Respond(code, reason)
		return
	}
	to(ctx, req)
}

func (a *Agent) refuseMethod(req *Request) {
	_ = req.Respond(405, "Method Not Allowed", sip.NewHeader("Allow", a.allow)) // RFC 3261 §8.2.1
}

// serveInDialog routes a request with a To tag to the dialog or usage it names.
func (a *Agent) serveInDialog(ctx context.Context, req *Request, mux Mux) {
	if d := a.awaitDialog(ctx, req); d != nil {
		d.receive(ctx, req)
		return
	}
	a.mu.Lock()
	u := a.usages[halfID{callID(req), toTag(req)}]
	a.mu.Unlock()
	switch {
	case u != nil:
		u.receive(ctx, req)
	case req.Method == sip.NOTIFY && mux.Notify != nil:
		mux.Notify(ctx, req)
	case req.Method == sip.OPTIONS:
		a.serveOptions(req, mux)
	default:
		// RFC 3261 §12.2.2: a dialog that we do not know, perhaps from before a restart.
		_ = req.Respond(481, "Call/Transaction Does Not Exist")
	}
}

// overtaken is how long a request waits for the response that creates its dialog, when it has overtaken that.
const overtaken = orderGap

// awaitDialog finds the dialog of a request. One that belongs to an INVITE of ours may have overtaken the response
// with its tag.
func (a *Agent) awaitDialog(ctx context.Context, req *Request) *Dialog {
	id := DialogID{callID(req), toTag(req), fromTag(req)}
	timer := time.NewTimer(overtaken)
	defer timer.Stop()
	for {
		a.mu.Lock()
		d, set := a.dialogs[id], a.sets[halfID{id.CallID, id.LocalTag}]
		a.mu.Unlock()
		if d != nil || set == nil {
			return d
		}
		changed := set.changes()
		if d = a.dialog(id); d != nil {
			return d
		}
		select {
		case <-changed:
		case <-timer.C:
			return a.dialog(id)
		case <-ctx.Done():
			return nil
		}
	}
}

// serveAck hands the ACK of a 2xx to the dialog that waits for it.
func (a *Agent) serveAck(req *Request) {
	if d := a.dialog(DialogID{callID(req), toTag(req), fromTag(req)}); d != nil {
		d.acknowledge(req)
	}
}

// serveStray handles a 2xx whose transaction is gone: a fork that answered late, or a repetition (RFC 3261 §13.2.2.4).
// Only an INVITE we remember is taken notice of, for a forged 2xx must not make us send.
func (a *Agent) serveStray(_ context.Context, res *sip.Response) {
	a.mu.Lock()
	set := a.sets[halfID{callID(res), fromTag(res)}]
	a.mu.Unlock()
	if set != nil && res.IsSuccess() && res.CSeq().MethodName == sip.INVITE {
		a.spawn(func(ctx context.Context) { set.late(ctx, res) })
	}
}

// admit makes the checks that every request outside a dialog has to pass, and answers those that do not (RFC 3261
// §8.2). release must be called when the request has been served.
func (a *Agent) admit(req *Request, mux Mux) (release func(), ok bool) {
	release, ok = a.claim(req)
	switch {
	case !ok:
		_ = req.Respond(482, "Loop Detected") // RFC 3261 §8.2.2.2
		return nil, false
	case req.Recipient.Scheme != "sip" && req.Recipient.Scheme != "sips":
		_ = req.Respond(416, "Unsupported URI Scheme") // RFC 3261 §8.2.2.1
	case a.refuseExtensions(req):
	case req.Method != sip.INVITE && req.GetHeader("replaces") != nil:
		_ = req.Respond(400, "Bad Replaces") // RFC 3891 §3
	case req.Method != sip.OPTIONS && mux.Busy != nil && mux.Busy():
		_ = req.Respond(503, "Service Unavailable", retryAfter(10))
	default:
		return release, true
	}
	release()
	return nil, false
}

// refuseExtensions answers 420 if the request requires what we do not support (RFC 3261 §8.2.2.3).
func (a *Agent) refuseExtensions(req *Request) bool {
	if req.Method == sip.CANCEL {
		return false
	}
	var unknown []string
	for _, tag := range elements(req, "require") {
		if !containsFold(a.supported, tag) {
			unknown = append(unknown, tag)
		}
	}
	if len(unknown) == 0 {
		return false
	}
	_ = req.Respond(420, "Bad Extension", sip.NewHeader("Unsupported", joinList(unknown)))
	return true
}

func containsFold(list []string, s string) bool {
	for _, e := range list {
		if strings.EqualFold(e, s) {
			return true
		}
	}
	return false
}

// serveOptions answers what an INVITE would get, and what we can do (RFC 3261 §11.2).
func (a *Agent) serveOptions(req *Request, mux Mux) {
	code, reason := 200, "OK"
	if mux.Busy != nil && mux.Busy() {
		code, reason = 486, "Busy Here"
	}
	var body []byte
	contentType := ""
	if mux.OptionsBody != nil && code == 200 {
		contentType, body = mux.OptionsBody()
	}
	headers := []sip.Header{
		sip.NewHeader("Allow", a.allow), sip.NewHeader("Supported", joinList(a.supported)),
		sip.NewHeader("Accept", "application/sdp, text/plain"),
	}
	if mux.OptionsHeaders != nil && code == 200 {
		headers = append(headers, mux.OptionsHeaders()...)
	}
	if len(body) > 0 {
		ct := sip.ContentTypeHeader(contentType)
		headers = append(headers, &ct)
	}
	_ = req.Send(req.Response(code, reason, body, headers...))
}

// mergeKey is what two copies of one request have in common that reached us over different paths.
type mergeKey struct {
	callID, fromTag string
	seq             uint32
	method          sip.RequestMethod
}

// mergeEntry is a request that is served, or was until expires.
type mergeEntry struct {
	branch  string
	expires time.Time // zero while it is served
}

// maxMerged bounds the memory of requests that were served; the bound sheds memory, not requests.
const maxMerged = 4096

// claim notes that a request is served. ok is false for a merged one: the same request, in another transaction. After
// its release a claim stays for the time a copy may still be under way.
func (a *Agent) claim(req *Request) (release func(), ok bool) {
	key := mergeKey{callID(req), fromTag(req), req.CSeq().SeqNo, req.Method}
	branch, _ := req.Via().Params.Get("branch")
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if e, found := a.merged[key]; found && e.branch != branch && (e.expires.IsZero() || now.Before(e.expires)) {
		return nil, false
	}
	if len(a.merged) >= maxMerged {
		for k, e := range a.merged {
			if !e.expires.IsZero() {
				delete(a.merged, k)
			}
		}
	}
	a.merged[key] = mergeEntry{branch: branch}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		now := time.Now()
		a.merged[key] = mergeEntry{branch: branch, expires: now.Add(64 * T1)}
		if len(a.merged) > maxMerged/4 {
			for k, e := range a.merged {
				if !e.expires.IsZero() && now.After(e.expires) {
					delete(a.merged, k)
				}
			}
		}
	}, true
}
