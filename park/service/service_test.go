package service

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
	"offhook/park"
)

// Row 8: the lamp of an orbit, from free over parked to free, without anything that would let somebody take the call away.
func TestPark8_Lamp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		if doc, over := w.service.DialogInfo("701", 0); over || !doc.Full || len(doc.Dialogs) != 0 || doc.Entity != "sip:701@"+domain {
			t.Errorf("free: %+v", doc)
		}
		p := w.park(bob, mary, sip.NewHeader("Subject", "order 77"))
		doc, over := w.service.DialogInfo("701", 3)
		if over || doc.Version != 3 || len(doc.Dialogs) != 1 {
			t.Fatalf("parked: %+v", doc)
		}
		d := doc.Dialogs[0]
		if d.State != "confirmed" || d.Local.URI != "sip:701@"+domain || d.Remote != (body.Participant{URI: maryParty.URI, Display: "Mary"}) {
			t.Errorf("parked: %+v", d)
		}
		if i := d.Parked; i.By != bobParty.URI || i.ByDisplay != "Bob" || i.Note != "order 77" || i.Recalling ||
			i.RingBack.Sub(i.Since) != 90*time.Second {
			t.Errorf("parked: %+v", i)
		}
		text := string(doc.Marshal())
		for _, secret := range []string{p.safe, p.mary.dialog.ID().CallID, p.mary.dialog.ID().LocalTag, p.mary.dialog.ID().RemoteTag} {
			if strings.Contains(text, secret) {
				t.Errorf("a lamp tells %q", secret)
			}
		}
		if w.changes("701") == 0 || w.changes("park-lot") == 0 || w.changes(p.safe) == 0 {
			t.Errorf("nobody was told: %v", w.changed)
		}
		w.sleep(90 * time.Second)
		if doc, _ := w.service.DialogInfo("701", 4); !doc.Dialogs[0].Parked.Recalling {
			t.Errorf("recalling: %+v", doc.Dialogs[0].Parked)
		}
		before := w.changes("701")
		p.mary.hangUp()
		w.sleep(time.Second)
		if w.changes("701") == before {
			t.Error("nobody was told of the end")
		}
		if doc, _ := w.service.DialogInfo("701", 5); len(doc.Dialogs) != 1 || doc.Dialogs[0].State != "terminated" ||
			doc.Dialogs[0].ID != d.ID || doc.Dialogs[0].Remote.URI != "" {
			t.Errorf("over: %+v", doc)
		}
		w.sleep(31 * time.Second)
		if doc, _ := w.service.DialogInfo("701", 6); len(doc.Dialogs) != 0 {
			t.Errorf("rested: %+v", doc)
		}
	})
}

// Row 8: the list of the lot has the occupied orbits.
func TestPark8_List(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, alice := w.phone("bob"), w.phone("mary"), w.phone("alice")
		w.park(bob, mary)
		w.park(bob, alice)
		doc, over := w.service.DialogInfo("park-lot", 0)
		if over || len(doc.Dialogs) != 2 || doc.Dialogs[0].Local.URI != "sip:701@"+domain || doc.Dialogs[1].Local.URI != "sip:702@"+domain {
			t.Errorf("the lot: %+v", doc)
		}
		if got := w.service.List(); !slices.Equal(got, []string{"701", "702", "703", "704", "705"}) {
			t.Errorf("the list is %v", got)
		}
		if got := w.service.Orbits(); got != "701-705" {
			t.Errorf("the range is %s", got)
		}
	})
}

// Row 8: telephones whose keys blink.
func TestPark8_EarlyLamp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.park(w.phone("bob"), w.phone("mary"))
		if doc, _ := w.service.DialogInfo("701", 0); doc.Dialogs[0].State != "early" {
			t.Errorf("the lamp is %s", doc.Dialogs[0].State)
		}
	}, func(c *Config) { c.Lamp = "early" })
}

// Who holds a token learns how its park ends; who guesses learns nothing.
func TestUnparkNews(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		p := w.park(bob, mary)
		if !w.service.Watchable(p.safe, "bob") || !w.service.Watchable("701", "carol") || !w.service.Watchable("park-lot", "carol") {
			t.Error("not watchable")
		}
		for _, user := range []string{"pk-701", "pk-", "pk-nothing", "706", "park", strings.TrimPrefix(p.safe, "pk-")} {
			if w.service.Watchable(user, "carol") {
				t.Errorf("%s is watchable", user)
			}
		}
		if doc, over := w.service.DialogInfo(p.safe, 0); over || len(doc.Dialogs) != 1 || doc.Dialogs[0].Remote.URI != maryParty.URI {
			t.Errorf("parked: %+v", doc)
		}
		carol.mustDial("701")
		w.sleep(100 * time.Millisecond)
		w.expectUnparked(p.safe, park.Retrieved, carolParty)
		if !w.service.Watchable(p.safe, "bob") {
			t.Error("the end cannot be learnt")
		}
		again := w.park(bob, w.phone("alice"))
		again.mary.hangUp()
		w.sleep(time.Second)
		w.expectUnparked(again.safe, park.Abandoned, park.Party{})
		w.expectUnparked(p.safe, park.Retrieved, carolParty)
	})
}

