package park

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// network is the world between people and the park service, in a time of its own: a queue of what will happen. Messages
// are late, overtake each other, are lost and are doubled, each world having its own measure of that.
type network struct {
	rnd     *rand.Rand
	now     time.Time
	queue   events
	serial  int
	loss    float64
	double  float64
	slowest time.Duration
}

type event struct {
	at     time.Time
	serial int // what is planned first happens first
	do     func()
}

type events []event

func (q events) Len() int { return len(q) }

func (q events) Less(i, j int) bool {
	return q[i].at.Before(q[j].at) || q[i].at.Equal(q[j].at) && q[i].serial < q[j].serial
}

func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

func (q *events) Push(e any) { *q = append(*q, e.(event)) }

func (q *events) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last].do = nil
	*q = (*q)[:last]
	return e
}

func newNetwork(rnd *rand.Rand) *network {
	n := &network{rnd: rnd, now: start}
	if rnd.IntN(4) > 0 {
		n.loss, n.double = rnd.Float64()*0.3, rnd.Float64()*0.3
	}
	n.slowest = []time.Duration{50 * time.Millisecond, second, 15 * second}[rnd.IntN(3)]
	return n
}

// in does something after a time. It happens.
func (n *network) in(d time.Duration, do func()) {
	n.serial++
	heap.Push(&n.queue, event{n.now.Add(d), n.serial, do})
}

// soon does something at any moment within a time.
func (n *network) soon(d time.Duration, do func()) { n.in(n.upTo(d), do) }

func (n *network) upTo(d time.Duration) time.Duration {
	return time.Duration(n.rnd.Int64N(int64(d) + 1))
}

// send delivers a message: once, twice or not at all.
func (n *network) send(do func()) {
	if n.rnd.Float64() >= n.loss {
		n.soon(n.slowest, do)
	}
	if n.rnd.Float64() < n.double {
		n.soon(n.slowest, do)
	}
}

// insist delivers a message whose sender repeats it until it is heard of.
func (n *network) insist(do func()) {
	wait := n.upTo(n.slowest)
	for n.rnd.Float64() < n.loss {
		wait += second
	}
	n.in(wait, do)
}

// repeat sends what is repeated some times: requests and answers of SIP.
func (n *network) repeat(do func()) {
	for range 3 {
		n.send(do)
	}
}

// next lets the next event happen; false if there is none.
func (n *network) next() bool {
	if len(n.queue) == 0 {
		return false
	}
	e := heap.Pop(&n.queue).(event)
	n.now = e.at
	e.do()
	return true
}

// chance is true in p of a hundred cases.
func (n *network) chance(p int) bool { return n.rnd.IntN(100) < p }
