package event

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
	"offhook/internal/vnet"
)

var (
	userAddr = netip.MustParseAddr("192.0.2.1")
	peerAddr = netip.MustParseAddr("192.0.2.10")
)

// world is one user's agent and one scripted server, both on a network in memory. The test is the server: it reads each
// request and says what to answer.
type world struct {
	t     *testing.T
	net   *vnet.Net
	agent *sipua.Agent
	stack *sipua.Stack // the server's
	calls chan *call
	seq   uint32 // CSeq of the server's NOTIFYs
}

// call is a request that the server has received. Its handler stays until it is answered.
type call struct {
	*sipua.Request
	answered chan struct{}
}

// bubble runs a story in fake time.
func bubble(t *testing.T, story func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: vnet.New(), calls: make(chan *call, 100)}
		w.stack = w.openStack("192.0.2.10:5060")
		w.stack.Serve(func(ctx context.Context, req *sipua.Request) {
			c := &call{req, make(chan struct{})}
			w.calls <- c
			select {
			case <-c.answered:
			case <-ctx.Done():
			case <-time.After(time.Minute):
			}
		})
		user := w.openStack("192.0.2.1:5060")
		agent, err := sipua.NewAgent(sipua.AgentConfig{
			Stack: user, AOR: uri(t, "sip:alice@example.org"), Server: uri(t, "sip:192.0.2.10:5060;transport=udp"),
		})
		if err != nil {
			t.Fatal(err)
		}
		w.agent = agent
		agent.Serve(sipua.Mux{})
		story(t, w)
		_ = agent.Close()
		_ = user.Close()
		_ = w.stack.Close()
	})
}

func (w *world) openStack(address string) *sipua.Stack {
	w.t.Helper()
	s, err := sipua.NewStack(w.t.Context(), sipua.StackConfig{
		Listeners: []sipua.Listener{{Network: "udp", Address: address}}, ListenPacket: w.net.ListenPacket,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func uri(t *testing.T, s string) sip.Uri {
	t.Helper()
	u, err := sipua.ParseURI(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// expect waits for the next request and checks its method.
func (w *world) expect(method sip.RequestMethod) *call {
	w.t.Helper()
	select {
	case c := <-w.calls:
		if c.Method != method {
			w.t.Fatalf("received %s, want %s", c.Method, method)
		}
		return c
	case <-time.After(2 * time.Hour):
		w.t.Fatalf("no %s within two hours", method)
		return nil
	}
}

// expectNothing checks that no request comes for a while.
func (w *world) expectNothing(d time.Duration) {
	w.t.Helper()
	select {
	case c := <-w.calls:
		w.t.Fatalf("received %s within %v", c.Method, d)
	case <-time.After(d):
	}
}

// sleep lets fake time pass.
func (w *world) sleep(d time.Duration) {
	w.t.Helper()
	time.Sleep(d)
}

// answer ends a request. fields are header lines, such as "Expires: 60".
func (c *call) answer(t *testing.T, code int, fields ...string) {
	t.Helper()
	var headers []sip.Header
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		headers = append(headers, sip.NewHeader(name, value))
	}
	if code < 300 && c.Method == sip.SUBSCRIBE {
		headers = append(headers, &sip.ContactHeader{Address: serverContact()})
	}
	if err := c.Respond(code, "Test", headers...); err != nil {
		t.Fatal(err)
	}
	close(c.answered)
}

func serverContact() sip.Uri {
	return sip.Uri{Scheme: "sip", User: "notifier", Host: "192.0.2.10", Port: 5060}
}

// notice is what a NOTIFY says; empty fields are left out.
type notice struct {
	tag   string // of the notifier; "" is the tag of the server's responses
	state string
	event string // default: that of the SUBSCRIBE
	body  string
}

// notify sends a NOTIFY in the dialog that a SUBSCRIBE has opened and returns the status of its response.
func (w *world) notify(sub *call, n notice) int {
	w.t.Helper()
	if n.tag == "" {
		n.tag = sub.Tag()
	}
	req := sip.NewRequest(sip.NOTIFY, sub.Contact().Address)
	from := &sip.FromHeader{Address: sub.To().Address}
	from.Params.Add("tag", n.tag)
	to := &sip.ToHeader{Address: sub.From().Address, Params: sub.From().Params.Clone()}
	id := sip.CallIDHeader(sub.CallID().Value())
	forwards := sip.MaxForwardsHeader(70)
	w.seq++
	for _, h := range []sip.Header{
		from, to, &id, &sip.CSeqHeader{SeqNo: w.seq, MethodName: sip.NOTIFY}, &forwards,
		&sip.ContactHeader{Address: serverContact()},
	} {
		req.AppendHeader(h)
	}
	if n.event == "" {
		n.event = field(sub, "Event")
	}
	req.AppendHeader(sip.NewHeader("Event", n.event))
	if n.state != "" {
		req.AppendHeader(sip.NewHeader("Subscription-State", n.state))
	}
	if n.body != "" {
		ct := sip.ContentTypeHeader("Application/PIDF+xml;charset=UTF-8")
		req.AppendHeader(&ct)
		req.SetBody([]byte(n.body))
	}
	tx, err := w.stack.Send(w.t.Context(), req, sipua.Target{
		Network: "udp", Addr: netip.AddrPortFrom(userAddr, 5060),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for res := range tx.Responses() {
		if !res.IsProvisional() {
			return res.StatusCode
		}
	}
	w.t.Errorf("NOTIFY got no answer: %v", tx.Err())
	return 0
}
