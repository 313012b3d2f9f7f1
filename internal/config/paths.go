package config

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/adrg/xdg"
)

// maxSocketPath is what fits into a sockaddr_un everywhere.
const maxSocketPath = 100

// Paths are where a profile keeps what belongs to it.
type Paths struct {
	Config   string // the configuration file
	Contacts string
	State    string // directory
	History  string
	Instance string // file with the instance id
	Log      string
	Socket   string // the control socket
}

// Another returns the paths of the nth further instance of a profile that is in use, n from 2: it has a state of its own,
// so that it is another device with its own history, and shares settings and contacts.
func (p Paths) Another(n int) Paths {
	out := p
	out.setState(filepath.Join(p.State, fmt.Sprint(n)), false)
	return out
}

// ProfilePaths returns the paths of a profile, "" for the default one. With stateDir everything but the configuration
// is in that directory.
func ProfilePaths(profile, stateDir string) (Paths, error) {
	if strings.ContainsAny(profile, "/\\\x00") || strings.HasPrefix(profile, ".") || len(profile) > 64 {
		return Paths{}, fmt.Errorf("profile %.80q: a name of letters and digits is expected", profile)
	}
	sub := "offhook"
	if profile != "" {
		sub = filepath.Join("offhook", "profiles", profile)
	}
	config := filepath.Join(xdg.ConfigHome, sub)
	p := Paths{
		Config:   filepath.Join(config, "config.toml"),
		Contacts: filepath.Join(config, "contacts.toml"),
		State:    filepath.Join(xdg.StateHome, sub),
	}
	if stateDir != "" {
		absolute, err := filepath.Abs(stateDir)
		if err != nil {
			return Paths{}, err
		}
		p.State, p.Contacts = absolute, filepath.Join(absolute, "contacts.toml")
	}
	p.setState(p.State, stateDir == "")
	return p, nil
}

// setState makes dir the state directory; standard tells that it is where one looks for it.
func (p *Paths) setState(dir string, standard bool) {
	p.State = dir
	p.History = filepath.Join(dir, "history.db")
	p.Instance = filepath.Join(dir, "instance")
	p.Log = filepath.Join(dir, "offhook.log")
	p.Socket = socketPath(dir, standard)
}

// socketPath puts the socket into the runtime directory, where it goes away with the user's session, else into the
// state directory. A path that is too long for a socket is replaced by a short one of its own, the same for whoever asks.
func socketPath(state string, standard bool) string {
	if info, err := os.Stat(xdg.RuntimeDir); standard && err == nil && info.IsDir() {
		if rel, err := filepath.Rel(xdg.StateHome, state); err == nil {
			if path := filepath.Join(xdg.RuntimeDir, rel, "control.sock"); len(path) <= maxSocketPath {
				return path
			}
		}
	}
	path := filepath.Join(state, "control.sock")
	if len(path) <= maxSocketPath {
		return path
	}
	sum := sha256.Sum256([]byte(state))
	return filepath.Join(os.TempDir(), fmt.Sprintf("offhook-%d", os.Getuid()), hex.EncodeToString(sum[:8])+".sock")
}

// InstanceID returns the id kept in the file at path, made if there is none: a device is the same one after a restart
// (RFC 5626 §4.1).
func InstanceID(path string) (string, error) {
	data, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(data)); err == nil && isUUID(id) {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	id := newInstance()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	// Two processes that start at once must not become two devices: the first file stands.
	tmp, err := os.CreateTemp(filepath.Dir(path), ".instance-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(id + "\n")
	if err := errors.Join(err, tmp.Close()); err != nil {
		return "", err
	}
	if err := os.Link(tmp.Name(), path); errors.Is(err, fs.ErrExist) {
		if data, err := os.ReadFile(path); err == nil && isUUID(strings.TrimSpace(string(data))) {
			return strings.TrimSpace(string(data)), nil
		}
		return id, os.Rename(tmp.Name(), path) // what is there is no id
	} else if err != nil {
		return "", err
	}
	return id, nil
}

// newInstance makes a random id, RFC 9562 §5.4.
func newInstance() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Init writes the commented example to path, never over an existing file.
func Init(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and is left as it is", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(Example())
	return errors.Join(err, f.Close())
}
