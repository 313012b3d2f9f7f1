package device

import "math"

// warp makes blocks a little longer or shorter, by moving the points at which they are sampled smoothly over the whole
// block: nothing is cut, so nothing clicks. Between samples it interpolates by a cubic through four of them (Catmull and
// Rom's). It delays by two samples, for the cubic looks ahead.
type warp struct {
	before [4]int16 // the end of the block before
}

// Stretch fills dst with what src sounds like in that time.
func (w *warp) Stretch(dst, src []int16) {
	at := func(i int) float64 {
		if i < 0 {
			return float64(w.before[4+i])
		}
		return float64(src[i])
	}
	if len(dst) == len(src) {
		copy(dst, w.before[2:])
		copy(dst[2:], src)
	} else {
		step := float64(len(src)) / float64(len(dst))
		for i := range dst {
			// The last point is the last sample but two, whatever the step: the next block begins a step behind it.
			place := float64(i+1)*step - 3
			whole := math.Floor(place)
			n, f := int(whole), place-whole
			if i == len(dst)-1 {
				n, f = len(src)-3, 0
			}
			a, b, c, d := at(n-1), at(n), at(n+1), at(n+2)
			dst[i] = clamp(math.RoundToEven(b + f/2*(c-a+f*(2*a-5*b+4*c-d+f*(3*(b-c)+d-a)))))
		}
	}
	copy(w.before[:], src[len(src)-4:])
}
