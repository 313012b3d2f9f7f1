package jitter

import (
	"math"
	"time"
)

// Bounds of pitch periods: 400 Hz to 60 Hz.
const (
	shortest = 2500 * time.Microsecond
	longest  = 16700 * time.Microsecond
	overlap  = 5 * time.Millisecond  // over which two places of the sound are faded into each other
	past     = 60 * time.Millisecond // of sound that is kept after it was played
)

// sound is what is decoded and not yet played, and a little of what was.
type sound struct {
	rate       int
	buf        []int16
	start, end int // of what is not yet played
}

// reset forgets everything. It allocates only for a rate higher than any before.
func (s *sound) reset(rate int) {
	s.rate = rate
	keep := s.samples(past)
	size := keep + s.samples(2*maxPacket+2*longest)
	if cap(s.buf) < size {
		s.buf = make([]int16, size)
	}
	s.buf = s.buf[:size]
	clear(s.buf)
	s.start, s.end = keep, keep
}

func (s *sound) samples(d time.Duration) int { return int(d * time.Duration(s.rate) / time.Second) }
func (s *sound) step() ticks                 { return ticks(48000 / s.rate) }
func (s *sound) pending() int                { return s.end - s.start }

// room returns where the next n samples go. grow makes them part of the sound.
func (s *sound) room(n int) []int16 {
	if s.end+n > len(s.buf) {
		keep := s.samples(past)
		copy(s.buf, s.buf[s.start-keep:s.end])
		s.start, s.end = keep, keep+s.pending()
	}
	return s.buf[s.end:min(s.end+n, len(s.buf))]
}

func (s *sound) grow(n int) { s.end += n }

func (s *sound) take(dst []int16) {
	copy(dst, s.buf[s.start:s.start+len(dst)])
	s.start += len(dst)
}

// remove cuts the first lag samples out of what is not yet played, fading over.
func (s *sound) remove(lag, fade int) {
	x := s.buf[s.start:s.end]
	for i := range fade {
		x[i] = mix(x[i], x[i+lag], i, fade)
	}
	copy(x[fade:], x[fade+lag:])
	s.end -= lag
}

// insert plays the last lag samples once more, fading over.
func (s *sound) insert(lag, fade int) {
	fade = min(fade, lag)
	s.room(lag)
	at := s.start
	copy(s.buf[at+fade:s.end+lag], s.buf[at+fade-lag:s.end])
	for i := range fade {
		s.buf[at+i] = mix(s.buf[at+i], s.buf[at+i-lag], i, fade)
	}
	s.end += lag
}

// mix goes from a to b in n steps; i is the step.
func mix(a, b int16, i, n int) int16 {
	w := int32((2*i + 1) * 16384 / n) // of b, in 1/32768
	return int16((int32(a)*(32768-w) + int32(b)*w + 16384) >> 15)
}

// similar is the normalised correlation of n samples at a with those at b, taking every step-th.
func (s *sound) similar(a, b, n, step int) float64 {
	var ab, aa, bb float64
	for i := 0; i < n; i += step {
		x, y := float64(s.buf[a+i]), float64(s.buf[b+i])
		ab += x * y
		aa += x * x
		bb += y * y
	}
	if aa == 0 && bb == 0 {
		return 1
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// bestLag finds how far from the n samples at a, in a direction, the sound is most like there: first roughly at 8 kHz,
// then exactly.
func (s *sound) bestLag(a, n, low, high, direction int) (lag int, likeness float64) {
	step := max(1, s.rate/8000)
	lag, likeness = low, -1.0
	for l := low; l <= high; l += step {
		if c := s.similar(a, a+direction*l, n, step); c > likeness {
			lag, likeness = l, c
		}
	}
	if step == 1 {
		return lag, likeness
	}
	rough := lag
	likeness = -1
	for l := max(low, rough-step+1); l <= min(high, rough+step-1); l++ {
		if c := s.similar(a, a+direction*l, n, 1); c > likeness {
			lag, likeness = l, c
		}
	}
	return lag, likeness
}

// power is the mean square of samples.
func power(x []int16) float64 {
	if len(x) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum / float64(len(x))
}
