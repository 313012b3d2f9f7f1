package jitter

import (
	"math"
	"time"
)

// How lost sound is made up.
const (
	hold    = 10 * time.Millisecond  // before it begins to fade
	holding = 100 * time.Millisecond // the same for a sound that has long been the same
	fading  = 70 * time.Millisecond  // until it is gone
	hurried = 20 * time.Millisecond  // the same when silence is known to follow
	joining = 2 * time.Millisecond   // from the ghost back to sound
	sliding = 6 * time.Millisecond   // the same where the two are alike
)

// How alike the last periods of a sound must be to call it steady: from the lower bound on it is held longer, from the upper
// one as long as can be. Speech is hardly ever above.
const (
	almostSteady = 0.96
	steady       = 0.99
	agreeing     = -0.3 // how alike two sounds that are no steady tone must be to stay in their place
)

// ghost continues a sound from what was heard last, without the codec: the last pitch periods again and again for what is
// voiced, noise of the same colour for what is not, fading into the background. Sound that comes back is joined to it where
// the two swing alike, for where they swing against each other a fade from one to the other is a hole.
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
	hold   int // samples before it fades
	steady bool
	made   int // samples
	level  float64
	rate   int
	more   [48 * 34]int16 // what join needs: a pitch period to compare, and one to move
}

// begin listens to the end of a sound.
func (g *ghost) begin(s *sound, back *background) {
	longestLag, window := s.samples(longest), s.samples(7*time.Millisecond)
	g.active, g.hurry = true, false
	span := s.samples(25 * time.Millisecond)
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
	same := s.similar(s.end-span, s.end-span-lag, span, 1)
	g.steady = same >= steady
	g.hold = s.samples(hold + time.Duration(max(0, min(1, (same-almostSteady)/(steady-almostSteady)))*float64(holding-hold)))
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
	if g.hurry || g.made > g.hold {
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

// join finds where sound that has come back is to go on. The two swing alike only if one of them is moved: the made up
// sound goes on for that many samples more, or, if negative, the first samples of x are left out. Without room to leave
// anything out, late, only the first way is open. made is what the made up sound goes on with.
func (g *ghost) join(x []int16, back *background, late bool) (shift int, made []int16) {
	width := min(len(x), max(g.lag, g.samples(sliding)))
	reach := (g.lag + 1) / 2
	before, after := min(reach, len(x)-width), reach
	if late {
		before, after = 0, g.lag
	}
	made = g.more[:width+after]
	g.fill(made, back)
	like := alike(made, x, width, 1)
	if g.voiced < 0.6 || g.level < 0.05 || !late && !g.steady && like >= agreeing {
		return 0, made
	}
	best := like
	try := func(d, step int) {
		c := 0.0
		if d >= 0 {
			c = alike(made[d:], x, width, step)
		} else {
			c = alike(made, x[-d:], width, step)
		}
		// A steady tone is alike at every period; the least shift will do.
		if v := c - 0.02*float64(max(d, -d))/float64(g.samples(10*time.Millisecond)); v > best {
			best, shift = v, d
		}
	}
	step := max(1, g.rate/8000)
	for d := -before; d <= after; d += step {
		try(d, step)
	}
	if around := shift; step > 1 {
		best = -1
		for d := max(-before, around-step+1); d <= min(after, around+step-1); d++ {
			try(d, 1)
		}
	}
	return shift, made
}

func (g *ghost) samples(d time.Duration) int { return int(d * time.Duration(g.rate) / time.Second) }

// alike is the normalised correlation of the first n samples, taking every step-th.
func alike(x, y []int16, n, step int) float64 {
	var ab, aa, bb float64
	for i := 0; i < n; i += step {
		a, b := float64(x[i]), float64(y[i])
		ab, aa, bb = ab+a*b, aa+a*a, bb+b*b
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// cross fades from made into x so that the power stays the same: what is alike adds up in full, what is not adds up to less.
// Where the two are alike it takes its time; where they are not it makes haste, for two voices are heard.
func (g *ghost) cross(x, made []int16) {
	n := min(g.samples(sliding), len(x), len(made))
	like := alike(made, x, n, 1)
	if like < 0.8 {
		n = min(g.samples(joining), n)
	}
	like = max(0, like)
	for i := range n {
		w := (float64(i) + 0.5) / float64(n)
		a, b := 1-w, w
		x[i] = clip((a*float64(made[i]) + b*float64(x[i])) / math.Sqrt(a*a+b*b+2*like*a*b))
	}
}

func clip(v float64) int16 {
	return int16(max(-32768, min(32767, math.Round(v))))
}
