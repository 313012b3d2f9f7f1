package event

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

func (w *world) subscribe() *Subscription {
	return Subscribe(w.t.Context(), w.agent, SubscribeOptions{
		Target: uri(w.t, "sip:bob@example.org"), Event: "presence", Accept: []string{"application/pidf+xml"},
	})
}

// established lets a subscription come up and returns the SUBSCRIBE that opened it.
func (w *world) established(s *Subscription, state string) *call {
	w.t.Helper()
	c := w.expect(sip.SUBSCRIBE)
	c.answer(w.t, 200, "Expires: 3600")
	if code := w.notify(c, notice{state: state, body: "first"}); code != 200 {
		w.t.Fatalf("NOTIFY was answered %d", code)
	}
	if n := w.next(s); string(n.Body) != "first" {
		w.t.Fatalf("notified of %q", n.Body)
	}
	return c
}

func (w *world) next(s *Subscription) Notification {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	n, err := s.Next(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// close ends a subscription while the server says what is right.
func (w *world) close(s *Subscription, live bool) {
	w.t.Helper()
	closed := make(chan error)
	go func() { closed <- s.Close(w.t.Context()) }()
	if live {
		c := w.expect(sip.SUBSCRIBE)
		if got := field(c, "Expires"); got != "0" {
			w.t.Errorf("unsubscribed with Expires %s", got)
		}
		c.answer(w.t, 200, "Expires: 0")
		if code := w.notify(c, notice{state: "terminated;reason=timeout"}); code != 200 {
			w.t.Errorf("the last NOTIFY was answered %d", code)
		}
	}
	if err := <-closed; err != nil {
		w.t.Errorf("close: %v", err)
	}
	for {
		if _, err := s.Next(w.t.Context()); errors.Is(err, ErrClosed) {
			return
		} else if err != nil {
			w.t.Fatalf("after close: %v", err)
		}
	}
}

func TestSubscriptionLife(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		open := w.expect(sip.SUBSCRIBE)
		if field(open, "Event") != "presence" || field(open, "Accept") != "application/pidf+xml" || field(open, "Expires") != "3600" {
			t.Errorf("SUBSCRIBE without what was asked for:\n%s", open)
		}
		// RFC 6665 §4.1.2.4: NOTIFY may come before the 2xx.
		if code := w.notify(open, notice{state: "pending"}); code != 200 {
			t.Fatalf("early NOTIFY was answered %d", code)
		}
		if n := w.next(s); n.State != "pending" || len(n.Body) > 0 || s.Active() {
			t.Errorf("early notification %+v, active %v", n, s.Active())
		}
		open.answer(t, 202, "Expires: 600")
		accepted := time.Now()
		w.notify(open, notice{state: "active", body: "doc"})
		n := w.next(s)
		if string(n.Body) != "doc" || n.ContentType != "application/pidf+xml" || !s.Active() {
			t.Errorf("notification %+v, active %v", n, s.Active())
		}

		refresh := w.expect(sip.SUBSCRIBE)
		if at := time.Since(accepted); at < 480*time.Second || at > 540*time.Second {
			t.Errorf("600 s were granted and refreshed after %v", at)
		}
		tag, _ := refresh.To().Params.Get("tag")
		if tag != open.Tag() || refresh.CallID().Value() != open.CallID().Value() || refresh.CSeq().SeqNo <= open.CSeq().SeqNo {
			t.Errorf("refresh outside of the dialog:\n%s", refresh)
		}
		if refresh.Recipient.User != "notifier" || refresh.To().Address.User != "bob" {
			t.Errorf("refresh not sent to the notifier's contact: %s", refresh.Recipient.String())
		}
		refresh.answer(t, 200, "Expires: 600")
		w.close(s, true)
	})
}

func TestNotifyGrantsLess(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		w.established(s, "active;expires=60")
		start := time.Now()
		w.expect(sip.SUBSCRIBE).answer(t, 200, "Expires: 3600")
		if at := time.Since(start); at < 45*time.Second || at > 55*time.Second {
			t.Errorf("60 s were granted and refreshed after %v", at)
		}
		w.close(s, true)
	})
}

