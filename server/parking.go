package server

import (
	"context"
	"crypto/hmac"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
	"offhook/park/service"
)

// The park service (package park/service) is a user agent of its own, on a socket of its own in this process. The proxy
// sends it what is for its names, and takes from it requests in the name of anybody: a recall comes from the caller who
// was parked. So each has to know that it hears the other, and nobody else:
//
//   - the proxy knows the service by its socket; a request that begins something must also carry a mark for its Call-ID
//     that only this server can make. The mark leaves the message here.
//   - the service knows the proxy by the same mark in every request, and by P-Asserted-Identity (RFC 3325) whom it has
//     authenticated.
//
// What others assert is removed on its way (RFC 3325 §5): between clients of ours only the park service vouches for
// anybody, and what a client sees in that field may be believed.

// The header fields of that.
const (
	markHeader     = "X-Offhook-Mark"
	assertedHeader = "P-Asserted-Identity"
)

// drainTime bounds how long the park service may take to say good-bye to those who are parked.
const drainTime = 2 * time.Second

// parkService is what this server needs of the park service.
type parkService interface {
	Start(ctx context.Context) error
	Close(ctx context.Context) error
	Contact() sip.Uri
	Serves(user string) bool
	Watchable(user, watcher string) bool
	DialogInfo(user string, version int) (doc body.DialogInfo, over bool)
	List() []string
}

// parking is the park service as this server sees it.
type parking struct {
	parkService
	at       sipua.Target // its socket
	closed   atomic.Bool  // it takes nothing any more
	referred referrals    // transfers to it that are under way
}

// openPark starts the park service.
func (s *Server) openPark(ctx context.Context) (*parking, error) {
	if s.cfg.Park.Off {
		return nil, nil
	}
	host := s.parkHost()
	proxy, ok := s.local("udp", host)
	if !ok {
		return nil, fmt.Errorf("no UDP listener reaches %s", host)
	}
	svc, err := s.newPark(s, proxy, host)
	if err != nil {
		return nil, err
	}
	if err := svc.Start(ctx); err != nil {
		return nil, err
	}
	contact := svc.Contact()
	addr, err := netip.ParseAddr(bare(contact.Host))
	if err != nil {
		_ = svc.Close(ctx)
		return nil, fmt.Errorf("the address of the park service: %w", err)
	}
	at := netip.AddrPortFrom(addr.Unmap(), uint16(contact.Port))
	return &parking{parkService: svc, at: sipua.Target{Network: "udp", Addr: at}}, nil
}

// newParkService makes the real one.
func newParkService(s *Server, proxy sip.Uri, host netip.Addr) (parkService, error) {
	cfg := s.cfg.Park
	here, err := netip.ParseAddr(bare(proxy.Host))
	if err != nil {
		return nil, err
	}
	return service.New(service.Config{
		Domain: s.cfg.Domain, Proxy: proxy, ListenPacket: s.packets(),
		Listen: []sipua.Listener{{Network: "udp", Address: netip.AddrPortFrom(host, 0).String()}},
		Admit:  func(from netip.Addr) bool { return from == here }, // not even a stranger's OPTIONS
		Media:  cfg.Media, Lot: cfg.lot(), Music: s.music, NoMusic: cfg.NoMusic, Lamp: cfg.Lamp,
		Mark: s.parkMark, Changed: s.parkChanged, Logger: s.log.With("part", "park"),
	})
}

