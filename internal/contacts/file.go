package contacts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// maxFile bounds the file, in bytes: some ten thousand contacts.
const maxFile = 4 << 20

const fileHead = `# The contact list of offhook. It may be edited while the program runs; comments are lost when the program changes it.
#
# [[contact]]
# name = "Bob"
# uri = "sip:bob@example.org"
# groups = ["Team"]

`

// file is the shape of the TOML file.
type file struct {
	Contact []Contact `toml:"contact"`
}

// stamp tells whether a file is still the one that was read.
type stamp struct {
	size int64
	time time.Time
}

// refreshLocked reads the file if it is not the one that was read last.
func (b *Book) refreshLocked() error {
	if b.path == "" {
		return nil
	}
	info, err := os.Stat(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		// Never written, or taken away by hand: then the list is empty, unless it holds what was never on disk.
		if b.read != (stamp{}) {
			b.contacts, b.read = nil, stamp{}
		}
		return nil
	}
	if err != nil {
		return err
	}
	now := stamp{info.Size(), info.ModTime()}
	if now == b.read {
		return nil
	}
	if now.size > maxFile {
		return fmt.Errorf("%s: larger than %d bytes", b.path, maxFile)
	}
	data, err := os.ReadFile(b.path)
	if err != nil {
		return err
	}
	list, err := parse(data)
	if err != nil {
		return fmt.Errorf("%s:%w", b.path, err)
	}
	b.contacts, b.read = list, now
	return nil
}

// parse reads a list. Errors begin with the line.
func parse(data []byte) ([]Contact, error) {
	var f file
	d := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, position(err)
	}
	seen := map[string]bool{}
	for i, c := range f.Contact {
		cleaned, err := clean(c)
		switch {
		case err != nil:
			return nil, fmt.Errorf("contact %d (%q): %w", i+1, cleaned.Name, err)
		case seen[cleaned.URI]:
			return nil, fmt.Errorf("contact %d: %s is there twice", i+1, cleaned.URI)
		}
		seen[cleaned.URI] = true
		f.Contact[i] = cleaned
	}
	return f.Contact, nil
}

func position(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		row, _ := strict.Errors[0].Position()
		return fmt.Errorf("%d: unknown key %q; accepted are name, uri and groups",
			row, strings.Join(strict.Errors[0].Key(), "."))
	}
	var syntax *toml.DecodeError
	if errors.As(err, &syntax) {
		row, _ := syntax.Position()
		return fmt.Errorf("%d: %w", row, err)
	}
	return err
}

// replaceLocked writes list and makes it the list.
func (b *Book) replaceLocked(list []Contact) error {
	if b.path == "" {
		b.contacts = list
		return nil
	}
	data, err := toml.Marshal(file{list})
	if err != nil {
		return fmt.Errorf("encode contacts: %w", err)
	}
	read, err := writeFile(b.path, append([]byte(fileHead), data...))
	if err != nil {
		return fmt.Errorf("contacts were not saved: %w", err)
	}
	b.contacts, b.read = list, read
	return nil
}

// writeFile replaces path by data: a reader, or a crash, finds the old file or the new one. A symbolic link is followed,
// for people keep such files in a repository of their own.
func writeFile(path string, data []byte) (stamp, error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return stamp{}, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".contacts-*")
	if err != nil {
		return stamp{}, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return stamp{}, err
	}
	if old, err := os.Stat(path); err == nil {
		if err := os.Chmod(tmp.Name(), old.Mode().Perm()); err != nil {
			return stamp{}, err
		}
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return stamp{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.Size(), info.ModTime()}, nil
}
