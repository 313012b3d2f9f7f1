package session

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/event"
	"offhook/internal/plaintext"
)

// Presence of an address.
type Presence struct {
	URI          string   `json:"uri"`
	Availability string   `json:"availability"` // available, busy, dnd, away, offline, unknown
	Note         string   `json:"note,omitempty"`
	Devices      []Device `json:"devices"`
}

// Availabilities.
const (
	availabilityAvailable = "available"
	availabilityBusy      = "busy"
	availabilityDND       = "dnd"
	availabilityAway      = "away"
	availabilityOffline   = "offline"
	availabilityUnknown   = "unknown"
)

// availabilities that a user can choose.
var availabilities = []string{
	availabilityAvailable, availabilityBusy, availabilityDND, availabilityAway, availabilityOffline,
}

// maxNote bounds a note, in bytes.
const maxNote = 256

// SetPresence publishes the user's availability (available, busy, dnd, away, offline) and note. With dnd, forked messages
// are refused here and recorded as missed. With Config.NoPublish it takes effect on this endpoint only; while this
// endpoint is not signed in it is published as soon as it is.
func (e *Endpoint) SetPresence(ctx context.Context, availability, note string) error {
	e.mu.Blocking()
	if !slices.Contains(availabilities, availability) {
		return refuse("set presence", "", KindConfig, "availability is one of %s", strings.Join(availabilities, ", "))
	}
	e.mu.Lock()
	e.wishLocked(availability, plaintext.Line(note, maxNote))
	done := e.publishNowLocked()
	e.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
	case <-ctx.Done():
		return fail("set presence", "", context.Cause(ctx))
	case <-e.ctx.Done():
		return fail("set presence", "", errClosing)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return fail("set presence", "", e.publishErr)
}

// publishNowLocked asks for a publication and returns what is closed when it has been tried; nil if none is made.
func (e *Endpoint) publishNowLocked() <-chan struct{} {
	if e.cfg.NoPublish || !e.started || e.closing || e.registration.State != registered {
		return nil
	}
	e.machine.publishedAt = time.Time{} // as if never told
	if e.publishDone == nil {
		e.publishDone = make(chan struct{})
	}
	e.machine.signal()
	return e.publishDone
}

// activityAvailability reads the activities of RFC 4480 §3.2.
var activityAvailability = map[string]string{
	"busy": availabilityBusy, "on-the-phone": availabilityBusy, "meeting": availabilityBusy,
	"appointment": availabilityBusy, "presentation": availabilityBusy, "performance": availabilityBusy,
	"away": availabilityAway, "permanent-absence": availabilityAway, "sleeping": availabilityAway,
	"travel": availabilityAway, "vacation": availabilityAway, "holiday": availabilityAway, "meal": availabilityAway,
	"breakfast": availabilityAway, "lunch": availabilityAway, "dinner": availabilityAway,
}

// readPresence makes of a document what people want to know.
func readPresence(uri string, doc body.PIDF, now time.Time) Presence {
	p := Presence{URI: uri, Availability: availabilityOffline, Note: plaintext.Line(doc.Person.Note, maxNote), Devices: []Device{}}
	var list []candidate
	names := map[string]string{}
	for instance, v := range viewDevices(doc, nil, event.Notification{Received: now}, false) {
		list = append(list, candidate{instance, v.class, v.idle})
		names[instance] = v.name
	}
	for _, c := range ranked(list, "") {
		p.Devices = append(p.Devices, deviceOf(c, names[c.instance], false))
	}
	open := slices.ContainsFunc(doc.Tuples, func(t body.Tuple) bool { return t.Open })
	if !open {
		return p
	}
	if doc.Person.Empty() { // clients that know of no persons put the note there
		for _, t := range doc.Tuples {
			if t.Note != "" {
				p.Note = plaintext.Line(t.Note, maxNote)
				break
			}
		}
	}
	p.Availability = availabilityAvailable
	away := func(c candidate) bool { return c.class >= classAway }
	if len(list) > 0 && !slices.ContainsFunc(list, func(c candidate) bool { return !away(c) }) {
		p.Availability = availabilityAway
	}
	for _, a := range doc.Person.Activities {
		if v, ok := activityAvailability[strings.ToLower(a)]; ok {
			p.Availability = v
			break
		}
	}
	if doc.Person.DND {
		p.Availability = availabilityDND
	}
	return p
}

func cleanName(name string) string { return plaintext.Line(name, maxName) }

// runOwnPresence follows the devices of this user.
func (e *Endpoint) runOwnPresence(ctx context.Context) {
	e.mu.Blocking()
	if e.cfg.NoRegister {
		return
	}
	e.follow(ctx, presenceOf(e.aor, e), follower{
		began: func(u usage) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.ownPresence = u
		},
		told: e.ownPresenceTold,
		lost: func(err error) {
			e.log.Warn("own presence is not told", "err", err)
			e.mu.Lock()
			defer e.mu.Unlock()
			e.devicesKnown, e.presenceErr = false, err
			e.presenceHealthLocked()
		},
	})
}

