package toast

// Part is a place on a toast that can be clicked, or the key that its label names.
type Part string

// Parts. The text of a toast stands for its conversation.
const (
	PartAccept     Part = "accept"
	PartNotHere    Part = "not-here"
	PartEverywhere Part = "everywhere"
	PartMessage    Part = "message"
	PartCallBack   Part = "call-back"
	PartText       Part = "text"
	PartClose      Part = "close"
)

// Action is what a click means.
type Action string

// Actions. NotHere answers 486, which leaves the other devices ringing; DeclineEverywhere answers 603. Dismiss answers
// nothing: the election goes on, and this device may still accept at the deadline.
const (
	NoAction           Action = ""
	Accept             Action = "accept"
	NotHere            Action = "not-here"
	DeclineEverywhere  Action = "decline-everywhere"
	DeclineWithMessage Action = "decline-with-message" // everywhere, and with a word about it
	CallBack           Action = "call-back"            // who was missed
	Dismiss            Action = "dismiss"
	OpenConversation   Action = "open"
)

// Click says what a click on a part of the toast id means. It changes nothing: the toast closes when the outcome is
// known. A toast that has closed meanwhile gives NoAction, so that a click which comes late does no harm.
func (q *Queue) Click(id string, part Part) (Action, Toast) {
	t, ok := q.Find(id)
	if !ok {
		return NoAction, Toast{}
	}
	information := t.Kind.urgency() >= Orbit.urgency()
	switch part {
	case PartText:
		return OpenConversation, t
	case PartClose:
		return Dismiss, t
	case PartAccept:
		if information {
			return OpenConversation, t
		}
		return Accept, t
	case PartNotHere, PartEverywhere:
		if information {
			return Dismiss, t
		}
		if part == PartNotHere {
			return NotHere, t
		}
		return DeclineEverywhere, t
	case PartMessage:
		if t.Kind == Call {
			return DeclineWithMessage, t
		}
	case PartCallBack:
		if t.Kind == Missed {
			return CallBack, t
		}
	}
	return NoAction, t
}
