package codec

import (
	"bytes"
	"errors"
	"math"
	"math/cmplx"
	"testing"
	"time"
)

var ptimes = []time.Duration{
	0, 10 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond, 40 * time.Millisecond,
	50 * time.Millisecond, 60 * time.Millisecond,
}

// sendable are the codecs with an encoder in this build.
func sendable() []Codec {
	var list []Codec
	for _, c := range All {
		if c.NewEncoder != nil {
			list = append(list, c)
		}
	}
	return list
}

func encoder(t testing.TB, c Codec, cfg EncoderConfig) Encoder {
	t.Helper()
	e, err := c.NewEncoder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func decoder(t testing.TB, c Codec) Decoder {
	t.Helper()
	d, err := c.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// packet is the number of samples in one.
func packet(c Codec, ptime time.Duration) int {
	if ptime == 0 {
		ptime = DefaultPtime
	}
	return int(ptime.Milliseconds()) * c.SampleRate / 1000
}

// through sends x through a codec, packet by packet, and returns what comes out.
func through(t testing.TB, c Codec, cfg EncoderConfig, x []int16) []int16 {
	t.Helper()
	e, d := encoder(t, c, cfg), decoder(t, c)
	n := packet(c, cfg.Ptime)
	pcm := make([]int16, c.SampleRate*int(MaxDuration.Milliseconds())/1000)
	var out []int16
	var payload []byte
	for ; len(x) >= n; x = x[n:] {
		var err error
		if payload, err = e.Encode(payload[:0], x[:n]); err != nil {
			t.Fatal(err)
		}
		if got := d.Duration(payload); got != n {
			t.Fatalf("%s: duration of a packet is %d, want %d", c.Name, got, n)
		}
		got, err := d.Decode(pcm, payload)
		if err != nil || got != n {
			t.Fatalf("%s: %d samples, %v; want %d", c.Name, got, err, n)
		}
		out = append(out, pcm[:n]...)
	}
	return out
}

// tone is a sine of a level in dB below full scale.
func tone(n int, hz float64, rate int, level float64) []int16 {
	x := make([]int16, n)
	for i := range x {
		x[i] = int16(math.Round(32767 * math.Pow(10, level/20) * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return x
}

// measure finds a tone of about 1 kHz in x, which lasts whole periods: its level against full scale and how far all else is
// below it, in dB, and its frequency in Hz.
func measure(x []int16, rate int) (level, hz, snr float64) {
	const about = 1000
	turn := func(i int) complex128 { return cmplx.Exp(complex(0, 2*math.Pi*about*float64(i)/float64(rate))) }
	part := func(from, to int) complex128 {
		var sum complex128
		for i := from; i < to; i++ {
			sum += complex(float64(x[i]), 0) * cmplx.Conj(turn(i))
		}
		return 2 * sum / complex(float64(to-from), 0)
	}
	whole := part(0, len(x))
	level = 20 * math.Log10(cmplx.Abs(whole)/32767)
	step := rate / 10 // the phase of a tone that is off turns from one tenth of a second to the next
	hz = about + cmplx.Phase(part(step, 2*step)*cmplx.Conj(part(0, step)))/(2*math.Pi)*10
	var noise float64
	for i, v := range x {
		e := float64(v) - real(whole*turn(i))
		noise += e * e
	}
	return level, hz, 10 * math.Log10(float64(len(x))*real(whole*cmplx.Conj(whole))/2/noise)
}

// quality is what a codec has to keep of a tone of 1 kHz at -10 dB. G.711 is bound by its eight bits; Opus does not keep
// the waveform but the sound.
var quality = map[string]float64{"opus": 15, "g722": 40, "pcmu": 37, "pcma": 37}

func TestTone(t *testing.T) {
	for _, c := range sendable() {
		for _, ptime := range ptimes {
			out := through(t, c, EncoderConfig{Ptime: ptime}, tone(c.SampleRate*6/5, 1000, c.SampleRate, -10))
			level, hz, snr := measure(out[c.SampleRate/2:][:c.SampleRate/2], c.SampleRate)
			t.Logf("%s %v: %.3f dB, %.3f Hz, SNR %.1f dB", c.Name, ptime, level, hz, snr)
			if math.Abs(level+10) > 0.5 || math.Abs(hz-1000) > 1 {
				t.Errorf("%s %v: a tone of -10 dB and 1000 Hz comes out at %.2f dB and %.2f Hz", c.Name, ptime, level, hz)
			}
			if want := quality[c.Name]; snr < want {
				t.Errorf("%s %v: SNR %.1f dB, want %.0f", c.Name, ptime, snr, want)
			}
		}
	}
}

func TestFind(t *testing.T) {
	for _, name := range []string{"opus", "g722", "pcmu", "pcma"} {
		if c, ok := Find(name); !ok || c.Name != name {
			t.Errorf("Find(%q) is %v, %v", name, c.Name, ok)
		}
	}
	if _, ok := Find("g729"); ok {
		t.Error("there is a codec that there is not")
	}
}

// Every mistake of the caller and every nonsense of the peer has its error, and changes nothing.
func TestErrors(t *testing.T) {
	for _, c := range All {
		d := decoder(t, c)
		if _, err := d.Decode(make([]int16, 5760), nil); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: an empty payload gives %v", c.Name, err)
		}
		if n := d.Duration(nil); n != 0 {
			t.Errorf("%s: an empty payload lasts %d samples", c.Name, n)
		}
		if _, err := d.Decode(make([]int16, 10), make([]byte, 160)); !errors.Is(err, ErrLong) {
			t.Errorf("%s: too little room gives %v", c.Name, err)
		}
		if d.Conceal(nil) && c.Name != "opus" || d.Recover(nil, nil) {
			t.Errorf("%s: conceals and recovers what it cannot", c.Name)
		}
		d.Close()
		d.Close()
	}
	for _, c := range sendable() {
		for _, ptime := range []time.Duration{-1, time.Millisecond, 25 * time.Millisecond, 70 * time.Millisecond} {
			if _, err := c.NewEncoder(EncoderConfig{Ptime: ptime}); !errors.Is(err, ErrPtime) {
				t.Errorf("%s: packets of %v give %v", c.Name, ptime, err)
			}
		}
		e := encoder(t, c, EncoderConfig{})
		for _, n := range []int{0, 1, packet(c, 0) - 1, packet(c, 0) + 1} {
			dst, err := e.Encode([]byte("before"), make([]int16, n))
			if !errors.Is(err, ErrLength) || string(dst) != "before" {
				t.Errorf("%s: a packet of %d samples gives %q, %v", c.Name, n, dst, err)
			}
		}
		e.Close()
		e.Close()
	}
}

// Encode appends, and does so in place where there is room.
func TestEncodeAppends(t *testing.T) {
	for _, c := range sendable() {
		for _, ptime := range ptimes {
			x := tone(packet(c, ptime), 1000, c.SampleRate, -10)
			e := encoder(t, c, EncoderConfig{Ptime: ptime})
			short, err := e.Encode([]byte("header"), x)
			if err != nil {
				t.Fatal(err)
			}
			dst := append(make([]byte, 0, 6+MaxPayload), "header"...)
			long, err := encoder(t, c, EncoderConfig{Ptime: ptime}).Encode(dst, x)
			if err != nil {
				t.Fatal(err)
			}
			if &long[0] != &dst[0] {
				t.Errorf("%s: moved although there is room", c.Name)
			}
			if !bytes.Equal(short, long) || string(long[:6]) != "header" || len(long) == 6 {
				t.Errorf("%s: %d and %d bytes", c.Name, len(short), len(long))
			}
		}
	}
}

func TestNoAllocations(t *testing.T) {
	for _, c := range sendable() {
		for _, ptime := range ptimes {
			x := tone(packet(c, ptime), 440, c.SampleRate, -10)
			e, d := encoder(t, c, EncoderConfig{Ptime: ptime, Params: "useinbandfec=1"}), decoder(t, c)
			buffer, pcm := make([]byte, 0, MaxPayload), make([]int16, 5760)
			loss := 0.0
			n := testing.AllocsPerRun(20, func() {
				loss = 0.1 - loss
				e.SetLoss(loss)
				payload, _ := e.Encode(buffer, x)
				_ = d.Duration(payload)
				_ = d.Recover(pcm[:len(x)], payload)
				_, _ = d.Decode(pcm, payload)
				_ = d.Conceal(pcm[:len(x)])
			})
			if n != 0 {
				t.Errorf("%s %v: %v allocations for a packet", c.Name, ptime, n)
			}
		}
	}
}
