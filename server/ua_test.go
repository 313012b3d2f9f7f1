package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
	"offhook/internal/vnet"
)

// world is a server on an in-memory network, inside a bubble.
type world struct {
	t    *testing.T
	net  *vnet.Net
	srv  *Server
	park *scriptedPark // nil: the real one

	faults atomic.Int64 // contained ones, from the log
}

// watchFaults is a log handler that counts what Server.contain reports.
type watchFaults struct {
	slog.Handler
	count *atomic.Int64
}

func (h watchFaults) Enabled(context.Context, slog.Level) bool { return true }

func (h watchFaults) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "fault ") {
		h.count.Add(1)
	}
	return nil
}

const domain = "example.test"

var serverAddr = netip.MustParseAddrPort("127.0.0.1:5060")

// newWorld starts a server that is open to anybody, unless change says otherwise.
func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, net: vnet.New()}
	w.net.Default(vnet.Link{Delay: time.Millisecond})
	w.start(change...)
	return w
}

func (w *world) start(change ...func(*Config)) {
	w.t.Helper()
	cfg := Config{
		Listen: []sipua.Listener{{Network: "udp", Address: serverAddr.String()}}, Domain: domain, Open: true,
		ListenPacket: w.net.ListenPacket, Logger: slog.New(watchFaults{slog.DiscardHandler, &w.faults}),
		Park: &ParkConfig{NoMusic: true},
	}
	for _, f := range change {
		f(&cfg)
	}
	srv, err := New(cfg)
	if err == nil && w.park != nil {
		srv.newPark = w.park.open
	}
	if err == nil {
		err = srv.Start(context.Background())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.srv = srv
	w.t.Cleanup(func() { w.stop(srv) })
}

func (w *world) stop(srv *Server) {
	if err := srv.Close(context.Background()); err != nil {
		w.t.Error(err)
	}
}

// ua is a user agent that does just what a test says.
type ua struct {
	w     *world
	name  string
	host  netip.AddrPort
	stack *sipua.Stack
	from  string // tag
	cseq  uint32

	mu    sync.Mutex
	got   []*sipua.Request // Guarded by mu
	reply func(*sipua.Request)
}

// ua makes a user agent of a user on a host of its own. It answers everything with 200 unless told otherwise.
func (w *world) ua(name, host string) *ua {
	w.t.Helper()
	u := &ua{w: w, name: name, host: netip.AddrPortFrom(netip.MustParseAddr(host), 5060), from: rand.Text()}
	stack, err := sipua.NewStack(context.Background(), sipua.StackConfig{
		Listeners: []sipua.Listener{{Network: "udp", Address: u.host.String()}}, ListenPacket: w.net.ListenPacket,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	u.stack = stack
	u.reply = func(req *sipua.Request) { _ = req.Respond(200, "OK", u.contact()) }
	stack.Serve(func(_ context.Context, req *sipua.Request) {
		u.mu.Lock()
		u.got = append(u.got, req)
		reply := u.reply
		u.mu.Unlock()
		reply(req)
	})
	w.t.Cleanup(func() { _ = stack.Close() })
	return u
}

// on sets what the agent does with requests.
func (u *ua) on(f func(*sipua.Request)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reply = f
}

// answer sets a final response to everything.
func (u *ua) answer(code int) {
	u.on(func(req *sipua.Request) { _ = req.Respond(code, "Test", u.contact()) })
}

// requests are those of a method that have come so far.
func (u *ua) requests(method sip.RequestMethod) []*sipua.Request {
	synctest.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	var out []*sipua.Request
	for _, r := range u.got {
		if r.Method == method {
			out = append(out, r)
		}
	}
	return out
}

func (u *ua) uri() sip.Uri { return sip.Uri{Scheme: "sip", User: u.name, Host: domain} }

func (u *ua) contact() *sip.ContactHeader {
	return &sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: u.name, Host: u.host.Addr().String(), Port: 5060}}
}

func (u *ua) instance() string {
	return fmt.Sprintf("urn:uuid:00000000-0000-4000-8000-%012x", u.host.Addr().As4())
}

// request builds a request from this user to a URI.
func (u *ua) request(method sip.RequestMethod, to sip.Uri, headers ...string) *sip.Request {
	req := sip.NewRequest(method, to)
	from := sip.FromHeader{Address: u.uri()}
	from.Params.Add("tag", u.from)
	req.AppendHeader(&from)
	req.AppendHeader(&sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: to.User, Host: to.Host}})
	callID := sip.CallIDHeader(rand.Text())
	req.AppendHeader(&callID)
	u.cseq++
	req.AppendHeader(&sip.CSeqHeader{SeqNo: u.cseq, MethodName: method})
	req.AppendHeader(u.contact())
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.AppendHeader(sip.NewHeader(name, value))
	}
	return req
}

