//go:build interop

package interop

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"offhook/internal/sipua"
	"offhook/session"
)

const (
	kamailioAddress = "127.31.0.1:5060"
	domain          = "interop.test"
)

// startKamailio runs a Kamailio for the length of the test. With the host of an Asterisk calls are parked there.
func startKamailio(t *testing.T, asterisk ...string) {
	t.Helper()
	program, err := exec.LookPath("kamailio")
	if err != nil {
		t.Skip("kamailio is not installed")
	}
	dir := t.TempDir()
	tables := filepath.Join(dir, "tables")
	if err := os.CopyFS(tables, os.DirFS("/usr/share/kamailio/dbtext/kamailio")); err != nil {
		t.Skip("kamailio's text tables are not installed: ", err)
	}
	nullable(t, filepath.Join(tables, "silo"))
	template, err := os.ReadFile("kamailio.cfg")
	if err != nil {
		t.Fatal(err)
	}
	var flags []string
	if len(asterisk) > 0 {
		flags = []string{"-A", "WITH_ASTERISK"}
	}
	cfg := strings.NewReplacer("RUNDIR", dir, "ADDRESS", kamailioAddress, "sip:ASTERISK", "sip:"+strings.Join(asterisk, "")).Replace(string(template))
	path := filepath.Join(dir, "kamailio.cfg")
	if err := os.WriteFile(path, []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"-f", path, "-P", filepath.Join(dir, "pid"), "-w", dir, "-Y", dir, "-m", "256", "-E", "-DD"}, flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("kamailio said:\n%.4000s", text)
		}
	})
	for range 50 {
		if c, err := net.Dial("tcp", kamailioAddress); err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(100 * time.Millisecond) // a real program starts: nothing to wait on
	}
	t.Fatal("kamailio did not start")
}

// nullable lets the columns of a text table be empty: the shipped table for stored messages forbids what msilo writes.
func nullable(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rows, _ := strings.Cut(string(text), "\n")
	head = strings.NewReplacer("(string)", "(string,null)", "(int)", "(int,null)").Replace(head)
	if err := os.WriteFile(path, []byte(head+"\n"+rows), 0o600); err != nil {
		t.Fatal(err)
	}
}

// device is an endpoint in real time, with what it saw.
type device struct {
	*session.Endpoint
	name string
	seen chan session.Event
}

// signIn starts device i of a user.
func signIn(t *testing.T, user string, i int, change ...func(*session.Config)) *device {
	t.Helper()
	cfg := session.Config{
		AOR:        "sip:" + user + "@" + domain,
		Instance:   fmt.Sprintf("urn:uuid:00000000-0000-4000-8000-%06x%06x", len(user)*1000+int(user[0]), i),
		DeviceName: fmt.Sprintf("%s-%d", user, i),
		Server:     "sip:" + kamailioAddress + ";transport=udp",
		Listen: []sipua.Listener{
			{Network: "udp", Address: "127.31.1.1:0"}, {Network: "tcp", Address: "127.31.1.1:0"},
		},
		Credentials: func(context.Context) (string, sipua.Secret, error) {
			return user, sipua.Secret(user + "pw"), nil
		},
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&cfg)
	}
	e, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{Endpoint: e, name: cfg.DeviceName, seen: make(chan session.Event, 1000)}
	reader := e.Subscribe("interop")
	go func() {
		for {
			events, err := reader.Next(context.Background())
			if err != nil {
				return
			}
			for _, ev := range events {
				d.seen <- ev
			}
		}
	}()
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_ = e.Close(ctx)
		reader.Close()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := e.WaitRegistered(ctx); err != nil {
		t.Fatalf("%s: %v", d.name, err)
	}
	return d
}

// await returns the first event of type E that keep accepts, or fails after patience.
func await[E session.Event](t *testing.T, d *device, patience time.Duration, keep func(E) bool) E {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case ev := <-d.seen:
			if e, ok := ev.(E); ok && keep(e) {
				return e
			}
		case <-late:
			var none E
			t.Fatalf("%s saw no %T within %v", d.name, none, patience)
		}
	}
}

// story is three endpoints of bob, the last one used last, and a caller.
type story struct {
	alice *device
	bob   []*device
}

func newStory(t *testing.T, change ...func(*session.Config)) story {
	startKamailio(t)
	s := story{alice: signIn(t, "alice", 0)}
	for i := range 3 {
		s.bob = append(s.bob, signIn(t, "bob", i, change...))
	}
	for i, d := range s.bob {
		d.Input(time.Now().Add(-time.Duration(2-i) * 2 * time.Minute))
	}
	time.Sleep(2 * time.Second) // the publications of a real server meet
	return s
}

