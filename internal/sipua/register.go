package sipua

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Times of registration.
const (
	defaultExpires = 10 * time.Minute
	// RFC 5626 §4.5: the wait after the n-th failure in a row is drawn from the upper half of base*2^n, at most maxBackoff.
	// Its 30 s and 30 min are meant for telephones by the thousand behind one server; a person who has just started the
	// server again is looking at the screen. These come to five tries in the first minute and one in five minutes later.
	baseBackoff = time.Second
	maxBackoff  = 5 * time.Minute
	// unregisterTimeout bounds the farewell, so that a program whose server is gone still ends.
	unregisterTimeout = 3 * time.Second
)

// RegistrationState is how a registration stands.
type RegistrationState struct {
	State     string // registering, registered, failed, unregistered
	Expires   time.Duration
	Bindings  []sip.ContactHeader // all bindings of the AOR as the registrar lists them
	Instances int                 // distinct instances among them (see protocol notes)
	Retry     time.Duration       // with failed: when it is tried again; 0 means never
	Err       error               // with failed
}

// registration is one run of Register.
type registration struct {
	// Owned by Register
	agent    *Agent
	expires  time.Duration // asked for; raised by 423
	callID   string        // the same for all registrations of a run (RFC 3261 §10.2.4)
	tag      string
	seq      uint32
	contact  sip.Uri // registered last
	failures int     // in a row
	outbound bool    // ask for RFC 5626 handling
	moved    bool    // the last registration was repeated because of a NAT

	interrupted bool // ctx ended while a registration was under way: it may have come through
}

// Register keeps this agent registered until ctx ends, then unregisters (with a fresh, short context) and returns nil. It
// refreshes before expiry, honours Min-Expires (423), backs off with jitter on failure (RFC 5626 §4.5), and registers again at
// once after a network change, a clock jump (suspend), or a lost flow; it keeps the flow alive with CRLF (RFC 5626 §3.5.1).
// state is called on this goroutine for every change. Credentials that are refused twice, and 403, end it with an error.
func (a *Agent) Register(ctx context.Context, expires time.Duration, state func(RegistrationState)) error {
	if expires <= 0 {
		expires = defaultExpires
	}
	r := &registration{
		agent: a, expires: expires, callID: newCallID(), tag: newTag(), outbound: a.cfg.Instance != "",
	}
	ctx, stop := a.bind(ctx)
	defer stop()
	for ctx.Err() == nil {
		state(RegistrationState{State: "registering"})
		now, err := r.register(ctx)
		if ctx.Err() != nil {
			r.interrupted = true
			break
		}
		if err != nil {
			now = r.failed(err)
		}
		state(now)
		if err != nil && now.Retry == 0 {
			return err
		}
		if why := r.wait(ctx, now); why != "" {
			a.log.Info("registering again", "why", why)
		}
	}
	r.unregister()
	state(RegistrationState{State: "unregistered"})
	return nil
}

// Reregister asks a running Register to register again now.
func (a *Agent) Reregister() {
	select {
	case a.again <- struct{}{}:
	default:
	}
}

// register runs one registration to its result, adapting to what the registrar asks for.
func (r *registration) register(ctx context.Context) (RegistrationState, error) {
	for range 4 {
		res, contact, err := r.send(ctx, r.expires)
		if err != nil {
			if r.adapt(res) {
				continue
			}
			return RegistrationState{}, err
		}
		r.contact = contact
		found := r.agent.natFound(res)
		if found && !r.moved {
			// The address that the server saw replaces ours, once: a NAT that changes it each time is beyond help.
			r.moved = true
			continue
		}
		r.moved = found
		r.failures = 0
		return r.accept(res), nil
	}
	return RegistrationState{}, errors.New("sipua: the registrar keeps asking for something else")
}

// adapt changes the next attempt as a refusal demands. It reports false if there is nothing to change.
func (r *registration) adapt(res *sip.Response) bool {
	if res == nil {
		return false
	}
	switch res.StatusCode {
	case 423: // RFC 3261 §10.2.8
		least, ok := seconds(res, "min-expires")
		if !ok || least <= r.expires {
			return false
		}
		r.expires = least
		return true
	case 439, 420: // RFC 5626 §11.6: the first hop does not know outbound
		had := r.outbound
		r.outbound = false
		return had
	}
	return false
}

