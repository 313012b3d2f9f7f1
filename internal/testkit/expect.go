package testkit

import (
	"strings"
	"time"

	"offhook/session"
)

// Await returns the first event of type E for which match is true (nil matches all), of those that came and those that
// come within patience. Otherwise the test fails.
func Await[E session.Event](d *Device, patience time.Duration, match func(E) bool) E {
	d.world.T.Helper()
	e, ok := await(d, patience, match)
	if !ok {
		d.world.T.Fatalf("%s: no %s like that within %v", d.Name, e.Type(), patience)
	}
	return e
}

func await[E session.Event](d *Device, patience time.Duration, match func(E) bool) (E, bool) {
	timeout := time.After(patience)
	for checked := 0; ; {
		seen, more := d.snapshot()
		for ; checked < len(seen); checked++ {
			if e, ok := seen[checked].Event.(E); ok && (match == nil || match(e)) {
				return e, true
			}
		}
		select {
		case <-more:
		case <-timeout:
			var zero E
			return zero, false
		}
	}
}

// All returns the events of type E that came so far.
func All[E session.Event](d *Device) []E {
	d.world.Settle()
	var all []E
	for _, s := range d.Seen() {
		if e, ok := s.Event.(E); ok {
			all = append(all, e)
		}
	}
	return all
}

// ExpectToast waits for a toast with this text of the user with this name.
func (d *Device) ExpectToast(from, text string) session.ToastShown {
	d.world.T.Helper()
	return Await(d, Patience, func(e session.ToastShown) bool { return isUser(e.From, from) && e.Text == text })
}

// ExpectNoToast fails if a toast was ever shown.
func (d *Device) ExpectNoToast() {
	d.world.T.Helper()
	if shown := All[session.ToastShown](d); len(shown) > 0 {
		d.world.T.Errorf("%s: %d toasts were shown, want none: %+v", d.Name, len(shown), shown)
	}
}

// ExpectToastClosed waits until a toast is closed, for this reason.
func (d *Device) ExpectToastClosed(reason string) session.ToastClosed {
	d.world.T.Helper()
	e := Await[session.ToastClosed](d, Patience, nil)
	if e.Reason != reason {
		d.world.T.Errorf("%s: the toast closed as %q, want %q", d.Name, e.Reason, reason)
	}
	return e
}

// ExpectConversation waits until an IM session with the user with this name is established.
func (d *Device) ExpectConversation(with string) session.CallStateChanged {
	d.world.T.Helper()
	return Await(d, Patience, func(e session.CallStateChanged) bool {
		if e.State != session.Established {
			return false
		}
		c, ok := d.FindConversation(e.Conversation)
		return ok && isUser(c.Peer(), with)
	})
}

// ExpectMessage waits for a message with this text from the user with this name.
func (d *Device) ExpectMessage(from, text string) session.Message {
	d.world.T.Helper()
	return Await(d, Patience, func(e session.MessageChanged) bool {
		return e.Direction == session.Inbound && isUser(e.From, from) && e.Text == text
	}).Message
}

// ExpectAutoAccept waits until the device accepts by itself.
func (d *Device) ExpectAutoAccept() session.AutoAccept {
	d.world.T.Helper()
	return Await[session.AutoAccept](d, Patience, nil)
}

// ExpectOne fails unless exactly one device of the user has an IM session, and returns that device.
func (u *User) ExpectOne() *Device {
	u.world.T.Helper()
	with := u.Established()
	if len(with) != 1 {
		names := []string{}
		for _, d := range with {
			names = append(names, d.Name)
		}
		u.world.T.Fatalf("%s has IM sessions on %v, want exactly one", u.Name, names)
	}
	return with[0]
}

// ExpectJournaled fails unless every device that is up has the text in its journal, once.
func (u *User) ExpectJournaled(text string) {
	u.world.T.Helper()
	u.world.Settle()
	for _, d := range u.devices {
		if !d.up || d.cut {
			continue
		}
		if n := d.Journal.Count(text); n != 1 {
			u.world.T.Errorf("%s has %q %d times in its journal, want once", d.Name, text, n)
		}
	}
}

// isUser reports whether a party is the user with this name.
func isUser(p session.Party, name string) bool {
	return strings.HasPrefix(strings.TrimPrefix(p.URI, "sip:"), name+"@")
}
