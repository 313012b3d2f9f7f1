package ui

import (
	"fmt"
	"testing"
	"time"

	"offhook/internal/testkit/golden"
)

// The golden screens are the mock-ups of the design with what exists so far.
func TestScreens(t *testing.T) {
	for _, size := range []struct{ w, h int }{{80, 24}, {120, 40}, {40, 15}, {200, 50}} {
		name := fmt.Sprintf("%dx%d.txt", size.w, size.h)
		t.Run(name, func(t *testing.T) {
			golden.Check(t, "a-"+name, []byte(mockA(t, size.w, size.h).screen()))

			s := mockA(t, size.w, size.h)
			s.events(offer(s, true))
			s.clock = s.clock.Add(3 * time.Second)
			golden.Check(t, "c-"+name, []byte(s.screen()))

			s = mockA(t, size.w, size.h)
			s.events(offer(s, false))
			s.clock = s.clock.Add(6 * time.Second)
			golden.Check(t, "c2-"+name, []byte(s.screen()))

			s = mockA(t, size.w, size.h)
			s.press("f1")
			golden.Check(t, "j-"+name, []byte(s.screen()))
		})
	}
}
