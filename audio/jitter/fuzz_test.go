package jitter_test

import (
	"encoding/binary"
	"testing"
	"time"

	"offhook/audio/codec"
	"offhook/audio/jitter"
)

// FuzzPackets pushes whatever headers, payloads and times the input says. Nothing may panic, every block has to be whole,
// what is held stays bounded, and every moment is accounted for.
func FuzzPackets(f *testing.F) {
	good := []byte{}
	for i := range byte(20) {
		good = append(good, 0, i, 0, 0, i*160>>4, i<<5, 20, 8, 0)
	}
	f.Add(good)
	f.Add([]byte("\x09\xff\xff\x00\x00\x00\x00\x14\x80\x00\x00\x00\xff\xff\xff\xff\x14\x90\x0d\x80\x00\x7f\xff\xff\xff\x14\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		b := jitter.New(jitter.Config{})
		for i, name := range []string{"pcmu", "pcma", "g722", "opus"} {
			c, ok := codec.Find(name)
			if !ok {
				continue
			}
			dec, err := c.NewDecoder()
			if err != nil {
				t.Fatal(err)
			}
			defer dec.Close()
			b.SetFormat(uint8(i), jitter.Format{Decoder: dec, ClockRate: c.ClockRate, SampleRate: c.SampleRate})
		}
		b.SetFormat(4, jitter.Format{ClockRate: 8000, Comfort: true})
		now := time.Duration(0)
		for len(in) >= 9 {
			p := jitter.Packet{
				PayloadType: in[0] & 0x0f, Marker: in[0]&0x80 != 0, Sequence: binary.BigEndian.Uint16(in[1:]),
				Timestamp: binary.BigEndian.Uint32(in[3:]),
			}
			p.Payload = make([]byte, min(int(in[7])*20, 5000))
			for i := range p.Payload {
				p.Payload[i] = in[8] + byte(i)*in[7]
			}
			b.Push(p, now)
			for range in[8] & 7 {
				now += 10 * ms
				if block, rate := b.Pull(now); len(block) != rate/100 {
					t.Fatalf("%d samples at %d Hz", len(block), rate)
				}
			}
			switch in[8] {
			case 0xff:
				b.Reset()
			case 0xfe:
				now += time.Hour
			case 0xfd:
				b.SetFormat(p.PayloadType, jitter.Format{})
			}
			in = in[9:]
		}
		s := b.Stats()
		if s.Buffered > 3*time.Second || s.Target > 620*ms || s.Target < 0 {
			t.Fatalf("%+v", s)
		}
		account(t, s)
	})
}
