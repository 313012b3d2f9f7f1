package sipua

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"pgregory.net/rapid"
)

func TestParseReplaces(t *testing.T) {
	for in, want := range map[string]Replaces{
		"98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff": {CallID: "98732@sip.example.com", ToTag: "ff87ff", FromTag: "r33th4x0r"},
		"a ; To-Tag = x ;from-tag=y; Early-Only":                 {CallID: "a", ToTag: "x", FromTag: "y", EarlyOnly: true},
		"a;to-tag=0;from-tag=0;unknown=z":                        {CallID: "a", ToTag: "0", FromTag: "0"},
		"a;to-tag=x":                                             {},
		"a;from-tag=x":                                           {},
		"a;to-tag=x;to-tag=y;from-tag=z":                         {},
		";to-tag=x;from-tag=y":                                   {},
		"a b;to-tag=x;from-tag=y":                                {},
		"a;to-tag=\"x\";from-tag=y":                              {},
		"a;to-tag=;from-tag=y":                                   {},
		"":                                                       {},
		"\u00e4;to-tag=x;from-tag=y":                             {},
	} {
		got, err := ParseReplaces(in)
		if got != want || (err == nil) != (want != Replaces{}) {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
		if err == nil {
			if again, err := ParseReplaces(got.String()); again != got || err != nil {
				t.Errorf("%q is written as %s", in, got)
			}
		}
	}
}

// What a URI carries comes out of it as it was, whatever is in the Call-ID.
func TestReplacesInURI(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[-A-Za-z0-9.!%*_+'~@:?&=/<>\[\]{}()]{1,12}`)
		tag := rapid.StringMatching(`[-A-Za-z0-9.!%*_+'~]{1,8}`)
		want := Replaces{
			CallID: word.Draw(t, "id"), ToTag: tag.Draw(t, "to"), FromTag: tag.Draw(t, "from"), EarlyOnly: rapid.Bool().Draw(t, "early"),
		}
		u := sip.Uri{Scheme: "sip", User: "carol", Host: "192.0.2.1", Port: 5070, UriParams: sip.HeaderParams{{K: "transport", V: "tcp"}}}
		u.Headers = sip.HeaderParams{{K: "Replaces", V: escapeHeader(want.String())}}
		parsed, err := ParseURI(u.String())
		if err != nil {
			t.Fatalf("%s: %v", &u, err)
		}
		target, headers, err := Referred(parsed)
		if err != nil || len(headers) != 2 || target.String() != "sip:carol@192.0.2.1:5070;transport=tcp" {
			t.Fatalf("%s: %s %v %v", &u, &target, headers, err)
		}
		if got, err := ParseReplaces(headers[0].Value()); err != nil || got != want {
			t.Fatalf("%s: %+v, %v", &u, got, err)
		}
	})
}

