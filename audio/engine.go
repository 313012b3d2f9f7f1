package audio

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"offhook/audio/codec"
	"offhook/audio/device"
	"offhook/audio/echo"
	"offhook/audio/rtpconn"
	"offhook/internal/media"
)

const (
	// Rate is the sampling rate of the engine, in Hz.
	Rate = 48000
	// Block is the number of samples that the engine works on at a time: 10 ms.
	Block = Rate / 100
	// blockTime is the length of a block.
	blockTime = 10 * time.Millisecond
	// linger is how long the device stays open when nobody uses it any more: a call often follows the other.
	linger = 500 * time.Millisecond
	// stall is how late a block is when something has held up the program, and letIn how long packets that have piled up
	// meanwhile are then given to reach the jitter buffers.
	stall, letIn = 3 * time.Millisecond, 300 * time.Microsecond
)

// Device is a full-duplex sound device whose clock is the engine's clock. It is implemented by device.Hub.
type Device interface {
	// Use says which parts have to be open now. It returns at once; opening goes on behind it.
	Use(n device.Need)
	// Exchange gives out to the speaker, fills in from the microphone, and returns when the next block is due.
	Exchange(in, out []int16) error
	// Ring plays a block on the ringers.
	Ring(block []int16)
	// Microphone reports whether in comes from a microphone, and not from a file or a generator.
	Microphone() bool
	Devices(ctx context.Context) ([]media.Device, error)
	// Watch sends on changed at once and when Devices would tell something else, until ctx ends.
	Watch(ctx context.Context, changed chan<- struct{})
	Select(sel media.Selection) error
	Selection() media.Selection
	// Latency estimates how long sound takes from the air into in, and from out into the air.
	Latency() (capture, playback time.Duration)
	Close() error
}

// Config of an Engine. Device is required.
type Config struct {
	Device     Device
	Codecs     []string    // in order of preference; nil means all that are compiled in
	Processing echo.Config // of what a microphone hears
	Listen     netip.Addr  // where RTP is received; the zero address is the one that the call uses
	Ports      [2]uint16   // the range that ports are taken from; zero is any
	// RingTone is a WAV file to ring with; "" rings with our own.
	RingTone     string
	ListenPacket func(ctx context.Context, network, address string) (net.PacketConn, error)
	Logger       *slog.Logger
}

// Engine is the mixer that owns audio time.
type Engine struct {
	// Immutable.
	cfg         Config
	log         *slog.Logger
	codecs      []codec.Codec
	certificate *tls.Certificate
	fingerprint string
	now         func() time.Duration // the clock of the jitter buffers
	wake        chan struct{}        // capacity 1; somebody began to use the device

	streams atomic.Pointer[[]*Stream] // copied on write, under mu
	tones   tones
	levels  levels
	voice   *echo.Processor

	mu     sync.Mutex
	users  map[device.Need]int // who needs what: streams, tones, meters. Guarded by mu.
	closed bool                // Guarded by mu.

	mixer mixer // Owned by Run.
}

// New makes an engine. Nothing sounds before Run.
func New(cfg Config) (*Engine, error) {
	start := time.Now()
	e := &Engine{cfg: cfg, log: cfg.Logger, now: func() time.Duration { return time.Since(start) }, wake: make(chan struct{}, 1), users: map[device.Need]int{}}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.cfg.ListenPacket == nil {
		e.cfg.ListenPacket = (&net.ListenConfig{}).ListenPacket
	}
	var err error
	if e.codecs, err = selectCodecs(cfg.Codecs); err != nil {
		return nil, err
	}
	if err = e.tones.init(cfg.RingTone); err != nil {
		return nil, err
	}
	certificate, fingerprint, err := rtpconn.NewCertificate()
	if err != nil {
		return nil, fmt.Errorf("audio: certificate for DTLS: %w", err)
	}
	e.certificate, e.fingerprint = &certificate, fingerprint
	e.voice = echo.New(cfg.Processing)
	e.mixer.init()
	e.streams.Store(new([]*Stream))
	return e, nil
}

