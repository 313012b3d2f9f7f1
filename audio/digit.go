package audio

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pion/rtp"

	"offhook/audio/codec"
	"offhook/internal/media"
)

const (
	digitLength = 120 * time.Millisecond // every receiver knows 40 ms (RFC 4733 §2.5.1.2); old gateways want more
	digitPause  = 80 * time.Millisecond
	commaPause  = time.Second
	digitVolume = 8 // below 0 dBm0, in dB
	endRepeats  = 3 // RFC 4733 §2.5.1.4
)

// dialling is a row of keys on its way.
type dialling struct {
	done chan error // capacity 1

	// Guarded by the stream's mu.
	keys    []byte
	begun   uint32        // timestamp of the key in progress
	length  time.Duration // of it so far
	pause   time.Duration
	pressed bool
}

func (d *dialling) end(err error) {
	select {
	case d.done <- err:
	default:
	}
}

// Digits sends keys one after the other and returns when the last one has been sent.
func (s *Stream) Digits(ctx context.Context, keys string) error {
	keys = strings.ToUpper(keys)
	if bad := strings.Trim(keys, "0123456789*#ABCD,"); bad != "" || keys == "" {
		return fmt.Errorf("audio: %q is not a row of keys; there are 0-9 * # A-D, and a comma for a pause", keys)
	}
	d := &dialling{done: make(chan error, 1), keys: []byte(keys)}
	for {
		s.mu.Lock()
		switch {
		case s.closed:
			s.mu.Unlock()
			return errClosed
		case s.plan == nil || s.plan.events < 0:
			s.mu.Unlock()
			return media.ErrNoDigits
		case s.digits == nil:
			s.digits = d
			s.mu.Unlock()
			return s.awaitDigits(ctx, d)
		}
		other := s.digits
		s.mu.Unlock()
		select { // one row at a time
		case err := <-other.done:
			other.end(err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *Stream) awaitDigits(ctx context.Context, d *dialling) error {
	select {
	case err := <-d.done:
		d.end(err) // for those who wait for their turn
		return err
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.digits == d {
			s.digits = nil
		}
		d.end(context.Cause(ctx))
		return context.Cause(ctx)
	}
}

// digitLocked sends the packet of a key in the place of one of sound. It reports false when sound may be sent.
func (s *Stream) digitLocked(p *plan, timestamp uint32) bool {
	d := s.digits
	if p.events < 0 {
		s.digits = nil
		d.end(media.ErrNoDigits)
		return false
	}
	if d.pause > 0 {
		d.pause -= p.packet
		return false
	}
	if len(d.keys) == 0 {
		s.digits = nil
		d.end(nil)
		return false
	}
	if d.keys[0] == ',' {
		d.keys, d.pause = d.keys[1:], commaPause
		return false
	}
	s.keyLocked(p, d, timestamp)
	return true
}

// keyLocked sends one packet of a key: all packets of a key have the timestamp of its beginning, and its duration grows
// (RFC 4733 §2.5.1.2). The end is sent three times.
func (s *Stream) keyLocked(p *plan, d *dialling, timestamp uint32) {
	first := !d.pressed
	if first {
		d.pressed, d.begun, d.length = true, timestamp, 0
	}
	d.length += p.packet
	last := d.length >= digitLength
	code, _ := codec.DigitCode(rune(d.keys[0]))
	event := codec.Event{Code: code, End: last, Volume: digitVolume, Duration: uint16(d.length * time.Duration(p.eventClock) / time.Second)}
	repeats := 1
	if last {
		repeats = endRepeats
	}
	for i := range repeats {
		if err := s.conn.Write(uint8(p.events), first && i == 0, d.begun, event.Append(s.payload[:0])); err != nil {
			s.log.Debug("key could not be sent", "err", err)
		}
	}
	if last {
		d.keys, d.pressed, d.pause = d.keys[1:], false, digitPause
	}
}

// keyArrived tells a key that the peer pressed, once: at the first packet with its timestamp (RFC 4733 §2.5.2.1).
func (s *Stream) keyArrived(p *rtp.Packet) {
	event, err := codec.ParseEvent(p.Payload)
	if err != nil {
		return
	}
	key, ok := event.Digit()
	mark := 1<<32 | uint64(p.Timestamp)
	if ok && s.lastKey.Swap(mark) != mark {
		s.tell(media.Event{Kind: media.Digit, Text: key})
	}
}
