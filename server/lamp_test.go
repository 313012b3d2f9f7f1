package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
)

// lamps are the dialog-info documents of the NOTIFYs so far.
func lamps(t *testing.T, u *ua) []body.DialogInfo {
	t.Helper()
	var docs []body.DialogInfo
	for _, r := range u.requests(sip.NOTIFY) {
		d, err := body.ParseDialogInfo(r.Body())
		if err != nil {
			t.Fatalf("%v in %s", err, r.Body())
		}
		docs = append(docs, d)
	}
	return docs
}

// parked is the dialog of an occupied orbit.
func parked(orbit, caller string) body.DialogState {
	return body.DialogState{
		ID: "p" + orbit, State: "confirmed", Local: body.Participant{URI: "sip:" + orbit + "@" + domain},
		Remote: body.Participant{URI: "sip:" + caller + "@" + domain}, Parked: &body.ParkedInfo{By: "sip:bob@" + domain},
	}
}

// A lamp is told at once, then at most once a second and then the newest state, with versions that count by one, and only
// when something has changed.
func TestLamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newParkWorld(t)
		alice := w.ua("alice", "127.0.1.1")
		orbit := &ua{name: "701"}
		res := alice.expect(200, alice.subscription("dialog", orbit, "Expires: 600"))
		if values(res, "Require") != nil {
			t.Errorf("a single lamp requires %q", values(res, "Require"))
		}
		time.Sleep(5 * time.Second)
		w.park.shows(false, "701", parked("701", "mary"))
		time.Sleep(10 * time.Millisecond)
		docs := lamps(t, alice)
		if len(docs) != 2 || len(docs[0].Dialogs) != 0 || len(docs[1].Dialogs) != 1 {
			t.Fatalf("the first change is not told at once: %+v", docs)
		}
		for i := range 50 {
			w.park.shows(false, "701", parked("701", "caller"+itoa(i)))
			time.Sleep(50 * time.Millisecond)
		}
		w.park.shows(false, "701")
		time.Sleep(5 * time.Second)
		for range 10 {
			w.park.srv.parkChanged([]string{"701"}) // nothing is new
			time.Sleep(2 * time.Second)
		}
		docs = lamps(t, alice)
		if len(docs) > 2+4 {
			t.Errorf("%d notifications in 2.5 s", len(docs)-2)
		}
		for i, d := range docs {
			if d.Version != i || !d.Full || d.Entity != "sip:701@example.test" {
				t.Errorf("notification %d: %+v", i, d)
			}
		}
		if last := docs[len(docs)-1]; len(last.Dialogs) != 0 {
			t.Errorf("the last one tells an old state: %+v", last)
		}
		for i, r := range alice.requests(sip.NOTIFY) {
			state := r.GetHeader("Subscription-State").Value()
			if !strings.HasPrefix(state, "active") || r.ContentType().Value() != body.TypeDialogInfo || values(r, "Require") != nil {
				t.Errorf("notification %d: %s, %s", i, state, r.ContentType().Value())
			}
		}
		// A refresh tells it once more; then it runs out.
		n := len(docs)
		alice.expect(200, alice.inDialog(sip.SUBSCRIBE, res, "Event: dialog", "Expires: 60"))
		time.Sleep(90 * time.Second)
		docs = lamps(t, alice)
		last := alice.requests(sip.NOTIFY)[len(docs)-1].GetHeader("Subscription-State").Value()
		if len(docs) != n+2 || last != "terminated;reason=timeout" || docs[n+1].Version != n+1 {
			t.Errorf("%d notifications since the refresh, last %s, %+v", len(docs)-n, last, docs[len(docs)-1])
		}
	})
}

// Whoever parked a call is told its end when it comes, and the subscription ends with it.
func TestSafeURIIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newParkWorld(t)
		alice := w.ua("alice", "127.0.1.1")
		safe := &ua{name: "pk-secret"}
		alice.expect(404, alice.subscription("dialog", safe))
		w.park.shows(false, "pk-secret", parked("701", "mary"))
		res := alice.expect(200, alice.subscription("dialog", safe))
		time.Sleep(100 * time.Millisecond) // well within a second of the first
		end := body.DialogState{ID: "p", State: "terminated", Event: "replaced", Unpark: &body.Unpark{Reason: "retrieved", Target: "sip:carol@" + domain}}
		w.park.shows(true, "pk-secret", end)
		time.Sleep(10 * time.Millisecond)
		docs := lamps(t, alice)
		if len(docs) != 2 || docs[1].Version != 1 || docs[1].Dialogs[0].Unpark.Reason != "retrieved" {
			t.Fatalf("%+v", docs)
		}
		if s := alice.requests(sip.NOTIFY)[1].GetHeader("Subscription-State").Value(); s != "terminated;reason=noresource" {
			t.Errorf("Subscription-State: %s", s)
		}
		alice.expect(481, alice.inDialog(sip.SUBSCRIBE, res, "Event: dialog", "Expires: 600"))
		// One that is over can still be asked for, once.
		alice.expect(200, alice.subscription("dialog", safe))
		time.Sleep(time.Second)
		got := alice.requests(sip.NOTIFY)
		if len(got) != 3 || got[2].GetHeader("Subscription-State").Value() != "terminated;reason=noresource" {
			t.Errorf("%d notifications", len(got))
		}
		w.srv.notifier.mu.Lock()
		defer w.srv.notifier.mu.Unlock()
		if n := len(w.srv.notifier.all); n != 0 {
			t.Errorf("%d subscriptions left", n)
		}
	})
}

