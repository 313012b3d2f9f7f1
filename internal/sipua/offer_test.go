package sipua

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

// answeringWithOffer runs AnswerOffer in the background; the outcome's body is the ACK's.
func answeringWithOffer(ctx context.Context, inv *Invite) (<-chan outcome, <-chan string) {
	c, body := make(chan outcome, 1), make(chan string, 1)
	go func() {
		d, ack, err := inv.AnswerOffer(ctx, offerType, offerBody)
		if err == nil {
			body <- ack.ContentType().Value() + " " + string(ack.Body())
		}
		c <- outcome{dialog: d, err: err}
	}()
	return c, body
}

// respond answers a request with a session description.
func respond(t *testing.T, req *Request, body []byte) {
	t.Helper()
	ct := sip.ContentTypeHeader(offerType)
	if err := req.Send(req.Response(200, "OK", body, &ct)); err != nil {
		t.Fatal(err)
	}
}

// next is Next within a second.
func next(t *testing.T, d *Dialog) *Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	req, err := d.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// RFC 3261 §13.2.1: an INVITE without an offer gets one in the 2xx, and brings the answer in its ACK.
func TestRFC3261_13_2_1_OfferIn2xx(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		s := caller.dialing(bobHost)
		s.send(sip.INVITE, 0, "")
		in, answer := answeringWithOffer(t.Context(), within(t, bob.invites, time.Second, "INVITE"))
		res := caller.response(200, sip.INVITE, time.Second)
		if !bytes.Equal(res.Body(), offerBody) || res.ContentType().Value() != offerType {
			t.Fatalf("no offer: %s", res)
		}
		s.remote = toTag(res)
		s.send(sip.ACK, s.seq, string(answerBody), "Content-Type: application/sdp")
		if o := within(t, in, time.Second, "ACK"); o.err != nil || o.dialog == nil {
			t.Fatal(o.err)
		}
		if got := within(t, answer, time.Second, "answer"); got != "application/sdp "+string(answerBody) {
			t.Errorf("answer %q", got)
		}
	})
}

// Without an ACK there is no answer: the dialog ends as it does after Answer.
func TestOfferIn2xxWithoutAck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		caller.dialing(bobHost).send(sip.INVITE, 0, "")
		in, _ := answeringWithOffer(t.Context(), within(t, bob.invites, time.Second, "INVITE"))
		if o := within(t, in, 33*time.Second, "AnswerOffer"); !errors.Is(o.err, ErrTimeout) || o.dialog != nil {
			t.Fatalf("got %v", o.err)
		}
		caller.request(sip.BYE, time.Second)
	})
}

// RFC 3261 §14.2: a re-INVITE without an offer gets one in its 2xx. Until the ACK has brought the answer an offer of the
// other side crosses ours, and ours wait.
func TestRFC3261_14_2_OfferIn2xxToReinvite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost))
		s.send(sip.INVITE, 0, "")
		reinvite := next(t, d)
		if _, err := d.Ack(t.Context(), reinvite); err == nil {
			t.Error("an ACK before the answer")
		}
		respond(t, reinvite, offerBody)
		seq := s.seq
		caller.response(200, sip.INVITE, time.Second)
		s.send(sip.UPDATE, 0, string(offerBody), "Content-Type: application/sdp")
		caller.response(491, sip.UPDATE, 300*time.Millisecond)
		ours := make(chan error, 1)
		go func() { _, err := d.Update(t.Context(), offerType, offerBody); ours <- err }()
		caller.quiet(100 * time.Millisecond)
		s.send(sip.ACK, seq, string(answerBody), "Content-Type: application/sdp")
		ack, err := d.Ack(t.Context(), reinvite)
		if err != nil || !bytes.Equal(ack.Body(), answerBody) {
			t.Fatalf("ACK %v, %v", ack, err)
		}
		caller.reply(caller.request(sip.UPDATE, time.Second), 200, "")
		if err := within(t, ours, time.Second, "UPDATE"); err != nil {
			t.Error(err)
		}
	})
}

