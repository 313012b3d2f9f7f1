package session

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRankedOrder(t *testing.T) {
	devices := []candidate{
		{"off", classOff, 0},
		{"away", classAway, time.Hour},
		{"unknown", classUnknown, -1},
		{"inactive", classInactive, 6 * time.Minute},
		{"active-late", classActive, time.Minute},
		{"active-now", classActive, time.Second},
	}
	var got []string
	for _, c := range ranked(devices, "call") {
		got = append(got, c.instance)
	}
	want := []string{"active-now", "active-late", "inactive", "unknown", "away", "off"}
	if !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	for place, instance := range want {
		if r := rank(instance, devices, "call"); r != place {
			t.Errorf("rank of %s is %d, want %d", instance, r, place)
		}
	}
	if r := rank("stranger", devices, "call"); r != len(devices) {
		t.Errorf("an endpoint that is not in its list has rank %d, want the last", r)
	}
}

func TestUnknownIdleStandsBehindKnown(t *testing.T) {
	devices := []candidate{{"a", classActive, -1}, {"b", classActive, time.Hour}}
	if rank("b", devices, "call") != 0 {
		t.Error("an endpoint with a known idle time does not stand before one without")
	}
}

// Equal endpoints share the calls: over many calls each is first now and then.
func TestTiesAreFair(t *testing.T) {
	devices := []candidate{{"a", classActive, 0}, {"b", classActive, time.Second / 2}, {"c", classActive, 900 * time.Millisecond}}
	first := map[string]int{}
	for i := range 3000 {
		first[ranked(devices, fmt.Sprint("call-", i))[0].instance]++
	}
	for _, d := range devices {
		if n := first[d.instance]; n < 850 || n > 1150 {
			t.Errorf("%s is first in %d of 3000 calls", d.instance, n)
		}
	}
}

// The order is total, does not depend on the order of the input, and every endpoint computes the same one.
func TestRankedIsOneOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		devices := drawDevices(t)
		callID := rapid.String().Draw(t, "callID")
		want := ranked(devices, callID)
		shuffled := rapid.Permutation(devices).Draw(t, "shuffled")
		if got := ranked(shuffled, callID); !slices.Equal(got, want) {
			t.Fatalf("order depends on the input's: %v and %v", got, want)
		}
		for place, c := range want {
			if r := rank(c.instance, shuffled, callID); r != place {
				t.Fatalf("rank of %s is %d, its place %d", c.instance, r, place)
			}
		}
	})
}

// With equal views two neighbours are always far enough apart for the CANCEL to travel.
func TestNeighboursAreApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := ranked(drawDevices(t), rapid.String().Draw(t, "callID"))
		for place := 1; place < len(order); place++ {
			a := acceptDelay(delayInput{rank: place - 1, idle: order[place-1].idle, haveDevice: true})
			b := acceptDelay(delayInput{rank: place, idle: order[place].idle, haveDevice: true})
			if b-a < rankStagger-idleSpreadMax {
				t.Fatalf("places %d and %d accept %v apart", place-1, place, b-a)
			}
		}
	})
}

// The promises of the program in figures: the most active endpoint accepts 10.0 to 11.5 s after the INVITE, the next by
// 14 s, and without device state somebody does within 18 s.
func TestAcceptDelayBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		idle := time.Duration(rapid.Int64Range(-1, int64(1000*24*time.Hour)).Draw(t, "idle"))
		jitter := rapid.Float64Range(0, 0.999).Draw(t, "jitter")
		for place, bounds := range [][2]time.Duration{{10 * time.Second, 11500 * time.Millisecond}, {12 * time.Second, 14 * time.Second}} {
			if d := acceptDelay(delayInput{rank: place, idle: idle, haveDevice: true}); d < bounds[0] || d > bounds[1] {
				t.Fatalf("place %d accepts after %v", place, d)
			}
		}
		if d := acceptDelay(delayInput{idle: idle, jitter: jitter}); d < 10*time.Second || d > 18*time.Second {
			t.Fatalf("without device state it accepts after %v", d)
		}
	})
}

func TestSole(t *testing.T) {
	for _, c := range []struct {
		p    population
		want bool
	}{
		{population{registered: 1, certain: true}, true},
		{population{registered: 1, regEvent: 1, presence: 1, certain: true}, true},
		{population{registered: 1}, false}, // the registrar may have listed only ours
		{population{}, false},
		{population{registered: 1, presence: 2, certain: true}, false},
		{population{registered: 3, regEvent: 1, certain: true}, false}, // a 200 newer than the reg-event
	} {
		if got := c.p.sole(); got != c.want {
			t.Errorf("%+v: sole is %v, want %v", c.p, got, c.want)
		}
	}
}

