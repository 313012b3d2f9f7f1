package ui

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/internal/testkit/screen"
	"offhook/session"
	"offhook/toast"
)

// player runs the real program on a virtual terminal in a bubble with fake time.
type player struct {
	t        *testing.T
	f        *fake
	terminal *screen.Terminal
	program  *tea.Program
	quiet    *quiet
	ended    chan error
}

// play starts the program for an endpoint; the bubble ends when the test has quit it.
func play(t *testing.T, f *fake, w, h int) *player {
	p := &player{t: t, f: f, terminal: screen.New(w, h), ended: make(chan error, 1)}
	m := newModel(t.Context())
	m.account, m.attention, m.commands, m.record, m.people = f, f, f, f, f
	m.notify = newNotifications(toast.Bell, toast.NoMux)
	m.load(f.Snapshot())
	quiet, out := newQuiet(p.terminal)
	p.quiet = quiet
	p.program = tea.NewProgram(m, tea.WithInput(p.terminal.Input()), tea.WithOutput(out), tea.WithFilter(quiet.filter), tea.WithWindowSize(w, h),
		tea.WithoutSignalHandler(), tea.WithFPS(frameRate), tea.WithEnvironment([]string{"TERM=xterm-256color"}))
	quiet.begin(p.program.Send)
	go func() {
		_, err := p.program.Run()
		quiet.end()
		p.ended <- err
	}()
	p.settle()
	return p
}

// settle waits until the screen shows what happened. The input parser holds an escape for a moment, as it may be the
// beginning of a sequence; then the loop becomes idle and a frame passes.
func (p *player) settle() {
	synctest.Wait()
	time.Sleep(200 * time.Millisecond) // fake time
	synctest.Wait()
}

func (p *player) keys(text string) { p.terminal.Type(text); p.settle() }

func (p *player) tell(events ...session.Event) {
	p.program.Send(eventsMsg{events: events})
	p.settle()
}

func (p *player) sees(text string) {
	p.t.Helper()
	if !strings.Contains(p.terminal.Text(), text) {
		p.t.Errorf("no %q on the screen:\n%s", text, p.terminal.Text())
	}
}

func (p *player) seesNot(text string) {
	p.t.Helper()
	if strings.Contains(p.terminal.Text(), text) {
		p.t.Errorf("%q is on the screen:\n%s", text, p.terminal.Text())
	}
}

func (p *player) quit() {
	p.t.Helper()
	p.program.Quit()
	if err := <-p.ended; err != nil {
		p.t.Error(err)
	}
	p.close()
}

// close lets the ticks run out that were under way.
func (p *player) close() {
	p.terminal.Close()
	time.Sleep(2 * time.Minute) // fake time
}

// A message is offered, counts down, is accepted by this device and answered; a word is half typed all the while.
func TestStoryOfToast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, office(), 80, 24)
		p.sees("1 home")
		p.keys("\x1b2") // Alt-2
		p.sees("[2] Bob Martin")
		p.keys("half a wo")
		deadline := time.Now().Add(10 * time.Second)
		p.tell(session.ToastShown{
			Toast: "t1", Kind: "im", Conversation: "c2", Call: "k2", From: session.Party{URI: uri("carol")}, Text: "can you take it?",
			Deadline: deadline, MostActive: "desk", ThisDevice: true,
		})
		p.sees("IM from Carol Diaz")
		p.sees("10 s, then THIS device accepts")
		time.Sleep(3 * time.Second)
		p.settle()
		p.sees("7 s, then THIS device accepts")
		p.keys("rd")
		p.sees("[desk] half a word") // no key was stolen
		time.Sleep(time.Until(deadline))
		synctest.Wait()
		p.tell()
		p.sees("accepting here")
		p.tell(session.ToastClosed{Toast: "t1", Reason: "auto_accepted"})
		p.sees("Carol Diaz: accepted here after 1")
		p.sees("[2] Bob Martin") // nor the focus
		time.Sleep(4 * time.Second)
		p.settle()
		p.seesNot("Carol Diaz: accepted here")
		p.keys("\x1b3")
		p.keys("on my way\r")
		p.sees("[3] Carol Diaz")
		if calls := strings.Join(p.f.log(), "|"); !strings.Contains(calls, "im.send conversation=c2 text=on my way") {
			t.Errorf("called %s", calls)
		}
		p.quit()
	})
}

// The clock in the title moves with nobody at the keyboard.
func TestStoryOfClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, office(), 80, 24)
		before := time.Now().Format("15:04")
		p.sees(before)
		time.Sleep(time.Minute)
		p.settle()
		p.sees(time.Now().Format("15:04"))
		p.quit()
	})
}

