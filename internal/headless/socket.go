package headless

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"offhook/internal/command"
)

const (
	// maxClients bounds the connections to a control socket.
	maxClients = 64
	// lastWords is the time to send answers when an instance ends.
	lastWords = 2 * time.Second
)

// ErrInUse tells that another instance has the state directory.
var ErrInUse = errors.New("in use by another instance")

// Lock is the right to use a state directory. It ends with the process, however that ends.
type Lock struct{ file *os.File }

// TakeLock takes the lock of a state directory, which is made if need be. ErrInUse is wrapped if another process has it.
func TakeLock(state string) (*Lock, error) {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(state, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", state, ErrInUse)
		}
		return nil, fmt.Errorf("lock %s: %w", state, err)
	}
	return &Lock{f}, nil
}

// Release gives the directory free.
func (l *Lock) Release() error { return l.file.Close() }

// Socket is the control socket of an instance. Whoever may open it may use the account, so only the owner may.
type Socket struct {
	// Immutable.
	path     string
	listener *net.UnixListener
	env      *command.Env
	log      *slog.Logger

	clients sync.WaitGroup
	slots   chan struct{}
}

// Listen makes the socket at path. The caller holds the lock of the instance's state directory, so that a socket which
// is there is left over from a process that was killed.
func Listen(path string, env *command.Env, log *slog.Logger) (*Socket, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := ownDir(dir); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &Socket{path: path, listener: l, env: env, log: log, slots: make(chan struct{}, maxClients)}, nil
}

// ownDir refuses a directory in which others could put a socket of their own in place of ours.
func ownDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if ok && (int(owner.Uid) != os.Getuid() || info.Mode().Perm()&0o022 != 0) {
		return fmt.Errorf("%s: others can write there (mode %04o); it must be yours alone", dir, info.Mode().Perm())
	}
	return nil
}

// Serve serves clients until ctx ends, and returns when they have been served.
func (s *Socket) Serve(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = s.listener.Close() })
	defer stop()
	for {
		client, err := s.listener.AcceptUnix()
		if err != nil {
			if ctx.Err() == nil {
				s.log.Error("control socket", "error", err)
			}
			break
		}
		select {
		case s.slots <- struct{}{}:
			s.clients.Go(func() {
				s.client(ctx, client)
				<-s.slots
			})
		default:
			s.log.Warn("too many clients on the control socket", "limit", maxClients)
			_ = client.Close()
		}
	}
	_ = s.listener.Close()
	s.clients.Wait()
}

// client serves one connection until the client closes it, which cancels what it has asked for, or until ctx ends: then
// the endpoint is closed, and running requests have a moment to say so.
func (s *Socket) client(ctx context.Context, client net.Conn) {
	defer client.Close()
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		now := time.Now()
		_ = errors.Join(client.SetReadDeadline(now), client.SetWriteDeadline(now.Add(lastWords)))
	})
	defer stop()
	c := newConn(s.env, s.log)
	var writer sync.WaitGroup
	done := make(chan struct{})
	writer.Go(func() { c.write(client, done, cancel) })
	if err := c.read(run, client); err != nil && ctx.Err() == nil {
		s.log.Debug("control client", "error", err)
	}
	if ctx.Err() == nil {
		cancel()
	}
	timeout := time.AfterFunc(lastWords, cancel)
	defer timeout.Stop()
	c.requests.Wait()
	c.pump.Wait()
	close(done)
	writer.Wait()
}
