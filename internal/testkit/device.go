package testkit

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"offhook/internal/fanout"
	"offhook/session"
)

// Device is one endpoint of a user, on a host of its own.
type Device struct {
	Name    string
	Host    netip.Addr
	Journal *Journal

	*session.Endpoint // nil until SignIn

	user   *User
	world  *World
	config session.Config

	up, cut   bool
	lastInput time.Time

	mu     sync.Mutex
	seen   []Seen        // Guarded by mu.
	change chan struct{} // Guarded by mu; closed when seen grows.
	pumped chan struct{} // closed when the pump has ended
}

// Seen is an event and when it came.
type Seen struct {
	At    time.Time
	Event session.Event
}

// SignIn starts the endpoint and waits until it is registered.
func (d *Device) SignIn() {
	d.world.T.Helper()
	d.Start()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := d.WaitRegistered(ctx); err != nil {
		d.world.T.Fatalf("%s: %v", d.Name, err)
	}
}

// Start starts the endpoint and does not wait.
func (d *Device) Start() {
	d.world.T.Helper()
	e, err := session.New(d.config)
	if err != nil {
		d.world.T.Fatalf("%s: %v", d.Name, err)
	}
	d.Endpoint = e
	reader := e.Subscribe("testkit")
	d.pumped = make(chan struct{})
	go d.pump(reader)
	if err := e.Start(context.Background()); err != nil {
		d.world.T.Fatalf("%s: %v", d.Name, err)
	}
	d.up = true
}

// pump records events until the endpoint is closed.
func (d *Device) pump(r *fanout.Reader[session.Event]) {
	defer close(d.pumped)
	defer r.Close()
	for {
		events, err := r.Next(context.Background())
		if err != nil {
			return
		}
		d.mu.Lock()
		for _, e := range events {
			d.seen = append(d.seen, Seen{time.Now(), e})
		}
		if d.change != nil {
			close(d.change)
			d.change = nil
		}
		d.mu.Unlock()
	}
}

// Seen returns what the device has told so far.
func (d *Device) Seen() []Seen {
	seen, _ := d.snapshot()
	return seen
}

// snapshot also returns a channel that is closed when more comes.
func (d *Device) snapshot() ([]Seen, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.change == nil {
		d.change = make(chan struct{})
	}
	return d.seen[:len(d.seen):len(d.seen)], d.change
}

// Input tells the device that somebody used it, that long ago.
func (d *Device) Input(ago time.Duration) {
	at := time.Now().Add(-ago)
	d.lastInput = at
	d.Endpoint.Input(at)
}

// Cut pulls the device's cable. It notices nothing.
func (d *Device) Cut() {
	d.cut = true
	d.world.Net.Cut(d.Host)
}

// Heal plugs it in again.
func (d *Device) Heal() {
	d.cut = false
	d.world.Net.Heal(d.Host)
}

// Close ends the endpoint; on a device that is cut off that takes its time-outs.
func (d *Device) Close() {
	if !d.up {
		return
	}
	d.up = false
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := d.Endpoint.Close(ctx); err != nil && !d.cut {
		d.world.T.Errorf("%s: close: %v", d.Name, err)
	}
	<-d.pumped
}

// established counts the device's live IM sessions.
func (d *Device) established() int {
	n := 0
	for _, c := range d.Snapshot().Calls {
		if c.State == session.Established {
			n++
		}
	}
	return n
}

func (d *Device) record() string {
	var b strings.Builder
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when every bubble begins
	for _, s := range d.Seen() {
		fmt.Fprintf(&b, "  %8.3fs %-18s %+v\n", s.At.Sub(start).Seconds(), s.Event.Type(), s.Event)
	}
	return b.String()
}
