package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/event"
	"offhook/internal/plaintext"
	"offhook/park"
)

// parkFresh is how long after a park a service may not know of it everywhere.
const parkFresh = 10 * time.Second

// parkForgotten is when a park of which nothing is told counts as over: services keep no call that long.
const parkForgotten = 24 * time.Hour

// followParkLocked begins to listen for the end of a park: its safe URI has a dialog state of its own (RFC 4235), which
// only who knows the URI can watch.
func (e *Endpoint) followParkLocked(p *parkedCall) {
	e.mu.Held()
	ctx, cancel := context.WithCancel(e.ctx)
	p.stop = cancel
	if !e.goLocked("parked call", func(context.Context) { e.followPark(ctx, p) }) {
		cancel()
	}
}

// followPark listens until the park is over.
func (e *Endpoint) followPark(ctx context.Context, p *parkedCall) {
	e.mu.Blocking()
	defer p.stop()
	e.mu.Lock()
	r := p.record
	e.mu.Unlock()
	forget := time.Until(r.Orbit.Parked.Add(parkForgotten))
	ctx, cancel := context.WithTimeout(ctx, max(forget, 0))
	defer cancel()
	var safe sip.Uri
	told := r.Orbit.SafeRetrieveURI != "" && parseAddress(r.Orbit.SafeRetrieveURI, &safe) == nil
	if told && e.awaitRegistered(ctx) {
		e.followSafe(ctx, p, safe)
	}
	<-ctx.Done() // the record was ended, or nobody has told
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx.Err() == nil {
		e.unparkedLocked(p, unparkNews{reason: park.Unknown})
	}
}

// followSafe subscribes until the service says that the park is over, or that it knows of none.
func (e *Endpoint) followSafe(ctx context.Context, p *parkedCall, safe sip.Uri) {
	opt := dialogsOf(safe, e)
	opt.Name = "a parked call" // the URI is a secret
	for ctx.Err() == nil {
		err := e.followOnce(ctx, opt, follower{
			began: func(u usage) {
				e.mu.Lock()
				defer e.mu.Unlock()
				p.usage = u
			},
			told: func(n event.Notification, _ bool) { e.parkTold(p, n) },
		})
		if ctx.Err() != nil {
			return
		}
		e.log.Info("the end of a park is not told", "err", err)
		e.mu.Lock()
		p.usage = nil
		again := askAgain
		switch fresh := time.Since(p.record.Orbit.Parked) < parkFresh; {
		case fresh: // who tells of a park and who watches it may be two
			again = parkBye
		case unknownPark(err):
			e.unparkNewsLocked(p, unparkNews{reason: park.Unknown})
		}
		if !p.over() {
			p.record.Reason = park.Unknown // as long as it is not known to have ended
		}
		e.mu.Unlock()
		if sleep(ctx, again) != nil {
			return
		}
	}
}

// unknownPark reports whether a notifier has said that there is no such park, any more.
func unknownPark(err error) bool {
	var ended *event.Ended
	code := statusOf(err)
	return code == 404 || code == 410 || errors.As(err, &ended) && ended.Reason == "noresource"
}

func dialogsOf(uri sip.Uri, e *Endpoint) event.SubscribeOptions {
	return event.SubscribeOptions{Target: uri, Event: "dialog", Accept: []string{body.TypeDialogInfo}, Logger: e.log}
}

// parkTold takes what the service says of a park.
func (e *Endpoint) parkTold(p *parkedCall, n event.Notification) {
	doc, err := body.ParseDialogInfo(n.Body)
	if err != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.over() {
		return
	}
	p.record.Reason = "" // it is known again
	for _, d := range doc.Dialogs {
		if d.Unpark != nil {
			e.unparkNewsLocked(p, readUnpark(*d.Unpark))
			return
		}
		if d.Parked != nil && !d.Parked.RingBack.IsZero() && !d.Parked.RingBack.Equal(p.record.Orbit.RingBack) {
			p.record.Orbit.RingBack = d.Parked.RingBack
			e.boardLocked(e.parking.board.Mine(p.record))
		}
	}
}

var unparkReasons = []park.UnparkReason{
	park.Retrieved, park.Ringback, park.Abandoned, park.Disconnected, park.Fallback, park.Dropped,
}

func readUnpark(u body.Unpark) unparkNews {
	news := unparkNews{reason: park.UnparkReason(u.Reason)}
	if !slices.Contains(unparkReasons, news.reason) {
		news.reason = park.Unknown
	}
	var uri sip.Uri
	if parseAddress(u.Target, &uri) == nil {
		news.target = Party{URI: plaintext.Line(addressOf(uri), 256), Display: plaintext.Line(u.Display, maxName)}
	}
	return news
}

// unparkNewsLocked ends a park that the service says is over. While a call of this endpoint is about to have it, it is
// for that call to say whether it has.
func (e *Endpoint) unparkNewsLocked(p *parkedCall, news unparkNews) {
	e.mu.Held()
	if p.taking > 0 && !p.over() {
		if p.news == nil {
			p.news = &news
		}
		return
	}
	e.unparkedLocked(p, news)
}

// takingLocked says that a call of this endpoint is about to have a parked one. nil is none.
func (p *parkedCall) takingLocked() {
	if p != nil {
		p.taking++
	}
}

// takenLocked says that a call has, or has not, got what is parked.
func (e *Endpoint) takenLocked(p *parkedCall, got bool, reason park.UnparkReason) {
	e.mu.Held()
	if p == nil {
		return
	}
	if got {
		e.unparkedLocked(p, unparkNews{reason: reason, target: e.self})
	}
	p.taking--
	if p.taking == 0 && p.news != nil && !p.over() {
		e.unparkedLocked(p, *p.news)
	}
}
