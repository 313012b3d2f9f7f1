package sipua

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// request builds a minimal request.
func request(method sip.RequestMethod, body string) *sip.Request {
	req := sip.NewRequest(method, sip.Uri{Scheme: "sip", User: "bob", Host: "192.0.2.2"})
	req.AppendHeader(&sip.FromHeader{
		Address: sip.Uri{Scheme: "sip", User: "alice", Host: "example.org"},
		Params:  sip.HeaderParams{{K: "tag", V: sip.GenerateTagN(8)}},
	})
	req.AppendHeader(&sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: "bob", Host: "example.org"}})
	id := sip.CallIDHeader(sip.GenerateTagN(16))
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: method})
	hops := sip.MaxForwardsHeader(70)
	req.AppendHeader(&hops)
	req.SetBody([]byte(body))
	return req
}

// final reads responses up to the final one.
func final(t *testing.T, tx *ClientTx) *sip.Response {
	t.Helper()
	for res := range tx.Responses() {
		if !res.IsProvisional() {
			return res
		}
	}
	t.Fatalf("no final response: %v", tx.Err())
	return nil
}

func loopback(t *testing.T, cfg StackConfig, networks ...string) *Stack {
	t.Helper()
	for _, n := range networks {
		cfg.Listeners = append(cfg.Listeners, Listener{n, "127.0.0.1:0"})
	}
	s, err := NewStack(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func targetOf(t *testing.T, s *Stack, network string) Target {
	t.Helper()
	a, ok := s.Local(network, netip.Addr{})
	if !ok {
		t.Fatalf("no %s listener", network)
	}
	return Target{Network: network, Addr: a}
}

func TestExchangeOnLoopback(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			bob := loopback(t, StackConfig{UserAgent: "bob/1"}, "udp", "tcp")
			bob.Serve(func(_ context.Context, req *Request) {
				_ = req.Send(req.Response(200, "OK", req.Body(), sip.NewHeader("Content-Type", "text/plain")))
			})
			alice := loopback(t, StackConfig{}, "udp")
			alice.Serve(func(context.Context, *Request) {})
			tx, err := alice.Send(t.Context(), request(sip.MESSAGE, "hello"), targetOf(t, bob, network))
			if err != nil {
				t.Fatal(err)
			}
			res := final(t, tx)
			if res.StatusCode != 200 || string(res.Body()) != "hello" {
				t.Fatalf("got %s", res)
			}
			if tag, _ := res.To().Params.Get("tag"); tag == "" {
				t.Fatal("no To tag")
			}
			if v := tx.Request().Via(); !strings.EqualFold(v.Transport, network) || !v.Params.Has("rport") {
				t.Fatalf("Via %s", v)
			}
		})
	}
}

