package server

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

func TestMessageGoesToAllEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, b1, b2 := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1"), w.ua("bob", "127.0.2.2")
		b1.register()
		b2.register()
		alice.expect(200, alice.message(b1, "hello"))
		if len(b1.texts()) != 1 || len(b2.texts()) != 1 {
			t.Errorf("got %q and %q", b1.texts(), b2.texts())
		}
	})
}

func TestStoreAndForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		bob.register()
		bob.expect(200, bob.registration(0))
		var want []string
		for i := range 20 {
			text := fmt.Sprintf("message %d", i)
			alice.expect(202, alice.message(bob, text, "Message-ID: <"+itoa(i)+"@x>", "Date: Sat, 13 Nov 2010 23:29:00 GMT"))
			want = append(want, text)
		}
		alice.expect(480, alice.message(bob, "now or never", "Expires: 0"))
		composing := alice.message(bob, "<isComposing/>")
		composing.RemoveHeader("Content-Type")
		composing.AppendHeader(sip.NewHeader("Content-Type", "application/im-iscomposing+xml"))
		alice.expect(480, composing)
		alice.expect(202, alice.message(bob, "soon stale", "Expires: 60"))
		time.Sleep(2 * time.Minute)
		bob.register()
		time.Sleep(time.Second)
		if got := bob.texts(); !slices.Equal(got, want) {
			t.Fatalf("got %q", got)
		}
		m := bob.requests(sip.MESSAGE)[3]
		for name, value := range map[string]string{
			"Message-ID": "<3@x>", "Date": "Sat, 13 Nov 2010 23:29:00 GMT", "Content-Type": "text/plain",
		} {
			if h := m.GetHeader(name); h == nil || h.Value() != value {
				t.Errorf("%s: %v", name, h)
			}
		}
		if from := m.From().Address; from.User != "alice" || from.Host != domain {
			t.Errorf("From %s", from.String())
		}
		time.Sleep(time.Minute)
		bob.register()
		time.Sleep(time.Second)
		if n := len(bob.texts()); n != len(want) {
			t.Errorf("delivered again: %d", n)
		}
	})
}

// On an open server everybody may come yet: what is sent to somebody who has never been there waits, but not for more
// such users than a flood of invented names could make expensive.
func TestMessageBeforeTheFirstSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		alice.expect(202, alice.message(bob, "welcome"))
		alice.expect(480, alice.request(sip.INVITE, bob.uri()))
		for i := range maxUnseen - 1 {
			if err := w.srv.store.put(message{To: "nobody" + itoa(i), From: "alice"}); err != nil {
				t.Fatal(err)
			}
		}
		eve := w.ua("eve", "127.0.3.1")
		alice.expect(480, alice.message(eve, "one too many"))
		alice.expect(202, alice.message(bob, "you are awaited already"))
		bob.register()
		time.Sleep(time.Second)
		if got := bob.texts(); !slices.Equal(got, []string{"welcome", "you are awaited already"}) {
			t.Errorf("got %q", got)
		}
	})
}

// A message to endpoints that are all dead is not lost: it is stored while the sender still waits.
func TestMessageToDeadEndpointsIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		bob.register()
		w.net.Cut(bob.host.Addr())
		alice.expect(202, alice.message(bob, "are you there"))
		w.net.Heal(bob.host.Addr())
		time.Sleep(time.Minute)
		bob.register()
		time.Sleep(time.Second)
		if got := bob.texts(); len(got) != 1 {
			t.Errorf("got %q", got)
		}
	})
}

func TestRefusedMessageIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, b1, b2 := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1"), w.ua("bob", "127.0.2.2")
		b1.register()
		b2.register()
		b1.answer(415)
		b2.answer(480)
		alice.expect(415, alice.message(b1, "hello"))
		if n := w.srv.store.count("bob"); n != 0 {
			t.Errorf("%d stored", n)
		}
	})
}

// Delivery stops at an endpoint that does not take the first message, and goes on with the next registration.
func TestDeliveryWaitsForTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		bob.register()
		bob.expect(200, bob.registration(0))
		alice.expect(202, alice.message(bob, "one"))
		alice.expect(202, alice.message(bob, "two"))
		bob.on(func(req *sipua.Request) {
			code := 200
			if req.Method == sip.MESSAGE {
				code = 480
			}
			_ = req.Respond(code, "Test")
		})
		bob.register()
		time.Sleep(time.Minute)
		if got := bob.texts(); !slices.Equal(got, []string{"one"}) {
			t.Fatalf("got %q", got)
		}
		bob.answer(200)
		bob.register()
		time.Sleep(time.Second)
		if got := bob.texts(); !slices.Equal(got, []string{"one", "one", "two"}) {
			t.Errorf("got %q", got)
		}
	})
}

