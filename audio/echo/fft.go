package echo

import (
	"math"
	"math/bits"
)

// fft transforms real sequences of one power of two. A sequence of n reals is packed into n/2 complex numbers, which
// halves the work. Real and imaginary parts live in separate slices: Go widens products of complex64 to float64, and
// separate slices avoid that.
//
// An fft owns its work space; it must not be used by two goroutines at once.
type fft struct {
	n        int       // reals
	cos, sin []float32 // of -2πk/(n/2), for the complex transform
	pc, ps   []float32 // of -2πk/n, for packing
	rev      []uint16  // bit-reversed indexes
	re, im   []float32 // work space
}

func newFFT(n int) *fft {
	h := n / 2
	f := &fft{
		n: n, cos: make([]float32, h/2), sin: make([]float32, h/2), pc: make([]float32, h/2+1), ps: make([]float32, h/2+1),
		rev: make([]uint16, h), re: make([]float32, h), im: make([]float32, h),
	}
	for k := range f.cos {
		s, c := math.Sincos(-2 * math.Pi * float64(k) / float64(h))
		f.cos[k], f.sin[k] = float32(c), float32(s)
	}
	for k := range f.pc {
		s, c := math.Sincos(-2 * math.Pi * float64(k) / float64(n))
		f.pc[k], f.ps[k] = float32(c), float32(s)
	}
	shift := 64 - bits.Len(uint(h-1))
	for i := range f.rev {
		f.rev[i] = uint16(bits.Reverse64(uint64(i)) >> shift)
	}
	return f
}

// forward transforms the n reals of x into n/2+1 bins.
func (f *fft) forward(re, im, x []float32) {
	x = x[:f.n]
	for i, r := range f.rev {
		f.re[r], f.im[r] = x[2*i], x[2*i+1]
	}
	f.butterflies()

	// The even samples were the real part and the odd ones the imaginary part: separate their spectra by symmetry and
	// join them with one more stage.
	h := f.n / 2
	zr, zi := f.re, f.im
	re, im = re[:h+1], im[:h+1]
	re[0], im[0] = zr[0]+zi[0], 0
	re[h], im[h] = zr[0]-zi[0], 0
	for k := 1; k <= h/2; k++ {
		j := h - k
		er, ei := (zr[k]+zr[j])/2, (zi[k]-zi[j])/2
		or, oi := (zi[k]+zi[j])/2, (zr[j]-zr[k])/2
		c, s := f.pc[k], f.ps[k]
		tr, ti := or*c-oi*s, or*s+oi*c
		re[k], im[k] = er+tr, ei+ti
		re[j], im[j] = er-tr, ti-ei
	}
}

// inverse transforms n/2+1 bins back into n reals, scaled so that it undoes forward.
func (f *fft) inverse(x, re, im []float32) {
	h := f.n / 2
	re, im, x = re[:h+1], im[:h+1], x[:f.n]
	scale := 1 / float32(f.n)
	// The complex transform only goes forward; with real and imaginary parts swapped on both sides it goes backward.
	put := func(k int, a, b float32) {
		r := f.rev[k]
		f.re[r], f.im[r] = b*scale, a*scale
	}
	put(0, re[0]+re[h], re[0]-re[h])
	for k := 1; k <= h/2; k++ {
		j := h - k
		er, ei := re[k]+re[j], im[k]-im[j]
		dr, di := re[k]-re[j], im[k]+im[j]
		c, s := f.pc[k], -f.ps[k]
		or, oi := dr*c-di*s, dr*s+di*c
		put(k, er-oi, ei+or)
		put(j, er+oi, or-ei)
	}
	f.butterflies()
	for i := range h {
		x[2*i], x[2*i+1] = f.im[i], f.re[i]
	}
}

// butterflies is a decimation-in-time complex transform in place, of input in bit-reversed order. The first two
// stages have trivial factors and are done together.
func (f *fft) butterflies() {
	h := f.n / 2
	re, im := f.re[:h], f.im[:h]
	for i := 0; i+3 < h; i += 4 {
		r, m := re[i:i+4:i+4], im[i:i+4:i+4]
		ar, ai, br, bi := r[0]+r[1], m[0]+m[1], r[0]-r[1], m[0]-m[1]
		cr, ci, dr, di := r[2]+r[3], m[2]+m[3], r[2]-r[3], m[2]-m[3]
		r[0], m[0], r[2], m[2] = ar+cr, ai+ci, ar-cr, ai-ci
		r[1], m[1], r[3], m[3] = br+di, bi-dr, br-di, bi+dr
	}
	for size := 4; size < h; size *= 2 {
		step := h / (2 * size)
		for base := 0; base < h; base += 2 * size {
			ar, ai := re[base:base+size], im[base:base+size]
			br, bi := re[base+size:base+2*size], im[base+size:base+2*size]
			br, bi, ai = br[:len(ar)], bi[:len(ar)], ai[:len(ar)]
			for k := range ar {
				c, s := f.cos[k*step], f.sin[k*step]
				tr, ti := br[k]*c-bi[k]*s, br[k]*s+bi[k]*c
				br[k], bi[k] = ar[k]-tr, ai[k]-ti
				ar[k], ai[k] = ar[k]+tr, ai[k]+ti
			}
		}
	}
}
