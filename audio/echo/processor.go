package echo

import (
	"math"
	"sync/atomic"
	"time"
)

// Rate and Block are what Process works on: 10 ms of mono samples at 48 kHz.
const (
	Rate  = 48000
	Block = 480
)

// Delay is what a Processor adds to the microphone's path, in samples of Rate: 8.25 ms, of which the two ways through
// the band split take 1.25, the overlap of frames 6 and the limiter's look-ahead 1. It is the same whatever stage is
// on, so that switching one does not click, and nothing when all are off.
const Delay = bandDelay + lookAhead

const bandDelay = splitDelay + ratio*overlap

// Config switches the stages of a Processor.
type Config struct {
	Echo    bool // cancel and suppress the echo of the far end
	Noise   bool // suppress steady noise, by at most 15 dB
	Gain    bool // bring speech to one level
	Limiter bool // keep peaks below full scale
}

// Default has every stage on.
var Default = Config{Echo: true, Noise: true, Gain: true, Limiter: true}

// Stats is what a Processor knows about the call.
type Stats struct {
	ERLE       float64       // echo return loss enhancement, dB: by how much an echo is reduced; 0 before there was one
	Delay      time.Duration // from the block handed to the speaker to its echo; -1 while it is unknown
	DoubleTalk float64       // share of the far end's time in which the near end spoke as well, 0 to 1, recently
	Gain       float64       // of the gain control, in dB
	Resets     uint64        // times a filter went astray and began anew
}

// Processor improves what the microphone gave. Process belongs to one goroutine; Set, Config and Stats may be called by any.
type Processor struct {
	config atomic.Uint32
	stats  [5]atomic.Uint64 // the fields of Stats, floats as their bits

	// Owned by the goroutine that calls Process.
	was       Config // in the block before
	blocks    int    // since any stage is on
	bands     int    // blocks since the bands are worked on
	idle      int    // blocks since no stage needs the bands
	canceller *canceller
	spectral  *spectral
	leveler   *leveler
	limiter   *limiter
	micDown   *down
	farDown   *down
	up        *up
	straight  *line // the microphone, to meet what the bands have changed
	lowLine   *line // the lower band, to be compared with what became of it
	upper     float32
	meter     meter

	mic, out    [Block]float32
	wide        [Block]float32
	low, farLow [lowBlock]float32
	lowLate     [lowBlock]float32
}

// New makes a Processor.
func New(cfg Config) *Processor {
	p := &Processor{
		canceller: newCanceller(), spectral: newSpectral(), leveler: newLeveler(), limiter: newLimiter(),
		micDown: newSplit(), farDown: newSplit(), up: newUp(),
		straight: newLine(bandDelay, Block), lowLine: newLine(overlap, lowBlock),
	}
	p.Set(cfg)
	p.publish()
	return p
}

// Set switches stages, from the next block on.
func (p *Processor) Set(cfg Config) {
	var bits uint32
	for i, on := range []bool{cfg.Echo, cfg.Noise, cfg.Gain, cfg.Limiter} {
		if on {
			bits |= 1 << i
		}
	}
	p.config.Store(bits)
}

// Config is what was set last.
func (p *Processor) Config() Config {
	b := p.config.Load()
	return Config{b&1 != 0, b&2 != 0, b&4 != 0, b&8 != 0}
}

// Process works on one block in place. mic is what the microphone gave; far is what the speaker was given, the block
// most recently handed to the device. It does not allocate.
func (p *Processor) Process(mic, far []int16) {
	cfg := p.Config()
	fading := cfg == Config{} // one more block, to end without a click
	if fading {
		if p.was == cfg {
			return
		}
		cfg = p.was
	}
	if p.was == (Config{}) {
		p.begin()
	}
	toFloat(p.mic[:], mic)
	p.straight.process(p.out[:], p.mic[:])
	p.inBands(cfg, far)
	echoOnly := p.spectral.residual.active && !p.spectral.residual.near
	p.leveler.process(p.out[:], echoOnly, cfg.Gain)
	p.limiter.process(p.out[:], cfg.Limiter)
	p.leave(mic, fading)
	p.was = cfg
	if fading {
		p.was = Config{}
	}
	p.publish()
}

// begin forgets the past, which is of before the stages were off.
func (p *Processor) begin() {
	p.blocks, p.bands, p.idle = 0, 0, 0
	p.straight.reset()
	p.leveler.reset()
	p.limiter.reset()
	p.canceller.mix = 0
}

// leave writes the result. The first block goes out as it came while the delay lines fill, and is faded over in the
// second.
func (p *Processor) leave(mic []int16, fading bool) {
	p.blocks++
	if p.blocks == 1 {
		return
	}
	wet, step := float32(1), float32(0)
	switch {
	case fading:
		step = -1.0 / Block
	case p.blocks == 2:
		wet, step = 0, 1.0/Block
	}
	for i, v := range p.out {
		if step != 0 {
			wet += step
			v = wet*v + (1-wet)*p.mic[i]
		}
		mic[i] = toInt(v)
	}
}

