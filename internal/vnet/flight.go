package vnet

import (
	"container/heap"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"time"
)

// send carries a packet that a socket has written. It never waits.
func (v *Net) send(from, to netip.AddrPort, data []byte) {
	v.mu.Lock()
	v.stats.Sent++
	hooks := v.hooks
	v.mu.Unlock()
	seen, pass := Packet{time.Now(), from, to, data}, true
	for _, h := range hooks {
		var passed bool
		seen.Data, passed = h.see(seen)
		pass = pass && passed
	}
	data = seen.Data

	v.mu.Lock()
	defer v.mu.Unlock()
	way := route{from.Addr(), to.Addr()}
	link, ok := v.links[way]
	if !ok {
		link = v.fallback
	}
	dice := v.diceLocked(way)
	// Every packet draws the same number of times, so that a changed probability does not shift the later draws.
	lost, twice := dice.Float64() < link.Loss, dice.Float64() < link.Duplicate
	first, second := link.flightTime(dice), link.flightTime(dice)
	switch {
	case len(data) > v.mtu:
		v.stats.Oversize++
	case !pass || lost:
		v.stats.Lost++
	case v.cut[way.from]:
		v.stats.Cut++
	default:
		data = append([]byte(nil), data...)
		v.launchLocked(from, to, data, first)
		if twice {
			v.launchLocked(from, to, data, second)
		}
	}
}

// diceLocked returns the random numbers of a link. Each has its own, for what happens on one must not depend on how
// the goroutines of two hosts are scheduled.
func (v *Net) diceLocked(way route) *rand.Rand {
	if r := v.chance[way]; r != nil {
		return r
	}
	h := fnv.New64a()
	h.Write([]byte(way.from.String() + ">" + way.to.String()))
	r := rand.New(rand.NewPCG(v.seed, h.Sum64()))
	v.chance[way] = r
	return r
}

func (l Link) flightTime(dice *rand.Rand) time.Duration {
	return l.Delay + time.Duration(dice.Float64()*float64(l.Jitter))
}

func (v *Net) launchLocked(from, to netip.AddrPort, data []byte, d time.Duration) {
	v.order++
	p := flyer{due: time.Now().Add(d), order: v.order, from: from, to: to, data: data}
	if d <= 0 {
		v.landLocked(p)
		return
	}
	heap.Push(&v.flying, p)
	if v.flying[0].order == p.order {
		v.scheduleLocked()
	}
}

func (v *Net) scheduleLocked() {
	if len(v.flying) == 0 {
		return
	}
	wait := time.Until(v.flying[0].due)
	if v.timer == nil {
		v.timer = time.AfterFunc(wait, v.arrive)
		return
	}
	v.timer.Reset(wait)
}

// arrive delivers what is due. It runs on the timer's goroutine.
func (v *Net) arrive() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for now := time.Now(); len(v.flying) > 0 && !v.flying[0].due.After(now); {
		v.landLocked(heap.Pop(&v.flying).(flyer))
	}
	v.scheduleLocked()
}

func (v *Net) landLocked(p flyer) {
	s := v.sockets[p.to]
	switch {
	case v.cut[p.to.Addr()] || v.cut[p.from.Addr()]:
		v.stats.Cut++
	case s == nil:
		v.stats.Unheard++
	case !s.deliver(p.from, p.data):
		v.stats.Overflowed++
	default:
		v.stats.Delivered++
	}
}

// flyer is a packet under way.
type flyer struct {
	due      time.Time
	order    uint64
	from, to netip.AddrPort
	data     []byte
}

// flight is a heap of packets, the first to arrive on top.
type flight []flyer

func (f flight) Len() int { return len(f) }
func (f flight) Less(i, j int) bool {
	if !f[i].due.Equal(f[j].due) {
		return f[i].due.Before(f[j].due)
	}
	return f[i].order < f[j].order
}
func (f flight) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flight) Push(x any)   { *f = append(*f, x.(flyer)) }
func (f *flight) Pop() any {
	old := *f
	last := old[len(old)-1]
	old[len(old)-1] = flyer{}
	*f = old[:len(old)-1]
	return last
}
