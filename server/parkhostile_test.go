package server

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/emiago/sipgo/sip"
)

// A parker chooses what the service calls: the caller's device and his own. Neither leads to an address where nobody has
// signed in, nor to the service itself, and who answers there is who has signed in there, by whatever name it is called.
func TestParkCallsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := usersFile(t, 0o600, "bob:builder")
		w := newParkWorld(t, func(c *Config) { c.Open, c.Users = false, path })
		bob, victim := w.ua("bob", "127.0.2.1"), w.ua("victim", "127.0.3.1")
		bob.withPassword(bob.registration(600), "builder")
		for _, user := range []string{"bob", "mary"} {
			to := bob.contact().Address
			to.User = user
			to.UriParams.Add("maddr", "127.0.3.1")
			res := w.park.expect(200, w.park.send(sip.INVITE, at("mary"), to))
			if v := values(res, assertedHeader); !slices.Equal(v, []string{"<sip:bob@example.test>"}) {
				t.Errorf("%s: who has answered is told as %q", user, v)
			}
		}
		if n := len(victim.requests(sip.INVITE)); n != 0 {
			t.Errorf("somebody who is not signed in was called %d times", n)
		}
		for _, to := range []sip.Uri{at("park"), at("702"), at("pk-secret")} {
			w.park.expect(482, w.park.send(sip.INVITE, at("mary"), to, assertedHeader+": <sip:mary@example.test>"))
		}
		if n := len(w.park.requests(sip.INVITE)); n != 0 {
			t.Errorf("the service was called by itself %d times", n)
		}
	})
}

// The same on an open server, where any address on the machine may be called.
func TestOpenParkCallsLoopbackAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newParkWorld(t)
		mary, victim := w.ua("mary", "127.0.2.1"), w.ua("victim", "192.0.2.7")
		to := mary.contact().Address
		to.UriParams.Add("maddr", "192.0.2.7")
		w.park.expect(200, w.park.send(sip.INVITE, at("bob"), to))
		w.park.expect(403, w.park.send(sip.INVITE, at("bob"), victim.contact().Address))
		w.park.expect(482, w.park.send(sip.INVITE, at("bob"), w.park.contact().Address))
		if n := len(victim.requests(sip.INVITE)); n != 0 {
			t.Errorf("somebody else was called %d times", n)
		}
	})
}

// The route of a call is no password: what begins something is asked who it is, also where it comes by a route that an
// earlier call has taught.
func TestRouteIsNoPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := usersFile(t, 0o600, "alice:wonderland", "bob:builder")
		w := newParkWorld(t, func(c *Config) { c.Open, c.Users = false, path })
		alice := w.ua("alice", "127.0.1.1")
		res := alice.withPassword(alice.request(sip.INVITE, at("701")), "wonderland")
		if res == nil || res.StatusCode != 200 {
			t.Fatalf("%v", res)
		}
		before := len(w.park.requests(sip.INVITE))
		forged := alice.inDialog(sip.INVITE, res)
		forged.Recipient = at("701")
		forged.To().Params.Remove("tag")
		forged.From().Address = at("president")
		if res := alice.do(forged); res == nil || res.StatusCode == 200 {
			t.Errorf("a call in another's name: %v", res)
		}
		if n := len(w.park.requests(sip.INVITE)); n != before {
			t.Error("it has reached the service")
		}
	})
}
