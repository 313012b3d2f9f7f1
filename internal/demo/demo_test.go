package demo

import (
	"context"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"offhook/audio"
	"offhook/internal/contacts"
	"offhook/internal/fanout"
	"offhook/internal/testkit/sound"
	"offhook/session"
)

// patience is for loopback sockets and a loaded machine; nothing here takes that long by itself.
const patience = 15 * time.Second

// person is alice's own endpoint as a front end would make it.
type person struct {
	*session.Endpoint
	t      *testing.T
	events *fanout.Reader[session.Event]
	since  []session.Event // she last sent something, and not yet awaited
	ear    *ear
}

// ear is alice's microphone and speaker: she says a word once, and remembers what she hears and when.
type ear struct {
	mu    sync.Mutex
	word  []int16 // Guarded by mu; what is left of it to be said.
	said  int     // Guarded by mu; samples from the beginning to the end of the word.
	heard []int16 // Guarded by mu.
}

func (e *ear) exchange(in, out []int16) {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(in)
	if n := copy(in, e.word); n > 0 {
		if e.word = e.word[n:]; len(e.word) == 0 {
			e.said = len(e.heard)
		}
	}
	e.heard = append(e.heard, out...)
}

// await waits until done holds of what has been heard.
func (e *ear) await(t *testing.T, what string, done func(heard []int16) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		e.mu.Lock()
		heard := e.heard
		e.mu.Unlock()
		switch {
		case done(heard):
			return
		case !sleep(ctx, 50*time.Millisecond):
			t.Fatalf("%s is not heard", what)
		}
	}
}

// visit starts a demo whose robots are quick and signs alice in.
func visit(t *testing.T) (*Demo, *person) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	quick := Pace{
		Read: time.Millisecond, Letter: time.Microsecond, Ring: 50 * time.Millisecond, Greet: 100 * time.Millisecond,
		PickUp: 50 * time.Millisecond, Talk: 500 * time.Millisecond, Parked: 10 * time.Second,
	}
	d, err := Start(ctx, Config{StateDir: t.TempDir(), Pace: quick})
	if err != nil {
		t.Fatal(err)
	}
	listen, _, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	hears := &ear{}
	engine, err := newEngine(hears, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	e, err := session.New(session.Config{
		Media: engine, AOR: d.AOR, DeviceName: "here", Instance: "urn:uuid:00000000-0000-4000-8000-000000000001", Server: d.Server,
		Listen: listen, Credentials: anybody("alice"), ToastTimeout: 30 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &person{e, t, e.Subscribe("test"), nil, hears}
	life, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { engine.serve(life, slog.New(slog.DiscardHandler)) })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Errorf("alice: %v", err)
		}
		stop()
		serving.Wait()
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

// await returns the first event since alice last sent something that is of type E, matches, and has not been returned yet:
// of what her words set off nobody knows what comes first.
func await[E session.Event](p *person, match func(E) bool) E {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for {
		for i, event := range p.since {
			if e, ok := event.(E); ok && match(e) {
				p.since = slices.Delete(p.since, i, i+1)
				return e
			}
		}
		batch, err := p.events.Next(ctx)
		if err != nil {
			var none E
			p.t.Fatalf("no %s: %v", none.Type(), err)
		}
		p.since = append(p.since, batch...)
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
	p.since = nil
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

func TestEchoRepeatsWhatItHears(t *testing.T) {
	if racing {
		t.Skip("sound in real time is too much for the race detector; the tests without it run this")
	}
	_, alice := visit(t)
	c, err := alice.Conversation("sip:echo@" + Domain)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	call, err := c.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	word := sound.Sine(700, 0.3, audio.Rate, audio.Rate/2)
	alice.ear.await(t, "the call", func(heard []int16) bool { return len(heard) > audio.Rate/2 })
	alice.ear.mu.Lock()
	alice.ear.word = word
	alice.ear.mu.Unlock()
	from := 0
	alice.ear.await(t, "the echo", func(heard []int16) bool {
		alice.ear.mu.Lock()
		from = alice.ear.said
		alice.ear.mu.Unlock()
		return from > 0 && sound.Level(heard[from:]) > -30 && sound.Level(heard[len(heard)-audio.Rate/10:]) < -60
	})
	if err := call.Terminate(ctx); err != nil {
		t.Error(err)
	}
	// A second of the robot, and what the network and its buffers add.
	alice.ear.mu.Lock()
	heard := alice.ear.heard
	alice.ear.mu.Unlock()
	begun := from - len(word)
	at := begun
	for at < len(heard) && heard[at] < 3000 {
		at++
	}
	if delay := time.Duration(at-begun) * time.Second / audio.Rate; delay < time.Second || delay > 2*time.Second {
		t.Errorf("it comes back after %v", delay)
	}
}

func TestCarolCalls(t *testing.T) {
	if racing {
		t.Skip("sound in real time is too much for the race detector; the tests without it run this")
	}
	_, alice := visit(t)
	alice.send("bob", "call me in 0")
	toast := await(alice, func(e session.ToastShown) bool { return e.Kind == "call" && strings.Contains(e.From.URI, "carol") })
	call, ok := alice.FindToast(toast.Toast)
	if !ok {
		t.Fatal("the toast offers no call")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := call.Accept(ctx); err != nil {
		t.Fatal(err)
	}
	alice.ear.await(t, "the tune", func(heard []int16) bool {
		const window = audio.Rate / 5
		for at := 0; at+window < len(heard); at += window / 4 {
			if _, level, above := sound.Tone(heard[at:at+window], audio.Rate, 523.25); level > -25 && above > 10 { // its first note is c
				return true
			}
		}
		return false
	})
	if err := call.Terminate(ctx); err != nil {
		t.Error(err)
	}
}

func TestMelody(t *testing.T) {
	box, tune := &musicBox{}, make([]int16, audio.Rate)
	box.exchange(tune, nil)
	if hz, level, above := sound.Tone(tune[1000:20000], audio.Rate, 523.25); math.Abs(hz-523.25) > 0.1 || level < -20 || above < 30 {
		t.Errorf("the first note is %.2f Hz, %.1f dBov, %.1f dB above the rest", hz, level, above)
	}
	if d := tuneTime(); d < 10*time.Second || d > 20*time.Second {
		t.Errorf("it takes %v", d)
	}
	// It goes on after its end, and nowhere with a click.
	last := tune[len(tune)-1]
	for range int(tuneTime()/time.Second) + 2 {
		box.exchange(tune, nil)
		for _, v := range tune {
			if d := int(v) - int(last); d > 1500 || d < -1500 {
				t.Fatalf("a click of %d", d)
			}
			last = v
		}
	}
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
	if got := book.Name("sip:bob@" + Domain); got != "Bob Martin" || len(book.All()) != 4 {
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