// inBands runs the stages that work below 8 kHz. out holds the delayed microphone, and receives the difference that
// they make.
func (p *Processor) inBands(cfg Config, far []int16) {
	const rest = 3 // blocks until all fades and filters of the bands have run out
	p.idle++
	if cfg.Echo || cfg.Noise {
		p.idle = 0
	}
	if p.idle > rest {
		p.bands = 0
		return
	}
	if p.bands == 0 {
		p.spectral.reset()
		p.lowLine.reset()
		p.micDown.reset()
		p.up.reset()
		p.upper = 1
	}
	p.bands++
	p.micDown.process(p.low[:], p.mic[:])
	p.lowLine.process(p.lowLate[:], p.low[:])
	p.echo(cfg.Echo, far)
	p.spectral.process(p.low[:], p.canceller, cfg.Echo, cfg.Noise)
	if !(power(p.spectral.out[:]) < 100) { // not even a number, or 20 dB over full scale
		p.spectral.reset()
		p.canceller.restart()
		p.bands = 1
	}
	if p.bands == 1 {
		return // the frames fill
	}
	p.meter.process(p.spectral)
	p.join()
}

// echo runs the canceller.
func (p *Processor) echo(on bool, far []int16) {
	c := p.canceller
	if !on && c.mix == 0 {
		c.bypass(p.low[:])
		return
	}
	if c.mix == 0 && !p.was.Echo {
		c.reset()
		p.farDown.reset()
	}
	toFloat(p.wide[:], far)
	p.farDown.process(p.farLow[:], p.wide[:])
	c.process(p.low[:], p.farLow[:], on)
}

// join adds up the bands: out = upper·(out - up(lowLate)) + up(spectral.out), with one interpolation.
func (p *Processor) join() {
	step := (p.spectral.upper - p.upper) / lowBlock
	fade, fadeStep := float32(1), float32(0)
	if p.bands == 2 {
		fade, fadeStep = 0, 1.0/lowBlock
	}
	for i, v := range p.spectral.out {
		p.upper += step
		fade += fadeStep
		p.lowLate[i] = fade * (v - p.upper*p.lowLate[i])
		g := 1 + fade*(p.upper-1)
		p.out[ratio*i] *= g
		p.out[ratio*i+1] *= g
		p.out[ratio*i+2] *= g
	}
	p.upper = p.spectral.upper // exactly
	p.up.process(p.wide[:], p.lowLate[:])
	for i, v := range p.wide {
		p.out[i] += v
	}
}

// meter averages what Stats tells.
type meter struct {
	mic, out   float64 // powers while the echo was alone
	doubleTalk float64
}

func (m *meter) process(s *spectral) {
	if !s.residual.active {
		return
	}
	const slow, slower = 0.02, 0.005 // half a second, two seconds
	if s.residual.near {
		m.doubleTalk += slower * (1 - m.doubleTalk)
		return
	}
	m.doubleTalk -= slower * m.doubleTalk
	var in, out float32
	for k, p := range s.mic.power {
		in += p
		out += s.gain[k]*s.gain[k]*s.err.power[k] + s.comfort[k]*lowBlock/frame
	}
	m.mic += slow * (float64(in) - m.mic)
	m.out += slow * (float64(out) - m.out)
}

// publish lets Stats see the block.
func (p *Processor) publish() {
	erle := 0.0
	if p.meter.mic > 0 {
		erle = 10 * math.Log10((p.meter.mic+1e-9)/(p.meter.out+1e-9))
	}
	for i, v := range []float64{erle, float64(p.canceller.locator.delay()), p.meter.doubleTalk, p.leveler.gain} {
		p.stats[i].Store(math.Float64bits(v))
	}
	p.stats[4].Store(p.canceller.resets)
}

// Stats returns what is known now.
func (p *Processor) Stats() Stats {
	f := func(i int) float64 { return math.Float64frombits(p.stats[i].Load()) }
	st := Stats{ERLE: f(0), Delay: -1, DoubleTalk: f(2), Gain: f(3), Resets: p.stats[4].Load()}
	if d := f(1); d >= 0 {
		st.Delay = time.Duration(d * float64(time.Second) / lowRate)
	}
	return st
}

func toFloat(dst []float32, src []int16) {
	for i, v := range src[:len(dst)] {
		dst[i] = float32(v) / 32768
	}
}

func toInt(v float32) int16 {
	v *= 32768
	switch {
	case v >= 32767:
		return 32767
	case v <= -32768:
		return -32768
	case v >= 0:
		return int16(v + 0.5)
	}
	return int16(v - 0.5)
}
