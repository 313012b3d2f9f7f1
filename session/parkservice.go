package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/plaintext"
	"offhook/internal/sipua"
	"offhook/park"
)

const (
	// parkPatience bounds the answer of the park service to the question whether it is there.
	parkPatience = 8 * time.Second
	// parkAsk is how long the answer is believed, and how long after a failure it is not tried again.
	parkAsk = 30 * time.Second
)

// ParkService is what is known of the park service.
type ParkService struct {
	Server    string `json:"server"` // "" if there is none
	Strategy  string `json:"strategy"`
	Orbits    string `json:"orbits,omitempty"` // e.g. 701-720, if it tells
	Available bool   `json:"available"`
	Why       string `json:"why,omitempty"` // it is not
	Safe      bool   `json:"safe"`          // own parked calls are taken back without ever getting another one
}

// parking is what an endpoint has to do with parked calls.
type parking struct {
	// Immutable after init.
	server    sip.Uri       // Host "" if there is none
	settings  park.Settings // without what the service tells
	otherwise park.Strategy // as long as it is not known which one; nil if there is no service
	board     *park.Board   // has a lock of its own, a leaf
	wake      chan struct{} // capacity 1: the service is to be asked
	saving    chan struct{} // capacity 1; held while a record is written, so that the newest is written last

	// Guarded by the endpoint's mu.
	service  ParkService
	strategy park.Strategy // nil until it is known
	asked    time.Time     // when the service was last asked
	watching bool          // the orbits are
	tells    bool          // the service has a lot of its own kind: what it says of its orbits is so
	parks    []*parkedCall // newest first
	offers   map[string]*orbitOffer
}

var errNoService = errors.New("there is no park service")

// initParking finds out what can be said without asking.
func (e *Endpoint) initParking() error {
	p := &e.parking
	p.board = park.NewBoard(e.self.URI)
	p.wake, p.saving = make(chan struct{}, 1), make(chan struct{}, 1)
	p.offers = map[string]*orbitOffer{}
	set := e.cfg.Park
	p.service.Why = "there is no park service"
	switch {
	case strings.EqualFold(set.Server, "off"), set.Server == "" && e.cfg.NoRegister:
		return nil
	case set.Server == "":
		p.server = sip.Uri{Scheme: e.aor.Scheme, User: "park", Host: e.aor.Host, Port: e.aor.Port}
	default:
		uri, err := e.Resolve(set.Server)
		if err != nil {
			return refuse("sign in", set.Server, KindConfig, "the park service has to look like sip:park@example.org")
		}
		p.server = uri
	}
	p.settings = park.Settings{
		Server: p.server, Domain: hostPort(p.server), Extension: set.Extension, SlotURI: set.SlotURI,
		RetrieveURI: set.RetrieveURI, Orbits: set.Orbits,
	}
	name := set.Strategy
	if autoStrategy(name) {
		name = park.RFC5359
	}
	var err error
	if p.otherwise, err = park.NewStrategy(name, p.settings); err != nil {
		return refuse("sign in", set.Server, KindConfig, "%w", err)
	}
	p.service = ParkService{Server: addressOf(p.server), Orbits: set.Orbits, Why: "the park service has not answered yet"}
	return nil
}

func autoStrategy(name string) bool { return name == "" || strings.EqualFold(name, "auto") }

// ParkService tells what is known of the park service. What is not known, or not available, is asked for again behind it.
func (e *Endpoint) ParkService() ParkService {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.askAgainLocked()
	return e.parking.service
}