func TestStoreIsBounded(t *testing.T) {
	st, err := openStore("", true, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxStored + 10 {
		err := st.put(message{To: "bob", From: "alice", Body: []byte("x")})
		if (err != nil) != (i >= maxStored) {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	if err := st.put(message{To: "carol", Body: make([]byte, maxStoredBytes)}); err != errFull {
		t.Errorf("got %v", err)
	}
}

// A crash leaves what was acknowledged, whatever the last write did.
func TestJournalSurvivesACrash(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"untouched":     func(b []byte) []byte { return b },
		"torn":          func(b []byte) []byte { return append(b, `0badc0de {"op":"add","mess`...) },
		"torn at start": func(b []byte) []byte { return append(b, '0') },
		"zeros":         func(b []byte) []byte { return append(b, make([]byte, 512)...) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			st := mustOpen(t, dir)
			st.remember("bob")
			for i := range 10 {
				if err := st.put(message{To: "bob", From: "<sip:alice@example.test>", Body: []byte(itoa(i))}); err != nil {
					t.Fatal(err)
				}
			}
			m, _ := st.first("bob", time.Now())
			if err := st.remove(m); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "messages.journal")
			data, err := os.ReadFile(path) // what is on disk at the moment of the crash
			if err != nil {
				t.Fatal(err)
			}
			_ = st.lock.Close()
			if err := os.WriteFile(path, damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			again := mustOpen(t, dir)
			defer again.close()
			if n := again.count("bob"); n != 9 || !again.names["bob"] {
				t.Fatalf("%d messages, known %t", n, again.names["bob"])
			}
			if m, _ := again.first("bob", time.Now()); string(m.Body) != "1" {
				t.Errorf("the first is %q", m.Body)
			}
			if err := again.put(message{To: "bob", Body: []byte("new")}); err != nil {
				t.Fatal(err)
			}
			if m := again.boxes["bob"].messages; m[len(m)-1].ID <= m[len(m)-2].ID {
				t.Errorf("an ID was given twice")
			}
		})
	}
}

// Damage in the middle costs the record that is damaged and no other, and the file is kept for inspection.
func TestJournalSkipsDamage(t *testing.T) {
	dir := t.TempDir()
	st := mustOpen(t, dir)
	for i := range 3 {
		if err := st.put(message{To: "bob", Body: []byte(itoa(i))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "messages.journal")
	data, _ := os.ReadFile(path)
	lines := strings.SplitAfter(string(data), "\n")
	lines[1] = strings.Replace(lines[1], "bob", "eve", 1)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, dir)
	defer again.close()
	if again.count("bob") != 2 || again.count("eve") != 0 {
		t.Errorf("%d messages", again.count("bob"))
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
}

func TestJournalIsCompacted(t *testing.T) {
	dir := t.TempDir()
	st := mustOpen(t, dir)
	defer st.close()
	for range 60 {
		if err := st.put(message{To: "bob", Body: make([]byte, 50<<10)}); err != nil {
			t.Fatal(err)
		}
		m, _ := st.first("bob", time.Now())
		if err := st.remove(m); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "messages.journal"))
	if err != nil || info.Size() > 2*minCompact || info.Size() != st.journal.size {
		t.Errorf("%v bytes, counted %d, %v", info.Size(), st.journal.size, err)
	}
}

func TestStateDirectoryHasOneServer(t *testing.T) {
	dir := t.TempDir()
	st := mustOpen(t, dir)
	if _, err := openStore(dir, true, quiet); err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("got %v", err)
	}
	if err := st.close(); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, dir).close(); err != nil {
		t.Error(err)
	}
}

func TestServerRestartKeepsMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		keep := func(c *Config) { c.StateDir = dir }
		w := newWorld(t, keep)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		bob.register()
		bob.expect(200, bob.registration(0))
		alice.expect(202, alice.message(bob, "one"))
		w.stop(w.srv)
		w.start(keep)
		alice.expect(202, alice.message(bob, "two")) // bob is still known
		bob.register()
		time.Sleep(time.Second)
		if got := bob.texts(); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("got %q", got)
		}
	})
}

func mustOpen(t *testing.T, dir string) *store {
	t.Helper()
	st, err := openStore(dir, true, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// TestKillHelper is no test: it is the process that TestKillLosesNothing kills.
func TestKillHelper(t *testing.T) {
	dir := os.Getenv("OFFHOOK_TEST_STORE")
	if dir == "" {
		t.Skip("run by TestKillLosesNothing")
	}
	st := mustOpen(t, dir)
	for i := 0; ; i++ {
		if err := st.put(message{To: "user" + itoa(i/400), Body: []byte(itoa(i))}); err != nil {
			t.Fatal(err)
		}
		fmt.Println("stored", i)
	}
}

// What was acknowledged when the process is killed is there when the next one starts.
func TestKillLosesNothing(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKillHelper$")
	cmd.Env = append(os.Environ(), "OFFHOOK_TEST_STORE="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "stored ") {
			continue
		}
		if acknowledged++; acknowledged == 100 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	st := mustOpen(t, dir)
	defer st.close()
	stored := 0
	for i := 0; st.count("user"+itoa(i)) > 0; i++ {
		stored += st.count("user" + itoa(i))
	}
	if acknowledged < 100 || stored < acknowledged {
		t.Errorf("%d messages acknowledged, %d there", acknowledged, stored)
	}
}
