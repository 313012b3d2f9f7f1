package testkit

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/session"
)

// Sound is a media.Engine that makes none: it notes what it was told, and a test can have it tell something.
type Sound struct {
	Formats     []sdp.Format // what streams offer; Immutable after the first call
	Fingerprint string       // of the certificate; "" means no DTLS-SRTP; Immutable after the first call

	// Immutable; set by Voices
	listen  func(ctx context.Context, network, address string) (net.PacketConn, error)
	speaker string

	mu      sync.Mutex
	streams []*Stream    // Guarded by mu; all there have been
	tones   []media.Tone // Guarded by mu; all there have been
	fail    error        // Guarded by mu
}

// NewSound makes a Sound with two codecs and telephone events.
func NewSound() *Sound {
	return &Sound{Formats: []sdp.Format{
		{PayloadType: 111, Name: "opus", ClockRate: 48000, Channels: 2},
		{PayloadType: 0, Name: "pcmu", ClockRate: 8000, Channels: 1},
		{PayloadType: 101, Name: "telephone-event", ClockRate: 8000, Channels: 1, Params: "0-15"},
	}}
}

// Audio gives each device of the user a Sound.
func Audio(change ...func(i int, cfg *session.Config, s *Sound)) UserOption {
	return Configure(func(i int, cfg *session.Config) {
		s := NewSound()
		cfg.Media = s
		for _, f := range change {
			f(i, cfg, s)
		}
	})
}

// Sound is the device's media engine, nil if it has none.
func (d *Device) Sound() *Sound {
	s, _ := d.config.Media.(*Sound)
	return s
}

// Open makes a stream.
func (s *Sound) Open(ctx context.Context, opt media.Options) (media.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	port := uint16(20000 + 2*len(s.streams))
	stream := &Stream{sound: s, Name: opt.Name, options: opt, addr: netip.AddrPortFrom(opt.Local, port)}
	if s.listen != nil {
		var err error
		if stream.addr, err = stream.voice.open(ctx, stream, opt.Local); err != nil {
			return nil, err
		}
	}
	s.streams = append(s.streams, stream)
	return stream, nil
}

// Ring notes a tone.
func (s *Sound) Ring(t media.Tone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tones = append(s.tones, t)
}

// Fail makes Open fail with err from now on; nil mends it.
func (s *Sound) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// Tone is what is played now.
func (s *Sound) Tone() media.Tone {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tones) == 0 {
		return media.NoTone
	}
	return s.tones[len(s.tones)-1]
}

// Tones is everything that was played, in order.
func (s *Sound) Tones() []media.Tone {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tones)
}

// Streams are all there have been.
func (s *Sound) Streams() []*Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.streams)
}

