package echo

import "math"

// reverb predicts the power of the echo that comes later than the filter's last tap. Big rooms ring for half a
// second; a filter as long as that would cost too much and learn too slowly. But a room decays by the same factor in
// equal times, so the filter's last partition and the factor by which its partitions fall off tell how strong the
// rest is.
type reverb struct {
	fall  float32            // of power per block
	power [frameBins]float32 // in a frame of the suppressor
}

func (r *reverb) reset() { *r = reverb{fall: 0.5} }

func (r *reverb) process(f *filter, h *past) {
	const (
		first, last = parts / 2, parts - 1
		least, most = 0.1, 0.92 // 60 dB in 60 ms, and in 1.7 s
		scale       = share / 2 // a frame's window has the energy of a block; two blocks share a partition
	)
	var a, b float32
	for k := 2; k < bins; k += 2 {
		a += f.w[first].re[k]*f.w[first].re[k] + f.w[first].im[k]*f.w[first].im[k]
		b += f.w[last].re[k]*f.w[last].re[k] + f.w[last].im[k]*f.w[last].im[k]
	}
	fall := math.Pow(float64((b+smallest)/(a+smallest)), 1.0/(stride*(last-first)))
	r.fall += 0.02 * (min(most, max(least, float32(fall))) - r.fall)
	w, x2 := &f.w[last], &h.power[h.part(last)]
	for k := range r.power {
		w2 := w.re[2*k]*w.re[2*k] + w.im[2*k]*w.im[2*k]
		r.power[k] = r.fall*(r.power[k]+scale*w2*x2[2*k]) + still
	}
}
