package music

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"offhook/audio/codec"
	"offhook/audio/resample"
)

// FrameTime is the length of a frame, and so of a packet.
const FrameTime = codec.DefaultPtime

// Rate is the sampling rate of music, in Hz.
const Rate = 48000

const frameSize = Rate * int(FrameTime/time.Millisecond) / 1000

// opusBitrate is more than the default music needs; other music may have all frequencies (RFC 7587 §3.1.1 recommends 48 to
// 64 kb/s for such, 28 to 40 for speech).
const opusBitrate = 40000

// Errors of Listen.
var (
	ErrCodec  = errors.New("music: no encoder for that codec in this build")
	ErrClosed = errors.New("music: closed")
)

// Source plays a loop to its listeners.
type Source struct {
	// Immutable.
	samples []int16
	log     *slog.Logger
	find    func(name string) (codec.Codec, bool)
	done    chan struct{} // closed by Close
	working sync.WaitGroup

	mu      sync.Mutex
	voices  []*voice // Guarded by mu; replaced, never changed in place.
	running bool     // Guarded by mu.
	closed  bool     // Guarded by mu.
}

// voice is the loop in one codec.
type voice struct {
	// Immutable.
	name    string
	encoder codec.Encoder
	down    *resample.Down // 1 for the rate of the music

	listeners []*listener // Guarded by the source's mu; replaced, never changed in place.

	// Owned by run.
	pcm     []int16
	payload []byte
	quiet   bool // the last frame had nothing to be sent
}

// listener is somebody who hears it.
type listener struct {
	mu   sync.Mutex
	hear func(payload []byte, first bool) // Guarded by mu; nil once it has left.

	begun bool // Owned by run; it has heard something.
}

// New makes a source for a loop of samples, which must not be changed from then on. No samples are silence, and a nil log is
// none.
func New(samples []int16, log *slog.Logger) *Source {
	if len(samples) == 0 {
		samples = make([]int16, frameSize)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Source{samples: samples, log: log, find: codec.Find, done: make(chan struct{})}
}

// Listen has hear called for each frame from now on, every 20 ms, with its payload in a codec. first says that a pause has
// gone before: at the beginning, and when the program has stood still. hear is called on the source's goroutine; it must
// not block and must not keep the payload. When stop returns it is not called any more; it must not call stop itself.
func (s *Source) Listen(codecName string, hear func(payload []byte, first bool)) (stop func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	v, err := s.voiceLocked(codecName)
	if err != nil {
		return nil, err
	}
	l := &listener{hear: hear}
	v.listeners = append(slices.Clone(v.listeners), l)
	if !s.running {
		s.running = true
		s.working.Go(s.run)
	}
	return func() { s.leave(v, l) }, nil
}

// voiceLocked is the loop in a codec, which is begun if nobody has listened so far.
func (s *Source) voiceLocked(name string) (*voice, error) {
	if i := slices.IndexFunc(s.voices, func(v *voice) bool { return v.name == name }); i >= 0 {
		return s.voices[i], nil
	}
	c, ok := s.find(name)
	if !ok || c.NewEncoder == nil {
		return nil, fmt.Errorf("%w: %q", ErrCodec, name)
	}
	encoder, err := c.NewEncoder(codec.EncoderConfig{Ptime: FrameTime, Bitrate: opusBitrate})
	if err != nil {
		return nil, fmt.Errorf("music: encoder for %s: %w", name, err)
	}
	v := &voice{
		name: name, encoder: encoder, down: resample.NewDown(Rate / c.SampleRate),
		pcm: make([]int16, frameSize*c.SampleRate/Rate), payload: make([]byte, 0, codec.MaxPayload),
	}
	s.voices = append(slices.Clone(s.voices), v)
	return v, nil
}

// leave ends the listening of l. It waits for a call of hear that is under way.
func (s *Source) leave(v *voice, l *listener) {
	l.mu.Lock()
	l.hear = nil
	l.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	v.listeners = slices.DeleteFunc(slices.Clone(v.listeners), func(o *listener) bool { return o == l })
}

// Close ends the music for everybody.
func (s *Source) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	s.mu.Unlock()
	s.working.Wait()
}

// run hands out frames until nobody listens any more.
func (s *Source) run() {
	frame := make([]int16, frameSize)
	var listeners []*listener
	timer := time.NewTimer(0)
	defer timer.Stop()
	due, at, paused := time.Now(), 0, false
	for {
		select {
		case <-timer.C:
		case <-s.done:
		}
		voices := s.turn()
		if len(voices) == 0 {
			return
		}
		if late := time.Since(due); late >= FrameTime {
			due, paused = due.Add(late), true
		}
		for n := 0; n < len(frame); {
			part := copy(frame[n:], s.samples[at:])
			n, at = n+part, (at+part)%len(s.samples)
		}
		for _, v := range voices {
			s.mu.Lock()
			listeners = v.listeners
			s.mu.Unlock()
			s.play(v, frame, listeners, paused)
		}
		due, paused = due.Add(FrameTime), false
		timer.Reset(time.Until(due))
	}
}

// turn lets go of the codecs that nobody hears any more, and returns the others; none ends the run.
func (s *Source) turn() []*voice {
	s.mu.Lock()
	defer s.mu.Unlock()
	unheard := func(v *voice) bool { return len(v.listeners) == 0 || s.closed }
	if slices.ContainsFunc(s.voices, unheard) {
		s.voices = slices.DeleteFunc(slices.Clone(s.voices), func(v *voice) bool {
			if unheard(v) {
				v.encoder.Close()
			}
			return unheard(v)
		})
	}
	s.running = len(s.voices) > 0
	return s.voices
}

// play encodes a frame and hands it to everybody who hears this codec.
func (s *Source) play(v *voice, frame []int16, listeners []*listener, paused bool) {
	v.down.Process(v.pcm, frame)
	payload, err := v.encoder.Encode(v.payload[:0], v.pcm)
	if err != nil || len(payload) == 0 {
		if err != nil && !v.quiet {
			s.log.Warn("music could not be encoded", "codec", v.name, "err", err)
		}
		v.quiet = true
		return
	}
	paused = paused || v.quiet
	v.quiet = false
	for _, l := range listeners {
		l.mu.Lock()
		if l.hear != nil {
			l.hear(payload, paused || !l.begun)
			l.begun = true
		}
		l.mu.Unlock()
	}
}
