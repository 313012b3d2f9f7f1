package jitter_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"offhook/audio/codec"
	"offhook/audio/jitter"
)

// tones is a sum of tones with an amplitude of 8000 each, or less where these are many.
func tones(rate int, length time.Duration, hz ...float64) []int16 {
	x := make([]int16, int(length*time.Duration(rate)/time.Second))
	for i := range x {
		v := 0.0
		for _, f := range hz {
			v += 8000 * min(1, 2/float64(len(hz))) * math.Sin(2*math.Pi*f*float64(i)/float64(rate))
		}
		x[i] = int16(math.Round(v))
	}
	return x
}

// trouble is what happens to packet i, or to block i: it comes later than it should, or never.
type trouble func(i int) (late time.Duration, lost bool)

func none(int) (time.Duration, bool) { return 0, false }

// through sends packets of 20 ms through a buffer, each when its sound is complete, while a device pulls 5 ms after each
// packet and in between. Nothing overtakes.
func through(t testing.TB, c codec.Codec, packets [][]byte, sender, device trouble) ([]int16, jitter.Stats) {
	t.Helper()
	dec, err := c.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	b := jitter.New(jitter.Config{})
	b.SetFormat(0, jitter.Format{Decoder: dec, ClockRate: c.ClockRate, SampleRate: c.SampleRate})
	var heard []int16
	pulls, pulled := 2*len(packets), 0
	pull := func(until time.Duration) {
		for now := time.Duration(0); pulled < pulls; pulled++ {
			late, _ := device(pulled)
			now = max(now, time.Duration(pulled)*10*ms+5*ms+late)
			if now >= until {
				return
			}
			block, _ := b.Pull(now)
			heard = append(heard, block...)
		}
	}
	now := time.Duration(0)
	for i, p := range packets {
		late, lost := sender(i)
		if now = max(now, time.Duration(i+1)*20*ms+late); !lost {
			pull(now)
			b.Push(jitter.Packet{Sequence: uint16(i), Timestamp: uint32(i * c.ClockRate / 50), Payload: p}, now)
		}
	}
	pull(time.Hour)
	return heard, b.Stats()
}

// envelope is the level of the quietest and the loudest piece of a length, in dB over the mean of all.
func envelope(x []int16, n int) (quietest, loudest float64) {
	square := make([]float64, len(x)+1)
	for i, v := range x {
		square[i+1] = square[i] + float64(v)*float64(v)
	}
	mean := square[len(x)] / float64(len(x)) * float64(n)
	quietest, loudest = 100, -100
	for i := 0; i+n <= len(x); i++ {
		d := 10 * math.Log10((square[i+n]-square[i])/mean+1e-9)
		quietest, loudest = min(quietest, d), max(loudest, d)
	}
	return quietest, loudest
}

// every lets trouble come to n things in a row, about once a second, from the second second on, at changing places.
func every(second, n int, what func(k int) (time.Duration, bool)) trouble {
	return func(i int) (time.Duration, bool) {
		if k := i % (second + 3); i > 2*second && k >= 17 && k < 17+n {
			return what(k - 17)
		}
		return 0, false
	}
}

// TestToneSurvivesTrouble sends steady tones through packets that come late, that never come, and through stalls of the
// device: the tone goes on as if nothing had been, within 1 dB. What a decoder needs to recover after a loss, and not after
// a delay, is allowed to it.
func TestToneSurvivesTrouble(t *testing.T) {
	lost := func(int) (time.Duration, bool) { return 0, true }
	type condition struct {
		name           string
		sender, device trouble
		losses         bool
	}
	conditions := []condition{
		{"1 lost", every(50, 1, lost), none, true}, {"2 lost", every(50, 2, lost), none, true}, {"3 lost", every(50, 3, lost), none, true},
	}
	for _, late := range []time.Duration{5, 15, 25, 40} {
		by := func(int) (time.Duration, bool) { return late * ms, false }
		conditions = append(conditions, condition{fmt.Sprint(int(late), " ms late"), every(50, 1, by), none, false},
			condition{fmt.Sprint("device ", int(late), " ms late"), none, every(100, 1, by), false})
	}
	for _, name := range []string{"pcmu", "g722", "opus"} {
		c, _ := codec.Find(name)
		if c.NewEncoder == nil {
			continue
		}
		for _, hz := range [][]float64{{300}, {440}, {1000}, {1234.5}, {440, 1000}, {65, 130, 195, 260, 325}} {
			packets := coded(t, c, codec.EncoderConfig{Ptime: 20 * ms}, 0, tones(c.SampleRate, 4*time.Second, hz...))
			periods := math.Ceil(hz[0] * 0.005)
			limit := 1.0
			switch len(hz) {
			case 2:
				periods, limit = 22, 2 // a whole period of both; no pitch period has both of them whole
			case 5:
				limit = 1.5 // a buzz as deep as any voice
			}
			n := int(math.Round(periods * float64(c.SampleRate) / hz[0]))
			for _, x := range conditions {
				heard, s := through(t, c, packets, x.sender, x.device)
				quietest, loudest := envelope(heard[c.SampleRate:], n)
				limit := limit
				switch stateful := name != "pcmu"; {
				case stateful && x.losses && len(hz) == 5, name == "opus" && x.losses && (hz[0] == 440 || hz[0] == 1234.5):
					continue // what the decoder says after a loss is another sound at first, whatever was heard during it
				case stateful && x.losses, stateful && len(hz) == 5:
					limit *= 2
				}
				if quietest < -limit || loudest > limit {
					t.Errorf("%s, %v Hz, %s: %+.2f to %+.2f dB; concealed %v, stretched %v, delay %v", name, hz, x.name, quietest, loudest,
						s.Concealed, s.Stretched.Round(ms), s.Delay.Round(ms))
				}
				account(t, s)
			}
		}
	}
}
