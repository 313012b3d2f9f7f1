package jitter_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"offhook/audio/codec"
	"offhook/audio/jitter"
)

// simple is a decoder that conceals in a simple way.
type simple struct {
	codec.Decoder
	last   [960]int16
	repeat bool
}

func (s *simple) Decode(pcm []int16, payload []byte) (int, error) {
	n, err := s.Decoder.Decode(pcm, payload)
	copy(s.last[:], pcm[:n])
	return n, err
}

// Conceal is asked for halves of packets of 20 ms, the first half first.
func (s *simple) Conceal(pcm []int16) bool {
	clear(pcm)
	if s.repeat {
		copy(pcm, s.last[:])
		copy(s.last[:], s.last[len(pcm):2*len(pcm)])
		copy(s.last[len(pcm):], pcm)
	}
	return true
}

// coded is sound as packets of 20 ms.
func coded(t testing.TB, c codec.Codec, config codec.EncoderConfig, share float64, x []int16) (packets [][]byte) {
	t.Helper()
	enc, err := c.NewEncoder(config)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	enc.SetLoss(share)
	for n := c.SampleRate / 50; len(x) >= n; x = x[n:] {
		p, err := enc.Encode(nil, x[:n])
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, p)
	}
	return packets
}

// hear sends packets of 20 ms through a buffer and returns what is heard. Packet i is lost if lost[i].
func hear(t testing.TB, c codec.Codec, packets [][]byte, lost []bool, config jitter.Config, wrap func(codec.Decoder) jitter.Decoder) ([]int16, jitter.Stats) {
	t.Helper()
	dec, err := c.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	b := jitter.New(config)
	b.SetFormat(0, jitter.Format{Decoder: wrap(dec), ClockRate: c.ClockRate, SampleRate: c.SampleRate})
	var heard []int16
	for i, p := range packets {
		now := time.Duration(i+1) * 20 * ms
		if len(p) > 0 && (lost == nil || !lost[i]) {
			b.Push(jitter.Packet{Sequence: uint16(i), Timestamp: uint32(i * c.ClockRate / 50), Payload: p}, now)
		}
		for k := range 2 {
			block, _ := b.Pull(now + time.Duration(k*10)*ms + 5*ms)
			heard = append(heard, block...)
		}
	}
	return heard, b.Stats()
}

// losses draws which packets are lost; the first ones are not.
func losses(seed uint64, share float64, n int) []bool {
	rnd := rand.New(rand.NewPCG(seed, 5))
	l := make([]bool, n)
	for i := range l {
		l[i] = rnd.Float64() < share && i > 5
	}
	return l
}

func own(d codec.Decoder) jitter.Decoder        { return d }
func silence(d codec.Decoder) jitter.Decoder    { return &simple{Decoder: d} }
func repetition(d codec.Decoder) jitter.Decoder { return &simple{Decoder: d, repeat: true} }

func TestConcealmentOfSpeech(t *testing.T) {
	const runs = 3
	held := jitter.Config{Min: 60 * ms} // what is lost is known, and nothing is to be stretched: the sounds are compared moment by moment
	for _, name := range []string{"pcmu", "g722"} {
		c, _ := codec.Find(name)
		x := speechAt(t, c.SampleRate)
		packets := coded(t, c, codec.EncoderConfig{Ptime: 20 * ms}, 0, x)
		clean, _ := hear(t, c, packets, nil, held, own)
		for _, share := range []float64{0.05, 0.1} {
			var dist, snr [3]float64
			for seed := range uint64(runs) {
				lost := losses(seed, share, len(packets))
				for i, wrap := range []func(codec.Decoder) jitter.Decoder{own, silence, repetition} {
					heard, _ := hear(t, c, packets, lost, held, wrap)
					dist[i] += distortion(clean, heard, c.SampleRate) / runs
					snr[i] += segmental(clean, heard, c.SampleRate) / runs
				}
			}
			t.Logf("%s, %2.0f%% lost: distortion %.2f dB (silence %.2f, repetition %.2f); segmental SNR %.2f dB (%.2f, %.2f)",
				name, 100*share, dist[0], dist[1], dist[2], snr[0], snr[1], snr[2])
			if dist[0] >= dist[1] || dist[0] >= dist[2] {
				t.Errorf("concealment is no better than nothing")
			}
		}
	}
}

// deaf is a decoder that does not look for copies of lost packets.
type deaf struct{ codec.Decoder }

func (deaf) Recover([]int16, []byte) bool { return false }

func TestOpusRecovers(t *testing.T) {
	const runs = 3
	c, _ := codec.Find("opus")
	if c.NewEncoder == nil {
		t.Skip("Opus is for receiving only in this build")
	}
	held := jitter.Config{Min: 60 * ms} // long enough for copies from the beginning, so that nothing is stretched
	x := speechAt(t, 48000)
	packets := coded(t, c, codec.EncoderConfig{Ptime: 20 * ms, Params: "useinbandfec=1", Bitrate: 24000}, 0.1, x)
	clean, _ := hear(t, c, packets, nil, held, own)
	for _, share := range []float64{0.05, 0.1} {
		var with, without float64
		for seed := range uint64(runs) {
			lost := losses(seed, share, len(packets))
			heard, s := hear(t, c, packets, lost, held, own)
			if s.Recovered == 0 {
				t.Error("nothing was recovered")
			}
			with += distortion(third(clean), third(heard), 16000) / runs
			heard, _ = hear(t, c, packets, lost, held, func(d codec.Decoder) jitter.Decoder { return deaf{d} })
			without += distortion(third(clean), third(heard), 16000) / runs
		}
		t.Logf("opus, %2.0f%% lost: distortion %.2f dB with in-band FEC, %.2f without", 100*share, with, without)
		if with >= without {
			t.Error("forward error correction does not help")
		}
	}
}

// TestOpusSilence lets Opus stop sending in pauses (DTX): that is no loss, and the next word is heard in full.
func TestOpusSilence(t *testing.T) {
	c, _ := codec.Find("opus")
	if c.NewEncoder == nil {
		t.Skip("Opus is for receiving only in this build")
	}
	words := speechAt(t, 48000)
	x := append(append(append([]int16(nil), words...), make([]int16, 3*48000)...), words...)
	packets := coded(t, c, codec.EncoderConfig{Ptime: 20 * ms, Params: "usedtx=1"}, 0, x)
	none, sequence := 0, uint16(0)
	dec, err := c.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	b := jitter.New(jitter.Config{})
	b.SetFormat(96, jitter.Format{Decoder: dec, ClockRate: 48000, SampleRate: 48000})
	for i, p := range packets {
		now := time.Duration(i+1) * 20 * ms
		if len(p) == 0 {
			none++
		} else {
			b.Push(jitter.Packet{PayloadType: 96, Sequence: sequence, Timestamp: uint32(i * 960), Payload: p}, now)
			sequence++
		}
		b.Pull(now + 5*ms)
		b.Pull(now + 15*ms)
	}
	s := b.Stats()
	if none < 50 {
		t.Errorf("only %d packets were saved", none)
	}
	if s.Concealed > 0 || s.Lost > 0 || s.Played != uint64(sequence) && s.Played != uint64(sequence)-1 {
		t.Errorf("of %d packets %d were played, %d lost, %v concealed", sequence, s.Played, s.Lost, s.Concealed)
	}
	account(t, s)
}
