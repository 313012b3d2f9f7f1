package session_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
	"offhook/internal/testkit"
	"offhook/internal/vnet"
	"offhook/park"
	"offhook/session"
)

// parkPeers are an endpoint, a desk phone it talks to, and a park service that does as the test says.
type parkPeers struct {
	*phones
	service *caller
	call    *session.AudioVideoCall
	dlg     *sipua.Dialog // the desk phone's
	refers  chan *sipua.Request
	parks   *parkJournal
	net     *vnet.Net

	mu     sync.Mutex
	answer func(*sipua.Invite) // Guarded by mu; how the service takes a call, nil: 486
}

// serviceInvite sets how the service takes a call.
func (p *parkPeers) serviceInvite(f func(*sipua.Invite)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

// say sends the endpoint a pager message from the desk phone.
func (p *parkPeers) say(t *testing.T, text string) {
	t.Helper()
	req := p.desk.NewRequest(sip.MESSAGE, parse(t, p.addr))
	req.AppendHeader(sip.NewHeader("Content-Type", "text/plain"))
	req.SetBody([]byte(text))
	if _, err := p.desk.Do(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

const serviceHost = "127.0.7.1"

// inPark tells a story of a call that is to be parked. serve is how the service takes the REFER.
func inPark(t *testing.T, serve func(p *parkPeers, req *sipua.Request), tell func(t *testing.T, p *parkPeers)) {
	t.Helper()
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		p := &parkPeers{refers: make(chan *sipua.Request, 8), parks: &parkJournal{}}
		p.phones = &phones{sound: testkit.NewSound(), dialogs: make(chan *sipua.Dialog, 8)}
		p.net = n
		p.service = newCaller(t, n, "park", serviceHost, func(_ *caller, inv *sipua.Invite) {
			p.mu.Lock()
			answer := p.answer
			p.mu.Unlock()
			if answer == nil {
				_ = inv.Reject(486, "")
				return
			}
			answer(inv)
		}, func(mux *sipua.Mux) {
			mux.Refer = func(_ context.Context, req *sipua.Request) {
				select {
				case p.refers <- req:
				default: // repeated again and again
				}
				serve(p, req)
			}
		})
		p.phone = newPhone(t, n, "bob", "127.0.2.1", func(cfg *session.Config) {
			cfg.Media, cfg.Park.Server, cfg.Parks = p.sound, p.service.uri, p.parks
		})
		p.desk = newCaller(t, n, "desk", deskHost, func(_ *caller, inv *sipua.Invite) {
			p.pickUp(inv, p.describe(deskHost, "sendrecv"), sip.NewHeader("Supported", "replaces"))
		})
		p.call, p.dlg = p.phones.call(t)
		time.Sleep(time.Second)
		tell(t, p)
	})
}

// notifier accepts a REFER.
func (p *parkPeers) notifier(req *sipua.Request) *sipua.Notifier { return p.service.OpenNotifier(req) }

func notify(n *sipua.Notifier, frag string) error {
	state := "active;expires=60"
	if !strings.Contains(frag, " 100 ") {
		state = "terminated;reason=noresource"
	}
	return n.Notify(context.Background(), "message/sipfrag;version=2.0", []byte(frag),
		sip.NewHeader("Event", "refer"), sip.NewHeader("Subscription-State", state))
}

const (
	trying     = "SIP/2.0 100 Trying\r\n"
	parkedFrag = "SIP/2.0 200 OK\r\nCall-Info: <sip:701@127.0.7.1:5062>;purpose=x-park-orbit;x-friendly=\"701\", " +
		"<sip:pk-abcdefgh@127.0.7.1:5062>;purpose=x-park-retrieve;x-expires=90\r\n"
)

// expectTalking fails unless the call is exactly as it was: nobody was put on hold, the sound never stopped.
func (p *parkPeers) expectTalking(t *testing.T) {
	t.Helper()
	synctest.Wait()
	expectState(t, p.call, session.Established)
	expectHold(t, p.call, session.HoldNone)
	expectConversation(t, p.call.Conversation(), session.ConversationActive)
	if n := p.sound.Talkers(); n != 1 {
		t.Errorf("%d hear bob", n)
	}
	if n := len(p.got(sip.INVITE)) + len(p.got(sip.UPDATE)); n != 0 {
		t.Errorf("%d offers were made in the call", n)
	}
	for _, ev := range eventsOf[session.CallHold](p.phone) {
		t.Errorf("%+v", ev)
	}
	if _, ok := p.call.Conversation().CallParkOrbit(); ok {
		t.Error("there is an orbit")
	}
	if got := p.ParkHistory(); len(got) != 0 {
		t.Errorf("there is a record: %+v", got)
	}
}

func (p *parkPeers) expectParked(t *testing.T, o park.CallParkOrbit, err error) {
	t.Helper()
	if err != nil || o.FriendlyOrbit != "701" || !strings.Contains(o.SafeRetrieveURI, "pk-abcdefgh") {
		t.Fatalf("%#v, %v", o, err)
	}
	expectConversation(t, p.call.Conversation(), session.ConversationParked)
	if open := p.sound.OpenStreams(); len(open) != 0 {
		t.Errorf("%d streams are open", len(open))
	}
	if r := p.parks.records(); len(r) != 1 || r[0].Orbit.SafeRetrieveURI != o.SafeRetrieveURI || !r[0].Ended.IsZero() {
		t.Errorf("the journal has %+v", r)
	}
}

// parkJournal keeps records in memory.
type parkJournal struct {
	mu    sync.Mutex
	saved []park.Record // Guarded by mu; newest first.
}

func (j *parkJournal) SavePark(_ context.Context, r park.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.saved {
		if j.saved[i].ID == r.ID {
			j.saved[i] = r
			return nil
		}
	}
	j.saved = append([]park.Record{r}, j.saved...)
	return nil
}

func (j *parkJournal) Parks(_ context.Context, limit int) ([]park.Record, error) {
	all := j.records()
	return all[:min(limit, len(all))], nil
}

func (j *parkJournal) records() []park.Record {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]park.Record(nil), j.saved...)
}

