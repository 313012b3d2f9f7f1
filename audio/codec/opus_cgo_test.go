//go:build cgo

package codec

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// voice is a synthetic voice of 1.5 s, at 48 kHz by straight lines between the samples of 16 kHz.
func voice(t testing.TB) []int16 {
	t.Helper()
	low := g722Decode(t, recording(t), 160)
	x := make([]int16, 0, 3*len(low))
	last := 0
	for _, v := range low {
		for k := range 3 {
			x = append(x, int16(last+(int(v)-last)*(k+1)/3))
		}
		last = int(v)
	}
	return x
}

func encodeAll(t testing.TB, e Encoder, n int, x []int16) [][]byte {
	t.Helper()
	var list [][]byte
	for ; len(x) >= n; x = x[n:] {
		payload, err := e.Encode(nil, x[:n])
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, payload)
	}
	return list
}

// Of lost packets, what Recover makes out of the copy in the next one is nearer to the original than what Conceal invents.
func TestOpusRecover(t *testing.T) {
	c, _ := Find("opus")
	e := encoder(t, c, EncoderConfig{Params: "useinbandfec=1"})
	e.SetLoss(0.2)
	list := encodeAll(t, e, 960, voice(t))
	whole, recovered, concealed := decoder(t, c), decoder(t, c), decoder(t, c)
	var copies, lost int
	var signal, errRecover, errConceal float64
	want, pcm := make([]int16, 960), make([]int16, 5760)
	decode := func(d Decoder, payload []byte) {
		if n, err := d.Decode(pcm, payload); err != nil || n != 960 {
			t.Fatalf("%d samples, %v", n, err)
		}
	}
	for i, payload := range list {
		decode(whole, payload)
		copy(want, pcm)
		if i%4 != 2 || i+1 == len(list) {
			decode(recovered, payload)
			decode(concealed, payload)
			continue
		}
		lost++
		a, b := make([]int16, 960), make([]int16, 960)
		if recovered.Recover(a, list[i+1]) {
			copies++
		} else if !recovered.Conceal(a) {
			t.Fatal("no concealment")
		}
		if !concealed.Conceal(b) {
			t.Fatal("no concealment")
		}
		for j, v := range want {
			signal += float64(v) * float64(v)
			errRecover += math.Pow(float64(v)-float64(a[j]), 2)
			errConceal += math.Pow(float64(v)-float64(b[j]), 2)
		}
	}
	byCopy, byGuess := 10*math.Log10(signal/errRecover), 10*math.Log10(signal/errConceal)
	t.Logf("%d of %d lost packets had a copy; SNR %.1f dB with copies, %.1f dB by concealment", copies, lost, byCopy, byGuess)
	if copies < lost*2/3 {
		t.Errorf("only %d of %d lost packets had a copy", copies, lost)
	}
	if byCopy < byGuess+3 {
		t.Errorf("SNR %.1f dB with copies, %.1f dB by concealment", byCopy, byGuess)
	}
}

// Copies are made only when packets are lost and the peer can read them.
func TestOpusCopies(t *testing.T) {
	c, _ := Find("opus")
	x := voice(t)
	for _, k := range []struct {
		params string
		loss   float64
		want   bool
	}{
		{"useinbandfec=1", 0.1, true},
		{"useinbandfec=1", 7, true},
		{"useinbandfec=1", 0, false},
		{"useinbandfec=1", -1, false},
		{"useinbandfec=1", math.NaN(), false},
		{"", 0.1, false},
	} {
		e := encoder(t, c, EncoderConfig{Params: k.params})
		e.SetLoss(k.loss)
		copies := 0
		for _, payload := range encodeAll(t, e, 960, x) {
			if opusHasCopy(payload) {
				copies++
			}
		}
		if copies > 0 != k.want {
			t.Errorf("%q and a loss of %v: %d packets have copies", k.params, k.loss, copies)
		}
	}
}

// A copy that is longer or shorter than the loss, or is not there, changes nothing.
func TestOpusRecoverRefuses(t *testing.T) {
	c, _ := Find("opus")
	e := encoder(t, c, EncoderConfig{Params: "useinbandfec=1"})
	e.SetLoss(0.2)
	var copied []byte
	for _, payload := range encodeAll(t, e, 960, voice(t)) {
		if opusHasCopy(payload) {
			copied = payload
		}
	}
	d := decoder(t, c)
	for _, n := range []int{0, 1, 120, 480, 959, 961} {
		if d.Recover(make([]int16, n), copied) {
			t.Errorf("%d samples out of a copy of 960", n)
		}
	}
	if !d.Recover(make([]int16, 960), copied) || !d.Recover(make([]int16, 1920), copied) {
		t.Error("a copy is not read")
	}
	for _, payload := range packets(t, "celt.opus") {
		if d.Recover(make([]int16, 960), payload) {
			t.Fatal("a copy in the music layer")
		}
	}
}

