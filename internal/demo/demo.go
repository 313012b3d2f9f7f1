package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"offhook/internal/sipua"
	"offhook/server"
)

// Domain is what the demo's server serves.
const Domain = "demo.example"

// Config of a Demo. The zero value works.
type Config struct {
	StateDir string       // where messages for absent people are kept; "" keeps them in memory
	Logger   *slog.Logger // default: none
	Pace     Pace         // how long robots take; the zero value is that of people
}

// Pace is how fast robots are.
type Pace struct {
	Read   time.Duration // from a message to the first key; default 900 ms
	Letter time.Duration // for each letter typed; default 35 ms, at most 3 s for a message
	Ring   time.Duration // until a call is answered; default 2 s
	Greet  time.Duration // from alice's sign-in to carol's first message; default 4 s
	PickUp time.Duration // from being told of a parked call to picking it up; default 4 s
	Talk   time.Duration // with a call that was picked up, or has come back; default 12 s
	Parked time.Duration // until a parked call comes back to who has parked it; default 45 s
}

// Demo is a running server with its robots.
type Demo struct {
	// Immutable after Start: what the user's endpoint needs to join.
	AOR    string // alice's address
	Server string // the server's SIP URI
	Hints  []string

	log    *slog.Logger
	pace   Pace
	server *server.Server
	bob    *robot
	carol  *robot
	dave   *robot
	echo   *robot
	mary   *robot
	peter  *robot
	lab    *lab
	stop   context.CancelFunc
	work   sync.WaitGroup
}

// Start starts everything and returns when the server and its people are there. Close ends it.
func Start(ctx context.Context, cfg Config) (*Demo, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	d := &Demo{AOR: "sip:alice@" + Domain, Hints: hints, log: cfg.Logger, pace: cfg.Pace.orDefault(), stop: stop}
	if err := d.start(ctx, life, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("demo: %w", err), d.Close(context.WithoutCancel(ctx)))
	}
	return d, nil
}

// start opens the server and signs the robots in. ctx bounds the starting, life what is started.
func (d *Demo) start(ctx, life context.Context, cfg Config) error {
	if err := d.startServer(ctx, cfg); err != nil {
		return err
	}
	d.bob = newRobot(d, "bob", chat, &musicBox{})
	d.carol = newRobot(d, "carol", d.ring, &musicBox{})
	d.dave = newRobot(d, "dave", d.catchUp, &musicBox{})
	d.echo = newRobot(d, "echo", parrotTalk, &parrot{})
	d.mary = newRobot(d, "mary", holdTheLine, &musicBox{semitones: -5})
	d.peter = newRobot(d, "peter", holdTheLine, &musicBox{semitones: -12})
	d.lab = newLab(d)
	for _, begin := range []func(context.Context, context.Context) error{
		d.bob.signIn, d.carol.signIn, d.echo.signIn, d.mary.signIn, d.peter.signIn, d.lab.on,
	} {
		if err := begin(ctx, life); err != nil {
			return err
		}
	}
	// Dave comes and goes, so that the server knows him and keeps what is sent to him.
	if err := d.dave.signIn(ctx, life); err != nil {
		return err
	}
	d.dave.signOut(ctx)
	d.lab.idle()
	d.work.Go(func() { d.greet(life) })
	return nil
}

// startServer listens with UDP and TCP on one free port: a request too long for a datagram goes to the same port over
// TCP (RFC 3261 §18.1.1).
func (d *Demo) startServer(ctx context.Context, cfg Config) error {
	var failed error
	for range 10 { // another program may take the port between looking and listening
		listen, port, err := freePort()
		if err != nil {
			return err
		}
		s, err := server.New(server.Config{
			Listen: listen, Domain: Domain, Open: true, StateDir: cfg.StateDir, Logger: cfg.Logger.With("host", "server"),
			Park: &server.ParkConfig{Timeout: d.pace.Parked, Quarantine: orbitRests, RingFor: recallRings},
		})
		if err != nil {
			return err
		}
		if failed = s.Start(ctx); failed == nil {
			d.server, d.Server = s, fmt.Sprintf("sip:127.0.0.1:%d;transport=udp", port)
			return nil
		}
	}
	return failed
}

// freePort finds a loopback port that is free for UDP and TCP at this moment.
func freePort() ([]sipua.Listener, int, error) {
	var failed error
	for range 20 {
		stream, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, 0, err
		}
		address := stream.Addr().String()
		packet, err := net.ListenPacket("udp", address)
		_ = stream.Close()
		if err != nil {
			failed = err
			continue
		}
		_ = packet.Close()
		_, text, err := net.SplitHostPort(address)
		if err != nil {
			return nil, 0, err
		}
		port, err := strconv.Atoi(text)
		return []sipua.Listener{{Network: "udp", Address: address}, {Network: "tcp", Address: address}}, port, err
	}
	return nil, 0, fmt.Errorf("no port is free for both UDP and TCP: %w", failed)
}

// Close signs everybody out and stops the server. It may be called on a Demo that did not start whole.
func (d *Demo) Close(ctx context.Context) error {
	var all sync.WaitGroup
	for _, r := range []*robot{d.bob, d.carol, d.dave, d.echo, d.mary, d.peter} {
		if r != nil {
			all.Go(func() { r.signOut(ctx) })
		}
	}
	if d.lab != nil {
		all.Go(func() { d.lab.off(ctx) })
	}
	all.Wait()
	d.stop()
	d.work.Wait()
	if d.server == nil {
		return nil
	}
	return d.server.Close(ctx)
}

func (p Pace) orDefault() Pace {
	if p.Read == 0 {
		p.Read = 900 * time.Millisecond
	}
	if p.Letter == 0 {
		p.Letter = 35 * time.Millisecond
	}
	if p.Ring == 0 {
		p.Ring = 2 * time.Second
	}
	if p.Greet == 0 {
		p.Greet = 4 * time.Second
	}
	if p.PickUp == 0 {
		p.PickUp = 4 * time.Second
	}
	if p.Talk == 0 {
		p.Talk = 12 * time.Second
	}
	if p.Parked == 0 {
		p.Parked = 45 * time.Second
	}
	return p
}

// sleep waits, and reports whether ctx still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
