package sipua

import (
	"fmt"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// receive takes one message off the wire: it is decoded, completed, and given to its transaction. It runs on the
// goroutine that reads the flow and never waits for a handler.
//
// No message may end the program: should one find a fault in here in spite of all tests, it alone is lost, and logged.
func (s *Stack) receive(data []byte, f flow, src netip.AddrPort) {
	defer func() {
		if fault := recover(); fault != nil {
			s.counters.faults.Add(1)
			s.log.Error("fault while receiving a message", "remote", src, "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
		}
	}()
	msg, raw, d := decode(data, f.network() != "udp")
	if d != nil {
		s.counters.malformed.Add(1)
		s.log.Info("malformed message", "network", f.network(), "remote", src, "defect", d.reason)
		s.answer(refusal(raw, d), f, src, len(data))
		return
	}
	msg.SetTransport(strings.ToUpper(f.network()))
	msg.SetSource(src.String())
	switch m := msg.(type) {
	case *sip.Request:
		stampVia(m.Via(), src)
		s.receiveRequest(m, f, src, len(data))
	case *sip.Response:
		s.receiveResponse(m)
	}
}

// refuse answers a message of which only the head is known.
func (s *Stack) refuse(head []byte, d *defect, f flow, src netip.AddrPort) {
	s.counters.malformed.Add(1)
	s.trace(false, f.network(), f.localAddr(), src, head)
	raw, _ := scan(head, true)
	if line, isRequest, _ := parseStart(raw.start); line != nil && isRequest {
		s.answer(refusal(raw, d), f, src, len(head))
	}
}

// answer sends a stateless response back to where the request of that size came from.
func (s *Stack) answer(res *sip.Response, f flow, src netip.AddrPort, size int) {
	if res == nil {
		return
	}
	via := res.Via()
	stampVia(via, src)
	bare := res.String()
	if s.cfg.UserAgent != "" {
		res.AppendHeader(sip.NewHeader("Server", s.cfg.UserAgent))
	}
	data := res.String()
	if len(data) > size {
		data = bare // the name of the program is the first thing that is too much
	}
	if !s.mayAnswer(sourceOf(f, src), size, len(data)) {
		return
	}
	if err := f.send([]byte(data), replyAddr(via, src)); err != nil {
		s.log.Debug("answer not sent", "remote", src, "err", err)
	}
}

func (s *Stack) mayAnswer(source Target, received, answer int) bool {
	return s.cfg.MayAnswer == nil || s.cfg.MayAnswer(source, received, answer)
}

// stampVia records where a request really came from (RFC 3261 §18.2.1, RFC 3581 §4).
func stampVia(via *sip.ViaHeader, src netip.AddrPort) {
	rport, asked := via.Params.Get("rport")
	if asked && rport == "" {
		via.Params.Add("rport", strconv.Itoa(int(src.Port())))
	}
	sentBy, err := netip.ParseAddr(via.Host)
	if asked || err != nil || sentBy.Unmap() != src.Addr() {
		via.Params.Add("received", src.Addr().String())
	}
}

// replyAddr is where a response over UDP goes: to the address the request came from, and to its port if it asked for
// that, else to the port in sent-by (RFC 3261 §18.2.2, RFC 3581 §4). It is never an address that only the Via names, so
// that nobody can aim our answers at a third party.
func replyAddr(via *sip.ViaHeader, src netip.AddrPort) netip.AddrPort {
	if via.Params.Has("rport") {
		return src
	}
	port := uint16(via.Port)
	if port == 0 {
		port = 5060
	}
	return netip.AddrPortFrom(src.Addr(), port)
}

// receiveResponse gives a response to its client transaction (RFC 3261 §17.1.3).
func (s *Stack) receiveResponse(res *sip.Response) {
	via := res.Via()
	branch, _ := via.Params.Get("branch")
	s.mu.Lock()
	t := s.clients[clientKey(branch, res.CSeq().MethodName)]
	stray := s.stray
	s.mu.Unlock()
	// RFC 3261 §18.1.2: a response whose topmost sent-by is not ours was not meant for us.
	if t != nil && sentByKey(t.req.Via()) == sentByKey(via) && t.deliver(res) {
		return
	}
	s.counters.stray.Add(1)
	if s.sentBy(via) && stray != nil && res.IsSuccess() && res.CSeq().MethodName == sip.INVITE {
		s.spawn(func() { stray(s.ctx, res) })
	}
}

// sentBy reports whether a Via names one of our listeners.
func (s *Stack) sentBy(via *sip.ViaHeader) bool {
	for _, l := range s.addrs {
		a := netip.MustParseAddrPort(l.Address)
		host, err := netip.ParseAddr(via.Host)
		if err == nil && int(a.Port()) == via.Port && (a.Addr().IsUnspecified() || a.Addr() == host.Unmap()) {
			return true
		}
	}
	return false
}

func clientKey(branch string, method sip.RequestMethod) string { return branch + " " + string(method) }

func sentByKey(via *sip.ViaHeader) string {
	return strings.ToLower(via.Host) + " " + strconv.Itoa(via.Port)
}

// serverKey identifies a server transaction (RFC 3261 §17.2.3). ACK and CANCEL are matched as the INVITE they belong
// to. A branch without the magic cookie, or with nothing behind it, is no identifier: then the older rules apply.
func serverKey(req *sip.Request, method sip.RequestMethod) string {
	via := req.Via()
	branch, _ := via.Params.Get("branch")
	if cookie := sip.RFC3261BranchMagicCookie; strings.HasPrefix(branch, cookie) && branch != cookie {
		return strings.Join([]string{branch, sentByKey(via), string(method)}, " ")
	}
	tag, _ := req.From().Params.Get("tag")
	return strings.Join([]string{
		"2543", req.Recipient.String(), tag, string(*req.CallID()), strconv.Itoa(int(req.CSeq().SeqNo)), sentByKey(via), string(method),
	}, " ")
}

// receiveRequest finds or makes the server transaction.
func (s *Stack) receiveRequest(req *sip.Request, f flow, src netip.AddrPort, size int) {
	if req.Method == sip.ACK {
		s.receiveACK(req, f, src, size)
		return
	}
	if req.Method == sip.CANCEL {
		s.receiveCancel(req, f, src, size)
		return
	}
	if t, isNew := s.serverTx(req, f, src, req.Method, size); isNew {
		s.handle(&Request{Request: req, tx: t, source: sourceOf(f, src), seq: s.seq.Add(1), size: size})
	} else if t != nil {
		t.repeat()
	}
}

// receiveACK ends the retransmission of a final response other than 2xx; the ACK of a 2xx is a message of its own and
// goes to the handler.
func (s *Stack) receiveACK(req *sip.Request, f flow, src netip.AddrPort, size int) {
	s.mu.Lock()
	t := s.servers[serverKey(req, sip.INVITE)]
	s.mu.Unlock()
	if t != nil && t.acknowledge() {
		return
	}
	s.handle(&Request{Request: req, source: sourceOf(f, src), seq: s.seq.Add(1), size: size})
}

// receiveCancel answers a CANCEL (RFC 3261 §9.2).
func (s *Stack) receiveCancel(req *sip.Request, f flow, src netip.AddrPort, size int) {
	s.mu.Lock()
	invite := s.servers[serverKey(req, sip.INVITE)]
	s.mu.Unlock()
	t, isNew := s.serverTx(req, f, src, sip.CANCEL, size)
	if t == nil {
		return
	}
	if !isNew {
		t.repeat()
		return
	}
	r := &Request{Request: req, tx: t}
	if invite == nil {
		may := func(length int) bool { return s.mayAnswer(sourceOf(f, src), size, length) }
		_ = r.SendOnce(r.Response(481, "Call/Transaction Does Not Exist", nil), may)
		return
	}
	t.tag = invite.tag // RFC 3261 §9.2: the same tag as the response to the INVITE
	_ = r.Respond(200, "OK")
	invite.canceledBy(req)
}

// serverTx returns the transaction of the request, making it if there is none; nil when there are too many.
func (s *Stack) serverTx(
	req *sip.Request, f flow, src netip.AddrPort, method sip.RequestMethod, size int,
) (t *serverTx, isNew bool) {
	key := serverKey(req, method)
	s.mu.Lock()
	if t := s.servers[key]; t != nil || s.closed {
		s.mu.Unlock()
		return t, false
	}
	if len(s.servers) >= maxTransactions {
		s.mu.Unlock()
		s.counters.overflow.Add(1)
		res := buildResponse(req, 503, "Service Unavailable", s.tagFor(key))
		res.AppendHeader(sip.NewHeader("Retry-After", "10"))
		res.SetBody(nil)
		s.answer(res, f, src, size)
		return nil, false
	}
	t = newServerTx(s, key, req, f, src)
	s.servers[key] = t
	s.mu.Unlock()
	t.start()
	return t, true
}

// handle runs the handler. An ACK is served before what came after it in its call: it is never repeated for its own sake, so
// nothing puts right what overtakes it, and a caller may well send BYE directly behind.
func (s *Stack) handle(r *Request) {
	call, served := string(*r.CallID()), make(chan struct{})
	s.mu.Lock()
	h, before := s.handler, s.acks[call]
	if r.Method == sip.ACK && h != nil {
		s.acks[call] = served
	}
	s.mu.Unlock()
	if h == nil {
		return
	}
	s.spawn(func() {
		if before != nil {
			select {
			case <-before:
			case <-s.ctx.Done():
			}
		}
		if r.Method == sip.ACK {
			defer s.served(call, served)
		}
		h(s.ctx, r)
		if r.tx != nil && !r.tx.decided() && s.ctx.Err() == nil {
			s.log.Error("a handler returned without a final response", "method", r.Method)
			_ = r.Respond(500, "Server Internal Error")
		}
	})
}

// served lets go what waits for an ACK.
func (s *Stack) served(call string, done chan struct{}) {
	s.mu.Lock()
	if s.acks[call] == done {
		delete(s.acks, call)
	}
	s.mu.Unlock()
	close(done)
}

func sourceOf(f flow, src netip.AddrPort) Target { return Target{Network: f.network(), Addr: src} }