func drawDevices(t *rapid.T) []candidate {
	n := rapid.IntRange(1, 6).Draw(t, "n")
	devices := make([]candidate, n)
	for i := range devices {
		devices[i] = candidate{
			instance: fmt.Sprintf("urn:uuid:%d", i),
			class:    deviceClass(rapid.IntRange(0, int(classOff)).Draw(t, "class")),
			idle:     time.Duration(rapid.Int64Range(-1, int64(48*time.Hour)).Draw(t, "idle")),
		}
	}
	return devices
}

// A model of one election: endpoints with their own, partly outdated views of each other, a caller that keeps the first
// answer, messages that take time. It is crude, and it is fast: it shows what the staggering is for. The scenario tests
// run the same stories through the whole program.
type electionModel struct {
	endpoints []modelEndpoint
	delay     time.Duration // one way, endpoint to caller and back
	stagger   bool
}

type modelEndpoint struct {
	candidate
	view []candidate // of all endpoints
	dead bool
}

type modelEvent struct {
	at   time.Duration
	who  int
	what string // answer, arrives, cancel
}

type modelQueue []modelEvent

func (q modelQueue) Len() int           { return len(q) }
func (q modelQueue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q modelQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *modelQueue) Push(x any)        { *q = append(*q, x.(modelEvent)) }
func (q *modelQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// run returns how many endpoints answered.
func (m electionModel) run(callID string) (answers int) {
	var q modelQueue
	for i, e := range m.endpoints {
		place := rank(e.instance, e.view, callID)
		in := delayInput{rank: place, idle: e.idle, haveDevice: true}
		if !m.stagger && place > 0 || e.dead {
			continue
		}
		heap.Push(&q, modelEvent{acceptDelay(in), i, "answer"})
	}
	canceled := make([]bool, len(m.endpoints))
	for q.Len() > 0 {
		ev := heap.Pop(&q).(modelEvent)
		switch {
		case ev.what == "answer" && !canceled[ev.who]:
			answers++
			heap.Push(&q, modelEvent{ev.at + m.delay, ev.who, "arrives"})
		case ev.what == "arrives":
			for i := range m.endpoints {
				if i != ev.who {
					heap.Push(&q, modelEvent{ev.at + m.delay, i, "cancel"})
				}
			}
		case ev.what == "cancel":
			canceled[ev.who] = true
		}
	}
	return answers
}

// One outdated view in twenty, one dead endpoint in ten: with the stagger somebody always answers, and seldom two.
// Without it (only the endpoint that believes to be the most active acts) every tenth message would be lost.
func TestElectionAlwaysElects(t *testing.T) {
	const trials = 20000
	for _, stagger := range []bool{true, false} {
		rnd := rand.New(rand.NewPCG(1, 2))
		var nobody, several int
		for trial := range trials {
			m := electionModel{delay: 60 * time.Millisecond, stagger: stagger}
			m.endpoints = randomEndpoints(rnd, 3, 0.05, 0.10)
			switch n := m.run(fmt.Sprint(trial)); {
			case n == 0:
				nobody++
			case n > 1:
				several++
			}
		}
		t.Logf("stagger %v: nobody %.2f %%, several %.2f %%", stagger,
			100*float64(nobody)/trials, 100*float64(several)/trials)
		if stagger && (nobody > 0 || several > trials/25) {
			t.Errorf("with the stagger %d of %d calls found nobody and %d several", nobody, trials, several)
		}
		if !stagger && nobody < trials/20 {
			t.Errorf("without the stagger only %d of %d calls found nobody: the model proves nothing", nobody, trials)
		}
	}
}

// randomEndpoints draws n endpoints, at least one of them alive, each with a view in which the others are outdated with
// probability stale.
func randomEndpoints(rnd *rand.Rand, n int, stale, dead float64) []modelEndpoint {
	facts := make([]candidate, n)
	endpoints := make([]modelEndpoint, n)
	for i := range facts {
		facts[i] = candidate{fmt.Sprint("urn:uuid:", i), classActive, time.Duration(rnd.Int64N(int64(5 * time.Minute)))}
	}
	for i := range endpoints {
		view := slices.Clone(facts)
		for j := range view {
			if j != i && rnd.Float64() < stale {
				view[j].idle = time.Duration(rnd.Int64N(int64(5 * time.Minute)))
			}
		}
		endpoints[i] = modelEndpoint{facts[i], view, rnd.Float64() < dead}
	}
	endpoints[rnd.IntN(n)].dead = false
	return endpoints
}
