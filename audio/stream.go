package audio

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"offhook/audio/codec"
	"offhook/audio/jitter"
	"offhook/audio/resample"
	"offhook/audio/rtpconn"
	"offhook/internal/media"
	"offhook/internal/sdp"
)

// maxPacket is the longest packet in time that is sent.
const maxPacket = 60 * time.Millisecond

// Stream is the media of one call.
type Stream struct {
	// Immutable.
	e       *Engine
	opt     media.Options
	log     *slog.Logger
	buffer  *jitter.Buffer
	events  chan media.Event
	ended   chan struct{}
	working sync.WaitGroup // receive and watch

	held, muted atomic.Bool
	group       atomic.Pointer[string]
	heard       meter                     // of what the peer sends
	lastSound   atomic.Int64              // when that was more than silence, on the engine's clock
	lossReport  share                     // of our packets, as the peer reports
	eventTypes  atomic.Pointer[[128]bool] // payload types of telephone events
	lastType    atomic.Uint32             // payload type of the newest packet of sound
	source      atomic.Uint64             // SSRC of the newest packet; 0 before the first
	lastKey     atomic.Uint64             // time of the last telephone event, so that its repetitions tell nothing

	mu sync.Mutex

	// Guarded by mu. Run holds it while it sends or plays a block; nobody else holds it for longer than that takes.
	conn      *rtpconn.Conn
	local     netip.AddrPort
	plan      *plan
	decoders  map[uint8]decoder // by payload type, those that the buffer has
	digits    *dialling
	recorder  *recorder
	closed    bool
	release   func()  // of the device; nil before the first agreement
	timestamp uint32  // of the next packet, before the connection's offset
	pcm       []int16 // what the next packet is made of, at the codec's rate
	payload   []byte  // scratch for the encoder
	fill      int
	quiet     bool    // nothing is sent while nobody speaks (DTX): the next packet begins a talk spurt
	loss      float64 // that the encoder was told

	// Owned by Run.
	block  []int16 // the newest of the peer's, at rate; it belongs to the buffer
	rate   int
	theirs []int16 // block at Rate, once isWide
	isWide bool
	ups    [len(rates)]*resample.Up
	others []int16 // what the other members of a conference say, at Rate
	sum    []int32 // scratch for it
	wide   []int16 // others and microphone together, at Rate

	// Owned by Run: how wide becomes what the codec takes.
	down       *resample.Down // nil outside of conferences
	downFactor int
	downTo     []int16
	silent     []int16 // zeros
}

// decoder is how one payload type is played.
type decoder struct {
	format sdp.Format
	play   jitter.Format
	own    codec.Decoder // nil for comfort noise
}

// Open makes the media of one call.
func (e *Engine) Open(ctx context.Context, opt media.Options) (media.Stream, error) {
	s := &Stream{
		e: e, opt: opt, log: e.log.With("call", opt.Name), buffer: jitter.New(jitter.Config{}),
		events: make(chan media.Event, 64), ended: make(chan struct{}), decoders: map[uint8]decoder{},
		pcm: make([]int16, Rate*maxPacket/time.Second), payload: make([]byte, 0, codec.MaxPayload), silent: make([]int16, Block),
		theirs: make([]int16, Block), others: make([]int16, Block), sum: make([]int32, Block), wide: make([]int16, Block), downTo: make([]int16, Block),
	}
	for i, r := range rates {
		s.ups[i] = resample.NewUp(r.factor)
	}
	s.group.Store(new(string))
	var err error
	if s.conn, s.local, err = s.connect(ctx, opt.Local); err != nil {
		return nil, err
	}
	s.receive(s.conn)
	s.working.Go(s.watch)
	if err := e.add(s); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// connect opens the sockets of a stream.
func (s *Stream) connect(ctx context.Context, local netip.Addr) (*rtpconn.Conn, netip.AddrPort, error) {
	e := s.e
	rtpSocket, rtcpSocket, at, err := e.sockets(ctx, local)
	if err != nil {
		return nil, at, err
	}
	conn, err := rtpconn.New(rtpconn.Config{
		RTP: rtpSocket, RTCP: rtcpSocket, CNAME: cname(), Certificate: e.certificate, Logger: s.log,
		Packet: s.arrived, Told: s.tell,
	})
	if err != nil {
		return nil, at, errors.Join(err, rtpSocket.Close(), rtcpSocket.Close())
	}
	conn.SetPlayout(s.playoutReport)
	return conn, at, nil
}

// receive runs a connection until it is closed.
func (s *Stream) receive(conn *rtpconn.Conn) {
	s.working.Go(func() { conn.Run(context.Background()) })
}

// arrived takes a packet from the network. Keys go into the buffer as well: they are no sound, but their sequence numbers
// would be missed.
func (s *Stream) arrived(p *rtp.Packet) {
	if types := s.eventTypes.Load(); types != nil && types[p.PayloadType&0x7f] {
		s.keyArrived(p)
	} else {
		s.lastType.Store(uint32(p.PayloadType))
	}
	// Another source counts from another beginning (RFC 3550 §8.2).
	if source := 1<<32 | uint64(p.SSRC); s.source.Swap(source) != source {
		s.buffer.Reset()
	}
	s.buffer.Push(jitter.Packet{
		Sequence: p.SequenceNumber, Timestamp: p.Timestamp, PayloadType: p.PayloadType, Marker: p.Marker, Payload: p.Payload,
	}, s.e.now())
}

// Local is what may be offered for this stream.
func (s *Stream) Local() sdp.Local {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sdp.Local{
		Addr: s.local, Formats: offered(s.e.codecs), Ptime: defaultPacket, Policy: s.opt.Policy, Fingerprint: s.e.fingerprint,
	}
}

// Hold stops microphone and speaker for this stream at once.
func (s *Stream) Hold(on bool) { s.held.Store(on) }

// Mute sends silence instead of the microphone.
func (s *Stream) Mute(on bool) { s.muted.Store(on) }

// Conference joins this stream with those of the same group; "" leaves.
func (s *Stream) Conference(group string) { s.group.Store(&group) }

func (s *Stream) joined() bool { return *s.group.Load() != "" }

// Move receives on another address from the next agreement on: the network has changed. The old sockets stay until then.
func (s *Stream) Move(ctx context.Context, local netip.Addr) error {
	conn, at, err := s.connect(ctx, local)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.Join(errClosed, conn.Close())
	}
	old := s.conn
	s.conn, s.local = conn, at
	s.receive(conn)
	s.mu.Unlock()
	return old.Close()
}

// Close ends the stream.
func (s *Stream) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	conn, recorder, digits, release := s.conn, s.recorder, s.digits, s.release
	s.recorder, s.digits = nil, nil
	if s.plan != nil {
		s.plan.encoder.Close()
		s.plan = nil
	}
	s.mu.Unlock()
	s.e.remove(s)
	if release != nil {
		release()
	}
	if digits != nil {
		digits.end(errClosed)
	}
	close(s.ended)
	errs := []error{conn.Close()}
	if recorder != nil {
		errs = append(errs, recorder.close())
	}
	s.working.Wait()
	s.mu.Lock() // Run has played its last block of this stream
	defer s.mu.Unlock()
	for pt := range s.decoders {
		s.buffer.SetFormat(pt, jitter.Format{})
	}
	s.closeDecoders(s.decoders, nil)
	s.decoders = nil
	return errors.Join(errs...)
}
