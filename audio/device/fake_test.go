package device

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"offhook/internal/media"
)

// fakeServer is a sound server with cards whose clocks are off, that can be pulled out, and that can die.
type fakeServer struct {
	name   string
	period int

	mu      sync.Mutex
	devices []media.Device
	dead    bool // nothing can be opened or listed, and what is open is silent
	frozen  bool // calls do not return
	cards   []*fakeCard
	opens   int
	lists   int     // how often Devices was asked
	slow    float64 // share of what a speaker does not take
	late    bool    // what a microphone hears comes later, all of it
}

type fakeCard struct {
	server  *fakeServer
	id      string
	capture bool
	period  int // that was asked for
	ppm     float64
	data    func([]int16)
	stopped chan struct{}
	end     chan struct{}
	done    sync.WaitGroup

	mu     sync.Mutex
	played []int16
}

var errDead = errors.New("connection refused")

func newFakeServer(devices ...media.Device) *fakeServer {
	return &fakeServer{name: "fake", period: 240, devices: devices}
}

func mic(id string) media.Device     { return media.Device{ID: id, Name: "The " + id, Capture: true} }
func speaker(id string) media.Device { return media.Device{ID: id, Name: "The " + id} }

func (s *fakeServer) Name() string { return s.name }

func (s *fakeServer) wait(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen {
		s.mu.Unlock()
		<-ctx.Done()
		s.mu.Lock()
		return ctx.Err()
	}
	if s.dead {
		return errDead
	}
	return nil
}

func (s *fakeServer) Devices(ctx context.Context) ([]media.Device, error) {
	s.set(func() { s.lists++ })
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.devices), nil
}

func (s *fakeServer) Open(ctx context.Context, id string, capture bool, period int, data func([]int16)) (Card, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.devices, func(d media.Device) bool { return d.Capture == capture && (d.ID == id || id == "") }) {
		return nil, errors.New("no such device")
	}
	c := &fakeCard{server: s, id: id, capture: capture, period: period, data: data, stopped: make(chan struct{}, 1), end: make(chan struct{})}
	if !capture {
		c.ppm = playbackPPM
	}
	s.opens++
	s.cards = append(s.cards, c)
	c.done.Go(c.run)
	return c, nil
}

// playbackPPM is how much faster the clock of a speaker is than that of a microphone.
const playbackPPM = 200

// run is the card's thread: a tone in, samples out.
func (c *fakeCard) run() {
	buf := make([]int16, c.server.period)
	next := time.Now()
	phase, lag := 0.0, 0.0
	var held []int16
	for {
		next = next.Add(time.Duration(float64(time.Second) * float64(len(buf)) / Rate / (1 + c.ppm/1e6)))
		select {
		case <-c.end:
			return
		case <-time.After(time.Until(next)):
		}
		c.server.mu.Lock()
		dead, slow, late := c.server.dead, c.server.slow, c.server.late
		c.server.mu.Unlock()
		if dead {
			continue
		}
		if c.capture {
			for i := range buf {
				buf[i] = int16(10000 * math.Sin(2*math.Pi*phase))
				phase += 500.0 / Rate
			}
			if held = append(held, buf...); !late {
				c.data(held)
				held = held[:0]
			}
			continue
		}
		if lag += slow; lag >= 1 {
			lag--
			continue
		}
		c.data(buf)
		c.mu.Lock()
		c.played = append(c.played, buf...)
		c.mu.Unlock()
	}
}

func (c *fakeCard) take() []int16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.played
	c.played = nil
	return p
}

func (c *fakeCard) Close() error {
	close(c.end)
	c.done.Wait()
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.cards = slices.DeleteFunc(c.server.cards, func(o *fakeCard) bool { return o == c })
	return nil
}

func (c *fakeCard) Latency() time.Duration   { return 5 * time.Millisecond }
func (c *fakeCard) Stopped() <-chan struct{} { return c.stopped }

// open finds the cards that are open now.
func (s *fakeServer) open(capture bool) []*fakeCard {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*fakeCard
	for _, c := range s.cards {
		if c.capture == capture {
			found = append(found, c)
		}
	}
	return found
}

func (s *fakeServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// bench is a hub with an engine that plays a tone and keeps what it hears.
type bench struct {
	*Hub
	t *testing.T

	mu    sync.Mutex
	told  []Trouble
	heard []int16

	phase   float64
	longest time.Duration
}

func newBench(t *testing.T, sel media.Selection, backends ...Backend) *bench {
	t.Helper()
	b := &bench{t: t}
	h, err := Open(sel, Options{Backends: backends, Clock: TimerClock(), Told: func(x Trouble) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.told = append(b.told, x)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	b.Hub = h
	return b
}

// run exchanges blocks for a while and returns how many there were.
func (b *bench) run(d time.Duration) int {
	b.t.Helper()
	return b.runWith(d, func() {})
}

func (b *bench) runWith(d time.Duration, each func()) int {
	b.t.Helper()
	in, out := make([]int16, BlockSize), make([]int16, BlockSize)
	b.heard, b.longest = b.heard[:0], 0
	n := 0
	for start, last := time.Now(), time.Now(); time.Since(start) < d; n++ {
		b.tone(out)
		each()
		if err := b.Exchange(in, out); err != nil {
			b.t.Fatal(err)
		}
		b.longest = max(b.longest, time.Since(last))
		last = time.Now()
		b.heard = append(b.heard, in...)
	}
	return n
}

// tone is 440 Hz with an amplitude of 8000.
func (b *bench) tone(out []int16) {
	for i := range out {
		out[i] = int16(8000 * math.Sin(2*math.Pi*b.phase))
		b.phase += 440.0 / Rate
	}
}

// kinds lists what was told since the last call.
func (b *bench) kinds() []TroubleKind {
	b.mu.Lock()
	defer b.mu.Unlock()
	var kinds []TroubleKind
	for _, x := range b.told {
		kinds = append(kinds, x.Kind)
		b.t.Logf("told: %s", x.Text)
	}
	b.told = nil
	return kinds
}

func (b *bench) expect(kinds ...TroubleKind) {
	b.t.Helper()
	if got := b.kinds(); !slices.Equal(got, kinds) {
		b.t.Errorf("told %v, want %v", got, kinds)
	}
}

// roughness is the greatest second difference: a click is a step that no tone makes.
func roughness(pcm []int16) int {
	worst := 0
	for i := 2; i < len(pcm); i++ {
		d := int(pcm[i]) - 2*int(pcm[i-1]) + int(pcm[i-2])
		worst = max(worst, d, -d)
	}
	return worst
}

// loudness is levelAt where the clock is being corrected, so that phases do not fit over a long time.
func loudness(pcm []int16, hz float64) float64 {
	const frame = Rate / 10
	sum, n := 0.0, 0
	for ; len(pcm) >= frame; pcm = pcm[frame:] {
		sum += levelAt(pcm[:frame], hz)
		n++
	}
	return sum / float64(max(n, 1))
}
