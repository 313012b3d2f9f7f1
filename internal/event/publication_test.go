package event

import (
	"context"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

// refreshed starts a publication and the goroutine that keeps it alive.
func (w *world) publication() (p *Publication, stop func()) {
	p = NewPublication(w.agent, PublishOptions{Target: uri(w.t, "sip:alice@example.org"), Event: "presence"})
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Refresh(ctx) }()
	return p, func() { cancel(); <-done }
}

// async runs an operation while the test plays the server.
func async(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

func publish(w *world, p *Publication, body string) <-chan error {
	return async(func() error { return p.Publish(w.t.Context(), "application/pidf+xml", []byte(body)) })
}

// expectPublish checks the next PUBLISH: its condition, its body and its Expires.
func (w *world) expectPublish(etag, body, expires string) *call {
	w.t.Helper()
	c := w.expect(sip.PUBLISH)
	if got := field(c, "SIP-If-Match"); got != etag {
		w.t.Errorf("SIP-If-Match is %q, want %q", got, etag)
	}
	if got := string(c.Body()); got != body {
		w.t.Errorf("body is %q, want %q", got, body)
	}
	if got := field(c, "Expires"); got != expires {
		w.t.Errorf("Expires is %q, want %q", got, expires)
	}
	return c
}

func TestPublicationLife(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p, stop := w.publication()
		done := publish(w, p, "one")
		w.expectPublish("", "one", "600").answer(t, 200, "SIP-ETag: a", "Expires: 300")
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		w.expectPublish("a", "", "600").answer(t, 200, "SIP-ETag: b", "Expires: 300") // a refresh has no body
		if at := time.Since(start); at < 240*time.Second || at > 271*time.Second {
			t.Errorf("300 s were granted and refreshed after %v", at)
		}
		done = publish(w, p, "two")
		w.expectPublish("b", "two", "600").answer(t, 200, "SIP-ETag: c", "Expires: 300")
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		done = async(func() error { return p.Remove(t.Context()) })
		w.expectPublish("c", "", "0").answer(t, 200, "SIP-ETag: d", "Expires: 0")
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		w.expectNothing(time.Hour)
		if err := p.Remove(t.Context()); err != nil {
			t.Errorf("removing nothing: %v", err)
		}
		stop()
	})
}

func TestServerForgotPublication(t *testing.T) {
	for _, code := range []int{412, 500} {
		bubble(t, func(t *testing.T, w *world) {
			p, stop := w.publication()
			done := publish(w, p, "one")
			w.expectPublish("", "one", "600").answer(t, 200, "SIP-ETag: a", "Expires: 300")
			<-done
			w.expectPublish("a", "", "600").answer(t, code)
			w.expectPublish("", "one", "600").answer(t, 200, "SIP-ETag: b", "Expires: 300")
			done = publish(w, p, "two")
			w.expectPublish("b", "two", "600").answer(t, code)
			w.expectPublish("", "two", "600").answer(t, 200, "SIP-ETag: c", "Expires: 300")
			if err := <-done; err != nil {
				t.Error(err)
			}
			done = async(func() error { return p.Remove(t.Context()) })
			w.expectPublish("c", "", "0").answer(t, code)
			if err := <-done; err != nil {
				t.Errorf("removing what is gone: %v", err)
			}
			stop()
		})
	}
}

func TestPublishIntervalTooBrief(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p, stop := w.publication()
		done := publish(w, p, "one")
		w.expectPublish("", "one", "600").answer(t, 423, "Min-Expires: 900")
		w.expectPublish("", "one", "900").answer(t, 200, "SIP-ETag: a", "Expires: 900")
		if err := <-done; err != nil {
			t.Error(err)
		}
		stop()
	})
}

func TestPublishRefused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p, stop := w.publication()
		done := publish(w, p, "one")
		w.expect(sip.PUBLISH).answer(t, 403)
		if status, ok := statusOf(<-done); !ok || status.Code != 403 {
			t.Error("403 is not what Publish returns")
		}
		w.expectNothing(time.Hour)
		done = publish(w, p, "two")
		w.expectPublish("", "two", "600").answer(t, 200, "SIP-ETag: a")
		if err := <-done; err != nil {
			t.Error(err)
		}
		stop()
	})
}

// TestPublicationSurvivesNetworkLoss publishes into the void: the state arrives when the network is back, whole, for the
// server may have forgotten what it had.
func TestPublicationSurvivesNetworkLoss(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p, stop := w.publication()
		done := publish(w, p, "one")
		w.expect(sip.PUBLISH).answer(t, 200, "SIP-ETag: a", "Expires: 300")
		<-done
		w.net.Cut(peerAddr)
		if err := <-publish(w, p, "two"); err == nil {
			t.Error("published without a network")
		}
		w.sleep(10 * time.Minute)
		w.net.Heal(peerAddr)
		p.Renew()
		start := time.Now()
		c := w.expect(sip.PUBLISH)
		for len(w.calls) > 0 {
			c = w.expect(sip.PUBLISH)
		}
		if string(c.Body()) != "two" || field(c, "SIP-If-Match") != "" || time.Since(start) > time.Minute {
			t.Errorf("after %v:\n%s", time.Since(start), c)
		}
		c.answer(t, 200, "SIP-ETag: b", "Expires: 300")
		w.expectPublish("b", "", "600").answer(t, 200, "SIP-ETag: c", "Expires: 300")
		stop()
	})
}

// TestPublishOverlap has several calls at once: one PUBLISH is under way at a time, and the last state wins.
func TestPublishOverlap(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p, stop := w.publication()
		first := publish(w, p, "one")
		c := w.expectPublish("", "one", "600")
		second := publish(w, p, "two")
		w.expectNothing(100 * time.Millisecond)
		third := publish(w, p, "three")
		w.expectNothing(100 * time.Millisecond)
		c.answer(t, 200, "SIP-ETag: a", "Expires: 300")
		w.expectPublish("a", "three", "600").answer(t, 200, "SIP-ETag: b", "Expires: 300")
		for _, done := range []<-chan error{first, second, third} {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		w.expectNothing(time.Minute)
		stop()
	})
}
