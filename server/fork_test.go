package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// ringing makes an agent ring, and answer as told unless it is canceled.
func (u *ua) ringing(code int, after time.Duration) {
	u.on(func(req *sipua.Request) {
		if req.Method != sip.INVITE {
			_ = req.Respond(200, "OK")
			return
		}
		_ = req.Respond(180, "Ringing", u.contact())
		select {
		case <-req.Canceled():
		case <-time.After(after):
			_ = req.Respond(code, "Test", u.contact())
		}
	})
}

// cancels are the reasons of the CANCELs that came for the agent's INVITEs.
func (u *ua) cancels() []string {
	var all []string
	for _, r := range u.requests(sip.INVITE) {
		if c := r.Cancel(); c != nil {
			reason := ""
			if h := c.GetHeader("Reason"); h != nil {
				reason = h.Value()
			}
			all = append(all, reason)
		}
	}
	return all
}

func TestForkFirstAnswerWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, b1, b2, b3 := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1"), w.ua("bob", "127.0.2.2"), w.ua("bob", "127.0.2.3")
		for _, b := range []*ua{b1, b2, b3} {
			b.register()
		}
		b1.ringing(200, time.Minute)
		b2.ringing(200, 2*time.Second)
		b3.ringing(486, time.Second)
		tx := alice.start(alice.request(sip.INVITE, b1.uri()))
		var codes []int
		var final *sip.Response
		for final == nil {
			res := <-tx.Responses()
			codes = append(codes, res.StatusCode)
			if !res.IsProvisional() {
				final = res
			}
		}
		if codes[0] != 100 {
			t.Errorf("responses %v: no 100 first", codes)
		}
		if final.StatusCode != 200 || final.Contact().Address.Host != "127.0.2.2" {
			t.Fatalf("got %d from %s", final.StatusCode, final.Contact().Address.Host)
		}
		time.Sleep(100 * time.Millisecond)
		if got := b1.cancels(); len(got) != 1 || got[0] != sipua.CompletedElsewhere+`;instance="`+b2.instance()+`"` {
			t.Errorf("the loser was canceled with %q", got)
		}
		if got := b3.cancels(); len(got) != 0 {
			t.Errorf("an endpoint that had declined was canceled: %q", got)
		}
		alice.ack(final)
		time.Sleep(100 * time.Millisecond)
		if n := len(b2.requests(sip.ACK)); n != 1 {
			t.Errorf("%d ACKs arrived", n)
		}
		if n := len(b1.requests(sip.ACK)) + len(b3.requests(sip.ACK)); n != 0 {
			t.Errorf("%d ACKs arrived at losers", n)
		}
		alice.expect(200, alice.inDialog(sip.BYE, final))
		if n := len(b2.requests(sip.BYE)); n != 1 {
			t.Errorf("%d BYEs arrived", n)
		}
	})
}

func TestBothAnswersReachTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, b1, b2 := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1"), w.ua("bob", "127.0.2.2")
		b1.register()
		b2.register()
		b1.ringing(200, time.Second)
		b2.ringing(200, time.Second)
		tx := alice.start(alice.request(sip.INVITE, b1.uri()))
		tags := map[string]bool{}
		for res := range tx.Responses() {
			if res.IsSuccess() {
				tag, _ := res.To().Params.Get("tag")
				tags[tag] = true
				alice.ack(res)
			}
		}
		if len(tags) != 2 {
			t.Errorf("%d dialogs", len(tags))
		}
		if len(b1.requests(sip.ACK)) != 1 || len(b2.requests(sip.ACK)) != 1 {
			t.Errorf("ACKs: %d and %d", len(b1.requests(sip.ACK)), len(b2.requests(sip.ACK)))
		}
	})
}

func TestCallerCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, b1, dead := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1"), w.ua("bob", "127.0.2.2")
		b1.register()
		dead.register()
		w.net.Cut(dead.host.Addr())
		b1.ringing(200, time.Minute)
		tx := alice.start(alice.request(sip.INVITE, b1.uri()))
		time.Sleep(time.Second)
		began := time.Now()
		tx.Cancel(`SIP;cause=600;text="Busy Everywhere"`)
		var final *sip.Response
		for res := range tx.Responses() {
			final = res
		}
		if final == nil || final.StatusCode != 487 {
			t.Fatalf("got %v", final)
		}
		if took := time.Since(began); took > cancelGrace+time.Second {
			t.Errorf("the caller waited %s", took)
		}
		if got := b1.cancels(); len(got) != 1 || got[0] != `SIP;cause=600;text="Busy Everywhere"` {
			t.Errorf("canceled with %q", got)
		}
	})
}

func TestDeclineEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, b1, b2 := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1"), w.ua("bob", "127.0.2.2")
		b1.register()
		b2.register()
		b1.ringing(200, time.Minute)
		b2.ringing(603, time.Second)
		alice.expect(603, alice.request(sip.INVITE, b1.uri()))
		if got := b1.cancels(); len(got) != 1 || !strings.HasPrefix(got[0], "SIP;cause=603") {
			t.Errorf("canceled with %q", got)
		}
	})
}

func TestBestResponse(t *testing.T) {
	for _, c := range []struct{ one, two, want int }{
		{486, 480, 486},
		{486, 404, 486},
		{404, 503, 404},
		{503, 503, 500}, // RFC 3261 §16.7 step 6
		{302, 486, 302},
		{401, 486, 401},
		{500, 408, 408},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			alice, b1, b2 := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1"), w.ua("bob", "127.0.2.2")
			b1.register()
			b2.register()
			b1.answer(c.one)
			b2.answer(c.two)
			alice.expect(c.want, alice.request(sip.INVITE, b1.uri()))
		})
	}
}

func TestTimerC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		bob.register()
		bob.ringing(200, time.Hour)
		began := time.Now()
		alice.expect(487, alice.request(sip.INVITE, bob.uri()))
		if took := time.Since(began).Round(time.Second); took != 3*time.Minute {
			t.Errorf("ended after %s", took)
		}
	})
}

func TestDeadEndpointTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		bob.register()
		w.net.Cut(bob.host.Addr())
		alice.expect(408, alice.request(sip.INVITE, bob.uri()))
		if res := alice.do(alice.request(sip.INFO, bob.uri())); res != nil {
			t.Errorf("got %d: RFC 4320 forbids a late 408", res.StatusCode)
		}
	})
}
