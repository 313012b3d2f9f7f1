package service

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
	"offhook/internal/vnet"
	"offhook/park"
)

const (
	domain      = "example.test"
	serviceHost = "127.0.0.1"
	patience    = 4 * time.Second
)

// world is one service and telephones that reach it as if its proxy were between: they put the mark on and say who they are.
type world struct {
	t       *testing.T
	net     *vnet.Net
	service *Service
	phones  int

	mu      sync.Mutex
	changed map[string]int // Guarded by mu; how often Changed has named a user
	sent    []vnet.Packet  // Guarded by mu
}

func bubble(t *testing.T, f func(t *testing.T, w *world), change ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t, change...)) })
}

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, net: vnet.New(), changed: map[string]int{}}
	w.net.Default(vnet.Link{Delay: 2 * time.Millisecond})
	w.net.Tap(func(p vnet.Packet) {
		p.Data = append([]byte(nil), p.Data...)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent = append(w.sent, p)
	})
	cfg := Config{
		Domain: domain, Listen: []sipua.Listener{{Network: "udp", Address: serviceHost + ":5070"}},
		ListenPacket: w.net.ListenPacket, Media: netip.MustParseAddr(serviceHost),
		Lot: park.LotConfig{First: 701, Last: 705}, NoMusic: true, Policy: sdp.Off, Mark: mark,
		Changed: func(users []string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, u := range users {
				w.changed[u]++
			}
		},
	}
	if os.Getenv("PARK_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.service = s
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w
}

func mark(callID string) string { return "mark of " + callID }

// orbit finds an orbit in a state.
func (w *world) orbit(number string, state park.State) park.Orbit {
	w.t.Helper()
	synctest.Wait()
	o, _ := w.service.lot.Find(number)
	if o.State != state {
		w.t.Fatalf("orbit %s is %s, want %s", number, o.State, state)
	}
	return o
}

// sentTo are the messages that the service has sent to a telephone and that begin so.
func (w *world) sentTo(p *phone, prefix string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, packet := range w.sent {
		if packet.From.String() == serviceHost+":5070" && packet.To == p.at && strings.HasPrefix(string(packet.Data), prefix) {
			out = append(out, string(packet.Data))
		}
	}
	return out
}

// noCalls says that the service has nothing left of any call.
func (w *world) noCalls() {
	w.t.Helper()
	synctest.Wait()
	w.service.mu.Lock()
	defer w.service.mu.Unlock()
	if n, m := len(w.service.legs), len(w.service.parkeds); n != 0 || m != 0 {
		w.t.Errorf("%d legs and %d parked callers are left", n, m)
	}
}

// phone is a telephone with one account. What it answers is decided by its fields.
type phone struct {
	w        *world
	name     string
	at       netip.AddrPort
	stack    *sipua.Stack
	agent    *sipua.Agent
	invites  chan *sipua.Invite
	messages chan string
	canceled chan sipua.Reason // of INVITEs that rang
	policy   sdp.Policy        // set before the first call

	mu      sync.Mutex
	forward string // Guarded by mu; redirect every INVITE to this address
	refuse  int    // Guarded by mu; answer every INVITE with this status
	mute    bool   // Guarded by mu; let every INVITE ring, and answer none
}

// call is one call at a telephone.
type call struct {
	p           *phone
	dialog      *sipua.Dialog
	res         *sip.Response // of the INVITE, at the caller
	request     *sip.Request  // the INVITE, at the callee
	description *sdp.Negotiation
	requests    chan *sip.Request // what came in the dialog

	mu        sync.Mutex
	agreement sdp.Agreement // Guarded by mu
	hold      bool          // Guarded by mu
	status    int           // Guarded by mu; what re-INVITEs are answered with, 0: 200
	garble    bool          // Guarded by mu; answer the next re-INVITE with what makes no sense
}

