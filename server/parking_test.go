package server

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/google/go-cmp/cmp"

	"offhook/internal/body"
	"offhook/internal/sipua"
	"offhook/internal/vnet"
)

// scriptedPark is a park service that does just what a test says.
type scriptedPark struct {
	*ua
	srv *Server

	docs  map[string]body.DialogInfo // Guarded by mu; by user
	over  map[string]bool            // Guarded by mu
	close func()
}

// newParkWorld starts a server whose park service is scripted, with the orbits 701 to 703.
func newParkWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, net: vnet.New()}
	w.net.Default(vnet.Link{Delay: time.Millisecond})
	w.park = &scriptedPark{docs: map[string]body.DialogInfo{}, over: map[string]bool{}, close: func() {}}
	w.park.ua = w.ua("park", "127.0.9.1")
	w.start(append([]func(*Config){func(c *Config) { c.Park.Orbits = "701-703" }}, change...)...)
	return w
}

func (p *scriptedPark) open(s *Server, _ sip.Uri, _ netip.Addr) (parkService, error) {
	p.srv = s
	return p, nil
}

func (p *scriptedPark) Start(context.Context) error { return nil }
func (p *scriptedPark) Close(context.Context) error { p.close(); return nil }
func (p *scriptedPark) Contact() sip.Uri            { return p.contact().Address }
func (p *scriptedPark) List() []string              { return []string{"701", "702", "703"} }

func (p *scriptedPark) Serves(user string) bool {
	return slices.Contains(append(p.List(), parkUser, parkLotUser), user) || strings.HasPrefix(user, safePrefix)
}

func (p *scriptedPark) Watchable(user, _ string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, known := p.docs[user]
	return known || !strings.HasPrefix(user, safePrefix)
}

func (p *scriptedPark) DialogInfo(user string, version int) (body.DialogInfo, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	doc := p.docs[user]
	doc.Version, doc.Full, doc.Entity = version, true, p.srv.aor(user)
	return doc, p.over[user]
}

// shows changes what one of the names shows and tells the server.
func (p *scriptedPark) shows(over bool, user string, dialogs ...body.DialogState) {
	p.mu.Lock()
	p.docs[user], p.over[user] = body.DialogInfo{Dialogs: dialogs}, over
	p.mu.Unlock()
	p.srv.parkChanged([]string{user, parkLotUser})
}

// send builds a request as the service does: in anybody's name, with its mark.
func (p *scriptedPark) send(method sip.RequestMethod, from, to sip.Uri, headers ...string) *sip.Request {
	req := p.request(method, to, headers...)
	req.From().Address = from
	req.AppendHeader(sip.NewHeader(markHeader, p.srv.parkMark(string(*req.CallID()))))
	return req
}

func at(user string) sip.Uri { return sip.Uri{Scheme: "sip", User: user, Host: domain} }

// values are all of a field, however it is written.
func values(msg interface{ Headers() []sip.Header }, name string) (all []string) {
	for _, h := range msg.Headers() {
		if strings.EqualFold(h.Name(), name) {
			all = append(all, h.Value())
		}
	}
	return all
}

// What is for one of the names reaches the service as it was dialled, with the sender and the proof that it came this way,
// whatever the sender says of itself.
func TestParkIsReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newParkWorld(t)
		alice := w.ua("alice", "127.0.1.1")
		for _, c := range []struct {
			method sip.RequestMethod
			uri    string
		}{
			{sip.OPTIONS, "sip:park@example.test"},
			{sip.REFER, "sip:park@example.test;gr=svc1"},
			{sip.REFER, "sip:702@example.test"},
			{sip.INVITE, "sip:701@example.test"},
			{sip.INVITE, "sip:pk-nobodyknows@example.test"},
			{sip.MESSAGE, "sip:park@example.test"},
		} {
			uri, err := sipua.ParseURI(c.uri)
			if err != nil {
				t.Fatal(err)
			}
			req := alice.request(c.method, uri, assertedHeader+": <sip:bob@example.test>", "x-offhook-mark: guess", markHeader+": guess")
			req.From().DisplayName = sipua.QuoteText(`Alice "Al"`)
			alice.expect(200, req)
			got := w.park.requests(c.method)
			last := got[len(got)-1]
			if last.Recipient.String() != c.uri {
				t.Errorf("%s %s arrives as %s", c.method, c.uri, last.Recipient.String())
			}
			if v := values(last, assertedHeader); !slices.Equal(v, []string{`"Alice \"Al\"" <sip:alice@example.test>`}) {
				t.Errorf("%s %s: asserted %q", c.method, c.uri, v)
			}
			if v := values(last, markHeader); !slices.Equal(v, []string{w.srv.parkMark(string(*last.CallID()))}) {
				t.Errorf("%s %s: mark %q", c.method, c.uri, v)
			}
		}
		if n := w.srv.store.count(parkUser); n != 0 {
			t.Errorf("%d messages to the service are stored", n)
		}
		alice.expect(404, alice.subscription("dialog", &ua{name: "pk-nobodyknows"}))
	})
}

