package device

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Constants of timerfd_create(2), which package syscall lacks.
const (
	clockMonotonic = 1
	tfdNonblock    = syscall.O_NONBLOCK
	tfdCloexec     = syscall.O_CLOEXEC
)

// fileClock is a timer that is a file (timerfd_create(2)): its expiry makes the file readable, which ends the runtime's
// wait for the network to the microsecond. A timer of the runtime rounds that wait to whole milliseconds, and a thread of
// its own that sleeps costs more than this does. Measured on two cores, 1000 blocks of 10 ms, standard deviation of the
// lateness and share of a core: timer 0.34 ms 0.82 %, nanosleep on a locked thread 0.06 ms 0.67 %, this 0.05 ms 0.58 %.
type fileClock struct {
	file  *os.File
	conn  syscall.RawConn // keeps the descriptor from being closed, and used again by others, under a timer that is set
	woken atomic.Bool

	deadline itimerspec // Owned by the sleeper, as is sleep, which sets it.
	sleep    func(fd uintptr)
	now      func(fd uintptr)
}

// itimerspec of timerfd_settime(2).
type itimerspec struct {
	interval, value syscall.Timespec
}

func (s *itimerspec) set(fd uintptr) {
	_, _, _ = syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(s)), 0, 0, 0)
}

// NewClock gives the most exact clock of the platform.
func NewClock() Clock {
	fd, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, tfdNonblock|tfdCloexec, 0)
	if errno != 0 {
		return TimerClock()
	}
	c := &fileClock{file: os.NewFile(fd, "timerfd")}
	conn, err := c.file.SyscallConn()
	if err != nil {
		_ = c.file.Close()
		return TimerClock()
	}
	c.conn = conn
	c.sleep = c.deadline.set
	soon := itimerspec{value: syscall.NsecToTimespec(1)} // zero would disarm the timer
	c.now = soon.set
	return c
}

func (c *fileClock) Sleep(at time.Time) {
	c.deadline.value = syscall.NsecToTimespec(int64(max(time.Until(at), 1)))
	if c.conn.Control(c.sleep) != nil || c.woken.Swap(false) {
		return
	}
	var expirations [8]byte
	// An error is that of Close, after which nobody needs to be kept waiting.
	_, _ = c.file.Read(expirations[:])
	c.woken.Store(false)
}

// Wake makes the timer expire at once. The flag is for a Sleep that is about to set it for later.
func (c *fileClock) Wake() {
	c.woken.Store(true)
	_ = c.conn.Control(c.now)
}

func (c *fileClock) Close() error { return c.file.Close() }
