package service

import (
	"testing"
	"testing/synctest"
	"time"

	"offhook/park"
)

// The old device hangs up while the caller moves: the call is on the new one, or over.
func TestMoveAgainstHangUp(t *testing.T) {
	moved, over := 0, 0
	for after := 0; after < 14; after += 2 {
		bubble(t, func(t *testing.T, w *world) {
			bob, mary, other := w.phone("bob"), w.phone("mary"), w.phone("mary")
			p := w.park(bob, mary)
			go p.mary.hangUp() // the BYE is read 20 ms late: something might have come before it
			time.Sleep(time.Duration(8+after) * time.Millisecond)
			m, err := other.tryDialTo(p.mary.dialog.ReferTo())
			w.sleep(time.Second)
			if err == nil && m.dialog.End() == nil {
				moved++
				w.orbit("701", park.Parked)
				m.hangUp()
				w.sleep(time.Second)
			} else {
				over++
			}
			w.orbit("701", park.Quarantine)
			w.expectUnparked(p.safe, park.Abandoned, park.Party{})
			w.noCalls()
		})
	}
	if moved == 0 || over == 0 {
		t.Errorf("no race: %d moved, %d over", moved, over)
	}
}

// The caller moves and somebody picks up: who picks up has the call, on one of the two devices.
func TestMoveAgainstRetrieval(t *testing.T) {
	kept, moved := 0, 0
	for after := 0; after < 14; after += 3 {
		for _, late := range []bool{false, true} {
			bubble(t, func(t *testing.T, w *world) {
				bob, mary, other, carol := w.phone("bob"), w.phone("mary"), w.phone("mary"), w.phone("carol")
				p := w.park(bob, mary)
				delays := []time.Duration{time.Duration(after) * time.Millisecond, 0}
				if late {
					delays[0], delays[1] = delays[1], delays[0]
				}
				done := make(chan *call, 1)
				go func() {
					time.Sleep(delays[0])
					m, _ := other.tryDialTo(p.mary.dialog.ReferTo())
					done <- m
				}()
				time.Sleep(delays[1])
				c := carol.mustDial(p.safe)
				m := <-done
				w.sleep(time.Second)
				has := w.onlyOne(p.mary, m)
				understand(t, has, c)
				if has == m {
					moved++
				} else {
					kept++
				}
				w.expectUnparked(p.safe, park.Retrieved, carolParty)
				c.hangUp()
				has.expectEnd()
				w.noCalls()
			})
		}
	}
	if moved == 0 || kept == 0 {
		t.Errorf("no race: %d moved, %d kept", moved, kept)
	}
}

// The caller moves and the parker answers the ring-back: they talk, on one of the two devices.
func TestMoveAgainstRecall(t *testing.T) {
	kept, moved := 0, 0
	for after := range 8 {
		bubble(t, func(t *testing.T, w *world) {
			bob, mary, other := w.phone("bob"), w.phone("mary"), w.phone("mary")
			p := w.park(bob, mary)
			time.Sleep(time.Until(w.orbit("701", park.Parked).RingBack) - 4*time.Millisecond)
			done := make(chan *call, 1)
			go func() {
				time.Sleep(time.Duration(after) * time.Millisecond)
				m, _ := other.tryDialTo(p.mary.dialog.ReferTo())
				done <- m
			}()
			b := bob.answer()
			m := <-done
			w.sleep(time.Second)
			has := w.onlyOne(p.mary, m)
			understand(t, has, b)
			if has == m {
				moved++
			} else {
				kept++
			}
			w.expectUnparked(p.safe, park.Ringback, bobParty)
			b.hangUp()
			has.expectEnd()
			w.noCalls()
		})
	}
	if moved == 0 || kept == 0 {
		t.Errorf("no race: %d moved, %d kept", moved, kept)
	}
}

// Two devices want the same call at once: one has it.
func TestTwoMovesAtOnce(t *testing.T) {
	for name, talking := range map[string]bool{"parked": false, "talking": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
				p := w.park(bob, mary)
				var c *call
				if talking {
					c = carol.mustDial(p.safe)
					w.sleep(time.Second)
				}
				results := make(chan *call, 2)
				for range 2 {
					other := w.phone("mary")
					go func() {
						m, _ := other.tryDialTo(p.mary.dialog.ReferTo())
						results <- m
					}()
				}
				one, two := <-results, <-results
				w.sleep(time.Second)
				p.mary.expectEnd()
				has := w.onlyOne(one, two)
				if !talking {
					c = carol.mustDial(p.safe)
				}
				understand(t, has, c)
				has.hangUp()
				c.expectEnd()
				w.sleep(time.Second)
				w.noCalls()
			})
		})
	}
}

// onlyOne is the one of two calls that goes on; the other has ended, or never began.
func (w *world) onlyOne(a, b *call) *call {
	w.t.Helper()
	synctest.Wait()
	var on []*call
	for _, c := range []*call{a, b} {
		if c != nil && c.dialog.End() == nil {
			on = append(on, c)
		}
	}
	if len(on) != 1 {
		w.t.Fatalf("%d calls go on", len(on))
	}
	return on[0]
}