// A dialog with the service goes on through the server, in both directions, to its end.
func TestParkDialog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newParkWorld(t)
		alice := w.ua("alice", "127.0.1.1")
		alice.register()
		w.park.on(func(req *sipua.Request) {
			_ = req.Respond(200, "OK", w.park.contact(), sip.NewHeader(assertedHeader, "<sip:mary@example.test>"))
		})
		res := alice.expect(200, alice.request(sip.INVITE, at("701")))
		if v := values(res, assertedHeader); !slices.Equal(v, []string{"<sip:mary@example.test>"}) {
			t.Errorf("what the service asserts arrives as %q", v)
		}
		alice.ack(res)
		alice.expect(200, alice.inDialog(sip.INFO, res, assertedHeader+": <sip:eve@example.test>"))
		for _, method := range []sip.RequestMethod{sip.ACK, sip.INFO} {
			got := w.park.requests(method)
			if len(got) != 1 {
				t.Fatalf("%d %s", len(got), method)
			}
			if values(got[0], assertedHeader) != nil || values(got[0], markHeader) == nil {
				t.Errorf("%s: asserted %q, mark %q", method, values(got[0], assertedHeader), values(got[0], markHeader))
			}
		}
		invite := w.park.requests(sip.INVITE)[0]
		update := w.park.request(sip.UPDATE, invite.Contact().Address, assertedHeader+": <sip:carol@example.test>")
		update.ReplaceHeader(sip.HeaderClone(invite.CallID()))
		update.From().Params.Add("tag", invite.Tag())
		tag, _ := invite.From().Params.Get("tag")
		update.To().Params.Add("tag", tag)
		for _, h := range invite.GetHeaders("Record-Route") {
			update.AppendHeader(&sip.RouteHeader{Address: h.(*sip.RecordRouteHeader).Address})
		}
		w.park.expect(200, update)
		if got := alice.requests(sip.UPDATE); len(got) != 1 || !slices.Equal(values(got[0], assertedHeader), []string{"<sip:carol@example.test>"}) {
			t.Errorf("UPDATE: %v", got)
		}
		alice.expect(200, alice.inDialog(sip.BYE, res))
		if n := len(w.park.requests(sip.BYE)); n != 1 {
			t.Errorf("%d BYEs", n)
		}
	})
}

// The service calls in anybody's name, at addresses of record, GRUUs and contacts of those who are signed in.
func TestParkCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := usersFile(t, 0o600, "alice:wonderland", "bob:builder")
		w := newParkWorld(t, func(c *Config) { c.Open, c.Users = false, path })
		bob, eve := w.ua("bob", "127.0.2.1"), w.ua("eve", "127.0.3.1")
		signedIn := bob.withPassword(bob.registration(600), "builder")
		gruu, _ := signedIn.GetHeader("Contact").(*sip.ContactHeader).Params.Get("pub-gruu")
		uri, err := sipua.ParseURI(strings.Trim(gruu, `"`))
		if err != nil {
			t.Fatal(err)
		}
		bob.on(func(req *sipua.Request) {
			_ = req.Respond(200, "OK", bob.contact(), sip.NewHeader("p-asserted-identity", "<sip:president@example.test>"))
		})
		for _, to := range []sip.Uri{at("bob"), uri, bob.contact().Address} {
			req := w.park.send(sip.INVITE, at("mary"), to, assertedHeader+`: "Mary" <sip:mary@example.test>`)
			res := w.park.expect(200, req)
			if v := values(res, assertedHeader); !slices.Equal(v, []string{"<sip:bob@example.test>"}) {
				t.Errorf("%s: who has answered is told as %q", to.String(), v)
			}
			w.park.ack(res)
			got := bob.requests(sip.INVITE)
			last := got[len(got)-1]
			if values(last, markHeader) != nil || last.From().Address.User != "mary" {
				t.Errorf("%s: mark %q, from %s", to.String(), values(last, markHeader), last.From())
			}
			if v := values(last, assertedHeader); !slices.Equal(v, []string{`"Mary" <sip:mary@example.test>`}) {
				t.Errorf("%s: asserted %q", to.String(), v)
			}
		}
		w.park.expect(403, w.park.send(sip.INVITE, at("mary"), eve.contact().Address))
		w.park.expect(404, w.park.send(sip.INVITE, at("mary"), at("nobody")))
		if n := len(eve.requests(sip.INVITE)); n != 0 {
			t.Errorf("somebody who is not signed in was called %d times", n)
		}
		bare := w.park.send(sip.INVITE, at("mary"), at("bob"))
		removeAll(bare, markHeader)
		w.park.expect(407, bare)
		wrong := w.park.send(sip.INVITE, at("mary"), at("bob"))
		another := sip.CallIDHeader("another")
		wrong.ReplaceHeader(&another)
		w.park.expect(407, wrong)
	})
}

