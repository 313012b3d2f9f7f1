package echo

// canceller takes the echo of the far end from the microphone, as far as a linear filter can.
//
// Two filters run. The careful one is heard. It believes that what it does not explain is the near end, which is
// wrong when the room has changed: then it would learn for a long time. So a bold one runs beside it, which blames
// itself. After a change, while the far end speaks alone, the bold filter is soon the better one, and the careful one
// takes over what it has learned. While both ends speak the bold filter goes astray, and nobody hears it.
type canceller struct {
	fft           *fft
	far           [ringSize]float32 // the far end's past
	at            int64             // samples of it so far
	past          past
	careful, bold *filter
	locator       *locator
	reverb        reverb
	delay         int  // by how much the far end is held back, in samples of lowRate
	placed        bool // the delay was found once

	heard   bool    // the far end says something, or did within the tail
	micMean float32 // smoothed power of the microphone
	better  int     // blocks in a row in which the bold filter was better
	lost    int     // blocks in a row in which it took little away
	astray  int     // blocks in a row in which the careful filter added more than it took
	resets  uint64

	mix float32           // share of the estimate that is subtracted
	err [lowBlock]float32 // the microphone without the echo
	est [lowBlock]float32 // the echo
}

const (
	ringSize = 1 << 14 // a second: the longest delay, the tail and a transform fit
	slack    = 128     // taps before the echo begins, 8 ms: the search is exact to a few ms, and clocks drift
)

func newCanceller() *canceller {
	c := &canceller{
		fft: newFFT(fftSize), locator: newLocator(),
		careful: &filter{keep: 0.9995, near: 1}, bold: &filter{keep: 0.98, near: 0.2},
	}
	c.reset()
	return c
}

func (c *canceller) reset() {
	clear(c.far[:])
	c.past = past{}
	c.careful.reset()
	c.bold.reset()
	c.locator.reset()
	c.reverb.reset()
	c.delay, c.mix, c.placed = 0, 0, false
	c.micMean, c.better, c.astray, c.lost = 0, 0, 0, 0
}

// process works on one block of lowRate. The result is in err and est.
func (c *canceller) process(mic, far []float32, on bool) {
	for i, v := range far {
		c.far[(c.at+int64(i))&(ringSize-1)] = v
	}
	c.at += lowBlock
	if d := c.locator.process(mic, far); d >= 0 {
		c.follow(d)
	}
	c.load(c.past.next(), 0)
	c.past.measure()

	if !c.sane() {
		c.restart()
	}
	c.careful.cancel(c.fft, &c.past, mic)
	c.bold.cancel(c.fft, &c.past, mic)
	c.micMean += 0.1*(power(mic)-c.micMean) + still
	if c.heard = c.audible(); c.heard {
		c.careful.adapt(c.fft, &c.past)
		c.bold.adapt(c.fft, &c.past)
		c.compare()
	}
	c.reverb.process(c.careful, &c.past)
	c.output(mic, on)
}

// bypass leaves the microphone as it is.
func (c *canceller) bypass(mic []float32) {
	c.heard = false
	copy(c.err[:], mic)
	clear(c.est[:])
}

// audible tells whether the far end says something in the filter's reach. What is fainter than -84 dBFS, about the
// noise of 16 bits, teaches nothing.
func (c *canceller) audible() bool {
	var sum float32
	for p := range parts {
		j := c.past.part(p)
		for k := 4; k < bins; k += 4 {
			sum += c.past.power[j][k]
		}
	}
	return sum > 1e-3
}

// load transforms the far end as it was blocks ago into x.
func (c *canceller) load(x *spectrum, blocks int) {
	var in [fftSize]float32
	from := c.at - int64(c.delay) - fftSize - int64(blocks*lowBlock)
	for i := range in {
		in[i] = c.far[(from+int64(i))&(ringSize-1)]
	}
	c.fft.forward(x.re[:], x.im[:], in[:])
}

// compare lets the careful filter learn from the bold one, and gives up what has gone astray.
func (c *canceller) compare() {
	const (
		soon  = 8  // blocks until the better filter is believed; periodic speech may favour the bold one for a moment
		later = 20 // blocks until a filter is given up
	)
	careful, bold := c.careful.errMean, c.bold.errMean
	count(&c.better, bold < 0.8*careful)
	count(&c.lost, bold > c.micMean/4)
	count(&c.astray, careful > 1.5*c.micMean)
	if c.lost == later {
		c.bold.doubt(unsureAtFirst)
		c.lost = 0
	}
	switch {
	case c.better == soon:
		c.careful.learn(c.bold)
		c.better = 0
	case c.astray == later:
		c.restart()
	}
}

// sane tells whether both filters still hold numbers. The comparison is false for what is not a number, too.
func (c *canceller) sane() bool {
	const most = 1e6 // 60 dB over full scale
	return c.careful.errMean < most && c.bold.errMean < most
}

// restart makes the filters learn from nothing.
func (c *canceller) restart() {
	c.careful.reset()
	c.bold.reset()
	c.reverb.reset()
	c.better, c.astray, c.lost = 0, 0, 0
	c.resets++
}

// count counts how often in a row something was true.
func count(n *int, yes bool) {
	*n++
	if !yes {
		*n = 0
	}
}

// output fades the echo estimate out while subtracting it makes things worse.
func (c *canceller) output(mic []float32, on bool) {
	const worse = 1.1 // less may be chance, and the echo is not to flash up for it
	target := float32(1)
	if !on || c.careful.errMean > worse*c.micMean {
		target = 0
	}
	step := (target - c.mix) / lowBlock
	for i := range c.err {
		c.mix += step
		c.est[i] = c.mix * c.careful.est[i]
		c.err[i] = mic[i] - c.est[i]
	}
	c.mix = target // exactly
}

// follow moves the filter's input when the echo no longer begins where the filter expects it.
//
// A filter that works knows the room, and where the echo is in its taps: its response moves along (it is the first
// estimate, or the clocks have drifted apart). One that does not was right until the device was restarted: its
// response is kept in place, for the room is the same.
func (c *canceller) follow(d int) {
	const (
		early = slack / 4
		late  = 3 * slack // 24 ms; the tail after it is 136 ms long
	)
	to := max(0, d-slack)
	if off := d - c.delay; off >= early && off <= late || to == c.delay {
		return
	}
	works := c.careful.errMean < c.micMean/2
	if works && c.placed && abs(to-c.delay) > late {
		return // it cannot be so far off: a tone looks alike at every delay
	}
	c.placed = true
	for _, f := range []*filter{c.careful, c.bold} {
		if works {
			f.shift(c.fft, to-c.delay)
		}
		f.doubt(unsureAtFirst)
	}
	c.delay = to
	for b := range kept {
		c.past.at = (c.past.at + 1) % kept
		c.load(&c.past.x[c.past.at], kept-1-b)
		c.past.measure()
	}
}