// askAgainLocked has the park service asked whether it is there, unless it is, or was asked a moment ago.
func (e *Endpoint) askAgainLocked() {
	e.mu.Held()
	p := &e.parking
	if p.server.Host == "" || p.service.Available || time.Since(p.asked) < parkAsk {
		return
	}
	p.asked = time.Now()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// runParkService asks the park service whether it is there: after each registration, and when somebody wants to know.
func (e *Endpoint) runParkService(ctx context.Context) {
	e.mu.Blocking()
	if !e.awaitRegistered(ctx) {
		return
	}
	for asked := -1; ; {
		e.mu.Lock()
		now, changed := e.registrations, e.regChanged
		e.mu.Unlock()
		if now != asked {
			asked = now
			e.askParkService(ctx)
			continue
		}
		select {
		case <-changed:
		case <-e.parking.wake:
			e.askParkService(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// askParkService asks once, and tells what has changed.
func (e *Endpoint) askParkService(ctx context.Context) {
	e.mu.Blocking()
	p := &e.parking
	patient, cancel := context.WithTimeoutCause(ctx, parkPatience, sipua.ErrTimeout)
	defer cancel()
	res, err := e.agent.Do(patient, e.agent.NewRequest(sip.OPTIONS, p.server))
	if ctx.Err() != nil {
		return
	}
	found, orbits, lot := readParkService(res)
	name, ok := park.Detect(res, err)
	if set := e.cfg.Park.Strategy; !autoStrategy(set) {
		// Whoever has chosen knows the service: some answer for their extensions only.
		name, ok = set, res != nil && res.StatusCode != 480 && res.StatusCode != 503
	}
	settings := p.settings
	if settings.Orbits == "" {
		settings.Orbits = orbits
	}
	strategy, bad := park.NewStrategy(name, settings)
	if ok && bad != nil {
		ok, err = false, bad
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	p.asked = time.Now()
	now := ParkService{Server: addressOf(p.server), Orbits: settings.Orbits, Available: ok}
	if ok {
		p.strategy = strategy
		now.Strategy, now.Safe = strategy.Name(), strategy.Safe()
		p.tells = found
		e.watchOrbitsLocked(found, lot)
	} else {
		now.Strategy, now.Safe = p.service.Strategy, p.service.Safe
		now.Orbits = cmp.Or(now.Orbits, p.service.Orbits)
		now.Why = "the park service is not available"
		if r := reasonOf(err); err != nil && r != "" {
			now.Why += ": " + r
		}
		e.log.Info("no park service", "err", err)
	}
	e.serviceChangedLocked(now)
}

// readParkService reads what a service like ours says of itself.
func readParkService(res *sip.Response) (found bool, orbits string, lot sip.Uri) {
	if res == nil || !res.IsSuccess() {
		return false, "", sip.Uri{}
	}
	for _, info := range sipua.NameAddrs(res, "Call-Info") {
		if purpose, _ := info.Params.Get("purpose"); strings.EqualFold(purpose, "x-park-lot") {
			orbits, _ = info.Params.Get("x-orbits")
			return true, plaintext.Line(orbits, maxName), info.URI
		}
	}
	return false, "", sip.Uri{}
}

// serviceChangedLocked notes what is known of the service now, and tells which actions that makes possible or not.
func (e *Endpoint) serviceChangedLocked(now ParkService) {
	e.mu.Held()
	if now == e.parking.service {
		return
	}
	e.parking.service = now
	e.tellAllActionsLocked()
}

// serviceFailedLocked notes that the service has not served: for a while it is not tried again.
func (e *Endpoint) serviceFailedLocked(err error) {
	switch kindOf(err) {
	case KindLotClosed, KindParkTimeout, KindUnreachable, KindTLS:
	default:
		return
	}
	now := e.parking.service
	now.Available, now.Why = false, "the park service is not available: "+kindOf(err).text().message
	e.parking.asked = time.Now()
	e.serviceChangedLocked(now)
	e.goLocked("park service", func(ctx context.Context) {
		if sleep(ctx, parkAsk) == nil {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.askAgainLocked()
		}
	})
}

// strategyNow is how calls are parked and retrieved, as far as is known.
func (e *Endpoint) strategyNow() (park.Strategy, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch p := &e.parking; {
	case p.strategy != nil:
		return p.strategy, nil
	case p.otherwise != nil:
		return p.otherwise, nil
	}
	return nil, errNoService
}

// isParkService reports whether an address is that of the park service.
func (e *Endpoint) isParkService(uri sip.Uri) bool {
	server := e.parking.server
	return server.Host != "" && peerKey(uri) == peerKey(server)
}

// fromOurServer reports whether a request came from where our server, or the park service itself where there is none,
// sends from: what it says of who somebody is can be believed then (RFC 3325 §5).
func (e *Endpoint) fromOurServer(ctx context.Context, from sipua.Target) bool {
	e.mu.Blocking()
	uri := e.server
	if uri.Host == "" {
		uri = e.aor
		if e.cfg.NoRegister {
			uri = e.parking.server
		}
	}
	if uri.Host == "" {
		return false
	}
	targets, err := e.stack.Locate(ctx, uri)
	if err != nil {
		return false
	}
	for _, t := range targets {
		if t.Addr.Addr().Unmap() == from.Addr.Addr().Unmap() {
			return true
		}
	}
	return false
}

// believed is whom a message of the network says its sender is, "" if it does not say.
func believed(msg interface{ GetHeaders(string) []sip.Header }) Party {
	for _, a := range sipua.NameAddrs(msg, "P-Asserted-Identity") {
		if a.URI.User != "" && (a.URI.Scheme == "sip" || a.URI.Scheme == "sips") {
			return Party{URI: plaintext.Line(addressOf(a.URI), 256), Display: plaintext.Line(a.Display, maxName)}
		}
	}
	return Party{}
}

// parkKinds are the kinds of what a park service refuses with, by its number.
var parkKinds = map[int]Kind{
	park.ErrOrbitNotFound.Number: KindOrbitNotFound, park.ErrProcessing.Number: KindUnavailable,
	park.ErrNoOrbit.Number: KindNoOrbit, park.ErrOutside.Number: KindAuth, park.ErrParkTimeout.Number: KindParkTimeout,
	park.ErrDoublePark.Number: KindDoublePark, park.ErrReplaces.Number: KindUnavailable,
	park.ErrBadRequest.Number: KindUnsupported, park.ErrStaleOrbit.Number: KindStaleOrbit,
	park.ErrLotClosed.Number: KindLotClosed, park.ErrExpired.Number: KindStaleOrbit, park.ErrNoCall.Number: KindGone,
	park.ErrRetrieve.Number: KindUnavailable, park.ErrOccupied.Number: KindBusy, park.ErrTooMany.Number: KindNoOrbit,
	park.ErrNotAllowed.Number: KindAuth, park.ErrProbing.Number: KindBusy,
}

// failPark makes an *Error of what a park service has said.
func failPark(op, peer string, err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	code := statusOf(err)
	var failure *park.Failure
	if !errors.As(err, &failure) {
		failure = park.FailureIn(warningIn(err))
	}
	switch {
	case failure != nil:
		if code == 0 {
			code = failure.Status
		}
		kind, ok := parkKinds[failure.Number]
		if !ok {
			kind = kindOfStatus(code)
		}
		text := failure.Error()
		if failure.Text == kind.text().message {
			text = ""
		}
		return &Error{Op: op, Peer: peer, Kind: kind, Code: code, Err: &explained{kind, text, err}}
	case errors.Is(err, errParkTime), op == "park" && errors.Is(err, sipua.ErrTimeout):
		return &Error{Op: op, Peer: peer, Kind: KindParkTimeout, Err: errParkTime}
	case errors.Is(err, park.ErrWish), errors.Is(err, park.ErrNotLearnt):
		return &Error{Op: op, Peer: peer, Kind: KindUnsupported, Err: err}
	case errors.Is(err, errNoService), errors.Is(err, errNotAnOrbit):
		return &Error{Op: op, Peer: peer, Kind: KindConfig, Err: err}
	}
	return fail(op, peer, err)
}

// errParkTime ends the patience with a park service.
var errParkTime = fmt.Errorf("nothing was decided within %v", parkGuard)
