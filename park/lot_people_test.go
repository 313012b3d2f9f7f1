package park

import (
	"fmt"
	"time"
)

// simPickup is a retrieval that goes on.
type simPickup struct {
	t         *truth
	who       string
	sequence  int
	done, won bool
}

// simRecall is a telephone that rings.
type simRecall struct {
	t       *truth
	who     string
	stopped bool // the CANCEL has reached the telephone
}

// takesLeave is somebody who parks a call: with REFER, or by attended transfer.
func (s *simulation) takesLeave(by string, c *simCaller) {
	wish, attended := "", s.chance(25)
	if s.chance(40) {
		wish = "701"
	}
	s.send(func() {
		o, err := s.lot.Reserve(s.now, Party{URI: by}, "", "", wish, attended)
		if err != nil {
			return
		}
		p := &parking{by: by, c: c, id: o.ID}
		s.parkings[p.id] = p
		release := func() {
			s.lot.Release(s.now, p.id)
			p.over = p.over || p.truth == nil
		}
		s.repeat(func() { s.replace(c, p, release) })
		switch {
		case !attended:
			s.in(32*second, release)
		case s.chance(20): // the parker thinks better of it
			s.soon(40*second, release)
		}
	})
}

// replace is the INVITE that takes a caller from its parker to the service.
func (s *simulation) replace(c *simCaller, p *parking, refused func()) {
	switch {
	case c.p == p: // again
	case c.gone || c.peer != p.by:
		s.send(refused)
	default:
		c.p, c.peer, c.newest = p, "music", 0
		s.repeat(func() { s.arrive(p) })
		s.in(32*second, func() { // nobody has acknowledged
			if p.truth == nil && c.p == p {
				s.hangUp(c)
			}
		})
	}
}

// arrive is the caller's 200.
func (s *simulation) arrive(p *parking) {
	o, err := s.lot.Occupy(s.now, p.id, Party{URI: p.c.name})
	switch {
	case p.truth != nil:
		if err == nil {
			s.fail("%s is parked twice", p.c.name)
		}
	case err != nil || p.over:
		s.insist(func() { s.bye(p) })
	default:
		t := &truth{parking: p, number: o.Number, token: o.Token}
		if other := s.there(o.Number); other != nil {
			s.fail("%s and %s are both at %s", p.c.name, other.c.name, o.Number)
		}
		if s.tokens[o.Token] != nil || o.Token == "" {
			s.fail("token issued twice")
		}
		p.truth, s.parks[p.id], s.tokens[o.Token] = t, t, t
		for i := range s.rnd.IntN(4) { // whoever has heard of it, some of them long after
			key := []string{o.Number, o.Token}[s.rnd.IntN(2)]
			s.soon([]time.Duration{2 * time.Minute, 8 * time.Minute}[i%2], func() { s.dial(fmt.Sprint("picker", i), key) })
		}
	}
}

// dial is a retrieval.
func (s *simulation) dial(who, key string) { s.send(func() { s.invite(who, key) }) }

func (s *simulation) invite(who, key string) {
	o, recalling, err := s.lot.Claim(s.now, key)
	s.judge(key, o, err)
	t := s.parks[o.ID]
	if err != nil || t == nil {
		return
	}
	if recalling {
		r := t.recall
		s.send(func() { r.stopped = true })
	}
	t.open++
	t.sequence++
	k := &simPickup{t: t, who: who, sequence: t.sequence}
	s.repeat(func() { s.reinvite(t.c, k) })
	s.in(32*second, func() { s.giveUp(k) })
	if s.chance(20) { // CANCEL
		s.soon(10*second, func() { s.send(func() { s.giveUp(k) }) })
	}
}

// reinvite tells the caller to talk to a retriever.
func (s *simulation) reinvite(c *simCaller, k *simPickup) {
	switch {
	case c.gone || c.p != k.t.parking || s.chance(10):
		s.send(func() { s.giveUp(k) })
	case k.sequence >= c.newest: // RFC 3261 §12.2.2: an older one is refused
		c.newest, c.peer = k.sequence, k.who
		s.repeat(func() { s.accepted(k) })
	}
}

func (s *simulation) accepted(k *simPickup) {
	if k.done && !k.won { // too late: that transaction is over
		return
	}
	if !k.done {
		k.t.open--
	}
	k.done = true
	if s.lot.Retrieved(s.now, k.t.id) {
		k.won = true
		s.wins(k.t, byRetrieval, k.who)
		if s.chance(30) {
			s.soon(time.Minute, func() { s.takesLeave(k.who, k.t.c) })
		}
	}
}

// giveUp is the end of a retrieval that has failed: the caller hears music again.
func (s *simulation) giveUp(k *simPickup) {
	if k.done {
		return
	}
	k.done = true
	k.t.open--
	s.lot.RetrieveFailed(s.now, k.t.id)
	s.tell(k.t, "music")
}

// tell is a re-INVITE to the caller that gets through.
func (s *simulation) tell(t *truth, peer string) {
	t.sequence++
	sequence, c := t.sequence, t.c
	s.insist(func() {
		if !c.gone && c.p == t.parking && sequence >= c.newest {
			c.newest, c.peer = sequence, peer
		}
	})
}

// hangUp is the caller's end. Should its BYE be lost, the service notices at last by its session timer.
func (s *simulation) hangUp(c *simCaller) {
	p := c.p
	if c.gone || p == nil {
		c.gone = true
		return
	}
	c.gone = true
	left := func() {
		if s.lot.Leave(s.now, p.id) && p.truth != nil {
			s.wins(p.truth, byLeaving, c.name)
		}
		if p.over = true; p.truth != nil && p.truth.how == unended {
			s.fail("%s is gone and the lot takes no notice", c.name)
		}
	}
	s.send(left)
	s.in(90*second, left)
}

// bye is the service's.
func (s *simulation) bye(p *parking) {
	if p.c.p == p {
		p.c.gone = true
	}
}

// due is what the lot wants done.
func (s *simulation) due(d Due) {
	t := s.parks[d.Orbit.ID]
	switch d.Kind {
	case DueNothing:
	case DueReservation:
		s.parkings[d.Orbit.ID].over = true
	case DueRecall:
		s.ring(t, t.by)
	case DueFallback:
		s.ring(t, "desk")
	case DueDrop:
		t.dropping = true
		s.soon(2*second, func() {
			if s.lot.Leave(s.now, t.id) {
				s.wins(t, byDropping, "nobody")
			}
			s.insist(func() { s.bye(t.parking) })
		})
	}
}

// ring is a recall, which may be answered at any time, also after it was cancelled or given up.
func (s *simulation) ring(t *truth, who string) {
	r := &simRecall{t: t, who: who}
	t.recall = r
	answer := func() {
		if s.lot.Answered(s.now, t.id) {
			s.wins(t, byRecall, who)
			s.tell(t, who)
		}
	}
	s.send(func() {
		if s.chance(50) {
			s.soon(40*second, func() {
				if !r.stopped {
					s.repeat(answer)
				}
			})
		}
	})
	s.in(s.lot.Config().RingFor, func() { s.due(s.lot.Unanswered(s.now, t.id)) })
}
