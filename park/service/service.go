package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/audio/rtpconn"
	"offhook/internal/sipua"
	"offhook/park"
	"offhook/park/music"
)

// Service is a park service.
type Service struct {
	// Immutable after Start
	cfg     Config
	log     *slog.Logger
	lot     *park.Lot
	stack   *sipua.Stack
	agent   *sipua.Agent
	tune    func() *music.Source // the music, composed by who asks first; nil: silence
	keys    certificate
	contact sip.Uri
	probes  *probes
	ctx     context.Context // ends when Close has said goodbye
	cancel  context.CancelFunc
	due     chan struct{} // capacity 1: something in the lot has a time now
	wg      sync.WaitGroup
	started bool

	mu sync.Mutex
	// Guarded by mu
	closing bool
	legs    map[sipua.DialogID]*leg
	parkeds map[uint64]*parked // by id of the lot; the caller is there
	unparks *unparks
}

// sessionTimer is how long a caller whose device has vanished may occupy an orbit (RFC 4028): a little more than half of it.
const sessionTimer = 3 * time.Minute

// certificate is what DTLS shows, and its fingerprint.
type certificate struct {
	certificate tls.Certificate
	fingerprint string
}

// parked is a park whose caller is here.
type parked struct {
	// Immutable
	orbit park.Orbit // as it was when the caller came

	// Guarded by the service's mu
	caller   *leg                    // another one when he has moved; never while he is being connected
	ringing  context.CancelCauseFunc // ends the recall that is under way; nil without
	claiming context.CancelCauseFunc // ends the retrieval that is under way; nil without
}

// New checks the configuration. Nothing is opened before Start.
func New(cfg Config) (*Service, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	lot, err := park.NewLot(cfg.Lot)
	if err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, log: cfg.Logger, lot: lot, probes: newProbes(), due: make(chan struct{}, 1),
		legs: map[sipua.DialogID]*leg{}, parkeds: map[uint64]*parked{}, unparks: newUnparks(),
	}
	return s, nil
}

// Start listens and serves until Close. ctx bounds the start alone.
func (s *Service) Start(ctx context.Context) error {
	if s.started {
		return errors.New("park service: started before")
	}
	s.started = true
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	if s.keys.certificate, s.keys.fingerprint, err = rtpconn.NewCertificate(); err != nil {
		return fmt.Errorf("park service: %w", err)
	}
	s.stack, err = sipua.NewStack(ctx, sipua.StackConfig{
		Listeners: s.cfg.Listen, ListenPacket: s.cfg.ListenPacket, UserAgent: serverName, Logger: s.log, Trace: s.cfg.Trace,
		Limit: s.cfg.Admit,
	})
	if err != nil {
		return fmt.Errorf("park service: %w", err)
	}
	s.agent, err = sipua.NewAgent(sipua.AgentConfig{
		Stack: s.stack, AOR: s.uri(userPark), Server: s.cfg.Proxy, Supported: []string{"replaces"}, Logger: s.log,
		SessionTimer: sessionTimer,
	})
	if err != nil {
		return errors.Join(err, s.stack.Close())
	}
	s.contact = contactOf(s.stack.Addrs()[0])
	s.tune = sync.OnceValue(s.compose)
	s.spawn(func(context.Context) { s.tune() }) // so that nobody waits for it
	s.spawn(s.watchClock)
	s.agent.Serve(sipua.Mux{
		Invite: s.serveInvite, Refer: s.serveRefer, Busy: s.isClosing, OptionsHeaders: s.options,
	})
	return nil
}

// compose makes the music.
func (s *Service) compose() *music.Source {
	switch {
	case s.cfg.NoMusic:
		return nil
	case s.cfg.Music != nil:
		return music.New(s.cfg.Music, s.log)
	}
	return music.New(music.Default(), s.log)
}

