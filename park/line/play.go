package line

import (
	"errors"
	"fmt"

	"github.com/pion/rtp"

	"offhook/audio/codec"
	"offhook/audio/rtpconn"
	"offhook/internal/sdp"
	"offhook/park/music"
)

// player sends what a source plays, in the codec of an agreement.
type player struct {
	// Immutable.
	line        *Line
	source      *music.Source
	codec       string
	payloadType uint8
	ticks       uint32 // of the RTP clock in a frame
	stop        func()

	// Owned by the source's goroutine.
	relay  rtpconn.Relay
	packet rtp.Packet
}

// Play plays a source to the peer, from the next agreement on if there is none yet; nil is silence: nothing is sent then but
// what keeps the way open. It ends what was played before. A line that is joined plays nothing.
func (l *Line) Play(s *music.Source) error {
	defer l.lock()()
	switch {
	case l.closed:
		return ErrClosed
	case l.peer != nil:
		return ErrJoined
	}
	l.source = s
	return l.playLocked()
}

// playLocked makes a player of the source, unless the one that plays fits.
func (l *Line) playLocked() error {
	a := l.agreement
	sending := l.agreed && a.Direction&sdp.Sending != 0 && !a.Silent && len(a.Send) > 0
	if l.source == nil || !sending {
		l.stopLocked()
		return nil
	}
	f := a.Send[0]
	if p := l.player; p != nil && p.source == l.source && p.codec == f.Name && p.payloadType == f.PayloadType {
		return nil
	}
	l.stopLocked()
	c, ok := codec.Find(f.Name)
	if !ok {
		return fmt.Errorf("%w: %q", music.ErrCodec, f.Name)
	}
	p := &player{
		line: l, source: l.source, codec: f.Name, payloadType: f.PayloadType,
		ticks: uint32(int64(c.ClockRate) * music.FrameTime.Milliseconds() / 1000),
	}
	var err error
	if p.stop, err = l.source.Listen(f.Name, p.hear); err != nil {
		return fmt.Errorf("line: %w", err)
	}
	l.player = p
	return nil
}

// stopLocked ends what is being played. When it returns, nothing of it is on its way any more.
func (l *Line) stopLocked() {
	if l.player != nil {
		l.player.stop()
		l.player = nil
	}
}

// hear takes a frame of the source.
func (p *player) hear(payload []byte, first bool) {
	if first {
		p.relay.Restart()
	}
	p.packet.SequenceNumber++
	p.packet.Timestamp += p.ticks
	p.packet.Payload = payload
	if err := p.line.conn.Forward(&p.relay, p.payloadType, &p.packet); err != nil && !errors.Is(err, rtpconn.ErrTooLong) {
		p.line.log.Debug("music could not be sent", "err", err)
	}
}
