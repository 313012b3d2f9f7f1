package sipua

import "github.com/emiago/sipgo/sip"

// Request is a request that arrived, with the server transaction to answer it. For ACK there is no transaction and the
// answering methods do nothing.
type Request struct {
	*sip.Request

	tx     *serverTx // nil for ACK
	source Target
	seq    uint64
	size   int
	// intercept, if set, is given every response instead of the transaction, with the means to send it: a dialog
	// completes what its user answers. Set before the request is handed on.
	intercept func(res *sip.Response, send func(*sip.Response) error) error
	acked     *acknowledgement // of the 2xx to a re-INVITE; set when that is sent
}

// Respond sends a response built from the request. Body may be nil. To gets a tag, the same one in every response of
// the transaction. It returns when the response has been handed to the transport.
func (r *Request) Respond(code int, reason string, headers ...sip.Header) error {
	return r.Send(r.Response(code, reason, nil, headers...))
}

// Response builds a response without sending it.
func (r *Request) Response(code int, reason string, body []byte, headers ...sip.Header) *sip.Response {
	res := buildResponse(r.Request, code, reason, r.Tag())
	if r.tx != nil && r.tx.stack.cfg.UserAgent != "" {
		res.AppendHeader(sip.NewHeader("Server", r.tx.stack.cfg.UserAgent))
	}
	for _, h := range headers {
		res.AppendHeader(h)
	}
	res.SetBody(body)
	return res
}

// Send sends a response made with Response, or one that a proxy passes on. After a final response other than a 2xx to
// an INVITE, more of them are ignored; a 2xx to an INVITE may be sent again and again, for 64*T1 (RFC 6026 §7.1).
func (r *Request) Send(res *sip.Response) error {
	if r.tx == nil {
		return nil
	}
	if r.intercept != nil {
		return r.intercept(res, r.tx.respond)
	}
	return r.tx.respond(res)
}

// SendOnce sends a final response and forgets the request at once (RFC 3261 §8.2.7): nothing is repeated by timer and
// nothing stays in memory. It is meant for challenges and refusals to strangers, who must not make this program send
// more than one packet for each of theirs. A client that misses the response repeats its request and is handled again.
//
// may, if it is not nil, is asked with the length of the response whether it may be sent; if not, the request is dropped.
func (r *Request) SendOnce(res *sip.Response, may func(length int) bool) error {
	if r.tx == nil {
		return nil
	}
	data, err := encode(res)
	if err != nil {
		return err
	}
	if may != nil && !may(len(data)) {
		r.tx.terminate()
		return nil
	}
	return r.tx.respondOnce(data)
}

// Source is where the request came from.
func (r *Request) Source() Target { return r.source }

// Seq numbers the requests of a stack in the order they arrived. Handlers run side by side; whoever needs the order
// inside a call can restore it.
func (r *Request) Seq() uint64 { return r.seq }

// Size is the length of the request on the wire, in bytes. An answer to a stranger should not be longer.
func (r *Request) Size() int { return r.size }

// Drop forgets the request without an answer, where any answer would be one too many.
func (r *Request) Drop() {
	if r.tx != nil {
		r.tx.terminate()
	}
}

// Tag is the To tag that responses to this request carry.
func (r *Request) Tag() string {
	if r.tx == nil {
		return ""
	}
	return r.tx.tag
}

// Canceled is closed when a CANCEL for this INVITE arrives. The stack has then answered 200 to the CANCEL and, unless
// StackConfig.HoldCancel is set, 487 to the INVITE.
func (r *Request) Canceled() <-chan struct{} {
	if r.tx == nil {
		return nil
	}
	return r.tx.canceled
}

// Cancel is the CANCEL that arrived, or nil.
func (r *Request) Cancel() *sip.Request {
	if r.tx == nil {
		return nil
	}
	r.tx.mu.Lock()
	defer r.tx.mu.Unlock()
	return r.tx.cancel
}

// Done is closed when the server transaction has ended.
func (r *Request) Done() <-chan struct{} {
	if r.tx == nil {
		return nil
	}
	return r.tx.done
}

// CloneRequest copies a request to pass it on. The body is shared, and what the library notes about the way a message came
// is left out.
func CloneRequest(req *sip.Request) *sip.Request {
	out := sip.NewRequest(req.Method, req.Recipient)
	for _, h := range req.Headers() {
		out.AppendHeader(sip.HeaderClone(h))
	}
	out.SetBody(req.Body())
	return out
}

// buildResponse makes a response (RFC 3261 §8.2.6).
func buildResponse(req *sip.Request, code int, reason, tag string) *sip.Response {
	res := sip.NewResponse(code, reason)
	sip.CopyHeaders("Via", req, res)
	sip.CopyHeaders("From", req, res)
	sip.CopyHeaders("To", req, res)
	sip.CopyHeaders("Call-ID", req, res)
	sip.CopyHeaders("CSeq", req, res)
	if code == 100 {
		sip.CopyHeaders("Timestamp", req, res)
		return res
	}
	if to := res.To(); to != nil && !to.Params.Has("tag") && tag != "" {
		to.Params.Add("tag", tag)
	}
	if code < 300 && req.Method != sip.REGISTER { // RFC 3261 §12.1.1
		sip.CopyHeaders("Record-Route", req, res)
	}
	return res
}
