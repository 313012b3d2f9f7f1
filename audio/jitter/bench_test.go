package jitter_test

import (
	"fmt"
	"testing"
	"time"

	"offhook/audio/codec"
	"offhook/audio/jitter"
)

// cycle is one second of a stream, again and again: packets of 20 ms and the blocks between them.
type cycle struct {
	b       *jitter.Buffer
	packets [][]byte
	clock   int
	i       int
	lose    int // every lose-th packet; 0 for none
}

func newCycle(t testing.TB, name string, lose int) *cycle {
	c, _ := codec.Find(name)
	if c.NewEncoder == nil {
		t.Skip("no encoder for " + name)
	}
	dec, err := c.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dec.Close)
	x := speechAt(t, c.SampleRate)
	y := &cycle{b: jitter.New(jitter.Config{}), clock: c.ClockRate, lose: lose}
	y.b.SetFormat(0, jitter.Format{Decoder: dec, ClockRate: c.ClockRate, SampleRate: c.SampleRate})
	y.packets = coded(t, c, codec.EncoderConfig{Ptime: 20 * ms}, 0, x)
	return y
}

// push gives the next packet, pull takes two blocks.
func (y *cycle) push() {
	if y.lose == 0 || y.i%y.lose != 0 {
		y.b.Push(jitter.Packet{
			Sequence: uint16(y.i), Timestamp: uint32(y.i * y.clock / 50), Payload: y.packets[y.i%len(y.packets)],
		}, time.Duration(y.i)*20*ms)
	}
	y.i++
}

func (y *cycle) pull() {
	y.b.Pull(time.Duration(y.i)*20*ms - 17*ms)
	y.b.Pull(time.Duration(y.i)*20*ms - 7*ms)
}

// triple brings 16 kHz to 48 kHz. Straight lines will do here.
func triple(x []int16) []int16 {
	y := make([]int16, 0, 3*len(x))
	for i := range len(x) - 1 {
		a, b := int(x[i]), int(x[i+1])
		y = append(y, int16(a), int16((2*a+b)/3), int16((a+2*b)/3))
	}
	return y
}

func TestNothingIsAllocated(t *testing.T) {
	for _, name := range []string{"pcmu", "g722", "opus"} {
		for _, lose := range []int{0, 7} {
			t.Run(fmt.Sprint(name, lose), func(t *testing.T) {
				y := newCycle(t, name, lose)
				for range 500 {
					y.push()
					y.pull()
				}
				if n := testing.AllocsPerRun(500, func() { y.push(); y.pull() }); n > 0 {
					t.Errorf("%v allocations per packet", n)
				}
			})
		}
	}
}

// BenchmarkPull is one block of 10 ms and half a packet's Push, with decoding; "lossy" has every seventh packet missing.
func BenchmarkPull(b *testing.B) {
	for _, name := range []string{"pcmu", "g722", "opus"} {
		for _, lose := range []int{0, 7} {
			b.Run(map[int]string{0: name, 7: name + "-lossy"}[lose], func(b *testing.B) {
				y := newCycle(b, name, lose)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if i%2 == 0 {
						y.push()
						y.b.Pull(time.Duration(y.i)*20*ms - 17*ms)
					} else {
						y.b.Pull(time.Duration(y.i)*20*ms - 7*ms)
					}
				}
			})
		}
	}
}

// BenchmarkBuffer is the same without a codec.
func BenchmarkBuffer(b *testing.B) {
	for _, rate := range []int{8000, 16000, 48000} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) {
			buf := jitter.New(jitter.Config{})
			buf.SetFormat(0, jitter.Format{Decoder: &fake{rate: rate}, ClockRate: 8000, SampleRate: rate})
			p := jitter.Packet{Payload: payload(0, 20*ms)}
			now := time.Duration(0)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%2 == 0 {
					buf.Push(p, now)
					p.Sequence++
					p.Timestamp += 160
				}
				now += 10 * ms
				buf.Pull(now)
			}
		})
	}
}
