package jitter

import "math"

// order is that of the all-pole filter that shapes noise.
const order = 10

// noise is white noise through a lattice filter of reflection coefficients, the form in which RFC 3389 sends them.
type noise struct {
	k    [order]float64
	s    [order + 1]float64
	gain float64 // of the excitation, for a root mean square of 1
	seed uint32
}

// set takes reflection coefficients.
func (z *noise) set(k [order]float64) {
	z.k = k
	rest := 1.0
	for _, v := range k {
		rest *= 1 - v*v
	}
	z.gain = math.Sqrt(max(rest, 1e-6)) * math.Sqrt(3) // uniform numbers in -1 to 1 have a mean square of 1/3
}

// next is the next sample, with a root mean square of about 1.
func (z *noise) next() float64 {
	if z.seed == 0 {
		z.seed = 0x9E3779B9
	}
	z.seed ^= z.seed << 13
	z.seed ^= z.seed >> 17
	z.seed ^= z.seed << 5
	e := float64(int32(z.seed)) / (1 << 31) * z.gain
	for i := order - 1; i >= 0; i-- {
		e -= z.k[i] * z.s[i]
		z.s[i+1] = z.s[i] + z.k[i]*e
	}
	z.s[0] = e
	return e
}

// reflections finds the all-pole model of a sound: windowed autocorrelation, then the Levinson-Durbin recursion.
func reflections(x []int16) (k [order]float64) {
	var r [order + 1]float64
	n := len(x)
	at := func(i int) float64 {
		return float64(x[i]) * (0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/float64(n)))
	}
	var last [order + 1]float64 // the samples before i, newest first
	for i := range n {
		copy(last[1:], last[:order])
		last[0] = at(i)
		for j := range r {
			r[j] += last[0] * last[j]
		}
	}
	if r[0] == 0 {
		return k
	}
	r[0] *= 1.001 // a noise floor keeps the filter stable
	var a [order + 1]float64
	rest := r[0]
	for m := 1; m <= order; m++ {
		sum := r[m]
		for i := 1; i < m; i++ {
			sum += a[i] * r[m-i]
		}
		km := -sum / rest
		k[m-1] = km
		for i := 1; i <= m/2; i++ {
			a[i], a[m-i] = a[i]+km*a[m-i], a[m-i]+km*a[i]
		}
		a[m] = km
		rest *= 1 - km*km
	}
	return k
}

// Bounds of background noise, as root mean square of samples.
const (
	loudest = 180.0 // -45 dBov: what is louder is not background
	rising  = 1.002 // per 10 ms: the floor of power that the background is measured at
)

// background is the noise behind the voice: learned where nobody speaks, or sent by the other side (RFC 3389).
type background struct {
	noise
	rms   float64
	floor float64 // least power lately
	rest  int     // packets until the shape is learned again
}

func (g *background) level() float64 { return g.rms }

// learn looks at a decoded packet.
func (g *background) learn(x []int16, rate int) {
	p := power(x)
	if g.floor == 0 {
		g.floor = loudest * loudest
	}
	g.floor = min(g.floor*math.Pow(rising, float64(100*len(x))/float64(rate)), loudest*loudest)
	g.rest--
	if p > 2*g.floor {
		return
	}
	g.floor = min(g.floor, max(p, 0.1))
	g.rms += (math.Sqrt(p) - g.rms) / 8
	if g.rest <= 0 && p > 1 {
		g.set(reflections(x[max(0, len(x)-rate/50):]))
		g.rest = 10
	}
}

// obey takes the payload of a comfort noise packet: the level in -dBov, then reflection coefficients. RFC 3389 §3.
func (g *background) obey(payload []byte) {
	if len(payload) == 0 {
		return
	}
	g.rms = 32768 * math.Pow(10, -float64(payload[0]&127)/20)
	var k [order]float64
	for i, q := range payload[1:min(len(payload), order+1)] {
		k[i] = max(-0.99, min(0.99, float64(int(q)-127)/127))
	}
	g.set(k)
}
