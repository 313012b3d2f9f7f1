package audio

import (
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtp"

	"offhook/audio/codec"
	"offhook/audio/echo"
	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/testkit/sound"
)

// bench is an engine with streams whose blocks a test works off by itself.
type bench struct {
	*Engine
	streams      []*Stream
	packets      []*rtp.Packet
	mic, speaker []int16
	blocks       int
	ticks        uint32
	passed       atomic.Int64 // time, for the jitter buffers
}

// newBench connects n streams of a codec to nowhere.
func newBench(t testing.TB, n int, name string, processing echo.Config) *bench {
	t.Helper()
	e, err := New(Config{
		Device: &fakeDevice{real: processing != echo.Config{}}, Codecs: []string{name}, Processing: processing,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, _ := codec.Find(name)
	b := &bench{Engine: e, mic: sound.Sine(300, 0.2, Rate, Block), speaker: make([]int16, Block), ticks: uint32(c.ClockRate / 50)}
	e.now = func() time.Duration { return time.Duration(b.passed.Load()) }
	encoder, err := c.NewEncoder(codec.EncoderConfig{Ptime: defaultPacket})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := encoder.Encode(nil, sound.Sine(500, 0.2, c.SampleRate, c.SampleRate/50))
	if err != nil {
		t.Fatal(err)
	}
	encoder.Close()
	nowhere, err := net.ListenPacket("udp", "127.0.0.1:0") // nobody reads it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nowhere.Close() })
	remote := nowhere.LocalAddr().(*net.UDPAddr).AddrPort()
	for range n {
		s, err := e.Open(t.Context(), media.Options{Local: netip.MustParseAddr("127.0.0.1"), Policy: sdp.Off})
		if err != nil {
			t.Fatal(err)
		}
		local := s.Local()
		err = s.Apply(sdp.Agreement{
			Remote: remote, RemoteRTCP: remote, Mux: true,
			Direction: sdp.Both, Send: local.Formats, Receive: local.Formats, Protection: sdp.Protection{Method: sdp.Plain},
		})
		if err != nil {
			t.Fatal(err)
		}
		b.streams = append(b.streams, s.(*Stream))
		b.packets = append(b.packets, &rtp.Packet{Header: rtp.Header{PayloadType: local.Formats[0].PayloadType}, Payload: payload})
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// step does 10 ms: every other time a packet arrives at each stream.
func (b *bench) step() {
	if b.blocks%2 == 0 {
		for i, s := range b.streams {
			s.arrived(b.packets[i])
			b.packets[i].SequenceNumber++
			b.packets[i].Timestamp += b.ticks
		}
	}
	b.blocks++
	b.passed.Add(int64(blockTime))
	b.send(b.mic, b.speaker)
	b.play(b.speaker)
}

// TestBlockDoesNotAllocate holds the promise of the package: what runs every 10 ms leaves nothing to collect.
func TestBlockDoesNotAllocate(t *testing.T) {
	all := echo.Config{Echo: true, Noise: true, Gain: true, Limiter: true}
	for _, name := range sendable() {
		b := newBench(t, 2, name, all)
		for range 200 {
			b.step()
		}
		if n := testing.AllocsPerRun(200, b.step); n >= 1 {
			t.Errorf("%s: %v allocations per block", name, n)
		}
	}
}

// BenchmarkBlock is the work of 10 ms for a number of calls, with a packet sent every other time.
func BenchmarkBlock(b *testing.B) {
	for _, name := range sendable() {
		for _, n := range []int{1, 10, 50} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				w := newBench(b, n, name, echo.Config{})
				b.ReportAllocs()
				for b.Loop() {
					w.step()
				}
				b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(blockTime)*100/float64(n), "%core/call")
			})
		}
	}
}

// BenchmarkProcessing is a block with the voice processing of a real microphone, and without.
func BenchmarkProcessing(b *testing.B) {
	for name, cfg := range map[string]echo.Config{"off": {}, "on": {Echo: true, Noise: true, Gain: true, Limiter: true}} {
		b.Run(name, func(b *testing.B) {
			w := newBench(b, 1, "pcmu", cfg)
			b.ReportAllocs()
			for b.Loop() {
				w.step()
			}
		})
	}
}
