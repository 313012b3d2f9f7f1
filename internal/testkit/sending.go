package testkit

import (
	"context"
	"time"

	"offhook/session"
)

// Sending is a message on its way from a device.
type Sending struct {
	Text string

	from *Device
	peer *User
	at   time.Time
	done chan struct{}
	msg  session.Message // valid after done
	err  error           // valid after done
}

// IM sends text to somebody, in the session if there is one. It does not wait.
func (d *Device) IM(to *User, text string) *Sending {
	d.world.T.Helper()
	c, err := d.Conversation(to.AOR())
	if err != nil {
		d.world.T.Fatalf("%s: %v", d.Name, err)
	}
	s := &Sending{Text: text, from: d, peer: to, at: time.Now(), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		s.msg, s.err = c.Send(ctx, text)
	}()
	return s
}

// Wait waits for the outcome: delivered, stored or failed.
func (s *Sending) Wait() (session.Message, error) {
	<-s.done
	return s.msg, s.err
}

// Expect waits for the outcome and fails if it is another one.
func (s *Sending) Expect(status session.Status) session.Message {
	s.from.world.T.Helper()
	m, err := s.Wait()
	if m.Status != status {
		s.from.world.T.Fatalf("%s: %q is %s (%v), want %s", s.from.Name, s.Text, m.Status, err, status)
	}
	return m
}

// Since is how long ago it was sent.
func (s *Sending) Since() time.Duration { return time.Since(s.at) }
