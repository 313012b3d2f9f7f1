package sipua

import (
	"context"
	"net/netip"
	"time"
)

// Times of watching a registration's flow.
const (
	watchInterval     = 5 * time.Second
	keepAliveInterval = 30 * time.Second // within what NATs keep a UDP binding, RFC 5626 §4.4.1
	// clockJump is how far wall time may run ahead of monotonic time, which stands still while the machine sleeps.
	clockJump = 30 * time.Second
	// flapping is the age below which the loss of a flow is a failure: a server that closes at once is not asked at once.
	flapping = 10 * time.Second
)

// wait returns when it is time to register again, with the reason if that is not the plain refresh or retry.
func (r *registration) wait(ctx context.Context, now RegistrationState) (why string) {
	a := r.agent
	d := now.Retry
	if d == 0 {
		d = refreshIn(now.Expires)
	}
	due := time.NewTimer(d)
	defer due.Stop()
	start := time.Now()
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	w := r.watch()
	var lost <-chan struct{}
	if now.Err == nil {
		lost = a.stack.FlowDone(w.home)
	}
	for {
		select {
		case <-due.C:
			return ""
		case <-a.again:
			return "asked to"
		case <-lost:
			lost = nil
			if time.Since(start) >= flapping {
				return "the flow was lost"
			}
			r.failures++
			due.Reset(backoff(r.failures))
		case <-tick.C:
			if why := w.look(now.Err == nil); why != "" {
				r.failures = 0
				return why
			}
		case <-ctx.Done():
			return ""
		}
	}
}

// watcher notices what makes a registration void before its time.
type watcher struct {
	// Owned by wait
	agent *Agent
	home  Target
	local netip.AddrPort
	wall  time.Time // wall clock at the last look
	mono  time.Time // monotonic clock at the last look
	alive time.Time // the last keep-alive
}

func (r *registration) watch() *watcher {
	a := r.agent
	a.mu.Lock()
	w := &watcher{agent: a, home: a.home}
	a.mu.Unlock()
	w.local, _ = a.localAddr(w.home)
	w.wall, w.mono, w.alive = a.clock.wall(), time.Now(), time.Now()
	return w
}

// localAddr is the address we are reached at from home.
func (a *Agent) localAddr(home Target) (netip.AddrPort, bool) {
	if a.clock.local != nil {
		return a.clock.local(home)
	}
	return a.stack.Local(home.Network, home.Addr.Addr())
}

// look compares with the last look, and keeps the flow alive.
func (w *watcher) look(registered bool) (why string) {
	a := w.agent
	wall, mono := a.clock.wall(), time.Now()
	slept := wall.Sub(w.wall) - mono.Sub(w.mono)
	w.wall, w.mono = wall, mono
	if slept > clockJump {
		return "the machine was asleep"
	}
	if local, ok := a.localAddr(w.home); ok && local != w.local {
		w.local = local
		return "the network has changed"
	}
	if registered && mono.Sub(w.alive) >= keepAliveInterval {
		w.alive = mono
		w.keepAlive()
	}
	return ""
}

// keepAlive sends CRLF on a connection, and on UDP when a NAT binding has to be kept. That a connection is dead shows
// in its flow.
func (w *watcher) keepAlive() {
	a := w.agent
	a.mu.Lock()
	nat := a.seen["udp"] != ""
	a.mu.Unlock()
	if w.home.Network == "udp" && !nat {
		return
	}
	if err := a.stack.KeepAlive(w.home); err != nil {
		a.log.Info("keep-alive failed", "target", w.home, "err", err)
	}
}