func TestReferred(t *testing.T) {
	for in, want := range map[string]string{
		"sip:carol@example.org": "sip:carol@example.org",
		"sip:carol@example.org;method=INVITE?Subject=x&Route=%3Csip:evil%3E":                              "sip:carol@example.org",
		"sip:c@example.org?Replaces=a%3Bto-tag%3Dx%3Bfrom-tag%3Dy&Accept=z":                               "sip:c@example.org Replaces: a;to-tag=x;from-tag=y Require: replaces",
		"sip:c@example.org?Replaces=a%3Bto-tag%3Dx":                                                       "error",
		"sip:c@example.org?Replaces=a%0D%0AX:%20y%3Bto-tag%3Dx%3Bfrom-tag%3Dy":                            "error",
		"sip:c@example.org?Replaces=a%3Bto-tag%3Dx%3Bfrom-tag%3Dy&replaces=b%3Bto-tag%3Dx%3Bfrom-tag%3Dy": "error",
	} {
		u, err := ParseURI(in)
		if err != nil {
			t.Fatal(in, err)
		}
		target, headers, err := Referred(u)
		got := target.String()
		for _, h := range headers {
			got += " " + h.Name() + ": " + h.Value()
		}
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// RFC 3891 §3: the tags of a dialog change places on the way to its other side, by REFER as well as by INVITE.
func TestRFC3891_3_TagsAreTheOtherWayRound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, alice, bob := pair(t)
		carol := w.agent("carol", "10.0.0.3")
		a, b := call(t, alice, bob)
		// Alice refers carol to bob: what carol is given names the dialog that bob has with alice.
		target, headers, err := Referred(a.ReferTo())
		if err != nil || target.Host != bobHost {
			t.Fatal(&target, err)
		}
		// Carol's INVITE goes to bob with it.
		opt := inviteTo(bobHost)
		opt.Headers = headers[:1]
		out := carol.calling(t.Context(), opt)
		inv := within(t, bob.invites, time.Second, "INVITE")
		r, ok := inv.Replaces()
		if !ok || (DialogID{r.CallID, r.ToTag, r.FromTag}) != b.ID() {
			t.Errorf("Replaces %s for %+v", r, b.ID())
		}
		d, err := inv.Replaced()
		if err != nil || d != b {
			t.Fatalf("replaced %v, %v", d, err)
		}
		in := answering(t.Context(), inv)
		if o := within(t, out, time.Second, "200"); o.err != nil {
			t.Fatal(o.err)
		}
		within(t, in, time.Second, "ACK")
		if err := d.Bye(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		<-a.Done()
		// The other way: what bob would refer to is alice's dialog, and no other's.
		if got := b.Replaces(); (DialogID{got.CallID, got.ToTag, got.FromTag}) != a.ID() {
			t.Errorf("bob's %s for %+v", got, a.ID())
		}
		if _, ok := alice.FindDialog(b.ID()); ok {
			t.Error("tags the wrong way round find a dialog")
		}
	})
}

// RFC 3891 §3: what an INVITE with Replaces is refused with.
func TestRFC3891_3_Refusals(t *testing.T) {
	const unknown = "Replaces: nobody;to-tag=x;from-tag=y"
	for name, tt := range map[string]struct {
		headers []string
		at      int // the agent itself answers
		want    int // what Replaced says
	}{
		"unknown dialog": {[]string{unknown}, 0, 481},
		"two of them":    {[]string{unknown, unknown}, 400, 0},
		"two in one":     {[]string{unknown + ", b;to-tag=x;from-tag=y"}, 400, 0},
		"malformed":      {[]string{"Replaces: nobody"}, 400, 0},
		"with Join":      {[]string{unknown, "Join: nobody;to-tag=x;from-tag=y"}, 400, 0},
	} {
		bubble(t, func(t *testing.T) {
			w := newWorld(t)
			bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
			caller.dialing(bobHost).send(sip.INVITE, 0, "", tt.headers...)
			if tt.at != 0 {
				caller.response(tt.at, sip.INVITE, time.Second)
				return
			}
			inv := within(t, bob.invites, time.Second, "INVITE")
			_, err := inv.Replaced()
			if !hasStatus(err, tt.want) {
				t.Errorf("%s: %v", name, err)
			}
			_ = inv.Reject(tt.want, "")
		})
	}
	bubble(t, func(t *testing.T) { // in anything but an INVITE
		w := newWorld(t)
		w.agent("bob", bobHost)
		caller := w.peer(peerHost)
		caller.dialing(bobHost).send(sip.MESSAGE, 0, "hi", "Content-Type: text/plain", unknown)
		caller.response(400, sip.MESSAGE, time.Second)
	})
}

// replacing sends an INVITE with Replaces to an agent and returns it there.
func replacing(t *testing.T, w *world, to *party, host string, r Replaces) *Invite {
	t.Helper()
	caller := w.peer(host)
	caller.dialing(hostAddr(to)).send(sip.INVITE, 0, "", "Replaces: "+r.String())
	return within(t, to.invites, time.Second, "INVITE")
}

