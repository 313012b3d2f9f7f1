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

// minCompact is the size in bytes below which a journal is not worth rewriting.
const minCompact = 1 << 20

// journal is an append-only file of lines, each a checksum, a space, and a record as JSON. A crash in the middle of a
// write leaves a torn last line, which is not missed: nothing was promised about it. Rewriting makes a new file and
// renames it over the old one. Not safe for use by several goroutines.
type journal struct {
	path string
	file *os.File
	size int64
	kept int64 // size when it was rewritten last
}

// span is the place of a line in a journal, with its line end.
type span struct{ offset, length int64 }

// lockDir makes a state directory and takes it for this process alone.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "server.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := lockFile(lock); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("%s is in use by another server; give this one a state directory of its own: %w", dir, err)
	}
	return lock, nil
}

// openJournal opens a journal and gives each record in it to take, which reports whether it makes sense.
func openJournal(path string, log *slog.Logger, take func(data []byte, at span) bool) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, file: f}
	damaged, err := j.read(take)
	if err == nil && damaged > 0 {
		log.Warn("journal: unreadable records skipped; the file is kept beside it", "count", damaged, "path", path)
		err = copyFile(path, path+".damaged")
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return j, nil
}

// read reads all records. Damaged lines are counted, but for a torn last one.
func (j *journal) read(take func([]byte, span) bool) (damaged int, err error) {
	br := bufio.NewReader(j.file)
	for {
		line, err := br.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			j.size += int64(len(line))
			return damaged, nil // what stands behind the last line end was never acknowledged
		}
		if err != nil {
			return 0, err
		}
		at := span{j.size, int64(len(line))}
		j.size += at.length
		if data, ok := checked(line); !ok || !take(data, at) {
			damaged++
		}
	}
}

// checked is the record of a line whose checksum is right.
func checked(line []byte) ([]byte, bool) {
	sum, data, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	return data, ok && string(sum) == checksum(data)
}

func checksum(data []byte) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE(data)) }

// lineOf writes a record as a line.
func lineOf(record any) ([]byte, error) {
	data, err := json.Marshal(record)
	if err != nil {
		return nil, err
	}
	return append(append([]byte(checksum(data)+" "), data...), '\n'), nil
}

// append writes a record; with force it is on disk when append returns. A write that fails half way is undone, so that
// the next record begins on a line of its own.
func (j *journal) append(record any, force bool) (span, error) {
	line, err := lineOf(record)
	if err != nil {
		return span{}, err
	}
	if _, err = j.file.Write(line); err == nil && force {
		err = j.file.Sync()
	}
	if err != nil {
		if undo := j.file.Truncate(j.size); undo != nil {
			err = errors.Join(err, undo)
		}
		return span{}, err
	}
	at := span{j.size, int64(len(line))}
	j.size += at.length
	return at, nil
}

// overgrown reports whether most of the journal is likely of the past.
func (j *journal) overgrown() bool { return j.size > minCompact && j.size > 2*j.kept }

// compact replaces the file by one that holds just the lines that write emits. Whatever fails, the old file stays.
func (j *journal) compact(write func(emit func(line []byte) error) error) error {
	next, err := os.OpenFile(j.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	size, w := int64(0), bufio.NewWriter(next)
	err = write(func(line []byte) error {
		size += int64(len(line))
		_, err := w.Write(line)
		return err
	})
	if err = errors.Join(err, w.Flush()); err == nil {
		err = next.Sync()
	}
	if err == nil {
		err = os.Rename(next.Name(), j.path)
	}
	if err != nil {
		_ = next.Close()
		_ = os.Remove(j.path + ".new")
		return err
	}
	_ = j.file.Close()
	j.file, j.size, j.kept = next, size, size
	return syncDir(filepath.Dir(j.path))
}

// close forces what is written to disk.
func (j *journal) close() error { return errors.Join(j.file.Sync(), j.file.Close()) }

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
