package session

import (
	"strings"
	"time"
)

// ToastMessage is the content an IM INVITE carries, shown before accepting.
type ToastMessage struct {
	ContentType string
	Text        string
}

// The kinds of toast.
const (
	toastIM         = "im"
	toastCall       = "call"
	toastMissedCall = "missed"
	toastRingback   = "ringback"
	toastOrbit      = "orbit"
)

// Why a toast closes.
const (
	toastAccepted     = "accepted"
	toastAutoAccepted = "auto_accepted"
	toastDeclined     = "declined"
	toastDismissed    = "dismissed"
	toastElsewhere    = "answered_elsewhere"
	toastMissed       = "missed"
	toastCanceled     = "canceled"
)

// offer is a toast on the screen.
type offer struct {
	shown ToastShown
	call  *call
	since time.Time
}

// offerLocked shows the toast of an Incoming call. deadline is zero if nobody will accept by election.
func (c *InstantMessagingCall) offerLocked(since, deadline time.Time) {
	t := ToastShown{Kind: toastIM, Conversation: c.conv.id, Call: c.id, From: c.conv.peer, Deadline: deadline}
	if c.toast != nil {
		t.Text = c.toast.Text
	}
	c.forecastLocked(&t)
	c.offer = c.showLocked(t, since)
}

// showLocked shows a toast that belongs to a call.
func (c *call) showLocked(t ToastShown, since time.Time) *offer {
	e := c.e
	e.mu.Held()
	t.Toast = e.nextIDLocked("toast")
	o := &offer{shown: t, call: c, since: since}
	e.toasts[t.Toast] = o
	e.publishLocked(t)
	return o
}

// forecastLocked says who will accept, as far as it is known now.
func (c *call) forecastLocked(t *ToastShown) {
	e := c.e
	order := ranked(e.candidatesLocked(), c.callID)
	t.MostActive, t.ThisDevice, t.Devices = "", false, nil
	if e.devicesUsableLocked() && len(order) > 0 {
		t.MostActive, t.ThisDevice = e.deviceNameLocked(order[0].instance), order[0].instance == e.cfg.Instance
	}
	for _, d := range order {
		if name := e.deviceNameLocked(d.instance); name != "" {
			t.Devices = append(t.Devices, name)
		}
	}
}

// closeToastLocked takes the toast away, if one is shown.
func (c *call) closeToastLocked(reason, by string) {
	c.e.mu.Held()
	if c.offer == nil {
		return
	}
	delete(c.e.toasts, c.offer.shown.Toast)
	c.e.publishLocked(ToastClosed{Toast: c.offer.shown.Toast, Reason: reason, By: by})
	c.offer = nil
}

// FindToast returns the call a toast offers.
func (e *Endpoint) FindToast(id string) (Call, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if o, ok := e.toasts[id]; ok {
		return o.call.owner, true
	}
	for _, o := range e.parking.offers {
		if o.shown.Toast == id {
			return o, true
		}
	}
	return nil, false
}

// openedLocked says that the user has seen to the call here.
func (c *call) openedLocked() {
	if c.text != nil {
		c.conv.seenLocked(c.text.ID)
	}
}

// autoAcceptedLocked marks the text as missed until the user comes and looks.
func (c *call) autoAcceptedLocked() {
	if c.text != nil && c.elected {
		c.text.Missed = true
		c.conv.missLocked(*c.text)
	}
}

// elsewhereLocked says that the user has decided on another device: the conversation is there now (answered elsewhere),
// or nowhere (declined). The text is not missed.
func (c *call) elsewhereLocked(toast, by, notice string) {
	e := c.e
	e.mu.Held()
	c.closeToastLocked(toast, by)
	if c.text != nil {
		c.conv.seenLocked(c.text.ID)
		c.text.Missed, c.text.Elsewhere = false, true
		e.publishLocked(MessageChanged{*c.text})
	}
	if notice == "" {
		return
	}
	if by != "" {
		notice += " (" + by + ")"
	}
	e.publishLocked(Notice{Conversation: c.conv.id, Time: time.Now(), Text: notice})
}

// missedLocked says that nobody answered: the caller gave up.
func (c *call) missedLocked(toast, notice string) {
	c.closeToastLocked(toast, "")
	if c.text != nil && !c.text.Missed {
		c.text.Missed = true
		c.conv.missLocked(*c.text)
	}
	if notice != "" {
		c.e.publishLocked(Notice{Conversation: c.conv.id, Time: time.Now(), Text: notice})
	}
}

func splitTokens(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}
