package server

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"
)

// Kinds of what a ledger keeps.
const (
	keptBindings      = "bindings"      // of a user: []savedBinding
	keptPublications  = "publications"  // of a user: []savedPublication
	keptSubscriptions = "subscriptions" // one: savedSubscription
)

// ledger keeps the soft state of a server in a journal: what its clients have told it and would else tell it only when
// they refresh, minutes later. A server that was killed and is started again knows from it where everybody is, who is
// present and who watches whom. Values stay on disk; in memory is only where they stand.
//
// Nothing here is forced to disk, since the clients repeat all of it in time. What is written survives the end of the
// process, however it ends; what the end of the machine may cost is some minutes of the past.
type ledger struct {
	log *slog.Logger // Immutable

	mu sync.Mutex
	// Guarded by mu
	journal *journal // nil without a directory
	at      map[ledgerKey]span
	failing bool // the last write failed
}

type ledgerKey struct{ kind, key string }

// entry is what one line of the ledger's journal says; the last one of a key holds. No value means that it is gone.
type entry struct {
	Kind  string          `json:"kind"`
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value,omitempty"`
}

// openLedger opens the ledger in a directory that is locked; "" keeps nothing.
func openLedger(dir string, log *slog.Logger) (*ledger, error) {
	l := &ledger{log: log, at: map[ledgerKey]span{}}
	if dir == "" {
		return l, nil
	}
	j, err := openJournal(filepath.Join(dir, "registrations.journal"), log, func(data []byte, at span) bool {
		var e entry
		if json.Unmarshal(data, &e) != nil {
			return false
		}
		if e.Value == nil {
			delete(l.at, ledgerKey{e.Kind, e.Key})
		} else {
			l.at[ledgerKey{e.Kind, e.Key}] = at
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("registrations: %w", err)
	}
	l.journal = j
	if err := l.compactLocked(); err != nil {
		_ = j.close()
		return nil, fmt.Errorf("registrations: %w", err)
	}
	return l, nil
}

// keep notes the value of a key; nil that there is none any more. A failure is logged and costs no more than the memory
// of it: the server goes on.
func (l *ledger) keep(kind, key string, value any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := ledgerKey{kind, key}
	if _, there := l.at[k]; l.journal == nil || value == nil && !there {
		return
	}
	e := entry{Kind: kind, Key: key}
	at, err := span{}, error(nil)
	if value != nil {
		e.Value, err = json.Marshal(value)
	}
	if err == nil {
		at, err = l.journal.append(e, false)
	}
	if err != nil && !l.failing {
		l.log.Error("registrations are not kept; after a restart they are missing until they are refreshed", "err", err)
	}
	if l.failing = err != nil; l.failing {
		return
	}
	if l.at[k] = at; value == nil {
		delete(l.at, k)
	}
	if l.journal.overgrown() {
		if err := l.compactLocked(); err != nil {
			l.log.Error("journal not compacted", "err", err) // it is whole, only long
		}
	}
}

// load gives every value of a kind to take, in no order. What take has no use for is dropped.
func (l *ledger) load(kind string, take func(key string, value []byte) bool) {
	for _, key := range l.readAll(kind, take) {
		l.keep(kind, key, nil)
	}
}

func (l *ledger) readAll(kind string, take func(key string, value []byte) bool) (useless []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, at := range l.at {
		if k.kind != kind {
			continue
		}
		line, err := l.lineLocked(at)
		if err != nil {
			l.log.Error("a registration cannot be read", "err", err)
			continue
		}
		var e entry
		data, ok := checked(line)
		if !ok || json.Unmarshal(data, &e) != nil || !take(k.key, e.Value) {
			useless = append(useless, k.key)
		}
	}
	return useless
}

func (l *ledger) lineLocked(at span) ([]byte, error) {
	line := make([]byte, at.length)
	_, err := l.journal.file.ReadAt(line, at.offset)
	return line, err
}

// compactLocked drops what no longer holds.
func (l *ledger) compactLocked() error {
	next, size, old := make(map[ledgerKey]span, len(l.at)), int64(0), l.journal.file
	err := l.journal.compact(func(emit func([]byte) error) error {
		for k, at := range l.at {
			line, err := l.lineLocked(at)
			if err == nil {
				err = emit(line)
			}
			if err != nil {
				return err
			}
			next[k] = span{size, at.length}
			size += at.length
		}
		return nil
	})
	if l.journal.file != old { // also if only making that durable has failed
		l.at = next
	}
	return err
}

// close closes the journal.
func (l *ledger) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.journal == nil {
		return nil
	}
	return l.journal.close()
}

// restoredCount is where the counters of a restored subscription go on, its CSeq numbers and versions: above all that were
// used before, because none counts up faster than once in two seconds for long, and below 2^31. They have to grow; gaps do
// no harm (RFC 3261 §12.2.1.1).
func restoredCount(now time.Time) uint32 { return uint32(now.Unix() / 2) }
