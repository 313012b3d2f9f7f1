// Package testkit lets a test tell a story: a server, people with several devices each, a network that misbehaves, and
// what everybody must see.
//
// A World lives in a bubble of testing/synctest. Its network is internal/vnet, its server is the real one, its devices
// are real session endpoints; only the clock and the wires are not real. A story of half an hour takes milliseconds and
// runs the same every time:
//
//	synctest.Test(t, func(t *testing.T) {
//		w := testkit.NewWorld(t)
//		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
//		bob.Device(1).Input(0) // somebody sits there
//		call := alice.IM(bob, "do you have a minute?")
//		bob.Device(0).ExpectToast("alice", "do you have a minute?")
//		w.Sleep(11 * time.Second) // nobody clicks
//		bob.MostActive().ExpectConversation("alice")
//		call.Expect(session.Delivered)
//	})
//
// Expectations wait, in fake time, for an event that did or will happen, up to Patience; so a story never polls. Every
// device records its events with the time they came, and a failed test prints the record.
//
// The server parks calls, too (Park). Devices with Audio make no sound and note what they were told; those with Voices say
// their names through the network when a test asks who hears whom (World.Hearing).
//
// Every host has a loopback address of its own: the server 127.0.0.1, device d of the n-th user 127.0.n.d, so that a test
// can cut or impair one machine and leave the others alone.
package testkit

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/sipua"
	"offhook/internal/vnet"
	"offhook/server"
)

// Patience is how long an expectation waits, in fake time. It covers a few retransmissions and no toast window.
const Patience = 4 * time.Second

// Domain is what the server of a World serves.
const Domain = "example.test"

// World is one story's network, server and people. It belongs to the goroutine of the test.
type World struct {
	// Immutable after NewWorld.
	T          testing.TB
	Net        *vnet.Net
	ServerHost netip.Addr

	config server.Config
	server *server.Server // nil while it is stopped
	users  []*User
	log    *slog.Logger
}

// Option changes a World.
type Option func(*options)

type options struct {
	net    []vnet.Option
	link   vnet.Link
	server func(*server.Config)
	park   []func(*server.ParkConfig)
	debug  bool
}

// Seed sets where the network's chance comes from.
func Seed(n uint64) Option {
	return func(o *options) { o.net = append(o.net, vnet.Seed(n)) }
}

// Links sets the link between all hosts. The default is 2 ms each way and no loss.
func Links(l vnet.Link) Option { return func(o *options) { o.link = l } }

// ServerConfig lets a test change the server's configuration, e.g. set a state directory or a file of users.
func ServerConfig(change func(*server.Config)) Option { return func(o *options) { o.server = change } }

// StateDir keeps what the server stores for absent users on disk, so that it survives StopServer and StartServer.
func StateDir(dir string) Option {
	return ServerConfig(func(cfg *server.Config) { cfg.StateDir = dir })
}

// Park lets a test change the park service of the server, e.g. its orbits and times. Without this option it is the default
// one, except that those who are parked hear silence.
func Park(change func(*server.ParkConfig)) Option {
	return func(o *options) { o.park = append(o.park, change) }
}

// WithMusic has those who are parked hear music, 50 packets a second each.
func WithMusic() Option { return Park(func(cfg *server.ParkConfig) { cfg.NoMusic = false }) }

// Debug writes the logs of the server and all devices to the test's standard error.
func Debug() Option { return func(o *options) { o.debug = true } }

// NewWorld starts a server for anybody on a fresh network. The caller is in a bubble; everything ends with the test.
func NewWorld(t testing.TB, opts ...Option) *World {
	t.Helper()
	o := options{link: vnet.Link{Delay: 2 * time.Millisecond}}
	for _, opt := range opts {
		opt(&o)
	}
	w := &World{
		T: t, Net: vnet.New(o.net...), ServerHost: netip.MustParseAddr("127.0.0.1"),
		log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if o.debug {
		w.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	w.Net.Default(o.link)
	w.config = server.Config{
		Listen: []sipua.Listener{{Network: "udp", Address: w.serverAddress()}},
		Domain: Domain, Open: true, Logger: w.log.With("host", "server"), ListenPacket: w.Net.ListenPacket,
		Park: &server.ParkConfig{NoMusic: true},
	}
	for _, change := range o.park {
		change(w.config.Park)
	}
	if o.server != nil {
		o.server(&w.config)
	}
	t.Cleanup(w.close)
	w.StartServer()
	return w
}

func (w *World) serverAddress() string { return netip.AddrPortFrom(w.ServerHost, 5060).String() }

// Park is the address of the server's park service.
func (w *World) Park() string { return w.server.Park() }

// StartServer starts the server again after StopServer, with what it has on disk.
func (w *World) StartServer() {
	w.T.Helper()
	s, err := server.New(w.config)
	if err != nil {
		w.T.Fatalf("server: %v", err)
	}
	if err := s.Start(context.Background()); err != nil {
		w.T.Fatalf("server: %v", err)
	}
	w.server = s
}

// StopServer ends the server as an operator would.
func (w *World) StopServer() {
	w.T.Helper()
	if w.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.server.Close(ctx); err != nil {
		w.T.Errorf("server: %v", err)
	}
	w.server = nil
}

// Sleep lets d of fake time pass and everything settle.
func (w *World) Sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Settle waits until nothing happens any more at this moment.
func (w *World) Settle() { synctest.Wait() }

// close ends everything. Devices first: they unregister and say good-bye in parallel, as dead ones need their time-outs.
func (w *World) close() {
	done := make(chan struct{})
	count := 0
	for _, u := range w.users {
		for _, d := range u.devices {
			count++
			go func() {
				d.Close()
				done <- struct{}{}
			}()
		}
	}
	for range count {
		<-done
	}
	w.StopServer()
	if w.T.Failed() {
		w.T.Log(w.Record())
	}
}

// Record prints what every device saw, in order.
func (w *World) Record() string {
	out := ""
	for _, u := range w.users {
		for _, d := range u.devices {
			out += fmt.Sprintf("%s\n%s", d.Name, d.record())
		}
	}
	return out
}
