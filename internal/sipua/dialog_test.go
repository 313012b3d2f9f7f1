package sipua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"pgregory.net/rapid"
)

// takenCall is a dialog between bob's agent, who was called, and a scripted caller.
func takenCall(t *testing.T, w *world, bob *party, extra ...string) (*peer, *script, *Dialog) {
	t.Helper()
	caller := w.peer(peerHost)
	s := caller.dialing(bobHost)
	s.send(sip.INVITE, 0, string(offerBody), append([]string{"Content-Type: application/sdp"}, extra...)...)
	in := answering(t.Context(), within(t, bob.invites, time.Second, "INVITE"))
	res := caller.response(200, sip.INVITE, time.Second)
	s.remote = toTag(res)
	s.send(sip.ACK, s.seq, "")
	o := within(t, in, time.Second, "ACK")
	if o.err != nil {
		t.Fatal(o.err)
	}
	return caller, s, o.dialog
}

// placedCall is a dialog between alice's agent, who called, and a scripted callee.
func placedCall(t *testing.T, w *world, alice *party, extra ...string) (*peer, *script, *Dialog) {
	t.Helper()
	phone := w.peer(peerHost)
	out := alice.calling(t.Context(), inviteTo(peerHost))
	inv := phone.request(sip.INVITE, time.Second)
	phone.reply(inv, 200, "a", extra...)
	phone.request(sip.ACK, time.Second)
	o := within(t, out, time.Second, "dialog")
	if o.err != nil {
		t.Fatal(o.err)
	}
	return phone, phone.taken(inv, "a"), o.dialog
}

// read answers requests with 200 and returns their bodies, until the dialog ends or n have come.
func read(t *testing.T, d *Dialog, n int) []string {
	t.Helper()
	var got []string
	for range n {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		req, err := d.Next(ctx)
		cancel()
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, string(req.Body()))
		_ = req.Respond(200, "OK")
	}
	return got
}

// The called party tells its name in its own requests, since the caller knew no more than an address.
func TestCalleeTellsItsName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, _, d := takenCall(t, w, w.agent("bob", bobHost, func(c *AgentConfig) { c.DisplayName = `Bob "B" Martin` }))
		go func() { _, _ = d.Do(t.Context(), sip.INFO, "", nil) }()
		info := caller.request(sip.INFO, time.Second)
		if got := info.From().DisplayName; got != `Bob \"B\" Martin` || fromTag(info) != d.ID().LocalTag {
			t.Errorf("From %s", info.From().Value())
		}
		caller.reply(info, 200, "")
	})
}

func TestMessagesBothWays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, alice, bob := pair(t)
		a, b := call(t, alice, bob)
		for i, pair := range [][2]*Dialog{{a, b}, {b, a}, {a, b}} {
			done := make(chan error, 1)
			go func() {
				_, err := pair[0].Do(t.Context(), sip.MESSAGE, "text/plain", fmt.Append(nil, "text ", i))
				done <- err
			}()
			if got := read(t, pair[1], 1); got[0] != fmt.Sprint("text ", i) {
				t.Errorf("got %q", got)
			}
			if err := within(t, done, time.Second, "200"); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestOrderIsRestored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost))
		for _, n := range []uint32{4, 3, 2} {
			s.send(sip.MESSAGE, n, fmt.Sprint(n), "Content-Type: text/plain")
		}
		if got := read(t, d, 3); !slices.Equal(got, []string{"2", "3", "4"}) {
			t.Errorf("got %v", got)
		}
		for range 3 {
			caller.response(200, sip.MESSAGE, time.Second)
		}
		// A gap is legal, and costs a little patience.
		start := time.Now()
		s.send(sip.MESSAGE, 9, "9", "Content-Type: text/plain")
		read(t, d, 1)
		caller.response(200, sip.MESSAGE, time.Second)
		if waited := time.Since(start); waited != orderGap {
			t.Errorf("waited %s", waited)
		}
		// An old one is refused (RFC 3261 §12.2.2), and leaves the dialog as it is.
		s.send(sip.MESSAGE, 5, "5", "Content-Type: text/plain")
		caller.response(500, sip.MESSAGE, time.Second)
		if d.End() != nil {
			t.Error("the dialog has ended")
		}
	})
}