// contactOf is the URI of a listener.
func contactOf(l sipua.Listener) sip.Uri {
	at := netip.MustParseAddrPort(l.Address)
	u := sip.Uri{Scheme: "sip", User: userPark, Host: at.Addr().String(), Port: int(at.Port())}
	if at.Addr().Is6() {
		u.Host = "[" + u.Host + "]"
	}
	if l.Network != "udp" {
		u.UriParams.Add("transport", l.Network)
	}
	return u
}

// farewell is how long Close waits for BYEs to be answered.
const farewell = 2 * time.Second

// Close parks nobody any more, says goodbye to everybody who is here, with the reason, and ends.
func (s *Service) Close(ctx context.Context) error {
	if !s.started || s.stack == nil {
		return nil
	}
	s.lot.Close()
	s.mu.Lock()
	s.closing = true
	var dialogs []*sipua.Dialog
	for _, l := range s.legs {
		if !l.unconfirmed { // no BYE before the ACK (RFC 3261 §15)
			dialogs = append(dialogs, l.dialog)
		}
	}
	for _, p := range s.parkeds {
		p.giveUpLocked(&sipua.CancelCause{})
	}
	s.mu.Unlock()
	ctx, stop := context.WithTimeout(ctx, farewell)
	defer stop()
	var goodbyes sync.WaitGroup
	for _, d := range dialogs {
		goodbyes.Go(func() { s.bye(ctx, d, reason(503, "The park service is closing")) })
	}
	goodbyes.Wait()
	s.cancel()
	s.wg.Wait()
	err := s.agent.Close()
	err = errors.Join(err, s.stack.Close())
	if tune := s.tune(); tune != nil {
		tune.Close()
	}
	return err
}

// giveUpLocked ends what is under way for a parked caller: a recall, and a retrieval.
func (p *parked) giveUpLocked(cause error) {
	if p.ringing != nil {
		p.ringing(cause)
	}
	if p.claiming != nil {
		p.claiming(cause)
	}
}

func (s *Service) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// spawn runs f on a goroutine that Close waits for; its context ends with Close. A service that is closing runs nothing,
// and reports so.
func (s *Service) spawn(f func(ctx context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.wg.Go(func() { f(s.ctx) })
	}
	return !s.closing
}

// Contact is where the proxy sends to what Serves.
func (s *Service) Contact() sip.Uri { return *s.contact.Clone() }

// Serves reports whether a user of the domain is one of this service: the service itself, its lot, an orbit, a
// safe-retrieve URI, whether there is such a park or not.
func (s *Service) Serves(user string) bool {
	return user == userPark || user == userLot || s.isOrbit(user) || strings.HasPrefix(user, tokenPrefix)
}

func (s *Service) isOrbit(user string) bool {
	o, ok := s.lot.Find(user)
	return ok && o.Number == user // not a token
}

// List is the numbers of the orbits.
func (s *Service) List() []string {
	orbits := s.lot.Orbits()
	list := make([]string, len(orbits))
	for i, o := range orbits {
		list[i] = o.Number
	}
	return list
}

// Orbits is the range of the orbits, as in "701-720".
func (s *Service) Orbits() string {
	c := s.lot.Config()
	return fmt.Sprintf("%d-%d", c.First, c.Last)
}

// uri is a user of the domain.
func (s *Service) uri(user string) sip.Uri {
	return sip.Uri{Scheme: "sip", User: user, Host: s.cfg.Domain}
}

// options tells clients what kind of service this is.
func (s *Service) options() []sip.Header {
	lot := s.uri(userLot)
	return []sip.Header{sip.NewHeader("Call-Info", fmt.Sprintf(`<%s>;purpose=x-park-lot;x-orbits=%q`, lot.String(), s.Orbits()))}
}

// bye ends a dialog. What it answers changes nothing.
func (s *Service) bye(ctx context.Context, d *sipua.Dialog, why string) {
	if err := d.Bye(ctx, why); err != nil {
		s.log.Debug("bye was not answered", "err", err)
	}
}

// reason is the value of a Reason header (RFC 3326).
func reason(cause int, text string) string {
	return sipua.Reason{Protocol: "SIP", Cause: cause, Text: text}.String()
}
