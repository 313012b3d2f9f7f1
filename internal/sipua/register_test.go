package sipua

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

const serverHost = "10.0.0.7"

// registrar is a server for tests: it challenges, then does what answer says.
type registrar struct {
	*Stack
	auth   *Authenticator // nil: open
	answer func(req *Request)

	mu   sync.Mutex
	seen []*sip.Request // Guarded by mu; that passed the challenge
	all  int            // Guarded by mu; REGISTERs counted with those that were challenged
}

func (w *world) registrar(users map[string]string, answer func(*Request)) *registrar {
	r := &registrar{Stack: w.stack(serverHost), answer: answer}
	if users != nil {
		r.auth = NewAuthenticator("example.org", func(user string) (HA1, bool) {
			secret, ok := users[user]
			return NewHA1(user, "example.org", Secret(secret)), ok
		})
	}
	r.Serve(r.serve)
	return r
}

func (r *registrar) serve(_ context.Context, req *Request) {
	r.mu.Lock()
	r.all++
	r.mu.Unlock()
	if r.auth != nil {
		user, stale, err := r.auth.Verify(req.Request, false)
		if err != nil || user == "" {
			_ = req.Respond(401, "Unauthorized", r.auth.Challenge(stale, false)...)
			return
		}
	}
	r.mu.Lock()
	r.seen = append(r.seen, req.Request)
	r.mu.Unlock()
	r.answer(req)
}

func (r *registrar) requests() []*sip.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

func (r *registrar) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

// granting answers 200 with our contact for so many seconds, besides extra headers.
func granting(expires int, extra ...sip.Header) func(*Request) {
	return func(req *Request) {
		var contact *sip.ContactHeader
		for _, h := range req.GetHeaders("Contact") {
			if c := h.(*sip.ContactHeader); c.Params.GetOr("expires", "") != "0" {
				contact = c.Clone()
			}
		}
		if contact == nil {
			_ = req.Respond(200, "OK")
			return
		}
		contact.Params.Add("expires", fmt.Sprint(expires))
		_ = req.Respond(200, "OK", append([]sip.Header{contact}, extra...)...)
	}
}

// registering runs Register in the background and returns its states and its end.
func (p *party) registering(ctx context.Context, expires time.Duration) (<-chan RegistrationState, <-chan error) {
	states, end := make(chan RegistrationState, 256), make(chan error, 1)
	go func() { end <- p.Register(ctx, expires, func(s RegistrationState) { states <- s }) }()
	return states, end
}

// state waits for the next state, which must be named so.
func state(t *testing.T, states <-chan RegistrationState, d time.Duration, name string) RegistrationState {
	t.Helper()
	s := within(t, states, d, name)
	if s.State != name {
		t.Fatalf("state %s (%v), want %s", s.State, s.Err, name)
	}
	return s
}

func TestRegisterRefreshesAndUnregisters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.registrar(map[string]string{"alice": "wonder"}, granting(200))
		alice := w.agent("alice", aliceHost, server(serverHost), password("alice", "wonder"))
		ctx, cancel := context.WithCancel(t.Context())
		states, end := alice.registering(ctx, time.Hour)
		state(t, states, time.Second, "registering")
		if s := state(t, states, time.Second, "registered"); s.Expires != 200*time.Second || s.Instances != 1 {
			t.Errorf("%+v", s)
		}
		if r.count() != 2 {
			t.Errorf("%d requests, want one challenged and one good", r.count())
		}
		start := time.Now()
		state(t, states, 200*time.Second, "registering")
		if waited := time.Since(start).Seconds(); waited < 160 || waited > 170 {
			t.Errorf("refreshed after %.0f s", waited)
		}
		state(t, states, time.Second, "registered")
		if r.count() != 3 {
			t.Errorf("%d requests: the refresh did not use what it knew", r.count())
		}
		cancel()
		state(t, states, time.Second, "unregistered")
		if err := within(t, end, time.Second, "end"); err != nil {
			t.Error(err)
		}
		all := r.requests()
		last := all[len(all)-1]
		if last.Contact().Params.GetOr("expires", "") != "0" || last.Contact().Address.Wildcard {
			t.Errorf("farewell %s", last)
		}
		for i, req := range all {
			if req.CallID().Value() != all[0].CallID().Value() || i > 0 && req.CSeq().SeqNo <= all[i-1].CSeq().SeqNo {
				t.Errorf("request %d: %s, CSeq %s", i, req.CallID().Value(), req.CSeq().Value())
			}
		}
	})
}

func TestRegisterReadsTheWholeAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		registrar := w.peer(serverHost)
		alice := w.agent("alice", aliceHost, server(serverHost))
		states, _ := alice.registering(t.Context(), time.Hour)
		req := registrar.request(sip.REGISTER, time.Second)
		own := req.Contact().Params.GetOr("+sip.instance", "")
		// One line for all bindings, as Kamailio writes it; ours is found by its instance, not its address.
		registrar.reply(req, 200, "t", `Contact: <sip:a@10.1.1.1>;expires=99;+sip.instance="<urn:uuid:1>";reg-id=1, `+
			`<sip:a@10.1.1.2>;expires=98;+sip.instance="<urn:uuid:1>";reg-id=2, <sip:phone@10.1.1.3>;expires=97, `+
			`<sip:rewritten@10.1.1.4>;expires=300;pub-gruu="sip:alice@example.org;gr=urn:uuid:5";+sip.instance=`+own,
			"Service-Route: <sip:edge@10.0.0.8;lr>, <sip:core@10.0.0.9;lr>")
		state(t, states, time.Second, "registering")
		s := state(t, states, time.Second, "registered")
		if s.Expires != 300*time.Second || s.Instances != 3 || len(s.Bindings) != 4 {
			t.Errorf("%+v", s)
		}
		if alice.GRUU() != "sip:alice@example.org;gr=urn:uuid:5" {
			t.Errorf("GRUU %q", alice.GRUU())
		}
		msg := alice.NewRequest(sip.MESSAGE, at(bobHost))
		var routes []string
		for _, h := range msg.GetHeaders("Route") {
			routes = append(routes, h.(*sip.RouteHeader).Address.Host)
		}
		if got := strings.Join(routes, " "); got != serverHost+" 10.0.0.8 10.0.0.9" {
			t.Errorf("route of a request: %s", got)
		}
		if c := alice.Contact(); c.Address.Host != aliceHost {
			t.Errorf("Contact %s", c.Value())
		}
	})
}

func TestRegisterHonoursMinExpires(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.registrar(nil, func(req *Request) {
			if d, _ := parseSeconds(req.Contact().Params.GetOr("expires", "")); d < 900*time.Second {
				_ = req.Respond(423, "Interval Too Brief", sip.NewHeader("Min-Expires", "900"))
				return
			}
			granting(900)(req)
		})
		alice := w.agent("alice", aliceHost, server(serverHost))
		states, _ := alice.registering(t.Context(), time.Minute)
		state(t, states, time.Second, "registering")
		if s := state(t, states, time.Second, "registered"); s.Expires != 900*time.Second || r.count() != 2 {
			t.Errorf("%+v after %d requests", s, r.count())
		}
	})
}

func TestRegisterGivesUpOnRefusedCredentials(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.registrar(map[string]string{"alice": "wonder"}, granting(600))
		alice := w.agent("alice", aliceHost, server(serverHost), password("alice", "wrong"))
		states, end := alice.registering(t.Context(), time.Hour)
		state(t, states, time.Second, "registering")
		if s := state(t, states, time.Second, "failed"); s.Retry != 0 || !hasStatus(s.Err, 401) {
			t.Errorf("%+v", s)
		}
		if err := within(t, end, time.Second, "end"); !hasStatus(err, 401) {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if r.count() != 2 {
			t.Errorf("%d requests", r.count()) // an account must not be locked by our repeating
		}
	})
}

func TestRegisterEndsOnForbidden(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.registrar(nil, func(req *Request) { _ = req.Respond(403, "Forbidden") })
		_, end := w.agent("alice", aliceHost, server(serverHost)).registering(t.Context(), time.Hour)
		if err := within(t, end, time.Second, "end"); !hasStatus(err, 403) {
			t.Error(err)
		}
	})
}

func TestRegisterBacksOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.registrar(nil, func(req *Request) { _ = req.Respond(500, "Server Internal Error") })
		alice := w.agent("alice", aliceHost, server(serverHost))
		states, _ := alice.registering(t.Context(), time.Hour)
		for n, most := 1, 2*baseBackoff; n <= 12; n++ {
			state(t, states, maxBackoff, "registering")
			s := state(t, states, time.Second, "failed")
			if s.Retry < most/2 || s.Retry > most {
				t.Errorf("failure %d: again in %s, want %s to %s", n, s.Retry, most/2, most)
			}
			most = min(2*most, maxBackoff)
		}
		if r.count() != 12 {
			t.Errorf("%d requests", r.count())
		}
	})
}

func TestRegisterAgainAtOnce(t *testing.T) {
	for _, c := range []struct {
		name    string
		disturb func(w *world, p *party, c *fakeClock)
	}{
		{"asked", func(_ *world, p *party, _ *fakeClock) { p.Reregister() }},
		{"suspend", func(_ *world, _ *party, c *fakeClock) { c.skew(31 * time.Second) }},
		{"network", func(_ *world, _ *party, c *fakeClock) { c.move("10.0.7.7:5060") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				w.registrar(nil, granting(3600))
				clock := &fakeClock{}
				alice := w.agent("alice", aliceHost, server(serverHost))
				alice.clock.wall, alice.clock.local = clock.now, clock.local
				states, _ := alice.registering(t.Context(), time.Hour)
				state(t, states, time.Second, "registering")
				state(t, states, time.Second, "registered")
				time.Sleep(10 * time.Minute)
				clock.skew(20 * time.Second) // time is set now and then; that is no reason
				time.Sleep(time.Minute)
				if len(states) != 0 {
					t.Fatal("registered again without a reason")
				}
				c.disturb(w, alice, clock)
				state(t, states, watchInterval+time.Second, "registering")
				state(t, states, time.Second, "registered")
			})
		})
	}
}

