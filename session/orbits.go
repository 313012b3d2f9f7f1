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
	"offhook/park"
)

// maxOrbitOffers bounds the announcements that are shown at a time.
const maxOrbitOffers = 32

// Board is what is known of the orbits: from their lamps, from what others have written, and from this user's own parked
// calls.
func (e *Endpoint) Board() []park.Row {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rowsLocked()
}

func (e *Endpoint) rowsLocked() []park.Row {
	e.boardLocked(e.parking.board.Expire(time.Now()))
	return append([]park.Row{}, e.parking.board.Rows()...)
}

// boardLocked tells the lines of the board that have changed.
func (e *Endpoint) boardLocked(changed []string) {
	e.mu.Held()
	for _, orbit := range changed {
		row, there := e.parking.board.Row(orbit)
		if !there {
			row = park.Row{Orbit: orbit}
			e.closeOrbitOfferLocked(orbit, toastMissed)
		}
		e.publishLocked(BoardChanged{Row: row, Gone: !there})
	}
}

// watchOrbitsLocked begins to watch the orbits, once: the lot as a whole if the service has one, else one by one.
func (e *Endpoint) watchOrbitsLocked(found bool, lot sip.Uri) {
	e.mu.Held()
	p := &e.parking
	if p.watching {
		return
	}
	var watch []sip.Uri
	numbers, _ := park.Numbers(p.settings.Orbits)
	switch {
	case found:
		watch = []sip.Uri{lot}
	case len(numbers) > 0:
		for _, n := range numbers {
			watch = append(watch, sip.Uri{Scheme: p.server.Scheme, User: n, Host: p.server.Host, Port: p.server.Port})
		}
	default:
		watch = []sip.Uri{{Scheme: p.server.Scheme, User: "park-lot", Host: p.server.Host, Port: p.server.Port}}
	}
	p.watching = true
	for _, uri := range watch {
		e.goLocked("orbits", func(ctx context.Context) { e.watchOrbits(ctx, uri) })
	}
}

