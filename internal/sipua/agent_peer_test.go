package sipua

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Hosts of the tests; scripted parties live on peerHost.
const (
	aliceHost = "10.0.0.1"
	bobHost   = "10.0.0.2"
	peerHost  = "10.0.0.9"
)

// party is an agent with what it was given.
type party struct {
	*Agent
	t        *testing.T
	invites  chan *Invite // each waits for its decision; the handler lives until it is made
	messages chan *Request
}

// change alters the configuration of an agent.
type change func(*AgentConfig)

func password(user, secret string) change {
	return func(c *AgentConfig) {
		c.Credentials = func(context.Context) (string, Secret, error) { return user, Secret(secret), nil }
	}
}

func server(host string) change {
	return func(c *AgentConfig) { c.Server = sip.Uri{Scheme: "sip", Host: host, Port: 5060} }
}

// agent starts an agent of user@host on the world's network.
func (w *world) agent(user, host string, changes ...change) *party {
	w.t.Helper()
	return w.agentOn(w.stack(host), user, changes...)
}

// agentOn starts an agent on a stack of the test's own making.
func (w *world) agentOn(s *Stack, user string, changes ...change) *party {
	w.t.Helper()
	cfg := AgentConfig{
		Stack: s, AOR: sip.Uri{Scheme: "sip", User: user, Host: "example.org"},
		Instance: "urn:uuid:00000000-0000-1000-8000-" + fmt.Sprintf("%012s", user),
	}
	for _, c := range changes {
		c(&cfg)
	}
	a, err := NewAgent(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &party{Agent: a, t: w.t, invites: make(chan *Invite, 16), messages: make(chan *Request, 64)}
	a.Serve(Mux{
		Invite: func(ctx context.Context, inv *Invite) {
			p.invites <- inv
			select {
			case <-inv.decided:
			case <-ctx.Done():
			}
		},
		Message: func(_ context.Context, req *Request) {
			p.messages <- req
			_ = req.Respond(200, "OK")
		},
	})
	w.t.Cleanup(func() { _ = a.Close() })
	return p
}

// pair is alice and bob, who reach each other directly.
func pair(t *testing.T) (w *world, alice, bob *party) {
	w = newWorld(t)
	return w, w.agent("alice", aliceHost), w.agent("bob", bobHost)
}

func at(host string) sip.Uri { return sip.Uri{Scheme: "sip", User: "x", Host: host, Port: 5060} }

const offerType = "application/sdp"

var (
	offerBody  = []byte("v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\n")
	answerBody = []byte("v=0\r\no=- 2 1 IN IP4 10.0.0.2\r\ns=-\r\n")
)

func inviteTo(host string) InviteOptions {
	return InviteOptions{Target: at(host), ContentType: offerType, Body: offerBody}
}

// outcome is what Invite returned.
type outcome struct {
	dialog *Dialog
	res    *sip.Response
	err    error
}

// calling runs Invite in the background.
func (p *party) calling(ctx context.Context, opt InviteOptions) <-chan outcome {
	c := make(chan outcome, 1)
	go func() {
		d, res, err := p.Invite(ctx, opt)
		c <- outcome{d, res, err}
	}()
	return c
}

// answering runs Answer in the background.
func answering(ctx context.Context, inv *Invite) <-chan outcome {
	c := make(chan outcome, 1)
	go func() {
		d, err := inv.Answer(ctx, offerType, answerBody)
		c <- outcome{dialog: d, err: err}
	}()
	return c
}

// within waits for a value for at most d of the bubble's time.
func within[T any](t *testing.T, c <-chan T, d time.Duration, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(d):
		t.Fatalf("%s: nothing within %s", what, d)
	}
	panic("unreachable")
}

// call establishes a dialog between two agents.
func call(t *testing.T, alice, bob *party) (a, b *Dialog) {
	t.Helper()
	out := alice.calling(t.Context(), inviteTo(hostAddr(bob)))
	inv := within(t, bob.invites, time.Second, "INVITE")
	in := answering(t.Context(), inv)
	o := within(t, out, time.Second, "2xx")
	i := within(t, in, time.Second, "ACK")
	if o.err != nil || i.err != nil {
		t.Fatal(o.err, i.err)
	}
	return o.dialog, i.dialog
}

func hostAddr(p *party) string {
	a, _ := p.stack.Local("udp", netip.Addr{})
	return a.Addr().String()
}

// peer is a scripted party that sends literal messages.
type peer struct {
	t    *testing.T
	pc   net.PacketConn
	host string
	got  chan *sip.Request
	res  chan *sip.Response

	mu   sync.Mutex
	from net.Addr // Guarded by mu; of the last message
}

// peer opens a scripted party at host.
func (w *world) peer(host string) *peer {
	p := &peer{
		t: w.t, pc: w.socket(host + ":5060"), host: host,
		got: make(chan *sip.Request, 256), res: make(chan *sip.Response, 256),
	}
	go p.read()
	return p
}

func (p *peer) read() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := p.pc.ReadFrom(buf)
		if err != nil {
			return
		}
		msg, _, _ := decode(buf[:n], false)
		p.mu.Lock()
		p.from = from
		p.mu.Unlock()
		switch m := msg.(type) {
		case *sip.Request:
			p.got <- m
		case *sip.Response:
			p.res <- m
		}
	}
}