// The orders in which a park service and the other side may do what they do, when they park.
func TestParkInAnyOrder(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(p *parkPeers, req *sipua.Request)
	}{
		"as in the book": {func(p *parkPeers, req *sipua.Request) {
			n := p.notifier(req)
			_ = n.Accept(req)
			_ = notify(n, trying)
			_ = p.dlg.Bye(context.Background(), "")
			_ = notify(n, parkedFrag)
		}},
		"NOTIFY before 2xx": {func(p *parkPeers, req *sipua.Request) {
			n := p.notifier(req)
			_ = notify(n, trying)
			_ = notify(n, parkedFrag)
			time.Sleep(time.Second)
			_ = n.Accept(req)
			_ = p.dlg.Bye(context.Background(), "")
		}},
		"BYE before final NOTIFY": {func(p *parkPeers, req *sipua.Request) {
			n := p.notifier(req)
			_ = n.Accept(req)
			_ = p.dlg.Bye(context.Background(), "")
			time.Sleep(4 * time.Second)
			_ = notify(n, parkedFrag)
		}},
		"missing BYE": {func(p *parkPeers, req *sipua.Request) {
			n := p.notifier(req)
			_ = n.Accept(req)
			_ = notify(n, parkedFrag)
		}},
		"202 instead of 200": {func(p *parkPeers, req *sipua.Request) {
			n := p.notifier(req)
			_ = req.Respond(202, "Accepted", &sip.ContactHeader{Address: p.service.Contact().Address})
			_ = notify(n, parkedFrag)
			_ = p.dlg.Bye(context.Background(), "")
		}},
		"final NOTIFY lost": {func(p *parkPeers, req *sipua.Request) {
			n := p.notifier(req)
			_ = n.Accept(req)
			_ = p.dlg.Bye(context.Background(), "")
			p.net.Cut(host(serviceHost))
			time.AfterFunc(2*time.Second, func() { p.net.Heal(host(serviceHost)) })
			_ = notify(n, parkedFrag)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inPark(t, c.serve, func(t *testing.T, p *parkPeers) {
				o, err := p.call.Conversation().Park(t.Context(), "", "order 77")
				synctest.Wait()
				p.expectParked(t, o, err)
				time.Sleep(5 * time.Second)
				expectState(t, p.call, session.Terminated)
				select {
				case <-p.dlg.Done():
				default:
					t.Error("the call with the desk phone was not ended")
				}
				refer := <-p.refers
				if to := refer.GetHeader("Refer-To").Value(); !strings.Contains(to, "Replaces=") || !strings.Contains(to, "Require=replaces") {
					t.Errorf("Refer-To %s", to)
				}
				if refer.GetHeader("Subject").Value() != "order 77" || !strings.Contains(refer.GetHeader("Referred-By").Value(), "bob@") {
					t.Errorf("%s", refer)
				}
				p.expectOrder(t)
			})
		})
	}
}

