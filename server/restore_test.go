package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
)

// kill ends the server as a SIGKILL would and starts it again: the new one finds what the old one had written by then,
// and nothing that it writes while it ends.
func (w *world) kill(dir string) {
	w.t.Helper()
	left := w.t.TempDir()
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		w.t.Fatal(err)
	}
	w.stop(w.srv)
	w.start(func(c *Config) { c.StateDir = left })
}

// A server that was killed knows at once where everybody is: nobody has to refresh before being called.
func TestRestartKeepsBindings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		w := newWorld(t, func(c *Config) { c.StateDir = dir })
		alice, b1, b2, b3 := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1"), w.ua("bob", "127.0.2.2"), w.ua("bob", "127.0.2.3")
		before := b1.register().GetHeader("Contact").(*sip.ContactHeader)
		b2.expect(200, b2.registration(60))
		b3.register()
		b3.expect(200, b3.registration(0))
		time.Sleep(45 * time.Second)
		w.kill(dir)
		b1.answer(486)
		b2.answer(486)
		alice.expect(486, alice.request(sip.INVITE, b1.uri()))
		for u, want := range map[*ua]int{b1: 1, b2: 1, b3: 0} {
			if got := len(u.requests(sip.INVITE)); got != want {
				t.Errorf("%s was called %d times, want %d", u.host, got, want)
			}
		}
		temp, _ := before.Params.Get("temp-gruu")
		uri, _ := before.Params.Get("pub-gruu")
		for _, gruu := range []string{temp, uri} {
			to, err := sipua.ParseURI(strings.Trim(gruu, `"`))
			if err != nil {
				t.Fatal(err)
			}
			alice.expect(486, alice.request(sip.INVITE, to))
		}
		if got := len(b1.requests(sip.INVITE)); got != 3 {
			t.Errorf("the GRUUs have lost their meaning: %d calls", got)
		}
		time.Sleep(16 * time.Second)
		alice.expect(486, alice.request(sip.INVITE, b1.uri()))
		if got := len(b2.requests(sip.INVITE)); got != 1 {
			t.Errorf("an endpoint whose registration has expired was called %d times", got)
		}
	})
}

// Publications and subscriptions go on: the refresh of one is no surprise, and watchers hear of changes.
func TestRestartKeepsPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		w := newWorld(t, func(c *Config) { c.StateDir = dir })
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		bob.register()
		etag := bob.expect(200, bob.publication(bob.document("active"))).GetHeader("SIP-ETag").Value()
		alice.expect(200, alice.subscription("presence", bob))
		alice.expect(200, alice.subscription("reg", alice))
		time.Sleep(time.Minute)
		told := len(alice.requests(sip.NOTIFY))
		w.kill(dir)
		time.Sleep(time.Second)
		got := alice.requests(sip.NOTIFY)
		if len(got) != told+2 {
			t.Fatalf("%d notifications after the restart, want one for each subscription", len(got)-told)
		}
		numbers := map[string]uint32{}
		for _, n := range got {
			call := n.CallID().Value()
			if n.CSeq().SeqNo <= numbers[call] {
				t.Errorf("CSeq %d after %d", n.CSeq().SeqNo, numbers[call])
			}
			numbers[call] = n.CSeq().SeqNo
		}
		refresh := bob.request(sip.PUBLISH, bob.uri(), "Event: presence", "Expires: 600", "SIP-If-Match: "+etag)
		bob.expect(200, refresh)
		bob.expect(412, bob.request(sip.PUBLISH, bob.uri(), "Event: presence", "Expires: 600", "SIP-If-Match: "+etag))
		away := body.PIDF{Entity: "sip:bob@" + domain, Tuples: []body.Tuple{{ID: "t", DeviceID: bob.instance()}}}
		bob.expect(200, bob.publication(away.Marshal()))
		time.Sleep(time.Second)
		if now := alice.requests(sip.NOTIFY); len(now) != told+3 || !strings.Contains(string(now[told+2].Body()), "closed") {
			t.Errorf("%d notifications of a change", len(now)-told-2)
		}
	})
}

// The ledger grows with every refresh and is rewritten before that matters; what is over leaves it.
func TestLedgerIsCompacted(t *testing.T) {
	dir := t.TempDir()
	open := func() *ledger {
		l, err := openLedger(dir, quiet)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := open()
	value := strings.Repeat("x", 10<<10)
	for i := range 1000 {
		l.keep(keptBindings, "user"+itoa(i%7), value+itoa(i))
		l.keep(keptBindings, "gone", value)
		l.keep(keptBindings, "gone", nil)
	}
	info, err := os.Stat(filepath.Join(dir, "registrations.journal"))
	if err != nil || info.Size() > 2*minCompact || info.Size() != l.journal.size {
		t.Errorf("%d bytes, counted %d, %v", info.Size(), l.journal.size, err)
	}
	for range 2 { // read what is written, then what is left of it by the next process
		got := map[string]string{}
		l.load(keptBindings, func(key string, value []byte) bool {
			got[key] = string(value)
			return key != "user3"
		})
		if len(got) != 7 && (len(got) != 6 || got["user3"] != "") || got["user0"] != `"`+value+`994"` {
			t.Errorf("%d values", len(got))
		}
		if err := l.close(); err != nil {
			t.Fatal(err)
		}
		l = open()
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
}
