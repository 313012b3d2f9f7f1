package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"
)

// Operations of the journal.
const (
	opAdd    = "add"    // a message
	opRemove = "remove" // the message ID of User is done
	opUser   = "user"   // User exists
)

// minCompact is the size in bytes below which the journal is not worth rewriting.
const minCompact = 1 << 20

// record is one line of the journal: a checksum, a space, and this as JSON.
type record struct {
	Op      string   `json:"op"`
	Message *message `json:"message,omitempty"`
	User    string   `json:"user,omitempty"`
	ID      uint64   `json:"id,omitempty"`
}

// journal is an append-only file. A crash in the middle of a write leaves a torn last line, which is not missed: nothing
// was promised about it. Rewriting makes a new file and renames it over the old one.
type journal struct {
	path string
	lock *os.File // held for as long as the journal is open
	file *os.File
	size int64
}

// openJournal opens the journal in dir, for this process alone, and reads it.
func openJournal(dir string, log *slog.Logger) (*journal, []record, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("state directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "messages.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("message store: %w", err)
	}
	if err := lockFile(lock); err != nil {
		_ = lock.Close()
		return nil, nil, fmt.Errorf("message store: %s is in use by another server; give this one a state directory of "+
			"its own: %w", dir, err)
	}
	j := &journal{path: filepath.Join(dir, "messages.journal"), lock: lock}
	records, err := j.open(log)
	if err != nil {
		_ = lock.Close()
		return nil, nil, fmt.Errorf("message store: %w", err)
	}
	return j, records, nil
}

// open opens and reads the file.
func (j *journal) open(log *slog.Logger) ([]record, error) {
	f, err := os.OpenFile(j.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	records, damaged, err := readJournal(f)
	if err == nil && damaged > 0 {
		log.Warn("message store: unreadable records skipped; the file is kept beside it", "count", damaged, "path", j.path)
		err = copyFile(j.path, j.path+".damaged")
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	j.file = f
	return records, nil
}

// readJournal reads all records. Damaged lines are counted, but for a torn last one.
func readJournal(r io.Reader) (records []record, damaged int, err error) {
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return records, damaged, nil // what stands behind the last line end was never acknowledged
		}
		if err != nil {
			return nil, 0, err
		}
		if rec, ok := parseRecord(bytes.TrimSuffix(line, []byte("\n"))); ok {
			records = append(records, rec)
		} else {
			damaged++
		}
	}
}

func parseRecord(line []byte) (record, bool) {
	sum, data, ok := bytes.Cut(line, []byte(" "))
	if !ok || string(sum) != checksum(data) {
		return record{}, false
	}
	var r record
	if json.Unmarshal(data, &r) != nil || r.Op == opAdd && r.Message == nil {
		return record{}, false
	}
	return r, true
}

func checksum(data []byte) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE(data)) }

func (r record) line() ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return append(append([]byte(checksum(data)+" "), data...), '\n'), nil
}

// append writes a record; with force it is on disk when append returns. A write that fails half way is undone, so that
// the next record begins on a line of its own.
func (j *journal) append(r record, force bool) error {
	line, err := r.line()
	if err != nil {
		return err
	}
	if _, err = j.file.Write(line); err == nil && force {
		err = j.file.Sync()
	}
	if err != nil {
		if undo := j.file.Truncate(j.size); undo != nil {
			err = errors.Join(err, undo)
		}
		return err
	}
	j.size += int64(len(line))
	return nil
}

// compact replaces the file by one that holds just these records. Whatever fails, the old file stays.
func (j *journal) compact(live []record) error {
	next, err := os.OpenFile(j.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	size, err := writeRecords(next, live)
	if err == nil {
		err = os.Rename(next.Name(), j.path)
	}
	if err != nil {
		_ = next.Close()
		_ = os.Remove(j.path + ".new")
		return err
	}
	_ = j.file.Close()
	j.file, j.size = next, size
	return syncDir(filepath.Dir(j.path))
}

func writeRecords(f *os.File, live []record) (int64, error) {
	w := bufio.NewWriter(f)
	var size int64
	for _, r := range live {
		line, err := r.line()
		if err != nil {
			return 0, err
		}
		size += int64(len(line))
		if _, err := w.Write(line); err != nil {
			return 0, err
		}
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	return size, f.Sync()
}

// close forces what is written to disk.
func (j *journal) close() error { return errors.Join(j.file.Sync(), j.file.Close(), j.lock.Close()) }

// syncDir makes a rename durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}
