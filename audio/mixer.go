package audio

import (
	"time"

	"offhook/audio/resample"
)

// rates are those that codecs work at, and the ratio of each to Rate.
var rates = [...]struct{ rate, factor int }{{8000, 6}, {16000, 3}, {Rate, 1}}

// rateIndex is the place of a rate in rates.
func rateIndex(rate int) int {
	switch rate {
	case 8000:
		return 0
	case 16000:
		return 1
	}
	return 2
}

// mixer makes what is needed at several rates or by several streams, once per block. It is owned by Run.
type mixer struct {
	mic     []int16 // the block that was captured, not a copy
	feeds   [len(rates)]feed
	buses   [len(rates)]bus
	members []*Stream // scratch: those in conferences
}

// feed is the microphone at one rate.
type feed struct {
	down  *resample.Down
	block []int16
	ready bool // block holds the current one
}

// bus is what is heard at one rate, added up.
type bus struct {
	up    *resample.Up
	sum   []int32
	block []int16 // sum, limited
	wide  []int16 // block at Rate
	used  bool    // something was added to the current block
	tail  int     // blocks until the resampler has rung out
}

func (m *mixer) init() {
	for i, r := range rates {
		m.feeds[i] = feed{down: resample.NewDown(r.factor), block: make([]int16, Block/r.factor)}
		m.buses[i] = bus{
			up: resample.NewUp(r.factor), sum: make([]int32, Block/r.factor), block: make([]int16, Block/r.factor),
			wide: make([]int16, Block),
		}
	}
}

// captured begins a block.
func (m *mixer) captured(mic []int16) {
	m.mic = mic
	for i := range m.feeds {
		m.feeds[i].ready = false
	}
}

// microphone is the captured block at a rate.
func (m *mixer) microphone(rate int) []int16 {
	if rate == Rate {
		return m.mic
	}
	f := &m.feeds[rateIndex(rate)]
	if !f.ready {
		f.down.Process(f.block, m.mic)
		f.ready = true
	}
	return f.block
}

// play takes the next block of each stream and adds up what is to be heard.
func (m *mixer) play(streams []*Stream, now time.Duration, speaker []int16) {
	m.members = m.members[:0]
	for _, s := range streams {
		block, rate, audible := s.playout(now)
		if !audible {
			continue
		}
		m.buses[rateIndex(rate)].add(block)
		if s.joined() {
			m.members = append(m.members, s)
		}
	}
	for _, s := range m.members {
		s.hearOthers(m.members)
	}
	clear(speaker)
	for i := range m.buses {
		m.buses[i].drain(speaker)
	}
}

// add adds a block to what is heard.
func (b *bus) add(block []int16) {
	b.used = true
	for i, v := range block[:len(b.sum)] {
		b.sum[i] += int32(v)
	}
}

// ringing is how many blocks of silence a bus still processes after its last sound, so that filters end softly.
const ringing = 2

// drain adds what was heard at this rate to the speaker and begins anew.
func (b *bus) drain(speaker []int16) {
	if b.used {
		b.tail = ringing
	} else if b.tail == 0 {
		return
	} else {
		b.tail--
	}
	for i, v := range b.sum {
		b.block[i] = saturate(v)
		b.sum[i] = 0
	}
	b.used = false
	b.up.Process(b.wide, b.block)
	for i, v := range b.wide {
		speaker[i] = saturate(int32(speaker[i]) + int32(v))
	}
}

// saturate limits a sum. Above half of full scale it bends instead of clipping, so that two loud voices do not crackle;
// a single voice is hardly ever that loud and passes as it is below.
func saturate(v int32) int16 {
	const (
		knee = 24576
		room = 32767 - knee
	)
	switch {
	case v > knee:
		over := v - knee
		return int16(knee + int32(int64(over)*room/int64(over+room)))
	case v < -knee:
		over := -v - knee
		return int16(-knee - int32(int64(over)*room/int64(over+room)))
	}
	return int16(v)
}