// request waits for the next request, which must be of the method.
func (p *peer) request(method sip.RequestMethod, d time.Duration) *sip.Request {
	p.t.Helper()
	req := within(p.t, p.got, d, string(method)+" at the peer")
	if req.Method != method {
		p.t.Fatalf("the peer got %s, want %s", req.Method, method)
	}
	return req
}

// quiet checks that no request comes for a while.
func (p *peer) quiet(d time.Duration) {
	p.t.Helper()
	select {
	case req := <-p.got:
		p.t.Fatalf("the peer got an unexpected %s", req.StartLine())
	case <-time.After(d):
	}
}

// response waits for the next response with the code to a method, letting provisional ones pass.
func (p *peer) response(code int, method sip.RequestMethod, d time.Duration) *sip.Response {
	p.t.Helper()
	for limit := time.After(d); ; {
		select {
		case res := <-p.res:
			if res.IsProvisional() && code >= 200 {
				continue
			}
			if res.StatusCode != code || res.CSeq().MethodName != method {
				p.t.Fatalf("the peer got %d to %s, want %d to %s", res.StatusCode, res.CSeq().MethodName, code, method)
			}
			return res
		case <-limit:
			p.t.Fatalf("no %d to %s within %s", code, method, d)
		}
	}
}

// write sends text with CRLF line ends and a Content-Length to host.
func (p *peer) write(host, text string) {
	p.t.Helper()
	head, body, _ := strings.Cut(strings.TrimLeft(text, "\n"), "\n\n")
	text = strings.ReplaceAll(strings.TrimRight(head, "\n"), "\n", "\r\n") +
		fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if _, err := p.pc.WriteTo([]byte(text), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(host+":5060"))); err != nil {
		p.t.Fatal(err)
	}
}

// reply sends a response to req with a To tag, if it is not "", and extra header lines.
func (p *peer) reply(req *sip.Request, code int, tag string, extra ...string) {
	p.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d Whatever\n", code)
	for _, v := range req.GetHeaders("Via") {
		fmt.Fprintf(&b, "Via: %s\n", v.Value())
	}
	for _, v := range req.GetHeaders("Record-Route") {
		fmt.Fprintf(&b, "Record-Route: %s\n", v.Value())
	}
	to := req.To().Value()
	if tag != "" && toTag(req) == "" {
		to += ";tag=" + tag
	}
	fmt.Fprintf(&b, "From: %s\nTo: %s\nCall-ID: %s\nCSeq: %s\n", req.From().Value(), to, req.CallID().Value(),
		req.CSeq().Value())
	if tag != "" && req.Method == sip.INVITE {
		fmt.Fprintf(&b, "Contact: <sip:%s@%s:5060>\n", tag, p.host)
	}
	for _, e := range extra {
		b.WriteString(e + "\n")
	}
	p.write(req.Via().Host, b.String())
}

// script is one call that a peer places or takes, for writing requests in it.
type script struct {
	peer          *peer
	host          string // of the agent
	callID        string
	local, remote string // tags; local is the peer's
	target        string // request URI
	seq           uint32
	branches      int
}

// dialing is a script for a call from the peer to an agent.
func (p *peer) dialing(host string) *script {
	return &script{
		peer: p, host: host, callID: "call-" + p.host, local: "peertag", target: "sip:bob@" + host + ":5060",
	}
}

// taken is a script for requests in a dialog that an agent's INVITE has created.
func (p *peer) taken(invite *sip.Request, tag string) *script {
	return &script{
		peer: p, host: invite.Via().Host, callID: invite.CallID().Value(), local: tag, remote: fromTag(invite),
		target: invite.Contact().Address.String(), seq: 100,
	}
}

// send writes a request; seq 0 takes the next number.
func (s *script) send(method sip.RequestMethod, seq uint32, body string, extra ...string) {
	s.peer.t.Helper()
	if seq == 0 {
		s.seq++
		seq = s.seq
	}
	s.branches++
	s.sendBranch(fmt.Sprintf("z9hG4bK-%s-%d", s.local, s.branches), method, seq, body, extra...)
}

// sendBranch is send with a branch of the test's choice: the same one makes a retransmission.
func (s *script) sendBranch(branch string, method sip.RequestMethod, seq uint32, body string, extra ...string) {
	s.peer.t.Helper()
	to := "<sip:bob@example.org>"
	if s.remote != "" {
		to += ";tag=" + s.remote
	}
	lines := []string{
		fmt.Sprintf("%s %s SIP/2.0", method, s.target),
		fmt.Sprintf("Via: SIP/2.0/UDP %s:5060;branch=%s;rport", s.peer.host, branch),
		"Max-Forwards: 70", fmt.Sprintf("From: <sip:peer@example.net>;tag=%s", s.local), "To: " + to,
		"Call-ID: " + s.callID, fmt.Sprintf("CSeq: %d %s", seq, method),
	}
	if !strings.Contains(strings.Join(extra, "\n"), "Contact:") {
		lines = append(lines, fmt.Sprintf("Contact: <sip:peer@%s:5060>", s.peer.host))
	}
	s.peer.write(s.host, strings.Join(append(lines, extra...), "\n")+"\n\n"+body)
}

// bubble runs a test in fake time; what is still running at its end fails it.
func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

// hostTable is a resolver that knows addresses and no services.
type hostTable map[string][]netip.Addr

func (h hostTable) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

func (h hostTable) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if addrs, ok := h[host]; ok {
		return addrs, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}