// Nobody else passes for the service: the mark of somebody else's call is worth nothing, nor is a right one that comes
// from another socket.
func TestParkIsNotForged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := usersFile(t, 0o600, "alice:wonderland", "bob:builder")
		w := newParkWorld(t, func(c *Config) { c.Open, c.Users = false, path })
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		bob.withPassword(bob.registration(600), "builder")
		stolen := alice.request(sip.INVITE, at("bob"))
		stolen.AppendHeader(sip.NewHeader(markHeader, w.srv.parkMark(string(*stolen.CallID()))))
		stolen.From().Address = at("mary")
		alice.expect(407, stolen)
		if res := alice.withPassword(stolen, "wonderland"); res == nil || res.StatusCode != 403 {
			t.Errorf("a call in another's name: %v", res)
		}
		call := alice.request(sip.INVITE, at("bob"), assertedHeader+": <sip:mary@example.test>", "x-offhook-mark: guess")
		bob.on(func(req *sipua.Request) {
			_ = req.Respond(200, "OK", bob.contact(), sip.NewHeader(assertedHeader, "<sip:president@example.test>"))
		})
		res := alice.withPassword(call, "wonderland")
		if res == nil || res.StatusCode != 200 || values(res, assertedHeader) != nil {
			t.Fatalf("%v", res)
		}
		if got := bob.requests(sip.INVITE)[0]; values(got, assertedHeader) != nil || values(got, markHeader) != nil {
			t.Errorf("what a caller says of itself arrives: %q, %q", values(got, assertedHeader), values(got, markHeader))
		}
	})
}

// The names of the service are nobody's to sign in with.
func TestParkNamesAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newParkWorld(t)
		for i, name := range []string{"park", "park-lot", "701", "pk-abc"} {
			u := w.ua(name, "127.0.7."+itoa(i+1))
			u.expect(403, u.registration(600))
			u.expect(403, u.publication(u.document("active")))
			u.expect(403, u.request(sip.INVITE, at("bob")))
		}
		w.ua("704", "127.0.8.1").register()
	})
}

// Without a park service its names are users like others, and nothing is marked.
func TestParkOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Park = &ParkConfig{Off: true} })
		alice, orbit := w.ua("alice", "127.0.1.1"), w.ua("701", "127.0.2.1")
		alice.expect(480, alice.request(sip.REFER, at("park")))
		orbit.register()
		alice.expect(200, alice.request(sip.INVITE, at("701"), markHeader+": guess"))
		if got := orbit.requests(sip.INVITE)[0]; values(got, markHeader) != nil {
			t.Errorf("mark %q", values(got, markHeader))
		}
		res := alice.expect(489, alice.subscription("dialog", orbit))
		if h := res.GetHeader("Allow-Events"); h == nil || h.Value() != userEvents {
			t.Errorf("Allow-Events: %v", h)
		}
		user := w.ua("park", "127.0.3.1")
		user.expect(403, user.request(sip.INVITE, orbit.contact().Address))
		if w.srv.Park() != "" || w.srv.Orbits() != "" {
			t.Errorf("park %q, orbits %q", w.srv.Park(), w.srv.Orbits())
		}
	})
}

