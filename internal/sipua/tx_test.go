package sipua

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/vnet"
)

const (
	aHost = "192.0.2.1"
	bHost = "192.0.2.2"
	aAddr = aHost + ":5060"
	bAddr = bHost + ":5060"
)

func nobody(context.Context, *Request) {}

func TestRequestIsRepeatedAndTimesOut(t *testing.T) {
	for _, c := range []struct {
		method sip.RequestMethod
		want   []float64
	}{
		{sip.MESSAGE, []float64{0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5}}, // timer E
		{sip.INVITE, []float64{0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5}},                          // timer A
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			alice := w.stack(aHost)
			alice.Serve(nobody)
			tx := w.send(alice, request(c.method, ""), bHost)
			for range tx.Responses() {
				t.Error("a response from nobody")
			}
			if !errors.Is(tx.Err(), ErrTimeout) || time.Since(w.start) != 32*time.Second {
				t.Errorf("%s ended after %v with %v", c.method, time.Since(w.start), tx.Err())
			}
			if got := w.times(aAddr, string(c.method)); !slices.Equal(got, c.want) {
				t.Errorf("%s sent at %v, want %v", c.method, got, c.want)
			}
		})
	}
}

func TestProvisionalStopsTheRepetition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bob, alice := w.stack(bHost), w.stack(aHost)
		alice.Serve(nobody)
		bob.Serve(func(_ context.Context, req *Request) {
			time.Sleep(3 * time.Minute) // says nothing: the stack sends 100
			_ = req.Respond(200, "OK")
		})
		tx := w.send(alice, request(sip.INVITE, ""), bHost)
		if res := final(t, tx); res.StatusCode != 200 {
			t.Fatalf("got %d", res.StatusCode)
		}
		if got := w.times(aAddr, "INVITE"); !slices.Equal(got, []float64{0}) {
			t.Errorf("INVITE sent at %v", got)
		}
		if got := w.times(bAddr, "SIP/2.0 100"); !slices.Equal(got, []float64{0.2}) {
			t.Errorf("100 sent at %v", got)
		}
	})
}

func TestRejectionIsRepeatedUntilACK(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lost := 0
		w.net.Filter(func(p vnet.Packet) bool { // the first three ACKs vanish
			if strings.HasPrefix(string(p.Data), "ACK") {
				lost++
				return lost > 3
			}
			return true
		})
		bob, alice := w.stack(bHost), w.stack(aHost)
		alice.Serve(nobody)
		acks := 0
		bob.Serve(func(_ context.Context, req *Request) {
			if req.Method == sip.ACK {
				acks++
			}
			_ = req.Respond(486, "Busy Here")
		})
		tx := w.send(alice, request(sip.INVITE, ""), bHost)
		if res := final(t, tx); res.StatusCode != 486 {
			t.Fatalf("got %d", res.StatusCode)
		}
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if got := w.times(bAddr, "SIP/2.0 486"); !slices.Equal(got, []float64{0, 0.5, 1.5, 3.5}) {
			t.Errorf("486 sent at %v", got)
		}
		if got := w.times(aAddr, "ACK"); len(got) != 4 || acks != 0 {
			t.Errorf("ACK sent at %v, handed to the user %d times", got, acks)
		}
		if s := alice.Stats(); s.Transactions != 0 || bob.Stats().Transactions != 0 {
			t.Errorf("transactions stayed: %+v, %+v", s, bob.Stats())
		}
	})
}

// TestEveryAcceptanceArrives has a proxy that forks: two phones accept, each repeats its 2xx, and one comes so late that
// the transaction is gone.
func TestEveryAcceptanceArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice := w.stack(aHost)
		var strays []string
		alice.HandleStray(func(_ context.Context, res *sip.Response) {
			tag, _ := res.To().Params.Get("tag")
			strays = append(strays, tag)
		})
		alice.Serve(nobody)
		pc := w.socket(bAddr)
		tx := w.send(alice, request(sip.INVITE, ""), bHost)
		answer := func(tag string) {
			res := buildResponse(tx.Request(), 200, "OK", tag)
			res.SetBody(nil)
			if _, err := pc.WriteTo([]byte(res.String()), udpAddr(aAddr)); err != nil {
				t.Fatal(err)
			}
		}
		for _, tag := range []string{"one", "two", "one", "two", "three"} {
			time.Sleep(2 * time.Second)
			answer(tag)
		}
		time.Sleep(time.Minute)
		answer("late")
		synctest.Wait()
		var tags []string
		for res := range tx.Responses() {
			tag, _ := res.To().Params.Get("tag")
			tags = append(tags, tag)
		}
		if want := []string{"one", "two", "one", "two", "three"}; !slices.Equal(tags, want) {
			t.Errorf("got %v, want %v", tags, want)
		}
		if !slices.Equal(strays, []string{"late"}) {
			t.Errorf("strays %v", strays)
		}
	})
}

