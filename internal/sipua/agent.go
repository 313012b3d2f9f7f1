package sipua

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// AgentConfig configures an Agent.
type AgentConfig struct {
	Stack       *Stack
	AOR         sip.Uri // address of record, sip:alice@example.org
	DisplayName string
	Instance    string // urn:uuid:…, RFC 5626
	// Server is the outbound proxy and registrar (sip:host:port;transport=udp). Empty: the domain of the AOR, located.
	Server sip.Uri
	// Credentials is asked when a server challenges. It may run a command or ask a keyring.
	Credentials func(ctx context.Context) (user string, password Secret, err error)
	// ContactParams are added to the registered Contact, e.g. "+sip.message".
	ContactParams sip.HeaderParams
	Allow         []string // methods for Allow; default all that are implemented
	Supported     []string // option tags for Supported, besides those the agent implements itself
	Logger        *slog.Logger
	SessionTimer  time.Duration // RFC 4028 interval for INVITE dialogs; 0 means 30 minutes, negative off
}

// Mux is what an agent hands incoming requests to. Requests inside a dialog go to the dialog instead, and those of a
// Usage to the usage; OPTIONS is answered by the agent; an unknown method gets 405.
type Mux struct {
	// Invite serves an INVITE that opens a dialog. The agent has already refused merged requests (482), unknown
	// extensions (420) and bad ones (400). It must end with inv.Answer, Reject or Redirect.
	Invite func(ctx context.Context, inv *Invite)
	// Message serves a MESSAGE outside any dialog.
	Message func(ctx context.Context, req *Request)
	// Notify serves a NOTIFY that belongs to no usage. Nil: 481.
	Notify func(ctx context.Context, req *Request)
	// Refer serves a REFER outside any dialog. Nil: 403.
	Refer func(ctx context.Context, req *Request)
	// Busy is asked for each new request; true answers 503 with Retry-After.
	Busy func() bool
	// OptionsBody is the SDP for a 200 to OPTIONS; may be nil.
	OptionsBody func() (contentType string, body []byte)
	// OptionsHeaders are further headers of a 200 to OPTIONS; may be nil.
	OptionsHeaders func() []sip.Header
}

// Agent is a user agent: it answers challenges, keeps dialogs and forks apart, keeps in-dialog requests in order.
type Agent struct {
	// Immutable
	cfg       AgentConfig
	stack     *Stack
	log       *slog.Logger
	allow     string
	supported []string
	account   *account
	clock     clock
	again     chan struct{} // capacity 1: Reregister

	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // goroutines of the agent and its handlers

	mu sync.Mutex
	// Guarded by mu
	mux          Mux
	closed       bool
	dialogs      map[DialogID]*Dialog
	sets         map[halfID]*dialogSet
	usages       map[halfID]*Usage
	merged       map[mergeKey]mergeEntry
	home         Target            // where the server was last reached
	seen         map[string]string // network → host:port of ours as the server saw it, when a NAT is between
	serviceRoute []sip.Uri         // RFC 3608
	gruu         string
}

// clock is how the agent tells that the machine was asleep or has moved; tests replace it.
type clock struct {
	wall  func() time.Time                                 // the wall clock; compared with monotonic time
	local func(home Target) (addr netip.AddrPort, ok bool) // our address towards home; nil: the stack's
}

// methods are what an agent implements, for Allow.
var methods = []string{
	"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "MESSAGE", "INFO", "UPDATE", "PRACK", "REFER", "NOTIFY",
}

// NewAgent makes an agent on cfg.Stack. Serve starts it.
func NewAgent(cfg AgentConfig) (*Agent, error) {
	if cfg.Stack == nil {
		return nil, errors.New("sipua: an agent needs a stack")
	}
	if (cfg.AOR.Scheme != "sip" && cfg.AOR.Scheme != "sips") || cfg.AOR.User == "" || cfg.AOR.Host == "" {
		return nil, errors.New("sipua: the address of record must be a SIP URI with a user, such as sip:alice@example.org")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.SessionTimer == 0 {
		cfg.SessionTimer = 30 * time.Minute // RFC 4028 §4
	}
	if cfg.SessionTimer > 0 {
		cfg.SessionTimer = max(cfg.SessionTimer, minSessionExpires)
	}
	if len(cfg.Allow) == 0 {
		cfg.Allow = methods
	}
	a := &Agent{
		cfg: cfg, stack: cfg.Stack, log: cfg.Logger.With("aor", cfg.AOR.String()), allow: joinList(cfg.Allow),
		account: newAccount(cfg.Credentials), clock: clock{wall: func() time.Time { return time.Now().Round(0) }},
		again:   make(chan struct{}, 1),
		dialogs: map[DialogID]*Dialog{}, sets: map[halfID]*dialogSet{}, usages: map[halfID]*Usage{},
		merged: map[mergeKey]mergeEntry{}, seen: map[string]string{},
	}
	a.supported = append(a.supported, "100rel")
	if cfg.SessionTimer > 0 {
		a.supported = append(a.supported, "timer")
	}
	for _, tag := range cfg.Supported {
		if !slices.Contains(a.supported, tag) {
			a.supported = append(a.supported, tag)
		}
	}
	a.ctx, a.cancel = context.WithCancelCause(context.Background())
	return a, nil
}

// Serve starts handling requests. It returns at once.
func (a *Agent) Serve(m Mux) {
	a.mu.Lock()
	a.mux = m
	a.mu.Unlock()
	a.stack.HandleStray(a.serveStray)
	a.stack.Serve(a.handle)
}

// Close sends nothing; it forgets dialogs and waits for handlers. The stack stays open.
func (a *Agent) Close() error {
	a.mu.Lock()
	a.closed = true
	dialogs, usages := a.dialogs, a.usages
	a.dialogs, a.sets = map[DialogID]*Dialog{}, map[halfID]*dialogSet{}
	a.usages = map[halfID]*Usage{}
	a.mu.Unlock()
	a.cancel(ErrClosed)
	for _, d := range dialogs {
		d.finish(&EndError{Err: ErrClosed})
	}
	for _, u := range usages {
		u.Close()
	}
	a.wg.Wait()
	return nil
}

// spawn runs f on a goroutine that Close waits for; f must end with ctx, which ends with Close. After Close nothing
// is run.
func (a *Agent) spawn(f func(ctx context.Context)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.wg.Go(func() { f(a.ctx) })
	}
}

// AOR is the address of record.
func (a *Agent) AOR() sip.Uri { return *a.cfg.AOR.Clone() }

// GRUU is the public GRUU from the last registration, or "" (RFC 5627).
func (a *Agent) GRUU() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gruu
}

// addDialog makes d findable. A closed agent takes none.
func (a *Agent) addDialog(d *Dialog) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.dialogs[d.id] = d
	}
}

func (a *Agent) removeDialog(d *Dialog) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dialogs[d.id] == d {
		delete(a.dialogs, d.id)
	}
}

func (a *Agent) dialog(id DialogID) *Dialog {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dialogs[id]
}

// bind returns a context that ends with ctx or with the agent, whichever is first.
func (a *Agent) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(a.ctx, func() { cancel(ErrClosed) })
	return ctx, func() { stop(); cancel(context.Canceled) }
}

// after runs f once the time has passed, unless the agent is closed before.
func (a *Agent) after(wait time.Duration, f func()) {
	a.spawn(func(ctx context.Context) {
		if sleep(ctx, wait) == nil {
			f()
		}
	})
}

// sleep waits for d or for ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
