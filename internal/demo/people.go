package demo

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"offhook/internal/contacts"
	"offhook/session"
)

// names are the robots' names, by user.
var names = map[string]string{"bob": "Bob Martin", "carol": "Carol Diaz", "dave": "Dave Patel", "echo": "Echo"}

// People are the robots as contacts, for an address book that is still empty.
func People() []contacts.Contact {
	var all []contacts.Contact
	for _, user := range slices.Sorted(maps.Keys(names)) {
		all = append(all, contacts.Contact{Name: names[user], URI: "sip:" + user + "@" + Domain, Groups: []string{"Demo"}})
	}
	return all
}

// greet lets carol ring soon after alice has signed in, so that the first toast needs no asking.
func (d *Demo) greet(ctx context.Context) {
	d.awaitAlice(ctx, 2*d.pace.Greet)
	if sleep(ctx, d.pace.Greet) {
		d.openSession(ctx, "Hi Alice! This came to both of your devices. Type an answer, or press F2, to take it here.")
	}
}

// awaitAlice returns when alice has a device besides LAB-PC, or after a while: presence may be off.
func (d *Demo) awaitAlice(ctx context.Context, patience time.Duration) {
	carol := d.carol.current()
	if carol == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	events := carol.Subscribe("alice")
	defer events.Close()
	if err := carol.Watch(d.AOR); err != nil {
		d.log.Info("watch", "err", err)
		return
	}
	for {
		batch, err := events.Next(ctx)
		if err != nil {
			return
		}
		for _, event := range batch {
			p, ok := event.(session.PresenceChanged)
			if !ok || p.URI != d.AOR {
				continue
			}
			for _, device := range p.Devices {
				if device.Name != "" && device.Name != labName {
					return
				}
			}
		}
	}
}

// ring is carol: she would rather call than chat.
func (d *Demo) ring(ctx context.Context, r *robot, m session.Message) string {
	if strings.Contains(m.Text, "?") {
		return "ask bob, he is the talker. I ring: say \"ring me\", \"ring me in 20\" or \"call me\"."
	}
	return "noted. Say \"ring me\" and close this window, and I open a new session to all your devices; say \"call me\", and I call."
}

// ringCommand arranges that carol rings: "ring me", "ring me in 20" opens a session of messages, "call me" an audio call.
func (d *Demo) ringCommand(ctx context.Context, call bool, rest []string) string {
	after := 3 * time.Second
	if len(rest) == 2 && rest[0] == "in" {
		n, err := strconv.Atoi(strings.TrimSuffix(rest[1], "s"))
		if err != nil || n < 0 || n > 600 {
			return "in how many seconds? For example: ring me in 20"
		}
		after = time.Duration(n) * time.Second
	}
	d.work.Go(func() {
		switch {
		case !sleep(ctx, after):
		case call:
			d.callAlice(ctx)
		default:
			d.openSession(ctx, "Ring, ring. It is "+time.Now().Format("15:04:05")+" here. Which of your devices will take this?")
		}
	})
	if call {
		return "carol calls in " + after.String() + ": all your devices ring, and none answers by itself. F2 answers here."
	}
	return "carol will, in " + after.String() + ". Lean back for ten seconds to see who accepts."
}

// carolWithAlice is carol's conversation with alice; nil while carol is not there.
func (d *Demo) carolWithAlice() *session.Conversation {
	carol := d.carol.current()
	if carol == nil {
		return nil
	}
	c, err := carol.Conversation(d.AOR)
	if err != nil {
		d.log.Warn("conversation", "err", err)
		return nil
	}
	return c
}

// callAlice lets carol call, play the melody once and hang up.
func (d *Demo) callAlice(ctx context.Context) {
	c := d.carolWithAlice()
	if c == nil {
		return
	}
	ringing, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	call, err := c.Dial(ringing)
	if err != nil {
		d.log.Info("call", "err", err)
		return
	}
	sleep(ctx, tuneTime())
	if err := call.Terminate(context.WithoutCancel(ctx)); err != nil {
		d.log.Info("hang up", "err", err) // alice has, by then
	}
}

// callPatience is how long carol lets it ring.
const callPatience = 45 * time.Second

// openSession ends carol's session with alice, if there is one, and opens a new one with text in its INVITE: only a new
// session is forked.
func (d *Demo) openSession(ctx context.Context, text string) {
	c := d.carolWithAlice()
	if c == nil {
		return
	}
	if call := c.IM(); call != nil {
		if err := call.Terminate(ctx); err != nil {
			d.log.Info("end the old session", "err", err)
		}
	}
	if _, err := c.Send(ctx, text); err != nil {
		d.log.Info("ring", "err", err)
	}
}

// daveStays is how long dave stays signed in.
const daveStays = 2 * time.Minute

// wakeDave signs dave in for a while.
func (d *Demo) wakeDave(ctx context.Context) string {
	if d.dave.current() != nil {
		return "dave is here already."
	}
	if err := d.dave.signIn(ctx, context.WithoutCancel(ctx)); err != nil {
		return "dave could not sign in: " + err.Error()
	}
	d.work.Go(func() {
		sleep(ctx, daveStays)
		d.dave.signOut(context.WithoutCancel(ctx))
	})
	return "dave signs in now and reads what was kept for him. He leaves again in two minutes."
}

// catchUp is dave: he says when the message that he reads was written.
func (d *Demo) catchUp(_ context.Context, _ *robot, m session.Message) string {
	if age := time.Since(m.Time).Round(time.Second); age > 5*time.Second {
		return "I was away. You wrote this " + age.String() + " ago: " + m.Text
	}
	return "yes, I am here for a moment. You wrote: " + m.Text
}
