package sipua

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/vnet"
)

// dropFirst is a filter that loses the first n packets that begin with prefix.
func dropFirst(dropped *int, prefix string, n int) func(vnet.Packet) bool {
	var count atomic.Int64
	return func(p vnet.Packet) bool {
		if !strings.HasPrefix(string(p.Data), prefix) || count.Load() >= int64(n) {
			return true
		}
		*dropped = int(count.Add(1))
		return false
	}
}

func TestRingingAndTag(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		s := caller.dialing(bobHost)
		s.send(sip.INVITE, 1, string(offerBody), "Content-Type: application/sdp", "Record-Route: <sip:p@10.9.9.9;lr>")
		inv := within(t, bob.invites, time.Second, "INVITE")
		if err := inv.Ringing(); err != nil {
			t.Fatal(err)
		}
		res := caller.response(180, sip.INVITE, time.Second)
		if toTag(res) == "" || res.Contact() == nil || res.GetHeader("Record-Route") == nil {
			t.Fatalf("180 %s", res)
		}
		_ = inv.Reject(486, "Busy Here")
		if end := caller.response(486, sip.INVITE, time.Second); toTag(end) != toTag(res) {
			t.Error("the tag has changed")
		}
	})
}

// A phone that rings for long tells proxies so every minute (RFC 3261 §13.3.1.1).
func TestLongRingingIsRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		caller.dialing(bobHost).send(sip.INVITE, 1, "")
		inv := within(t, bob.invites, time.Second, "INVITE")
		_ = inv.Ringing()
		time.Sleep(150 * time.Second)
		if n := len(w.times(bobHost+":5060", "SIP/2.0 180")); n != 3 {
			t.Errorf("%d times 180 in 150 s", n)
		}
		_ = inv.Reject(480, "Temporarily Unavailable")
	})
}

func TestCancelEndsTheInvite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		s := caller.dialing(bobHost)
		s.sendBranch("z9hG4bK1", sip.INVITE, 1, "")
		inv := within(t, bob.invites, time.Second, "INVITE")
		_ = inv.Ringing()
		s.sendBranch("z9hG4bK1", sip.CANCEL, 1, "", `Reason: Q.850;cause=26, SIP;cause=200;text="Call completed elsewhere"`)
		within(t, inv.Canceled(), time.Second, "Canceled")
		if r := inv.CancelReason(); !r.Elsewhere() {
			t.Errorf("reason %+v", r)
		}
		caller.response(200, sip.CANCEL, time.Second)
		caller.response(487, sip.INVITE, time.Second)
		s.sendBranch("z9hG4bK1", sip.ACK, 1, "")
		if _, err := inv.Answer(t.Context(), offerType, answerBody); !errors.Is(err, ErrCanceled) {
			t.Errorf("Answer after CANCEL: %v", err)
		}
		if err := inv.Ringing(); !errors.Is(err, ErrCanceled) {
			t.Errorf("Ringing after CANCEL: %v", err)
		}
	})
}

func TestNoAckEndsTheDialogWithBye(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		s := caller.dialing(bobHost)
		s.send(sip.INVITE, 1, "")
		inv := within(t, bob.invites, time.Second, "INVITE")
		in := answering(t.Context(), inv)
		o := within(t, in, time.Minute, "Answer")
		if !errors.Is(o.err, ErrTimeout) {
			t.Fatalf("got %v", o.err)
		}
		bye := caller.request(sip.BYE, time.Second)
		caller.reply(bye, 200, "")
		// T1, then doubling to T2, for 64*T1: 0 0.5 1.5 3.5 7.5 11.5 15.5 19.5 23.5 27.5 31.5
		if ts := w.times(bobHost+":5060", "SIP/2.0 200"); len(ts) != 11 || ts[10]-ts[0] != 31.5 {
			t.Errorf("200 at %v", ts)
		}
	})
}

func TestAnswerAbandonedEndsWithByeAfterAck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		s := caller.dialing(bobHost)
		s.send(sip.INVITE, 1, "")
		ctx, cancel := context.WithCancel(t.Context())
		in := answering(ctx, within(t, bob.invites, time.Second, "INVITE"))
		res := caller.response(200, sip.INVITE, time.Second)
		cancel()
		if o := within(t, in, time.Second, "return"); !errors.Is(o.err, context.Canceled) {
			t.Fatal(o.err)
		}
		caller.quiet(300 * time.Millisecond) // RFC 3261 §15: not before the ACK
		s.remote = toTag(res)
		s.send(sip.ACK, 1, "")
		caller.reply(caller.request(sip.BYE, time.Second), 200, "")
	})
}

