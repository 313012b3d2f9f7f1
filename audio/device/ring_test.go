package device

import (
	"sync"
	"testing"
)

// TestRingOrder sends a counter through a ring between two goroutines, in pieces of changing size.
func TestRingOrder(t *testing.T) {
	const total = 400_000
	r := newRing(1 << 10)
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]int16, 700)
		for sent := 0; sent < total; {
			n := min(1+sent%len(buf), total-sent)
			for i := range n {
				buf[i] = int16(sent + i)
			}
			sent += r.Write(buf[:n])
		}
	})
	buf := make([]int16, 600)
	for got := 0; got < total; {
		n := r.Read(buf[:1+got%len(buf)])
		for i := range n {
			if buf[i] != int16(got+i) {
				t.Fatalf("sample %d is %d", got+i, buf[i])
			}
		}
		got += n
	}
	wg.Wait()
	if r.Len() != 0 {
		t.Errorf("%d samples are left", r.Len())
	}
}

func TestRingBounds(t *testing.T) {
	r := newRing(8)
	if n := r.Write(make([]int16, 12)); n != 8 {
		t.Errorf("a ring of 8 took %d", n)
	}
	if n := r.Write([]int16{1}); n != 0 {
		t.Errorf("a full ring took %d", n)
	}
	if n := r.Drop(3); n != 5 || r.Len() != 3 {
		t.Errorf("dropped %d, %d are left, want 5 and 3", n, r.Len())
	}
	if n := r.Drop(4); n != 0 {
		t.Errorf("dropped %d of 3 although 4 may stay", n)
	}
	if n := r.Read(make([]int16, 8)); n != 3 {
		t.Errorf("read %d, want 3", n)
	}
}