func presenceOf(uri sip.Uri, e *Endpoint) event.SubscribeOptions {
	return event.SubscribeOptions{Target: uri, Event: "presence", Accept: []string{body.TypePIDF}, Logger: e.log}
}

// ownPresenceTold takes one NOTIFY about this user's own devices.
func (e *Endpoint) ownPresenceTold(n event.Notification, first bool) {
	var doc body.PIDF
	if len(n.Body) > 0 {
		var err error
		if doc, err = body.ParsePIDF(n.Body); err != nil {
			e.log.Warn("presence document cannot be read", "err", err)
			return
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.devices = viewDevices(doc, e.devices, n, first)
	e.devicesKnown, e.presenceErr = n.State == "active", nil
	e.followWishLocked(doc.Person)
	e.presenceHealthLocked()
	e.countChangedLocked()
	p := readPresence(e.self.URI, doc, n.Received)
	for i := range p.Devices {
		p.Devices[i].Self = p.Devices[i].Instance == e.cfg.Instance
	}
	e.hub.PublishKeyed("presence "+e.self.URI, PresenceChanged{p})
	e.remindLocked()
}

// remindLocked publishes again if what another device has published puts it wrongly before this one.
func (e *Endpoint) remindLocked() {
	if now := time.Now(); !e.machine.input.IsZero() && e.machine.input.After(e.machine.publishedInput) && e.overtakenLocked(now) {
		e.machine.news = true
		e.machine.signal()
	}
}

func (e *Endpoint) presenceHealthLocked() {
	e.setHealthLocked(healthPresence, (e.publishErr != nil || e.presenceErr != nil) && e.registration.State == registered)
}

// Presence fetches an address's presence once.
func (e *Endpoint) Presence(ctx context.Context, address string) (Presence, error) {
	e.mu.Blocking()
	uri, err := e.Resolve(address)
	if err != nil {
		return Presence{}, err
	}
	e.mu.Lock()
	ready := e.started && !e.closing
	e.mu.Unlock()
	if !ready {
		return Presence{}, fail("presence of", addressOf(uri), errClosing)
	}
	ctx, stop := e.join(ctx)
	defer stop()
	n, err := event.Fetch(ctx, e.agent, presenceOf(target(uri), e))
	if err != nil {
		return Presence{}, fail("presence of", addressOf(uri), err)
	}
	p, err := presenceIn(addressOf(uri), n)
	if err != nil {
		return Presence{}, fail("presence of", addressOf(uri), err)
	}
	return p, nil
}

// presenceIn reads a NOTIFY. One without a document says that nothing is known.
func presenceIn(uri string, n event.Notification) (Presence, error) {
	if len(n.Body) == 0 {
		return Presence{URI: uri, Availability: availabilityUnknown, Devices: []Device{}}, nil
	}
	doc, err := body.ParsePIDF(n.Body)
	if err != nil {
		return Presence{}, err
	}
	return readPresence(uri, doc, n.Received), nil
}

// watch is a subscription to somebody's presence.
type watch struct {
	cancel context.CancelFunc
	usage  usage     // Guarded by the endpoint's mu; nil until subscribed
	last   *Presence // Guarded by the endpoint's mu; nil until the first NOTIFY
}

// Watch subscribes to an address's presence; PresenceChanged follows. Watching twice is watching once.
func (e *Endpoint) Watch(address string) error {
	uri, err := e.Resolve(address)
	if err != nil {
		return err
	}
	key := peerKey(uri)
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.watches[key]; ok {
		return nil
	}
	if !e.started || e.closing {
		return fail("watch", addressOf(uri), errClosing)
	}
	ctx, cancel := context.WithCancel(e.ctx)
	w := &watch{cancel: cancel}
	if !e.goLocked("watch", func(context.Context) { e.runWatch(ctx, w, target(uri)) }) {
		cancel()
		return fail("watch", addressOf(uri), errClosing)
	}
	e.watches[key] = w
	return nil
}

// Unwatch ends Watch.
func (e *Endpoint) Unwatch(address string) error {
	uri, err := e.Resolve(address)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if w, ok := e.watches[peerKey(uri)]; ok {
		w.cancel()
		delete(e.watches, peerKey(uri))
	}
	return nil
}

func (e *Endpoint) runWatch(ctx context.Context, w *watch, uri sip.Uri) {
	e.mu.Blocking()
	defer w.cancel()
	tell := func(p Presence) {
		e.mu.Lock()
		defer e.mu.Unlock()
		w.last = &p
		e.hub.PublishKeyed("presence "+p.URI, PresenceChanged{p})
	}
	unknown := Presence{URI: addressOf(uri), Availability: availabilityUnknown, Devices: []Device{}}
	e.follow(ctx, presenceOf(uri, e), follower{
		began: func(u usage) {
			e.mu.Lock()
			defer e.mu.Unlock()
			w.usage = u
		},
		told: func(n event.Notification, _ bool) {
			p, err := presenceIn(unknown.URI, n)
			if err != nil {
				e.log.Warn("presence document cannot be read", "of", unknown.URI, "err", err)
				p = unknown
			}
			tell(p)
		},
		lost: func(err error) {
			e.log.Info("presence is not told", "of", unknown.URI, "err", err)
			tell(unknown)
		},
	})
}