// The terminal is restored when the program ends, also by a panic in the loop.
func TestTerminalIsRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, office(), 80, 24)
		if !p.terminal.Alternate() {
			t.Error("not on the alternate screen")
		}
		p.quit()
		if p.terminal.Alternate() {
			t.Error("still on the alternate screen")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := play(t, office(), 80, 24)
		p.program.Send(peopleMsg(nil))
		p.program.Send(pageMsg{}) // a nil window: a bug
		if err := <-p.ended; err == nil {
			t.Error("a panic went unnoticed")
		}
		if p.terminal.Alternate() {
			t.Error("still on the alternate screen after a panic")
		}
		p.close()
	})
}

func TestResize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, office(), 80, 24)
		p.sees("CONTACTS")
		p.terminal.Resize(40, 15)
		p.program.Send(tea.WindowSizeMsg{Width: 40, Height: 15})
		p.settle()
		p.seesNot("CONTACTS")
		p.sees("[1] home")
		p.terminal.Resize(250, 60)
		p.program.Send(tea.WindowSizeMsg{Width: 250, Height: 60})
		p.settle()
		p.sees("MY DEVICES")
		p.quit()
	})
}

// Notifications leave only while the terminal is out of focus.
func TestNotifications(t *testing.T) {
	s := newStage(t, office(), 80, 24)
	s.m.notify = newNotifications(toast.Bell, toast.NoMux)
	s.press("x")
	if s.m.onEvent(inbound("c2", "carol", "1", "10:00:00", "hello")) != nil {
		t.Error("a focused terminal notified")
	}
	s.update(tea.BlurMsg{})
	if s.m.onEvent(inbound("c2", "carol", "2", "10:00:00", "hello")) == nil {
		t.Error("a blurred terminal did not notify")
	}
	s.clock = s.clock.Add(tellAgain)
	if s.m.onEvent(offer(s, true)) == nil {
		t.Error("a toast did not notify")
	}
	if s.m.onEvent(offer(s, true)) != nil {
		t.Error("a toast notified twice")
	}
	s = newStage(t, office(), 80, 24)
	s.m.notify = newNotifications(toast.Bell, toast.NoMux)
	s.clock = s.clock.Add(idleLimit)
	if s.m.onEvent(inbound("c2", "carol", "1", "10:00:00", "hello")) == nil {
		t.Error("a terminal that does not report its focus did not notify though nobody typed for long")
	}
}

// With nothing to draw the renderer rests, through quiet minutes as well, and a key is on the screen a frame later.
func TestRendererRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := play(t, office(), 80, 24)
		rests := func() bool {
			p.quiet.mu.Lock()
			defer p.quiet.mu.Unlock()
			return p.quiet.rest != nil
		}
		frame := func() {
			time.Sleep(time.Second/frameRate + time.Millisecond)
			synctest.Wait()
		}
		resting := 0
		for range 1000 {
			time.Sleep(97 * time.Millisecond) // fake time
			synctest.Wait()
			if rests() {
				resting++
			}
		}
		if resting < 950 {
			t.Errorf("the renderer rests in %d of 1000 moments though nothing happens", resting)
		}
		p.terminal.Type("x")
		frame()
		p.sees("[desk] x")
		if rests() {
			t.Error("the renderer rests at once: the next key would wait")
		}
		p.terminal.Type("yz")
		frame()
		p.sees("[desk] xyz")
		time.Sleep(time.Second)
		synctest.Wait()
		if !rests() {
			t.Error("no rest after a key")
		}
		p.quiet.end() // as before a program is killed
		p.program.Kill()
		<-p.ended
		p.close()
	})
}

// A rest is asked for once, and not when a message has come meanwhile: what came of it would not be drawn, and the
// program would wait for a renderer that rests.
func TestRestIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, out := newQuiet(io.Discard)
		var asked restMsg
		q.begin(func(msg tea.Msg) { asked = msg.(restMsg) })
		time.Sleep(restAfter)
		synctest.Wait()
		late := asked
		q.filter(nil, tickMsg(time.Now()))
		if q.filter(nil, late) != nil {
			t.Error("a message came, and it rests all the same")
		}
		time.Sleep(restAfter)
		synctest.Wait()
		if q.filter(nil, asked) == nil {
			t.Fatal("it does not rest")
		}
		if q.filter(nil, asked) != nil {
			t.Error("it is asked twice")
		}
		rested := make(chan struct{})
		go func() { _, _ = io.WriteString(out, restMark); close(rested) }()
		synctest.Wait()
		if q.filter(nil, asked) != nil {
			t.Error("it is asked while it rests")
		}
		q.filter(nil, tickMsg(time.Now()))
		<-rested
		q.end()
	})
}