// send sends one REGISTER and returns the contact that it registered. expires 0 removes our binding.
func (r *registration) send(ctx context.Context, expires time.Duration) (*sip.Response, sip.Uri, error) {
	a := r.agent
	registrar := sip.Uri{Scheme: a.cfg.AOR.Scheme, Host: a.cfg.AOR.Host, Port: a.cfg.AOR.Port} // RFC 3261 §10.2
	req := a.NewRequest(sip.REGISTER, registrar)
	to := &sip.ToHeader{Address: a.AOR()}
	from := req.From()
	from.Params = sip.HeaderParams{{K: "tag", V: r.tag}}
	id := sip.CallIDHeader(r.callID)
	r.seq++
	req.CSeq().SeqNo = r.seq
	req.ReplaceHeader(to)
	req.ReplaceHeader(&id)
	r.onlyProxyRoute(req)
	if r.outbound {
		req.ReplaceHeader(sip.NewHeader("Supported", "path, outbound, gruu"))
	} else {
		req.ReplaceHeader(sip.NewHeader("Supported", "path, gruu"))
	}
	targets, err := a.targets(ctx, route{hop: hopOf(req)})
	if err != nil {
		return nil, sip.Uri{}, err
	}
	a.mu.Lock()
	if a.home.Network == "" || !slices.Contains(targets, a.home) {
		a.home = targets[0]
	}
	home := a.home
	a.mu.Unlock()
	// The Contact depends on where the request goes.
	contact := a.contactFor(home)
	if r.contact.Host != "" && !sameURI(&r.contact, &contact) {
		old := &sip.ContactHeader{Address: r.contact} // we have moved; without this the old address would ring on
		old.Params.Add("expires", "0")
		req.AppendHeader(old)
	}
	req.AppendHeader(r.binding(contact, expires))
	next := func() uint32 { r.seq++; return r.seq }
	res, err := a.exchange(ctx, req, route{hop: hopOf(req)}, next)
	return res, contact, err
}

// onlyProxyRoute takes the service route out of a REGISTER: it is for other requests (RFC 3608 §6.1).
func (r *registration) onlyProxyRoute(req *sip.Request) {
	for req.RemoveHeader("Route") {
	}
	if server := r.agent.cfg.Server; server.Host != "" {
		proxy := *server.Clone()
		proxy.UriParams.Add("lr", "")
		req.AppendHeader(&sip.RouteHeader{Address: proxy})
	}
}

// binding is our Contact in a REGISTER (RFC 5626 §4.2).
func (r *registration) binding(contact sip.Uri, expires time.Duration) *sip.ContactHeader {
	h := &sip.ContactHeader{Address: contact}
	if instance := r.agent.cfg.Instance; instance != "" {
		h.Params.Add("+sip.instance", `"<`+instance+`>"`)
		if r.outbound {
			h.Params.Add("reg-id", "1")
		}
	}
	for _, p := range r.agent.cfg.ContactParams {
		h.Params.Add(p.K, p.V)
	}
	h.Params.Add("expires", fmt.Sprint(int(expires/time.Second)))
	return h
}

// failed counts a failure and says when to try again. What no repetition can cure is not repeated.
func (r *registration) failed(err error) RegistrationState {
	s := RegistrationState{State: "failed", Err: err}
	if hasStatus(err, 401, 403, 404, 407) {
		return s
	}
	r.failures++
	s.Retry = backoff(r.failures)
	var status *StatusError
	if errors.As(err, &status) && status.Response != nil {
		if d, ok := seconds(status.Response, "retry-after"); ok {
			s.Retry = max(s.Retry, min(d, maxBackoff))
		}
	}
	return s
}

// backoff draws the wait after the n-th failure in a row.
func backoff(n int) time.Duration {
	most := min(baseBackoff<<min(n, 16), maxBackoff)
	return most/2 + rand.N(most/2+1)
}

// refreshIn is when a granted registration is renewed: at half of short ones and at 85 % of long ones, with a little
// spread so that the clients of a restarted server do not come back together.
func refreshIn(granted time.Duration) time.Duration {
	granted = max(granted, 4*time.Second)
	d := granted / 2
	if granted > 2*time.Minute {
		d = granted * 85 / 100
	}
	return d - rand.N(d/20+1)
}

// unregister removes our binding and no other (RFC 3261 §10.2.2).
func (r *registration) unregister() {
	if r.contact.Host == "" && !r.interrupted || r.agent.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), unregisterTimeout, ErrTimeout)
	defer cancel()
	if _, _, err := r.send(ctx, 0); err != nil {
		r.agent.log.Info("unregister failed", "err", err)
	}
	r.agent.mu.Lock()
	r.agent.gruu, r.agent.serviceRoute = "", nil
	r.agent.mu.Unlock()
}

// natFound looks at the Via of a response for the address that the server saw (RFC 3581). It reports whether our
// Contact changes by that.
func (a *Agent) natFound(res *sip.Response) bool {
	via := res.Via()
	received, ok := via.Params.Get("received")
	host, err := netip.ParseAddr(bareHost(received))
	if !ok || err != nil {
		if host, err = netip.ParseAddr(bareHost(via.Host)); err != nil {
			return false
		}
	}
	port := via.Port
	if v, ok := via.Params.Get("rport"); ok {
		if n, ok := parseLength(v); ok && n > 0 && n < 1<<16 {
			port = n
		}
	}
	network := strings.ToLower(via.Transport)
	a.mu.Lock()
	home := a.home
	a.mu.Unlock()
	local, listening := a.stack.Local(network, home.Addr.Addr())
	if !listening {
		return false
	}
	seen := netip.AddrPortFrom(host.Unmap(), uint16(port))
	if seen == local || network != "udp" && seen.Addr() == local.Addr() {
		seen = netip.AddrPort{} // a connection's own port says nothing about where we listen
	}
	text := ""
	if seen.IsValid() {
		text = seen.String()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := a.seen[network] != text
	a.seen[network] = text
	return changed
}
