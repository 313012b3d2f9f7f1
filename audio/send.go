package audio

// send takes the captured block, and sends a packet when one is full. It runs on the engine's goroutine.
func (s *Stream) send(m *mixer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.plan
	if p == nil || s.closed {
		return
	}
	rate := p.codec.SampleRate
	block := s.outgoingLocked(m, rate)
	if s.recorder != nil {
		s.recorder.ours(m.mic, s.muted.Load() || s.held.Load())
	}
	s.fill += copy(s.pcm[s.fill:p.frame], block)
	if s.fill < p.frame {
		return
	}
	s.fill = 0
	s.packetLocked(p, false)
}

// outgoingLocked is what this stream sends of the current block, at a rate: the microphone, in a conference the other
// members besides.
func (s *Stream) outgoingLocked(m *mixer, rate int) []int16 {
	muted := s.muted.Load() || s.held.Load()
	if !s.joined() || s.held.Load() {
		s.down = nil
		if muted {
			return s.silent[:rate/100]
		}
		return m.microphone(rate)
	}
	for i, v := range s.others {
		if muted {
			s.wide[i] = v
		} else {
			s.wide[i] = saturate(int32(v) + int32(m.mic[i]))
		}
	}
	return s.narrowLocked(rate)
}

// packetLocked sends what has been collected as one packet. first says that it is the first of an agreement.
func (s *Stream) packetLocked(p *plan, first bool) {
	timestamp := s.timestamp
	s.timestamp += p.ticks
	if !p.sending {
		return
	}
	if s.digits != nil && s.digitLocked(p, timestamp) {
		s.quiet = true // sound after a key press is a new talk spurt
		return
	}
	if loss := s.lossReport.load(); loss != s.loss {
		s.loss = loss
		p.encoder.SetLoss(loss)
	}
	payload, err := p.encoder.Encode(s.payload[:0], s.pcm[:p.frame])
	if err != nil || len(payload) == 0 {
		s.quiet = true
		return
	}
	// RFC 3551 §4.1: the marker tells the first packet after a silence.
	marker := first || s.quiet
	s.quiet = false
	if err := s.conn.Write(p.format.PayloadType, marker, timestamp, payload); err != nil {
		s.log.Debug("packet could not be sent", "err", err)
	}
}
