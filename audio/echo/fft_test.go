package echo

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The transform agrees with the definition, and inverse undoes forward.
func TestFFT(t *testing.T) {
	for _, n := range []int{8, 256, 512, 4096} {
		f := newFFT(n)
		dice := rand.New(rand.NewPCG(1, uint64(n)))
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(dice.NormFloat64())
		}
		re, im, back := make([]float32, n/2+1), make([]float32, n/2+1), make([]float32, n)
		f.forward(re, im, x)
		for k := 0; k <= n/2; k += 1 + n/64 {
			var wr, wi float64
			for i, v := range x {
				s, c := math.Sincos(-2 * math.Pi * float64(k) * float64(i) / float64(n))
				wr, wi = wr+float64(v)*c, wi+float64(v)*s
			}
			if math.Hypot(wr-float64(re[k]), wi-float64(im[k])) > 1e-5*float64(n) {
				t.Fatalf("n=%d bin %d: %g%+gi, want %g%+gi", n, k, re[k], im[k], wr, wi)
			}
		}
		f.inverse(back, re, im)
		for i := range x {
			if math.Abs(float64(x[i]-back[i])) > 1e-5 {
				t.Fatalf("n=%d sample %d: %g after both transforms, was %g", n, i, back[i], x[i])
			}
		}
	}
}
