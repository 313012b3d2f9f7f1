package sipua

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

func TestSessionTimerAgreement(t *testing.T) {
	for _, c := range []struct {
		name           string
		extra          []string
		want, required string
	}{
		{"nothing asked, timer unknown", nil, "", ""},
		{"nothing asked, timer known", []string{"Supported: timer"}, "1800;refresher=uac", "timer"},
		{"less asked", []string{"Supported: timer", "Session-Expires: 600"}, "600;refresher=uac", "timer"},
		{"more asked", []string{"Supported: timer", "Session-Expires: 7200"}, "1800;refresher=uac", "timer"},
		{"we shall refresh", []string{"Supported: timer", "Session-Expires: 600;refresher=uas"}, "600;refresher=uas", ""},
		{"a proxy asks, the caller cannot", []string{"Session-Expires: 600"}, "600;refresher=uas", ""},
		{"floor above ours", []string{"Supported: timer", "Session-Expires: 4000", "Min-SE: 3600"}, "3600;refresher=uac", "timer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
				s := caller.dialing(bobHost)
				s.send(sip.INVITE, 1, "", c.extra...)
				in := answering(t.Context(), within(t, bob.invites, time.Second, "INVITE"))
				res := caller.response(200, sip.INVITE, time.Second)
				got := ""
				if h := res.GetHeader("Session-Expires"); h != nil {
					got = h.Value()
				}
				if got != c.want || hasToken(res, "require", "timer") != (c.required != "") {
					t.Errorf("Session-Expires %q, Require %v", got, elements(res, "require"))
				}
				s.remote = toTag(res)
				s.send(sip.ACK, 1, "")
				within(t, in, time.Second, "ACK")
			})
		})
	}
}

// Between two of us: half an hour, refreshed at half of it by UPDATE, for as long as nobody ends it.
func TestSessionIsKeptAlive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, alice, bob := pair(t)
		a, b := call(t, alice, bob)
		time.Sleep(10 * time.Hour)
		if a.End() != nil || b.End() != nil {
			t.Fatal(a.End(), b.End())
		}
		if n := len(w.times(aliceHost+":5060", "UPDATE")); n != 39 && n != 40 {
			t.Errorf("%d refreshes in ten hours", n)
		}
		if n := len(w.times(bobHost+":5060", "UPDATE")); n != 0 {
			t.Errorf("bob refreshed %d times too", n)
		}
		w.net.Cut(netip.MustParseAddr(bobHost))
		time.Sleep(31 * time.Minute)
		if !errors.Is(a.End(), ErrTimeout) || !errors.Is(b.End(), ErrTimeout) {
			t.Errorf("after the line was cut: %v, %v", a.End(), b.End())
		}
	})
}

// The refresher is the other side and does not: BYE a little before the session would expire (RFC 4028 §10).
func TestSessionThatIsNotRefreshedEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost), "Supported: timer", "Session-Expires: 300")
		time.Sleep(200 * time.Second)
		s.send(sip.UPDATE, 0, "", "Supported: timer", "Session-Expires: 300;refresher=uac")
		caller.response(200, sip.UPDATE, time.Second)
		start := time.Now()
		bye := caller.request(sip.BYE, 300*time.Second)
		if waited := time.Since(start).Seconds(); waited < 267 || waited > 269 {
			t.Errorf("BYE after %.1f s", waited)
		}
		caller.reply(bye, 200, "")
		if !errors.Is(d.End(), ErrTimeout) {
			t.Error(d.End())
		}
	})
}

// A peer that takes no UPDATE gets a re-INVITE with the description it has already.
func TestSessionIsRefreshedByReinvite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		phone, _, d := placedCall(t, w, w.agent("alice", aliceHost), "Allow: INVITE, BYE",
			"Session-Expires: 200;refresher=uac", "Require: timer")
		start := time.Now()
		inv := phone.request(sip.INVITE, 300*time.Second)
		if waited := time.Since(start); waited != 100*time.Second || string(inv.Body()) != string(offerBody) {
			t.Errorf("after %s: %s", waited, inv)
		}
		if got := inv.GetHeader("Session-Expires").Value(); got != "200;refresher=uac" {
			t.Errorf("Session-Expires %s", got)
		}
		phone.reply(inv, 422, "", "Min-SE: 400")
		phone.request(sip.ACK, time.Second)
		inv = phone.request(sip.INVITE, time.Second)
		if got := inv.GetHeader("Session-Expires").Value(); got != "400;refresher=uac" {
			t.Errorf("Session-Expires %s", got)
		}
		phone.reply(inv, 200, "x", "Session-Expires: 400;refresher=uac")
		phone.request(sip.ACK, time.Second)
		phone.quiet(199 * time.Second)
		if d.End() != nil {
			t.Error(d.End())
		}
	})
}
