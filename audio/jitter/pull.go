package jitter

import "time"

// state is what the other side does, as far as the buffer knows.
type state int

const (
	waiting state = iota // nothing has been heard yet, or nothing for a long time
	quiet                // they are silent and send nothing
	talking
)

// Pull returns the next 10 ms of sound and their sample rate. The block is valid until the next Pull. Between packets that
// come as they should this is decoding and nothing else; silence is returned while there is nothing to play.
func (b *Buffer) Pull(now time.Duration) (block []int16, rate int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = max(b.now, now)
	b.relieve()
	b.measure()
	b.fill()
	if b.state == talking && b.adjust() {
		b.fill()
	}
	rate = b.sound.rate
	block = b.out[:rate/100]
	b.sound.take(block)
	b.stats.Output += 10 * time.Millisecond
	return block, rate
}

// fill makes sure that there is a block to play.
func (b *Buffer) fill() {
	for {
		lacking := b.sound.rate/100 - b.sound.pending()
		if lacking <= 0 {
			return
		}
		b.step(lacking)
	}
}

// step does what is to be done next to get more sound. n samples are needed.
func (b *Buffer) step(n int) {
	b.passHollow()
	switch {
	case len(b.queue) == 0 && b.state == talking:
		b.starve(n)
	case len(b.queue) == 0:
		b.lull(n)
	case b.state != talking:
		b.await(n)
	default:
		b.proceed(n)
	}
}

// passHollow takes packets without sound.
func (b *Buffer) passHollow() {
	for len(b.queue) > 0 && b.queue[0].hollow {
		s := b.take()
		if s.late {
			b.gaps.bad()
		} else {
			b.gaps.good(1)
		}
	}
}

// starve fills in while no packet is there. Whether it is late, lost, or was never sent the next one will tell.
func (b *Buffer) starve(n int) {
	if b.now-b.newest.arrived > dead {
		b.state = waiting
		b.settle(true)
		return
	}
	b.filled += b.conceal(n, false)
}

// lull is silence.
func (b *Buffer) lull(n int) {
	if b.state == quiet && b.now-b.newest.arrived > dead {
		b.state = waiting
	}
	b.hush(n)
}

// hush fills a pause: comfort noise within a conversation, nothing before and after.
func (b *Buffer) hush(n int) {
	if b.state == waiting {
		clear(b.sound.room(n))
		b.sound.grow(n)
		b.ghost.active = false
		b.rough = true
		b.stats.Silent += b.length(n)
		return
	}
	b.stats.Silent += b.conceal(n, false).duration()
}

// await waits until the first packet of a talk spurt is due. This is where the delay is set for free.
func (b *Buffer) await(n int) {
	for b.state == waiting && len(b.queue) > 1 && b.due(b.queue[1]) {
		b.skip() // it came before anybody listened
	}
	head := b.queue[0]
	if !b.due(head) {
		b.hush(n)
		return
	}
	if b.formats[head.pt].Comfort {
		b.comfort(b.take())
		return
	}
	b.state = talking
	b.next = head.t
	b.anew = true
	b.play()
}

// due reports whether a packet that came with the least delay would have waited long enough.
func (b *Buffer) due(s *slot) bool {
	return !s.hollow && b.now-(s.t+s.dur).duration()-b.arrivals.base >= b.late(s.dur)
}

// proceed plays the next packet, or what takes the place of those before it.
func (b *Buffer) proceed(n int) {
	head := b.queue[0]
	gap := head.t - b.next
	missing := b.missing + head.seq - b.seq - 1
	switch {
	case head.fresh, gap > 0 && missing == 0, gap > 2*ticks(missing)*max(head.dur, b.newest.dur)+toTicks(100*time.Millisecond):
		b.settle(missing == 0 || head.fresh)
		b.state = quiet // what was not sent was silence
	case gap <= 0 || gap <= b.filled:
		b.play()
	case b.repair(head, gap, missing):
	default:
		// The gap is known now, so that no more is made up than it needs.
		b.filled += b.conceal(min(n, int((gap-b.filled)/b.sound.step())+1), true)
	}
}

// repair plays the copy of the packet before head that head carries, if that is the one that is needed now.
func (b *Buffer) repair(head *slot, gap ticks, missing int64) bool {
	lost := gap / ticks(missing)
	if head.plain || gap-b.filled > lost || lost > toTicks(maxPacket) {
		return false
	}
	f := &b.formats[head.pt]
	if f.SampleRate != b.sound.rate || f.Comfort {
		return false
	}
	n := int(lost / b.sound.step())
	pcm := b.room(n)
	if n == 0 || !f.Decoder.Recover(pcm, head.payload) {
		head.plain = true
		return false
	}
	// What has been made up in its place already is not played again.
	used := n - int((gap-b.filled)/b.sound.step())
	copy(pcm, pcm[used:])
	pcm = pcm[:n-used]
	b.join(pcm, false)
	b.stats.Recovered++
	b.settle(false)
	b.next = head.t
	b.repairable(head)
	return true
}

// probe decodes the copy of a lost packet that comes too late to be heard: the decoder's memory gets better by it, and
// it shows that waiting for copies would pay.
func (b *Buffer) probe(head *slot, f *Format) (found bool) {
	n := int(head.dur / b.sound.step())
	if head.plain || !f.Decoder.Recover(b.room(n), head.payload) {
		return false
	}
	b.repairable(head)
	return true
}

// room is where the next n samples go, with some more behind.
func (b *Buffer) room(n int) []int16 {
	b.sound.room(n + b.sound.samples(longest))
	return b.sound.room(n)
}

