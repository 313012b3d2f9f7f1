package demo

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"offhook/internal/fanout"
	"offhook/session"
)

// labName is what alice's devices call the second one.
const labName = "LAB-PC"

// labKeeps is how long LAB-PC keeps a session that it was elected for. Nobody sits there; ending it lets the next
// message be offered to all devices again.
const labKeeps = 30 * time.Second

// lab is alice's second device. It shows toasts to nobody and is elected like any other endpoint.
type lab struct {
	// Immutable.
	demo  *Demo
	cable *cable
	log   *slog.Logger

	mu       sync.Mutex
	endpoint *session.Endpoint  // Guarded by mu; nil while it is off.
	stop     context.CancelFunc // Guarded by mu.
	running  *sync.WaitGroup    // Guarded by mu.
	typing   context.CancelFunc // Guarded by mu; nil while nobody types.
}

func newLab(d *Demo) *lab { return &lab{demo: d, cable: &cable{}, log: d.log.With("host", labName)} }

// on signs the device in. ctx bounds the waiting, life the endpoint.
func (l *lab) on(ctx, life context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.endpoint != nil {
		return nil
	}
	listen, _, err := freePort()
	if err != nil {
		return err
	}
	engine, err := newEngine(nil, l.log)
	if err != nil {
		return err
	}
	e, err := session.New(session.Config{
		Media: engine, AOR: l.demo.AOR, DisplayName: "Alice", DeviceName: labName, Instance: "urn:uuid:0ff40000-0000-4000-8000-6c61622d7063",
		Server: l.demo.Server, Listen: listen, Credentials: anybody("alice"), Logger: l.log,
		ListenPacket: l.cable.listenPacket, UserAgent: "offhook demo",
	})
	if err != nil {
		return errors.Join(err, engine.Close())
	}
	life, stop := context.WithCancel(life)
	events, running := e.Subscribe("lab"), &sync.WaitGroup{}
	running.Go(func() { engine.serve(life, l.log) })
	running.Go(func() { l.tidy(life, e, events) })
	l.endpoint, l.stop, l.running = e, stop, running
	e.Attached(false)
	if err := e.Start(life); err != nil {
		return err
	}
	return e.WaitRegistered(ctx)
}

// off signs the device out.
func (l *lab) off(ctx context.Context) {
	l.idle()
	l.cable.cut(false)
	l.mu.Lock()
	e, stop, running := l.endpoint, l.stop, l.running
	l.endpoint = nil
	l.mu.Unlock()
	if e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := e.Close(ctx); err != nil {
		l.log.Warn("sign out", "err", err)
	}
	stop()
	running.Wait()
}

// active lets somebody type on it until idle.
func (l *lab) active() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.typing != nil || l.endpoint == nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	e := l.endpoint
	l.typing = stop
	e.Attached(true)
	e.Input(time.Now())
	l.running.Go(func() {
		for sleep(ctx, 2*time.Second) {
			e.Input(time.Now())
		}
	})
}

// idle lets the person walk away.
func (l *lab) idle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.typing != nil {
		l.typing()
		l.typing = nil
	}
	if l.endpoint != nil {
		l.endpoint.Attached(false)
	}
}

// tidy ends the sessions that the election brought here after a while.
func (l *lab) tidy(ctx context.Context, e *session.Endpoint, events *fanout.Reader[session.Event]) {
	defer events.Close()
	var ending sync.WaitGroup
	defer ending.Wait()
	for {
		batch, err := events.Next(ctx)
		if err != nil && !errors.Is(err, fanout.ErrOverflow) {
			return
		}
		for _, event := range batch {
			ev, ok := event.(session.CallStateChanged)
			if !ok || ev.State != session.Established {
				continue
			}
			call, ok := e.FindCall(ev.Call)
			if !ok {
				continue
			}
			ending.Go(func() {
				if !sleep(ctx, labKeeps) {
					return
				}
				if err := call.Terminate(ctx); err != nil {
					l.log.Info("end session", "err", err)
				}
			})
		}
	}
}
