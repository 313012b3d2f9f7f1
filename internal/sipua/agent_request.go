package sipua

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// NewRequest builds a request outside any dialog from this agent to target: From, To, Call-ID, CSeq, Max-Forwards,
// Allow and Supported where the method wants them, Contact for dialog-forming methods, the pre-loaded Route to the
// outbound proxy, Service-Route from the registration. The stack adds Via and User-Agent, and refuses header values that
// contain line breaks.
func (a *Agent) NewRequest(method sip.RequestMethod, target sip.Uri) *sip.Request {
	to := *target.Clone()
	to.Headers = nil
	req := sip.NewRequest(method, to)
	from := &sip.FromHeader{DisplayName: QuoteText(a.cfg.DisplayName), Address: a.AOR()}
	from.Params.Add("tag", newTag())
	id := sip.CallIDHeader(newCallID())
	forwards := sip.MaxForwardsHeader(70) // RFC 3261 §8.1.1.6
	toURI := *to.Clone()
	toURI.UriParams.Remove("transport") // RFC 3261 §19.1.1, Table 1: not allowed in To
	for _, h := range []sip.Header{
		from, &sip.ToHeader{Address: toURI}, &id, &sip.CSeqHeader{SeqNo: 1, MethodName: method}, &forwards,
	} {
		req.AppendHeader(h)
	}
	for _, u := range a.preloadedRoutes() {
		req.AppendHeader(&sip.RouteHeader{Address: u})
	}
	a.describe(req, method)
	return req
}

// describe adds what the other side should know of us: Contact, Allow and Supported, where the method wants them.
func (a *Agent) describe(req *sip.Request, method sip.RequestMethod) {
	if formsDialog(method) {
		contact := a.Contact()
		req.AppendHeader(&contact)
	}
	switch method {
	case sip.INVITE, sip.UPDATE, sip.REGISTER, sip.OPTIONS, sip.SUBSCRIBE, sip.REFER:
		req.AppendHeader(sip.NewHeader("Allow", a.allow))
		req.AppendHeader(sip.NewHeader("Supported", joinList(a.supported)))
	}
}

// formsDialog reports whether requests of the method carry a Contact: they open a dialog or refresh its target
// (RFC 3261 §12, RFC 3311 §5.1, RFC 3515 §2.1, RFC 6665 §4.1).
func formsDialog(m sip.RequestMethod) bool {
	switch m {
	case sip.INVITE, sip.UPDATE, sip.SUBSCRIBE, sip.REFER, sip.NOTIFY:
		return true
	}
	return false
}

// preloadedRoutes is the route of a request outside a dialog: the outbound proxy (RFC 3261 §8.1.2), then the service
// route of the registration (RFC 3608 §6.1), which often begins with that same proxy.
func (a *Agent) preloadedRoutes() []sip.Uri {
	a.mu.Lock()
	service := a.serviceRoute
	a.mu.Unlock()
	var routes []sip.Uri
	if a.cfg.Server.Host != "" {
		proxy := *a.cfg.Server.Clone()
		proxy.UriParams.Add("lr", "")
		if len(service) == 0 || !sameURI(&service[0], &proxy) {
			routes = append(routes, proxy)
		}
	}
	for _, u := range service {
		routes = append(routes, *u.Clone())
	}
	return routes
}

// Contact is the address this agent is reached at, with transport, for dialog-forming requests. It is a routable
// address, never a GRUU (proxies exist that do not look GRUUs up inside a dialog); GRUU returns what the registrar gave.
func (a *Agent) Contact() sip.ContactHeader {
	a.mu.Lock()
	home := a.home
	a.mu.Unlock()
	if home.Network == "" {
		home.Network = strings.ToLower(a.cfg.Server.UriParams.GetOr("transport", "udp"))
		if addr, err := netip.ParseAddr(bareHost(a.cfg.Server.Host)); err == nil {
			home.Addr = netip.AddrPortFrom(addr, uint16(a.cfg.Server.Port))
		}
	}
	return sip.ContactHeader{Address: a.contactFor(home)}
}

// contactFor is our address as the target should know it: what a server beyond a NAT has seen, else the listener's.
func (a *Agent) contactFor(to Target) sip.Uri {
	network := to.Network
	local, ok := a.stack.Local(network, to.Addr.Addr())
	for _, l := range a.stack.Addrs() { // a request may leave by a network that nothing listens on
		if ok {
			break
		}
		network = l.Network
		local, ok = a.stack.Local(network, to.Addr.Addr())
	}
	u := sip.Uri{Scheme: "sip", User: a.cfg.AOR.User, Host: hostOf(local.Addr()), Port: int(local.Port())}
	a.mu.Lock()
	seen := a.seen[network]
	home := a.home
	a.mu.Unlock()
	// A peer on our own side of the NAT gets the real address.
	if ap, err := netip.ParseAddrPort(seen); err == nil && to.Addr == home.Addr {
		u.Host, u.Port = hostOf(ap.Addr()), int(ap.Port())
	}
	if network != "udp" && network != "" {
		u.UriParams.Add("transport", network)
	}
	return u
}

// hostOf writes an address as the host of a URI (RFC 3261 §19.1.1: IPv6 in brackets).
func hostOf(a netip.Addr) string {
	if a.Is6() && !a.Is4In6() {
		return "[" + a.String() + "]"
	}
	return a.Unmap().String()
}

// retryAfter is a Retry-After header.
func retryAfter(seconds int) sip.Header { return sip.NewHeader("Retry-After", strconv.Itoa(seconds)) }

func joinList(list []string) string { return strings.Join(list, ", ") }
