package session_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/testkit"
	"offhook/internal/vnet"
	"offhook/park"
	"offhook/server"
	"offhook/session"
)

// TestRandomParks is the promise of parked calls: whatever people press, on lines of any quality, a safe URI connects with
// the one who was parked under it or with nobody, an orbit has one taker, a call that was not parked goes on, and in the
// end nobody is left in an orbit.
func TestRandomParks(t *testing.T) {
	var next, parks, taken, recalled, refused atomic.Int64
	t.Run("all", func(t *testing.T) {
		for worker := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				for seed := next.Add(1) - 1; seed < int64(*schedules/2) && !t.Failed(); seed = next.Add(1) - 1 {
					synctest.Test(t, func(t *testing.T) {
						s := randomParks(t, uint64(seed))
						parks.Add(s.parks.Load())
						taken.Add(s.taken.Load())
						recalled.Add(s.recalled.Load())
						refused.Add(s.refused.Load())
					})
				}
			})
		}
	})
	t.Logf("%d schedules: %d parked, %d taken, %d taken when they came back, %d refused", *schedules/2, parks.Load(),
		taken.Load(), recalled.Load(), refused.Load())
}

// parkers are people who park and pick up.
type parkers struct {
	pressing
	callers map[string]bool // who gets parked: they press nothing but hang up

	parks, taken, recalled, refused atomic.Int64

	mu     sync.Mutex
	tokens map[string]string // Guarded by mu; the caller's address by safe URI
}

func randomParks(t *testing.T, seed uint64) *parkers {
	rnd := rand.New(rand.NewPCG(seed, 7))
	w := testkit.NewWorld(t, testkit.Seed(seed), testkit.Park(func(cfg *server.ParkConfig) {
		cfg.Orbits, cfg.Timeout, cfg.RingFor, cfg.Attempts = "701-703", 10*time.Second, 5*time.Second, 2
		if rnd.IntN(2) == 0 {
			cfg.Quarantine = -1
		}
	}))
	p := &parkers{
		pressing: pressing{t: t, world: w, rnd: rnd}, callers: map[string]bool{"mary": true, "steven": true}, tokens: map[string]string{},
	}
	for _, name := range []string{"mary", "steven", "bob", "michael", "carol"} {
		auto := testkit.Audio(func(_ int, cfg *session.Config, _ *testkit.Sound) { cfg.AutoAnswer = true })
		if p.callers[name] || rnd.IntN(4) == 0 {
			auto = audio
		}
		p.users = append(p.users, w.Endpoint(name, auto, testkit.Silent()))
	}
	w.Net.Default(vnet.Link{
		Delay:  time.Duration(1+rnd.IntN(60)) * time.Millisecond,
		Jitter: time.Duration(rnd.IntN(20)) * time.Millisecond,
		Loss:   rnd.Float64() * 0.06, Duplicate: rnd.Float64() * 0.05,
	})
	p.turn(p.users[0])
	p.turn(p.users[1])
	for range 24 {
		p.turn(p.users[rnd.IntN(len(p.users))])
		w.Sleep(time.Duration(rnd.IntN(1800)) * time.Millisecond)
		p.expectOneHears(seed)
	}
	w.Net.Default(vnet.Link{Delay: 5 * time.Millisecond})
	w.Sleep(time.Duration(rnd.IntN(90)) * time.Second)
	p.wg.Wait()
	w.Sleep(35 * time.Second) // nothing is on its way any more
	p.expectPairs(seed)
	p.hangUp()
	p.wg.Wait()
	w.Sleep(5 * time.Minute) // the patience of the park service is over, too
	p.hangUp()
	p.wg.Wait()
	w.Sleep(4 * time.Minute)
	expectOver(t, p.users...)
	p.expectNobodyParked(seed)
	if t.Failed() {
		t.Logf("schedule %d", seed)
	}
	return p
}

// turn is one thing that a person might do.
func (p *parkers) turn(u *testkit.User) {
	d := u.Device(0)
	calls := p.callsOf(d)
	ctx := context.Background()
	if p.callers[u.Name] {
		p.asCaller(d, calls)
		return
	}
	what := p.rnd.IntN(10)
	for _, c := range calls {
		if c.State() == session.Incoming && what < 7 {
			p.do(func() { _ = c.Accept(ctx) })
			return
		}
	}
	switch {
	case what < 4 && len(calls) > 0:
		p.park(calls[p.rnd.IntN(len(calls))])
	case what < 6:
		p.pickUp(d, p.orbit(), "")
	case what < 8:
		uri, caller := p.token()
		p.pickUp(d, uri, caller)
	case len(calls) > 0 && what == 8:
		c := calls[p.rnd.IntN(len(calls))]
		p.do(func() { _ = c.Terminate(ctx) })
	case len(calls) > 0:
		c := calls[p.rnd.IntN(len(calls))]
		p.do(func() { _ = c.Decline(ctx, false) })
	}
}

