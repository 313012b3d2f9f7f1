package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"offhook/park"
	"offhook/session"
)

// customers are people from outside, by user: they call and are in nobody's address book.
var customers = map[string]string{"mary": "Mary Young", "peter": "Peter Stone"}

// What the server's park service is set to besides Pace.Parked, so that a person sees all of it in a minute or two.
const (
	orbitRests  = 2 * time.Second
	recallRings = 20 * time.Second
)

// customerStays is how long a customer waits for anybody.
const customerStays = 10 * time.Minute

// parkWords are the commands about parking.
var parkWords = []string{"mary", "mary hangs up", "park one"}

// parkCommand carries one of them out.
func (d *Demo) parkCommand(ctx context.Context, text string) string {
	switch text {
	case "mary":
		d.work.Go(func() {
			if !sleep(ctx, d.pace.Ring) {
				return
			}
			if err := d.dialIn(ctx, d.mary, d.AOR); err != nil {
				d.log.Info("mary calls", "err", err)
			}
		})
		return "Mary Young calls you. F2 answers her, F5 parks her: the number is on your screen then. " +
			"/broadcast carol tells it to Carol, who picks her up; if you tell nobody she comes back to you."
	case "mary hangs up":
		return d.takeOver(ctx)
	case "park one":
		bob := d.bob.current()
		orbit, err := d.parkPeter(ctx, bob, "")
		if err != nil {
			return "that went wrong: " + err.Error()
		}
		d.work.Go(func() {
			if _, err := bob.Broadcast(ctx, orbit.FriendlyOrbit, []string{d.AOR}, ""); err != nil {
				d.log.Info("broadcast", "err", err)
			}
		})
		return "Bob has parked Peter Stone on " + orbit.FriendlyOrbit + " and tells you. F6 " + orbit.FriendlyOrbit + " picks him up."
	}
	return ""
}

// dialIn lets a customer call somebody, and returns once that is answered. What call the customer had before is over.
func (d *Demo) dialIn(ctx context.Context, r *robot, to string) error {
	r.hangUp(ctx)
	e := r.current()
	if e == nil {
		return errors.New(r.name + " is not there")
	}
	c, err := e.Conversation(to)
	if err != nil {
		return err
	}
	ringing, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	if _, err := c.Dial(ringing); err != nil {
		return err
	}
	d.work.Go(func() {
		if sleep(ctx, customerStays) {
			r.hangUp(ctx)
		}
	})
	return nil
}

// hangUp ends all audio calls of a robot. Those that a park service has put in the place of others are among them.
func (r *robot) hangUp(ctx context.Context) {
	e := r.current()
	if e == nil {
		return
	}
	for _, info := range e.Snapshot().Calls {
		call, ok := e.FindCall(info.Call)
		if !ok || info.Kind != "audio" {
			continue
		}
		if err := call.Terminate(ctx); err != nil {
			r.log.Info("hang up", "err", err) // it has ended by itself
		}
	}
}

// takeOver lets parked Mary give up, and Bob park Peter on the number that was hers: what everybody fears who has ever
// called a number from memory.
func (d *Demo) takeOver(ctx context.Context) string {
	bob := d.bob.current()
	orbit := d.mary.parkedAt()
	if orbit == "" {
		return "Mary is not parked. Say \"mary\", answer her with F2 and park her with F5 before."
	}
	d.mary.hangUp(ctx)
	if _, err := d.parkPeter(ctx, bob, orbit); err != nil {
		return "Mary has hung up, but Peter is not in her place: " + err.Error()
	}
	return "Mary has hung up, and Bob has parked Peter Stone on " + orbit + ", where she was. " +
		"Now take \"your\" call back: F6 " + orbit + ". You get nobody, and are told who is there."
}

// parkedAt is the orbit that somebody is parked on; "" if nobody has parked them. Who is parked is told where.
func (r *robot) parkedAt() string {
	e := r.current()
	if e == nil {
		return ""
	}
	for _, call := range e.Snapshot().Calls {
		if call.Parked && call.State != session.Terminated {
			return call.Orbit
		}
	}
	return ""
}

// parkPeter lets Peter call Bob, and Bob park him: anywhere, or on the orbit that is wished for, once it is free.
func (d *Demo) parkPeter(ctx context.Context, bob *session.Endpoint, wish string) (park.CallParkOrbit, error) {
	if bob == nil {
		return park.CallParkOrbit{}, errors.New("bob is not there")
	}
	if err := d.dialIn(ctx, d.peter, "sip:bob@"+Domain); err != nil {
		return park.CallParkOrbit{}, fmt.Errorf("peter calls bob: %w", err)
	}
	c, err := bob.Conversation("sip:peter@" + Domain)
	if err != nil {
		return park.CallParkOrbit{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, orbitRests+10*time.Second)
	defer cancel()
	for {
		orbit, err := c.Park(ctx, wish, "")
		if err == nil {
			return orbit, nil
		}
		if !sleep(ctx, 250*time.Millisecond) { // the orbit rests, or Bob has not seen the ACK yet
			return park.CallParkOrbit{}, err
		}
	}
}

// pickUp is what somebody does who is told of a parked call: take it, talk for a while, hang up. Somebody else than was
// announced is left alone.
func (r *robot) pickUp(ctx context.Context, e *session.Endpoint, a park.Announcement) (answer string) {
	if !sleep(ctx, r.demo.pace.PickUp) {
		return ""
	}
	call, err := e.Retrieve(ctx, a.Orbit, false)
	var stranger *session.StrangerError
	switch {
	case errors.As(err, &stranger):
		return fmt.Sprintf("on %s is %s now, not %s. I have left it there.", a.Orbit, stranger.Present.Name(), a.Caller.Name())
	case err != nil:
		r.log.Info("pick up", "err", err)
		return "there is nobody on " + a.Orbit + " any more."
	}
	r.demo.work.Go(func() { r.talkFor(ctx, call) })
	return "I have " + a.Caller.Name() + " from " + a.Orbit + " on the line now."
}

// talkFor ends a call after a while.
func (r *robot) talkFor(ctx context.Context, call session.Call) {
	sleep(ctx, r.demo.pace.Talk)
	if err := call.Terminate(context.WithoutCancel(ctx)); err != nil {
		r.log.Info("hang up", "err", err) // the other side has
	}
}

// parkNews is a robot's answer to a message about a parked call. ok is false for other messages.
func (r *robot) parkNews(ctx context.Context, e *session.Endpoint, m session.Message) (answer string, ok bool) {
	if _, taken := park.ParseTaken(m.Text); taken {
		return "", true
	}
	a, announced := park.ParseAnnouncement(m.Text)
	if !announced || r.name == "echo" { // it would announce the call to whoever has done so
		return "", announced
	}
	return r.pickUp(ctx, e, a), true
}

// holdTheLine is what a customer has to say in messages.
func holdTheLine(context.Context, *robot, session.Message) string {
	return "I would rather talk. I hold the line."
}