func TestReliableRinging(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		s := caller.dialing(bobHost)
		s.send(sip.INVITE, 1, "", "Require: 100rel")
		inv := within(t, bob.invites, time.Second, "INVITE")
		if err := inv.Ringing(); err != nil {
			t.Fatal(err)
		}
		res := caller.response(180, sip.INVITE, time.Second)
		rseq := res.GetHeader("RSeq")
		if rseq == nil || !hasToken(res, "require", "100rel") {
			t.Fatalf("180 %s", res)
		}
		time.Sleep(1600 * time.Millisecond) // repeated at 0.5 and 1.5
		if n := len(w.times(bobHost+":5060", "SIP/2.0 180")); n != 3 {
			t.Errorf("%d times 180", n)
		}
		s.remote = toTag(res)
		s.send(sip.PRACK, 2, "", "RAck: 1 1 INVITE")
		caller.response(481, sip.PRACK, time.Second)
		s.send(sip.PRACK, 3, "", "RAck: "+rseq.Value()+" 1 INVITE")
		caller.response(200, sip.PRACK, time.Second)
		time.Sleep(time.Minute / 2)
		if n := len(w.times(bobHost+":5060", "SIP/2.0 180")); n != 3 {
			t.Errorf("%d times 180 after the PRACK", n)
		}
		in := answering(t.Context(), inv)
		caller.response(200, sip.INVITE, time.Second)
		s.send(sip.ACK, 1, "")
		within(t, in, time.Second, "Answer")
	})
}

func TestRingingWithoutPrackIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		caller.dialing(bobHost).send(sip.INVITE, 1, "", "Require: 100rel")
		_ = within(t, bob.invites, time.Second, "INVITE").Ringing()
		caller.response(504, sip.INVITE, 33*time.Second)
	})
}

func TestRefusals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		n := 0
		for _, c := range []struct {
			name   string
			method sip.RequestMethod
			target string
			code   int
			header string
			extra  []string
		}{
			{"unknown extension", sip.INVITE, "", 420, "Unsupported", []string{"Require: magic, 100rel"}},
			{"unknown method", "SUBSCRIBE", "", 405, "Allow", nil},
			{"other scheme", sip.MESSAGE, "tel:+123", 416, "", nil},
			{"bye to nobody", sip.BYE, "", 481, "", nil},
			{"notify to nobody", sip.NOTIFY, "", 481, "", nil},
			{"refer", sip.REFER, "", 403, "", []string{"Refer-To: <sip:x@y>"}},
			{"session too short", sip.INVITE, "", 422, "Min-SE", []string{"Supported: timer", "Session-Expires: 30"}},
			{"options", sip.OPTIONS, "", 200, "Allow", nil},
		} {
			n++
			s := caller.dialing(bobHost)
			s.callID += c.name
			s.callID = strings.ReplaceAll(s.callID, " ", "-")
			if c.target != "" {
				s.target = c.target
			}
			s.sendBranch("z9hG4bK-"+s.callID, c.method, 1, "", c.extra...)
			res := caller.response(c.code, c.method, time.Second)
			if c.header != "" && res.GetHeader(c.header) == nil {
				t.Errorf("%s: no %s", c.name, c.header)
			}
		}
		if len(bob.invites) != 0 {
			t.Error("a refused INVITE was handed over")
		}
		s := caller.dialing(bobHost)
		s.remote = "unknown"
		s.send(sip.MESSAGE, 1, "x")
		caller.response(481, sip.MESSAGE, time.Second)
	})
}

// The same request over two paths (RFC 3261 §8.2.2.2); the same branch is a repetition and no concern of ours.
func TestMergedRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		s := caller.dialing(bobHost)
		s.sendBranch("z9hG4bKa", sip.INVITE, 1, "")
		inv := within(t, bob.invites, time.Second, "INVITE")
		s.sendBranch("z9hG4bKb", sip.INVITE, 1, "")
		caller.response(482, sip.INVITE, time.Second)
		_ = inv.Reject(486, "Busy Here")
		caller.response(486, sip.INVITE, time.Second)
		s.sendBranch("z9hG4bKc", sip.INVITE, 1, "")
		s.sendBranch("z9hG4bKd", sip.INVITE, 2, "") // a new request
		inv = within(t, bob.invites, time.Second, "INVITE with a new CSeq")
		if inv.Request().CSeq().SeqNo != 2 {
			t.Error("the merged request was handed over")
		}
		_ = inv.Reject(486, "Busy Here")
	})
}

func TestBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		a, err := NewAgent(AgentConfig{Stack: w.stack(bobHost), AOR: sip.Uri{Scheme: "sip", User: "bob", Host: "example.org"}})
		if err != nil {
			t.Fatal(err)
		}
		a.Serve(Mux{Busy: func() bool { return true }})
		defer a.Close()
		caller := w.peer(peerHost)
		caller.dialing(bobHost).send(sip.MESSAGE, 1, "x")
		if res := caller.response(503, sip.MESSAGE, time.Second); res.GetHeader("Retry-After") == nil {
			t.Error("no Retry-After")
		}
	})
}