// TestAcceptanceMayBeRepeated: the user repeats its 2xx, and the ACK of a 2xx comes to the handler.
func TestAcceptanceMayBeRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bob, alice := w.stack(bHost), w.stack(aHost)
		alice.Serve(nobody)
		acked := make(chan struct{})
		bob.Serve(func(_ context.Context, req *Request) {
			if req.Method == sip.ACK {
				close(acked)
				return
			}
			res := req.Response(200, "OK", nil)
			for range 3 {
				if err := req.Send(res); err != nil {
					t.Error(err)
				}
				time.Sleep(T1)
			}
			_ = req.Respond(500, "Too Late")
		})
		tx := w.send(alice, request(sip.INVITE, ""), bHost)
		res := final(t, tx)
		ack := request(sip.ACK, "")
		ack.ReplaceHeader(res.CallID())
		if err := alice.Write(t.Context(), ack, tx.Target()); err != nil {
			t.Fatal(err)
		}
		<-acked
		more := 0
		for res := range tx.Responses() {
			if more++; res.StatusCode != 200 {
				t.Errorf("got %d", res.StatusCode)
			}
		}
		if more != 2 {
			t.Errorf("%d repetitions", more)
		}
	})
}

func TestHandlerMustAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bob, alice := w.stack(bHost), w.stack(aHost)
		alice.Serve(nobody)
		bob.Serve(nobody)
		if res := final(t, w.send(alice, request(sip.OPTIONS, ""), bHost)); res.StatusCode != 500 {
			t.Errorf("got %d", res.StatusCode)
		}
	})
}

func TestCancelWaitsForAProvisional(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bob, alice := w.stack(bHost), w.stack(aHost)
		alice.Serve(nobody)
		bob.Serve(func(ctx context.Context, req *Request) {
			time.Sleep(100 * time.Millisecond)
			_ = req.Respond(183, "Session Progress")
			<-req.Canceled()
		})
		tx := w.send(alice, request(sip.INVITE, ""), bHost)
		tx.Cancel("")
		if res := final(t, tx); res.StatusCode != 487 {
			t.Errorf("got %d", res.StatusCode)
		}
		if got := w.times(aAddr, "CANCEL"); !slices.Equal(got, []float64{0.1}) {
			t.Errorf("CANCEL sent at %v", got)
		}
		tags := map[string]bool{} // of 183, 487, and the 200 to the CANCEL
		for _, text := range w.sentBy(bAddr) {
			res, _, d := decode([]byte(text), false)
			if d != nil {
				t.Fatal(d)
			}
			tag, _ := res.To().Params.Get("tag")
			tags[tag] = true
		}
		if len(tags) != 1 {
			t.Errorf("tags %v", tags)
		}
	})
}

// TestHeldCancel: a proxy answers 200 to the CANCEL and decides about the INVITE itself, here with a 2xx that crossed.
func TestHeldCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bob := w.stack(bHost, func(c *StackConfig) { c.HoldCancel = true })
		alice := w.stack(aHost)
		alice.Serve(nobody)
		bob.Serve(func(ctx context.Context, req *Request) {
			_ = req.Respond(180, "Ringing")
			<-req.Canceled()
			_ = req.Respond(200, "OK")
		})
		tx := w.send(alice, request(sip.INVITE, ""), bHost)
		tx.Cancel("")
		if res := final(t, tx); res.StatusCode != 200 {
			t.Errorf("got %d", res.StatusCode)
		}
		tx.Terminate()
	})
}

func TestCancelOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bob, alice := w.stack(bHost), w.stack(aHost)
		alice.Serve(nobody)
		bob.Serve(nobody)
		if res := final(t, w.send(alice, request(sip.CANCEL, ""), bHost)); res.StatusCode != 481 {
			t.Errorf("got %d", res.StatusCode)
		}
	})
}

