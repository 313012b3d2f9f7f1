package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// sweepInterval is how often what has expired is looked for. Expiry itself is exact: nothing expired is ever used.
const sweepInterval = time.Second

// Server is a small exchange: registrar, forking proxy, presence agent, message store.
type Server struct {
	// Immutable after New
	cfg      Config
	log      *slog.Logger
	auth     *sipua.Authenticator // nil if open
	users    map[string]sipua.HA1 // nil if open
	peers    *peers
	location *location
	presence *presence
	notifier *notifier
	music    []int16 // for those who are parked; nil for the service's own
	newPark  func(s *Server, proxy sip.Uri, host netip.Addr) (parkService, error)

	// Immutable after Start
	stack     *sipua.Stack
	park      *parking // nil without call park
	store     *store
	ledger    *ledger
	signature signer
	ctx       context.Context // ends with Close
	cancel    context.CancelFunc

	work   sync.WaitGroup // sweeper, notifiers, deliveries
	closed sync.Once

	mu sync.Mutex
	// Guarded by mu
	delivering map[string]bool // users whose stored messages are on their way
	active     map[string]int  // forwarded requests under way, by sender
}

// New checks the configuration and reads the users. Nothing is opened until Start.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger, peers: newPeers(), location: newLocation(),
		presence: newPresence(), delivering: map[string]bool{}, active: map[string]int{}, newPark: newParkService,
	}
	s.notifier = newNotifier(s)
	if !cfg.Open {
		users, err := readUsers(cfg.Users, cfg.Domain)
		if err != nil {
			return nil, err
		}
		s.users = users
		s.auth = sipua.NewAuthenticator(cfg.Domain, func(user string) (sipua.HA1, bool) {
			h, ok := s.users[user]
			return h, ok
		}, algorithms(users)...)
	}
	if err := cfg.Park.check(cfg.Domain, s.users); err != nil {
		return nil, err
	}
	var err error
	if s.music, err = cfg.Park.music(); err != nil {
		return nil, err
	}
	return s, nil
}

// Start opens the listeners and serves until Close. ctx bounds the opening only.
func (s *Server) Start(ctx context.Context) error {
	if s.stack != nil {
		return errors.New("server: already started")
	}
	st, err := openStore(s.cfg.StateDir, s.cfg.Open, s.log)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	if s.signature, err = openSigner(s.cfg.StateDir); err != nil {
		_ = st.close()
		return fmt.Errorf("server: %w", err)
	}
	l, err := openLedger(s.cfg.StateDir, s.log)
	if err != nil {
		_ = st.close()
		return fmt.Errorf("server: %w", err)
	}
	stack, err := sipua.NewStack(ctx, sipua.StackConfig{
		Listeners: withUDP(s.cfg.Listen, !s.cfg.Park.Off), ListenPacket: s.cfg.ListenPacket, ServerTLS: s.cfg.TLS, UserAgent: "offhook server",
		Logger: s.log, Trace: s.cfg.Trace, Limit: s.admit, MayAnswer: s.mayAnswer, HoldCancel: true,
	})
	if err != nil {
		_ = errors.Join(l.close(), st.close())
		return fmt.Errorf("server: %w", err)
	}
	s.store, s.ledger, s.stack = st, l, stack
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if s.park, err = s.openPark(ctx); err != nil {
		s.cancel()
		_ = errors.Join(stack.Close(), l.close(), st.close())
		s.stack = nil
		return fmt.Errorf("server: call park: %w", err)
	}
	s.restore(time.Now())
	stack.HandleStray(s.forwardStray)
	s.work.Go(s.sweep)
	stack.Serve(s.handle)
	return nil
}

// Close says good-bye to parked callers, stops the server and waits for what is under way; stored messages are on disk
// before it returns. ctx bounds the waiting.
func (s *Server) Close(ctx context.Context) error {
	if s.stack == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		var err error
		s.closed.Do(func() {
			s.closePark(ctx)
			s.cancel()
			err = s.stack.Close()
			s.work.Wait()
			err = errors.Join(err, s.ledger.close(), s.store.close())
		})
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("server: still closing: %w", context.Cause(ctx))
	}
}

// Addrs lists what it listens on, with the real ports, e.g. udp:127.0.0.1:5060.
func (s *Server) Addrs() []string {
	if s.stack == nil {
		return nil
	}
	var addrs []string
	for _, l := range s.stack.Addrs()[:len(s.cfg.Listen)] { // without the one for the park service
		addrs = append(addrs, l.Network+":"+l.Address)
	}
	return addrs
}

// Domain is the domain it serves.
func (s *Server) Domain() string { return s.cfg.Domain }

// admit is asked before anything from an address is read.
func (s *Server) admit(addr netip.Addr) bool {
	if s.cfg.Open && !addr.IsLoopback() {
		return false
	}
	if s.park != nil && addr == s.park.at.Addr.Addr() {
		return true
	}
	return s.peers.admit(addr, time.Now())
}

// mayAnswer is asked before the stack answers by itself.
func (s *Server) mayAnswer(source sipua.Target, received, answer int) bool {
	return s.isPark(source) || s.peers.maySend(source, received, answer, time.Now())
}

// sweep removes what has expired, and tells those who watch it.
func (s *Server) sweep() {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case now := <-tick.C:
			s.contain("sweeping", func() { s.sweepOnce(now) })
		}
	}
}

func (s *Server) sweepOnce(now time.Time) {
	for user, gone := range s.location.expire(now) {
		s.registrationChanged(user, gone)
	}
	for _, user := range s.presence.expire(now) {
		s.notifier.changed(user, eventPresence)
	}
	s.store.expire(now)
	s.peers.sweep(now)
}

// registrationChanged tells everybody concerned that the endpoints of a user changed. The publications of those that
// are gone end with them.
func (s *Server) registrationChanged(user string, before []*binding) {
	gone := map[string]bool{}
	for _, b := range before {
		if b.instance != "" {
			gone[b.instance] = true
		}
	}
	for _, b := range s.location.bindings(user) {
		delete(gone, b.instance)
	}
	s.presence.endInstances(user, gone)
	s.notifier.changed(user, eventReg)
	s.notifier.changed(user, eventPresence)
}
