package jitter

import (
	"math"
	"time"
)

// How lost sound is made up.
const (
	hold    = 10 * time.Millisecond // before it begins to fade
	fading  = 70 * time.Millisecond // until it is gone
	hurried = 20 * time.Millisecond // the same when silence is known to follow
	joining = 2 * time.Millisecond  // from the ghost back to sound
	sliding = 6 * time.Millisecond  // the same where the two are alike
)

// ghost continues a sound from what was heard last, for codecs that cannot: the last pitch periods again and again for what
// is voiced, noise of the same colour for what is not, fading into the background.
type ghost struct {
	active bool
	hurry  bool

	last   [48 * 50]int16 // what was heard last
	n      int            // of it
	lag    int            // a pitch period
	at     int            // in last
	cycle  int            // periods played
	voiced float64        // share, 0 to 1
	jump   float64        // from the last sample that was heard to the first one made up; it is led away
	rms    float64
	hiss   noise
	slope  float64
	made   int // samples
	level  float64
	rate   int
	fade   [48 * 6]int16 // what merge needs
}

// begin listens to the end of a sound.
func (g *ghost) begin(s *sound, back *background) {
	longestLag, window := s.samples(longest), s.samples(7*time.Millisecond)
	g.active, g.hurry = true, false
	g.rate, g.made, g.level, g.cycle = s.rate, 0, 1, 0
	lag, like := s.bestLag(s.end-window, window, s.samples(shortest), longestLag, -1)
	g.lag = lag
	g.n = copy(g.last[:], s.buf[s.end-min(3*lag+window/2, s.samples(50*time.Millisecond)):s.end])
	g.at = g.n - lag
	g.voiced = max(0, min(1, like/0.5))
	tail := s.buf[s.end-window : s.end]
	g.rms = math.Sqrt(power(tail))
	if g.voiced < 1 {
		g.hiss.set(reflections(s.buf[s.end-s.samples(20*time.Millisecond) : s.end]))
	}
	g.slope = 1
	if now, before := power(s.buf[s.end-lag:s.end]), power(s.buf[s.end-2*lag:s.end-lag]); now < before {
		g.slope = math.Pow(max(now/before, 0.05), 0.4/float64(lag)) // it was fading already
	}
	g.jump = float64(s.buf[s.end-1]) - g.voiced*float64(g.last[g.at-1])
}

// next is the next sample.
func (g *ghost) next(back *background) float64 {
	v := 0.0
	if g.level > 0 {
		v = g.level * g.voice()
		g.decay()
	}
	if back.rms > 0 {
		v += (1 - g.level) * back.rms * back.next()
	}
	return v
}

// voice continues what was heard.
func (g *ghost) voice() float64 {
	v := g.voiced*g.periodic() + g.jump
	g.jump *= 1 - 1000/float64(g.rate)
	if g.voiced < 1 {
		swell := min(1, float64(g.made)/float64(g.rate/500))
		v += math.Sqrt(1-g.voiced*g.voiced) * g.rms * g.hiss.next() * swell
	}
	return v
}

// decay is the way of the level down.
func (g *ghost) decay() {
	over := fading
	if g.hurry {
		over = hurried
	}
	g.level *= g.slope
	if g.hurry || g.made > int(hold*time.Duration(g.rate)/time.Second) {
		g.level = max(0, g.level-float64(time.Second)/float64(over)/float64(g.rate))
	}
	g.made++
}

// periodic walks through the last periods: one at first, then two and three of them in turn, since one alone soon sounds
// like a buzzer. The end of a walk is faded into its beginning.
func (g *ghost) periodic() float64 {
	periods := 1 + min(2, g.made/(g.rate/50))
	fade := g.lag / 4
	back := min(periods, g.n/g.lag) * g.lag
	if g.n-back < fade {
		back -= g.lag
	}
	back = max(back, g.lag)
	v := float64(g.last[g.at])
	if left := g.n - g.at; left <= fade && g.at-back >= 0 {
		w := float64(left) / float64(fade+1)
		v = w*v + (1-w)*float64(g.last[g.at-back])
	}
	g.at++
	if g.at == g.n {
		g.at -= back
	}
	return v
}

// fill makes samples.
func (g *ghost) fill(dst []int16, back *background) {
	if g.level == 0 && back.rms == 0 {
		clear(dst)
		return
	}
	for i := range dst {
		dst[i] = clip(g.next(back))
	}
}

// merge fades from the ghost into sound that has come back. Where both swing together it takes its time; where they do not
// they would cancel each other, and it makes haste.
func (g *ghost) merge(dst []int16, back *background) {
	n := min(len(dst), int(sliding*time.Duration(g.rate)/time.Second))
	made := g.fade[:n]
	g.fill(made, back)
	var ab, aa, bb float64
	for i, v := range made {
		x, y := float64(v), float64(dst[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if ab <= 0.8*math.Sqrt(aa*bb) {
		n = min(n, int(joining*time.Duration(g.rate)/time.Second))
	}
	for i := range n {
		dst[i] = mix(made[i], dst[i], i, n)
	}
}

func clip(v float64) int16 {
	return int16(max(-32768, min(32767, math.Round(v))))
}
