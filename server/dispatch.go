package server

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// methods this server serves itself; it passes on any other.
const allowed = "REGISTER, PUBLISH, SUBSCRIBE, OPTIONS, INVITE, ACK, CANCEL, BYE, MESSAGE, INFO, UPDATE, PRACK, REFER, NOTIFY"

// handle serves one request; a fault in it is the end of that request only.
func (s *Server) handle(ctx context.Context, req *sipua.Request) {
	if !s.contain("serving "+string(req.Method), func() { s.route(ctx, req) }) {
		s.refuse(req, 500, "Server Internal Error")
	}
}

// contain runs f so that a fault in it ends nothing but f, and is logged. It reports whether there was none.
func (s *Server) contain(what string, f func()) (ok bool) {
	defer func() {
		if fault := recover(); fault != nil {
			s.log.Error("fault while "+what, "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
		}
	}()
	f()
	return true
}

// route decides who serves a request. It does nothing itself.
func (s *Server) route(ctx context.Context, req *sipua.Request) {
	mark := s.loopMark(req.Request)                                     // of the request as it arrived
	inDialog := s.preprocess(req.Request) && req.To().Params.Has("tag") // or a route once learnt would spare any sender his password
	ours := s.isOurs(&req.Recipient)
	switch {
	case req.Method == sip.ACK:
		s.forwardACK(ctx, req, inDialog)
	case inDialog:
		s.proxy(ctx, req, mark, true)
	case req.Recipient.Scheme != "sip" && req.Recipient.Scheme != "sips":
		s.refuse(req, 416, "Unsupported URI Scheme") // RFC 3261 §16.3 step 2
	case req.Method == sip.REGISTER && ours:
		s.serveRegister(req)
	case req.Method == sip.PUBLISH && ours:
		s.servePublish(req)
	case req.Method == sip.SUBSCRIBE && ours:
		s.serveSubscribe(req)
	case req.Method == sip.OPTIONS && ours && req.Recipient.User == "":
		s.serveOptions(req)
	case ours && req.Recipient.User == "":
		s.refuse(req, 405, "Method Not Allowed", sip.NewHeader("Allow", "REGISTER, OPTIONS"))
	default:
		s.proxy(ctx, req, mark, false)
	}
}

// serveOptions tells what this server can do (RFC 3261 §11.2).
func (s *Server) serveOptions(req *sipua.Request) {
	if unknown := unsupported(req.Request, "Proxy-Require"); len(unknown) > 0 {
		s.badExtension(req, unknown)
		return
	}
	if !s.requires(req) {
		return
	}
	events := userEvents
	if s.park != nil {
		events += ", " + eventDialog
	}
	s.refuse(req, 200, "OK", sip.NewHeader("Allow", allowed), sip.NewHeader("Supported", "gruu, outbound"),
		sip.NewHeader("Allow-Events", events))
}