// Whatever the order of arrival within the gap, requests pass in the order of their numbers.
func TestSequenceProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		count := rapid.IntRange(1, 20).Draw(rt, "count")
		order := rapid.Permutation(sequenceOf(count)).Draw(rt, "order")
		delays := rapid.SliceOfN(rapid.IntRange(0, 150), count, count).Draw(rt, "delays")
		bubble(t, func(t *testing.T) {
			s := newSequence(1)
			var mu sync.Mutex
			var got []uint32
			var wg sync.WaitGroup
			for i, n := range order {
				wg.Go(func() {
					time.Sleep(time.Duration(delays[i]) * time.Millisecond)
					if err := s.enter(t.Context(), n); err != nil {
						t.Errorf("%d: %v", n, err)
						return
					}
					mu.Lock()
					got = append(got, n)
					mu.Unlock()
					s.leave(n)
				})
			}
			wg.Wait()
			if !slices.Equal(got, sequenceOf(count)) {
				t.Errorf("order %v with delays %v passed as %v", order, delays, got)
			}
		})
	})
}

func sequenceOf(count int) []uint32 {
	s := make([]uint32, count)
	for i := range s {
		s[i] = uint32(i + 1)
	}
	return s
}

func TestSequenceIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSequence(1)
		ctx, cancel := context.WithCancel(t.Context())
		for n := range uint32(maxWaiting) {
			go func() { _ = s.enter(ctx, n+100) }()
		}
		time.Sleep(time.Millisecond)
		if err := s.enter(ctx, 99); !errors.Is(err, errManyWaiting) {
			t.Errorf("got %v", err)
		}
		cancel()
	})
}

func TestUnreadRequestsArePushedBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost))
		for range maxInbox + 1 {
			s.send(sip.MESSAGE, 0, "x", "Content-Type: text/plain")
		}
		if res := caller.response(500, sip.MESSAGE, time.Second); res.GetHeader("Retry-After") == nil {
			t.Error("no Retry-After")
		}
		read(t, d, maxInbox)
	})
}

// What arrived before the BYE is read before the end is told.
func TestNothingIsLostBeforeTheBye(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost))
		s.send(sip.BYE, 3, "")
		s.send(sip.MESSAGE, 2, "last words", "Content-Type: text/plain")
		caller.response(200, sip.BYE, time.Second)
		<-d.Done()
		if got := read(t, d, 1); got[0] != "last words" {
			t.Errorf("got %q", got)
		}
		var end *EndError
		if _, err := d.Next(t.Context()); !errors.As(err, &end) || !end.Remote {
			t.Errorf("got %v", err)
		}
	})
}

func TestDialogAnswersByItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost))
		s.send(sip.OPTIONS, 0, "")
		caller.response(200, sip.OPTIONS, time.Second)
		s.send(sip.UPDATE, 0, "")
		caller.response(200, sip.UPDATE, time.Second)
		s.send(sip.PRACK, 0, "", "RAck: 1 1 INVITE")
		caller.response(481, sip.PRACK, time.Second)
		s.send("SUBSCRIBE", 0, "")
		caller.response(405, "SUBSCRIBE", time.Second)
		s.send(sip.MESSAGE, 0, "x", "Require: magic")
		caller.response(420, sip.MESSAGE, time.Second)
		if d.End() != nil {
			t.Error(d.End())
		}
	})
}

func TestGoneDialogEnds(t *testing.T) {
	for _, code := range []int{481, 408} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				phone, _, d := placedCall(t, w, w.agent("alice", aliceHost))
				done := make(chan error, 1)
				go func() { _, err := d.Do(t.Context(), sip.MESSAGE, "text/plain", []byte("x")); done <- err }()
				phone.reply(phone.request(sip.MESSAGE, time.Second), code, "")
				if err := within(t, done, time.Second, "Do"); !hasStatus(err, code) {
					t.Error(err)
				}
				<-d.Done()
				phone.reply(phone.request(sip.BYE, time.Second), 481, "")
				if _, err := d.Do(t.Context(), sip.MESSAGE, "text/plain", nil); !errors.Is(err, ErrDialogGone) {
					t.Errorf("Do after the end: %v", err)
				}
			})
		})
	}
}

// A peer that vanishes: 32 seconds of silence end the dialog.
func TestSilenceEndsTheDialog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		phone, _, d := placedCall(t, w, w.agent("alice", aliceHost))
		_ = phone.pc.Close()
		if _, err := d.Do(t.Context(), sip.MESSAGE, "text/plain", []byte("x")); !errors.Is(err, ErrTimeout) {
			t.Error(err)
		}
		<-d.Done()
		if !errors.Is(d.End(), ErrTimeout) {
			t.Error(d.End())
		}
	})
}

// A refusal that concerns only the request leaves the dialog alone (RFC 5057 §5.1).
func TestRefusedMessageKeepsTheDialog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		phone, _, d := placedCall(t, w, w.agent("alice", aliceHost))
		done := make(chan error, 1)
		go func() { _, err := d.Do(t.Context(), sip.MESSAGE, "text/html", []byte("x")); done <- err }()
		phone.reply(phone.request(sip.MESSAGE, time.Second), 415, "")
		if err := within(t, done, time.Second, "Do"); !hasStatus(err, 415) || d.End() != nil {
			t.Error(err, d.End())
		}
	})
}