// repairable notes that a loss could be repaired. With two of them within a few seconds packets are held for longer, so
// that the next packet is there when one is missing.
func (b *Buffer) repairable(head *slot) {
	head.plain = true
	if b.fecLost > 0 && b.now-b.fecLost < 5*time.Second {
		b.fec = b.now + 10*time.Second
	}
	b.fecLost = b.now
}

// settle accounts for what was made up while it was not known what for.
func (b *Buffer) settle(silence bool) {
	if silence {
		b.stats.Silent += b.filled.duration()
	} else {
		b.stats.Concealed += b.filled.duration()
	}
	b.filled = 0
}

// play decodes the next packet.
func (b *Buffer) play() {
	head := b.queue[0]
	f := &b.formats[head.pt]
	switch {
	case !f.known(): // it was when the packet came
		b.account(b.take(), true)
		return
	case f.Comfort:
		b.settle(false)
		b.comfort(b.take())
		return
	case f.SampleRate != b.sound.rate && b.sound.pending() > 0:
		b.filled += b.conceal(b.sound.rate/100-b.sound.pending(), false) // the last block at the old rate
		return
	}
	b.setRate(f.SampleRate)
	b.take()
	b.next = head.t
	late := b.filled > 0 && b.missing == 0
	if late {
		b.arrivals.missed(head.behind, b.now)
	}
	b.remeasure()
	b.settle(false)
	if b.missing > 0 && !b.probe(head, f) && b.ghost.active && !b.ghost.steady {
		lost := min(ticks(b.missing)*head.dur, toTicks(maxPacket))
		f.Decoder.Conceal(b.room(int(lost / b.sound.step()))) // the codec is to know what it has missed
	}
	pcm := b.room(b.sound.samples(maxPacket))
	n, err := f.Decoder.Decode(pcm, head.payload)
	b.next = head.t + head.dur
	b.account(head, err == nil && n > 0)
	if err != nil || n <= 0 {
		b.stats.Malformed++
		b.filled += b.conceal(int(head.dur/b.sound.step()), true)
		b.settle(false)
		return
	}
	b.format = f
	n = min(n, len(pcm))
	b.back.learn(pcm[:n], b.sound.rate)
	b.join(pcm[:n], late)
	b.stats.Played++
}

// join adds decoded sound to what is there, so that it goes on smoothly from what was made up. late tells that the sound
// is not played where it should have been, and that no more than it follows: none of it is left out then.
func (b *Buffer) join(pcm []int16, late bool) {
	n := len(pcm)
	b.stats.Decoded += b.length(n)
	if b.rough && !b.ghost.active {
		b.ghost.begin(&b.sound, &b.back)
	}
	if !b.ghost.active {
		b.sound.grow(n)
		return
	}
	b.ghost.active, b.rough = false, false
	shift, made := b.ghost.join(pcm, &b.back, late)
	switch {
	case shift > 0:
		pcm = b.sound.room(n + shift)
		copy(pcm[shift:], pcm[:n])
		copy(pcm, made[:shift])
		b.ghost.cross(pcm[shift:], made[shift:])
	case shift < 0:
		copy(pcm, pcm[-shift:])
		b.ghost.cross(pcm[:n+shift], made)
	default:
		b.ghost.cross(pcm, made)
	}
	b.sound.grow(n + shift)
	b.shifted += b.length(shift)
	if d := b.length(shift); shift > 0 {
		b.stats.Inserted += d
	} else {
		b.stats.Removed -= d
	}
}

// account counts a packet that was taken, and those before it that never came.
func (b *Buffer) account(s *slot, played bool) {
	b.stats.Lost += uint64(b.missing)
	for range min(b.missing, maxDropout) {
		b.gaps.bad()
	}
	b.missing = 0
	if played {
		b.gaps.good(1)
	} else {
		b.gaps.bad()
	}
	b.gaps.length = s.dur.duration()
}

// comfort obeys a comfort noise packet: from now on they are silent.
func (b *Buffer) comfort(s *slot) {
	b.account(s, true)
	b.next = s.t
	b.state = quiet
	b.back.obey(s.payload)
	b.stats.Comfort++
}

// conceal makes up at least n samples and tells how much time that was. The codec is asked only about what is lost: it
// believes so, and would join the next packet to what it made up, although that may be the one that was only late.
func (b *Buffer) conceal(n int, lost bool) ticks {
	if !b.ghost.active {
		b.ghost.begin(&b.sound, &b.back)
		if f := b.format; lost && f != nil && f.Decoder != nil && f.SampleRate == b.sound.rate && !b.ghost.steady {
			whole := max(n, b.sound.rate/100)
			if f.Decoder.Conceal(b.sound.room(whole)) {
				b.ghost.active = false
				b.sound.grow(whole)
				return ticks(whole) * b.sound.step()
			}
		}
	}
	b.ghost.hurry = b.state != talking
	b.ghost.fill(b.sound.room(n), &b.back)
	b.sound.grow(n)
	return ticks(n) * b.sound.step()
}

// relieve skips sound when far more is held than any target asks for.
func (b *Buffer) relieve() {
	held := ticks(0)
	for _, s := range b.queue {
		held += s.dur
	}
	if held.duration() < b.cfg.Max+burst {
		return
	}
	for len(b.queue) > 1 && held.duration() > b.target() {
		held -= b.queue[0].dur
		b.skip()
	}
}

// length is how long n samples are.
func (b *Buffer) length(n int) time.Duration {
	return (ticks(n) * b.sound.step()).duration()
}
