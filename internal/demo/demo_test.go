package demo

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"offhook/internal/contacts"
	"offhook/internal/fanout"
	"offhook/session"
)

// patience is for loopback sockets and a loaded machine; nothing here takes that long by itself.
const patience = 15 * time.Second

// person is alice's own endpoint as a front end would make it.
type person struct {
	*session.Endpoint
	t      *testing.T
	events *fanout.Reader[session.Event]
}

// visit starts a demo whose robots are quick and signs alice in.
func visit(t *testing.T) (*Demo, *person) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	quick := Pace{Read: time.Millisecond, Letter: time.Microsecond, Greet: 100 * time.Millisecond}
	d, err := Start(ctx, Config{StateDir: t.TempDir(), Pace: quick})
	if err != nil {
		t.Fatal(err)
	}
	listen, _, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	e, err := session.New(session.Config{
		AOR: d.AOR, DeviceName: "here", Instance: "urn:uuid:00000000-0000-4000-8000-000000000001", Server: d.Server,
		Listen: listen, Credentials: anybody("alice"), ToastTimeout: 30 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &person{e, t, e.Subscribe("test")}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Errorf("alice: %v", err)
		}
		if err := d.Close(ctx); err != nil {
			t.Errorf("demo: %v", err)
		}
	})
	if err := e.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := e.WaitRegistered(ctx); err != nil {
		t.Fatal(err)
	}
	e.Input(time.Now())
	return d, p
}

// await returns the next event of type E that matches.
func await[E session.Event](p *person, match func(E) bool) E {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for {
		batch, err := p.events.Next(ctx)
		if err != nil {
			var none E
			p.t.Fatalf("no %s: %v", none.Type(), err)
		}
		for _, event := range batch {
			if e, ok := event.(E); ok && match(e) {
				return e
			}
		}
	}
}

// say sends text and waits for an answer that contains want.
func (p *person) say(to, text, want string) {
	p.t.Helper()
	p.send(to, text)
	p.heard(to, want)
}

func (p *person) send(to, text string) {
	p.t.Helper()
	c, err := p.Conversation("sip:" + to + "@" + Domain)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if m, err := c.Send(ctx, text); err != nil || m.Status != session.Delivered {
		p.t.Fatalf("%q to %s is %q: %v", text, to, m.Status, err)
	}
}

func (p *person) heard(from, want string) {
	p.t.Helper()
	await(p, func(e session.MessageChanged) bool {
		return e.Direction == session.Inbound && strings.Contains(e.From.URI, from) && strings.Contains(e.Text, want)
	})
}

func TestCarolRingsByHerself(t *testing.T) {
	_, alice := visit(t)
	toast := await(alice, func(e session.ToastShown) bool { return strings.Contains(e.From.URI, "carol") })
	call, ok := alice.FindToast(toast.Toast)
	if !ok {
		t.Fatal("the toast offers no call")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := call.Accept(ctx); err != nil {
		t.Fatal(err)
	}
	await(alice, func(e session.CallStateChanged) bool { return e.Call == call.ID() && e.State == session.Established })
}

func TestBobAnswersAndTypesFirst(t *testing.T) {
	_, alice := visit(t)
	alice.say("bob", "hello", "hello!")
	alice.say("bob", "help", "lab unplug")
	alice.say("bob", "what is the meaning of this", "you said: what is")
}

func TestDaveGetsWhatWasKept(t *testing.T) {
	_, alice := visit(t)
	c, err := alice.Conversation("sip:dave@" + Domain)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := c.Send(ctx, "are you there?")
	if err != nil || m.Status != session.Sent {
		t.Fatalf("a message for dave, who is away, is %q: %v", m.Status, err)
	}
	alice.send("bob", "wake dave")
	alice.heard("dave", "are you there?")
}

func TestLabIsADeviceOfAlices(t *testing.T) {
	_, alice := visit(t)
	isActive := func(class string) func(session.PresenceChanged) bool {
		return func(e session.PresenceChanged) bool {
			for _, d := range e.Devices {
				if d.Name == labName && (d.Class == "active") == (class == "active") {
					return true
				}
			}
			return false
		}
	}
	await(alice, isActive("away"))
	alice.say("bob", "lab active", "LAB-PC")
	await(alice, isActive("active"))
	alice.say("bob", "lab off", "signed out")
	await(alice, func(e session.PresenceChanged) bool { return e.URI == "sip:alice@"+Domain && !isActive("active")(e) })
}

func TestPeopleAreRobots(t *testing.T) {
	book, err := contacts.Open(filepath.Join(t.TempDir(), "contacts.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range People() {
		if _, err := book.Add(c); err != nil {
			t.Error(err)
		}
	}
	if got := book.Name("sip:bob@" + Domain); got != "Bob Martin" || len(book.All()) != 3 {
		t.Errorf("%q of %+v", got, book.All())
	}
}

func TestWordsAreWhole(t *testing.T) {
	for text, want := range map[string]bool{"hi bob": true, "this is it": false, "Hi!": false, "oh hi, how are you": true} {
		if got := hasWord(text, "hi"); got != want {
			t.Errorf("hasWord(%q, hi) = %v", text, got)
		}
	}
}
