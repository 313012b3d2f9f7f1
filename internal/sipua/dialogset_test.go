package sipua

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

func TestCallAndBye(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, alice, bob := pair(t)
		a, b := call(t, alice, bob)
		if a.ID().LocalTag != b.ID().RemoteTag || a.ID().RemoteTag != b.ID().LocalTag {
			t.Fatalf("%v and %v are not one dialog", a.ID(), b.ID())
		}
		if r := b.Remote(); r.User != "alice" {
			t.Errorf("bob talks to %s", r.String())
		}
		if err := a.Bye(t.Context(), CompletedElsewhere); err != nil {
			t.Fatal(err)
		}
		<-b.Done()
		if end := b.End(); !end.Remote || !end.Reason.Elsewhere() || end.Reason.Text != "Call completed elsewhere" {
			t.Errorf("bob's end: %+v", end)
		}
		if err := a.Bye(t.Context(), ""); err != nil {
			t.Errorf("second Bye: %v", err)
		}
		if _, err := b.Next(t.Context()); !errors.Is(err, ErrDialogGone) {
			t.Errorf("Next after the end: %v", err)
		}
	})
}

func TestForksOneWinsTheOtherIsEnded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, phones := w.agent("alice", aliceHost), w.peer(peerHost)
		var ringing []string
		opt := inviteTo(peerHost)
		opt.Provisional = func(res *sip.Response) { ringing = append(ringing, toTag(res)) }
		out := alice.calling(t.Context(), opt)
		inv := phones.request(sip.INVITE, time.Second)
		phones.reply(inv, 180, "a")
		phones.reply(inv, 180, "b")
		phones.reply(inv, 200, "a")
		ack := phones.request(sip.ACK, time.Second)
		if toTag(ack) != "a" || ack.Recipient.User != "a" || ack.CSeq().SeqNo != inv.CSeq().SeqNo {
			t.Fatalf("ACK %s", ack)
		}
		o := within(t, out, time.Second, "dialog")
		if o.err != nil || o.dialog.ID().RemoteTag != "a" || strings.Join(ringing, "") != "ab" {
			t.Fatalf("outcome %+v, ringing %v", o, ringing)
		}
		phones.reply(inv, 200, "b")
		if ack := phones.request(sip.ACK, time.Second); toTag(ack) != "b" || ack.Recipient.User != "b" {
			t.Fatalf("second ACK %s", ack)
		}
		bye := phones.request(sip.BYE, time.Second)
		if toTag(bye) != "b" || bye.GetHeader("Reason").Value() != CompletedElsewhere {
			t.Fatalf("BYE %s", bye)
		}
		phones.reply(bye, 200, "")
		// Both repeat their 2xx: each is acknowledged again, in its own dialog, and nothing more.
		for _, tag := range []string{"a", "b"} {
			phones.reply(inv, 200, tag)
			if ack := phones.request(sip.ACK, time.Second); toTag(ack) != tag {
				t.Fatalf("ACK for %s: %s", tag, ack)
			}
		}
		phones.quiet(time.Second)
		if o.dialog.End() != nil {
			t.Error("the winner has ended")
		}
	})
}

// A fork may answer when the INVITE's transaction is long gone.
func TestStrayAcceptanceIsEnded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, phones := w.agent("alice", aliceHost), w.peer(peerHost)
		out := alice.calling(t.Context(), inviteTo(peerHost))
		inv := phones.request(sip.INVITE, time.Second)
		phones.reply(inv, 200, "a")
		phones.request(sip.ACK, time.Second)
		within(t, out, time.Second, "dialog")
		time.Sleep(100 * time.Second)
		phones.reply(inv, 200, "late")
		if ack := phones.request(sip.ACK, time.Second); toTag(ack) != "late" {
			t.Fatalf("ACK %s", ack)
		}
		if bye := phones.request(sip.BYE, time.Second); bye.GetHeader("Reason").Value() != CompletedElsewhere {
			t.Fatalf("BYE %s", bye)
		}
	})
}

func TestForgedStrayAcceptanceIsIgnored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, phones := w.agent("alice", aliceHost), w.peer(peerHost)
		out := alice.calling(t.Context(), inviteTo(peerHost))
		inv := phones.request(sip.INVITE, time.Second)
		phones.reply(inv, 486, "a")
		phones.request(sip.ACK, time.Second)
		within(t, out, time.Second, "refusal")
		forged := inv.Clone()
		id := sip.CallIDHeader("something-else")
		forged.ReplaceHeader(&id)
		phones.reply(forged, 200, "x")
		phones.quiet(time.Minute)
	})
}

