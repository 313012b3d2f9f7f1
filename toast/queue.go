package toast

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

const (
	// ClosingTime is how long the line stands that says what became of a toast.
	ClosingTime = 3 * time.Second
	// InfoTime is how long a toast stands that asks for nothing.
	InfoTime = 8 * time.Second
	// maxOpen bounds the open toasts: a flood of offers costs the least urgent one each, not memory.
	maxOpen = 100
)

// Reason is why a toast closed; the names are those of the control API.
type Reason string

// Reasons.
const (
	Accepted          Reason = "accepted"
	AutoAccepted      Reason = "auto_accepted"
	Declined          Reason = "declined"
	Dismissed         Reason = "dismissed"
	AnsweredElsewhere Reason = "answered_elsewhere"
	Unanswered        Reason = "missed"
	Canceled          Reason = "canceled"
)

// Closing is what became of a toast.
type Closing struct {
	Reason Reason
	By     string // the device that answered, if known
	Typed  bool   // accepted by writing into the conversation
}

// Item is a toast in the queue: open, or one line of farewell.
type Item struct {
	Toast
	Closed  bool
	Closing Closing
	Ended   time.Time // with Closed
}

// Line says what became of a closed toast. It fits behind the name of the sender.
func (it Item) Line() string {
	took := int(it.Ended.Sub(it.Shown).Round(time.Second) / time.Second)
	switch it.Closing.Reason {
	case Accepted:
		if it.Kind == Call {
			return "you answered"
		}
		if it.Closing.Typed {
			return "you accepted (typed)"
		}
		return "you accepted"
	case AutoAccepted:
		return fmt.Sprintf("accepted here after %d s", took)
	case Declined:
		if it.Kind == Call {
			return "declined" // perhaps on another device, for all
		}
		return "you declined"
	case AnsweredElsewhere:
		by := it.Closing.By
		if by == "" {
			by = "another device"
		}
		return fmt.Sprintf("taken by %s (%s)", by, it.Ended.Format("15:04"))
	case Canceled:
		if it.Kind == Call {
			return fmt.Sprintf("caller gave up after %d s", took)
		}
		return fmt.Sprintf("sender gave up after %d s", took)
	case Unanswered:
		return fmt.Sprintf("missed after %d s", took)
	default:
		return "closed"
	}
}

// Queue is what is shown. The zero value is empty and ready. It is not safe for concurrent use: it belongs to the loop
// that draws it.
type Queue struct {
	items []Item
}

// Push shows t, or replaces the open toast with its ID (a newer forecast, a corrected deadline). It reports whether t is
// new. One that has closed stays closed.
func (q *Queue) Push(t Toast) bool {
	if at := q.index(t.ID); at >= 0 {
		if !q.items[at].Closed {
			t.Shown = q.items[at].Shown
			q.items[at].Toast = t
			q.sort()
		}
		return false
	}
	q.items = append(q.items, Item{Toast: t})
	q.sort()
	if q.Open() > maxOpen {
		q.items = slices.Delete(q.items, maxOpen, maxOpen+1)
	}
	return true
}

// Close ends the toast id. Its closing line stands for ClosingTime, except that a dismissed toast goes at once: whoever
// dismissed it knows. ok is false if there is no such open toast.
func (q *Queue) Close(id string, c Closing, now time.Time) (it Item, ok bool) {
	at := q.index(id)
	if at < 0 || q.items[at].Closed {
		return Item{}, false
	}
	q.items[at].Closed, q.items[at].Closing, q.items[at].Ended = true, c, now
	it = q.items[at]
	if c.Reason == Dismissed {
		q.items = slices.Delete(q.items, at, at+1)
	} else {
		q.sort()
	}
	return it, true
}

// Tick drops what has been shown long enough and reports whether anything went.
func (q *Queue) Tick(now time.Time) bool {
	before := len(q.items)
	q.items = slices.DeleteFunc(q.items, func(it Item) bool {
		end, ok := it.ends()
		return ok && !now.Before(end)
	})
	return len(q.items) != before
}

// Next is when the picture changes next by itself: the next second of a countdown or of a call that rings, or the end of a
// line. ok is false if never.
func (q *Queue) Next(now time.Time) (at time.Time, ok bool) {
	for _, it := range q.items {
		next, has := it.ends()
		if !it.Closed {
			if left, counting := it.Remaining(now); counting && left > 0 {
				second := it.Deadline.Add(-(left - 1) / time.Second * time.Second)
				next, has = second, true
			}
			if it.Kind == Call {
				next, has = it.Shown.Add(time.Duration(it.Age(now)+1)*time.Second), true
			}
		}
		if has && (!ok || next.Before(at)) {
			at, ok = next, true
		}
	}
	return at, ok
}

// ends is when the item goes by itself.
func (it Item) ends() (at time.Time, ok bool) {
	switch {
	case it.Closed:
		return it.Ended.Add(ClosingTime), true
	case it.Kind.urgency() >= Missed.urgency():
		return it.Shown.Add(InfoTime), true
	}
	return time.Time{}, false
}

// Visible returns at most limit items: the open ones by urgency, then the closing lines, newest first.
func (q *Queue) Visible(limit int) []Item {
	return slices.Clone(q.items[:min(limit, len(q.items))])
}

// Open is the number of open toasts.
func (q *Queue) Open() int {
	n := 0
	for _, it := range q.items {
		if !it.Closed {
			n++
		}
	}
	return n
}

// Top is the open toast that a key without further words means.
func (q *Queue) Top() (Toast, bool) {
	if len(q.items) == 0 || q.items[0].Closed {
		return Toast{}, false
	}
	return q.items[0].Toast, true
}

// Find returns the open toast with an ID.
func (q *Queue) Find(id string) (Toast, bool) {
	if at := q.index(id); at >= 0 && !q.items[at].Closed {
		return q.items[at].Toast, true
	}
	return Toast{}, false
}

// For returns the most urgent open toast of a conversation, of these kinds if any are given.
func (q *Queue) For(conversation string, kinds ...Kind) (Toast, bool) {
	for _, it := range q.items {
		if !it.Closed && it.Conversation == conversation && (len(kinds) == 0 || slices.Contains(kinds, it.Kind)) {
			return it.Toast, true
		}
	}
	return Toast{}, false
}

func (q *Queue) index(id string) int {
	return slices.IndexFunc(q.items, func(it Item) bool { return it.ID == id })
}

func (q *Queue) sort() {
	slices.SortStableFunc(q.items, func(a, b Item) int {
		if a.Closed != b.Closed {
			if a.Closed {
				return 1
			}
			return -1
		}
		if a.Closed {
			return b.Ended.Compare(a.Ended)
		}
		return cmp.Or(
			cmp.Compare(a.Kind.urgency(), b.Kind.urgency()),
			a.deadline().Compare(b.deadline()),
			a.Shown.Compare(b.Shown),
		)
	})
}

// deadline puts a toast without one behind those with one.
func (it Item) deadline() time.Time {
	if it.Deadline.IsZero() {
		return it.Shown.AddDate(1, 0, 0)
	}
	return it.Deadline
}
