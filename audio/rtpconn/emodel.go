package rtpconn

import (
	"math"
	"time"
)

// impairment is what the E-model knows about a codec: Ie, the impairment without loss, and Bpl, how well it stands loss.
type impairment struct {
	name    string
	ie, bpl float64
	delay   time.Duration // of the algorithm, besides the length of a packet
}

// impairments: G.711 with loss concealment is from ITU-T G.113 Appendix I. G.722 and Opus have no values on the narrow-band
// scale; they are assumed to be without impairment where nothing is lost, G.722 as frail as other waveform codecs with
// concealment that is not its own, Opus in between because it conceals from its own state.
var impairments = []impairment{
	{"pcmu", 0, 25.1, 0},
	{"pcma", 0, 25.1, 0},
	{"g722", 0, 16, 1500 * time.Microsecond},
	{"opus", 0, 20, 6500 * time.Microsecond},
}

// unknownCodec is cautious: G.711 without concealment.
var unknownCodec = impairment{"", 0, 4.3, 0}

func impairmentOf(codec string) impairment {
	for _, i := range impairments {
		if i.name == codec {
			return i
		}
	}
	return unknownCodec
}

// defaultR is the rating with all of G.107's parameters at their defaults.
const defaultR = 93.2

// EModel estimates how a call sounds (ITU-T G.107): the rating R and the mean opinion score that belongs to it. codec is
// what is heard, loss the share of packets that could not be played, burst the mean length of a run of losses over
// what it would be if they were independent (1 if unknown), delay from mouth to ear.
//
// Of the model's terms those are left out that a network does not know: noise, loudness, echo. R is 93.2 less the
// impairments by delay and by codec and loss.
func EModel(codec string, loss, burst float64, delay time.Duration) (r, mos float64) {
	i := impairmentOf(codec)
	percent := 100 * min(max(loss, 0), 1)
	effective := i.ie + (95-i.ie)*percent/(percent/max(burst, 1)+i.bpl) // G.107 §7.5
	r = max(0, defaultR-delayImpairment(delay)-effective)
	return r, opinion(r)
}

// delayImpairment is Idd of G.107 §7.4: talking gets difficult beyond 100 ms.
func delayImpairment(delay time.Duration) float64 {
	ms := float64(delay) / float64(time.Millisecond)
	if ms <= 100 {
		return 0
	}
	x := math.Log2(ms / 100)
	return 25 * (math.Pow(1+math.Pow(x, 6), 1.0/6) - 3*math.Pow(1+math.Pow(x/3, 6), 1.0/6) + 2)
}

// opinion turns a rating into a mean opinion score (G.107 Annex B).
func opinion(r float64) float64 {
	switch {
	case r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}