// RFC 3891 §3: a confirmed dialog is replaced unless only an early one is meant; one that has ended is declined.
func TestRFC3891_3_ConfirmedAndEnded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob := w.agent("bob", bobHost)
		caller, _, d := takenCall(t, w, bob)
		r := Replaces{CallID: d.ID().CallID, ToTag: d.ID().LocalTag, FromTag: d.ID().RemoteTag}
		inv := replacing(t, w, bob, "10.0.0.4", r)
		if got, err := inv.Replaced(); got != d || err != nil {
			t.Errorf("confirmed: %v, %v", got, err)
		}
		_ = inv.Reject(488, "")
		r.EarlyOnly = true
		inv = replacing(t, w, bob, "10.0.0.5", r)
		if _, err := inv.Replaced(); !hasStatus(err, 486) {
			t.Errorf("early-only: %v", err)
		}
		_ = inv.Reject(486, "")
		go func() { caller.reply(caller.request(sip.BYE, time.Second), 200, "") }()
		r.EarlyOnly = false
		done := make(chan error, 1)
		go func() { done <- d.Bye(t.Context(), "") }()
		<-d.Done()
		inv = replacing(t, w, bob, "10.0.0.6", r)
		if _, err := inv.Replaced(); !hasStatus(err, 603, 481) { // 481 once the BYE is answered
			t.Errorf("ended: %v", err)
		}
		_ = inv.Reject(603, "")
		if err := within(t, done, time.Second, "BYE"); err != nil {
			t.Error(err)
		}
	})
}

// RFC 3891 §3: an early dialog can be replaced by the one whose INVITE made it, and by no one at the side that rings.
func TestRFC3891_3_EarlyDialogs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, phone := w.agent("alice", aliceHost), w.peer(peerHost)
		ringing := make(chan string, 1)
		opt := inviteTo(peerHost)
		opt.CallID = "ours"
		opt.Provisional = func(res *sip.Response) { ringing <- toTag(res) }
		ctx, cancel := context.WithCancel(t.Context())
		out := alice.calling(ctx, opt)
		first := phone.request(sip.INVITE, time.Second)
		phone.reply(first, 180, "a")
		tag := within(t, ringing, time.Second, "180")
		inv := replacing(t, w, alice, "10.0.0.4", Replaces{CallID: "ours", ToTag: fromTag(first), FromTag: tag, EarlyOnly: true})
		d, err := inv.Replaced()
		if err != nil || d.ID().CallID != "ours" {
			t.Fatalf("early: %v, %v", d, err)
		}
		cancel()
		_ = within(t, out, time.Second, "Invite")
		phone.request(sip.CANCEL, time.Second)
		phone.reply(first, 487, "a")
		_ = inv.Reject(488, "")

		bob := w.agent("bob", bobHost)
		caller := w.peer("10.0.0.7")
		caller.dialing(bobHost).send(sip.INVITE, 0, "")
		rings := within(t, bob.invites, time.Second, "INVITE")
		_ = rings.Ringing()
		id := rings.dialog.ID()
		inv = replacing(t, w, bob, "10.0.0.8", Replaces{CallID: id.CallID, ToTag: id.LocalTag, FromTag: id.RemoteTag})
		var status *StatusError
		if _, err := inv.Replaced(); !errors.As(err, &status) || status.Code != 481 {
			t.Errorf("a call that rings here: %v", err)
		}
		_ = inv.Reject(481, "")
		_ = rings.Reject(486, "")
	})
}

func FuzzReplaces(f *testing.F) {
	f.Add("98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff;early-only")
	f.Add("a;to-tag=0;from-tag=\"x;y\"")
	f.Fuzz(func(t *testing.T, in string) {
		r, err := ParseReplaces(in)
		if err != nil {
			return
		}
		if again, err := ParseReplaces(r.String()); err != nil || again != r || strings.ContainsAny(r.String(), "\r\n,") {
			t.Fatalf("%q is written as %q: %v", in, r, err)
		}
	})
}