// parkHost is the address that the park service listens on: that of the first UDP listener. Only the proxy sends to it;
// everybody else finds the proxy in the Record-Route.
func (s *Server) parkHost() netip.Addr {
	for _, l := range s.stack.Addrs() {
		if at, err := netip.ParseAddrPort(l.Address); err == nil && l.Network == "udp" && !at.Addr().IsUnspecified() {
			return at.Addr()
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// withUDP adds a listener on loopback where there is none for UDP: the way to the park service.
func withUDP(all []sipua.Listener, parks bool) []sipua.Listener {
	if !parks || slices.ContainsFunc(all, func(l sipua.Listener) bool { return l.Network == "udp" }) {
		return all
	}
	return append(slices.Clone(all), sipua.Listener{Network: "udp", Address: "127.0.0.1:0"})
}

// packets opens the sockets of the park service. That there is such a function at all keeps it to datagrams, even long
// ones, so that every request of it comes from its socket; they never leave the machine.
func (s *Server) packets() func(ctx context.Context, network, address string) (net.PacketConn, error) {
	if s.cfg.ListenPacket != nil {
		return s.cfg.ListenPacket
	}
	return (&net.ListenConfig{}).ListenPacket
}

// closePark ends the park service while everybody can still be reached: callers who are parked are told, and so are
// those who parked them.
func (s *Server) closePark(ctx context.Context) {
	if s.park == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	if err := s.park.Close(ctx); err != nil {
		s.log.Warn("call park closed before everybody had answered", "err", err)
	}
	s.park.closed.Store(true)
	s.notifier.settle(ctx, (*subscription).isSafe)
}

// Park is the address of the park service, "" without one.
func (s *Server) Park() string {
	if s.park == nil {
		return ""
	}
	return s.aor(parkUser)
}

// Orbits are the numbers of the park service's orbits, as in "701-720"; "" without one.
func (s *Server) Orbits() string {
	if s.park == nil {
		return ""
	}
	return s.cfg.Park.Orbits
}

// parkChanged tells those who watch some of the park service's names that their state may be new.
func (s *Server) parkChanged(users []string) {
	for _, user := range users {
		s.notifier.changed(user, eventDialog)
	}
}

// parks reports whether a user of the domain is one of the park service's names.
func (s *Server) parks(user string) bool { return s.park != nil && s.park.Serves(user) }

// isPark reports whether an address is the park service's socket.
func (s *Server) isPark(t sipua.Target) bool {
	return s.park != nil && t.Network == s.park.at.Network && t.Addr == s.park.at.Addr
}

// arePark reports whether a request goes to the park service.
func (s *Server) arePark(targets []target) bool { return len(targets) == 1 && s.isPark(targets[0].to) }

// parkMark is what only this server and its park service can write for a Call-ID.
func (s *Server) parkMark(callID string) string { return s.signature.sign("park", callID) }

// fromPark reports whether a request that begins something is the park service's.
func (s *Server) fromPark(req *sipua.Request) bool {
	h := req.GetHeader(markHeader)
	return h != nil && s.isPark(req.Source()) &&
		hmac.Equal([]byte(h.Value()), []byte(s.parkMark(string(*req.CallID()))))
}

// parkTargets is the park service as the target of a request; the Request-URI tells which of its names was meant.
func (s *Server) parkTargets(uri sip.Uri) ([]target, *refusal) {
	if s.park.closed.Load() {
		return nil, &refusal{503, "Call Park Is Closed"}
	}
	return []target{{uri: uri, to: s.park.at}}, nil
}

// parkCalls determines where a request of the park service goes that begins something. A parker has chosen the address, in
// his Refer-To or his Contact, so it must not be that of the service itself, which would answer in another's name.
func (s *Server) parkCalls(ctx context.Context, req *sip.Request) (targets []target, missing *refusal) {
	if s.isOurs(&req.Recipient) {
		targets, missing = s.targets(ctx, req)
	} else {
		targets, missing = s.signedIn(ctx, *req.Recipient.Clone())
	}
	if s.arePark(targets) {
		return nil, &refusal{482, "Call Park Does Not Call Itself"}
	}
	return targets, missing
}

// signedIn finds who may be called at an address that is not of this domain: an endpoint that is signed in there, which is
// how parkers and callers without a GRUU are reached; and on an open server whoever is on loopback. Nothing in the address
// leads to anybody else (RFC 3261 §19.1.1, maddr), and who answers there is known by the sign-in.
func (s *Server) signedIn(ctx context.Context, uri sip.Uri) ([]target, *refusal) {
	uri.UriParams.Remove("maddr")
	b := s.location.byContact(&uri)
	if b == nil {
		b = s.location.byAddress(&uri)
	}
	if b != nil {
		if t, ok := s.bindingTarget(b); ok {
			t.uri = uri
			return []target{t}, nil
		}
	}
	if s.cfg.Open && isLoopback(bare(uri.Host)) {
		return s.located(ctx, uri, uri)
	}
	return nil, &refusal{403, "Nobody Is Signed In There"}
}

// vouch makes a request that is passed on say who sent it, as far as this server knows: sender, "" if it was not asked.
// Nothing that it says of itself reaches the next hop.
func (s *Server) vouch(req *sipua.Request, sender string, targets []target) {
	removeAll(req.Request, markHeader)
	if !s.isPark(req.Source()) {
		removeAll(req.Request, assertedHeader)
	}
	if !s.arePark(targets) {
		return
	}
	req.AppendHeader(sip.NewHeader(markHeader, s.parkMark(string(*req.CallID()))))
	if sender != "" {
		name := ""
		if from := req.From(); from.DisplayName != "" {
			name = `"` + from.DisplayName + `" ` // it has its escapes
		}
		req.AppendHeader(sip.NewHeader(assertedHeader, name+"<"+s.aor(sender)+">"))
	}
}

// removeAll removes every field of a name, however it is written.
func removeAll(msg interface {
	Headers() []sip.Header
	RemoveHeader(name string) bool
}, name string,
) {
	for _, h := range slices.Clone(msg.Headers()) {
		if strings.EqualFold(h.Name(), name) {
			msg.RemoveHeader(h.Name())
		}
	}
}
