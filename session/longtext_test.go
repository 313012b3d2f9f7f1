package session_test

import (
	"strings"
	"testing"
	"time"

	"offhook/internal/testkit"
	"offhook/session"
)

var longText = strings.TrimSpace(strings.Repeat("All work and no play. ", 200))

// inbound lists what a device told of texts from others, in order.
func inbound(d *testkit.Device) (all []session.Message) {
	for _, m := range testkit.All[session.MessageChanged](d) {
		if m.Direction == session.Inbound {
			all = append(all, m.Message)
		}
	}
	return all
}

// The beginning of a long text comes with the INVITE, the whole in the session: one message, one line, one record.
func TestLongTextTakesThePlaceOfItsBeginning(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
		sent := alice.IM(bob, longText)
		w.Sleep(time.Second)
		for _, d := range bob.Devices() {
			if m := inbound(d)[0]; !m.Partial || !strings.HasPrefix(longText, strings.TrimSuffix(m.Text, "…")) {
				t.Errorf("%s shows at first %+v", d.Name, m)
			}
		}
		m := sent.Expect(session.Delivered)
		w.Sleep(5 * time.Second)
		winner := bob.ExpectOne()
		for _, d := range bob.Devices() {
			told := inbound(d)
			last := told[len(told)-1]
			for _, each := range told {
				if each.ID != m.ID {
					t.Errorf("%s tells of a message %q, sent was %q", d.Name, each.ID, m.ID)
				}
			}
			if n := len(d.Journal.Messages()); n != 1 {
				t.Errorf("%s has %d records", d.Name, n)
			}
			if unread := d.Snapshot().Conversations[0].Unread; d == winner && unread != 1 {
				t.Errorf("%s counts %d unread", d.Name, unread)
			}
			if d != winner {
				if !last.Partial || !last.Elsewhere {
					t.Errorf("%s, which only had the beginning, ends with %+v", d.Name, last)
				}
				continue
			}
			if last.Partial || last.Text != longText || !last.Missed || !last.Toast || d.Journal.Count(longText) != 1 {
				t.Errorf("%s ends with %+v", d.Name, last)
			}
			conv, _ := d.Conversation("alice")
			conv.Read()
			told = inbound(d)
			if last := told[len(told)-1]; last.Text != longText || last.Missed {
				t.Errorf("having been read it is %+v", last)
			}
		}
	})
}

// Nobody takes the session, and the whole comes by pager to who has seen the beginning.
func TestLongTextByPagerAfterItsBeginning(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob")
		if err := bob.Device(0).SetPresence(t.Context(), "dnd", ""); err != nil {
			t.Fatal(err)
		}
		alice.IM(bob, longText).Expect(session.Delivered)
		w.Sleep(time.Second)
		told := inbound(bob.Device(0))
		if len(told) != 2 || told[0].ID != told[1].ID || !told[0].Partial || told[1].Partial || told[1].Text != longText || !told[1].Missed {
			t.Errorf("told %+v", told)
		}
		if c := bob.Device(0).Snapshot().Conversations[0]; c.Unread != 1 {
			t.Errorf("%+v", c)
		}
		bob.ExpectJournaled(longText)
	})
}
