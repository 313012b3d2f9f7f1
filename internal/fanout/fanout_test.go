package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/fanout"
)

func TestEveryReaderGetsEverythingInOrder(t *testing.T) {
	var hub fanout.Hub[int]
	a, b := hub.Subscribe("a"), hub.Subscribe("b")
	for i := range 100 {
		hub.Publish(i)
	}
	for _, r := range []*fanout.Reader[int]{a, b} {
		batch, err := r.Next(t.Context())
		if err != nil || len(batch) != 100 || !slices.IsSorted(batch) {
			t.Errorf("%s: %d events, %v", r.Name, len(batch), err)
		}
	}
}

func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hub fanout.Hub[string]
		r := hub.Subscribe("r")
		go func() {
			time.Sleep(time.Hour)
			hub.Publish("late")
		}()
		began := time.Now()
		batch, err := r.Next(t.Context())
		if err != nil || len(batch) != 1 || time.Since(began) != time.Hour {
			t.Errorf("%v, %v after %v", batch, err, time.Since(began))
		}
	})
}

// A reader that sleeps a minute per event does not delay the writer at all.
func TestSlowReaderHurtsOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hub fanout.Hub[int]
		slow := hub.Subscribe("slow")
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				batch, err := slow.Next(t.Context())
				if errors.Is(err, fanout.ErrClosed) {
					return
				}
				time.Sleep(time.Duration(len(batch)) * time.Minute)
			}
		})
		began := time.Now()
		for i := range 1000 {
			hub.Publish(i)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the writer waited %v", took)
		}
		time.Sleep(6 * time.Second)
		hub.Publish(0)
		time.Sleep(6 * time.Second)
		if names := hub.Lagging(5 * time.Second); !slices.Equal(names, []string{"slow"}) {
			t.Errorf("lagging: %v", names)
		}
		hub.Close()
		wg.Wait()
	})
}

func TestKeyedReplacesInPlace(t *testing.T) {
	var hub fanout.Hub[string]
	r := hub.Subscribe("r")
	hub.PublishKeyed("level", "level 1")
	hub.Publish("ring")
	hub.PublishKeyed("level", "level 2")
	batch, _ := r.Next(t.Context())
	if want := []string{"level 2", "ring"}; !slices.Equal(batch, want) {
		t.Errorf("%v, want %v", batch, want)
	}
	hub.PublishKeyed("level", "level 3")
	if batch, _ = r.Next(t.Context()); !slices.Equal(batch, []string{"level 3"}) {
		t.Errorf("after a read: %v", batch)
	}
}

func TestOverflowIsToldOnce(t *testing.T) {
	var hub fanout.Hub[int]
	r := hub.Subscribe("r", fanout.Limit[int](3))
	for i := range 4 {
		hub.Publish(i)
	}
	if _, err := r.Next(t.Context()); !errors.Is(err, fanout.ErrOverflow) {
		t.Fatalf("got %v", err)
	}
	if batch, err := r.Next(t.Context()); err != nil || !slices.Equal(batch, []int{3}) {
		t.Errorf("after the overflow: %v, %v", batch, err)
	}
}

func TestSizedBoundsBytes(t *testing.T) {
	var hub fanout.Hub[string]
	r := hub.Subscribe("r", fanout.Sized(10, func(s string) int { return len(s) }))
	hub.Publish("12345")
	hub.Publish("67890")
	if batch, err := r.Next(t.Context()); err != nil || len(batch) != 2 {
		t.Errorf("at the bound: %v, %v", batch, err)
	}
	hub.Publish("12345")
	hub.Publish("678901")
	if _, err := r.Next(t.Context()); !errors.Is(err, fanout.ErrOverflow) {
		t.Errorf("over the bound: %v", err)
	}
}

func TestOnlyFilters(t *testing.T) {
	var hub fanout.Hub[int]
	r := hub.Subscribe("even", fanout.Only(func(i int) bool { return i%2 == 0 }))
	for i := range 5 {
		hub.Publish(i)
	}
	if batch, _ := r.Next(t.Context()); !slices.Equal(batch, []int{0, 2, 4}) {
		t.Errorf("%v", batch)
	}
}

func TestCloseDeliversWhatIsPending(t *testing.T) {
	var hub fanout.Hub[int]
	r := hub.Subscribe("r")
	hub.Publish(1)
	hub.Close()
	if batch, err := r.Next(t.Context()); err != nil || len(batch) != 1 {
		t.Errorf("%v, %v", batch, err)
	}
	for range 2 {
		if _, err := r.Next(t.Context()); !errors.Is(err, fanout.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := hub.Subscribe("late").Next(t.Context()); !errors.Is(err, fanout.ErrClosed) {
		t.Errorf("a late reader got %v", err)
	}
}

func TestReaderCloseEndsNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hub fanout.Hub[int]
		r := hub.Subscribe("r")
		go func() {
			time.Sleep(time.Second)
			r.Close()
		}()
		if _, err := r.Next(t.Context()); !errors.Is(err, fanout.ErrClosed) {
			t.Errorf("got %v", err)
		}
		hub.Publish(1) // reaches nobody
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := hub.Subscribe("other").Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func BenchmarkPublish(b *testing.B) {
	for _, readers := range []int{1, 4} {
		b.Run(fmt.Sprint(readers), func(b *testing.B) {
			var hub fanout.Hub[int]
			for range readers {
				hub.Subscribe("r")
			}
			b.ReportAllocs()
			for b.Loop() {
				hub.PublishKeyed("same", 1)
			}
		})
	}
}
