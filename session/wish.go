package session

import (
	"cmp"
	"slices"
	"time"

	"offhook/internal/body"
	"offhook/internal/plaintext"
)

// wish is how the user wants to be seen, on all devices: who turns to do-not-disturb on one of them means all. Each
// device publishes the newest wish that it knows of, with the time it was made, so that it outlives the device on which
// it was made and a device that signs in later learns of it.
type wish struct {
	availability string
	note         string
	at           time.Time // when the user said so, in milliseconds; zero: never, this is only how everybody begins
}

// newer reports whether w takes the place of old. A wish that is adopted keeps its time, so that two devices never
// pass one to and fro.
func (w wish) newer(old wish) bool {
	return cmp.Or(w.at.Compare(old.at), cmp.Compare(w.availability, old.availability), cmp.Compare(w.note, old.note)) > 0
}

// wishLocked takes a new wish of the user. It is newer than any that this device knows of, whatever the clocks of the
// others say.
func (e *Endpoint) wishLocked(availability, note string) {
	e.mu.Held()
	at := time.Now().Round(0).UTC().Truncate(time.Millisecond)
	if least := e.wish.at.Add(time.Millisecond); at.Before(least) {
		at = least
	}
	e.wish = wish{availability, note, at}
}

// followWishLocked adopts what the user said on another device.
func (e *Endpoint) followWishLocked(p body.Person) {
	e.mu.Held()
	told := wish{p.Wish, plaintext.Line(p.Note, maxNote), p.Timestamp}
	if p.Timestamp.IsZero() || !slices.Contains(availabilities, p.Wish) || !told.newer(e.wish) {
		return
	}
	e.wish = told
	e.machine.publishedAt = time.Time{} // as if never told
	e.machine.signal()
}

// person writes the wish into a presence document (RFC 4480 §3.2). Being available needs no words.
func (w wish) person() body.Person {
	if w.at.IsZero() {
		return body.Person{}
	}
	p := body.Person{Note: w.note, Wish: w.availability, Timestamp: w.at}
	switch w.availability {
	case availabilityBusy:
		p.Activities = []string{"busy"}
	case availabilityDND:
		p.Activities, p.DND = []string{"busy"}, true
	case availabilityAway:
		p.Activities = []string{"away"}
	}
	return p
}
