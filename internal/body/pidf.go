package body

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// PIDF is a presence document (RFC 3863, RFC 4479, RFC 4480): what one or several endpoints of a user publish.
type PIDF struct {
	Entity  string // sip:bob@example.org
	Tuples  []Tuple
	Devices []Device
	Person  Person
	Extra   []string // elements of other kinds, each a whole XML element
}

// Tuple is one way to reach the presentity.
type Tuple struct {
	ID        string
	Open      bool
	DeviceID  string // urn:uuid:…
	Contact   string
	Note      string
	Timestamp time.Time
	Extra     []string // elements of other kinds, each a whole XML element
}

// Device is an RFC 4479 device with its user input (RFC 4480 §3.14) and our machine element.
type Device struct {
	ID        string // XML id
	DeviceID  string // urn:uuid:…
	Name      string // dm:note
	UserInput string // active, idle, "" unknown
	LastInput time.Time
	Threshold time.Duration
	Class     string        // x:machine class: active, inactive, away; "" absent
	Idle      time.Duration // x:machine idle; -1 absent
	Timestamp time.Time
	Extra     []string // elements of other kinds, each a whole XML element
}

// Person carries the user's own availability: RPID activities and a note.
type Person struct {
	Activities []string // busy, away, on-the-phone, …
	Note       string
	DND        bool   // our extension element
	Wish       string // our extension element: the availability that the user chose, by its name
	Timestamp  time.Time
	Extra      []string // elements of other kinds, each a whole XML element
}

// Empty reports whether nothing is said about the person.
func (p Person) Empty() bool {
	return len(p.Activities) == 0 && p.Note == "" && !p.DND && p.Wish == "" && len(p.Extra) == 0
}

// latestPerson chooses between what two documents say about the person, of which first was received later. The time that
// they give decides: who repeats an old word for another reason does not make it new. Without times the later one does.
func latestPerson(first, second Person) Person {
	switch {
	case first.Empty():
		return second
	case second.Empty() || first.Timestamp.IsZero() || second.Timestamp.IsZero():
		return first
	}
	// Of two at the same time everybody has to choose the same one.
	order := cmp.Or(first.Timestamp.Compare(second.Timestamp), cmp.Compare(first.Wish, second.Wish), cmp.Compare(first.Note, second.Note))
	if order < 0 {
		return second
	}
	return first
}

// Namespaces of presence documents; nsMachine is ours.
const (
	nsPIDF    = "urn:ietf:params:xml:ns:pidf"
	nsModel   = "urn:ietf:params:xml:ns:pidf:data-model"
	nsRPID    = "urn:ietf:params:xml:ns:pidf:rpid"
	nsMachine = "urn:x-machine:1"
)

// activities are those RFC 4480 §3.2 names; others are written as text.
var activities = []string{
	"appointment", "away", "breakfast", "busy", "dinner", "holiday", "in-transit", "looking-for-work", "lunch", "meal",
	"meeting", "on-the-phone", "other", "performance", "permanent-absence", "playing", "presentation", "shopping",
	"sleeping", "spectator", "steering", "travel", "tv", "unknown", "vacation", "working", "worship",
}

// MergePIDF composes documents of one presentity, given latest first, into one: tuples and devices concatenated in that
// order, ids made unique, and of the persons the one that was said latest. Which document is the latest is for the
// caller to know, who received them.
func MergePIDF(entity string, docs []PIDF) PIDF {
	out := PIDF{Entity: entity}
	taken := map[string]bool{}
	for _, d := range docs {
		for _, t := range d.Tuples {
			t.ID = unique(taken, t.ID)
			out.Tuples = append(out.Tuples, t)
		}
		for _, v := range d.Devices {
			v.ID = unique(taken, v.ID)
			out.Devices = append(out.Devices, v)
		}
		out.Person = latestPerson(out.Person, d.Person)
		for _, e := range d.Extra {
			if !slices.Contains(out.Extra, e) {
				out.Extra = append(out.Extra, e)
			}
		}
	}
	return out
}

// unique returns id, or id with a number if it is taken: every baresip publishes the same tuple id, but an XML id must
// not occur twice in a document.
func unique(taken map[string]bool, id string) string {
	if id == "" {
		id = "i"
	}
	free := id
	for n := 2; taken[free]; n++ {
		free = fmt.Sprintf("%s-%d", id, n)
	}
	taken[free] = true
	return free
}
