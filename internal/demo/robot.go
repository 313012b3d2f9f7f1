package demo

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"time"

	"offhook/internal/fanout"
	"offhook/internal/sipua"
	"offhook/session"
)

// A behaviour answers one message. An empty answer is none.
type behaviour func(ctx context.Context, r *robot, m session.Message) (answer string)

// robot is a person of the demo: an endpoint and what it does with messages.
type robot struct {
	// Immutable.
	demo   *Demo
	name   string
	config session.Config
	behave behaviour
	talk   talk // what it says in calls
	log    *slog.Logger

	mu       sync.Mutex
	endpoint *session.Endpoint  // Guarded by mu; nil while signed out.
	stop     context.CancelFunc // Guarded by mu.
	running  *sync.WaitGroup    // Guarded by mu; the goroutines of this sign-in.
}

func newRobot(d *Demo, user string, behave behaviour, says talk) *robot {
	r := &robot{demo: d, name: user, behave: behave, talk: says, log: d.log.With("host", user)}
	r.config = session.Config{
		AOR: "sip:" + user + "@" + Domain, DisplayName: cmp.Or(names[user], customers[user]), DeviceName: user + "'s desk",
		Instance: "urn:uuid:0ff40000-0000-4000-8000-" + hex.EncodeToString([]byte(user + "\x00\x00\x00\x00\x00"))[:12],
		Server:   d.Server, Credentials: anybody(user), Logger: r.log, UserAgent: "offhook demo",
	}
	return r
}

// anybody is the password of somebody the server lets in without one.
func anybody(user string) func(context.Context) (string, sipua.Secret, error) {
	return func(context.Context) (string, sipua.Secret, error) { return user, "", nil }
}

// signIn starts an endpoint and waits until it is registered. ctx bounds the waiting, life the endpoint.
func (r *robot) signIn(ctx, life context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.endpoint != nil {
		return nil
	}
	cfg := r.config
	listen, _, err := freePort()
	if err != nil {
		return err
	}
	cfg.Listen = listen
	engine, err := newEngine(r.talk, r.log)
	if err != nil {
		return err
	}
	cfg.Media = engine
	e, err := session.New(cfg)
	if err != nil {
		return errors.Join(err, engine.Close())
	}
	life, stop := context.WithCancel(life)
	events, running := e.Subscribe("robot"), &sync.WaitGroup{}
	running.Go(func() { engine.serve(life, r.log) })
	inbox := make(chan session.Message, 64)
	running.Go(func() { r.read(life, e, events, inbox) })
	running.Go(func() { r.answer(life, e, inbox) })
	r.endpoint, r.stop, r.running = e, stop, running
	if err := e.Start(life); err != nil {
		return err
	}
	return e.WaitRegistered(ctx)
}

// signOut ends the endpoint, if there is one.
func (r *robot) signOut(ctx context.Context) {
	r.mu.Lock()
	e, stop, running := r.endpoint, r.stop, r.running
	r.endpoint = nil
	r.mu.Unlock()
	if e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := e.Close(ctx); err != nil {
		r.log.Warn("sign out", "err", err)
	}
	stop()
	running.Wait()
}

// current is the endpoint, or nil while signed out.
func (r *robot) current() *session.Endpoint {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.endpoint
}

// read takes events: it clicks every toast, messages at once, as robots do, and hands messages to answer. What is parked
// somewhere is taken up by who reads the message that says so.
func (r *robot) read(ctx context.Context, e *session.Endpoint, events *fanout.Reader[session.Event], inbox chan<- session.Message) {
	defer events.Close()
	defer close(inbox)
	var clicks sync.WaitGroup
	defer clicks.Wait()
	answered := map[string]bool{} // Message-IDs: a message is told again when its status changes
	for {
		batch, err := events.Next(ctx)
		if err != nil && !errors.Is(err, fanout.ErrOverflow) {
			return
		}
		for _, event := range batch {
			switch ev := event.(type) {
			case session.ToastShown:
				if call, ok := e.FindToast(ev.Toast); ok && ev.Kind != "orbit" {
					clicks.Go(func() { r.accept(ctx, call, ev.Kind == "ringback") })
				}
			case session.MessageChanged:
				if ev.Direction != session.Inbound || answered[ev.ID] {
					continue
				}
				answered[ev.ID] = true
				select {
				case inbox <- ev.Message:
				default: // sixty-four unread messages: nobody would answer these either
				}
			}
		}
	}
}

// accept takes what is offered; a call rings for a moment before. One that has come back from where it was parked is
// ended after a while, for nobody else will.
func (r *robot) accept(ctx context.Context, call session.Call, back bool) {
	if call.Kind() == "audio" && !sleep(ctx, r.demo.pace.Ring) {
		return
	}
	if err := call.Accept(ctx); err != nil {
		r.log.Info("accept", "err", err) // it was cancelled, or accepted meanwhile
		return
	}
	if back {
		r.talkFor(ctx, call)
	}
}

// answer reads, thinks and types, one message after the other.
func (r *robot) answer(ctx context.Context, e *session.Endpoint, inbox <-chan session.Message) {
	for m := range inbox {
		c, ok := e.FindConversation(m.Conversation)
		if !ok {
			continue
		}
		c.Read()
		if !sleep(ctx, r.demo.pace.Read) {
			return
		}
		reply, parked := r.parkNews(ctx, e, m)
		if !parked {
			reply = r.demo.command(ctx, m.Text)
		}
		if !parked && reply == "" {
			reply = r.behave(ctx, r, m)
		}
		if reply != "" && !r.say(ctx, c, reply) {
			return
		}
	}
}

// say types text, which the peer sees, and sends it. It reports whether ctx still lives.
func (r *robot) say(ctx context.Context, c *session.Conversation, text string) bool {
	c.Compose(true)
	if !sleep(ctx, min(3*time.Second, time.Duration(len(text))*r.demo.pace.Letter)) {
		return false
	}
	if _, err := c.Send(ctx, text); err != nil {
		r.log.Info("send", "err", err)
	}
	return ctx.Err() == nil
}
