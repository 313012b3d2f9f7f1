package audio

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offhook/audio/device"
	"offhook/audio/echo"
	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/testkit/sound"
	"offhook/internal/vnet"
)

// fakeDevice plays and captures in the time of a bubble.
type fakeDevice struct {
	mic  func(at int, block []int16) // at is the index of the first sample; nil is silence
	real bool                        // it is a microphone

	next time.Time // Owned by Run.
	at   int       // Owned by Run.

	mu    sync.Mutex
	heard []int16     // Guarded by mu.
	rung  []int16     // Guarded by mu.
	need  device.Need // Guarded by mu.
}

func (d *fakeDevice) Use(n device.Need) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.need = n
}

func (d *fakeDevice) Exchange(in, out []int16) error {
	d.mu.Lock()
	d.heard = append(d.heard, out...)
	need := d.need
	d.mu.Unlock()
	if need == 0 {
		return errors.New("a device that is not in use would wait for ever")
	}
	if d.next.Before(time.Now().Add(-blockTime)) {
		d.next = time.Now()
	}
	d.next = d.next.Add(blockTime)
	time.Sleep(time.Until(d.next))
	clear(in)
	if d.mic != nil {
		d.mic(d.at, in)
	}
	d.at += len(in)
	return nil
}

func (d *fakeDevice) Ring(block []int16) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rung = append(d.rung, block...)
}

func (d *fakeDevice) Microphone() bool                                { return d.real }
func (d *fakeDevice) Devices(context.Context) ([]media.Device, error) { return nil, nil }
func (d *fakeDevice) Watch(context.Context, chan<- struct{})          {}
func (d *fakeDevice) Select(media.Selection) error                    { return nil }
func (d *fakeDevice) Selection() media.Selection                      { return media.Selection{} }
func (d *fakeDevice) Latency() (capture, playback time.Duration) {
	return 5 * time.Millisecond, 5 * time.Millisecond
}
func (d *fakeDevice) Close() error { return nil }

// last is what was heard in the last while.
func (d *fakeDevice) last(while time.Duration) []int16 {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := int(while * Rate / time.Second)
	return append([]int16(nil), d.heard[len(d.heard)-n:]...)
}

// tone is a microphone that hears nothing but a tone of -12 dB below full scale.
func tone(hz float64) func(int, []int16) {
	return func(at int, block []int16) {
		for i := range block {
			block[i] = int16(math.Round(8192 * math.Sin(2*math.Pi*hz*float64(at+i)/Rate)))
		}
	}
}

// toneLevel12 is the level of such a tone.
var toneLevel12 = sound.Level(sound.Sine(1000, 0.25, Rate, Rate))

// world is a bubble with a network.
type world struct {
	*testing.T
	net *vnet.Net
	ctx context.Context
}

// inWorld runs a test in a bubble; what it has opened is closed at the end.
func inWorld(t *testing.T, f func(w *world), opts ...vnet.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f(&world{T: t, net: vnet.New(opts...), ctx: ctx})
	})
}

// party is an engine with its device, at an address of its own.
type party struct {
	*Engine
	dev  *fakeDevice
	addr netip.Addr
}

func (w *world) party(host string, mic func(int, []int16), codecs ...string) *party {
	w.Helper()
	dev := &fakeDevice{mic: mic}
	e, err := New(Config{Device: dev, Codecs: codecs, Processing: echo.Config{}, ListenPacket: w.net.ListenPacket})
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Run(ctx); err != nil {
			w.Error(err)
		}
	}()
	w.Cleanup(func() {
		if err := e.Close(); err != nil {
			w.Error(err)
		}
		cancel()
		<-done
	})
	return &party{e, dev, netip.MustParseAddr(host)}
}

// leg is one side of a call.
type leg struct {
	*Stream
	w      *world
	talk   *sdp.Negotiation
	mu     sync.Mutex
	events []media.Event // Guarded by mu.
}

func (w *world) leg(p *party, policy sdp.Policy) *leg {
	w.Helper()
	l := &leg{w: w}
	s, err := p.Open(w.ctx, media.Options{Name: "call", Local: p.addr, Policy: policy, Told: func(ev media.Event) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.events = append(l.events, ev)
	}})
	if err != nil {
		w.Fatal(err)
	}
	l.Stream = s.(*Stream)
	l.talk = sdp.NewNegotiation(s.Local())
	return l
}

// told reports whether an event has been told, and its text.
func (l *leg) told(kind media.EventKind) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ev := range l.events {
		if ev.Kind == kind {
			return ev.Text, true
		}
	}
	return "", false
}

// agree makes one offer of a and answer of b, and puts them into force.
func (w *world) agree(a, b *leg, theirs, ours sdp.Direction) {
	w.Helper()
	offer, err := a.talk.Offer(theirs)
	if err != nil {
		w.Fatal(err)
	}
	answer, agreedB, err := b.talk.Answer(offer, ours)
	if err != nil {
		w.Fatal(err)
	}
	agreedA, err := a.talk.Accept(answer)
	if err != nil {
		w.Fatal(err)
	}
	if err := b.Apply(agreedB); err != nil {
		w.Fatal(err)
	}
	if err := a.Apply(agreedA); err != nil {
		w.Fatal(err)
	}
}

// call connects two parties.
func (w *world) call(a, b *party, policy sdp.Policy) (la, lb *leg) {
	w.Helper()
	la, lb = w.leg(a, policy), w.leg(b, policy)
	w.agree(la, lb, sdp.Both, sdp.Both)
	return la, lb
}

// hears checks that a device has heard a tone for the last second.
func (w *world) hears(name string, d *fakeDevice, hz float64) {
	w.Helper()
	f, level, ratio := sound.Tone(d.last(time.Second), Rate, hz)
	if math.Abs(f-hz) > 1 || math.Abs(level-toneLevel12) > 0.5 || ratio < 20 {
		w.Errorf("%s hears %.1f Hz at %.1f dBov, %.0f dB over the rest; want %.0f Hz at %.1f", name, f, level, ratio, hz, toneLevel12)
	}
}

// hearsNothing checks that a device has been silent for the last while.
func (w *world) hearsNothing(name string, d *fakeDevice, while time.Duration) {
	w.Helper()
	if level := sound.Level(d.last(while)); level > -70 {
		w.Errorf("%s hears something: %.1f dBov", name, level)
	}
}