func TestTerminated(t *testing.T) {
	for _, tt := range []struct {
		state  string
		from   time.Duration // a new SUBSCRIBE comes not before
		within time.Duration // and not after; 0: never
	}{
		{"terminated;reason=deactivated", 0, time.Second},
		{"terminated;reason=timeout", 0, time.Second},
		{"terminated;reason=probation;retry-after=60", time.Minute, 61 * time.Second},
		{"terminated;reason=giveup", time.Second, 3 * time.Second},
		{"terminated;reason=because", time.Second, 3 * time.Second},
		{"terminated", time.Second, 3 * time.Second},
		{"terminated;reason=rejected", 0, 0},
		{"terminated;reason=noresource", 0, 0},
		{"terminated;reason=reason=noresource", 0, 0},
		{"Terminated; Reason=Invariant", 0, 0},
	} {
		t.Run(tt.state, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				s := w.subscribe()
				old := w.established(s, "active")
				if code := w.notify(old, notice{state: tt.state}); code != 200 {
					t.Fatalf("NOTIFY was answered %d", code)
				}
				start := time.Now()
				if tt.within == 0 {
					_, err := s.Next(t.Context())
					var ended *Ended
					if !errors.As(err, &ended) {
						t.Fatalf("ended with %v", err)
					}
					w.expectNothing(time.Hour)
					if err := s.Close(t.Context()); err != nil {
						t.Error(err)
					}
					return
				}
				again := w.expect(sip.SUBSCRIBE)
				if at := time.Since(start); at < tt.from || at > tt.within {
					t.Errorf("subscribed again after %v", at)
				}
				if again.CallID().Value() == old.CallID().Value() {
					t.Error("subscribed again in the old dialog")
				}
				again.answer(t, 403)
				if _, err := s.Next(t.Context()); err == nil {
					t.Error("403 is not final")
				}
				_ = s.Close(t.Context())
			})
		})
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		code   int
		fields []string
		from   time.Duration
		within time.Duration // 0: final
	}{
		{403, nil, 0, 0},
		{404, nil, 0, 0},
		{489, []string{"Allow-Events: dialog"}, 0, 0},
		{503, nil, time.Second, 3 * time.Second},
		{503, []string{"Retry-After: 30 (maintenance)"}, 30 * time.Second, 31 * time.Second},
		{480, nil, time.Second, 3 * time.Second},
		{423, []string{"Min-Expires: 7200"}, 0, time.Second},
	} {
		t.Run(fmt.Sprint(tt.code, tt.fields), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				s := w.subscribe()
				w.expect(sip.SUBSCRIBE).answer(t, tt.code, tt.fields...)
				start := time.Now()
				if tt.within == 0 {
					_, err := s.Next(t.Context())
					if status, ok := statusOf(err); !ok || status.Code != tt.code {
						t.Fatalf("ended with %v", err)
					}
					w.expectNothing(time.Hour)
					return
				}
				again := w.expect(sip.SUBSCRIBE)
				if at := time.Since(start); at < tt.from || at > tt.within {
					t.Errorf("tried again after %v", at)
				}
				if got := field(again, "Expires"); tt.code == 423 && got != "7200" {
					t.Errorf("asked for %s s", got)
				}
				again.answer(t, 403)
				_, _ = s.Next(t.Context())
			})
		})
	}
}

func TestForks(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		open := w.expect(sip.SUBSCRIBE)
		if code := w.notify(open, notice{tag: "one", state: "active", body: "one"}); code != 200 {
			t.Errorf("the first notifier got %d", code)
		}
		if code := w.notify(open, notice{tag: "two", state: "active", body: "two"}); code != 481 {
			t.Errorf("the second notifier got %d", code)
		}
		open.answer(t, 200, "Expires: 600") // the response is the other fork's: its tag does not matter
		if code := w.notify(open, notice{tag: "one", event: "reg", state: "active"}); code != 489 {
			t.Errorf("another event package got %d", code)
		}
		if n := w.next(s); string(n.Body) != "one" {
			t.Errorf("notified of %q", n.Body)
		}
		refresh := w.expect(sip.SUBSCRIBE)
		if tag, _ := refresh.To().Params.Get("tag"); tag != "one" {
			t.Errorf("refreshed the dialog with %q", tag)
		}
		refresh.answer(t, 200, "Expires: 600")
		w.closeDead(s)
	})
}

// closeDead closes a subscription whose server does not answer any more.
func (w *world) closeDead(s *Subscription) {
	w.t.Helper()
	w.net.Cut(peerAddr)
	start := time.Now()
	if err := s.Close(w.t.Context()); err != nil {
		w.t.Error(err)
	}
	if took := time.Since(start); took > goodbye {
		w.t.Errorf("saying goodbye to a dead server took %v", took)
	}
}

func TestCloseGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		w.established(s, "active")
		w.net.Cut(peerAddr)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("close: %v after %v", err, time.Since(start))
		}
	})
}

func TestSlowReaderIsNotWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		open := w.established(s, "active")
		for i := range 100 {
			start := time.Now()
			if code := w.notify(open, notice{state: "active", body: fmt.Sprint(i)}); code != 200 {
				t.Fatalf("NOTIFY %d was answered %d", i, code)
			}
			if took := time.Since(start); took > time.Second {
				t.Fatalf("NOTIFY %d was answered after %v", i, took)
			}
		}
		w.sleep(time.Second)
		for i := 100 - maxUnread; i < 100; i++ {
			if n := w.next(s); string(n.Body) != fmt.Sprint(i) {
				t.Fatalf("notified of %q, want %d", n.Body, i)
			}
		}
		w.closeDead(s)
	})
}

func TestNotifierForgot(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		old := w.established(s, "active;expires=600")
		w.expect(sip.SUBSCRIBE).answer(t, 481)
		start := time.Now()
		again := w.established(s, "active")
		if again.CallID().Value() == old.CallID().Value() || time.Since(start) > time.Second {
			t.Errorf("no new dialog, or only after %v", time.Since(start))
		}
		if code := w.notify(old, notice{state: "active"}); code != 481 {
			t.Errorf("a NOTIFY of the old dialog got %d", code)
		}
		w.closeDead(s)
	})
}

