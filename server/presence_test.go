package server

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
)

// document is what an agent's endpoint publishes.
func (u *ua) document(input string) []byte {
	return body.PIDF{
		Entity: "sip:" + u.name + "@" + domain,
		Tuples: []body.Tuple{{ID: "t", Open: true, DeviceID: u.instance()}},
		Devices: []body.Device{{
			ID: "d", DeviceID: u.instance(), Name: u.host.Addr().String(), UserInput: input, Class: "active", Idle: time.Minute,
			LastInput: time.Now(), Threshold: time.Minute,
		}},
	}.Marshal()
}

func (u *ua) publication(doc []byte, headers ...string) *sip.Request {
	if doc != nil {
		headers = append(headers, "Content-Type: "+body.TypePIDF)
	}
	req := u.request(sip.PUBLISH, u.uri(), append([]string{"Event: presence"}, headers...)...)
	req.SetBody(doc)
	return req
}

func (u *ua) subscription(event string, to *ua, headers ...string) *sip.Request {
	return u.request(sip.SUBSCRIBE, to.uri(), append([]string{"Event: " + event}, headers...)...)
}

// notified are the documents of the NOTIFYs so far.
func (u *ua) notified(t *testing.T) []body.PIDF {
	t.Helper()
	var docs []body.PIDF
	for _, r := range u.requests(sip.NOTIFY) {
		d, err := body.ParsePIDF(r.Body())
		if err != nil {
			t.Fatalf("%v in %s", err, r.Body())
		}
		docs = append(docs, d)
	}
	return docs
}

func etag(res *sip.Response) string { return "SIP-If-Match: " + res.GetHeader("SIP-ETag").Value() }

func TestPresenceOfThreeEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice := w.ua("alice", "127.0.1.1")
		var bobs []*ua
		for i := range 3 {
			b := w.ua("bob", fmt.Sprintf("127.0.2.%d", i+1))
			b.register()
			b.expect(200, b.publication(b.document("active")))
			bobs = append(bobs, b)
			time.Sleep(time.Second)
		}
		alice.expect(200, alice.subscription("presence", bobs[0]))
		bobs[0].expect(200, bobs[0].subscription("presence", bobs[0]))
		time.Sleep(time.Second)
		other, own := alice.notified(t), bobs[0].notified(t)
		if len(other) != 1 || len(own) != 1 {
			t.Fatalf("%d and %d notifications", len(other), len(own))
		}
		for _, d := range []body.PIDF{other[0], own[0]} {
			if len(d.Tuples) != 3 || len(d.Devices) != 3 {
				t.Fatalf("%d tuples and %d devices", len(d.Tuples), len(d.Devices))
			}
			if d.Devices[0].DeviceID != bobs[2].instance() {
				t.Errorf("the latest publisher is not first")
			}
		}
		if d := own[0].Devices[1]; d.LastInput.IsZero() || d.Idle != time.Minute || d.Class != "active" {
			t.Errorf("the user's own endpoints are told %+v", d)
		}
		if d := other[0].Devices[1]; !d.LastInput.IsZero() || d.Idle != -1 || d.Name == "" {
			t.Errorf("other users are told %+v", d)
		}
		// An endpoint that signs out takes its publication along.
		bobs[1].expect(200, bobs[1].registration(0))
		time.Sleep(time.Second)
		if docs := alice.notified(t); len(docs) != 2 || len(docs[1].Devices) != 2 {
			t.Errorf("after one signed out: %d notifications, last %+v", len(docs), docs[len(docs)-1])
		}
	})
}

func TestPublishConditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bob, eve := w.ua("bob", "127.0.2.1"), w.ua("eve", "127.0.3.1")
		doc := bob.document("active")
		first := bob.expect(200, bob.publication(doc))
		refreshed := bob.expect(200, bob.publication(nil, etag(first)))
		bob.expect(412, bob.publication(nil, etag(first))) // the old tag is gone
		changed := bob.expect(200, bob.publication(bob.document("idle"), etag(refreshed)))
		bob.expect(423, bob.publication(doc, "Expires: 1"))
		bob.expect(400, bob.publication(nil))
		bob.expect(400, bob.publication([]byte("<presence")))
		bob.expect(412, bob.publication(nil, "SIP-If-Match: nonsense"))
		text := bob.request(sip.PUBLISH, bob.uri(), "Event: presence", "Content-Type: text/plain")
		text.SetBody([]byte("here"))
		bob.expect(415, text)
		wrong := eve.request(sip.PUBLISH, bob.uri(), "Event: presence", "Content-Type: "+body.TypePIDF)
		wrong.SetBody(doc)
		eve.expect(403, wrong)
		res := bob.expect(489, bob.request(sip.PUBLISH, bob.uri(), "Event: dialog"))
		if h := res.GetHeader("Allow-Events"); h == nil || h.Value() != userEvents {
			t.Errorf("Allow-Events: %v", h)
		}
		if n := len(w.srv.presence.documents("bob", time.Now())); n != 1 {
			t.Fatalf("%d documents", n)
		}
		// An endpoint that starts again publishes without its tag; the old state does not linger.
		again := bob.expect(200, bob.publication(doc))
		if n := len(w.srv.presence.documents("bob", time.Now())); n != 1 {
			t.Fatalf("%d documents", n)
		}
		bob.expect(412, bob.publication(nil, etag(changed)))
		bob.expect(200, bob.publication(nil, etag(again), "Expires: 0"))
		bob.expect(412, bob.publication(nil, etag(again), "Expires: 0"))
		if n := len(w.srv.presence.documents("bob", time.Now())); n != 0 {
			t.Fatalf("%d documents", n)
		}
	})
}

func TestPublicationExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		bob.expect(200, bob.publication(bob.document("active"), "Expires: 30"))
		alice.expect(200, alice.subscription("presence", bob))
		time.Sleep(40 * time.Second)
		docs := alice.notified(t)
		if len(docs) != 2 || len(docs[0].Devices) != 1 || len(docs[1].Devices) != 0 || docs[1].Tuples[0].Open {
			t.Errorf("got %+v", docs)
		}
	})
}

// Many changes at once become few notifications, and the last tells the last state.
func TestNotificationsAreCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		alice.expect(200, alice.subscription("presence", bob))
		res := bob.expect(200, bob.publication(bob.document("active")))
		for i := range 50 {
			res = bob.expect(200, bob.publication(bob.document([]string{"idle", "active"}[i%2]), etag(res)))
			time.Sleep(10 * time.Millisecond)
		}
		bob.expect(200, bob.publication(nil, etag(res), "Expires: 0"))
		time.Sleep(time.Second)
		docs := alice.notified(t)
		if len(docs) > 7 {
			t.Errorf("%d notifications in 0.8 s", len(docs))
		}
		if last := docs[len(docs)-1]; len(last.Devices) != 0 {
			t.Errorf("the last notification tells an old state: %+v", last)
		}
	})
}

func TestSubscriptionLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		state := func(i int) string {
			return alice.requests(sip.NOTIFY)[i].GetHeader("Subscription-State").Value()
		}
		res := alice.expect(200, alice.subscription("presence;id=7", bob, "Expires: 60"))
		time.Sleep(time.Second)
		if h := alice.requests(sip.NOTIFY)[0].GetHeader("Event").Value(); h != "presence;id=7" {
			t.Errorf("Event: %s", h)
		}
		time.Sleep(30 * time.Second)
		refresh := alice.inDialog(sip.SUBSCRIBE, res, "Event: presence;id=7", "Expires: 60")
		alice.expect(200, refresh)
		time.Sleep(40 * time.Second)
		if n := len(alice.requests(sip.NOTIFY)); n != 2 || !strings.HasPrefix(state(1), "active") {
			t.Fatalf("%d notifications, last %s", n, state(n-1))
		}
		alice.expect(200, alice.inDialog(sip.SUBSCRIBE, res, "Event: presence;id=7", "Expires: 0"))
		time.Sleep(time.Second)
		if n := len(alice.requests(sip.NOTIFY)); n != 3 || state(2) != "terminated;reason=timeout" {
			t.Fatalf("%d notifications, last %s", n, state(n-1))
		}
		alice.expect(481, alice.inDialog(sip.SUBSCRIBE, res, "Event: presence;id=7", "Expires: 60"))

		alice.expect(200, alice.subscription("presence", bob, "Expires: 30")) // runs out
		time.Sleep(40 * time.Second)
		if n := len(alice.requests(sip.NOTIFY)); n != 5 || state(4) != "terminated;reason=timeout" {
			t.Fatalf("%d notifications, last %s", n, state(n-1))
		}
		alice.expect(200, alice.subscription("presence", bob, "Expires: 0")) // a fetch
		time.Sleep(time.Second)
		if n := len(alice.requests(sip.NOTIFY)); n != 6 || state(5) != "terminated;reason=timeout" {
			t.Fatalf("%d notifications, last %s", n, state(n-1))
		}
		alice.answer(481) // the watcher has forgotten it
		alice.expect(200, alice.subscription("presence", bob))
		time.Sleep(time.Second)
		synctest.Wait()
		w.srv.notifier.mu.Lock()
		n := len(w.srv.notifier.all)
		w.srv.notifier.mu.Unlock()
		if n != 0 {
			t.Errorf("%d subscriptions left", n)
		}
	})
}

func TestSubscribeRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		alice.expect(489, alice.subscription("weather", bob))
		alice.expect(406, alice.subscription("presence", bob, "Accept: text/plain"))
		alice.expect(423, alice.subscription("presence", bob, "Expires: 1"))
		alice.expect(403, alice.subscription("reg", bob))
		req := alice.subscription("presence", bob)
		req.To().Params.Add("tag", "none")
		alice.expect(481, req)
		req = alice.subscription("presence", bob)
		req.RemoveHeader("Contact")
		alice.expect(400, req)
	})
}

func TestRegEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		b1, b2 := w.ua("bob", "127.0.2.1"), w.ua("bob", "127.0.2.2")
		b1.register()
		b1.expect(200, b1.subscription("reg", b1))
		time.Sleep(time.Second)
		b2.register()
		time.Sleep(time.Second)
		b2.expect(200, b2.registration(0))
		time.Sleep(time.Second)
		for i, want := range []int{1, 2, 1} {
			info, err := body.ParseReginfo(b1.requests(sip.NOTIFY)[i].Body())
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Regs[0].Contacts; len(got) != want || info.Version != i || got[0].Instance != b1.instance() {
				t.Errorf("notification %d: version %d, %+v", i, info.Version, got)
			}
		}
	})
}