// A caller whose device has vanished does not occupy an orbit for ever.
func TestDeadCallerFreesTheOrbit(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		p := w.park(bob, mary)
		w.sleep(2 * time.Minute)
		if refreshes := w.sentTo(mary, "UPDATE"); len(refreshes) == 0 || !strings.Contains(refreshes[0], ";automaton;+sip.rendering=\"no\"") {
			t.Errorf("refreshes: %v", refreshes)
		}
		w.net.Cut(mary.at.Addr())
		w.sleep(3 * time.Minute)
		w.orbit("701", park.Quarantine)
		w.expectUnparked(p.safe, park.Disconnected, park.Party{})
		w.net.Heal(mary.at.Addr())
	}, func(c *Config) { c.Lot.Timeout = 10 * time.Minute; c.Lot.Quarantine = time.Hour })
}

// Row 9: the parker ends its conversation, and its program; the caller stays, and the persisted URI retrieves it.
func TestPark9_ParkerIsGone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		_, his := w.talk(mary, bob)
		r := bob.refer(his, userPark, "Mary")
		m := mary.answer()
		p := parkedAs(t, r.final(patience))
		his.hangUp()
		_ = bob.agent.Close()
		w.sleep(time.Minute)
		m.alive()
		again := w.phone("bob").mustDial(p.safe)
		understand(t, m, again)
	})
}

// Clients find out what kind of service this is, and which orbits it has.
func TestOptions(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob := w.phone("bob")
		res, err := bob.agent.Do(t.Context(), bob.agent.NewRequest(sip.OPTIONS, at(userPark)))
		if err != nil {
			t.Fatal(err)
		}
		for header, want := range map[string]string{
			"Server": "offhook park", "Call-Info": `<sip:park-lot@example.test>;purpose=x-park-lot;x-orbits="701-705"`,
		} {
			if h := res.GetHeader(header); h == nil || h.Value() != want {
				t.Errorf("%s: %v", header, h)
			}
		}
		if h := res.GetHeader("Allow"); h == nil || !strings.Contains(h.Value(), "REFER") {
			t.Errorf("Allow: %v", h)
		}
	})
}

// Close sends callers home, ends what is picked up and what rings, and tells why.
func TestCloseDrains(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, alice, carol := w.phone("bob"), w.phone("mary"), w.phone("alice"), w.phone("carol")
		p := w.park(bob, mary)
		other := w.park(bob, alice)
		c := carol.mustDial(other.safe)
		bob.set(func() { bob.mute = true })
		w.sleep(95 * time.Second)
		if err := w.service.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, call := range []*call{p.mary, other.mary, c} {
			if reason := call.expectEnd(); reason.Cause != 503 {
				t.Errorf("%s is told %v", call.p.name, reason)
			}
		}
		<-bob.canceled
		w.noCalls()
		w.expectUnparked(p.safe, park.Disconnected, park.Party{})
	})
}

// The service has its names, and nobody else's.
func TestServes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for user, want := range map[string]bool{
			"park": true, "park-lot": true, "701": true, "705": true, "pk-anything": true,
			"700": false, "706": false, "0701": false, "bob": false, "": false, "parking": false,
		} {
			if got := w.service.Serves(user); got != want {
				t.Errorf("Serves(%q) is %v", user, got)
			}
		}
		if u := w.service.Contact(); u.String() != "sip:park@127.0.0.1:5070" {
			t.Errorf("Contact is %s", u.String())
		}
	})
}

// A configuration that could not work, or not be trusted, is refused.
func TestNewRefuses(t *testing.T) {
	good := Config{
		Domain: domain, Listen: []sipua.Listener{{Network: "udp", Address: "127.0.0.1:0"}}, Mark: mark,
		Lot: park.LotConfig{First: 701, Last: 720},
	}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"domain": func(c *Config) { c.Domain = "" }, "mark": func(c *Config) { c.Mark = nil },
		"listeners": func(c *Config) { c.Listen = nil }, "lamp": func(c *Config) { c.Lamp = "blue" },
		"lot": func(c *Config) { c.Lot.Last = 700 },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// A user who guesses wrong has to wait, and nobody else has to.
func TestProbes(t *testing.T) {
	p, now := newProbes(), time.Now()
	for range probeBurst {
		if wait := p.wait(now, "mallory"); wait != 0 {
			t.Fatalf("mallory waits %v", wait)
		}
		p.miss(now, "mallory")
	}
	if wait := p.wait(now, "mallory"); wait != probeEvery {
		t.Errorf("mallory waits %v", wait)
	}
	if wait := p.wait(now, "bob"); wait != 0 {
		t.Errorf("bob waits %v", wait)
	}
	if wait := p.wait(now.Add(probeEvery), "mallory"); wait != 0 {
		t.Errorf("after the wait: %v", wait)
	}
	for i := range 2 * maxProbers {
		p.miss(now, string(rune(i)))
	}
	if len(p.users) > maxProbers {
		t.Errorf("%d users are remembered", len(p.users))
	}
}

// What is remembered of ended parks has a bound and an end.
func TestUnparksAreForgotten(t *testing.T) {
	u, now := newUnparks(), time.Now()
	u.add("old", unpark{id: 1, at: now}, time.Hour)
	u.add("new", unpark{id: 2, at: now.Add(2 * time.Hour)}, time.Hour)
	if _, ok := u.find("old"); ok {
		t.Error("an old end is remembered")
	}
	if _, ok := u.find("new"); !ok {
		t.Error("a new end is not")
	}
	for i := range maxUnparks + 10 {
		u.add(string(rune(i)), unpark{at: now}, time.Hour)
	}
	if len(u.byToken) > maxUnparks || len(u.order) > maxUnparks {
		t.Errorf("%d ends are remembered", len(u.byToken))
	}
}