func TestRefreshRefusedForNow(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		open := w.established(s, "active;expires=600")
		w.expect(sip.SUBSCRIBE).answer(t, 503, "Retry-After: 20")
		start := time.Now()
		again := w.expect(sip.SUBSCRIBE)
		if again.CallID().Value() != open.CallID().Value() || time.Since(start) < 20*time.Second {
			t.Errorf("the dialog was given up, or tried after %v", time.Since(start))
		}
		again.answer(t, 200, "Expires: 600")
		w.close(s, true)
	})
}

func TestNetworkLossHeals(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		w.established(s, "active;expires=600")
		w.net.Cut(peerAddr)
		w.sleep(20 * time.Minute)
		if s.Active() {
			t.Error("active without a network")
		}
		w.net.Heal(peerAddr)
		start := time.Now()
		s.Renew()
		for { // what was sent while the server was cut off is gone
			c := w.expect(sip.SUBSCRIBE)
			if len(w.calls) == 0 {
				c.answer(t, 200, "Expires: 600")
				w.notify(c, notice{state: "active", body: "again"})
				break
			}
		}
		if n := w.next(s); string(n.Body) != "again" || time.Since(start) > time.Minute {
			t.Errorf("healed after %v: %q", time.Since(start), n.Body)
		}
		w.close(s, true)
	})
}

func TestSilentNotifier(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		old := w.expect(sip.SUBSCRIBE)
		old.answer(t, 200, "Expires: 600")
		start := time.Now()
		again := w.expect(sip.SUBSCRIBE)
		if at := time.Since(start); at < firstNotify || at > firstNotify+3*time.Second {
			t.Errorf("subscribed again after %v", at)
		}
		if again.CallID().Value() == old.CallID().Value() {
			t.Error("subscribed again in the old dialog")
		}
		again.answer(t, 403)
		_, _ = s.Next(t.Context())
	})
}

// TestNothingGranted has a notifier that grants no time at all: it is not flooded.
func TestNothingGranted(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		start := time.Now()
		for range 6 {
			c := w.expect(sip.SUBSCRIBE)
			c.answer(t, 200, "Expires: 0")
			w.notify(c, notice{state: "active;expires=0"})
		}
		if took := time.Since(start); took < 10*time.Second {
			t.Errorf("6 subscriptions in %v", took)
		}
		w.closeDead(s)
	})
}

// TestRenew refreshes a living subscription and ends the wait of a dead one.
func TestRenew(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		c := w.expect(sip.SUBSCRIBE)
		s.Renew() // nothing to refresh yet
		synctest.Wait()
		c.answer(t, 503, "Retry-After: 3000")
		w.expectNothing(time.Minute)
		s.Renew()
		open := w.established(s, "active;expires=3600")
		s.Renew()
		again := w.expect(sip.SUBSCRIBE)
		if again.CallID().Value() != open.CallID().Value() {
			t.Error("renewed with a new dialog")
		}
		again.answer(t, 200, "Expires: 3600")
		w.close(s, true)
	})
}

func TestFetch(t *testing.T) {
	fetch := func(w *world) (chan Notification, chan error) {
		got, failed := make(chan Notification, 1), make(chan error, 1)
		go func() {
			n, err := Fetch(w.t.Context(), w.agent, SubscribeOptions{Target: uri(w.t, "sip:bob@example.org"), Event: "presence"})
			got <- n
			failed <- err
		}()
		return got, failed
	}
	bubble(t, func(t *testing.T, w *world) {
		got, failed := fetch(w)
		c := w.expect(sip.SUBSCRIBE)
		if field(c, "Expires") != "0" {
			t.Errorf("asked for %s s", field(c, "Expires"))
		}
		c.answer(t, 200, "Expires: 0")
		w.notify(c, notice{state: "terminated;reason=timeout", body: "doc"})
		if n, err := <-got, <-failed; err != nil || string(n.Body) != "doc" || n.Reason != "timeout" {
			t.Errorf("fetched %+v, %v", n, err)
		}
		got, failed = fetch(w)
		w.expect(sip.SUBSCRIBE).answer(t, 404)
		if _, err := <-got, <-failed; err == nil {
			t.Error("404 is no error")
		} else if status, ok := statusOf(err); !ok || status.Code != 404 {
			t.Errorf("404 is %v", err)
		}
		got, failed = fetch(w)
		w.expect(sip.SUBSCRIBE).answer(t, 200, "Expires: 0")
		start := time.Now()
		if _, err := <-got, <-failed; !errors.Is(err, sipua.ErrTimeout) || time.Since(start) > firstNotify+time.Second {
			t.Errorf("without a NOTIFY: %v after %v", err, time.Since(start))
		}
	})
}

func TestAgentCloseEndsSubscription(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.subscribe()
		w.established(s, "active")
		_ = w.agent.Close()
		if _, err := s.Next(t.Context()); !errors.Is(err, sipua.ErrClosed) {
			t.Errorf("ended with %v", err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
