package echo

// The echo path is modelled by a finite impulse response, cut into partitions and kept as their spectra. A block of
// fftSize far-end samples, of which the last lowBlock are new, is transformed once and then serves all partitions:
// the spectrum of 20 ms ago is the input of the second partition, that of 40 ms ago of the third, and so on
// (overlap-save).
//
// Partitions are two blocks long: 320 taps and 160 new samples fit into a transform of 512, a power of two, and half
// as many partitions are needed as with a partition per block.
const (
	fftSize  = 512
	bins     = fftSize/2 + 1
	stride   = 2                 // blocks between partitions
	partTaps = stride * lowBlock // 20 ms
	parts    = 8                 // 160 ms in all
	tailTaps = parts * partTaps  // of which slack lies before the echo
	kept     = stride * parts    // spectra of the far end to remember
	share    = float32(lowBlock) / fftSize
)

type spectrum struct{ re, im [bins]float32 }

// past holds the newest spectra of the far end.
type past struct {
	x     [kept]spectrum
	power [kept][bins]float32
	at    int // newest
}

// next makes room for the newest spectrum.
func (h *past) next() *spectrum {
	h.at = (h.at + 1) % kept
	return &h.x[h.at]
}

// measure computes the power of the newest spectrum.
func (h *past) measure() {
	x, p := &h.x[h.at], &h.power[h.at]
	for k := range p {
		p[k] = x.re[k]*x.re[k] + x.im[k]*x.im[k]
	}
}

// part is the index of the input of partition p.
func (h *past) part(p int) int { return (h.at - stride*p + kept) % kept }

// filter adapts as a Kalman filter does, separately for every bin (the partitioned-block frequency-domain Kalman
// filter of Enzner, Vary, Kuech and Mabande). It keeps, next to the weights, how uncertain each is, and what it does
// not explain of the microphone: the near end. Their ratio is the step size, so that near-end speech slows adaptation
// at once and only in the bins it occupies, with no detector that has to decide first.
type filter struct {
	// Immutable.
	keep float32 // share of the uncertainty that a block leaves; the rest comes anew from the size of the weights
	near float32 // share of the error that is blamed on the near end

	w      [parts]spectrum
	unsure [parts][bins]float32 // variance of the weights
	psi    [bins]float32        // power of the near end in e
	turn   int                  // the partition to constrain next

	est     [lowBlock]float32 // the echo
	err     [lowBlock]float32 // the microphone without it
	errMean float32           // smoothed power of err

	e      spectrum         // of err, padded with zeros
	sum    [bins]float32    // work space
	padded [fftSize]float32 // work space
}

const (
	unsureAtFirst = 0.3 // an echo path may amplify a little in a bin

	// Recursive averages get a grain with every step: what decays for long ends in denormal numbers, and those are
	// slow. Both grains are far below one bit of 16.
	smallest = 1e-9  // for the power of a bin
	still    = 1e-12 // for the power of a sample, and where a grain must not be taken for an echo
)

func (f *filter) reset() {
	f.w = [parts]spectrum{}
	f.doubt(unsureAtFirst)
	f.errMean = 0
	clear(f.psi[:])
}

// doubt makes the filter ready to learn anew.
func (f *filter) doubt(v float32) {
	for p := range f.unsure {
		for k := range f.unsure[p] {
			f.unsure[p][k] = v
		}
		v *= 0.6 // rooms decay
	}
}

// learn takes over what another filter knows.
func (f *filter) learn(from *filter) {
	f.w, f.unsure, f.psi = from.w, from.unsure, from.psi
	f.est, f.err, f.errMean = from.est, from.err, from.errMean
}

// cancel computes the echo estimate and what is left of the microphone.
func (f *filter) cancel(t *fft, h *past, mic []float32) {
	var y spectrum
	for p := range f.w {
		w, x := &f.w[p], &h.x[h.part(p)]
		for k := range y.re {
			wr, wi, xr, xi := w.re[k], w.im[k], x.re[k], x.im[k]
			y.re[k] += wr*xr - wi*xi
			y.im[k] += wr*xi + wi*xr
		}
	}
	t.inverse(f.padded[:], y.re[:], y.im[:])
	copy(f.est[:], f.padded[fftSize-lowBlock:])
	for i := range f.err {
		f.err[i] = mic[i] - f.est[i]
	}
	f.errMean += 0.1*(power(f.err[:])-f.errMean) + still
}

// adapt moves the weights by what cancel left over.
func (f *filter) adapt(t *fft, h *past) {
	clear(f.padded[:fftSize-lowBlock])
	copy(f.padded[fftSize-lowBlock:], f.err[:])
	t.forward(f.e.re[:], f.e.im[:], f.padded[:])

	f.sum = [bins]float32{}
	for p := range f.unsure {
		u, x2 := &f.unsure[p], &h.power[h.part(p)]
		for k := range u {
			f.sum[k] += u[k] * x2[k]
		}
	}
	const smooth = 0.5
	for k := range f.psi {
		er, ei := f.e.re[k], f.e.im[k]
		f.psi[k] += smooth*(er*er+ei*ei-f.psi[k]) + smallest
		f.sum[k] = 1 / (f.sum[k] + f.near*f.psi[k]/share + smallest)
	}
	drift := 1 - f.keep
	for p := range f.w {
		w, u, j := &f.w[p], &f.unsure[p], h.part(p)
		x, x2 := &h.x[j], &h.power[j]
		for k := range u {
			g := u[k] * f.sum[k]
			er, ei, xr, xi := g*f.e.re[k], g*f.e.im[k], x.re[k], x.im[k]
			wr := w.re[k] + xr*er + xi*ei
			wi := w.im[k] + xr*ei - xi*er
			w.re[k], w.im[k] = wr, wi
			u[k] = f.keep*u[k]*(1-share*g*x2[k]) + drift*(wr*wr+wi*wi) + smallest
		}
	}
	f.constrain(t, f.turn)
	f.turn = (f.turn + 1) % parts
}

// constrain takes from a partition what its taps cannot be. Without it the transform's circularity leaks into the
// weights; doing it to one partition per block in turn is enough, and an eighth of the work.
func (f *filter) constrain(t *fft, p int) {
	t.inverse(f.padded[:], f.w[p].re[:], f.w[p].im[:])
	clear(f.padded[partTaps:])
	t.forward(f.w[p].re[:], f.w[p].im[:], f.padded[:])
}

// shift moves the impulse response to the front by n taps, or to the back if n is negative.
func (f *filter) shift(t *fft, n int) {
	var taps, moved [tailTaps]float32
	for p := range f.w {
		t.inverse(f.padded[:], f.w[p].re[:], f.w[p].im[:])
		copy(taps[p*partTaps:(p+1)*partTaps], f.padded[:])
	}
	for i := range moved {
		if j := i + n; j >= 0 && j < tailTaps {
			moved[i] = taps[j]
		}
	}
	for p := range f.w {
		clear(f.padded[:])
		copy(f.padded[:], moved[p*partTaps:(p+1)*partTaps])
		t.forward(f.w[p].re[:], f.w[p].im[:], f.padded[:])
	}
}

// power is the mean square.
func power(x []float32) float32 { return dot(x, x) / float32(len(x)) }
