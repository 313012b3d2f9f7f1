package device

import "time"

// grace is how long a card that leads may be late before silence stands in for it. Sound servers stop for some tens of
// milliseconds when streams come and go.
const grace = 70 * time.Millisecond

// maxBacklog is what the microphone may have collected while the engine was late. It is 200 ms, as for a beat.
const maxBacklog = Rate / 5

// beats is what the engine's goroutine remembers between blocks.
type beats struct {
	beat   beat
	timer  *time.Timer
	dark   bool // silence stands in for the card that leads
	opened int  // of the route when the microphone was rewound
	rings  bool // ring is to be mixed into the next block
	ring   [BlockSize]int16
	mixed  [BlockSize]int16
}

func (b *beats) init() {
	b.timer = time.NewTimer(time.Hour)
	b.timer.Stop()
}

// Exchange gives out to the speaker, fills in from the microphone, and returns when the next block is due. While nothing
// is in use it waits. It fails only after Close.
func (h *Hub) Exchange(in, out []int16) error {
	h.give(out)
	b := &h.beats
	for {
		r := h.route.Load()
		var due bool
		switch {
		case r.closed:
			return ErrClosed
		case r.need == 0:
			<-r.changed
			b.beat, b.dark = beat{}, false
		case r.capture != nil:
			due = b.led(r, &r.capture.line, func() bool { return r.capture.ring.Len() >= BlockSize })
		case r.playback != nil:
			due = b.led(r, &r.playback.line, r.playback.Due)
		default:
			due = h.free(r)
		}
		if due {
			b.take(r, in, out)
			return nil
		}
	}
}

// give hands a block to the speaker.
func (h *Hub) give(block []int16) {
	h.swap.Lock()
	defer h.swap.Unlock()
	r, b := h.route.Load(), &h.beats
	if b.rings {
		b.rings = false
		for i, v := range block {
			b.mixed[i] = clamp(float64(v) + float64(b.ring[i]))
		}
		block = b.mixed[:]
	}
	switch {
	case r.need&Speaker == 0:
	case r.playback != nil:
		r.playback.Put(block, r.capture == nil)
	case r.sink != nil:
		r.sink.Write(block)
	}
}

// Ring plays a block on the ringers, which are opened by that. They are released some seconds after the last one.
func (h *Hub) Ring(block []int16) {
	h.rang.Store(int64(time.Since(h.start)))
	h.swap.Lock()
	defer h.swap.Unlock()
	r, b := h.route.Load(), &h.beats
	if !r.ringing {
		h.nudge()
	}
	for _, p := range r.ringers {
		p.Put(block, false)
	}
	for _, s := range r.ringTo {
		s.Write(block)
	}
	if r.mixRing && r.playback != nil {
		b.rings = true
		copy(b.ring[:], block)
	}
}

// led waits for the card that leads. It reports false when the route has changed.
func (b *beats) led(r *route, l *line, ready func() bool) bool {
	for !ready() {
		now := time.Now()
		deadline := b.beat.due(now)
		if !b.dark {
			deadline = deadline.Add(grace)
		}
		b.timer.Reset(deadline.Sub(now))
		select {
		case <-l.signal:
		case <-r.changed:
			return false
		case <-b.timer.C:
			b.dark = true
			b.beat.done()
			return true
		}
	}
	if r.capture != nil && (b.dark || l.ring.Len() > maxBacklog) {
		// Silence has been heard in place of what was late.
		l.ring.Drop(BlockSize)
	}
	b.dark = false
	b.beat.restart(time.Now())
	return true
}

// free waits for the clock. It reports false when the route has changed.
func (h *Hub) free(r *route) bool {
	b := &h.beats
	for {
		now := time.Now()
		at := b.beat.due(now)
		if !now.Before(at) {
			b.beat.done()
			return true
		}
		h.clock.Sleep(at)
		if h.route.Load() != r {
			return false
		}
	}
}

// take fills a block from the microphone.
func (b *beats) take(r *route, in, out []int16) {
	switch {
	case r.need&Microphone == 0:
		clear(in)
	case r.source != nil:
		if b.opened != r.opened {
			b.opened = r.opened
			r.source.Rewind()
		}
		r.source.Read(in, out)
	case r.capture != nil && !b.dark:
		r.capture.ring.Read(in)
	default:
		clear(in)
	}
}