// asCaller calls somebody, or hangs up.
func (p *parkers) asCaller(d *testkit.Device, calls []*session.AudioVideoCall) {
	if len(calls) > 0 {
		if c := calls[p.rnd.IntN(len(calls))]; p.rnd.IntN(5) == 0 {
			p.do(func() { _ = c.Terminate(context.Background()) })
		}
		return
	}
	x := d.Dial(p.users[2+p.rnd.IntN(3)])
	p.do(func() { _ = x.Wait() })
}

func (p *parkers) callsOf(d *testkit.Device) []*session.AudioVideoCall {
	var calls []*session.AudioVideoCall
	for _, info := range d.Snapshot().Calls {
		if c, ok := d.FindAudio(info.Call); ok {
			calls = append(calls, c)
		}
	}
	return calls
}

func (p *parkers) orbit() string { return fmt.Sprint(701 + p.rnd.IntN(3)) }

// token is a safe URI that was given out, whether it still holds or not, and whose it is.
func (p *parkers) token() (uri, caller string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for uri := range p.tokens {
		all = append(all, uri)
	}
	if len(all) == 0 {
		return "sip:pk-unknown@" + testkit.Domain, ""
	}
	uri = all[0]
	for _, other := range all[1:] { // the order of a map is none of the schedule's
		if (other < uri) == (p.rnd.IntN(2) == 0) {
			uri = other
		}
	}
	return uri, p.tokens[uri]
}

func (p *parkers) park(c *session.AudioVideoCall) {
	wish := ""
	if p.rnd.IntN(3) == 0 {
		wish = p.orbit()
	}
	p.do(func() {
		who, _ := c.Party()
		o, err := c.Conversation().Park(context.Background(), wish, "")
		if err != nil {
			p.refused.Add(1)
			return
		}
		p.parks.Add(1)
		p.mu.Lock()
		defer p.mu.Unlock()
		if other, known := p.tokens[o.SafeRetrieveURI]; known {
			p.t.Errorf("a token was given out twice, for %s and %s", other, who.URI)
		}
		p.tokens[o.SafeRetrieveURI] = who.URI
	})
}

// pickUp takes what is there. caller is who has to be at the other end, "" for anybody.
func (p *parkers) pickUp(d *testkit.Device, what, caller string) {
	anyway := p.rnd.IntN(2) == 0
	p.do(func() {
		c, err := d.Retrieve(context.Background(), what, anyway)
		if err != nil {
			if strings.Contains(err.Error(), "pk-") {
				p.t.Errorf("a safe URI is in %q", err)
			}
			return
		}
		p.taken.Add(1)
		if who, _ := c.Party(); caller != "" && who.URI != caller {
			p.t.Errorf("the safe URI of %s connects with %s", caller, who.URI)
		}
	})
}

// expectOneHears checks that a microphone has one listener. A consultation with the park service is sent silence.
func (p *parkers) expectOneHears(seed uint64) {
	for _, u := range p.users {
		n := 0
		for _, st := range u.Device(0).Sound().Streams() {
			if now := st.State(); now.Sends() && !now.Muted {
				n++
			}
		}
		if n > 1 {
			p.t.Errorf("schedule %d: %d hear %s", seed, n, u.Name)
		}
	}
}

// expectPairs checks, when everything has come to rest, that whoever believes to talk with somebody does: of two that wanted
// the same call one has it.
func (p *parkers) expectPairs(seed uint64) {
	p.world.Settle()
	type pair [2]string
	there, here := map[pair]int{}, map[pair]int{}
	for _, u := range p.users {
		for _, info := range u.Device(0).Snapshot().Calls {
			who := info.Peer
			if info.Party.URI != "" {
				who = info.Party
			}
			switch {
			case info.State != session.Established || info.Parked:
			case p.callers[u.Name]:
				there[pair{u.AOR(), who.URI}]++
			default:
				here[pair{who.URI, u.AOR()}]++
			}
		}
	}
	for who, n := range here {
		if n != there[who] {
			p.t.Errorf("schedule %d: %s believes %d times to talk with %s, who does so %d times", seed, who[1], n, who[0], there[who])
		}
	}
}

// expectNobodyParked checks the end: no orbit is occupied, every record has ended, no conversation is Parked.
func (p *parkers) expectNobodyParked(seed uint64) {
	for _, u := range p.users {
		d := u.Device(0)
		for _, row := range d.Board() {
			p.t.Errorf("schedule %d: the board of %s has %+v", seed, u.Name, row)
		}
		for _, r := range d.ParkHistory() {
			if r.Ended.IsZero() || r.Reason == "" {
				p.t.Errorf("schedule %d: a record of %s has not ended: %+v", seed, u.Name, r)
			}
			if r.Reason == park.Ringback {
				p.recalled.Add(1)
			}
			if r.Reason == park.Unknown {
				p.t.Logf("schedule %d: %s was not told how %s has ended", seed, u.Name, r.Orbit)
			}
		}
		for _, c := range d.Snapshot().Conversations {
			if c.State == session.ConversationParked {
				p.t.Errorf("schedule %d: %s: %+v", seed, u.Name, c)
			}
		}
	}
}