func TestRequestsInOrderOnTheWire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		phone, _, d := placedCall(t, w, w.agent("alice", aliceHost))
		for i := range 5 {
			go func() {
				_, _ = d.Do(t.Context(), sip.MESSAGE, "text/plain", fmt.Append(nil, i))
			}()
		}
		for want := uint32(2); want < 7; want++ {
			req := phone.request(sip.MESSAGE, time.Second)
			if got := req.CSeq().SeqNo; got != want {
				t.Errorf("CSeq %d, want %d", got, want)
			}
			phone.quiet(100 * time.Millisecond) // one at a time: RFC 3428 §8
			phone.reply(req, 200, "")
		}
	})
}

func TestHeaderInjectionIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		phone, _, d := placedCall(t, w, w.agent("alice", aliceHost))
		evil := sip.NewHeader("Subject", "x\r\nX-Injected: yes")
		if _, err := d.Do(t.Context(), sip.MESSAGE, "text/plain", nil, evil); !errors.Is(err, errUnsafe) {
			t.Error(err)
		}
		phone.quiet(time.Second)
	})
}

// RFC 3515 §2.2: who takes a REFER says where it is, whether its user thinks of that or not.
func TestReferIsAnsweredWithContact(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, alice, bob := pair(t)
		a, b := call(t, alice, bob)
		done := make(chan outcome, 1)
		go func() {
			res, err := a.Do(t.Context(), sip.REFER, "", nil, sip.NewHeader("Refer-To", "<sip:carol@10.0.0.3>"))
			done <- outcome{res: res, err: err}
		}()
		req, err := b.Next(t.Context())
		if err != nil || req.Method != sip.REFER {
			t.Fatal(req, err)
		}
		if err := req.Respond(202, "Accepted"); err != nil {
			t.Fatal(err)
		}
		if o := within(t, done, time.Second, "202"); o.err != nil || o.res.Contact() == nil || o.res.Contact().Address.Host != bobHost {
			t.Fatalf("%+v", o)
		}
	})
}

func TestReinvite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, alice, bob := pair(t)
		a, b := call(t, alice, bob)
		done := make(chan outcome, 1)
		go func() {
			res, err := a.Reinvite(t.Context(), offerType, []byte("v=0\r\nsecond offer"))
			done <- outcome{res: res, err: err}
		}()
		req, err := b.Next(t.Context())
		if err != nil || req.Method != sip.INVITE {
			t.Fatal(req, err)
		}
		ct := sip.ContentTypeHeader(offerType)
		if err := req.Send(req.Response(200, "OK", answerBody, &ct)); err != nil {
			t.Fatal(err)
		}
		o := within(t, done, time.Second, "answer")
		if o.err != nil || string(o.res.Body()) != string(answerBody) || o.res.Contact() == nil {
			t.Fatalf("%+v", o)
		}
		time.Sleep(5 * time.Second)
		if n := len(w.times(bobHost+":5060", "SIP/2.0 200")); n != 2 {
			t.Errorf("%d times 200: the re-INVITE was not acknowledged", n)
		}
	})
}

// Both sides offer at once: both get 491, the side that owns the Call-ID waits longer, both offers succeed.
func TestGlareIsResolved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, alice, bob := pair(t)
		a, b := call(t, alice, bob)
		w.net.Default(linkDelay(50 * time.Millisecond))
		done := make(chan error, 2)
		for _, d := range []*Dialog{a, b} {
			go func() {
				_, err := d.Reinvite(t.Context(), offerType, offerBody)
				done <- err
			}()
			go func() {
				req, err := d.Next(t.Context())
				if err == nil {
					ct := sip.ContentTypeHeader(offerType)
					_ = req.Send(req.Response(200, "OK", answerBody, &ct))
				}
			}()
		}
		start := time.Now()
		for range 2 {
			if err := within(t, done, 10*time.Second, "re-INVITE"); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took < 2100*time.Millisecond || took > 6*time.Second {
			t.Errorf("took %s", took)
		}
		if n := len(w.times(aliceHost+":5060", "SIP/2.0 491")); n != 1 {
			t.Errorf("alice sent 491 %d times", n)
		}
	})
}

func TestGlareDelays(t *testing.T) {
	for range 1000 {
		if d := glareDelay(true); d < 2100*time.Millisecond || d > 4*time.Second || d%(10*time.Millisecond) != 0 {
			t.Fatalf("owner waits %s", d)
		}
		if d := glareDelay(false); d < 0 || d > 2*time.Second || d%(10*time.Millisecond) != 0 {
			t.Fatalf("other waits %s", d)
		}
	}
}

