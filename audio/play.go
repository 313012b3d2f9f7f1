package audio

import (
	"time"

	"offhook/audio/resample"
)

// playout takes the next 10 ms from the jitter buffer. audible is false for what the user is not to hear. It runs on the
// engine's goroutine; the block stays valid until the next playout of this stream.
func (s *Stream) playout(now time.Duration) (block []int16, rate int, audible bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.plan == nil {
		return nil, 0, false
	}
	s.block, s.rate = s.buffer.Pull(now)
	s.isWide = false
	s.heardLocked()
	if s.held.Load() {
		if s.recorder != nil {
			s.recorder.theirs(nil)
		}
		return nil, 0, false
	}
	if s.recorder != nil {
		s.recorder.theirs(s.wideLocked())
	}
	return s.block, s.rate, true
}

// heardLocked follows the level of what the peer sends.
func (s *Stream) heardLocked() {
	if s.heard.measure(s.block) > audiblePower {
		s.lastSound.Store(int64(s.e.now()))
	}
}

// wideLocked is the newest block at Rate.
func (s *Stream) wideLocked() []int16 {
	if s.rate == Rate {
		return s.block
	}
	if !s.isWide {
		s.isWide = true
		s.ups[rateIndex(s.rate)].Process(s.theirs, s.block)
	}
	return s.theirs
}

// hearOthers adds up what the other members of this stream's conference said in the newest block. It is sent with the
// next one, 10 ms later.
func (s *Stream) hearOthers(members []*Stream) {
	clear(s.sum)
	group := *s.group.Load()
	for _, o := range members {
		if o == s || *o.group.Load() != group {
			continue
		}
		o.mu.Lock()
		for i, v := range o.wideLocked() {
			s.sum[i] += int32(v)
		}
		o.mu.Unlock()
	}
	for i, v := range s.sum {
		s.others[i] = saturate(v)
	}
}

// narrowLocked brings what a member of a conference sends to the rate of its codec.
func (s *Stream) narrowLocked(rate int) []int16 {
	factor := Rate / rate
	if s.down == nil || s.downFactor != factor {
		s.down, s.downFactor = resample.NewDown(factor), factor
	}
	block := s.downTo[:Block/factor]
	s.down.Process(block, s.wide)
	return block
}
