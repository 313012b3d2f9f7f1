package monitor_test

import (
	"sync"
	"testing"

	"offhook/internal/monitor"
)

func TestExcludes(t *testing.T) {
	var (
		m  monitor.Monitor
		wg sync.WaitGroup
		n  int
	)
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				m.Lock()
				n++
				m.Unlock()
			}
		})
	}
	wg.Wait()
	if n != 8000 {
		t.Errorf("counted %d", n)
	}
}

func TestRulesAreChecked(t *testing.T) {
	var m monitor.Monitor
	m.Blocking() // free: fine
	mustPanic(t, "Held without the lock", m.Held)
	m.Lock()
	m.Held()
	mustPanic(t, "Blocking with the lock", m.Blocking)
	mustPanic(t, "Lock twice", m.Lock)
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Blocking() // somebody else holds it: fine
		mustPanic(t, "Held by somebody else", m.Held)
	}()
	<-done
	m.Unlock()
	m.Blocking()
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s did not panic", what)
		}
	}()
	f()
}