// start sends a request to the server.
func (u *ua) start(req *sip.Request) *sipua.ClientTx {
	u.w.t.Helper()
	tx, err := u.stack.Send(context.Background(), req, sipua.Target{Network: "udp", Addr: serverAddr})
	if err != nil {
		u.w.t.Fatal(err)
	}
	return tx
}

// do sends a request and returns its final response; nil if there is none.
func (u *ua) do(req *sip.Request) *sip.Response {
	u.w.t.Helper()
	for res := range u.start(req).Responses() {
		if !res.IsProvisional() {
			return res
		}
	}
	return nil
}

// expect sends a request and requires a final status.
func (u *ua) expect(code int, req *sip.Request) *sip.Response {
	u.w.t.Helper()
	res := u.do(req)
	if res == nil {
		u.w.t.Fatalf("%s: no final response, want %d", req.Method, code)
	}
	if res.StatusCode != code {
		u.w.t.Fatalf("%s: %d %s, want %d", req.Method, res.StatusCode, res.Reason, code)
	}
	return res
}

// registration builds a REGISTER for this agent's contact.
func (u *ua) registration(expires int, params ...string) *sip.Request {
	req := u.request(sip.REGISTER, sip.Uri{Scheme: "sip", Host: domain}, "Supported: gruu, outbound")
	to := req.To()
	to.Address = u.uri()
	c := req.Contact()
	c.Params.Add("expires", itoa(expires))
	c.Params.Add("+sip.instance", `"<`+u.instance()+`>"`)
	for _, p := range params {
		k, v, _ := strings.Cut(p, "=")
		c.Params.Add(k, v)
	}
	return req
}

// register signs this agent in.
func (u *ua) register() *sip.Response {
	u.w.t.Helper()
	return u.expect(200, u.registration(3600))
}

// message builds a pager message.
func (u *ua) message(to *ua, text string, headers ...string) *sip.Request {
	req := u.request(sip.MESSAGE, to.uri(), append([]string{"Content-Type: text/plain"}, headers...)...)
	req.SetBody([]byte(text))
	return req
}

// texts are the bodies of the messages that came.
func (u *ua) texts() []string {
	var all []string
	for _, r := range u.requests(sip.MESSAGE) {
		all = append(all, string(r.Body()))
	}
	return all
}

// inDialog builds a request in the dialog that a 2xx made.
func (u *ua) inDialog(method sip.RequestMethod, res *sip.Response, headers ...string) *sip.Request {
	req := u.request(method, res.Contact().Address, headers...)
	req.ReplaceHeader(sip.HeaderClone(res.To()))
	req.ReplaceHeader(sip.HeaderClone(res.CallID()))
	routes := res.GetHeaders("Record-Route")
	for i := range routes {
		req.AppendHeader(&sip.RouteHeader{Address: routes[len(routes)-1-i].(*sip.RecordRouteHeader).Address})
	}
	if method == sip.ACK {
		req.CSeq().SeqNo = res.CSeq().SeqNo
	}
	return req
}

func (u *ua) ack(res *sip.Response) {
	u.w.t.Helper()
	err := u.stack.Write(context.Background(), u.inDialog(sip.ACK, res), sipua.Target{Network: "udp", Addr: serverAddr})
	if err != nil {
		u.w.t.Fatal(err)
	}
}

var quiet = slog.New(slog.DiscardHandler)
