package audio

import (
	"math"
	"sync/atomic"

	"offhook/internal/media"
)

// silence is the level of a block without any sound, in dBov.
const silence = -127

// meter follows the level of one signal: up at once, down slowly, as meters do that people read.
type meter struct {
	power  atomic.Uint64 // float64 bits: mean square of a sample at full scale 1
	clip   atomic.Int32  // blocks for which clipping is still shown
	fading float64       // Owned by Run.
}

const (
	fall     = 0.8 // of the power, per block: about 100 dB a second
	clipShow = 100 // blocks
)

// measure takes the next block.
func (m *meter) measure(block []int16) (power float64) {
	var sum int64
	var peak int16
	for _, v := range block {
		sum += int64(v) * int64(v)
		peak = max(peak, v, -max(v, -32767))
	}
	if len(block) > 0 {
		power = float64(sum) / float64(len(block)) / (32768 * 32768)
	}
	m.fading = max(power, m.fading*fall)
	m.power.Store(math.Float64bits(m.fading))
	switch clip := m.clip.Load(); {
	case peak >= 32700:
		m.clip.Store(clipShow)
	case clip > 0:
		m.clip.Store(clip - 1)
	}
	return power
}

// level is what the meter shows, in dBov.
func (m *meter) level() float64 { return decibels(math.Float64frombits(m.power.Load())) }

func decibels(power float64) float64 {
	if power <= 0 {
		return silence
	}
	return max(silence, 10*math.Log10(power))
}

// levels are the meters of microphone and speaker.
type levels struct{ capture, playback meter }

func (l *levels) captured(block []int16) { l.capture.measure(block) }
func (l *levels) played(block []int16)   { l.playback.measure(block) }

// Levels is what microphone and speaker do at this moment. It is cheap; a display asks some ten times a second.
func (e *Engine) Levels() media.Levels {
	return media.Levels{
		Capture: e.levels.capture.level(), Playback: e.levels.playback.level(), Clipping: e.levels.capture.clip.Load() > 0,
	}
}

// share is a number that one goroutine writes and another reads.
type share struct{ bits atomic.Uint64 }

func (s *share) load() float64   { return math.Float64frombits(s.bits.Load()) }
func (s *share) store(v float64) { s.bits.Store(math.Float64bits(v)) }