func TestLongRequestMovesToTCP(t *testing.T) {
	bob := loopback(t, StackConfig{}, "udp")
	tcp, err := NewStack(t.Context(), StackConfig{Listeners: []Listener{{"tcp", targetOf(t, bob, "udp").Addr.String()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tcp.Close() })
	reply := func(_ context.Context, req *Request) { _ = req.Respond(200, req.Source().Network) }
	bob.Serve(reply)
	tcp.Serve(reply)
	alice := loopback(t, StackConfig{}, "udp")
	alice.Serve(reply)
	long := strings.Repeat("x", 2000)
	tx, err := alice.Send(t.Context(), request(sip.MESSAGE, long), targetOf(t, bob, "udp"))
	if err != nil {
		t.Fatal(err)
	}
	if res := final(t, tx); res.Reason != "tcp" || tx.Target().Network != "tcp" {
		t.Fatalf("went over %s", res.Reason)
	}
	_ = tcp.Close()
	<-alice.FlowDone(tx.Target())
	tx, err = alice.Send(t.Context(), request(sip.MESSAGE, long), targetOf(t, bob, "udp"))
	if err != nil {
		t.Fatal(err)
	}
	if res := final(t, tx); res.Reason != "udp" {
		t.Fatalf("without tcp it went over %s", res.Reason)
	}
}

func TestCancel(t *testing.T) {
	bob := loopback(t, StackConfig{}, "udp")
	canceled := make(chan string, 1)
	bob.Serve(func(ctx context.Context, req *Request) {
		_ = req.Respond(180, "Ringing")
		<-req.Canceled()
		canceled <- req.Cancel().GetHeader("Reason").Value()
	})
	alice := loopback(t, StackConfig{}, "udp")
	alice.Serve(func(context.Context, *Request) {})
	tx, err := alice.Send(t.Context(), request(sip.INVITE, ""), targetOf(t, bob, "udp"))
	if err != nil {
		t.Fatal(err)
	}
	tx.Cancel(`SIP;cause=200;text="Call completed elsewhere"`)
	var tags []string
	for res := range tx.Responses() {
		tag, _ := res.To().Params.Get("tag")
		tags = append(tags, tag)
		if !res.IsProvisional() && res.StatusCode != 487 {
			t.Fatalf("got %d", res.StatusCode)
		}
	}
	if len(tags) != 2 || tags[0] != tags[1] {
		t.Fatalf("tags %q", tags)
	}
	if got := <-canceled; !strings.Contains(got, "elsewhere") {
		t.Fatalf("reason %q", got)
	}
}

func TestUnreachableTCP(t *testing.T) {
	gone := loopback(t, StackConfig{}, "tcp")
	to := targetOf(t, gone, "tcp")
	_ = gone.Close()
	alice := loopback(t, StackConfig{}, "udp")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := alice.Send(ctx, request(sip.OPTIONS, ""), to); !errors.Is(err, ErrUnreachable) {
		t.Fatalf("got %v", err)
	}
}

// TestCrowdFromOneAddress: one peer cannot take all connections.
func TestCrowdFromOneAddress(t *testing.T) {
	bob := loopback(t, StackConfig{}, "tcp")
	bob.Serve(nobody)
	var conns []net.Conn
	for range maxPerPeer + 1 {
		c, err := net.Dial("tcp", targetOf(t, bob, "tcp").Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	// They are accepted in order, so the last one is the one too many.
	if _, err := conns[maxPerPeer].Read(make([]byte, 1)); err == nil {
		t.Error("it was not refused")
	}
	if s := bob.Stats(); s.Limited != 1 {
		t.Errorf("stats %+v", s)
	}
}

func BenchmarkExchange(b *testing.B) {
	for _, network := range []string{"udp", "tcp"} {
		b.Run(network, func(b *testing.B) {
			open := func() *Stack {
				s, err := NewStack(b.Context(), StackConfig{Listeners: []Listener{{"udp", "127.0.0.1:0"}, {"tcp", "127.0.0.1:0"}}})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = s.Close() })
				return s
			}
			bob, alice := open(), open()
			bob.Serve(func(_ context.Context, req *Request) { _ = req.Respond(200, "OK") })
			alice.Serve(nobody)
			addr, _ := bob.Local(network, netip.Addr{})
			b.ReportAllocs()
			for b.Loop() {
				tx, err := alice.Send(b.Context(), request(sip.MESSAGE, "hello"), Target{Network: network, Addr: addr})
				if err != nil {
					b.Fatal(err)
				}
				if res := <-tx.Responses(); res.StatusCode != 200 {
					b.Fatal(res)
				}
				tx.Terminate()
			}
		})
	}
}

// A BYE right behind the ACK of its call does not overtake it, however long the ACK takes; another call does not wait.
func TestNothingOvertakesAnACK(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		served := make(chan string, 8)
		bob := w.stack("10.0.0.2")
		bob.Serve(func(_ context.Context, req *Request) {
			if req.Method == sip.ACK {
				time.Sleep(100 * time.Millisecond)
			}
			served <- string(req.Method) + " " + req.CallID().Value()
			_ = req.Respond(200, "OK")
		})
		pc := w.socket("10.0.0.1:5060")
		for i, what := range []string{"ACK one", "BYE one", "BYE two"} {
			method, call, _ := strings.Cut(what, " ")
			text := fmt.Sprintf("%s sip:bob@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=1\r\n"+
				"To: <sip:b@b>;tag=2\r\nCall-ID: %s\r\nCSeq: 1 %s\r\n\r\n", method, i, call, method)
			if _, err := pc.WriteTo([]byte(text), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.2:5060"))); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []string{"BYE two", "ACK one", "BYE one"} {
			if got := within(t, served, time.Second, want); got != want {
				t.Errorf("served %q, want %q", got, want)
			}
		}
		synctest.Wait()
		bob.mu.Lock()
		defer bob.mu.Unlock()
		if len(bob.acks) != 0 {
			t.Errorf("%d ACKs are remembered", len(bob.acks))
		}
	})
}