// Stream is the newest.
func (s *Sound) Stream() *Stream {
	all := s.Streams()
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// OpenStreams are those that were not closed.
func (s *Sound) OpenStreams() []*Stream {
	return slices.DeleteFunc(s.Streams(), func(st *Stream) bool { return st.State().Closed })
}

// Talkers is how many parties hear this user now; those of one conference count once.
func (s *Sound) Talkers() int {
	groups, n := map[string]bool{}, 0
	for _, st := range s.Streams() {
		now := st.State()
		switch {
		case !now.Sends():
		case now.Group == "":
			n++
		case !groups[now.Group]:
			groups[now.Group] = true
			n++
		}
	}
	return n
}

// Stream is the media of one call.
type Stream struct {
	Name string

	// Immutable
	sound   *Sound
	options media.Options

	voice voice // with Voices

	mu    sync.Mutex
	state StreamState    // Guarded by mu
	addr  netip.AddrPort // Guarded by mu
	stats media.Stats    // Guarded by mu
}

// StreamState is what a stream was told.
type StreamState struct {
	Agreements []sdp.Agreement
	Held       bool
	Muted      bool
	Group      string
	Digits     string
	Recording  string
	Closed     bool
}

// Agreed is what is in force; applied reports whether anything is.
func (s StreamState) Agreed() (a sdp.Agreement, applied bool) {
	if len(s.Agreements) == 0 {
		return sdp.Agreement{}, false
	}
	return s.Agreements[len(s.Agreements)-1], true
}

// Sends reports whether the microphone goes out.
func (s StreamState) Sends() bool {
	a, applied := s.Agreed()
	return applied && !s.Closed && !s.Held && a.Direction&sdp.Sending != 0 && a.Remote.IsValid()
}

// State is what it was told so far.
func (s *Stream) State() StreamState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

func (s *Stream) change(f func(*StreamState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.state)
}

// Tell has the stream tell something to its call.
func (s *Stream) Tell(ev media.Event) { s.options.Told(ev) }

// SetStats sets what Stats returns.
func (s *Stream) SetStats(stats media.Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats = stats
}

// Local is what may be offered.
func (s *Stream) Local() sdp.Local {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sdp.Local{Addr: s.addr, Formats: s.sound.Formats, Ptime: 20 * time.Millisecond, Policy: s.options.Policy, Fingerprint: s.sound.Fingerprint}
}

// Move goes on at another address.
func (s *Stream) Move(ctx context.Context, local netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sound.listen == nil {
		s.addr = netip.AddrPortFrom(local, s.addr.Port())
		return nil
	}
	addr, err := s.voice.open(ctx, s, local)
	if err == nil {
		s.addr = addr
	}
	return err
}

// Apply notes an agreement.
func (s *Stream) Apply(a sdp.Agreement) error {
	s.change(func(st *StreamState) { st.Agreements = append(slices.Clone(st.Agreements), a) })
	return nil
}

// Hold notes that sound stops or goes on.
func (s *Stream) Hold(on bool) { s.change(func(st *StreamState) { st.Held = on }) }

// Mute notes that silence is sent.
func (s *Stream) Mute(on bool) { s.change(func(st *StreamState) { st.Muted = on }) }

// Conference notes the conference.
func (s *Stream) Conference(group string) { s.change(func(st *StreamState) { st.Group = group }) }

// Digits notes keys, if the agreement has telephone events.
func (s *Stream) Digits(_ context.Context, digits string) error {
	a, _ := s.State().Agreed()
	if !slices.ContainsFunc(a.Send, func(f sdp.Format) bool { return f.Name == "telephone-event" }) {
		return media.ErrNoDigits
	}
	s.change(func(st *StreamState) { st.Digits += digits })
	return nil
}

// Record notes a file; nothing is written.
func (s *Stream) Record(path string) error {
	s.change(func(st *StreamState) { st.Recording = path })
	return nil
}

// StopRecording notes its end.
func (s *Stream) StopRecording() (path string, err error) {
	s.change(func(st *StreamState) { path, st.Recording = st.Recording, "" })
	return path, nil
}

// Stats is what SetStats has set, with what follows from the agreement.
func (s *Stream) Stats() media.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	if a, ok := s.state.Agreed(); ok {
		stats.SendCodec, stats.Security = a.Send[0].Name, string(a.Protection.Method)
	}
	stats.Held, stats.Muted, stats.Recording = s.state.Held, s.state.Muted, s.state.Recording
	return stats
}

// Close notes the end.
func (s *Stream) Close() error {
	s.change(func(st *StreamState) { st.Closed = true })
	s.voice.close()
	return nil
}

// Dialing is an audio call on its way from a device.
type Dialing struct {
	*session.AudioVideoCall

	from *Device
	done chan struct{}
	err  error // valid after done
	stop context.CancelFunc
}

// Dial calls somebody. It does not wait.
func (d *Device) Dial(to *User) *Dialing {
	d.world.T.Helper()
	c, err := d.Conversation(to.AOR())
	if err != nil {
		d.world.T.Fatalf("%s: %v", d.Name, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	x := &Dialing{AudioVideoCall: c.NewAudio(), from: d, done: make(chan struct{}), stop: cancel}
	go func() {
		defer close(x.done)
		defer cancel()
		x.err = x.Establish(ctx, session.AudioOptions{})
	}()
	return x
}

// GiveUp cancels it.
func (x *Dialing) GiveUp() { x.stop() }

// Wait waits for the outcome.
func (x *Dialing) Wait() error {
	<-x.done
	return x.err
}

// Talk connects two users: to answers on its i-th device. It returns both ends.
func (d *Device) Talk(to *User, i int) (here, there *session.AudioVideoCall) {
	d.world.T.Helper()
	x := d.Dial(to)
	there = to.Device(i).ExpectCall(d.user.Name)
	if err := there.Accept(context.Background()); err != nil {
		d.world.T.Fatalf("%s: accept: %v", to.Device(i).Name, err)
	}
	if err := x.Wait(); err != nil {
		d.world.T.Fatalf("%s: dial: %v", d.Name, err)
	}
	d.world.Settle()
	return x.AudioVideoCall, there
}

// ExpectCall waits for the toast of an audio call of the user with this name that still rings.
func (d *Device) ExpectCall(from string) *session.AudioVideoCall {
	d.world.T.Helper()
	var call *session.AudioVideoCall
	Await(d, Patience, func(e session.ToastShown) bool {
		if e.Kind != "call" || !isUser(e.From, from) {
			return false
		}
		c, ok := d.FindAudio(e.Call)
		if ok && c.State() == session.Incoming {
			call = c
		}
		return call != nil
	})
	return call
}

// ExpectNotice waits for a line in a thread that begins so.
func (d *Device) ExpectNotice(begin string) session.Notice {
	d.world.T.Helper()
	return Await(d, Patience, func(e session.Notice) bool { return strings.HasPrefix(e.Text, begin) })
}