// send sends from alice and returns a channel with the outcome.
func (s story) send(t *testing.T, text string) <-chan session.Message {
	t.Helper()
	c, err := s.alice.Conversation("sip:bob@" + domain)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan session.Message, 1)
	go func() {
		m, err := c.Send(context.Background(), text)
		if err != nil {
			t.Errorf("send: %v", err)
		}
		done <- m
	}()
	return done
}

func (s story) established() (with []string) {
	for _, d := range s.bob {
		for _, c := range d.Snapshot().Calls {
			if c.State == "Established" {
				with = append(with, d.name)
			}
		}
	}
	return with
}

// expectOnly fails unless exactly this device has a session with alice, now and in a while, and the message arrived.
func (s story) expectOnly(t *testing.T, done <-chan session.Message, name string) {
	t.Helper()
	if m := <-done; m.Status != session.Delivered {
		t.Errorf("the message is %s %s", m.Status, m.Error)
	}
	time.Sleep(2 * time.Second) // a second session would show by now
	if with := s.established(); len(with) != 1 || name != "" && with[0] != name {
		t.Errorf("sessions on %v, want %q alone", with, name)
	}
}

func anyToast(session.ToastShown) bool { return true }

func TestKamailioSoleEndpointAcceptsAtOnce(t *testing.T) {
	startKamailio(t)
	s := story{alice: signIn(t, "alice", 0), bob: []*device{signIn(t, "bob", 0)}}
	time.Sleep(2 * time.Second)
	began := time.Now()
	done := s.send(t, "hello")
	a := await(t, s.bob[0], 5*time.Second, func(session.AutoAccept) bool { return true })
	if !a.Immediate || time.Since(began) > time.Second {
		t.Errorf("%+v after %v", a, time.Since(began))
	}
	s.expectOnly(t, done, "bob-0")
}

func TestKamailioNobodyClicks(t *testing.T) {
	s := newStory(t)
	began := time.Now()
	done := s.send(t, "anybody there?")
	for _, d := range s.bob {
		toast := await(t, d, 2*time.Second, anyToast)
		if toast.MostActive != "bob-2" || len(toast.Devices) != len(s.bob) {
			t.Errorf("%s believes that %q of %v will accept", d.name, toast.MostActive, toast.Devices)
		}
	}
	a := await(t, s.bob[2], 15*time.Second, func(session.AutoAccept) bool { return true })
	took := time.Since(began)
	t.Logf("%s accepted after %v, rank %v", s.bob[2].name, took.Round(time.Millisecond), *a.Rank)
	if took < 10*time.Second || took > 11500*time.Millisecond {
		t.Errorf("accepted after %v", took)
	}
	for _, d := range s.bob[:2] {
		c := await(t, d, 3*time.Second, func(session.ToastClosed) bool { return true })
		if c.Reason != "answered_elsewhere" {
			t.Errorf("%s closed its toast as %s", d.name, c.Reason)
		}
	}
	s.expectOnly(t, done, "bob-2")
}

func TestKamailioClickOnTheLeastActive(t *testing.T) {
	s := newStory(t)
	done := s.send(t, "anybody there?")
	toast := await(t, s.bob[0], 2*time.Second, anyToast)
	time.Sleep(3 * time.Second) // the person reads
	call, ok := s.bob[0].FindToast(toast.Toast)
	if !ok {
		t.Fatal("the toast has no call")
	}
	if err := call.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.expectOnly(t, done, "bob-0")
}

func TestKamailioWithoutPublication(t *testing.T) {
	s := newStory(t, func(c *session.Config) { c.NoPublish = true })
	began := time.Now()
	done := s.send(t, "anybody there?")
	m := <-done
	if took := time.Since(began); took > 18*time.Second || m.Status != session.Delivered {
		t.Errorf("%s after %v", m.Status, took)
	}
	time.Sleep(3 * time.Second)
	if with := s.established(); len(with) != 1 {
		t.Errorf("sessions on %v", with)
	}
}

func TestKamailioStoresForTheAbsent(t *testing.T) {
	startKamailio(t)
	alice := signIn(t, "alice", 0)
	s := story{alice: alice}
	if m := <-s.send(t, "read this later"); m.Status != session.Sent {
		t.Fatalf("the message is %s %s", m.Status, m.Error)
	}
	bob := signIn(t, "bob", 0)
	got := await(t, bob, 5*time.Second, func(session.MessageChanged) bool { return true })
	if !strings.HasSuffix(got.Text, "read this later") {
		t.Errorf("got %q", got.Text)
	}
}
