package server

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
)

// A server without UDP reaches its park service all the same, over a listener that it does not tell of.
func TestParkWithoutUDP(t *testing.T) {
	srv, err := New(Config{
		Listen: []sipua.Listener{{Network: "tcp", Address: "127.0.0.1:0"}}, Domain: domain, Open: true,
		Park: &ParkConfig{NoMusic: true, Orbits: "80-89"},
	})
	if err == nil {
		err = srv.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close(context.Background()) })
	if addrs := srv.Addrs(); len(addrs) != 1 || !strings.HasPrefix(addrs[0], "tcp:") {
		t.Errorf("listens on %q", addrs)
	}
	if srv.Park() != "sip:park@example.test" || srv.Orbits() != "80-89" {
		t.Errorf("park %q, orbits %q", srv.Park(), srv.Orbits())
	}
	alice := newPeer(t, "alice", srv, "tcp")
	res := alice.do(t, alice.build(sip.OPTIONS, at("park")))
	if v := values(res, "Call-Info"); res.StatusCode != 200 || len(v) != 1 || !strings.Contains(v[0], `purpose=x-park-lot;x-orbits="80-89"`) {
		t.Errorf("%d, Call-Info %q", res.StatusCode, v)
	}
}

// Whoever sends to the service's socket without the server in between is nobody to it: there is no answer, so nothing can
// be found out, nor can anybody else be flooded with answers.
func TestParkServiceTrustsOnlyTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		eve := w.ua("eve", "127.0.3.1")
		for _, mark := range []string{"", "guess", w.srv.parkMark("another call")} {
			req := eve.request(sip.REFER, at("park"), assertedHeader+": <sip:alice@example.test>", "Refer-To: <sip:mary@example.test>", markHeader+": "+mark)
			tx, err := eve.stack.Send(context.Background(), req, w.srv.park.at)
			if err != nil {
				t.Fatal(err)
			}
			for res := range tx.Responses() {
				t.Errorf("mark %q: %d %s", mark, res.StatusCode, res.Reason)
			}
		}
	})
}

// Lamps of the real service: free orbits have none, nobody hears of identifiers, and unknown parks do not exist.
func TestLampsOfTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice := w.ua("alice", "127.0.1.1")
		alice.expect(404, alice.subscription("dialog", &ua{name: "pk-aaaaaaaaaaaaaaaaaaaaaaaaaa"}))
		alice.expect(200, alice.subscription("dialog", &ua{name: "701"}))
		time.Sleep(time.Second)
		alice.expect(200, alice.subscription("dialog", &ua{name: parkLotUser}, "Supported: eventlist"))
		time.Sleep(time.Second)
		got := alice.requests(sip.NOTIFY)
		if len(got) != 2 {
			t.Fatalf("%d notifications", len(got))
		}
		doc, err := body.ParseDialogInfo(got[0].Body())
		if err != nil || len(doc.Dialogs) != 0 || doc.Entity != "sip:701@example.test" {
			t.Errorf("%+v, %v", doc, err)
		}
		list, err := body.ParseResourceList(got[1].ContentType().Value(), got[1].Body())
		if err != nil || len(list.Resources) != 20 || len(got[1].Body()) > 16<<10 {
			t.Errorf("%d resources in %d bytes, %v", len(list.Resources), len(got[1].Body()), err)
		}
	})
}

// A whole lot of twenty, occupied, stays below 16 KB.
func TestFullLotIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		full := &scriptedPark{ua: &ua{}, srv: w.srv, docs: map[string]body.DialogInfo{}}
		service := w.srv.park.parkService
		defer func() { w.srv.park.parkService = service }()
		w.srv.park.parkService = fullPark{service, full}
		for _, orbit := range service.List() {
			d := parked(orbit, "mary.poppins")
			d.Local.Display, d.Remote.Display = orbit, "Mary Poppins"
			d.Parked = &body.ParkedInfo{By: "sip:bob@" + domain, ByDisplay: "Bob Martin", Since: time.Now(), RingBack: time.Now(), Note: "wants to talk about order 77"}
			full.docs[orbit] = body.DialogInfo{Dialogs: []body.DialogState{d}}
		}
		r := w.srv.lampList(1)
		list, err := body.ParseResourceList(r.contentType, r.body)
		if err != nil || len(list.Resources) != 20 || len(r.body) > 16<<10 {
			t.Errorf("%d resources in %d bytes, %v", len(list.Resources), len(r.body), err)
		}
	})
}

// fullPark is the real service with other documents.
type fullPark struct {
	parkService
	docs *scriptedPark
}

func (f fullPark) DialogInfo(user string, version int) (body.DialogInfo, bool) {
	return f.docs.DialogInfo(user, version)
}

// A server that has nothing but IPv6 parks, too.
func TestParkOverIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Listen = []sipua.Listener{{Network: "udp", Address: "[::1]:5070"}} })
		alice := w.ua("alice", "::1")
		req := alice.request(sip.OPTIONS, at("park"))
		tx, err := alice.stack.Send(context.Background(), req, sipua.Target{Network: "udp", Addr: netip.MustParseAddrPort("[::1]:5070")})
		if err != nil {
			t.Fatal(err)
		}
		var final *sip.Response
		for res := range tx.Responses() {
			final = res
		}
		if final == nil || final.StatusCode != 200 || len(values(final, "Call-Info")) != 1 {
			t.Errorf("%v", final)
		}
	})
}
