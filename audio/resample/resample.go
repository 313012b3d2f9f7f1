// Package resample changes the rate of sound: between the 48 kHz of the engine and the 16 or 8 kHz of telephone codecs
// (Up, Down), and between any two rates for files (Ratio).
//
// A higher rate is made by placing zeros between samples and removing the images that this makes of the spectrum; a lower
// one by removing what would fold into the band, and dropping samples. Both removals are the same low-pass filter, whose
// cut-off is half the lower rate. The filters are windowed sincs (Kaiser), computed when they are first needed. Such a
// filter is one half of full gain at its cut-off, and zero at every M-th coefficient but the middle one: a third (or half)
// of the products falls away, and of the samples that an Up makes every M-th is a sample it got, untouched.
//
// A filter with a sharp edge is long, and half its length is delay. The edges are therefore put where they do no harm: what
// lies up to 600 Hz above the cut-off of 4 kHz (1 kHz above that of 8 kHz) is let through in part, and can only fold onto
// the same distance below it, where the telephone band has ended already:
//
//	rate     flat to   stopped from   ripple      attenuation   delay each way
//	8 kHz    3.4 kHz   4.6 kHz        < 0.01 dB   > 73 dB       111 samples of 48 kHz, 2.31 ms
//	16 kHz   7 kHz     9 kHz          < 0.01 dB   > 73 dB       57 samples, 1.19 ms
//
// (4.6 kHz is where ITU-T G.712 puts it for telephone channels, too.) The factor 6 is made in two steps, 2 and 3: the sharp
// edge is cheaper at 16 kHz, and the step to 48 kHz, whose edge may be wide, is short.
//
// Blocks may have any length; what comes out does not depend on how the sound was cut. Nothing allocates after New.
package resample

import "fmt"

// chunk is how many samples of the lower rate are worked on between two moves of a filter's history.
const chunk = 160

// Up raises a rate by a whole factor. It belongs to one goroutine.
type Up struct {
	factor int
	half   *upStage // nil unless the factor is 6
	third  *upStage // nil if the factor is 1
	in     [chunk]float32
	middle [2 * chunk]float32
	out    [6 * chunk]float32
}

// NewUp returns a resampler from 48000/factor to 48000. The factor is 1, 3 or 6.
func NewUp(factor int) *Up {
	u := &Up{factor: factor}
	switch factor {
	case 1:
	case 3:
		u.third = newUpStage(sharpThird())
	case 6:
		u.half, u.third = newUpStage(sharpHalf()), newUpStage(wideThird())
	default:
		panic(fmt.Sprintf("resample: factor %d", factor))
	}
	return u
}

// Process fills dst, which is factor times as long as src.
func (u *Up) Process(dst, src []int16) {
	if len(dst) != u.factor*len(src) {
		panic("resample: lengths do not fit")
	}
	if u.factor == 1 {
		copy(dst, src)
		return
	}
	for len(src) > 0 {
		n := min(len(src), chunk)
		in, out := u.in[:n], u.out[:n*u.factor]
		toFloat(in, src[:n])
		if u.half != nil {
			u.half.process(u.middle[:2*n], in)
			u.third.process(out, u.middle[:2*n])
		} else {
			u.third.process(out, in)
		}
		toInt(dst[:len(out)], out)
		dst, src = dst[len(out):], src[n:]
	}
}

// Delay is the time a sound takes through the filter, in samples of 48 kHz.
func (u *Up) Delay() int { return delay(u.factor) }

// Down lowers a rate by a whole factor. It belongs to one goroutine.
type Down struct {
	factor int
	third  *downStage // nil if the factor is 1
	half   *downStage // nil unless the factor is 6
	in     [6 * chunk]float32
	middle [2 * chunk]float32
	out    [chunk]float32
}

// NewDown returns a resampler from 48000 to 48000/factor. The factor is 1, 3 or 6.
func NewDown(factor int) *Down {
	d := &Down{factor: factor}
	switch factor {
	case 1:
	case 3:
		d.third = newDownStage(sharpThird())
	case 6:
		d.third, d.half = newDownStage(wideThird()), newDownStage(sharpHalf())
	default:
		panic(fmt.Sprintf("resample: factor %d", factor))
	}
	return d
}

// Process fills dst; src is factor times as long.
func (d *Down) Process(dst, src []int16) {
	if len(src) != d.factor*len(dst) {
		panic("resample: lengths do not fit")
	}
	if d.factor == 1 {
		copy(dst, src)
		return
	}
	for len(dst) > 0 {
		n := min(len(dst), chunk)
		in, out := d.in[:n*d.factor], d.out[:n]
		toFloat(in, src[:len(in)])
		if d.half != nil {
			d.third.process(d.middle[:2*n], in)
			d.half.process(out, d.middle[:2*n])
		} else {
			d.third.process(out, in)
		}
		toInt(dst[:n], out)
		dst, src = dst[n:], src[len(in):]
	}
}

// Delay is the time a sound takes through the filter, in samples of 48 kHz.
func (d *Down) Delay() int { return delay(d.factor) }

// delay is half the length of the filters.
func delay(factor int) int {
	switch factor {
	case 3:
		return sharpThird().reach * 3
	case 6:
		return 3*sharpHalf().reach*2 + wideThird().reach*3
	}
	return 0
}

func toFloat(dst []float32, src []int16) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = float32(v)
	}
}

// toInt rounds to the nearest integer, and what is beyond full scale to full scale.
func toInt(dst []int16, src []float32) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = round(v)
	}
}

func round(v float32) int16 {
	const bias = 32768
	v = max(0, min(v+bias+0.5, 2*bias-1)) // no longer negative, so that dropping the fraction rounds down
	return int16(int32(v) - bias)
}
