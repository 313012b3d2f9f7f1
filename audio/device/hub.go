package device

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"offhook/internal/media"
)

// Hub is a Duplex that survives unplugged devices and dead sound servers. Exchange and Ring belong to the engine's
// goroutine, the other methods to any.
type Hub struct {
	// Immutable.
	log      *slog.Logger
	tell     func(Trouble)
	backends []Backend
	clock    Clock
	start    time.Time
	cancel   context.CancelFunc
	wake     chan struct{} // capacity 1; the keeper has something to do
	done     sync.WaitGroup

	route atomic.Pointer[route] // replaced under mu and swap
	rang  atomic.Int64          // when Ring was last called, since start; 0 for never

	// swap is held by the engine while it gives a block away, and while the route is replaced: what the old route wrote to
	// can be closed after that.
	swap sync.Mutex

	mu       sync.Mutex
	sel      media.Selection   // Guarded by mu.
	need     Need              // Guarded by mu.
	opened   int               // how often the microphone was needed anew. Guarded by mu.
	source   source            // nil: a card. Guarded by mu.
	sink     sink              // nil: a card. Guarded by mu.
	ringTo   []sink            // ringers that are files. Guarded by mu.
	watchers []chan<- struct{} // of the list of devices. Guarded by mu.
	closed   bool              // Guarded by mu.
	cards    cards             // Guarded by mu, changed by the keeper only.

	keeper keeper // Owned by keep.
	beats  beats  // Owned by the engine.
}

// cards are the lines of the cards that are open.
type cards struct {
	capture  *listener
	playback *player
	ringers  []*player
	ringing  bool
	latency  [2]time.Duration // of capture and playback
	inUse    []string         // ids
}

// route is where blocks go. It is never changed, but replaced.
type route struct {
	changed chan struct{} // closed when another route is in force
	closed  bool
	need    Need
	opened  int
	source  source
	sink    sink
	ringTo  []sink
	mixRing bool // the speaker is a ringer
	cards
}

