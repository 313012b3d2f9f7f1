package echo

// limiter keeps peaks below -1 dBFS, where a codec's overshoot still has room, without cutting them off. It looks
// ahead by 1 ms, so that the gain is down when the peak comes, and moves it in straight lines: what that adds to the
// signal is faint and hidden by the peak.
type limiter struct {
	buf  [lookAhead]float32 // waiting to go out
	need float32            // gain that buf needs
	gain float32            // at the start of buf
}

const (
	lookAhead = 48     // 1 ms
	ceiling   = 0.891  // -1 dBFS
	release   = 1.0058 // per ms: 50 dB/s
)

func newLimiter() *limiter { return &limiter{need: 1, gain: 1} }

func (l *limiter) reset() { *l = limiter{need: 1, gain: 1} }

// process delays x by lookAhead and, if on, limits it.
func (l *limiter) process(x []float32, on bool) {
	for ; len(x) >= lookAhead; x = x[lookAhead:] {
		peak := float32(0)
		for _, v := range x[:lookAhead] {
			peak = max(peak, v, -v)
		}
		next := float32(1)
		if on && peak > ceiling {
			next = ceiling / peak
		}
		// What goes out now needs the gain on both of its ends to be low enough; its end is the next one's start.
		to := min(l.need, next, l.gain*release)
		step := (to - l.gain) / lookAhead
		for i, v := range l.buf {
			l.buf[i] = x[i]
			x[i] = v * (l.gain + step*float32(i))
		}
		l.gain, l.need = to, next
	}
}
