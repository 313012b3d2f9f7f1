package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Bounds of the message store.
const (
	maxStored      = 500      // messages of one user
	maxStoredBytes = 1 << 20  // of one user
	maxStoreBytes  = 64 << 20 // of all
	maxUnseen      = 1000     // users of an open server that something waits for and who have never been there
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

// Operations of the store's journal.
const (
	opAdd    = "add"    // a message
	opRemove = "remove" // the message ID of User is done
	opUser   = "user"   // User was there
)

// record is what one line of the journal says.
type record struct {
	Op      string   `json:"op"`
	Message *message `json:"message,omitempty"`
	User    string   `json:"user,omitempty"`
	ID      uint64   `json:"id,omitempty"`
}

// mailbox holds the messages of one user, oldest first.
type mailbox struct {
	messages []message
	bytes    int
}

// store keeps messages for users who are away, and the names of those who have been there. Everything is in memory and,
// if there is a directory, in a journal; what put has accepted is on disk.
type store struct {
	// Immutable
	log  *slog.Logger
	lock *os.File // of the directory, for as long as the store is open; nil without one
	open bool     // anybody may be a user, so how many of them have a mailbox is bounded

	mu sync.Mutex
	// Guarded by mu
	journal *journal // nil without a directory
	boxes   map[string]*mailbox
	names   map[string]bool
	bytes   int
	next    uint64
}

// openStore reads the journal in dir; "" keeps everything in memory.
func openStore(dir string, open bool, log *slog.Logger) (*store, error) {
	st := &store{log: log, open: open, boxes: map[string]*mailbox{}, names: map[string]bool{}, next: 1}
	if dir == "" {
		return st, nil
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	j, err := openJournal(filepath.Join(dir, "messages.journal"), log, st.replay)
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("message store: %w", err)
	}
	if err := j.compact(st.liveLocked); err != nil {
		_ = errors.Join(j.close(), lock.Close())
		return nil, fmt.Errorf("message store: %w", err)
	}
	st.journal, st.lock = j, lock
	return st, nil
}

// replay reads one record of the journal.
func (st *store) replay(data []byte, _ span) bool {
	var r record
	if json.Unmarshal(data, &r) != nil || r.Op == opAdd && r.Message == nil {
		return false
	}
	switch r.Op {
	case opAdd:
		st.insertLocked(*r.Message)
		st.next = max(st.next, r.Message.ID+1)
	case opRemove:
		st.dropLocked(r.User, r.ID)
	case opUser:
		st.names[r.User] = true
	}
	return true
}

// put stores a message; its ID is given here.
func (st *store) put(m message) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if box := st.boxes[m.To]; box != nil && (len(box.messages) >= maxStored || box.bytes+m.size() > maxStoredBytes) {
		return errFull
	}
	if st.boxes[m.To] == nil && st.open && !st.names[m.To] && st.unseenLocked() >= maxUnseen {
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

// unseenLocked counts the mailboxes of users who have never been there.
func (st *store) unseenLocked() int {
	n := 0
	for user := range st.boxes {
		if !st.names[user] {
			n++
		}
	}
	return n
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

// remember notes that a user was there.
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

// writeLocked appends to the journal, and rewrites it when most of it is of the past.
func (st *store) writeLocked(r record, force bool) error {
	if st.journal == nil {
		return nil
	}
	if _, err := st.journal.append(r, force); err != nil {
		return err
	}
	if r.Op == opRemove && st.journal.overgrown() {
		if err := st.journal.compact(st.liveLocked); err != nil {
			st.log.Error("journal not compacted", "err", err) // it is whole, only long
		}
	}
	return nil
}

// liveLocked writes the records that make the present state.
func (st *store) liveLocked(emit func(line []byte) error) error {
	write := func(r record) error {
		line, err := lineOf(r)
		if err != nil {
			return err
		}
		return emit(line)
	}
	for user := range st.names {
		if err := write(record{Op: opUser, User: user}); err != nil {
			return err
		}
	}
	var all []*message
	for _, box := range st.boxes {
		for i := range box.messages {
			all = append(all, &box.messages[i])
		}
	}
	slices.SortFunc(all, func(a, b *message) int { return int(int64(a.ID) - int64(b.ID)) })
	for _, m := range all {
		if err := write(record{Op: opAdd, Message: m}); err != nil {
			return err
		}
	}
	return nil
}

// close flushes and closes the journal.
func (st *store) close() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.journal == nil {
		return nil
	}
	return errors.Join(st.journal.close(), st.lock.Close())
}
