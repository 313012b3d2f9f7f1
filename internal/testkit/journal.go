package testkit

import (
	"context"
	"sync"

	"offhook/session"
)

// Journal is a session.Journal in memory that can be asked and made to fail.
type Journal struct {
	mu       sync.Mutex
	messages []session.Message // Guarded by mu.
	known    map[[2]string]int // Guarded by mu; where the message with this peer and id stands.
	err      error             // Guarded by mu.
}

// Journal remembers a message.
func (j *Journal) Journal(_ context.Context, m session.Message) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return false, j.err
	}
	key := [2]string{m.Peer.URI, m.ID}
	if at, ok := j.known[key]; ok {
		completes := j.messages[at].Partial && !m.Partial
		if completes {
			j.messages[at] = m
		}
		return !completes, nil
	}
	if j.known == nil {
		j.known = map[[2]string]int{}
	}
	j.known[key] = len(j.messages)
	j.messages = append(j.messages, m)
	return false, nil
}

// Fail makes the journal refuse with err from now on; nil mends it.
func (j *Journal) Fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = err
}

// Count is how many messages with this text are there.
func (j *Journal) Count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, m := range j.messages {
		if m.Text == text {
			n++
		}
	}
	return n
}

// Messages returns what was journaled, in order.
func (j *Journal) Messages() []session.Message {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]session.Message(nil), j.messages...)
}