// A service that refuses because it closes, or is not there, is told as what it is.
func TestParkIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newParkWorld(t)
		alice := w.ua("alice", "127.0.1.1")
		w.park.on(func(req *sipua.Request) {
			_ = req.Respond(503, "Closing", sip.NewHeader("Warning", `399 example.test "the park service is closing (35012)"`))
		})
		res := alice.expect(503, alice.request(sip.REFER, at("park")))
		if res.GetHeader("Warning") == nil {
			t.Errorf("%s", res)
		}
		w.srv.park.closed.Store(true)
		alice.expect(503, alice.request(sip.INVITE, at("701")))
		alice.expect(503, alice.request(sip.MESSAGE, at("park")))
	})
}

// The service ends first, while everybody can still be reached.
func TestParkClosesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newParkWorld(t)
		alice, mary := w.ua("alice", "127.0.1.1"), w.ua("mary", "127.0.2.1")
		mary.register()
		w.park.shows(false, "pk-1", body.DialogState{ID: "p", State: "confirmed"})
		alice.expect(200, alice.subscription("dialog", &ua{name: "pk-1"}))
		w.park.close = func() {
			w.park.expect(200, w.park.send(sip.MESSAGE, at("park"), at("mary")))
			w.park.shows(true, "pk-1", body.DialogState{ID: "p", State: "terminated", Unpark: &body.Unpark{Reason: "disconnected"}})
		}
		w.stop(w.srv)
		if n := len(mary.requests(sip.MESSAGE)); n != 1 {
			t.Errorf("%d farewells", n)
		}
		docs := lamps(t, alice)
		if last := docs[len(docs)-1]; last.Dialogs[0].Unpark == nil {
			t.Errorf("whoever parked is told %+v", last)
		}
	})
}

func TestParkConfig(t *testing.T) {
	wav := filepath.Join(t.TempDir(), "not.wav")
	if err := os.WriteFile(wav, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		park    ParkConfig
		users   []string
		problem string
	}{
		{park: ParkConfig{}},
		{park: ParkConfig{Orbits: "80-80", Timeout: 10 * time.Second, Quarantine: -1, Fallback: "sip:bob@EXAMPLE.test"}},
		{park: ParkConfig{Fallback: "sip:bob@example.test"}, users: []string{"bob:x"}},
		{park: ParkConfig{Off: true, Orbits: "nonsense"}, users: []string{"701:x"}},
		{park: ParkConfig{Orbits: "701"}, problem: "the first and the last number"},
		{park: ParkConfig{Orbits: "a-b"}, problem: "the first and the last number"},
		{park: ParkConfig{Orbits: "001-020"}, problem: "the first and the last number"},
		{park: ParkConfig{Orbits: "720-701"}, problem: "orbit"},
		{park: ParkConfig{Timeout: time.Second}, problem: "10"},
		{park: ParkConfig{Lamp: "blue"}, problem: "confirmed or early"},
		{park: ParkConfig{NoMusic: true, MusicFile: wav}, problem: "not both"},
		{park: ParkConfig{MusicFile: wav}, problem: "no WAV file"},
		{park: ParkConfig{MusicFile: wav + "x"}, problem: "no such file"},
		{park: ParkConfig{Fallback: "bob"}, problem: "fallback"},
		{park: ParkConfig{Fallback: "sip:bob@example.org"}, problem: "a user of this domain"},
		{park: ParkConfig{Fallback: "sip:705@example.test"}, problem: "belongs to call park"},
		{park: ParkConfig{Fallback: "sip:eve@example.test"}, users: []string{"bob:x"}, problem: "no such user"},
		{users: []string{"bob:x", "715:x"}, problem: "the name 715 belongs to call park"},
		{users: []string{"park:x"}, problem: "the name park belongs"},
		{users: []string{"pk-1:x"}, problem: "the name pk-1 belongs"},
	} {
		cfg := Config{Listen: []sipua.Listener{{Network: "udp", Address: "127.0.0.1:0"}}, Domain: domain, Open: true, Park: &c.park}
		if c.users != nil {
			cfg.Open, cfg.Users = false, usersFile(t, 0o600, c.users...)
		}
		before := c.park
		_, err := New(cfg)
		if c.problem == "" && err != nil || c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)) {
			t.Errorf("%+v %q: %v", c.park, c.users, err)
		}
		if diff := cmp.Diff(before, c.park, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("New changes its caller's configuration: %s", diff)
		}
	}
}
