package echo

// residual estimates what is left of the echo behind the filter, and the gain that hides it.
//
// What is left is taken to be proportional to the echo that was found, band by band: a filter is never exact,
// loudspeakers distort, and both grow with the echo. The factor, the leakage, is the slope of a regression of the
// powers behind the filter on those of the estimate. A near end does not rise and fall with the far end: it adds
// scatter to the regression and no slope, so that no detector of double talk is needed here either. A far end that
// never changes, music or noise, has no slope; for it the least ratio of the mean powers of late serves, which double
// talk can only raise.
type residual struct {
	errMean, estMean [bands]float32 // mean powers
	errVariance      [bands]float32
	variance, cov    [bands]float32     // of the estimate, and of both
	ratio            [bands]float32     // least ratio of the means, of late
	leak             [bands]float32     // share of the estimate that is left
	mean             [bands]float32     // of power
	smooth           [frameBins]float32 // power of the estimate, with the decay of a room
	power            [frameBins]float32 // of what is left
	before           [frameBins]float32 // near-end power in the frame before

	// Sums over the frame.
	sumErr, sumEst, sumPower float32

	proved bool // the filter has taken most of an echo away, once
	active bool // there is an echo, loud enough to matter
	near   bool // somebody speaks at the near end, too
	alone  int  // frames since somebody did
}

const (
	bands    = 20
	quietest = 1e-5 * frameBins // power of a frame at -72 dBFS
)

// edges are the bins where bands begin. They widen as those of hearing do, to about a quarter of an octave.
var edges = [bands + 1]int{1, 3, 5, 7, 9, 11, 13, 16, 19, 23, 27, 32, 38, 45, 53, 62, 72, 84, 97, 112, frameBins}

func (r *residual) reset() {
	*r = residual{}
	for b := range r.leak {
		r.leak[b], r.ratio[b] = 1, 1
	}
}

// rest stands for process while there is no canceller.
func (r *residual) rest() { r.active, r.near, r.sumErr, r.sumPower = false, false, 0, 0 }

// process takes the powers behind the filter, of the echo estimate and of the echo that comes later than the
// filter reaches, and sets gain.
func (r *residual) process(gain, err, est, late *[frameBins]float32) {
	r.estimate(err, est, late)
	r.judge()
	const (
		deepest   = 0.01 // -40 dB
		inaudible = 1e-8 // power of a bin 10 dB below the noise of 16 bits
		directed  = 0.9  // weight of the frame before in the near end's ratio to the echo; keeps bins from flickering

		// By how much the residual is overestimated, for a power fluctuates around its mean. While the echo is alone
		// nothing is lost by more of it, and what a distorting loudspeaker adds is hidden.
		overNear  = 4
		overAlone = 16
		hold      = 5 // frames without a near end until the echo is believed to be alone
	)
	over := float32(overNear)
	if r.active && r.alone > hold {
		over = overAlone
		r.spread()
	}
	for k := range gain {
		e, p := err[k], over*r.power[k]+smallest
		prior := directed*r.before[k]/p + (1-directed)*max(0, e/p-1)
		g := max(deepest, prior/(1+prior))
		r.before[k] = g*g*e + smallest
		if p < inaudible {
			g = 1
		}
		gain[k] = g
	}
}

// estimate computes power.
func (r *residual) estimate(err, est, late *[frameBins]float32) {
	// A room's echo lingers in frames in which the estimate has gone already: 10 dB per 100 ms, a dull room of its
	// size.
	const decay = 0.8
	for k := range est {
		r.smooth[k] = max(est[k], decay*r.smooth[k]) + still
	}
	r.sumErr, r.sumEst, r.sumPower = 0, 0, 0
	for b := range bands {
		var e, y, s, p float32
		for k := edges[b]; k < edges[b+1]; k++ {
			e, y, s = e+err[k], y+est[k], s+r.smooth[k]
		}
		r.regress(b, e, s)
		for k := edges[b]; k < edges[b+1]; k++ {
			r.power[k] = r.leak[b]*r.smooth[k] + late[k]
			p += r.power[k]
		}
		r.mean[b] = p / float32(edges[b+1]-edges[b])
		r.sumErr, r.sumEst, r.sumPower = r.sumErr+e, r.sumEst+y, r.sumPower+p
	}
	r.power[0] = r.power[1]
}

// regress updates the leakage of a band: e is the power behind the filter, s that of the estimate.
func (r *residual) regress(b int, e, s float32) {
	const (
		quick  = 0.05  // memory of the means, 200 ms
		slow   = 0.02  // memory of the regression, 500 ms
		rise   = 1.004 // of the least ratio, 1.7 dB/s
		enough = 0.25  // share of the variance that a slope has to explain
		least  = 1e-3  // -30 dB: no filter is trusted to do better
		most   = 4     // only a filter that has not begun to learn leaves more than it takes
		faint  = 1e-4  // powers below say nothing
	)
	r.ratio[b] = min(r.ratio[b]*rise, most)
	if s > faint {
		r.ratio[b] = min(r.ratio[b], (r.errMean[b]+smallest)/(r.estMean[b]+smallest))
	}
	r.errMean[b] += quick*(e-r.errMean[b]) + smallest
	r.estMean[b] += quick*(s-r.estMean[b]) + smallest
	de, ds := e-r.errMean[b], s-r.estMean[b]
	r.cov[b] += slow*(de*ds-r.cov[b]) + smallest*smallest
	r.variance[b] += slow*(ds*ds-r.variance[b]) + smallest*smallest
	r.errVariance[b] += slow*(de*de-r.errVariance[b]) + smallest*smallest
	if r.variance[b] < faint*faint/100 {
		return
	}
	// A slope counts as far as it explains the power behind the filter: what two talkers have in common by chance
	// does not. The ratio counts as far as the echo is steady.
	slope := max(0, r.cov[b]/r.variance[b])
	explained := slope * r.cov[b] / r.errVariance[b]
	steady := r.estMean[b] * r.estMean[b] / r.variance[b]
	r.leak[b] = min(most, max(least, slope*min(1, explained/enough), r.ratio[b]*min(1, steady/2)))
}

// judge tells whether an echo is there, and whether the near end speaks too.
func (r *residual) judge() {
	r.active = r.sumEst > quietest
	r.proved = r.proved || r.active && r.sumErr < r.sumEst/10
	r.near = r.sumErr > 4*r.sumPower+quietest
	count(&r.alone, !r.near)
}

// spread fills the valleys of power: distortion falls between the harmonics, where the estimate is faint.
func (r *residual) spread() {
	for b, m := range r.mean {
		for k := edges[b]; k < edges[b+1]; k++ {
			r.power[k] = max(r.power[k], m)
		}
	}
}
