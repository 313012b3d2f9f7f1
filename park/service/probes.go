package service

import (
	"sync"
	"time"
)

// Guessing: so many wrong orbits and tokens a user has at once, and one more each second.
const (
	probeBurst = 20
	probeEvery = time.Second
	maxProbers = 1024 // users that are remembered; the bound forgets those who have not guessed for longest
)

// probes counts wrong guesses of users. A token cannot be guessed, but nobody shall try for free, and a number that is
// tried again and again takes a stranger's call in the end.
type probes struct {
	mu    sync.Mutex
	users map[string]time.Time // guarded by mu; when the user's bucket is full again
}

func newProbes() *probes { return &probes{users: map[string]time.Time{}} }

// wait is how long a user has to wait for the next try; 0: he may.
func (p *probes) wait(now time.Time, user string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	full, guessed := p.users[user]
	if !guessed {
		return 0
	}
	return max(0, full.Sub(now)-(probeBurst-1)*probeEvery)
}

// miss counts a wrong guess.
func (p *probes) miss(now time.Time, user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	full := p.users[user]
	if full.Before(now) {
		full = now
	}
	p.users[user] = full.Add(probeEvery)
	if len(p.users) > maxProbers {
		p.forgetLocked(now)
	}
}

// forgetLocked forgets those whose bucket is full, and if there are none the one that will be first.
func (p *probes) forgetLocked(now time.Time) {
	first := ""
	for user, full := range p.users {
		if !full.After(now) {
			delete(p.users, user)
		} else if first == "" || full.Before(p.users[first]) {
			first = user
		}
	}
	if len(p.users) > maxProbers {
		delete(p.users, first)
	}
}