func TestCancelBeforeAnyResponse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, phone := w.agent("alice", aliceHost), w.peer(peerHost)
		ctx, cancel := context.WithCancelCause(t.Context())
		out := alice.calling(ctx, inviteTo(peerHost))
		inv := phone.request(sip.INVITE, time.Second)
		gone := errors.New("changed my mind")
		cancel(gone)
		if o := within(t, out, time.Millisecond, "return"); !errors.Is(o.err, gone) {
			t.Fatalf("got %v", o.err)
		}
		phone.quiet(400 * time.Millisecond) // RFC 3261 §9.1: no CANCEL before a provisional response
		phone.reply(inv, 180, "a")
		if c := phone.request(sip.CANCEL, time.Second); c.CSeq().SeqNo != inv.CSeq().SeqNo {
			t.Fatalf("CANCEL %s", c)
		}
	})
}

// RFC 5407 §3.1.2: the CANCEL crosses the 200.
func TestCancelCrosses200(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, phone := w.agent("alice", aliceHost), w.peer(peerHost)
		ctx, cancel := context.WithCancel(t.Context())
		out := alice.calling(ctx, inviteTo(peerHost))
		inv := phone.request(sip.INVITE, time.Second)
		phone.reply(inv, 180, "a")
		time.Sleep(time.Second)
		cancel()
		if o := within(t, out, time.Millisecond, "return"); !errors.Is(o.err, context.Canceled) {
			t.Fatalf("got %v", o.err)
		}
		phone.request(sip.CANCEL, time.Second)
		phone.reply(inv, 200, "a")
		phone.request(sip.ACK, time.Second)
		bye := phone.request(sip.BYE, time.Second)
		if h := bye.GetHeader("Reason"); h == nil || h.Value() != Abandoned {
			t.Errorf("the BYE does not say what the CANCEL would have said: %v", h)
		}
	})
}

func TestLostAckIsRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, alice, bob := pair(t)
		dropped := 0
		w.net.Filter(dropFirst(&dropped, "ACK ", 2))
		call := alice.calling(t.Context(), inviteTo(bobHost))
		inv := within(t, bob.invites, time.Second, "INVITE")
		in := answering(t.Context(), inv)
		if o := within(t, call, time.Second, "2xx"); o.err != nil {
			t.Fatal(o.err)
		}
		if o := within(t, in, 2*time.Second, "ACK"); o.err != nil || dropped != 2 {
			t.Fatalf("%v after %d lost ACKs", o.err, dropped)
		}
		if ts := w.times(bobHost+":5060", "SIP/2.0 200"); len(ts) != 3 || ts[1]-ts[0] != 0.5 || ts[2]-ts[1] != 1 {
			t.Errorf("2xx at %v", ts)
		}
	})
}

func TestLost200IsRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, alice, bob := pair(t)
		dropped := 0
		w.net.Filter(dropFirst(&dropped, "SIP/2.0 200", 3))
		out := alice.calling(t.Context(), inviteTo(bobHost))
		in := answering(t.Context(), within(t, bob.invites, time.Second, "INVITE"))
		if o := within(t, out, 4*time.Second, "2xx"); o.err != nil {
			t.Fatal(o.err)
		}
		if o := within(t, in, time.Second, "ACK"); o.err != nil {
			t.Fatal(o.err)
		}
	})
}

func TestRejectionsAndFailures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, alice, bob := pair(t)
		out := alice.calling(t.Context(), inviteTo(bobHost))
		inv := within(t, bob.invites, time.Second, "INVITE")
		if err := inv.Reject(486, "Busy Here"); err != nil {
			t.Fatal(err)
		}
		if err := inv.Reject(603, "Decline"); !errors.Is(err, ErrDecided) {
			t.Errorf("second rejection: %v", err)
		}
		o := within(t, out, time.Second, "486")
		if !hasStatus(o.err, 486) || o.res.StatusCode != 486 {
			t.Fatalf("got %v", o.err)
		}
		w.net.Cut(inv.Source().Addr.Addr())
		start := time.Now()
		o = within(t, alice.calling(t.Context(), inviteTo(bobHost)), time.Minute, "timeout")
		if !errors.Is(o.err, ErrTimeout) || time.Since(start) != 64*T1 {
			t.Errorf("got %v after %s", o.err, time.Since(start))
		}
	})
}

func TestRedirectIsFollowed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.agent("alice", aliceHost), w.agent("bob", bobHost)
		old := w.peer(peerHost)
		opt := inviteTo(peerHost)
		opt.FollowRedirects = 1
		out := alice.calling(t.Context(), opt)
		inv := old.request(sip.INVITE, time.Second)
		old.reply(inv, 302, "", "Contact: <sip:bob@"+bobHost+":5060>")
		old.request(sip.ACK, time.Second)
		in := answering(t.Context(), within(t, bob.invites, time.Second, "INVITE"))
		if o := within(t, out, time.Second, "2xx"); o.err != nil {
			t.Fatal(o.err)
		}
		within(t, in, time.Second, "ACK")
	})
}

