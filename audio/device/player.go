package device

import (
	"math"
	"sync/atomic"
)

// The margins of a player, in samples: what its ring should hold when a block comes, beyond what the card takes at a
// time. That the card takes just before the block comes is the worst moment; where two clocks differ it will come.
const (
	firstMargin = Rate * 5 / 2000
	minMargin   = Rate * 1 / 1000
	maxMargin   = Rate * 85 / 1000

	// After a shortage the margin grows by what was missing, but by no more than maxRise: one stall of the machine must not
	// set the delay of the minutes that follow. After some calm it shrinks by a part of itself.
	maxRise    = Rate * 6 / 1000
	shrinkPart = 8

	// judgePeriod is how many blocks a player is watched before it is corrected, calmPeriods how many such periods make calm.
	// A beginning is judged early, and what is wrong then is corrected at once: nothing has been said yet.
	judgePeriod = 50
	beginPeriod = 10
	calmPeriods = 8

	// slack is how far off the margin is good enough.
	slack = Rate / 2000

	// Blocks change by one sample at a time, 0.2 %, which is ten times what the clocks of two sound cards differ by. A stall
	// leaves more to be got rid of: that goes by up to 2 %, a third of a semitone for a second or two, and faster where there
	// is nothing to hear. What it leaves above tooMuch is left out.
	someExcess, someSlip   = Rate / 1000, 4
	greatExcess, greatSlip = Rate * 5 / 1000, 10
	quietSlip              = 240
	quietLevel             = 100 // peak; -50 dB
	tooMuch                = 3 * BlockSize

	// fadeLen is how many samples it takes to stop and to begin.
	fadeLen = 64

	unknown = math.MaxInt32
)

// player is a speaker that is a card. The card takes samples when it wants to, the engine puts them when its own clock
// says so; the ring between them holds as little as both can bear.
type player struct {
	line
	started atomic.Bool // something has been put

	// Counted by the card's thread, since the last judgement.
	taken   atomic.Int64 // samples
	takes   atomic.Int64
	missing atomic.Int64 // samples, at the worst moment

	// Owned by the card's thread.
	last   int16
	hungry bool

	// Owned by the engine.
	margin  int
	lowest  int // fill of the ring when a block came, since the last judgement
	excess  int // what has to go, by slips; negative has to come
	blocks  int // since the last judgement
	calm    int // judgements since the last shortage or decay
	warp    warp
	scratch [BlockSize + quietSlip]int16
	tail    int16 // the last sample that was put
	cut     bool  // samples were left out before the next block
	leads   bool
	begins  bool // a beginning has not been judged yet

	shortages atomic.Uint64
}

func newPlayer() *player {
	return &player{line: newLine(), margin: firstMargin, lowest: unknown}
}

// data is called by the card's thread.
func (p *player) data(samples []int16) {
	n := p.ring.Read(samples)
	if p.hungry && n > 0 {
		for i := range min(n, fadeLen) {
			samples[i] = int16(int(samples[i]) * i / fadeLen)
		}
		p.hungry = false
	}
	if n > 0 {
		p.last = samples[n-1]
	}
	if rest := samples[n:]; len(rest) > 0 {
		clear(rest)
		for i := range min(len(rest), fadeLen) {
			rest[i] = int16(int(p.last) * (fadeLen - 1 - i) / fadeLen)
		}
		p.last, p.hungry = 0, true
	}
	if p.started.Load() {
		p.taken.Add(int64(len(samples)))
		p.takes.Add(1)
		if missing := int64(len(samples) - n); missing > 0 {
			p.shortages.Add(1)
			p.missing.Store(max(p.missing.Load(), missing))
		}
	}
	p.called(len(samples))
}

// Put gives the player a block. A player that leads sets the pace itself and needs no correction of it.
func (p *player) Put(block []int16, leads bool) {
	if !p.started.Load() || p.leads != leads {
		p.leads = leads
		p.begin()
	}
	p.lowest = min(p.lowest, p.ring.Len())
	if p.blocks++; p.blocks >= judgePeriod || p.begins && p.blocks >= beginPeriod {
		p.judge(int(p.missing.Swap(0)), int(p.taken.Swap(0)), int(p.takes.Swap(0)))
		p.blocks, p.lowest = 0, unknown
	}
	if p.ring.Len() > p.margin+tooMuch {
		p.cut = true
		return
	}
	switch slip := 0; {
	case leads:
		p.write(block, slip)
	case p.begins && p.blocks == 0:
		p.begins = false
		p.write(p.jump(block), slip)
	default:
		p.write(block, p.slip(block))
	}
}

// write appends a block that is to be shorter by slip.
func (p *player) write(block []int16, slip int) {
	stretched := p.scratch[:len(block)-slip]
	p.warp.Stretch(stretched, block)
	if p.cut {
		p.cut = false
		join(p.tail, stretched)
	}
	p.tail = stretched[len(stretched)-1]
	p.ring.Write(stretched)
}

// begin gives the card something to take until the next block comes.
func (p *player) begin() {
	p.begins = true
	p.blocks, p.lowest, p.excess = 0, unknown, 0
	p.pause(2*p.margin - p.ring.Len())
	p.started.Store(true)
}

// jump corrects the beginning: what it returns of the block is to be written.
func (p *player) jump(block []int16) []int16 {
	p.pause(-p.excess)
	drop := min(max(p.excess, 0), len(block)-fadeLen)
	p.excess = 0
	p.cut = p.cut || drop > 0
	return block[drop:]
}

// pause appends silence.
func (p *player) pause(samples int) {
	if samples <= 0 {
		return
	}
	silence := p.scratch[:min(samples, len(p.scratch))]
	clear(silence)
	join(p.tail, silence)
	p.tail, p.cut = 0, true
	p.ring.Write(silence)
}

// join lets the step from the sample before a block decay, for it would click.
func join(tail int16, block []int16) {
	step := int(tail) - int(block[0])
	for i := range min(fadeLen, len(block)) {
		block[i] = clamp(float64(int(block[i]) + step*(fadeLen-i)/fadeLen))
	}
}

// slip says by how many samples the next block is to be shorter.
func (p *player) slip(block []int16) int {
	size := max(p.excess, -p.excess)
	slip := min(size, 1)
	switch {
	case size > slack && quiet(block):
		slip = min(size, quietSlip)
	case size > greatExcess:
		slip = greatSlip
	case size > someExcess:
		slip = someSlip
	}
	if p.excess < 0 {
		slip = -slip
	}
	p.excess -= slip
	return slip
}

func quiet(block []int16) bool {
	for _, v := range block {
		if v > quietLevel || v < -quietLevel {
			return false
		}
	}
	return true
}

// judge compares the worst moment of the last period with the margin.
func (p *player) judge(missing, taken, takes int) {
	p.excess = 0
	switch {
	case takes == 0: // a card that has stopped
		return
	case missing > 0 && !p.begins:
		// The silence in place of what was missing has already made the delay longer.
		p.margin = min(p.margin+min(missing+minMargin, maxRise), maxMargin)
		p.calm = 0
		return
	}
	if p.calm++; p.calm > calmPeriods {
		p.calm = 0
		p.margin = max(p.margin-p.margin/shrinkPart, minMargin)
	}
	if excess := p.lowest - p.margin - taken/takes; excess > slack || excess < -slack {
		p.excess = excess
	}
}

// Due reports whether the card will soon need more, for a player that leads.
func (p *player) Due() bool { return p.ring.Len() <= p.margin }
