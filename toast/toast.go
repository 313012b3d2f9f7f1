package toast

import (
	"fmt"
	"time"
)

// Kind is what a toast offers; the names are those of the control API.
type Kind string

// Kinds, the most urgent first.
const (
	Call     Kind = "call"     // a ringing audio call
	Ringback Kind = "ringback" // a parked call that came back
	IM       Kind = "im"       // a forked instant message, accepted by a device when its deadline passes
	Orbit    Kind = "orbit"    // somebody told the number of a parked call
	Missed   Kind = "missed"   // something nobody took; for information
)

// urgency orders kinds: lower is more urgent. An unknown kind is information.
func (k Kind) urgency() int {
	switch k {
	case Call:
		return 0
	case Ringback:
		return 1
	case IM:
		return 2
	case Orbit:
		return 3
	default:
		return 4
	}
}

// Toast is one offer. It is a value; pushing one with a known ID replaces it.
type Toast struct {
	ID           string
	Kind         Kind
	Conversation string // opaque here: what a click opens
	Call         string // opaque here: the call that is offered, if it is one
	From         string // a name, or an address where there is none
	Address      string // of a caller, "" if From is it
	Text         string
	Shown        time.Time // when it was first shown
	Deadline     time.Time // when a device accepts by itself; zero: never
	MostActive   string    // name of the device expected to accept; "" if unknown
	ThisDevice   bool      // MostActive is this device
	Devices      []string  // names of all devices it is offered to, most active first
}

// Remaining is the time left until a device accepts, never negative. ok is false if none ever will.
func (t Toast) Remaining(now time.Time) (left time.Duration, ok bool) {
	if t.Deadline.IsZero() {
		return 0, false
	}
	return max(0, t.Deadline.Sub(now)), true
}

// Seconds is Remaining in whole seconds, rounded up, so that a countdown from 10 s shows 10 first and 0 only when over.
func (t Toast) Seconds(now time.Time) (s int, ok bool) {
	left, ok := t.Remaining(now)
	return int((left + time.Second - 1) / time.Second), ok
}

// Age is how long it has been shown, in whole seconds: how long a call rings.
func (t Toast) Age(now time.Time) int { return int(max(0, now.Sub(t.Shown)) / time.Second) }

// Bar is how many of width cells of a countdown bar are filled: full at first, empty at the deadline.
func (t Toast) Bar(now time.Time, width int) int {
	left, ok := t.Remaining(now)
	whole := t.Deadline.Sub(t.Shown)
	if !ok || whole <= 0 {
		return 0
	}
	return min(width, int((left*time.Duration(width)+whole-1)/whole))
}

// Promise says what happens when the countdown ends. The name of another device is a forecast from what that device
// published last, so the sentence says why it is believed and guarantees nothing.
func (t Toast) Promise(now time.Time) string {
	s, ok := t.Seconds(now)
	switch {
	case !ok:
		return "waits for you"
	case s == 0 && t.ThisDevice:
		return "accepting here"
	case s == 0 && t.MostActive != "":
		return "waiting for " + t.MostActive + ", then this device"
	case s == 0:
		return "a device accepts now"
	case t.ThisDevice:
		return fmt.Sprintf("%d s, then THIS device accepts", s)
	case t.MostActive != "":
		return fmt.Sprintf("%d s, then %s accepts (more active)", s, t.MostActive)
	default:
		return fmt.Sprintf("%d s, then one of your devices accepts", s)
	}
}
