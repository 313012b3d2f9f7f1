package sipua

import (
	"context"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

// An INVITE may come from somebody else than the agent, and its Contact may say what the user agent is; both stay so in the
// dialog, until they are changed.
func TestInviteInAnotherName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, alice, bob := pair(t)
		opt := inviteTo(bobHost)
		opt.From = sip.FromHeader{DisplayName: `Park "701"`, Address: sip.Uri{Scheme: "sip", User: "701", Host: "example.org"}}
		opt.ContactParams = sip.HeaderParams{{K: "automaton"}, {K: "+sip.rendering", V: `"no"`}}
		out := alice.calling(t.Context(), opt)
		inv := within(t, bob.invites, time.Second, "INVITE")
		if from := inv.Request().From(); from.Address.User != "701" || unquote(`"`+from.DisplayName+`"`) != `Park "701"` {
			t.Errorf("From: %v", from)
		}
		if c := inv.Request().Contact(); !c.Params.Has("automaton") || c.Address.User != "alice" {
			t.Errorf("Contact: %v", c)
		}
		answered := answering(t.Context(), inv)
		a := within(t, out, time.Second, "dialog").dialog
		b := within(t, answered, time.Second, "dialog").dialog
		for _, automaton := range []bool{true, false} {
			if !automaton {
				a.SetContactParams(nil)
			}
			go func() { _, _ = a.Reinvite(t.Context(), offerType, offerBody) }()
			req := next(t, b)
			if got := req.Contact().Params.Has("automaton"); got != automaton || req.From().Address.User != "701" {
				t.Errorf("automaton=%v: From %v, Contact %v", got, req.From(), req.Contact())
			}
			respond(t, req, offerBody)
			time.Sleep(time.Second)
		}
	})
}

// A cause that has a reason is told in the CANCEL (RFC 3326).
func TestCancelWithItsCause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, alice, bob := pair(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		out := alice.calling(ctx, inviteTo(bobHost))
		inv := within(t, bob.invites, time.Second, "INVITE")
		cancel(&CancelCause{Reason: CompletedElsewhere})
		within(t, inv.Canceled(), time.Second, "CANCEL")
		if r := inv.CancelReason(); !r.Elsewhere() {
			t.Errorf("the CANCEL says %v", r)
		}
		if o := within(t, out, time.Second, "outcome"); o.err == nil {
			t.Error("the INVITE was answered")
		}
	})
}

// A REFER from outside of any dialog makes a subscription: NOTIFYs reach the subscriber, a SUBSCRIBE reaches the notifier.
func TestNotifier(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, alice, bob := pair(t)
		notifiers := make(chan *Notifier, 1)
		bob.Serve(Mux{Refer: func(_ context.Context, req *Request) {
			n := bob.OpenNotifier(req)
			if err := n.Accept(req); err != nil {
				t.Error(err)
			}
			notifiers <- n
		}})
		refer := alice.NewRequest(sip.REFER, sip.Uri{Scheme: "sip", User: "bob", Host: bobHost})
		tag, _ := refer.From().Params.Get("tag")
		u := alice.OpenUsage(refer.CallID().Value(), tag)
		defer u.Close()
		res, err := alice.Do(t.Context(), refer)
		if err != nil || res.Contact() == nil {
			t.Fatal(res, err)
		}
		n := within(t, notifiers, time.Second, "REFER")
		defer n.Close()
		for i := range uint32(2) {
			sent := make(chan error, 1)
			go func() {
				sent <- n.Notify(t.Context(), "message/sipfrag", []byte("SIP/2.0 100 Trying\r\n"), sip.NewHeader("Event", "refer"))
			}()
			req, err := u.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if req.CSeq().SeqNo != i+1 || fromTag(req) != toTag(res) || toTag(req) != tag || len(req.Body()) == 0 {
				t.Errorf("NOTIFY: %v", req)
			}
			_ = req.Respond(200, "OK")
			if err := within(t, sent, time.Second, "answer"); err != nil {
				t.Error(err)
			}
		}
		sub := alice.NewRequest(sip.SUBSCRIBE, res.Contact().Address)
		sub.ReplaceHeader(refer.CallID())
		sub.ReplaceHeader(refer.From())
		sub.To().Params.Add("tag", toTag(res))
		sub.CSeq().SeqNo = 2
		go func() {
			req, err := n.Next(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			_ = n.Accept(req, sip.NewHeader("Expires", "0"))
		}()
		if res, err := alice.Do(t.Context(), sub); err != nil || res.GetHeader("Expires") == nil {
			t.Error(res, err)
		}
	})
}
