package session

import (
	"context"
	"time"

	"offhook/internal/media"
)

const (
	// busyTone and hangupTone are how long the tones after a call are played.
	busyTone   = 4 * time.Second
	hangupTone = 600 * time.Millisecond
)

// tones decides what the user hears beside the calls. Of all that could be played it is one at a time.
type tones struct {
	wake chan struct{} // Immutable; capacity 1.

	// Guarded by the endpoint's mu: what is played after a call, and until when.
	after media.Tone
	until time.Time
}

func (t *tones) init() { t.wake = make(chan struct{}, 1) }

func (t *tones) wakeUp() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// afterLocked plays a tone because a call has ended.
func (t *tones) afterLocked(tone media.Tone, d time.Duration) {
	t.after, t.until = tone, time.Now().Add(d)
	t.wakeUp()
}

// toneLocked is what is to be heard now. A call that comes in is told before anything else, and what a past call leaves
// is not worth disturbing another one.
func (e *Endpoint) toneLocked() (tone media.Tone, until time.Time) {
	e.mu.Held()
	var incoming, ringback, busy bool
	for _, c := range e.audioLocked() {
		switch {
		case c.state == Incoming:
			incoming = incoming || c.offer != nil
		case c.dir == Outbound && c.state == Establishing:
			busy = true
			// RFC 3960 §3.2: ours, until theirs is really heard. Many promise early media and send none.
			ringback = ringback || c.rang && !(c.early && c.told.Heard)
		case c.state == Establishing || live(c.state):
			busy = true
		}
	}
	switch {
	case incoming && busy:
		return media.CallWaiting, time.Time{}
	case incoming:
		return media.Ring, time.Time{}
	case ringback:
		return media.Ringback, time.Time{}
	case !busy && time.Now().Before(e.tones.until):
		return e.tones.after, e.tones.until
	}
	return media.NoTone, time.Time{}
}

// runTones has the media engine play what is to be heard.
func (e *Endpoint) runTones(ctx context.Context) {
	e.mu.Blocking()
	now := media.NoTone
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		e.mu.Lock()
		tone, until := e.toneLocked()
		e.mu.Unlock()
		if ctx.Err() != nil {
			tone = media.NoTone
		}
		if tone != now {
			e.cfg.Media.Ring(tone)
			now = tone
		}
		if ctx.Err() != nil {
			return
		}
		timer.Stop()
		if !until.IsZero() {
			timer.Reset(time.Until(until))
		}
		select {
		case <-e.tones.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// toneOf is what a caller hears of a call that was not answered.
func toneOf(code int) media.Tone {
	switch code {
	case 486, 600, 603:
		return media.Busy
	case 487: // given up here
		return media.NoTone
	}
	return media.Congestion
}
