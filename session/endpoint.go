package session

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/google/uuid"

	"offhook/internal/body"
	"offhook/internal/event"
	"offhook/internal/fanout"
	"offhook/internal/monitor"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
)

// maxPending bounds the requests outside dialogs that wait to be served; beyond it they get 503.
const maxPending = 256

// Endpoint is one signed-in user agent instance.
type Endpoint struct {
	// Immutable after New.
	cfg    Config
	aor    sip.Uri
	self   Party
	server sip.Uri
	log    *slog.Logger

	// Immutable after Start.
	stack  *sipua.Stack
	agent  *sipua.Agent
	ctx    context.Context // ends everything this endpoint runs
	cancel context.CancelFunc

	hub        fanout.Hub[Event]
	ops        sync.WaitGroup // handlers and operations; see begin
	registered *latch         // the first registration succeeded, or failed for good
	counted    *latch         // the number of endpoints is known as well as it will be

	mu monitor.Monitor

	// Guarded by mu.
	opening, started, closing bool
	running                   map[string]int // what ops waits for, by name
	pending                   int            // requests outside dialogs being served
	serial                    int            // makes ids within this process
	byPeer                    map[string]*Conversation
	byID                      map[string]*Conversation
	calls                     map[string]owner // all that are not Terminated
	toasts                    map[string]*offer
	tones                     tones
	formats                   []sdp.Format // of audio, once somebody has asked
	overTLS                   []string     // hosts that take calls under UDP/TLS/RTP/SAVP alone; see persuade
	arrivals                  arrivals
	registration              RegistrationChanged
	regErr                    error         // why registering was given up
	registrations             int           // that have succeeded, refreshes included
	regChanged                chan struct{} // closed and replaced whenever the registration is told of
	bindings                  bindings
	registry                  registry
	machine                   machine
	devices                   map[string]*deviceView // by instance, as own presence shows them
	devicesKnown              bool                   // own presence has been told
	ownPresence               usage                  // tells whether it still is
	publication               *event.Publication
	lapsed                    bool          // the registration has failed since it held last
	presenceErr               error         // why own presence is not told
	publishErr                error         // of the last publication
	publishDone               chan struct{} // closed by the next publication, for those who wait for it
	wish                      wish
	wall                      func() time.Time  // the wall clock, without monotonic reading
	local                     func() netip.Addr // where media are received; nil: where the server reaches us
	watches                   map[string]*watch
	health                    map[string]*condition
	parking                   parking // has guards of its own
}

// New checks the configuration. Nothing is opened.
func New(cfg Config) (*Endpoint, error) {
	e := &Endpoint{
		cfg: cfg, log: cfg.Logger, registered: newLatch(), counted: newLatch(), running: map[string]int{}, regChanged: make(chan struct{}),
		byPeer: map[string]*Conversation{}, byID: map[string]*Conversation{}, calls: map[string]owner{},
		toasts: map[string]*offer{}, devices: map[string]*deviceView{}, watches: map[string]*watch{},
		health: map[string]*condition{}, wish: wish{availability: availabilityAvailable},
		wall: func() time.Time { return time.Now().Round(0) },
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if err := parseAddress(cfg.AOR, &e.aor); err != nil || e.aor.User == "" {
		return nil, refuse("sign in", cfg.AOR, KindConfig, "the address of record has to look like sip:alice@example.org")
	}
	if cfg.Server != "" {
		if err := parseAddress(cfg.Server, &e.server); err != nil {
			return nil, refuse("sign in", cfg.Server, KindConfig, "the server has to look like sip:127.0.0.1:5060;transport=udp")
		}
	}
	if e.cfg.Instance == "" {
		e.cfg.Instance = "urn:uuid:" + uuid.NewString()
	}
	e.cfg.Instance = normalInstance(e.cfg.Instance)
	if cfg.ToastTimeout < 0 || cfg.ToastTimeout > maxInvite/2 {
		return nil, refuse("sign in", cfg.AOR, KindConfig, "the toast timeout has to be between 0 and %v", maxInvite/2)
	}
	e.self = Party{URI: addressOf(e.aor), Display: cfg.DisplayName}
	e.arrivals.init()
	e.machine.init()
	e.tones.init()
	if err := e.initParking(); err != nil {
		return nil, err
	}
	return e, nil
}

// Start opens the sockets, begins to register, publish and subscribe, and returns. How that goes is told by events.
func (e *Endpoint) Start(ctx context.Context) error {
	e.mu.Blocking()
	e.mu.Lock()
	if e.opening || e.closing {
		e.mu.Unlock()
		return refuse("start", "", KindState, "an endpoint starts once")
	}
	e.opening = true
	e.mu.Unlock()
	if err := e.open(ctx); err != nil {
		return fail("start", "", err)
	}
	e.readParks(ctx)
	e.mu.Lock()
	e.started = true
	e.goLocked("registration", e.runRegistration)
	e.goLocked("registrations watch", e.runRegistry)
	if e.cfg.Media != nil {
		e.goLocked("tones", e.runTones)
		if e.parking.server.Host != "" {
			e.goLocked("park service", e.runParkService)
		}
	}
	if !e.cfg.NoPublish {
		e.goLocked("device state", e.runMachine)
		e.goLocked("own presence", e.runOwnPresence)
	}
	e.mu.Unlock()
	e.agent.Serve(sipua.Mux{
		Invite:      e.serveInvite,
		Message:     e.serveMessage,
		Busy:        e.busy,
		OptionsBody: func() (string, []byte) { return body.TypeSDP, e.describe() },
	})
	return nil
}

// open makes stack and agent.
func (e *Endpoint) open(ctx context.Context) error {
	roots, err := loadRoots(e.cfg.RootCAs)
	if err != nil {
		return err
	}
	e.stack, err = listen(ctx, e.cfg.Listen, sipua.StackConfig{
		ListenPacket: e.cfg.ListenPacket, ClientTLS: roots, UserAgent: e.cfg.UserAgent, Logger: e.log, Trace: e.cfg.Trace,
	})
	if err != nil {
		return err
	}
	e.agent, err = sipua.NewAgent(sipua.AgentConfig{
		Stack: e.stack, AOR: e.aor, DisplayName: e.cfg.DisplayName, Instance: e.cfg.Instance, Server: e.server,
		Credentials: e.cfg.Credentials, Logger: e.log,
		ContactParams: e.capabilities(),
		Supported:     []string{"timer", "replaces", "gruu"},
	})
	if err != nil {
		return errors.Join(err, e.stack.Close())
	}
	e.ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return nil
}

// listenAttempts bounds the search for a port that is free for UDP and TCP alike.
const listenAttempts = 10

// listen opens the listeners. The default is UDP and TCP on one free port of all addresses: what is too long for a
// datagram then reaches this endpoint at the same address (RFC 3261 §18.1.1 and §18.2.1).
func listen(ctx context.Context, on []sipua.Listener, cfg sipua.StackConfig) (*sipua.Stack, error) {
	cfg.Listeners = on
	if len(on) > 0 {
		return sipua.NewStack(ctx, cfg)
	}
	var failure error
	for range listenAttempts {
		free, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "0.0.0.0:0")
		if err != nil {
			return nil, err
		}
		address := net.JoinHostPort("0.0.0.0", strconv.Itoa(free.Addr().(*net.TCPAddr).Port))
		if err := free.Close(); err != nil {
			return nil, err
		}
		cfg.Listeners = []sipua.Listener{{Network: "udp", Address: address}, {Network: "tcp", Address: address}}
		stack, err := sipua.NewStack(ctx, cfg)
		if err == nil {
			return stack, nil
		}
		failure = err // somebody was faster: another port
	}
	return nil, failure
}