// The list of orbits comes as a resource list to those who know such a thing, and as one document to others.
func TestListOfOrbits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newParkWorld(t)
		lot := &ua{name: parkLotUser}
		w.park.shows(false, "702", parked("702", "mary"))
		w.park.shows(false, parkLotUser, parked("702", "mary"))
		alice, phone := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		res := alice.expect(200, alice.subscription("dialog", lot, "Supported: eventlist", "Accept: application/dialog-info+xml, multipart/related, application/rlmi+xml"))
		if v := values(res, "Require"); len(v) != 1 || v[0] != "eventlist" {
			t.Errorf("the 200 requires %q", v)
		}
		// It supports lists and cannot read their type.
		if res := phone.expect(200, phone.subscription("dialog", lot, "Supported: eventlist", "Accept: application/dialog-info+xml")); values(res, "Require") != nil {
			t.Errorf("the 200 requires %q", values(res, "Require"))
		}
		time.Sleep(5 * time.Second)
		w.park.shows(false, "702")
		time.Sleep(time.Second)
		got := alice.requests(sip.NOTIFY)
		if len(got) != 2 {
			t.Fatalf("%d notifications", len(got))
		}
		for version, r := range got {
			if v := values(r, "Require"); len(v) != 1 || v[0] != "eventlist" {
				t.Errorf("a NOTIFY requires %q", v)
			}
			list, err := body.ParseResourceList(r.ContentType().Value(), r.Body())
			if err != nil {
				t.Fatalf("%v in %s", err, r.Body())
			}
			if list.URI != "sip:park-lot@example.test" || list.Version != version || !list.Full || len(list.Resources) != 3 {
				t.Errorf("%+v", list)
			}
			for i, want := range []int{0, 1 - version, 0} {
				one := list.Resources[i].Instances[0]
				doc, err := body.ParseDialogInfo(one.Body)
				if err != nil || one.State != "active" || doc.Version != version || len(doc.Dialogs) != want || doc.Entity != list.Resources[i].URI {
					t.Errorf("%s: %+v, %v", list.Resources[i].URI, doc, err)
				}
			}
			if size := len(r.Body()); size > 3*800 {
				t.Errorf("%d bytes for three orbits", size)
			}
		}
		flat := lamps(t, phone)
		if len(flat) != 1 || len(flat[0].Dialogs) != 1 || flat[0].Dialogs[0].Local.URI != "sip:702@example.test" {
			t.Errorf("%+v", flat)
		}
		// A refresh is answered as the subscription was.
		if v := values(alice.expect(200, alice.inDialog(sip.SUBSCRIBE, res, "Event: dialog", "Supported: eventlist")), "Require"); len(v) != 1 {
			t.Errorf("the refresh requires %q", v)
		}
		required := alice.subscription("dialog", lot, "Require: eventlist", "Supported: eventlist")
		alice.expect(200, required)
		alice.expect(420, alice.subscription("dialog", &ua{name: "701"}, "Require: eventlist"))
	})
}

func TestLampRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newParkWorld(t)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		alice.expect(489, alice.subscription("dialog", bob))
		for _, event := range []string{"presence", "reg", "weather"} {
			res := alice.expect(489, alice.subscription(event, &ua{name: "701"}))
			if v := values(res, "Allow-Events"); len(v) != 1 || v[0] != "dialog" {
				t.Errorf("Allow-Events: %q", v)
			}
		}
		alice.expect(404, alice.subscription("dialog", &ua{name: "pk-x"}))
		res := alice.expect(200, alice.request(sip.OPTIONS, sip.Uri{Scheme: "sip", Host: domain}))
		if v := values(res, "Allow-Events"); len(v) != 1 || v[0] != "presence, reg, dialog" {
			t.Errorf("Allow-Events: %q", v)
		}
	})
}

// A server that was killed has no parked calls any more. Lamps go on; who parked a call is told that it was cut off.
func TestRestartEndsParks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		w := newParkWorld(t, func(c *Config) { c.StateDir = dir })
		alice, bob, carol := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1"), w.ua("carol", "127.0.3.1")
		w.park.shows(false, "pk-1", parked("701", "mary"))
		w.park.shows(false, "701", parked("701", "mary"))
		alice.expect(200, alice.subscription("dialog", &ua{name: "pk-1"}))
		bob.expect(200, bob.subscription("dialog", &ua{name: "701"}))
		carol.expect(200, carol.subscription("dialog", &ua{name: parkLotUser}, "Supported: eventlist"))
		time.Sleep(5 * time.Second)
		before := lamps(t, bob)
		clear(w.park.docs)
		w.kill(dir)
		time.Sleep(5 * time.Second)
		told := lamps(t, alice)
		last := told[len(told)-1]
		if len(last.Dialogs) != 1 || last.Dialogs[0].Unpark == nil || last.Dialogs[0].Unpark.Reason != "disconnected" {
			t.Errorf("whoever parked is told %+v", last)
		}
		got := alice.requests(sip.NOTIFY)
		if s := got[len(got)-1].GetHeader("Subscription-State").Value(); s != "terminated;reason=noresource" {
			t.Errorf("Subscription-State: %s", s)
		}
		after := lamps(t, bob)
		if end := after[len(after)-1]; len(after) == len(before) || len(end.Dialogs) != 0 || end.Version <= before[len(before)-1].Version {
			t.Errorf("the lamp shows %+v", end)
		}
		lists := carol.requests(sip.NOTIFY)
		end := lists[len(lists)-1]
		if _, err := body.ParseResourceList(end.ContentType().Value(), end.Body()); err != nil {
			t.Errorf("the list goes on as something else: %v", err)
		}
	})
}