// expectOrder checks that the orbit was known before the conversation was said to be Parked, and that was told once.
func (p *parkPeers) expectOrder(t *testing.T) {
	t.Helper()
	var order []string
	for _, ev := range p.told() {
		switch ev := ev.(type) {
		case session.ConversationChanged:
			order = append(order, string(ev.State))
		case session.ParkDone:
			order = append(order, "park.parked")
		case session.ParkFailed:
			order = append(order, "park.failed")
		}
	}
	if got := strings.Join(order, " "); got != "Inactive Active Parked park.parked" {
		t.Errorf("told %s", got)
	}
}

// Whatever fails, the two still talk as they did.
func TestParkFails(t *testing.T) {
	refuse := func(code int, warning string) func(*parkPeers, *sipua.Request) {
		return func(_ *parkPeers, req *sipua.Request) {
			if warning == "" {
				_ = req.Respond(code, "No")
				return
			}
			_ = req.Respond(code, "No", sip.NewHeader("Warning", warning))
		}
	}
	outcome := func(frag string) func(*parkPeers, *sipua.Request) {
		return func(p *parkPeers, req *sipua.Request) {
			n := p.notifier(req)
			_ = n.Accept(req)
			_ = notify(n, trying)
			_ = notify(n, frag)
		}
	}
	for name, c := range map[string]struct {
		serve func(p *parkPeers, req *sipua.Request)
		kind  session.Kind
	}{
		"no free orbit": {refuse(486, park.ErrNoOrbit.Warning("x")), session.KindNoOrbit},
		"503":           {refuse(503, ""), session.KindLotClosed},
		"draining":      {refuse(503, park.ErrLotClosed.Warning("x")), session.KindLotClosed},
		"double park":   {refuse(403, park.ErrDoublePark.Warning("x")), session.KindDoublePark},
		"not allowed":   {refuse(403, park.ErrNotAllowed.Warning("x")), session.KindAuth},
		"no answer":     {func(_ *parkPeers, req *sipua.Request) { req.Drop() }, session.KindParkTimeout},
		"no outcome":    {func(p *parkPeers, req *sipua.Request) { _ = p.notifier(req).Accept(req) }, session.KindParkTimeout},
		"ended without outcome": {func(p *parkPeers, req *sipua.Request) {
			n := p.notifier(req)
			_ = n.Accept(req)
			_ = n.Notify(context.Background(), "message/sipfrag", []byte(trying), sip.NewHeader("Event", "refer"),
				sip.NewHeader("Subscription-State", "terminated;reason=giveup"))
		}, session.KindUnavailable},
		"the parkee refuses 488": {outcome("SIP/2.0 488 Not Acceptable Here\r\n"), session.KindUnavailable},
		"the parkee refuses 603": {outcome("SIP/2.0 603 Decline\r\n"), session.KindUnavailable},
		"the parkee refuses 481": {outcome("SIP/2.0 481 No Such Call\r\n"), session.KindNoOrbit}, // and the other way is not open either
		"the parkee refuses 420": {outcome("SIP/2.0 420 Bad Extension\r\n"), session.KindNoOrbit},
	} {
		t.Run(name, func(t *testing.T) {
			inPark(t, c.serve, func(t *testing.T, p *parkPeers) {
				began := time.Now()
				_, err := p.call.Conversation().Park(t.Context(), "", "")
				if kindOf(err) != c.kind {
					t.Errorf("%v, want %s", err, c.kind)
				}
				if took := time.Since(began); took > 33*time.Second {
					t.Errorf("it took %v", took)
				}
				p.expectTalking(t)
				failed := eventsOf[session.ParkFailed](p.phone)
				if len(failed) != 1 || failed[0].Kind != c.kind {
					t.Errorf("told %+v", failed)
				}
				if err := p.call.Terminate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The other side hangs up while it is being parked: that is the end of the call, as any other.
func TestParkeeHangsUpWhileParking(t *testing.T) {
	for name, late := range map[string]bool{"and the service says so": true, "and the service says nothing": false} {
		t.Run(name, func(t *testing.T) {
			inPark(t, func(p *parkPeers, req *sipua.Request) {
				n := p.notifier(req)
				_ = n.Accept(req)
				_ = p.dlg.Bye(context.Background(), "")
				if late {
					time.Sleep(time.Second)
					_ = notify(n, "SIP/2.0 603 Decline\r\n")
				}
			}, func(t *testing.T, p *parkPeers) {
				began := time.Now()
				_, err := p.call.Conversation().Park(t.Context(), "", "")
				if err == nil {
					t.Error("it was parked")
				}
				if took := time.Since(began); took > 6*time.Second {
					t.Errorf("it took %v", took)
				}
				time.Sleep(time.Second)
				expectState(t, p.call, session.Terminated)
				expectConversation(t, p.call.Conversation(), session.ConversationInactive)
				if open := p.sound.OpenStreams(); len(open) != 0 {
					t.Errorf("%d streams are open", len(open))
				}
			})
		})
	}
}

// A park service that was given up parks the call all the same. Nobody is left in an orbit that nobody knows.
func TestLatePark(t *testing.T) {
	for name, canceled := range map[string]bool{"after the guard": false, "after the user has given up": true} {
		t.Run(name, func(t *testing.T) {
			inPark(t, func(p *parkPeers, req *sipua.Request) {
				n := p.notifier(req)
				_ = n.Accept(req)
				time.Sleep(50 * time.Second)
				_ = p.dlg.Bye(context.Background(), "")
				_ = notify(n, parkedFrag)
			}, func(t *testing.T, p *parkPeers) {
				ctx, cancel := context.WithCancel(t.Context())
				if canceled {
					time.AfterFunc(3*time.Second, cancel)
				}
				_, err := p.call.Conversation().Park(ctx, "", "")
				if err == nil {
					t.Error("it was parked at once")
				}
				p.expectTalking(t)
				time.Sleep(50 * time.Second)
				expectState(t, p.call, session.Terminated)
				o, _ := p.call.Conversation().CallParkOrbit()
				p.expectParked(t, o, nil)
				cancel()
			})
		})
	}
}

// Nothing else is done with a call while it is being parked, and it is parked once.
func TestFrozenWhileParking(t *testing.T) {
	inPark(t, func(p *parkPeers, req *sipua.Request) {
		n := p.notifier(req)
		_ = n.Accept(req)
		time.Sleep(3 * time.Second)
		_ = notify(n, "SIP/2.0 488 Not Acceptable Here\r\n")
	}, func(t *testing.T, p *parkPeers) {
		conv := p.call.Conversation()
		done := make(chan error, 1)
		go func() {
			_, err := conv.Park(context.Background(), "", "")
			done <- err
		}()
		time.Sleep(time.Second)
		expectState(t, p.call, session.Transferring)
		for _, action := range []string{"hold", "transfer", "park"} {
			if can, why := conv.Can(action); can {
				t.Errorf("can %s: %s", action, why)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.call.Hold(ctx); err == nil {
			t.Error("it was put on hold")
		}
		if err := p.call.Transfer(ctx, "sip:x@127.0.9.9"); kindOf(err) != session.KindState {
			t.Errorf("transfer: %v", err)
		}
		if err := <-done; err == nil {
			t.Error("it was parked")
		}
		p.expectTalking(t)
		if err := p.call.Hold(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := conv.Park(t.Context(), "", ""); kindOf(err) != session.KindState || !strings.Contains(err.Error(), "on hold") {
			t.Errorf("park on hold: %v", err)
		}
		if err := p.call.Terminate(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A service that has failed is not tried again for a while, and then it is.
func TestServiceComesAndGoes(t *testing.T) {
	inPark(t, func(p *parkPeers, req *sipua.Request) { _ = req.Respond(503, "No") }, func(t *testing.T, p *parkPeers) {
		conv := p.call.Conversation()
		can := func(want bool) {
			t.Helper()
			synctest.Wait()
			if got, why := conv.Can("park"); got != want {
				t.Errorf("can park: %v (%s)", got, why)
			}
		}
		can(true)
		if _, err := conv.Park(t.Context(), "", ""); kindOf(err) != session.KindLotClosed {
			t.Errorf("%v", err)
		}
		can(false)
		if _, err := conv.Park(t.Context(), "", ""); kindOf(err) != session.KindState {
			t.Errorf("%v", err)
		}
		time.Sleep(20 * time.Second)
		can(false)
		time.Sleep(15 * time.Second)
		can(true)
		last := map[bool]int{}
		for _, ev := range eventsOf[session.ActionAvailability](p.phone) {
			if ev.Action == "park" {
				last[ev.Available]++
			}
		}
		if last[true] < 2 || last[false] < 1 {
			t.Errorf("told %v", last)
		}
		p.net.Cut(host(serviceHost))
		if _, err := conv.Park(t.Context(), "", ""); kindOf(err) != session.KindParkTimeout {
			t.Errorf("a service that is gone: %v", err)
		}
		p.expectTalking(t)
		time.Sleep(time.Minute)
		can(false)
		p.net.Heal(host(serviceHost))
		time.Sleep(30 * time.Second)
		conv.Can("park")
		time.Sleep(time.Second)
		can(true)
		if err := p.call.Terminate(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// RFC 3891 §8: not everybody may take the place of somebody in a call.
func TestUnauthorisedReplaces(t *testing.T) {
	inPark(t, func(*parkPeers, *sipua.Request) {}, func(t *testing.T, p *parkPeers) {
		replaces := []sip.Header{sip.NewHeader("Replaces", p.dlg.Replaces().String()), sip.NewHeader("Require", "replaces")}
		mallory := newCaller(t, p.net, "mallory", "127.0.6.6", nil)
		for name, referrer := range map[string]string{"nobody has sent": "", "herself": mallory.uri} {
			headers := replaces
			if referrer != "" {
				headers = append(headers[:2:2], sip.NewHeader("Referred-By", "<"+referrer+">"))
			}
			_, _, err := mallory.Invite(t.Context(), sipua.InviteOptions{
				Target: parse(t, p.addr), ContentType: "application/sdp", Body: []byte(p.describe("127.0.6.6", "sendrecv")), Headers: headers,
			})
			if statusOf(err) != 403 {
				t.Errorf("whom %s has sent: %v", name, err)
			}
		}
		p.expectTalking(t)
		// A forged sender is no park service either: it does not come from there.
		_, _, err := mallory.Invite(t.Context(), sipua.InviteOptions{
			Target: parse(t, p.addr), ContentType: "application/sdp", Body: []byte(p.describe("127.0.6.6", "sendrecv")),
			Headers: append(replaces[:2:2], sip.NewHeader("P-Asserted-Identity", "<"+p.service.uri+">")),
		})
		if statusOf(err) != 403 {
			t.Errorf("a forged park service: %v", err)
		}
		p.expectTalking(t)
		if err := p.call.Terminate(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Whatever is typed, a call of one's own is taken back by the safe URI; and what the service says of it is understood.
func TestOwnParkIsTakenSafely(t *testing.T) {
	inPark(t, func(p *parkPeers, req *sipua.Request) {
		n := p.notifier(req)
		_ = n.Accept(req)
		_ = p.dlg.Bye(context.Background(), "")
		_ = notify(n, parkedFrag)
	}, func(t *testing.T, p *parkPeers) {
		o, err := p.call.Conversation().Park(t.Context(), "", "")
		p.expectParked(t, o, err)
		dialled := make(chan string, 8)
		for _, c := range []struct {
			code    int
			warning string
			kind    session.Kind
		}{
			{410, park.ErrStaleOrbit.Warning("x"), session.KindStaleOrbit},
			{410, "", session.KindStaleOrbit},
			{404, park.ErrOrbitNotFound.Warning("x"), session.KindOrbitNotFound},
			{404, "", session.KindOrbitNotFound},
			{486, "", session.KindBusy},
			{403, park.ErrOutside.Warning("x"), session.KindAuth},
			{503, park.ErrProbing.Warning("x"), session.KindBusy},
			{480, park.ErrRetrieve.Warning("x"), session.KindUnavailable},
		} {
			p.serviceInvite(func(inv *sipua.Invite) {
				dialled <- inv.Request().Recipient.User
				var headers []sip.Header
				if c.warning != "" {
					headers = append(headers, sip.NewHeader("Warning", c.warning))
				}
				_ = inv.Reject(c.code, "", headers...)
			})
			for _, what := range []string{"701", "sip:701@" + serviceHost + ":5062", o.SafeRetrieveURI} {
				_, err := p.Retrieve(t.Context(), what, false)
				if kindOf(err) != c.kind {
					t.Errorf("%d: %v, want %s", c.code, err, c.kind)
				}
				if strings.Contains(err.Error(), "pk-") {
					t.Errorf("the safe URI is in %q", err)
				}
				if user := <-dialled; user != "pk-abcdefgh" {
					t.Errorf("%s was dialled for %s", user, what)
				}
				expectConversation(t, p.call.Conversation(), session.ConversationParked)
			}
		}
		if open := p.sound.OpenStreams(); len(open) != 0 {
			t.Errorf("%d streams are open", len(open))
		}
	})
}
