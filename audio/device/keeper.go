package device

import (
	"context"
	"slices"
	"time"

	"offhook/internal/media"
)

const (
	// watchPeriod is how often the keeper looks whether cards still call.
	watchPeriod = 250 * time.Millisecond
	// silenceLimit is how long a card may be silent before it is held for dead: a second, and at the beginning two.
	silenceLimit, beginLimit = time.Second, 2 * time.Second
	// pollPeriod is how often the list of devices is read while somebody cares. No backend tells when it changes.
	pollPeriod = 2 * time.Second
	// retryPeriod is how long it takes until a device that could not be opened is tried again.
	retryPeriod = 2 * time.Second
	// restartTime is how long a sound server that worked may take to come back before another backend is tried. A card that we
	// took from under it would keep the server from getting it again.
	restartTime = 10 * time.Second
	// ringRest is how long ringers stay open after a block: pauses of the cadence are shorter.
	ringRest = 6 * time.Second
	// openLimit bounds what one call of a backend may take.
	openLimit = 3 * time.Second
)

// keeper opens cards, watches them, and finds others for those that fail.
type keeper struct {
	capture, playback role
	ringers           []*role
	list              []media.Device
	listed            bool // list is what was read last; nothing could be read otherwise
	polled            time.Time
	backend           Backend // that worked last
	period            int     // samples that a speaker takes at a time
	lost              time.Time
}

// keep is the keeper's goroutine.
func (h *Hub) keep(ctx context.Context) {
	k := &h.keeper
	k.capture.purpose, k.playback.purpose = "microphone", "speaker"
	k.period = minPeriod
	for {
		pause := h.look(ctx)
		var after <-chan time.Time
		if pause > 0 {
			after = time.After(pause)
		}
		select {
		case <-ctx.Done():
			h.release()
			return
		case <-h.wake:
		case <-after:
		}
	}
}

// wish is what the keeper has to see to.
type wish struct {
	capture, playback string // "" for none
	ringers           []string
	ringing, watching bool
}

func (h *Hub) wish() wish {
	h.mu.Lock()
	defer h.mu.Unlock()
	var w wish
	if h.need&Microphone != 0 && h.source == nil {
		w.capture = h.sel.Capture
	}
	if h.need&Speaker != 0 && h.sink == nil {
		w.playback = h.sel.Playback
	}
	w.watching = len(h.watchers) > 0
	rang := h.rang.Load()
	w.ringing = h.need&Ringers != 0 || h.need != 0 && rang != 0 && time.Since(h.start)-time.Duration(rang) < ringRest
	if !w.ringing {
		return w
	}
	names := h.sel.Ringers
	if len(names) == 0 {
		names = []string{h.sel.Playback}
	}
	for _, name := range names {
		if !isVirtual(name) && name != w.playback && !slices.Contains(w.ringers, name) {
			w.ringers = append(w.ringers, name)
		}
	}
	return w
}

// look brings what is open in step with what is wanted. It returns when to look again, 0 for not before something changes.
func (h *Hub) look(ctx context.Context) time.Duration {
	k := &h.keeper
	w := h.wish()
	k.wantRingers(h, w.ringers)
	h.want(&k.capture, w.capture)
	h.want(&k.playback, w.playback)
	wanted := slices.DeleteFunc(k.roles(), func(r *role) bool { return r.name == "" })

	for _, r := range wanted {
		h.watch(r)
	}
	if (len(wanted) > 0 || w.watching) && time.Since(k.polled) >= pollPeriod {
		h.poll(ctx, wanted)
	}
	for _, r := range wanted {
		if r.card == nil && !time.Now().Before(r.retry) {
			h.find(ctx, r)
			h.publish(w.ringing) // one after the other: the first one need not wait for the second
		}
	}
	h.publish(w.ringing)
	switch {
	case len(wanted) > 0 || w.ringing:
		return watchPeriod
	case w.watching:
		return pollPeriod
	}
	return 0
}

func (k *keeper) roles() []*role { return append([]*role{&k.capture, &k.playback}, k.ringers...) }

// want changes what a role is for. A card that is not wanted any more is closed.
func (h *Hub) want(r *role, name string) {
	if r.name == name {
		return
	}
	h.close(r)
	*r = role{purpose: r.purpose, name: name}
	if name == "" && !r.capture() {
		h.keeper.period = max(h.keeper.period/2, minPeriod) // the next call may find the machine less busy
	}
}

func (k *keeper) wantRingers(h *Hub, names []string) {
	k.ringers = slices.DeleteFunc(k.ringers, func(r *role) bool {
		if slices.Contains(names, r.name) {
			return false
		}
		h.close(r)
		return true
	})
	for _, name := range names {
		if !slices.ContainsFunc(k.ringers, func(r *role) bool { return r.name == name }) {
			k.ringers = append(k.ringers, &role{purpose: "ringer", name: name})
		}
	}
}

// close releases the card of a role. The engine is told first, so that it does not wait for a card that is gone.
func (h *Hub) close(r *role) {
	if r.card == nil {
		return
	}
	card := r.card
	r.card, r.line, r.heard, r.player = nil, nil, nil, nil
	h.publish(h.route.Load().ringing)
	if err := card.Close(); err != nil {
		h.log.Warn("sound card was not released", "device", title(r.device), "err", err)
	}
}

// publish tells the engine which cards are open, if that has changed.
func (h *Hub) publish(ringing bool) {
	k := &h.keeper
	c := cards{ringing: ringing, playback: k.playback.player}
	if k.capture.card != nil {
		c.capture = k.capture.heard
		c.latency[0] = k.capture.card.Latency()
	}
	if k.playback.card != nil {
		c.latency[1] = k.playback.card.Latency()
	}
	for _, r := range k.roles() {
		if r.card != nil {
			c.inUse = append(c.inUse, r.device.ID)
		}
	}
	for _, r := range k.ringers {
		if r.player != nil {
			c.ringers = append(c.ringers, r.player)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.cards
	if old.capture == c.capture && old.playback == c.playback && old.ringing == c.ringing && slices.Equal(old.ringers, c.ringers) {
		return
	}
	h.cards = c
	h.publishLocked()
	h.tellWatchersLocked() // of what is in use
}
