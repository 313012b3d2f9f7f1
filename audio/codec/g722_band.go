package codec

// band is the adaptive predictor and quantizer of one band (G.722 §6.2). Names of the fields are those of the
// recommendation where it has short ones. Encoder and decoder run the same one, fed with the same codes.
type band struct {
	s, sz int32 // the predicted sample, and the part of it that comes from the zeros
	nb    int32 // scale factor, in a logarithm to the base 2 with 11 bits after the point
	det   int32 // the same, linear
	a     [2]int32
	b     [6]int32
	r     [2]int32 // reconstructed samples before this one, newest first
	p     [2]int32 // partly reconstructed samples, likewise
	d     [6]int32 // quantized differences, likewise
}

func newLowBand() band  { return band{det: 32} }
func newHighBand() band { return band{det: 8} }

// decisions6 are the upper ends of the intervals of the six-bit quantizer, in units of the scale factor / 4096.
var decisions6 = [29]int32{
	35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714,
	786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
}

// Values of the inverse quantizers for each code, in units of the scale factor / 32768.
var (
	levels6 = [64]int32{
		-136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
		-7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
		24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
		4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
	}
	levels4 = [16]int32{
		0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
	}
	levels2 = [4]int32{-7408, -1616, 7408, 1616}
)

// Steps of the logarithmic scale factor for each code.
var (
	steps4 = [16]int32{-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60}
	steps2 = [4]int32{798, -214, 798, -214}
)

// antilog holds 2048 times the powers of two from 0 to 31/32.
var antilog = [32]int32{
	2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
	2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
}

// encodeLow quantizes a sample of the lower band. Only the first four of the six bits adapt the predictor, so that a
// network may steal the others for data.
func (b *band) encodeLow(x int32) byte {
	e := saturate(x - b.s)
	code := b.quantize6(e)
	b.adaptLow(code)
	return code
}

// quantize6 looks for the interval by halves; the scaled decisions rise with their index.
func (b *band) quantize6(e int32) byte {
	magnitude := e
	if e < 0 {
		magnitude = ^e
	}
	lo, hi := 0, len(decisions6)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if magnitude < decisions6[mid]*b.det>>12 {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	switch {
	case e >= 0:
		return byte(61 - lo)
	case lo < 2: // the two smallest negative intervals have the codes after the positive ones
		return byte(63 - lo)
	}
	return byte(33 - lo)
}

func (b *band) encodeHigh(x int32) byte {
	e := saturate(x - b.s)
	magnitude, code := e, byte(3)
	if e < 0 {
		magnitude, code = ^e, 1
	}
	if magnitude >= 564*b.det>>12 {
		code--
	}
	b.adaptHigh(code)
	return code
}

// decodeLow uses all six bits for the sample.
func (b *band) decodeLow(code byte) int32 {
	x := b.s + levels6[code]*b.det>>15
	b.adaptLow(code)
	return max(-16384, min(x, 16383))
}

func (b *band) decodeHigh(code byte) int32 {
	x := b.s + levels2[code]*b.det>>15
	b.adaptHigh(code)
	return max(-16384, min(x, 16383))
}

func (b *band) adaptLow(code byte) {
	difference := levels4[code>>2] * b.det >> 15
	b.scale(steps4[code>>2], 18432, 8)
	b.predict(difference)
}

func (b *band) adaptHigh(code byte) {
	difference := levels2[code] * b.det >> 15
	b.scale(steps2[code], 22528, 10)
	b.predict(difference)
}

// scale moves the scale factor: LOGSCL and SCALEL, or LOGSCH and SCALEH.
func (b *band) scale(step, limit, shift int32) {
	b.nb = max(0, min(b.nb*127>>7+step, limit))
	mantissa, shift := antilog[b.nb>>6&31], shift-b.nb>>11
	if shift < 0 {
		b.det = mantissa << -shift << 2
	} else {
		b.det = mantissa >> shift << 2
	}
}

// predict takes the quantized difference d0 of this sample, adapts the predictor's two poles and six zeros, and predicts
// the sample after this one.
func (b *band) predict(d0 int32) {
	r0 := saturate(b.s + d0)  // RECONS
	p0 := saturate(b.sz + d0) // PARREC
	same0 := p0^b.p[0] >= 0   // the signs agree
	same1 := p0^b.p[1] >= 0

	// UPPOL2
	w := saturate(b.a[0] << 2)
	if same0 {
		w = min(-w, 32767)
	}
	a1 := w>>7 + b.a[1]*32512>>15
	if same1 {
		a1 += 128
	} else {
		a1 -= 128
	}
	a1 = max(-12288, min(a1, 12288))

	// UPPOL1
	a0 := b.a[0] * 32640 >> 15
	if same0 {
		a0 += 192
	} else {
		a0 -= 192
	}
	limit := 15360 - a1
	a0 = max(-limit, min(a0, limit))

	// UPZERO and FILTEZ
	gain := int32(128)
	if d0 == 0 {
		gain = 0
	}
	var sz int32
	newer := d0
	for i, d := range b.d {
		step := gain
		if d^d0 < 0 {
			step = -gain
		}
		b.b[i] = saturate(b.b[i]*32640>>15 + step)
		sz += b.b[i] * saturate(2*newer) >> 15
		newer, b.d[i] = d, newer
	}

	// DELAYA, FILTEP and PREDIC
	sp := a0*saturate(2*r0)>>15 + a1*saturate(2*b.r[0])>>15
	b.a = [2]int32{a0, a1}
	b.r = [2]int32{r0, b.r[0]}
	b.p = [2]int32{p0, b.p[0]}
	b.sz = saturate(sz)
	b.s = saturate(saturate(sp) + b.sz)
}