// A re-INVITE whose 2xx is never acknowledged ends the dialog, and whoever waits for the answer learns it.
func TestOfferIn2xxToReinviteWithoutAck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost))
		s.send(sip.INVITE, 0, "")
		reinvite := next(t, d)
		respond(t, reinvite, offerBody)
		start := time.Now()
		if _, err := d.Ack(t.Context(), reinvite); !errors.Is(err, ErrTimeout) || time.Since(start) != 64*T1 {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		caller.request(sip.BYE, time.Second)
	})
}

// RFC 3311: an offer by UPDATE, whose 200 is not acknowledged.
func TestRFC3311_OfferByUpdate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, alice, bob := pair(t)
		a, b := call(t, alice, bob)
		done := make(chan outcome, 1)
		go func() {
			res, err := a.Update(t.Context(), offerType, offerBody)
			done <- outcome{res: res, err: err}
		}()
		req := next(t, b)
		if req.Method != sip.UPDATE || req.Contact() == nil {
			t.Fatal(req)
		}
		respond(t, req, answerBody)
		if o := within(t, done, time.Second, "200"); o.err != nil || !bytes.Equal(o.res.Body(), answerBody) || o.res.Contact() == nil {
			t.Fatalf("%+v", o)
		}
		if _, err := b.Ack(t.Context(), req); err == nil {
			t.Error("an UPDATE has an ACK")
		}
		if n := len(w.times(aliceHost+":5060", "ACK")); n != 1 {
			t.Errorf("%d ACKs", n)
		}
	})
}

// Nothing of the other side's is served between Describe and Accepted or Refused, and every Describe has one of them.
func TestProposeOrdersOffers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost))
		var mu sync.Mutex
		var log []string // Guarded by mu.
		note := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, what)
		}
		done := make(chan error, 1)
		go func() {
			_, err := d.Propose(t.Context(), Offer{
				Method:   sip.INVITE,
				Describe: func() (string, []byte, error) { note("describe"); return offerType, offerBody, nil },
				Refused:  func() { note("refused") },
				Accepted: func(res *sip.Response) { note("accepted " + strings.TrimSpace(string(res.Body()))) },
			})
			done <- err
		}()
		first := caller.request(sip.INVITE, time.Second)
		s.send(sip.INVITE, 0, string(offerBody), "Content-Type: application/sdp")
		caller.response(491, sip.INVITE, time.Second)
		caller.reply(first, 500, "", "Retry-After: 3") // as 491, but it is known when ours would come again
		caller.request(sip.ACK, time.Second)
		synctest.Wait() // the ACK leaves a moment before Refused is called
		s.send(sip.INVITE, 0, string(offerBody), "Content-Type: application/sdp")
		theirs := next(t, d) // it may come at once: ours has been withdrawn
		caller.quiet(5 * time.Second)
		note("theirs")
		_ = theirs.Respond(488, "Not Acceptable Here")
		s.send(sip.ACK, s.seq, "")
		caller.reply(caller.request(sip.INVITE, time.Second), 200, "x", "Content-Type: application/sdp", "", "v=0")
		caller.request(sip.ACK, time.Second)
		if err := within(t, done, time.Second, "Propose"); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(log, ", "); got != "describe, refused, theirs, describe, accepted v=0" {
			t.Errorf("in order: %s", got)
		}
	})
}

// What cannot be described is not sent, and blocks nothing.
func TestProposeNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost))
		wrong := errors.New("wrong")
		_, err := d.Propose(t.Context(), Offer{Method: sip.INVITE, Describe: func() (string, []byte, error) { return "", nil, wrong }})
		if !errors.Is(err, wrong) {
			t.Fatal(err)
		}
		s.send(sip.INVITE, 0, string(offerBody), "Content-Type: application/sdp")
		_ = next(t, d).Respond(488, "Not Acceptable Here")
		caller.response(488, sip.INVITE, time.Second)
	})
}

// RFC 3261 §14.2: 500 with Retry-After means that an offer of ours came too early; without it nothing is known.
func TestOfferThatCameTooEarlyIsRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, _, d := takenCall(t, w, w.agent("bob", bobHost))
		done := make(chan error, 1)
		go func() { _, err := d.Update(t.Context(), offerType, offerBody); done <- err }()
		caller.reply(caller.request(sip.UPDATE, time.Second), 500, "", "Retry-After: 3")
		start := time.Now()
		again := caller.request(sip.UPDATE, 4*time.Second)
		if waited := time.Since(start); waited != 3*time.Second {
			t.Errorf("again after %s", waited)
		}
		caller.reply(again, 500, "")
		if err := within(t, done, time.Second, "Update"); !hasStatus(err, 500) {
			t.Errorf("got %v", err)
		}
	})
}

