package resample

// upStage and downStage change the rate by the factor of one filter. Both run the filter in parts, one for each place
// between two samples of the lower rate (polyphase), so that nothing is computed for the zeros put in, or for the samples
// dropped.

// upStage raises a rate. Its line ends with the samples in work and begins with those before that the filter still needs.
type upStage struct {
	*filter
	line []float32
	part []float32
}

func newUpStage(f *filter) *upStage {
	return &upStage{filter: f, line: make([]float32, 2*f.reach-1+2*chunk), part: make([]float32, 2*chunk)}
}

func (s *upStage) process(dst, src []float32) {
	n, history := len(src), 2*s.reach-1
	copy(s.line[history:], src)
	for i, v := range s.line[s.reach-1:][:n] { // the middle coefficient is 1, and the rest of its part is zero
		dst[i*s.factor] = v
	}
	part := s.part[:n]
	for p, taps := range s.parts {
		clear(part)
		convolve(part, s.line, taps)
		out := dst[p+1:]
		for i, v := range part {
			out[i*s.factor] = v
		}
	}
	copy(s.line[:history], s.line[n:])
}

// downStage lowers a rate. Its lines hold every factor-th sample each: line p those that are p samples early.
type downStage struct {
	*filter
	lines [][]float32
	last  []float32 // the ends of the lines that the next block begins with
}

func newDownStage(f *filter) *downStage {
	s := &downStage{filter: f, last: make([]float32, f.factor)}
	for range f.factor {
		s.lines = append(s.lines, make([]float32, 2*f.reach-1+2*chunk))
	}
	return s
}

func (s *downStage) process(dst, src []float32) {
	n, history, m := len(dst), 2*s.reach-1, s.factor
	for p, line := range s.lines {
		line := line[history:][:n]
		line[0] = src[0]
		if p > 0 {
			line[0] = s.last[p]
			s.last[p] = src[m*n-p]
		}
		for i := 1; i < n; i++ {
			line[i] = src[m*i-p]
		}
	}
	copy(dst, s.lines[0][s.reach-1:])
	for p, taps := range s.parts {
		convolve(dst, s.lines[p+1], taps)
	}
	for i := range dst {
		dst[i] /= float32(m)
	}
	for _, line := range s.lines {
		copy(line[:history], line[n:])
	}
}

// convolve adds the sum of h[j]*x[i+j] to each y[i]. It works on four of them at a time: four sums do not wait for each
// other, and each sample is loaded once.
func convolve(y, x, h []float32) {
	for len(y) >= 4 && len(x) >= 3 {
		x0, x1, x2 := x[0], x[1], x[2]
		ahead := x[3:][:len(h)]
		var s0, s1, s2, s3 float32
		for j, c := range h {
			x3 := ahead[j]
			s0 += c * x0
			s1 += c * x1
			s2 += c * x2
			s3 += c * x3
			x0, x1, x2 = x1, x2, x3
		}
		y[0] += s0
		y[1] += s1
		y[2] += s2
		y[3] += s3
		y, x = y[4:], x[4:]
	}
	for i := range y {
		var s float32
		for j, v := range x[i:][:len(h)] {
			s += h[j] * v
		}
		y[i] += s
	}
}