// watchOrbits follows the lamps of a lot, or of one orbit.
func (e *Endpoint) watchOrbits(ctx context.Context, uri sip.Uri) {
	entity := addressOf(uri)
	e.follow(ctx, dialogsOf(uri, e), follower{
		began: func(usage) {},
		told: func(n event.Notification, _ bool) {
			doc, err := body.ParseDialogInfo(n.Body)
			if err != nil {
				e.log.Info("the state of orbits cannot be read", "of", entity, "err", err)
				return
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			e.boardLocked(e.parking.board.Apply(entity, doc, doc.Full))
			e.darkLocked(uri.User, doc)
		},
		lost: func(err error) {
			e.log.Info("the state of orbits is not told", "of", entity, "err", err)
			e.mu.Lock()
			defer e.mu.Unlock()
			e.boardLocked(e.parking.board.Dark(entity))
		},
	})
}

// darkLocked ends the park of a call at an orbit whose lamp has gone dark, where nothing else tells it. Right after the call
// was parked the lamp may be behind: what it says a moment later counts.
func (e *Endpoint) darkLocked(orbit string, doc body.DialogInfo) {
	p := e.ownParkLocked(orbit)
	if p == nil || p.usage != nil {
		return
	}
	before := p.dark
	p.dark = !slices.ContainsFunc(doc.Dialogs, func(d body.DialogState) bool { return !strings.EqualFold(d.State, "terminated") })
	early := parkBye - time.Since(p.record.Orbit.Parked)
	switch {
	case !p.dark:
	case early <= 0:
		e.unparkNewsLocked(p, unparkNews{reason: park.Unknown})
	case !before:
		e.goLocked("lamp", func(ctx context.Context) {
			if sleep(ctx, early) != nil {
				return
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			if p.dark && p.usage == nil {
				e.unparkNewsLocked(p, unparkNews{reason: park.Unknown})
			}
		})
	}
}

// orbitOffer is an announcement on the screen. It is a Call as far as a toast has to be one: to accept it is to pick up.
type orbitOffer struct {
	// Immutable.
	e     *Endpoint
	from  *Conversation // of who has announced it
	orbit string
	stop  context.CancelFunc
	shown ToastShown

	got *AudioVideoCall // Guarded by e.mu; what was picked up
}

// textLocked takes a text that has just come: it may announce a parked call, or say that one is taken.
func (c *Conversation) textLocked(m Message) {
	e := c.e
	e.mu.Held()
	if m.Direction != Inbound || m.Peer.URI == e.self.URI {
		return
	}
	if !e.mayAnnounceLocked(m.Peer) {
		return
	}
	if a, ok := park.ParseAnnouncement(m.Text); ok {
		if !e.isOrbitLocked(a.Orbit) {
			return
		}
		e.boardLocked(e.parking.board.Announced(a, park.Party(m.Peer), m.Time))
		if row, there := e.parking.board.Row(a.Orbit); there && !row.Mine {
			c.offerOrbitLocked(a, m)
		}
		return
	}
	if t, ok := park.ParseTaken(m.Text); ok {
		e.boardLocked(e.parking.board.Taken(t, park.Party(m.Peer), m.Time))
		if o := e.parking.offers[t.Orbit]; o != nil && o.from == c {
			e.closeOrbitOfferLocked(t.Orbit, toastElsewhere)
		}
	}
}

// mayAnnounceLocked reports whether somebody's word about parked calls is listened to: only who can park them knows. An
// orbit of another domain has its own service, and its number means somebody else here.
func (e *Endpoint) mayAnnounceLocked(who Party) bool {
	var uri sip.Uri
	if e.cfg.NoRegister { // there are no domains
		return true
	}
	return parseAddress(who.URI, &uri) == nil &&
		(strings.EqualFold(uri.Host, e.aor.Host) || strings.EqualFold(uri.Host, e.parking.server.Host))
}

// isOrbitLocked reports whether a number is one of an orbit, as far as the park service tells which it has. Any other is
// of somebody's telephone.
func (e *Endpoint) isOrbitLocked(number string) bool {
	e.mu.Held()
	if all, err := park.Numbers(e.parking.service.Orbits); err == nil && len(all) > 0 {
		return slices.Contains(all, number)
	}
	return isNumber(number)
}

// offerOrbitLocked shows an announcement until its time is over.
func (c *Conversation) offerOrbitLocked(a park.Announcement, m Message) {
	e := c.e
	within := a.Within
	if within == 0 {
		within = defaultWithin
	}
	left := time.Until(m.Time.Add(within))
	if left <= 0 || e.cfg.Media == nil || e.wish.availability == availabilityDND {
		return
	}
	e.closeOrbitOfferLocked(a.Orbit, toastCanceled)
	if len(e.parking.offers) >= maxOrbitOffers {
		return
	}
	ctx, cancel := context.WithCancel(e.ctx)
	o := &orbitOffer{e: e, from: c, orbit: a.Orbit, stop: cancel}
	o.shown = ToastShown{
		Toast: e.nextIDLocked("toast"), Kind: toastOrbit, Conversation: c.id, From: c.peer, Orbit: a.Orbit,
		Text: plaintext.Text(m.Text, maxToast),
	}
	e.parking.offers[a.Orbit] = o
	e.publishLocked(o.shown)
	e.goLocked("announcement", func(context.Context) {
		defer cancel()
		if sleep(ctx, left) == nil {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.boardLocked(e.parking.board.Expire(time.Now()))
			o.closeLocked(toastMissed)
		}
	})
}

// defaultWithin is how long an announcement is shown that does not say for how long it holds.
const defaultWithin = 90 * time.Second

func (e *Endpoint) closeOrbitOfferLocked(orbit, reason string) {
	e.mu.Held()
	if o := e.parking.offers[orbit]; o != nil {
		o.closeLocked(reason)
	}
}

// closeLocked takes the announcement from the screen. It reports false if it is not there any more.
func (o *orbitOffer) closeLocked(reason string) bool {
	o.e.mu.Held()
	if o.e.parking.offers[o.orbit] != o {
		return false
	}
	delete(o.e.parking.offers, o.orbit)
	o.stop()
	o.e.publishLocked(ToastClosed{Toast: o.shown.Toast, Reason: reason})
	return true
}

// call is what was picked up, nil if nothing was.
func (o *orbitOffer) call() *AudioVideoCall {
	o.e.mu.Lock()
	defer o.e.mu.Unlock()
	return o.got
}

// ID is that of the call that was picked up, "" before.
func (o *orbitOffer) ID() string {
	if c := o.call(); c != nil {
		return c.ID()
	}
	return ""
}

// Kind is audio.
func (o *orbitOffer) Kind() string { return kindAudio }

// Conversation is that of the call that was picked up, before that of who has announced it.
func (o *orbitOffer) Conversation() *Conversation {
	if c := o.call(); c != nil {
		return c.Conversation()
	}
	return o.from
}

// Direction is outbound: to pick up is to call.
func (o *orbitOffer) Direction() Direction { return Outbound }

// State is that of the call that was picked up.
func (o *orbitOffer) State() State {
	if c := o.call(); c != nil {
		return c.State()
	}
	return Idle
}

// Can reports what the call that was picked up can do.
func (o *orbitOffer) Can(on Input) bool {
	c := o.call()
	return c != nil && c.Can(on)
}

// Accept picks the call up. The toast stays when somebody else is there than was announced.
func (o *orbitOffer) Accept(ctx context.Context) error {
	c, err := o.e.Retrieve(ctx, o.orbit, false)
	o.e.mu.Lock()
	defer o.e.mu.Unlock()
	o.got = c
	if kindOf(err) != KindStranger {
		reason := toastAccepted
		if err != nil {
			reason = toastCanceled
		}
		o.closeLocked(reason)
	}
	return err
}

// Decline takes the toast away. Nobody is told.
func (o *orbitOffer) Decline(context.Context, bool) error { return o.close(toastDeclined) }

// Dismiss takes the toast away.
func (o *orbitOffer) Dismiss() error { return o.close(toastDismissed) }

func (o *orbitOffer) close(reason string) error {
	o.e.mu.Lock()
	defer o.e.mu.Unlock()
	if !o.closeLocked(reason) {
		return refuse("dismiss", o.orbit, KindState, "no toast is shown")
	}
	return nil
}

// Forward is not possible: what is announced is not this user's.
func (o *orbitOffer) Forward(context.Context, string) error {
	return refuse("forward", o.orbit, KindState, "this is an announcement")
}

// Transfer transfers the call that was picked up.
func (o *orbitOffer) Transfer(ctx context.Context, to string) error {
	if c := o.call(); c != nil {
		return c.Transfer(ctx, to)
	}
	return refuse("transfer", o.orbit, KindState, "this is an announcement")
}

// Terminate ends the call that was picked up.
func (o *orbitOffer) Terminate(ctx context.Context) error {
	if c := o.call(); c != nil {
		return c.Terminate(ctx)
	}
	return o.close(toastDismissed)
}