// Open makes a hub of the selected devices. Nothing is opened before Use but files: a name that is wrong is told here.
func Open(sel media.Selection, opt Options) (*Hub, error) {
	ctx, cancel := context.WithCancel(context.Background())
	h := &Hub{
		log: opt.Logger, tell: opt.Told, backends: opt.Backends, clock: opt.Clock,
		start: time.Now(), cancel: cancel, wake: make(chan struct{}, 1),
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.tell == nil {
		h.tell = func(Trouble) {}
	}
	if h.clock == nil {
		h.clock = NewClock()
	}
	h.route.Store(&route{changed: make(chan struct{})})
	h.beats.init()
	merged := merge(media.Selection{Capture: nameDefault, Playback: nameDefault}, sel)
	if err := h.apply(merged); err != nil {
		cancel()
		return nil, errors.Join(err, h.clock.Close())
	}
	h.done.Go(func() { h.keep(ctx) })
	return h, nil
}

// merge puts what b says over a.
func merge(a, b media.Selection) media.Selection {
	if b.Capture != "" {
		a.Capture = b.Capture
	}
	if b.Playback != "" {
		a.Playback = b.Playback
	}
	if b.Ringers != nil {
		a.Ringers = slices.Clone(b.Ringers)
	}
	return a
}

// Select changes to other devices, also while they are in use. A sound card that is named has to be there.
func (h *Hub) Select(sel media.Selection) error {
	if err := h.check(sel); err != nil {
		return err
	}
	return h.apply(merge(h.Selection(), sel))
}

// apply opens the virtual devices of a selection and puts it into force.
func (h *Hub) apply(sel media.Selection) error {
	h.mu.Lock()
	old := h.sel
	h.mu.Unlock()
	var (
		src    source
		dst    sink
		ringTo []sink
		err    error
	)
	if isVirtual(sel.Capture) && sel.Capture != old.Capture {
		if src, err = newSource(sel.Capture); err != nil {
			return err
		}
	}
	if isVirtual(sel.Playback) && sel.Playback != old.Playback {
		if dst, err = newSink(sel.Playback); err != nil {
			return err
		}
	}
	sameRingers := slices.Equal(sel.Ringers, old.Ringers)
	if !sameRingers {
		if ringTo, err = newSinks(sel.Ringers); err != nil {
			if dst != nil {
				err = errors.Join(err, dst.Close())
			}
			return err
		}
	}

	h.mu.Lock()
	var gone []sink
	if sel.Capture != old.Capture {
		h.source = src
		h.opened++
	}
	if sel.Playback != old.Playback {
		gone, h.sink = append(gone, h.sink), dst
	}
	if !sameRingers {
		gone, h.ringTo = append(gone, h.ringTo...), ringTo
	}
	h.sel = sel
	h.publishLocked()
	h.mu.Unlock()
	h.nudge()
	if err := closeSinks(gone); err != nil {
		h.log.Warn("a speaker that is a file was not written to its end", "err", err)
	}
	return nil
}

func newSinks(names []string) ([]sink, error) {
	var all []sink
	for _, name := range names {
		if !isVirtual(name) {
			continue
		}
		s, err := newSink(name)
		if err != nil {
			return nil, errors.Join(err, closeSinks(all))
		}
		all = append(all, s)
	}
	return all, nil
}

func closeSinks(all []sink) error {
	var errs []error
	for _, s := range all {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// publishLocked puts a route into force that follows from what h knows now. It requires mu.
func (h *Hub) publishLocked() {
	r := &route{
		changed: make(chan struct{}), closed: h.closed, need: h.need, opened: h.opened, source: h.source, sink: h.sink,
		ringTo: h.ringTo, cards: h.cards,
	}
	r.mixRing = h.sink == nil && (len(h.sel.Ringers) == 0 || slices.Contains(h.sel.Ringers, h.sel.Playback))
	if r.need&Microphone == 0 || r.source != nil {
		r.capture = nil
	}
	if r.need&Speaker == 0 || r.sink != nil {
		r.playback = nil
	}
	h.swap.Lock()
	old := h.route.Swap(r)
	h.swap.Unlock()
	close(old.changed)
	h.clock.Wake()
}

// Use says which devices have to be open from now on; with none Exchange waits. It returns at once, the devices are
// opened behind it.
func (h *Hub) Use(n Need) {
	if h.route.Load().need == n {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.need == n {
		return
	}
	if n&^h.need&Microphone != 0 {
		h.opened++
	}
	h.need = n
	h.publishLocked()
	h.nudge()
}

// Watch looks for new devices although none is in use, until ctx ends: a device chooser is open. changed, which should have
// room for one, is sent to at once, and again when Devices would tell something else.
func (h *Hub) Watch(ctx context.Context, changed chan<- struct{}) {
	h.mu.Lock()
	h.watchers = append(h.watchers, changed)
	h.tellWatchersLocked()
	h.mu.Unlock()
	h.nudge()
	<-ctx.Done()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers = slices.DeleteFunc(h.watchers, func(o chan<- struct{}) bool { return o == changed })
}

// tellWatchersLocked says that the list of devices is another one now. It requires mu.
func (h *Hub) tellWatchersLocked() {
	for _, w := range h.watchers {
		select {
		case w <- struct{}{}:
		default: // it is told already, and has not looked yet
		}
	}
}

// Selection is what was selected, by the names that were given.
func (h *Hub) Selection() media.Selection {
	h.mu.Lock()
	defer h.mu.Unlock()
	return merge(h.sel, media.Selection{Ringers: h.sel.Ringers})
}

// Microphone reports whether a sound card is listened to, and not a file or a generator.
func (h *Hub) Microphone() bool { return h.route.Load().source == nil }

// Latency estimates how long sound takes from the air to a block, and from a block into the air.
func (h *Hub) Latency() (capture, playback time.Duration) {
	r := h.route.Load()
	if r.capture != nil {
		// On average a sample waits for half a block until its own is complete.
		capture = r.latency[0] + BlockTime/2
	}
	if r.playback != nil {
		playback = r.latency[1] + duration(max(r.playback.ring.Len(), 0))
	}
	return capture, playback
}

func duration(samples int) time.Duration { return time.Duration(samples) * time.Second / Rate }

// Close releases everything. An Exchange that waits returns ErrClosed.
func (h *Hub) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed, h.need = true, 0
	sinks := append(slices.Clone(h.ringTo), h.sink)
	h.publishLocked()
	h.mu.Unlock()
	h.cancel()
	h.done.Wait()
	if err := errors.Join(closeSinks(sinks), h.clock.Close()); err != nil {
		return fmt.Errorf("device: %w", err)
	}
	return nil
}

// nudge makes the keeper look.
func (h *Hub) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}
