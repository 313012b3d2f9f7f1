package server

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Bounds of the message store.
const (
	maxStored      = 500      // messages of one user
	maxStoredBytes = 1 << 20  // of one user
	maxStoreBytes  = 64 << 20 // of all
)

// errFull is returned when a user, or everybody together, has too much stored.
var errFull = errors.New("message store full")

// message is a stored MESSAGE.
type message struct {
	ID      uint64      `json:"id"`
	To      string      `json:"to"`   // user
	From    string      `json:"from"` // value of From without tag
	Date    string      `json:"date"` // value of Date
	Expires time.Time   `json:"expires,omitzero"`
	Headers [][2]string `json:"headers,omitempty"`
	Body    []byte      `json:"body,omitempty"`
}

// size is what a message counts against the bounds.
func (m *message) size() int {
	n := 64 + len(m.To) + len(m.From) + len(m.Date) + len(m.Body)
	for _, h := range m.Headers {
		n += len(h[0]) + len(h[1])
	}
	return n
}

func (m *message) expired(now time.Time) bool { return !m.Expires.IsZero() && !now.Before(m.Expires) }

// mailbox holds the messages of one user, oldest first.
type mailbox struct {
	messages []message
	bytes    int
}

// store keeps messages for users who are away, and on an open server the names of its users. Everything is in memory and,
// if there is a directory, in a journal; what put has accepted is on disk.
type store struct {
	log *slog.Logger

	mu sync.Mutex
	// Guarded by mu
	journal *journal // nil without a directory
	boxes   map[string]*mailbox
	names   map[string]bool
	bytes   int
	next    uint64
}

// openStore reads the journal in dir; "" keeps everything in memory.
func openStore(dir string, log *slog.Logger) (*store, error) {
	st := &store{log: log, boxes: map[string]*mailbox{}, names: map[string]bool{}, next: 1}
	if dir == "" {
		return st, nil
	}
	j, records, err := openJournal(dir, log)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		st.apply(r)
	}
	st.journal = j
	if err := j.compact(st.liveLocked()); err != nil {
		_ = j.close()
		return nil, err
	}
	return st, nil
}

// apply replays one record.
func (st *store) apply(r record) {
	switch r.Op {
	case opAdd:
		st.insertLocked(*r.Message)
		st.next = max(st.next, r.Message.ID+1)
	case opRemove:
		st.dropLocked(r.User, r.ID)
	case opUser:
		st.names[r.User] = true
	}
}

// put stores a message; its ID is given here.
func (st *store) put(m message) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if box := st.boxes[m.To]; box != nil && (len(box.messages) >= maxStored || box.bytes+m.size() > maxStoredBytes) {
		return errFull
	}
	if m.size() > maxStoredBytes || st.bytes+m.size() > maxStoreBytes {
		return errFull
	}
	m.ID = st.next
	if err := st.writeLocked(record{Op: opAdd, Message: &m}, true); err != nil {
		return err
	}
	st.next++
	st.insertLocked(m)
	return nil
}

func (st *store) insertLocked(m message) {
	box := st.boxes[m.To]
	if box == nil {
		box = &mailbox{}
		st.boxes[m.To] = box
	}
	box.messages = append(box.messages, m)
	box.bytes += m.size()
	st.bytes += m.size()
}

// dropLocked forgets a message. It reports whether it was there.
func (st *store) dropLocked(user string, id uint64) bool {
	box := st.boxes[user]
	if box == nil {
		return false
	}
	i := slices.IndexFunc(box.messages, func(m message) bool { return m.ID == id })
	if i < 0 {
		return false
	}
	size := box.messages[i].size()
	box.bytes -= size
	st.bytes -= size
	if box.messages = slices.Delete(box.messages, i, i+1); len(box.messages) == 0 {
		delete(st.boxes, user)
	}
	return true
}

// remove forgets a message that was delivered.
func (st *store) remove(m message) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.dropLocked(m.To, m.ID) {
		return nil
	}
	// Not forced to disk: losing this record delivers the message twice, which its Message-ID tells the receiver.
	return st.writeLocked(record{Op: opRemove, User: m.To, ID: m.ID}, false)
}

// first returns the oldest message of a user that has not expired.
func (st *store) first(user string, now time.Time) (message, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if box := st.boxes[user]; box != nil {
		for _, m := range box.messages {
			if !m.expired(now) {
				return m, true
			}
		}
	}
	return message{}, false
}

// count is how many messages wait for a user.
func (st *store) count(user string) int {
	st.mu.Lock()
	defer st.mu.Unlock()
	if box := st.boxes[user]; box != nil {
		return len(box.messages)
	}
	return 0
}

// expire forgets messages whose time is over.
func (st *store) expire(now time.Time) {
	st.mu.Lock()
	defer st.mu.Unlock()
	var over []message
	for _, box := range st.boxes {
		for _, m := range box.messages {
			if m.expired(now) {
				over = append(over, m)
			}
		}
	}
	for _, m := range over {
		st.dropLocked(m.To, m.ID)
		if err := st.writeLocked(record{Op: opRemove, User: m.To, ID: m.ID}, false); err != nil {
			st.log.Error("expired message not removed", "err", err)
		}
	}
}

// remember notes that a user exists, so that messages are stored after a restart too.
func (st *store) remember(user string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.names[user] || len(st.names) >= 4*maxUsers {
		return
	}
	st.names[user] = true
	if err := st.writeLocked(record{Op: opUser, User: user}, false); err != nil {
		st.log.Error("user not remembered", "err", err)
	}
}

// known reports whether a user was remembered.
func (st *store) known(user string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.names[user]
}

// writeLocked appends to the journal, and rewrites it when most of it is of the past.
func (st *store) writeLocked(r record, force bool) error {
	if st.journal == nil {
		return nil
	}
	if err := st.journal.append(r, force); err != nil {
		return err
	}
	if r.Op == opRemove && st.journal.size > minCompact && st.journal.size > 4*int64(st.bytes) {
		if err := st.journal.compact(st.liveLocked()); err != nil {
			st.log.Error("journal not compacted", "err", err) // it is whole, only long
		}
	}
	return nil
}

// liveLocked are the records that make the present state.
func (st *store) liveLocked() []record {
	var live []record
	for user := range st.names {
		live = append(live, record{Op: opUser, User: user})
	}
	var all []*message
	for _, box := range st.boxes {
		for i := range box.messages {
			all = append(all, &box.messages[i])
		}
	}
	slices.SortFunc(all, func(a, b *message) int { return int(int64(a.ID) - int64(b.ID)) })
	for _, m := range all {
		live = append(live, record{Op: opAdd, Message: m})
	}
	return live
}

// close flushes and closes the journal.
func (st *store) close() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.journal == nil {
		return nil
	}
	return st.journal.close()
}
