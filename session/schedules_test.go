package session_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"regexp"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/testkit"
	"offhook/internal/vnet"
	"offhook/session"
)

// schedules is how many random schedules are tried. Continuous integration tries a thousand; a part of them is enough to
// see that nothing has broken by a change elsewhere.
var schedules = flag.Int("schedules", 200, "how many random schedules of the election to try")

// One schedule: two to six endpoints of a user on links of any quality, some of which die, are clicked, are used, have
// a wrong clock or publish nothing, while one text comes.
type schedule struct {
	rnd   *rand.Rand
	world *testkit.World
	alice *testkit.User
	bob   *testkit.User
}

// outcome of a schedule.
type outcome struct {
	accepts int // endpoints that ever had the session
	problem string
}

// TestRandomSchedules is the promise: no message is lost and exactly one session is left, whatever happens. Two
// endpoints that accept at once are repaired by the caller, but that is to be the exception: it is the staggering that
// makes it one.
//
// The test has been seen to fail with each of these broken: rankStagger = 0 (several accept, in far more than an eighth
// of the schedules); the BYE to a second 2xx left out (several endpoints have a session); the endpoints other than the
// most active one never accepting (the text is not delivered where that one dies).
func TestRandomSchedules(t *testing.T) {
	var next, several atomic.Int64
	t.Run("all", func(t *testing.T) {
		for worker := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for seed := next.Add(1) - 1; seed < int64(*schedules) && !t.Failed(); seed = next.Add(1) - 1 {
					var got outcome
					synctest.Test(t, func(t *testing.T) { got = runSchedule(t, uint64(seed)) })
					if got.problem != "" {
						t.Errorf("schedule %d: %s", seed, got.problem)
					}
					if got.accepts > 1 {
						several.Add(1)
					}
				}
			})
		}
	})
	t.Logf("%d schedules, %d with more than one acceptance", *schedules, several.Load())
	if several.Load() > int64(*schedules/8) {
		t.Errorf("in %d of %d schedules several endpoints accepted: they are not staggered", several.Load(), *schedules)
	}
}

func runSchedule(t *testing.T, seed uint64) outcome {
	rnd := rand.New(rand.NewPCG(seed, 20))
	s := &schedule{rnd: rnd, world: testkit.NewWorld(t, testkit.Seed(seed))}
	w := s.world
	s.alice = w.Endpoint("alice")
	devices := 2 + rnd.IntN(5)
	opts := []testkit.UserOption{testkit.Devices(devices)}
	if rnd.IntN(8) == 0 {
		opts = append(opts, testkit.Silent())
	}
	s.bob = w.Endpoint("bob", opts...)
	for i, d := range s.bob.Devices() {
		if rnd.IntN(3) == 0 {
			skewClock(w.Net, d.Host, time.Duration(rnd.IntN(7200)-3600)*time.Second)
		}
		d.Input(time.Duration(rnd.IntN(400)+i) * time.Second)
	}
	w.Sleep(15 * time.Second)
	for _, d := range s.bob.Devices() {
		link := vnet.Link{
			Delay:  time.Duration(1+rnd.IntN(150)) * time.Millisecond,
			Jitter: time.Duration(rnd.IntN(50)) * time.Millisecond,
			Loss:   rnd.Float64() * 0.1, Duplicate: rnd.Float64() * 0.05,
		}
		w.Net.Link(d.Host, w.ServerHost, link)
		w.Net.Link(w.ServerHost, d.Host, link)
	}
	sent := s.alice.IM(s.bob, "hello")
	s.disturb()
	time.Sleep(110 * time.Second) // the last time-out of a lost fork is over
	synctest.Wait()
	m, err := sent.Wait()
	return s.judge(m, err)
}

// disturb lets people and machines do what they do while the toast is up.
func (s *schedule) disturb() {
	survivor := s.rnd.IntN(len(s.bob.Devices()))
	for i, d := range s.bob.Devices() {
		at := time.Duration(s.rnd.IntN(15000)) * time.Millisecond
		switch s.rnd.IntN(6) {
		case 0:
			if i != survivor {
				time.AfterFunc(at, func() { s.world.Net.Cut(d.Host) })
			}
		case 1:
			if i == survivor || s.rnd.IntN(2) == 0 {
				time.AfterFunc(at, func() { click(d) })
			}
		case 2:
			time.AfterFunc(at, func() { d.Endpoint.Input(time.Now()) })
		}
	}
}

// click accepts what is on the screen, if anything is.
func click(d *testkit.Device) {
	for _, toast := range d.Snapshot().Toasts {
		if call, ok := d.FindToast(toast.Toast); ok {
			_ = call.Accept(context.Background()) // or is told that it came too late
		}
	}
}

// judge says what went wrong, if anything did.
func (s *schedule) judge(m session.Message, err error) outcome {
	var out outcome
	journaled, now := 0, 0
	for _, d := range s.bob.Devices() {
		if d.Journal.Count("hello") > 1 {
			out.problem = d.Name + " has the text twice"
		}
		journaled += d.Journal.Count("hello")
		for _, ev := range testkit.All[session.CallStateChanged](d) {
			if ev.State == session.Established {
				out.accepts++
				break
			}
		}
		for _, c := range d.Snapshot().Calls {
			if c.State == session.Established {
				now++
			}
		}
	}
	calls := s.alice.Device(0).Snapshot().Calls
	switch {
	case out.problem != "":
	case m.Status != session.Delivered:
		out.problem = fmt.Sprintf("the text is %s: %v", m.Status, err)
	case journaled == 0:
		out.problem = "the text is nowhere"
	case len(calls) != 1 || calls[0].State != session.Established:
		out.problem = fmt.Sprintf("the caller has %+v", calls)
	case now > 1:
		out.problem = fmt.Sprintf("%d endpoints have a session", now)
	}
	return out
}

// The times of presence documents, and those of header fields (RFC 3261 §20.17).
var (
	stamp = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d`)
	date  = regexp.MustCompile(`\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT`)
)

const stampLayout = "2006-01-02T15:04:05"

// skewClock makes a host's clock wrong by skew: the times that it tells are, and those that it is told are off the other
// way for its own clock. In its own eyes it is right.
func skewClock(n *vnet.Net, host netip.Addr, skew time.Duration) {
	n.Rewrite(func(p vnet.Packet) []byte {
		by := skew
		switch host {
		case p.From.Addr():
		case p.To.Addr():
			by = -skew
		default:
			return p.Data
		}
		shift := func(layout string) func([]byte) []byte {
			return func(text []byte) []byte {
				at, err := time.Parse(layout, string(text))
				if err != nil {
					return text
				}
				return []byte(at.Add(by).Format(layout))
			}
		}
		return date.ReplaceAllFunc(stamp.ReplaceAllFunc(p.Data, shift(stampLayout)), shift(http.TimeFormat))
	})
}
