package testkit

import (
	"cmp"
	"context"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"offhook/internal/sdp"
	"offhook/session"
)

// Voices is Audio with media that really go through the network: RTP packets that hold the name of who speaks, sent when
// a test asks World.Hearing. They are not encrypted, so they pass a relay with payload types of its own as sound does.
func Voices(change ...func(i int, cfg *session.Config, s *Sound)) UserOption {
	return Audio(append([]func(int, *session.Config, *Sound){func(_ int, cfg *session.Config, s *Sound) {
		cfg.Encryption = sdp.Off
		s.listen, s.speaker = cfg.ListenPacket, cfg.DeviceName
	}}, change...)...)
}

// Music is what Hearing says of sound that is nobody's voice.
const Music = "music"

// spoken begins the payload of a voice; the name follows.
const spoken = "this is "

// Hearing tells who hears whom at this moment: every device with Voices says its name into all of its calls, for 100 ms
// of fake time, and 100 ms later each is asked what it has heard. The names are those of devices, or Music; a device that
// hears nothing is not in the result.
func (w *World) Hearing() map[string][]string {
	w.T.Helper()
	each := func(f func(d *Device, s *Stream)) {
		for _, u := range w.users {
			for _, d := range u.devices {
				if sound := d.Sound(); sound != nil {
					for _, s := range sound.Streams() {
						f(d, s)
					}
				}
			}
		}
	}
	each(func(_ *Device, s *Stream) { s.voice.forget() })
	for range 5 { // a receiver may want to see that a new source goes on (RFC 3550 §A.1)
		each(func(_ *Device, s *Stream) { s.speak() })
		w.Sleep(20 * time.Millisecond)
	}
	w.Sleep(100 * time.Millisecond)
	heard := map[string][]string{}
	each(func(d *Device, s *Stream) {
		heard[d.Name] = append(heard[d.Name], s.voice.names()...)
	})
	for name, names := range heard {
		slices.Sort(names)
		heard[name] = slices.Compact(names)
	}
	maps.DeleteFunc(heard, func(_ string, names []string) bool { return len(names) == 0 })
	return heard
}

// voice is the socket of a stream that speaks.
type voice struct {
	mu     sync.Mutex
	conn   net.PacketConn  // Guarded by mu; nil: the stream is only noted
	number uint16          // Guarded by mu; of the last packet sent
	heard  map[string]bool // Guarded by mu; names since forget
}

// open opens a socket on a host and reads what comes.
func (v *voice) open(ctx context.Context, s *Stream, local netip.Addr) (netip.AddrPort, error) {
	conn, err := s.sound.listen(ctx, "udp", netip.AddrPortFrom(local, 0).String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	v.close()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conn, v.heard = conn, map[string]bool{}
	go v.read(s, conn) // ends when the socket is closed
	return netip.ParseAddrPort(conn.LocalAddr().String())
}

func (v *voice) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.conn != nil {
		_ = v.conn.Close()
	}
	v.conn = nil
}

func (v *voice) read(s *Stream, conn net.PacketConn) {
	packet := make([]byte, 2048)
	for {
		n, _, err := conn.ReadFrom(packet)
		if err != nil {
			return
		}
		if kind, payload, ok := parseRTP(packet[:n]); ok && s.hears(kind) {
			name, isVoice := strings.CutPrefix(string(payload), spoken)
			if !isVoice {
				name = Music
			}
			v.mu.Lock()
			v.heard[name] = true
			v.mu.Unlock()
		}
	}
}

func (v *voice) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.heard = map[string]bool{}
}

func (v *voice) names() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Collect(maps.Keys(v.heard))
}

// hears reports whether a packet with that payload type would be heard.
func (s *Stream) hears(payloadType uint8) bool {
	now := s.State()
	a, applied := now.Agreed()
	return applied && !now.Closed && !now.Held && a.Direction&sdp.Receiving != 0 &&
		slices.ContainsFunc(a.Receive, func(f sdp.Format) bool { return f.PayloadType == payloadType })
}

// speak sends one packet with the name of the device, if the microphone goes out.
func (s *Stream) speak() {
	now := s.State()
	a, _ := now.Agreed()
	s.voice.mu.Lock()
	defer s.voice.mu.Unlock()
	if s.voice.conn == nil || !now.Sends() || now.Muted {
		return
	}
	s.voice.number++
	source := fnv.New32a()
	_, _ = source.Write([]byte(s.voice.conn.LocalAddr().String())) // a hash's Write does not fail
	packet := binary.BigEndian.AppendUint16([]byte{2 << 6, a.Send[0].PayloadType}, s.voice.number)
	packet = binary.BigEndian.AppendUint32(packet, uint32(s.voice.number)*uint32(cmp.Or(a.Send[0].ClockRate, 8000)/50))
	packet = binary.BigEndian.AppendUint32(packet, source.Sum32())
	packet = append(packet, spoken+s.sound.speaker...)
	_, _ = s.voice.conn.WriteTo(packet, net.UDPAddrFromAddrPort(a.Remote)) // a packet may be lost
}

// parseRTP takes an RTP packet apart (RFC 3550 §5.1). What is RTCP (RFC 5761 §4) or anything else is none.
func parseRTP(b []byte) (payloadType uint8, payload []byte, ok bool) {
	if len(b) < 12 || b[0]>>6 != 2 || b[1] >= 192 && b[1] <= 223 {
		return 0, nil, false
	}
	at := 12 + 4*int(b[0]&15)
	if b[0]&16 != 0 && len(b) >= at+4 {
		at += 4 + 4*int(binary.BigEndian.Uint16(b[at+2:]))
	}
	if at > len(b) {
		return 0, nil, false
	}
	return b[1] & 127, b[at:], true
}
