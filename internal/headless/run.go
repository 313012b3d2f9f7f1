package headless

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// How Run ends, besides nil for a quit or the end of the input.
var (
	ErrInterrupted   = errors.New("interrupted")
	ErrNotRegistered = errors.New("could not register")
)

// Run starts the instance and serves a client on in and out until it quits, its input ends, ctx ends (ErrInterrupted) or
// the registration fails for good (ErrNotRegistered wrapped; the events that say so are written first). The instance is
// closed when Run returns. What reads in is left behind blocked if in cannot be interrupted, as a terminal cannot.
func Run(ctx context.Context, i *Instance, in io.Reader, out io.Writer) error {
	c := newConn(i.Env, i.log)
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	done := make(chan struct{})
	written := make(chan struct{})
	go func() {
		defer close(written)
		c.write(out, done, cancel)
	}()
	events := c.hear(filter{all: true})
	c.pump.Go(func() { c.listen(run, events) })
	// An answer to quit follows the last event.
	signOut := i.Env.Quit
	i.Env.Quit = func(ctx context.Context) error {
		err := signOut(ctx)
		wait(&c.pump, lastWords)
		return err
	}
	err := i.Start(ctx)
	if err == nil {
		err = c.serve(ctx, run, i, in)
	}
	err = errors.Join(err, i.Close())
	if !wait(&c.requests, lastWords) {
		cancel()
	}
	if !wait(&c.pump, lastWords) {
		cancel() // a client that does not read
	}
	close(done)
	select {
	case <-written:
	case <-time.After(lastWords):
	}
	return err
}

// serve waits for the reason to end.
func (c *conn) serve(ctx, run context.Context, i *Instance, in io.Reader) error {
	registered := make(chan error, 1)
	if !i.unregistered {
		go func() { registered <- i.Endpoint.WaitRegistered(run) }()
	}
	input := make(chan error, 1)
	go func() { input <- c.read(run, in) }()
	for {
		select {
		case <-ctx.Done():
			return ErrInterrupted
		case <-i.Quit():
			return nil
		case <-run.Done(): // nobody reads what we write
			return nil
		case err := <-registered:
			if err != nil && run.Err() == nil {
				return errors.Join(ErrNotRegistered, err)
			}
			registered = nil
		case err := <-input:
			c.drain(ctx, i)
			return err
		}
	}
}

// drain lets requests finish that were sent before the input ended: `echo … | offhook headless` is a way to send one.
func (c *conn) drain(ctx context.Context, i *Instance) {
	finished := make(chan struct{})
	go func() {
		c.requests.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-ctx.Done():
	case <-i.Quit():
	case <-time.After(drainTime):
	}
}

// wait waits for a group, at most for d.
func wait(g *sync.WaitGroup, d time.Duration) bool {
	finished := make(chan struct{})
	go func() {
		g.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		return true
	case <-time.After(d):
		return false
	}
}