// loadRoots returns a TLS configuration that trusts the system's authorities and those in files.
func loadRoots(files []string) (*tls.Config, error) {
	if len(files) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, f := range files {
		pem, err := os.ReadFile(f)
		if err != nil {
			return nil, refuse("read certificates", "", KindConfig, "%v", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, refuse("read certificates", "", KindConfig, "%s holds no certificate in PEM form", f)
		}
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// Close terminates calls, publishes that this device leaves, unregisters and waits; it reports what did not end. It
// returns by the end of ctx also when the server is gone.
func (e *Endpoint) Close(ctx context.Context) error {
	e.mu.Blocking()
	e.mu.Lock()
	if e.closing || !e.started {
		e.closing = true
		e.mu.Unlock()
		e.hub.Close()
		return nil
	}
	e.closing = true
	var acts []func(context.Context)
	for _, c := range e.calls {
		acts = append(acts, c.terminateLocked("closing"))
	}
	e.clearHealthLocked()
	e.mu.Unlock()

	var calls sync.WaitGroup
	for _, act := range acts {
		calls.Go(func() { act(ctx) })
	}
	within(ctx, calls.Wait)
	e.cancel() // unregisters, unpublishes and unsubscribes, each within its own few seconds
	var left error
	if !within(ctx, e.ops.Wait) {
		left = refuse("close", "", KindTimeout, "%s did not end in time", strings.Join(e.runningNames(), ", "))
	}
	closing := make(chan error, 1)
	switch {
	case within(ctx, func() { closing <- errors.Join(e.agent.Close(), e.stack.Close()) }):
		left = errors.Join(left, <-closing)
	case left == nil:
		left = refuse("close", "", KindTimeout, "the transport did not end in time")
	}
	e.hub.Close()
	return left
}

// within runs f and reports whether it returned before ctx ended.
func within(ctx context.Context, f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// goLocked runs f on a goroutine that Close waits for. It reports false, and runs nothing, once Close has begun.
func (e *Endpoint) goLocked(name string, f func(ctx context.Context)) bool {
	e.mu.Held()
	if e.closing {
		return false
	}
	e.running[name]++
	e.ops.Go(func() {
		defer e.end(name)
		f(e.ctx)
	})
	return true
}

// begin makes Close wait for the caller's goroutine until end is called. ok is false once Close has begun.
func (e *Endpoint) begin(name string) (end func(), ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing || !e.started {
		return nil, false
	}
	e.running[name]++
	e.ops.Add(1)
	return func() {
		e.end(name)
		e.ops.Done()
	}, true
}

func (e *Endpoint) end(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running[name]--; e.running[name] == 0 {
		delete(e.running, name)
	}
}

func (e *Endpoint) runningNames() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var names []string
	for name := range e.running {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// join derives from ctx a context that also ends with the endpoint.
func (e *Endpoint) join(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(e.ctx, func() { cancel(errClosing) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// busy limits the requests served at a time.
func (e *Endpoint) busy() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closing || e.pending >= maxPending
}

// serving counts a request being served, until the returned function is called.
func (e *Endpoint) serving() func() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pending++
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.pending--
	}
}

// Subscribe returns a reader of all events from now on.
func (e *Endpoint) Subscribe(name string, opts ...fanout.Option[Event]) *fanout.Reader[Event] {
	return e.hub.Subscribe(name, opts...)
}

// publishLocked appends ev to every reader's queue. It never waits; the lock only keeps events in the order of the
// changes that they tell.
func (e *Endpoint) publishLocked(ev Event) {
	e.mu.Held()
	e.hub.Publish(ev)
}

func (e *Endpoint) nextIDLocked(kind string) string {
	e.mu.Held()
	e.serial++
	return fmt.Sprintf("%s-%d", kind, e.serial)
}