// Two offers of the other side at once: the second is refused for now (RFC 3261 §14.2).
func TestSecondOfferWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost))
		s.send(sip.INVITE, 0, string(offerBody), "Content-Type: application/sdp")
		req, err := d.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.send(sip.INVITE, 0, string(offerBody), "Content-Type: application/sdp")
		if res := caller.response(500, sip.INVITE, time.Second); res.GetHeader("Retry-After") == nil {
			t.Error("no Retry-After")
		}
		_ = req.Respond(488, "Not Acceptable Here")
		caller.response(488, sip.INVITE, time.Second)
		s.send(sip.INVITE, 0, string(offerBody), "Content-Type: application/sdp")
		if _, err = d.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestUsage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, notifier := w.agent("alice", aliceHost), w.peer(peerHost)
		u := alice.OpenUsage("sub-1", "mine")
		s := &script{
			peer: notifier, host: aliceHost, callID: "sub-1", local: "n", remote: "mine", target: "sip:alice@" + aliceHost,
		}
		for _, n := range []uint32{2, 1} { // overtaken
			s.send(sip.NOTIFY, n, fmt.Sprint(n), "Event: presence", "Subscription-State: active", "Content-Type: text/plain")
		}
		for _, want := range []string{"1", "2"} {
			req, err := u.Next(t.Context())
			if err != nil || string(req.Body()) != want {
				t.Fatal(req, err)
			}
			_ = req.Respond(200, "OK")
			notifier.response(200, sip.NOTIFY, time.Second)
		}
		u.Close()
		s.send(sip.NOTIFY, 3, "", "Event: presence", "Subscription-State: active")
		notifier.response(481, sip.NOTIFY, time.Second)
		if _, err := u.Next(t.Context()); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
}

func TestReasonValues(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Reason
	}{
		{CompletedElsewhere, Reason{"SIP", 200, "Call completed elsewhere", ""}},
		{"sip ; cause=200", Reason{"sip", 200, "", ""}},
		{`Q.850;cause=16;text="a \"quoted\" text; really"`, Reason{"Q.850", 16, `a "quoted" text; really`, ""}},
		{AnsweredBy("urn:uuid:7").String(), AnsweredBy("urn:uuid:7")},
		{"SIP;cause=99999999", Reason{"SIP", 0, "", ""}},
		{"no protocol", Reason{}},
		{"", Reason{}},
		{"SIP;text=\"\x1b[2Jgone\"", Reason{"SIP", 0, ParseReason("SIP;text=\"\x1b[2Jgone\"").Text, ""}},
	} {
		if got := ParseReason(c.in); got != c.want || strings.Contains(got.Text, "\x1b") {
			t.Errorf("%q: %+v", c.in, got)
		}
	}
	if !ParseReason("sip;cause=200").Elsewhere() || ParseReason("Q.850;cause=200").Elsewhere() {
		t.Error("Elsewhere")
	}
}

func FuzzReason(f *testing.F) {
	f.Add(CompletedElsewhere)
	f.Add(`Q.850;cause=16;text="a\"b"`)
	f.Add(`SIP;cause=;text="`)
	f.Fuzz(func(t *testing.T, in string) {
		r := ParseReason(in)
		if hasControl(r.Text) {
			t.Fatalf("control characters in %q", r.Text)
		}
		if again := ParseReason(r.String()); again != r && r.Text == cleanLine(r.Text) && !strings.ContainsAny(r.Text, `"\`) {
			t.Fatalf("%+v became %+v", r, again)
		}
	})
}

func FuzzTimerHeaders(f *testing.F) {
	f.Add("1800;refresher=uac", "90", "7 1 INVITE")
	f.Add(";", "x", "1")
	f.Add("99999999999999999999;refresher=", "-1", "4294967296 1 INVITE")
	f.Fuzz(func(t *testing.T, expires, minimum, rack string) {
		req := sip.NewRequest(sip.UPDATE, sip.Uri{Scheme: "sip", Host: "x"})
		req.AppendHeader(sip.NewHeader("Session-Expires", expires))
		req.AppendHeader(sip.NewHeader("Min-SE", minimum))
		req.AppendHeader(sip.NewHeader("RAck", rack))
		if d, _, ok := sessionExpires(req); ok && d < 0 {
			t.Fatalf("%q is %s", expires, d)
		}
		if d, ok := seconds(req, "min-se"); ok && d < 0 {
			t.Fatalf("%q is %s", minimum, d)
		}
		parseRAck(req)
	})
}
