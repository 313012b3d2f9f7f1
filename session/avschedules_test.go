package session_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/testkit"
	"offhook/internal/vnet"
	"offhook/session"
)

// TestRandomCalls is the promise of audio calls: whatever people press in whatever order, on lines of any quality, a
// microphone has one listener, and in the end everything is over at both ends.
//
// The test has been seen to fail with each of these broken: quietOthers left out, or settle doing nothing (two hear one
// user); the stream not closed where a call is not established.
func TestRandomCalls(t *testing.T) {
	var next atomic.Int64
	t.Run("all", func(t *testing.T) {
		for worker := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for seed := next.Add(1) - 1; seed < int64(*schedules) && !t.Failed(); seed = next.Add(1) - 1 {
					synctest.Test(t, func(t *testing.T) { randomCalls(t, uint64(seed)) })
				}
			})
		}
	})
}

// pressing is people who press things.
type pressing struct {
	t     *testing.T
	world *testkit.World
	rnd   *rand.Rand
	users []*testkit.User
	wg    sync.WaitGroup
}

func randomCalls(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 3))
	w := testkit.NewWorld(t, testkit.Seed(seed))
	p := &pressing{t: t, world: w, rnd: rnd}
	for _, name := range []string{"alice", "bob", "carol"} {
		auto := testkit.Audio(func(_ int, cfg *session.Config, _ *testkit.Sound) { cfg.AutoAnswer = rnd.IntN(3) == 0 })
		p.users = append(p.users, w.Endpoint(name, auto, testkit.Silent()))
	}
	w.Net.Default(vnet.Link{
		Delay:  time.Duration(1+rnd.IntN(80)) * time.Millisecond,
		Jitter: time.Duration(rnd.IntN(30)) * time.Millisecond,
		Loss:   rnd.Float64() * 0.08, Duplicate: rnd.Float64() * 0.05,
	})
	for range 14 {
		p.press(p.users[rnd.IntN(len(p.users))].Device(0))
		w.Sleep(time.Duration(rnd.IntN(1500)) * time.Millisecond)
		p.expectOneListener(seed)
	}
	w.Net.Default(vnet.Link{Delay: 10 * time.Millisecond})
	w.Sleep(5 * time.Second)
	p.expectOneListener(seed)
	p.hangUp()
	p.wg.Wait()
	p.hangUp() // what came about only afterwards
	p.wg.Wait()
	w.Sleep(4 * time.Minute)
	expectOver(t, p.users...)
	if t.Failed() {
		t.Logf("schedule %d", seed)
	}
}

// press does one thing that a person might, and does not wait for it.
func (p *pressing) press(d *testkit.Device) {
	ctx := context.Background()
	var calls []*session.AudioVideoCall
	for _, info := range d.Snapshot().Calls {
		if c, ok := d.FindAudio(info.Call); ok {
			calls = append(calls, c)
		}
	}
	other := p.users[p.rnd.IntN(len(p.users))]
	what := p.rnd.IntN(16)
	if len(calls) == 0 || what == 0 {
		if other.AOR() == d.Snapshot().Account.AOR {
			return
		}
		x, give, after := d.Dial(other), p.rnd.IntN(4) == 0, time.Duration(p.rnd.IntN(3000))*time.Millisecond
		p.do(func() { _ = x.Wait() })
		if give {
			time.AfterFunc(after, x.GiveUp)
		}
		return
	}
	c, o := calls[p.rnd.IntN(len(calls))], calls[p.rnd.IntN(len(calls))]
	switch what {
	case 1, 2, 3, 4:
		p.do(func() { _ = c.Accept(ctx) })
	case 5:
		everywhere := p.rnd.IntN(2) == 0
		p.do(func() { _ = c.Decline(ctx, everywhere) })
	case 6, 7:
		p.do(func() { _ = c.Hold(ctx) })
	case 8, 9, 10:
		p.do(func() { _ = c.Resume(ctx) })
	case 11:
		p.do(func() { _ = c.Terminate(ctx) })
	case 12:
		p.do(func() { _ = c.Transfer(ctx, other.AOR()) })
	case 13:
		p.do(func() { _ = c.TransferTo(ctx, o) })
	case 14:
		p.do(func() { _ = d.Conference(ctx, calls...) })
	case 15:
		p.do(func() {
			_ = c.Leave(ctx)
			_ = c.Digits(ctx, "1")
			_ = c.Mute(true)
		})
	}
}

func (p *pressing) do(f func()) { p.wg.Go(f) }

func (p *pressing) hangUp() {
	for _, u := range p.users {
		for _, info := range u.Device(0).Snapshot().Calls {
			if c, ok := u.Device(0).FindAudio(info.Call); ok {
				p.do(func() { _ = c.Terminate(context.Background()) })
			}
		}
	}
}

func (p *pressing) expectOneListener(seed uint64) {
	for _, u := range p.users {
		if n := u.Device(0).Sound().Talkers(); n > 1 {
			p.t.Errorf("schedule %d: %d hear %s", seed, n, u.Name)
		}
	}
}
