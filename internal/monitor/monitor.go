// Package monitor is a mutex that knows its owner.
//
// The session has one lock. While it is held, code changes fields, consults tables and publishes events; it never does
// I/O, waits, or calls code it does not know. A comment cannot hold that rule, so the lock does: every function that may
// wait calls Blocking first, and Blocking panics when the calling goroutine holds the lock. Functions whose name ends in
// Locked call Held, which panics when it does not.
//
// Finding the owner costs a stack header per Lock, so the check runs in tests only.
package monitor

import (
	"bytes"
	"flag"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
)

// Monitor is a mutual exclusion lock. The zero value is unlocked.
type Monitor struct {
	mu    sync.Mutex
	owner atomic.Uint64
}

// checked reports whether this is a test binary; flag.Lookup is nil otherwise.
var checked = sync.OnceValue(func() bool { return flag.Lookup("test.v") != nil })

// Lock waits for the lock and takes it.
func (m *Monitor) Lock() {
	if checked() {
		id := goroutineID()
		if m.owner.Load() == id {
			panic("monitor: locked twice by one goroutine")
		}
		m.mu.Lock()
		m.owner.Store(id)
		return
	}
	m.mu.Lock()
}

// Unlock releases the lock.
func (m *Monitor) Unlock() {
	m.owner.Store(0)
	m.mu.Unlock()
}

// Blocking states that the caller may wait. In tests it panics if the caller holds the lock.
func (m *Monitor) Blocking() {
	if checked() && m.owner.Load() == goroutineID() {
		panic("monitor: a call that may wait was made while the lock is held")
	}
}

// Held states that the caller needs the lock. In tests it panics if the caller does not hold it.
func (m *Monitor) Held() {
	if checked() && m.owner.Load() != goroutineID() {
		panic("monitor: the lock is needed here and not held")
	}
}

// goroutineID reads the number from the first line of the stack, "goroutine 17 [running]:".
func goroutineID() uint64 {
	var buf [64]byte
	line := buf[:runtime.Stack(buf[:], false)]
	line = bytes.TrimPrefix(line, []byte("goroutine "))
	n, _, _ := bytes.Cut(line, []byte(" "))
	id, err := strconv.ParseUint(string(n), 10, 64)
	if err != nil {
		panic("monitor: unexpected stack header")
	}
	return id
}
