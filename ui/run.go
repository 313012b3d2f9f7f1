package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"

	tea "charm.land/bubbletea/v2"

	"offhook/internal/command"
	"offhook/internal/contacts"
	"offhook/internal/fanout"
	"offhook/internal/history"
	"offhook/session"
	"offhook/toast"
)

// frameRate is how often at most the screen is drawn, per second. A key is seen when the next frame is drawn, so half of
// the time between two frames is added to every key press.
const frameRate = 120

// Config of the terminal UI.
type Config struct {
	Endpoint *session.Endpoint
	Env      *command.Env
	History  *history.Store // nil: nothing is kept
	Contacts *contacts.Book // nil: no contact list
	Welcome  []string       // what the home window says at first, one line each
	Notify   string         // auto, none, bell, osc9, osc777 or osc99
	NoMouse  bool
	Logger   *slog.Logger

	// Input, Output and Environ replace the terminal's; nil means the process's own.
	Input   io.Reader
	Output  io.Writer
	Environ []string
}

// Run shows the endpoint on the terminal until the user quits, ctx ends or the terminal goes away. The terminal is
// restored in any case, a panic included. The endpoint is left as it is: closing it is the caller's.
func Run(ctx context.Context, cfg Config) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP, syscall.SIGTERM, os.Interrupt)
	defer stop()
	return run(ctx, cfg)
}

// run is Run without signals.
func run(ctx context.Context, cfg Config, options ...tea.ProgramOption) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	getenv := environ(cfg.Environ)
	m := newModel(ctx)
	m.account, m.attention, m.commands = watched{cfg.Endpoint}, watched{cfg.Endpoint}, cfg.Env
	if cfg.Env != nil {
		m.sound = cfg.Env.Audio
	}
	if cfg.History != nil {
		m.record = cfg.History
	}
	if cfg.Contacts != nil {
		m.people = cfg.Contacts
	}
	m.mouse = !cfg.NoMouse
	notify, err := notifier(cfg.Notify, getenv)
	if err != nil {
		return err
	}
	m.notify, m.clipboard = notify, newClipboard(getenv)
	events := cfg.Endpoint.Subscribe("ui")
	defer events.Close()
	m.load(cfg.Endpoint.Snapshot())
	for _, line := range cfg.Welcome {
		m.windows.home().thread.put(&entry{kind: fromGuide, at: m.now(), text: line})
	}

	out := cfg.Output
	if out == nil {
		out = os.Stdout
	}
	quiet, out := newQuiet(out)
	options = append([]tea.ProgramOption{tea.WithOutput(out), tea.WithFilter(quiet.filter)}, options...)
	p := tea.NewProgram(m, append(programOptions(cfg), options...)...)
	quiet.begin(p.Send)
	defer quiet.end()
	var wg sync.WaitGroup
	guard := func(name string, f func()) {
		wg.Go(func() {
			defer restore(p, quiet, cfg.Logger, name)
			f()
		})
	}
	guard("events", func() { pull(ctx, events, watched{cfg.Endpoint}, p) })
	guard("quit", func() { <-ctx.Done(); p.Quit() })
	if getenv("TMUX") != "" {
		guard("tmux", func() { watchTmux(ctx, getenv("TMUX_PANE"), func(msg attachedMsg) { p.Send(msg) }) })
	}
	_, err = p.Run()
	cancel()
	wg.Wait()
	if err != nil && !errors.Is(err, tea.ErrInterrupted) {
		return fmt.Errorf("terminal UI: %w", err)
	}
	return nil
}

// programOptions are the options of every program here. Bubble Tea's own signal handler is off: it sends its message to a
// loop that may have ended at the same signal by ctx, and then the program would wait for it for ever.
func programOptions(cfg Config) []tea.ProgramOption {
	options := []tea.ProgramOption{tea.WithFPS(frameRate), tea.WithoutSignalHandler()}
	if cfg.Input != nil {
		options = append(options, tea.WithInput(cfg.Input))
	}
	if cfg.Output != nil {
		options = append(options, tea.WithOutput(cfg.Output))
	}
	if cfg.Environ != nil {
		options = append(options, tea.WithEnvironment(cfg.Environ))
	}
	return options
}

// pull turns the session's events into messages, a batch at a time, until ctx ends.
func pull(ctx context.Context, events *fanout.Reader[session.Event], endpoint account, p *tea.Program) {
	for {
		batch, err := events.Next(ctx)
		switch {
		case errors.Is(err, fanout.ErrOverflow):
			p.Send(snapshotMsg(endpoint.Snapshot()))
		case err != nil:
			return
		default:
			p.Send(newBatch(batch, endpoint))
		}
	}
}

// newBatch adds the calls and the account to a batch that may have changed them.
func newBatch(events []session.Event, endpoint account) eventsMsg {
	msg := eventsMsg{events: events}
	msg.calls, msg.told = callsOf(events, endpoint)
	msg.park = parkOf(events, endpoint)
	for _, ev := range events {
		switch ev.(type) {
		case session.RegistrationChanged, session.PresenceChanged:
			me := endpoint.Snapshot().Account
			msg.account = &me
			return msg
		}
	}
	return msg
}

// restore gives the terminal back if one of our goroutines panics, and lets the panic go on.
func restore(p *tea.Program, q *quiet, log *slog.Logger, name string) {
	if r := recover(); r != nil {
		q.end()
		p.Kill()
		p.Wait()
		if log != nil {
			log.Error("panic in the UI", "goroutine", name, "panic", r, "stack", string(debug.Stack()))
		}
		panic(r)
	}
}

// watched adds to an Endpoint what is asked of a conversation by its id.
type watched struct{ *session.Endpoint }

func (w watched) Read(conversation string) {
	if c, ok := w.FindConversation(conversation); ok {
		c.Read()
	}
}

// Can reports of a conversation that is over that it has ended.
func (w watched) Can(conversation, action string) (can bool, why string) {
	c, ok := w.FindConversation(conversation)
	if !ok {
		return false, "the conversation has ended"
	}
	return c.Can(action)
}

func notifier(setting string, getenv func(string) string) (*notifications, error) {
	method, chosen, err := toast.ParseMethod(setting)
	if err != nil {
		return nil, err
	}
	detected, mux := toast.Detect(getenv)
	if !chosen {
		method = detected
	}
	return newNotifications(method, mux), nil
}

func environ(env []string) func(string) string {
	if env == nil {
		return os.Getenv
	}
	values := map[string]string{}
	for _, line := range env {
		for i := range len(line) {
			if line[i] == '=' {
				values[line[:i]] = line[i+1:]
				break
			}
		}
	}
	return func(name string) string { return values[name] }
}
