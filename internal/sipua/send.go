package sipua

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// safeDatagram is the size above which a request leaves UDP: the path MTU is not known (RFC 3261 §18.1.1).
const safeDatagram = 1300

// Send starts a client transaction for req towards to. It adds the Via (with rport, RFC 3581) and Content-Length to a
// copy of req; a topmost Via without a host is completed instead and keeps its branch. A request over 1,300 bytes moves
// from UDP to TCP (RFC 3261 §18.1.1), falling back to UDP when TCP is refused. ctx bounds the connecting; the
// transaction then lives until its timers end it, or Terminate. ACK is refused here: see Write.
func (s *Stack) Send(ctx context.Context, req *sip.Request, to Target) (*ClientTx, error) {
	return s.Relay(ctx, CloneRequest(req), to)
}

// Relay is Send for a request that the caller has made for it and gives away: it is completed in place.
func (s *Stack) Relay(ctx context.Context, req *sip.Request, to Target) (*ClientTx, error) {
	if req.Method == sip.ACK {
		return nil, errors.New("sipua: an ACK has no transaction, use Write")
	}
	out, err := s.prepare(ctx, req, to)
	if err != nil {
		return nil, err
	}
	return s.begin(out)
}

// Write sends req without a transaction: the ACK of a 2xx, or a stateless request. It adds or completes the Via as Send
// does.
func (s *Stack) Write(ctx context.Context, req *sip.Request, to Target) error {
	out, err := s.prepare(ctx, CloneRequest(req), to)
	if err != nil {
		return err
	}
	return out.flow.send(out.data, out.to.Addr)
}

// Forward sends a response upstream outside of any transaction, by its topmost Via (RFC 3261 §18.2.2; §16.7 step 9: a
// 2xx whose server transaction is gone).
func (s *Stack) Forward(res *sip.Response) error {
	data, err := encode(res)
	if err != nil {
		return err
	}
	via := res.Via()
	if via == nil {
		return fmt.Errorf("%w: no Via", errUnsafe)
	}
	host, _ := via.Params.Get("received")
	if host == "" {
		host = via.Host
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("%w: %q is not an address", ErrUnreachable, host)
	}
	network := strings.ToLower(via.Transport)
	port := defaultPort(via.Port, network)
	if rport, ok := via.Params.Get("rport"); ok {
		if n, ok := parseLength(rport); ok && n > 0 && n < 1<<16 {
			port = n
		}
	}
	to := Target{Network: network, Addr: netip.AddrPortFrom(addr.Unmap(), uint16(port))}
	f, err := s.flowTo(s.ctx, to)
	if err != nil {
		return err
	}
	return f.send(data, to.Addr)
}

// defaultPort fills in the port of a transport.
func defaultPort(port int, network string) int {
	switch {
	case port != 0:
		return port
	case network == "tls":
		return 5061
	}
	return 5060
}

// flowTo finds the socket, or finds or opens the connection.
func (s *Stack) flowTo(ctx context.Context, to Target) (flow, error) {
	switch to.Network {
	case "udp":
		if u := s.socketFor(to.Addr.Addr()); u != nil {
			return u, nil
		}
		return nil, fmt.Errorf("%w: no udp listener reaches %s", ErrUnreachable, to.Addr)
	case "tcp", "tls":
		c, err := s.connect(ctx, to)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	return nil, fmt.Errorf("%w: unknown network %q", ErrUnreachable, to.Network)
}

// outgoing is a request ready to leave.
type outgoing struct {
	req  *sip.Request
	data []byte
	flow flow
	to   Target
}

// prepare completes a request in place, finds the flow for it and writes it.
func (s *Stack) prepare(ctx context.Context, req *sip.Request, to Target) (*outgoing, error) {
	to.Addr = netip.AddrPortFrom(to.Addr.Addr().Unmap(), to.Addr.Port())
	req.SetBody(req.Body())
	if !to.Addr.IsValid() {
		return nil, fmt.Errorf("%w: no address to send to", ErrUnreachable)
	}
	via := req.Via()
	if via == nil && s.cfg.UserAgent != "" && req.GetHeader("User-Agent") == nil { // our own, not one we pass on
		req.AppendHeader(sip.NewHeader("User-Agent", s.cfg.UserAgent))
	}
	if via == nil || via.Host != "" {
		via = &sip.ViaHeader{Params: sip.HeaderParams{{K: "branch", V: sip.GenerateBranch()}}}
		req.PrependHeader(via)
	}
	if to.Network != "udp" {
		return s.addressed(ctx, req, via, to)
	}
	out, err := s.addressed(ctx, req, via, to)
	if err != nil || len(out.data) <= safeDatagram || !s.mayTCP(to.Addr) {
		return out, err
	}
	over := to
	over.Network = "tcp"
	tctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if long, err := s.addressed(tctx, req, via, over); err == nil {
		return long, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.denyTCP(to.Addr) // RFC 3261 §18.1.1: fall back if TCP is not supported there
	return s.addressed(ctx, req, via, to)
}

// addressed finds the flow, completes the Via for it, and writes the request.
func (s *Stack) addressed(ctx context.Context, req *sip.Request, via *sip.ViaHeader, to Target) (*outgoing, error) {
	f, err := s.flowTo(ctx, to)
	if err != nil {
		return nil, err
	}
	s.completeVia(via, f, to)
	data, err := encode(req)
	return &outgoing{req, data, f, to}, err
}

// mayTCP reports whether TCP has not failed at this address lately.
func (s *Stack) mayTCP(addr netip.AddrPort) bool {
	if s.cfg.Dial == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.noTCP[addr]
	return !ok || time.Now().After(until)
}

// denyTCP remembers for five minutes that an address takes no TCP.
func (s *Stack) denyTCP(addr netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.noTCP) >= 256 {
		clear(s.noTCP)
	}
	s.noTCP[addr] = time.Now().Add(5 * time.Minute)
}

// completeVia fills in protocol, sent-by and rport (RFC 3261 §18.1.1, RFC 3581 §3). The sent-by is where this stack
// listens on that transport, or the connection's own end where it does not.
func (s *Stack) completeVia(via *sip.ViaHeader, f flow, to Target) {
	via.ProtocolName, via.ProtocolVersion, via.Transport = "SIP", "2.0", strings.ToUpper(to.Network)
	local := f.localAddr()
	if to.Network == "udp" {
		if local.Addr().IsUnspecified() {
			local = netip.AddrPortFrom(sourceFor(to.Addr.Addr(), local.Addr()), local.Port())
		}
	} else if l, ok := s.Local(to.Network, to.Addr.Addr()); ok {
		local = netip.AddrPortFrom(local.Addr(), l.Port())
	}
	via.Host, via.Port = local.Addr().String(), int(local.Port())
	if !via.Params.Has("rport") {
		via.Params.Add("rport", "")
	}
}