func (w *world) phone(name string, change ...func(*sipua.AgentConfig)) *phone {
	w.t.Helper()
	w.phones++
	p := &phone{
		w: w, name: name, at: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 1, byte(w.phones)}), 5060),
		policy: sdp.Off, invites: make(chan *sipua.Invite, 8), messages: make(chan string, 8),
		canceled: make(chan sipua.Reason, 8),
	}
	stack, err := sipua.NewStack(context.Background(), sipua.StackConfig{
		Listeners: []sipua.Listener{{Network: "udp", Address: p.at.String()}}, ListenPacket: w.net.ListenPacket,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	p.stack = stack
	cfg := sipua.AgentConfig{
		Stack: stack, AOR: sip.Uri{Scheme: "sip", User: name, Host: domain}, DisplayName: strings.ToUpper(name[:1]) + name[1:],
		Supported: []string{"replaces"},
	}
	for _, f := range change {
		f(&cfg)
	}
	p.agent, err = sipua.NewAgent(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	p.agent.Serve(sipua.Mux{
		Invite: func(ctx context.Context, inv *sipua.Invite) {
			p.mu.Lock()
			refuse, mute, forward := p.refuse, p.mute, p.forward
			p.mu.Unlock()
			if forward != "" {
				if to, err := sipua.ParseURI(forward); err != nil || inv.Redirect(to) != nil {
					w.t.Error("not redirected", err)
				}
				return
			}
			if refuse != 0 {
				_ = inv.Reject(refuse, "No")
				return
			}
			if mute {
				_ = inv.Ringing()
				select {
				case <-inv.Canceled():
					p.canceled <- inv.CancelReason()
				case <-ctx.Done():
				}
				return
			}
			p.invites <- inv
			<-ctx.Done() // the test answers
		},
		Message: func(_ context.Context, req *sipua.Request) {
			p.messages <- string(req.Body())
			_ = req.Respond(200, "OK")
		},
	})
	w.t.Cleanup(func() { _ = p.agent.Close(); _ = stack.Close() })
	return p
}

func (p *phone) uri() string { return "sip:" + p.name + "@" + domain }

// contact is the URI of the device.
func (p *phone) contact() string { return fmt.Sprintf("sip:%s@%s", p.name, p.at) }

func (p *phone) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// identity is what the proxy adds.
func (p *phone) identity(callID string) []sip.Header {
	return []sip.Header{
		sip.NewHeader(headerMark, mark(callID)),
		sip.NewHeader("P-Asserted-Identity", fmt.Sprintf(`"%s" <%s>`, strings.ToUpper(p.name[:1])+p.name[1:], p.uri())),
	}
}

// local is what a telephone offers; nothing is sent or received.
func (p *phone) local(formats ...sdp.Format) sdp.Local {
	if len(formats) == 0 {
		formats = []sdp.Format{{PayloadType: 8, Name: "pcma", ClockRate: 8000}, {PayloadType: 0, Name: "pcmu", ClockRate: 8000}}
	}
	return sdp.Local{Addr: netip.AddrPortFrom(p.at.Addr(), 4000), Formats: formats, Policy: p.policy}
}

// at is a user at the service, as the proxy would find it.
func at(user string) sip.Uri {
	return sip.Uri{Scheme: "sip", User: user, Host: serviceHost, Port: 5070}
}

// dial calls a user of the service; the error is a *sipua.StatusError. The formats are those it can.
func (p *phone) dial(ctx context.Context, user string, formats []sdp.Format, headers ...sip.Header) (*call, error) {
	return p.dialTo(ctx, at(user), formats, headers...)
}

func (p *phone) dialTo(ctx context.Context, to sip.Uri, formats []sdp.Format, headers ...sip.Header) (*call, error) {
	c := &call{p: p, description: sdp.NewNegotiation(p.local(formats...)), requests: make(chan *sip.Request, 64)}
	offer, err := c.description.Offer(sdp.Both)
	if err != nil {
		return nil, err
	}
	id := newCallID()
	d, res, err := p.agent.Invite(ctx, sipua.InviteOptions{
		Target: to, ContentType: body.TypeSDP, Body: offer, CallID: id, Headers: append(p.identity(id), headers...),
	})
	if err != nil {
		return nil, err
	}
	c.dialog, c.res = d, res
	if c.agreement, err = c.description.Accept(res.Body()); err != nil {
		return nil, err
	}
	go c.run()
	return c, nil
}

// mustDial calls, and the call has to be answered.
func (p *phone) mustDial(user string, headers ...sip.Header) *call {
	p.w.t.Helper()
	ctx, cancel := context.WithTimeout(p.w.t.Context(), patience)
	defer cancel()
	c, err := p.dial(ctx, user, nil, headers...)
	if err != nil {
		p.w.t.Fatalf("%s dials %s: %v", p.name, user, err)
	}
	return c
}

// answer takes the next call.
func (p *phone) answer(formats ...sdp.Format) *call {
	p.w.t.Helper()
	select {
	case inv := <-p.invites:
		return p.accept(inv, formats...)
	case <-time.After(patience):
		p.w.t.Fatalf("nobody calls %s", p.name)
	}
	return nil
}

func (p *phone) accept(inv *sipua.Invite, formats ...sdp.Format) *call {
	p.w.t.Helper()
	c, err := p.tryAccept(inv, formats...)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return c
}

func (p *phone) tryAccept(inv *sipua.Invite, formats ...sdp.Format) (*call, error) {
	c := &call{
		p: p, request: inv.Request(), description: sdp.NewNegotiation(p.local(formats...)), requests: make(chan *sip.Request, 64),
	}
	answer, agreed, err := c.description.Answer(inv.Request().Body(), sdp.Both)
	if err != nil {
		return nil, err
	}
	c.agreement = agreed
	if c.dialog, err = inv.Answer(p.w.t.Context(), body.TypeSDP, answer); err != nil {
		return nil, err
	}
	go c.run()
	return c, nil
}

// run answers what comes in the dialog.
func (c *call) run() {
	for {
		req, err := c.dialog.Next(context.Background())
		if err != nil {
			return
		}
		c.serve(req)
		c.requests <- req.Request
	}
}

func (c *call) serve(req *sipua.Request) {
	if req.Method != sip.INVITE {
		_ = req.Respond(200, "OK")
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status != 0 {
		_ = req.Respond(c.status, "No")
		return
	}
	if c.garble {
		c.garble = false
		_ = req.Send(req.Response(200, "OK", []byte("v=0\r\n"), sip.NewHeader("Content-Type", body.TypeSDP)))
		return
	}
	want := sdp.Both
	if c.hold {
		want = sdp.Sending
	}
	answer, agreed, err := c.description.Answer(req.Body(), want)
	if err != nil {
		_ = req.Respond(488, "Not Acceptable Here")
		return
	}
	c.agreement = agreed
	_ = req.Send(req.Response(200, "OK", answer, sip.NewHeader("Content-Type", body.TypeSDP)))
}

func (c *call) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// media is what has been agreed last.
func (c *call) media() sdp.Agreement {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agreement
}

// offer sends a re-INVITE.
func (c *call) offer(want sdp.Direction) {
	c.p.w.t.Helper()
	res, err := c.dialog.Propose(c.p.w.t.Context(), sipua.Offer{
		Method: sip.INVITE, Describe: func() (string, []byte, error) {
			b, err := c.description.Offer(want)
			return body.TypeSDP, b, err
		},
		Refused: c.description.Rollback,
	})
	if err != nil {
		c.p.w.t.Fatal(err)
	}
	c.set(func() {
		c.hold = want == sdp.Sending
		if c.agreement, err = c.description.Accept(res.Body()); err != nil {
			c.p.w.t.Fatal(err)
		}
	})
}

// expect waits for a request in the dialog.
func (c *call) expect(method sip.RequestMethod) *sip.Request {
	c.p.w.t.Helper()
	for {
		select {
		case req := <-c.requests:
			if req.Method == method {
				return req
			}
		case <-time.After(patience):
			c.p.w.t.Fatalf("no %s comes to %s", method, c.p.name)
		}
	}
}

// expectEnd waits for the other side's BYE.
func (c *call) expectEnd() sipua.Reason {
	c.p.w.t.Helper()
	return c.expectEndWithin(patience)
}

func (c *call) expectEndWithin(limit time.Duration) sipua.Reason {
	c.p.w.t.Helper()
	select {
	case <-c.dialog.Done():
	case <-time.After(limit):
		c.p.w.t.Fatalf("the call of %s goes on", c.p.name)
	}
	return c.dialog.End().Reason
}

// alive says that the call goes on.
func (c *call) alive() {
	c.p.w.t.Helper()
	synctest.Wait()
	if end := c.dialog.End(); end != nil {
		c.p.w.t.Fatalf("the call of %s has ended: %v", c.p.name, end)
	}
}

func (c *call) hangUp() { _ = c.dialog.Bye(context.Background(), "") }

// talk makes a call between two telephones, directly.
func (w *world) talk(caller, callee *phone) (at, there *call) {
	w.t.Helper()
	done := make(chan *call, 1)
	go func() {
		to, err := sipua.ParseURI(callee.contact())
		if err != nil {
			w.t.Error(err)
			return
		}
		c, err := caller.dialTo(w.t.Context(), to, nil)
		if err != nil {
			w.t.Error(err)
		}
		done <- c
	}()
	there = callee.answer()
	return <-done, there
}
