package park

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// Everybody wants the same call at once: retrievers by number and by token, the parker who is being rung, the caller who
// hangs up, the clock. One of them ends the park, and no two retrievers are ever inside at once.
func TestOneWinner(t *testing.T) {
	rounds, by := 2000, map[string]int{}
	for round := range rounds {
		l, o, now := at(t, Recalling, LotConfig{Quarantine: -1})
		var inside, crowded, winners atomic.Int32
		var winner atomic.Value
		won := func(who string, ok bool) {
			if ok {
				winners.Add(1)
				winner.Store(who)
			}
		}
		retrieve := func(key string, gives bool) {
			got, _, err := l.Claim(now, key)
			if err != nil {
				return
			}
			if got.ID != o.ID || got.Caller != mary {
				t.Errorf("%s connects to park %d", key, got.ID)
			}
			crowded.Add(inside.Add(1) - 1)
			runtime.Gosched() // a re-INVITE takes longer
			// Whoever hands it back leaves before the next can come in.
			inside.Add(-1)
			if gives {
				l.RetrieveFailed(now, o.ID)
				return
			}
			won("retrieve", l.Retrieved(now, o.ID))
		}
		rivals := []func(){
			func() { won("recall", l.Answered(now, o.ID)) },
			func() { won("leave", l.Leave(now, o.ID)) },
			func() { l.Unanswered(now, o.ID) },
			func() { l.Due(now) },
			func() { l.Release(now, o.ID) },
		}
		for i := range 8 {
			key := o.Token
			if i%2 == 0 {
				key = o.Number
			}
			rivals = append(rivals, func() { retrieve(key, i < 2) })
		}
		var gate, done sync.WaitGroup
		gate.Add(1)
		for i := range rivals {
			// Everybody is first once.
			do := rivals[(i+round)%len(rivals)]
			done.Go(func() { gate.Wait(); do() })
		}
		gate.Done()
		done.Wait()
		l.Leave(now, o.ID) // if the only ones in time were those who gave it back
		if winners.Load() > 1 || crowded.Load() != 0 {
			t.Fatalf("round %d: %d winners, %d times somebody inside already", round, winners.Load(), crowded.Load())
		}
		if _, _, err := l.Claim(now, o.Token); !errors.Is(err, ErrStaleOrbit) {
			t.Fatalf("round %d: afterwards the token says %v", round, err)
		}
		by[fmt.Sprint(winner.Load())]++
	}
	t.Log(by)
	if len(by) < 3 {
		t.Errorf("hardly a race: %v", by)
	}
}
