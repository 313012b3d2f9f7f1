package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite" // also the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"offhook/internal/contacts"
)

// reopenAfter is how long a file that could not be opened is left alone.
const reopenAfter = 5 * time.Second

// Store is one account's view of the file. Its methods may be called from any goroutine.
type Store struct {
	// Immutable.
	path    string
	account string
	log     *slog.Logger

	opening sync.WaitGroup // the first opening

	mu     sync.Mutex
	write  *sql.DB   // Guarded by mu; nil while it is not open. One connection.
	read   *sql.DB   // Guarded by mu.
	failed error     // Guarded by mu; why it is not open.
	tried  time.Time // Guarded by mu.
	closed bool      // Guarded by mu.

	skipped map[string]bool // Guarded by mu; records that cannot be read, by table and number.
}

// Open begins to open the file at path for the account with this address of record, and returns at once: a program
// that starts should register before it waits for a disk. The first use waits; Ready tells how it went. A file that
// cannot be opened is tried again on later use. A record in it that cannot be read is left out, and told to log.
func Open(path, account string, log *slog.Logger) *Store {
	s := &Store{path: path, account: key(account), log: log, skipped: map[string]bool{}}
	s.opening.Go(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.openLocked()
	})
	return s
}

// Ready waits until the file is open and says why it is not.
func (s *Store) Ready() error {
	_, _, err := s.handles()
	return err
}

// Close closes the file. What was committed is in it already.
func (s *Store) Close() error {
	s.opening.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.write == nil {
		return nil
	}
	err := errors.Join(s.read.Close(), s.write.Close())
	s.write, s.read, s.failed = nil, nil, errors.New("history is closed")
	return err
}

// handles returns the open file, for writing and for reading.
func (s *Store) handles() (write, read *sql.DB, err error) {
	s.opening.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.write == nil && !s.closed && time.Since(s.tried) >= reopenAfter {
		s.openLocked()
	}
	if s.write == nil {
		return nil, nil, s.failed
	}
	return s.write, s.read, nil
}

func (s *Store) openLocked() {
	s.tried = time.Now()
	write, read, err := open(s.path)
	if err != nil {
		s.failed = fmt.Errorf("open history %s: %w", s.path, err)
		if damaged(err) {
			s.failed = fmt.Errorf("%w; move it away to begin a new one", s.failed)
		}
		return
	}
	s.write, s.read, s.failed = write, read, nil
}

// damaged reports whether the file will never open again as it is. It is not replaced: what is in it may be rescued.
func damaged(err error) bool {
	var e *sqlite.Error
	const primary = 0xff // the rest of the code is detail
	return errors.As(err, &e) && (e.Code()&primary == sqlite3.SQLITE_NOTADB || e.Code()&primary == sqlite3.SQLITE_CORRUPT)
}

// open opens the file with one connection that writes and a few that read. Readers do not wait for the writer (WAL).
func open(path string) (write, read *sql.DB, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, err
	}
	// SQLite would create it readable for everybody; its log files follow the mode of the main file.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := f.Close(); err != nil {
		return nil, nil, err
	}
	write, err = sql.Open("sqlite", dsn(path, "journal_mode(wal)", "synchronous(full)", "foreign_keys(on)"))
	if err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := migrate(ctx, write); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	read, err = sql.Open("sqlite", dsn(path, "query_only(on)"))
	if err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(4)
	return write, read, nil
}

// dsn names the file with settings for every connection. Another process may hold the lock for a moment.
func dsn(path string, pragmas ...string) string {
	settings := []string{"_pragma=busy_timeout(5000)", "_pragma=cache_size(-8000)", "_time_format=sqlite", "_txlock=immediate"}
	for _, p := range pragmas {
		settings = append(settings, "_pragma="+p)
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + strings.Join(settings, "&")
}

// skip leaves out a record that cannot be read, so that the others can be. That is logged once. What stands in it is not:
// an error would quote it.
func (s *Store) skip(table, record string) {
	s.mu.Lock()
	before := s.skipped[table+" "+record]
	s.skipped[table+" "+record] = true
	s.mu.Unlock()
	if !before {
		s.log.Warn("a record of the history cannot be read and is left out", "file", s.path, "table", table, "record", record)
	}
}

// key is the form of an address that threads are found by.
func key(uri string) string {
	if canonical, err := contacts.Canonical(uri); err == nil {
		return canonical
	}
	return strings.ToLower(uri) // an address without a user; still an address
}