// While the answer in an ACK is being put into force there is nothing to build an offer on: it is written a moment later.
func TestOfferWaitsForAnAnswerToBeInForce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, _, d := takenCall(t, w, w.agent("bob", bobHost))
		asked, done := 0, make(chan error, 1)
		propose := func(ctx context.Context, notYet int) {
			asked = 0
			_, err := d.Propose(ctx, Offer{Method: sip.UPDATE, Describe: func() (string, []byte, error) {
				if asked++; asked <= notYet {
					return "", nil, ErrNotYet
				}
				return offerType, offerBody, nil
			}})
			done <- err
		}
		start := time.Now()
		go propose(t.Context(), 2*maxGlare)
		ours := caller.request(sip.UPDATE, time.Second)
		if waited := time.Since(start); waited != 2*maxGlare*answerComes {
			t.Errorf("sent after %s", waited)
		}
		caller.reply(ours, 200, "")
		if err := within(t, done, time.Second, "Propose"); err != nil || asked != 2*maxGlare+1 {
			t.Errorf("asked %d times: %v", asked, err)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, ErrTimeout)
		defer cancel()
		go propose(ctx, 1<<30)
		if err := within(t, done, 2*time.Second, "the end of patience"); !errors.Is(err, ErrTimeout) {
			t.Errorf("got %v", err)
		}
	})
}

// The session is refreshed with the newest description, even if that is being agreed when the refresh is due.
func TestRefreshRepeatsTheNewestDescription(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		const timed = "Session-Expires: 200;refresher=uac"
		phone, _, d := placedCall(t, w, w.agent("alice", aliceHost), "Allow: INVITE, BYE", timed, "Require: timer")
		time.Sleep(100*time.Second - time.Second)
		newest := []byte("v=0\r\no=- 1 2 IN IP4 10.0.0.1\r\ns=-\r\n")
		go func() { _, _ = d.Reinvite(t.Context(), offerType, newest) }()
		ours := phone.request(sip.INVITE, time.Second)
		phone.reply(ours, 100, "")
		time.Sleep(2 * time.Second) // the refresh is due, and has to wait
		phone.reply(ours, 200, "x", timed)
		phone.request(sip.ACK, time.Second)
		refresh := phone.request(sip.INVITE, 101*time.Second)
		if !bytes.Equal(refresh.Body(), newest) {
			t.Errorf("refreshed with %s", refresh.Body())
		}
		phone.reply(refresh, 200, "x", timed)
		phone.request(sip.ACK, time.Second)
	})
}

// A description that was refused is not what a refresh repeats.
func TestRefreshRepeatsWhatIsInForce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		phone, _, d := placedCall(t, w, w.agent("alice", aliceHost), "Allow: INVITE, BYE",
			"Session-Expires: 200;refresher=uac", "Require: timer")
		go func() { _, _ = d.Reinvite(t.Context(), offerType, answerBody) }()
		phone.reply(phone.request(sip.INVITE, time.Second), 488, "")
		phone.request(sip.ACK, time.Second)
		refresh := phone.request(sip.INVITE, 101*time.Second)
		if !bytes.Equal(refresh.Body(), offerBody) {
			t.Errorf("refreshed with %s", refresh.Body())
		}
		phone.reply(refresh, 200, "x")
		phone.request(sip.ACK, time.Second)
	})
}