// The route set is the Record-Route of the 2xx reversed, and in-dialog requests follow it loosely (RFC 3261 §12.1.2).
func TestRouteSetAndTargetRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, phone := w.agent("alice", aliceHost), w.peer(peerHost)
		out := alice.calling(t.Context(), inviteTo(peerHost))
		inv := phone.request(sip.INVITE, time.Second)
		phone.reply(inv, 180, "a", "Record-Route: <sip:wrong.invalid;lr>")
		phone.reply(inv, 200, "a", "Record-Route: <sip:far@"+peerHost+";lr>, <sip:near@"+peerHost+";lr>")
		ack := phone.request(sip.ACK, time.Second)
		if got := routesIn(ack); got != "near far" {
			t.Fatalf("routes of the ACK: %s", got)
		}
		d := within(t, out, time.Second, "dialog").dialog
		s := phone.taken(inv, "a")
		s.send(sip.UPDATE, 0, "", "Contact: <sip:moved@"+peerHost+":5060>")
		phone.response(200, sip.UPDATE, time.Second)
		go func() { _, _ = d.Do(t.Context(), sip.INFO, "text/plain", []byte("x")) }()
		info := phone.request(sip.INFO, time.Second)
		if info.Recipient.User != "moved" || routesIn(info) != "near far" {
			t.Fatalf("INFO to %s by %s", info.Recipient.String(), routesIn(info))
		}
		phone.reply(info, 200, "")
	})
}

func TestStrictRouterIsTolerated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, phone := w.agent("alice", aliceHost), w.peer(peerHost)
		out := alice.calling(t.Context(), inviteTo(peerHost))
		inv := phone.request(sip.INVITE, time.Second)
		phone.reply(inv, 200, "a", "Record-Route: <sip:far@"+peerHost+";lr>, <sip:strict@"+peerHost+">")
		ack := phone.request(sip.ACK, time.Second)
		within(t, out, time.Second, "dialog")
		if ack.Recipient.User != "strict" || routesIn(ack) != "far a" {
			t.Fatalf("ACK to %s by %s", ack.Recipient.String(), routesIn(ack))
		}
	})
}

func routesIn(req *sip.Request) string {
	var users []string
	for _, h := range req.GetHeaders("Route") {
		users = append(users, h.(*sip.RouteHeader).Address.User)
	}
	return strings.Join(users, " ")
}

func TestReliableProvisionalsGetOnePrack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, phone := w.agent("alice", aliceHost), w.peer(peerHost)
		rings := 0
		opt := inviteTo(peerHost)
		opt.Provisional = func(*sip.Response) { rings++ }
		out := alice.calling(t.Context(), opt)
		inv := phone.request(sip.INVITE, time.Second)
		reliable := func(rseq string) { phone.reply(inv, 180, "a", "Require: 100rel", "RSeq: "+rseq) }
		reliable("7")
		prack := phone.request(sip.PRACK, time.Second)
		if got := prack.GetHeader("RAck").Value(); got != "7 1 INVITE" || prack.CSeq().SeqNo != 2 {
			t.Fatalf("RAck %s, CSeq %s", got, prack.CSeq().Value())
		}
		phone.reply(prack, 200, "")
		reliable("7") // a repetition
		reliable("9") // has overtaken 8
		phone.quiet(time.Second)
		reliable("8")
		if got := phone.request(sip.PRACK, time.Second).GetHeader("RAck").Value(); got != "8 1 INVITE" {
			t.Fatalf("RAck %s", got)
		}
		phone.reply(inv, 200, "a")
		within(t, out, time.Second, "dialog")
		if rings != 2 {
			t.Errorf("%d rings were told", rings)
		}
	})
}

func TestTooShortSessionIntervalIsRaised(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, phone := w.agent("alice", aliceHost), w.peer(peerHost)
		out := alice.calling(t.Context(), inviteTo(peerHost))
		inv := phone.request(sip.INVITE, time.Second)
		phone.reply(inv, 422, "x", "Min-SE: 3600")
		phone.request(sip.ACK, time.Second)
		inv = phone.request(sip.INVITE, time.Second)
		if got := inv.GetHeader("Session-Expires").Value(); got != "3600" || inv.CSeq().SeqNo != 2 {
			t.Fatalf("Session-Expires %s, CSeq %s", got, inv.CSeq().Value())
		}
		phone.reply(inv, 486, "x")
		within(t, out, time.Second, "486")
	})
}

// A request may overtake the response that creates its dialog.
func TestRequestOvertakesThe200(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, phone := w.agent("alice", aliceHost), w.peer(peerHost)
		out := alice.calling(t.Context(), inviteTo(peerHost))
		inv := phone.request(sip.INVITE, time.Second)
		phone.taken(inv, "a").send(sip.MESSAGE, 1, "first", "Content-Type: text/plain")
		time.Sleep(50 * time.Millisecond)
		phone.reply(inv, 200, "a")
		d := within(t, out, time.Second, "dialog").dialog
		req, err := d.Next(t.Context())
		if err != nil || string(req.Body()) != "first" {
			t.Fatal(req, err)
		}
		_ = req.Respond(200, "OK")
	})
}