// In silence, with the peer's consent, nothing is sent but for a refreshing packet now and then.
func TestOpusDTX(t *testing.T) {
	c, _ := Find("opus")
	r := rand.New(rand.NewPCG(1, 1))
	x := voice(t)
	speech := len(x) / 960
	for range 200 * 960 {
		x = append(x, int16(r.IntN(17)-8))
	}
	for params, want := range map[string]bool{"usedtx=1": true, "": false} {
		var silent int
		for i, payload := range encodeAll(t, encoder(t, c, EncoderConfig{Params: params}), 960, x) {
			if len(payload) == 0 {
				if i < 10 {
					t.Errorf("%q: speech is not sent", params)
				}
				silent++
			} else if len(payload) <= 2 {
				t.Errorf("%q: a packet of %d bytes is sent", params, len(payload))
			}
		}
		t.Logf("%q: %d packets of %d (%d of speech) are not sent", params, silent, len(x)/960, speech)
		if want && silent < 150 || !want && silent > 0 {
			t.Errorf("%q: %d of 200 silent packets are not sent", params, silent)
		}
	}
}

func TestOpusBitrate(t *testing.T) {
	c, _ := Find("opus")
	x := voice(t)
	for _, k := range []struct {
		cfg      EncoderConfig
		min, max float64 // kb/s
	}{
		{EncoderConfig{}, 30, 42},
		{EncoderConfig{Params: "maxaveragebitrate=16000"}, 12, 17},
		{EncoderConfig{Params: "maxplaybackrate=8000"}, 9, 13},
		{EncoderConfig{Params: "cbr=1", Bitrate: 24000}, 23.9, 24.1},
		{EncoderConfig{Bitrate: 510000, Ptime: 60 * time.Millisecond}, 100, 160}, // MaxPayload is the limit
	} {
		n, total := packet(c, k.cfg.Ptime), 0
		list := encodeAll(t, encoder(t, c, k.cfg), n, x)
		for _, payload := range list {
			total += len(payload)
			if len(payload) > MaxPayload {
				t.Errorf("%+v: a packet of %d bytes", k.cfg, len(payload))
			}
		}
		rate := float64(total) * 8 / float64(len(list)*n) * 48
		t.Logf("%+v: %.1f kb/s", k.cfg, rate)
		if rate < k.min || rate > k.max {
			t.Errorf("%+v: %.1f kb/s, want %v to %v", k.cfg, rate, k.min, k.max)
		}
	}
}

// A peer that plays 8 kHz gets no sound above 4 kHz.
func TestOpusBandwidth(t *testing.T) {
	c, _ := Find("opus")
	x := tone(24000, 6000, 48000, -10)
	for params, want := range map[string]bool{"": true, "maxplaybackrate=8000": false} {
		var power float64
		for _, v := range through(t, c, EncoderConfig{Params: params}, x)[9600:] {
			power += float64(v) * float64(v) / 14400
		}
		if heard := power > 1e5; heard != want {
			t.Errorf("%q: a tone of 6 kHz comes out with a power of %.0f", params, power)
		}
	}
}

// Frames that share a packet: the lengths before them are right in either form.
func TestOpusFramesShare(t *testing.T) {
	c, _ := Find("opus")
	r := rand.New(rand.NewPCG(1, 1))
	for _, k := range []EncoderConfig{
		{Ptime: 30 * time.Millisecond},
		{Ptime: 50 * time.Millisecond},
		{Ptime: 30 * time.Millisecond, Bitrate: 250000},
		{Ptime: 50 * time.Millisecond, Params: "usedtx=1"},
		{Ptime: 30 * time.Millisecond, Params: "cbr=1;maxplaybackrate=16000"},
	} {
		noise := make([]int16, 48000)
		for i := range noise {
			noise[i] = int16(r.IntN(20000) - 10000)
		}
		through(t, c, k, noise)
		e := encoder(t, c, k)
		for range 20 {
			if _, err := e.Encode(nil, make([]int16, packet(c, k.Ptime))); err != nil {
				t.Errorf("%+v: silence: %v", k, err)
			}
		}
	}
	for _, n := range []int{0, 1, 251, 252, 253, 255, 256, 300, 1275} {
		if got, rest := opusLength(opusAppendLength(nil, n)); got != n || len(rest) != 0 {
			t.Errorf("a length of %d comes back as %d", n, got)
		}
	}
}

// Concealment continues a tone for a moment, and fades.
func TestOpusConceal(t *testing.T) {
	c, _ := Find("opus")
	d := decoder(t, c)
	pcm := make([]int16, 5760)
	if !d.Conceal(pcm[:480]) {
		t.Error("no concealment before the first packet")
	}
	for _, payload := range packets(t, "celt.opus") {
		if _, err := d.Decode(pcm, payload); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 30 {
		block := pcm[:480]
		if !d.Conceal(block) {
			t.Fatal("no concealment")
		}
		level, _, _ := measure(append(append([]int16{}, block...), make([]int16, 9600)...), opusRate)
		level += 20 * math.Log10(float64(480+9600)/480)
		if i == 0 && level < -12 || i == 29 && level > -20 {
			t.Errorf("block %d has %.1f dB", i, level)
		}
	}
	for _, n := range []int{1, 100, 119, 121} {
		if d.Conceal(pcm[:n]) {
			t.Errorf("%d samples are concealed", n)
		}
	}
}