// RFC 3261 §12.2: a re-INVITE moves the remote target, in either direction, unless it is refused.
func TestRFC3261_12_2_TargetRefreshByReinvite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost))
		const moved = "sip:moved@" + peerHost + ":5060"
		for _, accepted := range []bool{false, true} {
			before := d.RemoteTarget()
			s.send(sip.INVITE, 0, string(offerBody), "Content-Type: application/sdp", "Contact: <"+moved+">")
			req := next(t, d)
			if !accepted {
				_ = req.Respond(488, "Not Acceptable Here")
				caller.response(488, sip.INVITE, time.Second)
				s.send(sip.ACK, s.seq, "")
				if got := d.RemoteTarget(); got.String() != before.String() {
					t.Errorf("a refused re-INVITE moves the target to %s", &got)
				}
				continue
			}
			respond(t, req, answerBody)
			caller.response(200, sip.INVITE, time.Second)
			s.send(sip.ACK, s.seq, "")
			if got := d.RemoteTarget(); got.String() != moved {
				t.Errorf("target %s", &got)
			}
		}
		go func() { _, _ = d.Reinvite(t.Context(), offerType, offerBody) }()
		inv := caller.request(sip.INVITE, time.Second)
		if inv.Recipient.String() != moved {
			t.Errorf("sent to %s", inv.Recipient.String())
		}
		caller.reply(inv, 200, "again")
		if ack := caller.request(sip.ACK, time.Second); ack.Recipient.User != "again" {
			t.Errorf("the ACK goes to %s", ack.Recipient.String())
		}
	})
}

func TestTraceHidesKeys(t *testing.T) {
	in := "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:aHVzaA==|2^31\r\nA=CRYPTO:2 X INLINE:aHVzaA==\n" +
		"a=crypto:3 aHVzaA==\r\nk=base64:aHVzaA==\r\nk=prompt\r\na=cryptoscale:1 client\r\n"
	got := string(redact([]byte(in)))
	if strings.Contains(got, "aHVz") || !strings.Contains(got, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:[removed]\r\n") ||
		!strings.Contains(got, "m=audio 4000 RTP/SAVP 0\r\n") || strings.Count(got, "\n") != strings.Count(in, "\n") {
		t.Errorf("trace %s", got)
	}
}

// RFC 3960: what the forks of an INVITE describe before they answer reaches the caller with their tags; a reliable one
// once, and with its PRACK (RFC 3262 §4).
func TestEarlyDescriptionsReachTheCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, phone := w.agent("alice", aliceHost), w.peer(peerHost)
		var got []string
		opt := inviteTo(peerHost)
		opt.Provisional = func(res *sip.Response) {
			got = append(got, toTag(res)+" "+strings.TrimSpace(string(res.Body())))
		}
		out := alice.calling(t.Context(), opt)
		inv := phone.request(sip.INVITE, time.Second)
		reliable := []string{"Content-Type: application/sdp", "Require: 100rel", "RSeq: 3", "", "v=0 first"}
		phone.reply(inv, 183, "a", reliable...)
		phone.reply(phone.request(sip.PRACK, time.Second), 200, "")
		phone.reply(inv, 183, "a", reliable...)
		phone.reply(inv, 183, "b", "Content-Type: application/sdp", "", "v=0 second")
		phone.quiet(time.Second)
		phone.reply(inv, 200, "b", "Content-Type: application/sdp", "", "v=0 second")
		if o := within(t, out, time.Second, "200"); o.err != nil || o.dialog.ID().RemoteTag != "b" {
			t.Fatalf("%+v", o)
		}
		if s := strings.Join(got, ", "); s != "a v=0 first, b v=0 second" {
			t.Errorf("told %s", s)
		}
	})
}

// A dialog does not remember where we were: a re-INVITE after a change of the network tells the address of the moment, and
// so does the answer to one.
func TestContactFollowsTheNetwork(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice := w.agent("alice", aliceHost, server(peerHost))
		phone, s, d := placedCall(t, w, alice)
		move := func(to string) {
			alice.mu.Lock()
			defer alice.mu.Unlock()
			alice.seen["udp"] = to // as a server beyond a NAT sees us
		}
		move("203.0.113.9:40000")
		go func() { _, _ = d.Reinvite(t.Context(), offerType, offerBody) }()
		inv := phone.request(sip.INVITE, time.Second)
		if got := inv.Contact().Address; got.Host != "203.0.113.9" || got.Port != 40000 {
			t.Errorf("Contact %s", &got)
		}
		phone.reply(inv, 200, "a")
		phone.request(sip.ACK, time.Second)
		move("203.0.113.10:40000")
		s.send(sip.INVITE, 0, string(offerBody), "Content-Type: application/sdp")
		respond(t, next(t, d), answerBody)
		if got := phone.response(200, sip.INVITE, time.Second).Contact().Address; got.Host != "203.0.113.10" {
			t.Errorf("Contact in the answer %s", &got)
		}
	})
}
