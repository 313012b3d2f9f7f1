package service

import (
	"time"

	"offhook/park"
)

// maxUnparks bounds the ends of parks that are remembered in detail.
const maxUnparks = 10_000

// unpark is how a park ended.
type unpark struct {
	id     uint64
	orbit  string
	reason park.UnparkReason
	target park.Party // who has the call now
	at     time.Time
}

// event is the same in the words of RFC 4235 §3.7.1.
func (u unpark) event() string {
	switch u.reason {
	case park.Retrieved, park.Ringback, park.Fallback:
		return "replaced"
	case park.Abandoned:
		return "remote-bye"
	case park.Disconnected:
		return "error"
	case park.Dropped:
		return "timeout"
	case park.Unknown:
	}
	return ""
}

// unparks are the ends of parks by token, as long as the lot knows the token to have ended.
type unparks struct {
	byToken map[string]unpark
	order   []string // oldest first
}

func newUnparks() *unparks { return &unparks{byToken: map[string]unpark{}} }

func (u *unparks) find(token string) (unpark, bool) {
	found, ok := u.byToken[token]
	return found, ok
}

// add remembers an end, and forgets those that are too old or too many.
func (u *unparks) add(token string, end unpark, keep time.Duration) {
	u.byToken[token] = end
	u.order = append(u.order, token)
	for len(u.order) > maxUnparks || len(u.order) > 0 && end.at.Sub(u.byToken[u.order[0]].at) > keep {
		delete(u.byToken, u.order[0])
		u.order = u.order[1:]
	}
}

// unpark ends a park, if the lot lets it, and tells so. by is what the lot is asked: the first who asks has the call. What
// the end was is known from the same moment on.
func (s *Service) unpark(
	p *parked, by func(now time.Time, id uint64) bool, why park.UnparkReason, target park.Party,
) bool {
	now := time.Now()
	s.mu.Lock()
	won := by(now, p.orbit.ID)
	if won {
		delete(s.parkeds, p.orbit.ID)
		s.unparks.add(p.orbit.Token, unpark{p.orbit.ID, p.orbit.Number, why, target, now}, s.lot.Config().Tombstone)
	}
	s.mu.Unlock()
	if won {
		s.log.Info("unparked", "orbit", p.orbit.Number, "reason", why, "caller", p.orbit.Caller.URI, "target", target.URI,
			"waited", now.Sub(p.orbit.Since).Round(time.Second))
		s.changed(p.orbit)
	}
	return won
}
