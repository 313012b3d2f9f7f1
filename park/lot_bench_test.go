package park

import (
	"runtime"
	"testing"
)

// A whole park in a lot of twenty: reserved, occupied, claimed, retrieved.
func BenchmarkPark(b *testing.B) {
	l := newLot(b, LotConfig{First: 701, Last: 720, Quarantine: -1, Tombstone: second})
	b.ReportAllocs()
	now := start
	for b.Loop() {
		now = now.Add(second)
		o := parkOne(b, l, now, bob, mary, "")
		if _, _, err := l.Claim(now, o.Token); err != nil || !l.Retrieved(now, o.ID) {
			b.Fatal(err)
		}
	}
}

// The clock of a full lot of five hundred, when nothing is due.
func BenchmarkDue(b *testing.B) {
	l := fill(b, 500)
	b.ReportAllocs()
	for b.Loop() {
		if at, ok := l.Next(); !ok || l.Due(at.Add(-1)) != nil {
			b.Fatal(at)
		}
	}
}

// A wrong guess, which is to cost little.
func BenchmarkClaimUnknown(b *testing.B) {
	l, token := fill(b, 500), newToken()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := l.Claim(start, token); err == nil {
			b.Fatal("a guess was right")
		}
	}
}

func fill(b testing.TB, n int) *Lot {
	b.Helper()
	l := newLot(b, LotConfig{First: 1, Last: n, PerUser: n})
	for range n {
		parkOne(b, l, start, bob, mary, "")
	}
	return l
}

// What is kept is little: of a parked call, and of one that is over.
func TestMemory(t *testing.T) {
	const parks, rounds = 500, 20
	used := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	l := newLot(t, LotConfig{First: 1, Last: parks, PerUser: parks, Quarantine: -1})
	empty := used()
	for range parks {
		parkOne(t, l, start, bob, mary, "")
	}
	full := used()
	for range rounds {
		for _, o := range l.Orbits() {
			l.Leave(start, o.ID)
			parkOne(t, l, start, bob, mary, "")
		}
	}
	dead := used()
	parked, ended := (full-empty)/parks, (dead-full)/(rounds*parks)
	t.Logf("%d bytes for a parked call, %d for a tombstone", parked, ended)
	if parked > 1024 || ended > 256 {
		t.Errorf("%d bytes for a parked call, %d for a tombstone", parked, ended)
	}
	runtime.KeepAlive(l)
}