// selectCodecs finds codecs by name. One that cannot be encoded here is offered behind all others: the peer may then
// send with it, and we with another.
func selectCodecs(names []string) ([]codec.Codec, error) {
	all := codec.All
	if len(names) > 0 {
		all = nil
		for _, name := range names {
			c, ok := codec.Find(name)
			if !ok {
				return nil, fmt.Errorf("audio: codec %q is not known; there are %v", name, CodecNames())
			}
			all = append(all, c)
		}
	}
	var both, receiveOnly []codec.Codec
	for _, c := range all {
		if c.NewEncoder != nil {
			both = append(both, c)
		} else {
			receiveOnly = append(receiveOnly, c)
		}
	}
	if len(both) == 0 {
		return nil, errors.New("audio: none of these codecs can be sent by this build; add pcmu")
	}
	return append(both, receiveOnly...), nil
}

// CodecNames lists the codecs that are compiled in, best first.
func CodecNames() []string {
	var names []string
	for _, c := range codec.All {
		names = append(names, c.Name)
	}
	return names
}

// Run makes sound until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.wake:
		}
		err := e.sound(ctx)
		e.cfg.Device.Use(0)
		if err != nil {
			return fmt.Errorf("audio: %w", err)
		}
	}
}

// sound exchanges blocks with the device while somebody uses it.
func (e *Engine) sound(ctx context.Context) error {
	mic, speaker := make([]int16, Block), make([]int16, Block)
	need := e.need()
	if need == 0 { // who has woken us is gone already, and a device that is not in use lets nobody go on
		return nil
	}
	last := time.Now()
	for idle := time.Duration(0); idle < linger && ctx.Err() == nil; {
		if need != 0 {
			idle = 0
			e.cfg.Device.Use(need)
		} else {
			idle += blockTime
		}
		if err := e.cfg.Device.Exchange(mic, speaker); err != nil {
			return err
		}
		e.send(mic, speaker)
		// After a pause of the whole program both the device and the network have been waiting for us. The network goes
		// first: what it has brought is not to be made up.
		now := time.Now()
		if now.Sub(last) > blockTime+stall {
			time.Sleep(letIn)
		}
		last = now
		e.play(speaker)
		need = e.need()
	}
	return nil
}

// send does the first half of a block's work: mic is what was just captured, speaker what was just handed out. What is sent
// comes first, for its timing is what the other side hears as delay.
func (e *Engine) send(mic, speaker []int16) {
	if e.cfg.Device.Microphone() {
		e.voice.Process(mic, speaker)
	}
	e.levels.captured(mic)
	e.mixer.captured(mic)
	for _, s := range *e.streams.Load() {
		s.send(&e.mixer)
	}
}

// play does the second half: it writes what is to be handed out next.
func (e *Engine) play(speaker []int16) {
	e.mixer.play(*e.streams.Load(), e.now(), speaker)
	if ring := e.tones.next(speaker); ring != nil {
		e.cfg.Device.Ring(ring)
	}
	e.levels.played(speaker)
}

// use keeps a part of the device open until it is released.
func (e *Engine) use(n device.Need) (release func(), err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errClosed
	}
	e.users[n]++
	select {
	case e.wake <- struct{}{}:
	default:
	}
	return sync.OnceFunc(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.users[n]--
	}), nil
}

// need is what has to be open now.
func (e *Engine) need() (n device.Need) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for part, users := range e.users {
		if users > 0 {
			n |= part
		}
	}
	return n
}

var errClosed = errors.New("audio: the engine is closed")

// Close ends all streams. The device is closed by whoever opened it.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.Ring(media.NoTone)
	var errs []error
	for _, s := range *e.streams.Load() {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// add puts a stream among those that sound. Run reads the list without a lock, so it is replaced and never changed.
func (e *Engine) add(s *Stream) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errClosed
	}
	list := append(slices.Clone(*e.streams.Load()), s)
	e.streams.Store(&list)
	return nil
}

// remove takes it out.
func (e *Engine) remove(s *Stream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(*e.streams.Load()), func(o *Stream) bool { return o == s })
	e.streams.Store(&list)
}
