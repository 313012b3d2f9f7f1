package echo

import "math"

// leveler is the automatic gain control: it brings speech slowly to one level, so that callers need not touch their
// volume knobs. It measures only while somebody speaks here; in pauses the gain rests, or the room's noise would
// swell up.
type leveler struct {
	level float64 // mean power of speech; 0 until there was some
	floor float64 // power of the background
	gain  float64 // dB
	now   float32 // factor at the end of the last block
}

const (
	targetLevel = -22.0 // dBFS of active speech; a normal talker peaks 12 to 15 dB above
	mostGain    = 18.0  // dB
	leastGain   = -12.0
	lowFloor    = 1e-7  // power, -70 dBFS: a device that gives nothing at first says nothing about the room
	loudFloor   = -52.0 // the background is not brought above this
	faintest    = -55.0 // dBFS; below nobody speaks
	overFloor   = 10.0  // dB by which speech is above the background
	gainUp      = 0.03  // dB per block of speech: 3 dB/s
	gainDown    = 0.10  // too loud is worse than too faint
)

func newLeveler() *leveler { return &leveler{floor: lowFloor, now: 1} }

func (l *leveler) reset() { *l = *newLeveler() }

// process multiplies x. echo tells that what is heard may be the far end.
func (l *leveler) process(x []float32, echo, on bool) {
	if on {
		l.measure(float64(power(x))+1e-10, echo)
	} else {
		l.gain, l.level = 0, 0
	}
	to := float32(math.Pow(10, l.gain/20))
	if to == 1 && l.now == 1 {
		return
	}
	step := (to - l.now) / float32(len(x))
	for i := range x {
		l.now += step
		x[i] *= l.now
	}
	l.now = to
}

func (l *leveler) measure(p float64, echo bool) {
	// The floor falls at once and rises by 3 dB/s, slower than words are long.
	l.floor = max(lowFloor, min(l.floor*1.007, p))
	in := 10 * math.Log10(p)
	if echo || in < faintest || in < 10*math.Log10(l.floor)+overFloor {
		return
	}
	if l.level == 0 {
		l.level = math.Pow(10, targetLevel/10) // begin with no opinion
	}
	const memory = 0.01 // a second of speech
	l.level += memory * (p - l.level)
	want := targetLevel - 10*math.Log10(l.level)
	want = min(want, mostGain, max(0, loudFloor-10*math.Log10(l.floor)))
	want = max(want, leastGain)
	l.gain = min(l.gain+gainUp, max(l.gain-gainDown, want))
}