// TestChallengeIsSentOnce: a stranger gets one packet for each of his, and the repeated request the same tag.
func TestChallengeIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bob := w.stack(bHost)
		bob.Serve(func(_ context.Context, req *Request) { _ = req.SendOnce(req.Response(401, "Unauthorized", nil), nil) })
		pc := w.socket(aAddr)
		invite := request(sip.INVITE, "")
		invite.PrependHeader(&sip.ViaHeader{
			ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: aHost, Port: 5060,
			Params: sip.HeaderParams{{K: "branch", V: "z9hG4bKonce"}},
		})
		for range 2 {
			_, _ = pc.WriteTo([]byte(invite.String()), udpAddr(bAddr))
			time.Sleep(time.Minute)
		}
		sent := w.sentBy(bAddr)
		if len(sent) != 2 || sent[0] != sent[1] {
			t.Errorf("sent %q", sent)
		}
		if n := bob.Stats().Transactions; n != 0 {
			t.Errorf("%d transactions kept", n)
		}
	})
}

// TestLossyNetwork: with a third of all packets lost each request still reaches its handler exactly once and gets its
// answer.
func TestLossyNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, vnet.Seed(7))
		w.net.Default(vnet.Link{Loss: 0.33, Duplicate: 0.1, Delay: 20 * time.Millisecond, Jitter: 80 * time.Millisecond})
		bob, alice := w.stack(bHost), w.stack(aHost)
		alice.Serve(nobody)
		var handled [40]atomic.Int32
		bob.Serve(func(_ context.Context, req *Request) {
			var n int
			_, _ = fmt.Sscan(string(req.Body()), &n)
			handled[n].Add(1)
			_ = req.Respond(200, "OK")
		})
		for i := range handled {
			tx := w.send(alice, request(sip.MESSAGE, fmt.Sprint(i)), bHost)
			if res := final(t, tx); res.StatusCode != 200 {
				t.Errorf("message %d: %d", i, res.StatusCode)
			}
		}
		for i := range handled {
			if n := handled[i].Load(); n != 1 {
				t.Errorf("message %d was handled %d times", i, n)
			}
		}
	})
}

func TestSequenceFollowsArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bob, alice := w.stack(bHost), w.stack(aHost)
		alice.Serve(nobody)
		seqs := make([]uint64, 50)
		bob.Serve(func(_ context.Context, req *Request) {
			var n int
			_, _ = fmt.Sscan(string(req.Body()), &n)
			seqs[n] = req.Seq()
			_ = req.Respond(200, "OK")
		})
		for i := range seqs {
			w.send(alice, request(sip.MESSAGE, fmt.Sprint(i)), bHost)
		}
		synctest.Wait()
		if !slices.IsSorted(seqs) || seqs[0] == 0 {
			t.Errorf("order %v", seqs)
		}
	})
}

// TestCloseEndsEverything: nothing hangs, whatever was going on.
func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bob, alice := w.stack(bHost), w.stack(aHost)
		alice.Serve(nobody)
		entered := make(chan struct{})
		bob.Serve(func(ctx context.Context, req *Request) {
			close(entered)
			<-ctx.Done()
		})
		tx := w.send(alice, request(sip.INVITE, ""), bHost)
		<-entered
		_ = bob.Close()
		_ = alice.Close()
		for range tx.Responses() {
		}
		if !errors.Is(tx.Err(), ErrClosed) {
			t.Errorf("ended with %v", tx.Err())
		}
		if _, err := alice.Send(t.Context(), request(sip.OPTIONS, ""), tx.Target()); err == nil {
			t.Error("a closed stack sends")
		}
	})
}

func udpAddr(s string) net.Addr {
	a, err := net.ResolveUDPAddr("udp", s)
	if err != nil {
		panic(err)
	}
	return a
}

func TestDropSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bob := w.stack(bHost)
		bob.Serve(func(_ context.Context, req *Request) {
			if req.Size() < 200 {
				t.Errorf("size %d", req.Size())
			}
			req.Drop()
		})
		pc := w.socket(aAddr)
		_, _ = pc.WriteTo(tortureMessage(t, "odd-date"), udpAddr(bAddr))
		synctest.Wait()
		if sent := w.sentBy(bAddr); len(sent) != 0 || bob.Stats().Transactions != 0 {
			t.Errorf("sent %q", sent)
		}
	})
}