// fakeClock is a wall clock that can be set, and an address that can change.
type fakeClock struct {
	mu    sync.Mutex
	ahead time.Duration
	addr  netip.AddrPort
}

func (c *fakeClock) skew(d time.Duration) { c.mu.Lock(); c.ahead += d; c.mu.Unlock() }
func (c *fakeClock) move(addr string) {
	c.mu.Lock()
	c.addr = netip.MustParseAddrPort(addr)
	c.mu.Unlock()
}

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Round(0).Add(c.ahead)
}

func (c *fakeClock) local(Target) (netip.AddrPort, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addr, true
}

// Behind a NAT the address that the server saw is registered, once, and the private one taken back.
func TestRegisterBehindNAT(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		registrar := w.peer(serverHost)
		alice := w.agent("alice", aliceHost, server(serverHost))
		states, _ := alice.registering(t.Context(), time.Hour)
		reply := func(req *sip.Request) {
			via := req.Via().Clone()
			via.Params.Add("rport", "61000")
			via.Params.Add("received", "203.0.113.5")
			seen := req.Clone()
			seen.ReplaceHeader(via)
			registrar.reply(seen, 200, "t")
		}
		reply(registrar.request(sip.REGISTER, time.Second))
		again := registrar.request(sip.REGISTER, time.Second)
		var got []string
		for _, h := range again.GetHeaders("Contact") {
			c := h.(*sip.ContactHeader)
			got = append(got, c.Address.Host+" "+c.Params.GetOr("expires", ""))
		}
		if !slices.Equal(got, []string{aliceHost + " 0", "203.0.113.5 3600"}) {
			t.Errorf("contacts %q", got)
		}
		reply(again)
		state(t, states, time.Second, "registering")
		state(t, states, time.Second, "registered")
		if c := alice.Contact(); c.Address.Host != "203.0.113.5" || c.Address.Port != 61000 {
			t.Errorf("Contact %s", c.Value())
		}
		registrar.quiet(20 * time.Minute)
		if n := len(w.times(aliceHost+":5060", "\r\n\r\n")); n < 30 {
			t.Errorf("%d keep-alives in 20 minutes", n)
		}
	})
}

func TestRegisterSurvivesASilentServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice := w.agent("alice", aliceHost, server(serverHost))
		ctx, cancel := context.WithCancel(t.Context())
		states, end := alice.registering(ctx, time.Hour)
		state(t, states, time.Second, "registering")
		if s := state(t, states, time.Minute, "failed"); !errors.Is(s.Err, ErrTimeout) || s.Retry < baseBackoff || s.Retry > 2*baseBackoff {
			t.Errorf("%+v", s)
		}
		cancel()
		if err := within(t, end, time.Second, "end"); err != nil {
			t.Error(err)
		}
	})
}

// A connection that the server closes is opened and registered again.
func TestRegisterAgainAfterLostFlow(t *testing.T) {
	srv := loopback(t, StackConfig{}, "tcp")
	srv.Serve(func(_ context.Context, req *Request) { granting(600)(req) })
	addr := targetOf(t, srv, "tcp").Addr
	alice, err := NewAgent(AgentConfig{
		Stack: loopback(t, StackConfig{}, "tcp"), AOR: sip.Uri{Scheme: "sip", User: "alice", Host: "127.0.0.1"},
		Server: sip.Uri{
			Scheme: "sip", Host: "127.0.0.1", Port: int(addr.Port()),
			UriParams: sip.HeaderParams{{K: "transport", V: "tcp"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	alice.Serve(Mux{})
	defer alice.Close()
	p := &party{Agent: alice, t: t}
	ctx, cancel := context.WithCancel(t.Context())
	states, end := p.registering(ctx, time.Hour)
	state(t, states, 10*time.Second, "registering")
	state(t, states, 10*time.Second, "registered")
	if c := alice.Contact(); c.Address.UriParams.GetOr("transport", "") != "tcp" {
		t.Errorf("Contact %s", c.Value())
	}
	// A flow that ends right away counts as a failure: the server is not asked at once.
	_ = srv.Close()
	<-alice.stack.FlowDone(Target{Network: "tcp", Addr: addr})
	cancel()
	state(t, states, 10*time.Second, "unregistered")
	if err := <-end; err != nil {
		t.Error(err)
	}
}

func TestBackoffBounds(t *testing.T) {
	for n := 1; n < 40; n++ {
		for range 50 {
			if d := backoff(n); d < baseBackoff || d > maxBackoff {
				t.Fatalf("failure %d: %s", n, d)
			}
		}
	}
}

func TestRefreshBeforeExpiry(t *testing.T) {
	for _, granted := range []time.Duration{0, time.Second, 10 * time.Second, time.Minute, time.Hour} {
		for range 50 {
			if d := refreshIn(granted); d <= 0 || granted > 4*time.Second && d > granted*9/10 {
				t.Fatalf("granted %s, refreshed in %s", granted, d)
			}
		}
	}
}
