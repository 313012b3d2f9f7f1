package device

import (
	"context"
	"errors"
	"fmt"
	"time"

	"offhook/internal/media"
)

// role is a card that is wanted: the microphone, the speaker, or one of the ringers.
type role struct {
	purpose string // as a sentence says it
	name    string // as selected; "" while it is not wanted
	card    Card   // nil while there is none
	backend Backend
	device  media.Device // that is open
	standIn bool         // it is another one than was selected
	told    told
	retry   time.Time
	line    *line
	heard   *listener // of the microphone
	player  *player   // of the others
	total   int64     // of the line, when it was looked at
	alive   time.Time // when that had grown
	pace    pace
}

// told is what is known outside about a role.
type told int

const (
	asSelected told = iota
	byStandIn
	byNone
)

var errSilent = errors.New("the device has stopped without a word")

// watch looks whether a card still lives.
func (h *Hub) watch(r *role) {
	if r.card == nil {
		return
	}
	now := time.Now()
	select {
	case <-r.card.Stopped():
		h.fail(r, errors.New("the device has stopped"))
		return
	default:
	}
	limit := silenceLimit
	if r.total == 0 {
		limit = beginLimit
	}
	total := r.line.total.Load()
	switch {
	case total != r.total:
		r.total, r.alive = total, now
	case now.Sub(r.alive) > limit:
		h.fail(r, errSilent)
		return
	}
	if starved := r.pace.look(now, total); starved && r.player != nil && h.keeper.period < maxPeriod {
		h.keeper.period *= 2
		h.log.Info("speaker takes too little, so it gets longer periods", "device", title(r.device), "period", duration(h.keeper.period))
		h.close(r)
		r.retry = time.Time{}
	}
}

// The periods of a speaker, in samples. Short ones make for little delay: through PulseAudio, 5 ms less with 5 than with
// 10 ms. A machine that is too busy for them lets the sound server run dry, which nobody reports; but it then takes less than
// real time needs.
const (
	minPeriod = Rate * 5 / 1000
	maxPeriod = Rate * 20 / 1000
)

// pace watches whether a card takes what a clock says.
type pace struct {
	since   time.Time
	total   int64
	starved int
}

// Only starvation lasts for three periods: a stall is shorter than one, but may fall into two.
const (
	pacePeriod     = 3 * time.Second
	starvedPeriods = 3
)

// look reports that the card has been starved for a while. total is what it has taken so far. Clocks of sound cards are off
// by less than a thousandth.
func (p *pace) look(now time.Time, total int64) bool {
	passed := now.Sub(p.since)
	if passed < pacePeriod {
		return false
	}
	expected := int64(passed) * Rate / int64(time.Second)
	missing := expected - (total - p.total)
	first := p.since.IsZero()
	p.since, p.total = now, total
	switch {
	case first:
	case missing > expected/400:
		p.starved++
	default:
		p.starved = 0
	}
	return p.starved >= starvedPeriods
}

// fail gives a card up. Its place is filled at once, if that is possible.
func (h *Hub) fail(r *role, err error) {
	h.log.Warn("sound card lost", "purpose", r.purpose, "device", title(r.device), "err", err)
	h.keeper.lost = time.Now()
	h.close(r)
	r.retry = time.Time{}
}

// release closes everything.
func (h *Hub) release() {
	for _, r := range h.keeper.roles() {
		h.close(r)
	}
}

// find opens a card for a role: the one that was selected, or the next best.
func (h *Hub) find(ctx context.Context, r *role) {
	k := &h.keeper
	if len(h.backends) == 0 {
		h.none(r, errors.New("this build knows no sound cards"))
		return
	}
	var errs []error
	for t := range h.targets(ctx, r) {
		var next role
		data := next.newEnd(r.capture())
		ctx, cancel := context.WithTimeout(ctx, openLimit)
		period := minPeriod
		if !r.capture() {
			period = k.period
		}
		card, err := t.backend.Open(ctx, t.device.ID, r.capture(), period, data)
		cancel()
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t.backend.Name(), err))
			if errors.Is(err, context.DeadlineExceeded) {
				break // others will not answer either
			}
			continue
		}
		r.card, r.backend, r.device, r.standIn = card, t.backend, t.device, t.standIn
		r.line, r.heard, r.player = next.line, next.heard, next.player
		r.total, r.alive, r.pace = 0, time.Now(), pace{}
		k.backend = t.backend
		h.log.Info("sound card opened", "purpose", r.purpose, "device", title(t.device), "backend", t.backend.Name())
		h.tellOpened(r)
		return
	}
	h.none(r, errors.Join(errs...))
}

// tellOpened tells which card is used, if that is news.
func (h *Hub) tellOpened(r *role) {
	now := asSelected
	if r.standIn {
		now = byStandIn
	}
	if now == r.told {
		return
	}
	r.told = now
	if r.standIn {
		text := fmt.Sprintf("%s: %s is not there; %s is used instead", r.purpose, r.title(), title(r.device))
		h.tell(Trouble{Moved, r.device, text, nil})
		return
	}
	h.tell(Trouble{Back, r.device, fmt.Sprintf("%s: %s works again", r.purpose, title(r.device)), nil})
}

// none tells, once, that there is no card for a role.
func (h *Hub) none(r *role, err error) {
	r.retry = time.Now().Add(retryPeriod)
	if r.told == byNone {
		return
	}
	r.told = byNone
	h.log.Warn("no sound card", "purpose", r.purpose, "err", err)
	text := "microphone: none works; the others hear silence until one does"
	if !r.capture() {
		text = r.purpose + ": none works; nothing is heard until one does"
	}
	h.tell(Trouble{Lost, media.Device{ID: r.name, Name: r.title(), Capture: r.capture()}, text, err})
}
