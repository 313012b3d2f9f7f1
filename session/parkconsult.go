package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/event"
	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
	"offhook/park"
)

// consultation is a call to a park service in an attended transfer. It is not the user's: silence is sent, and nothing
// of it is heard.
type consultation struct {
	// Immutable.
	call   *AudioVideoCall // that is to be parked
	dlg    *sipua.Dialog
	stream media.Stream
	served chan struct{} // closed when serve has returned

	mu          sync.Mutex
	description *sdp.Negotiation // Guarded by mu.
	asserted    park.Party       // Guarded by mu.
	info        []string         // Guarded by mu.
}

// Invite calls a service beside the call.
func (l *leg) Invite(ctx context.Context, to sip.Uri) (park.Consultation, error) {
	e := l.call.e
	e.mu.Blocking()
	s, err := e.cfg.Media.Open(ctx, media.Options{Name: l.call.id + " park", Local: e.mediaAddress(), Policy: e.cfg.Encryption})
	if err != nil {
		return nil, err
	}
	s.Mute(true)
	c := &consultation{call: l.call, stream: s, served: make(chan struct{}), description: sdp.NewNegotiation(s.Local())}
	if err := c.invite(ctx, to); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return c, nil
}

func (c *consultation) invite(ctx context.Context, to sip.Uri) error {
	e := c.call.e
	offer, err := c.description.Offer(sdp.Both)
	if err != nil {
		return err
	}
	dlg, res, err := e.agent.Invite(ctx, sipua.InviteOptions{
		Target: to, ContentType: body.TypeSDP, Body: offer, CallID: newCallID(), FollowRedirects: 5,
		Headers: []sip.Header{sip.NewHeader("Referred-By", "<"+e.self.URI+">")}, // whom a call that nobody takes goes back to
	})
	if err != nil {
		return err
	}
	c.dlg = dlg
	agreed, err := c.description.Accept(res.Body())
	if err == nil {
		err = c.apply(agreed)
	}
	if err != nil {
		_ = dlg.Bye(context.WithoutCancel(ctx), "")
		return err
	}
	c.learn(res)
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.goLocked("consultation", c.serve) {
		close(c.served)
		return errClosing
	}
	return nil
}

// apply puts an agreement into force, and plays nothing.
func (c *consultation) apply(a sdp.Agreement) error {
	a.Direction &^= sdp.Receiving
	return c.stream.Apply(a)
}

// learn takes from a message of the service where the call will be parked.
func (c *consultation) learn(msg interface{ GetHeaders(string) []sip.Header }) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if who := believed(msg); who.URI != "" {
		c.asserted = park.Party(who)
	}
	for _, h := range msg.GetHeaders("Call-Info") {
		c.info = append(c.info, h.Value())
	}
}

// serve answers what the service sends, until the end.
func (c *consultation) serve(ctx context.Context) {
	defer close(c.served)
	for {
		req, err := c.dlg.Next(ctx)
		if err != nil {
			break
		}
		c.learn(req.Request)
		switch {
		case req.Method != sip.INVITE && req.Method != sip.UPDATE:
			_ = req.Respond(200, "OK")
		case len(req.Body()) == 0 && req.Method == sip.INVITE:
			_ = req.Respond(488, "Not Acceptable Here")
		case len(req.Body()) == 0:
			_ = req.Respond(200, "OK")
		default:
			c.answer(req)
		}
	}
	if err := c.stream.Close(); err != nil {
		c.call.e.log.Debug("media could not be closed", "call", c.call.id, "err", err)
	}
}

func (c *consultation) answer(req *sipua.Request) {
	c.mu.Lock()
	answer, agreed, err := c.description.Answer(req.Body(), sdp.Both)
	c.mu.Unlock()
	if err == nil {
		err = c.apply(agreed)
	}
	if err != nil {
		_ = req.Respond(488, "Not Acceptable Here", warning(err))
		return
	}
	_ = req.Send(req.Response(200, "OK", answer, sip.NewHeader("Content-Type", body.TypeSDP)))
}

// ReferTo is the service, with Replaces for this call to it. A Contact that is no GRUU may mean nothing to the parkee's
// proxy.
func (c *consultation) ReferTo() sip.Uri { return replacing(c.dlg) }

// Asserted is whom the service says it is.
func (c *consultation) Asserted() park.Party {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asserted
}

// CallInfo is what the service has said in Call-Info.
func (c *consultation) CallInfo() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.info)
}

// Done is closed when it has ended.
func (c *consultation) Done() <-chan struct{} { return c.dlg.Done() }

// Close hangs up if it has not ended.
func (c *consultation) Close(ctx context.Context) error {
	err := c.dlg.Bye(ctx, "")
	select {
	case <-c.served:
	case <-ctx.Done():
	}
	return err
}

// lampsPatience is how long the state of an orbit may take to be known.
const lampsPatience = 3 * time.Second

// lamps are orbits that are watched while a call is being parked.
type lamps struct {
	e       *Endpoint
	subs    []*event.Subscription
	cancel  context.CancelFunc
	readers sync.WaitGroup

	mu       sync.Mutex
	occupied map[string]bool // Guarded by mu.
	changed  chan struct{}   // capacity 1
}

// Lamps watches the dialog state of orbits (RFC 4235).
func (l *leg) Lamps(ctx context.Context, orbits []sip.Uri) (park.Lamps, error) {
	e := l.call.e
	e.mu.Blocking()
	watching, cancel := context.WithCancel(e.ctx)
	set := &lamps{e: e, cancel: cancel, occupied: map[string]bool{}, changed: make(chan struct{}, 1)}
	known := make(chan bool, len(orbits))
	for _, uri := range orbits {
		sub := event.Subscribe(watching, e.agent, dialogsOf(uri, e))
		set.subs = append(set.subs, sub)
		set.readers.Go(func() { set.read(watching, sub, uri.User, known) })
	}
	late := time.NewTimer(lampsPatience)
	defer late.Stop()
	active := 0
	for range orbits {
		select {
		case ok := <-known:
			if ok {
				active++
			}
			continue
		case <-late.C:
		case <-ctx.Done():
		}
		break
	}
	if active == 0 {
		set.Close()
		return nil, errors.New("no orbit can be watched")
	}
	select { // what has come so far is where it begins
	case <-set.changed:
	default:
	}
	return set, nil
}

// read follows one orbit. known is told once whether its state is.
func (s *lamps) read(ctx context.Context, sub *event.Subscription, orbit string, known chan<- bool) {
	told := false
	tell := func(ok bool) {
		if !told {
			told = true
			known <- ok
		}
	}
	for {
		n, err := sub.Next(ctx)
		if err != nil {
			tell(false)
			return
		}
		doc, err := body.ParseDialogInfo(n.Body)
		if err != nil {
			continue
		}
		now := slices.ContainsFunc(doc.Dialogs, func(d body.DialogState) bool {
			return !strings.EqualFold(d.State, "terminated")
		})
		s.mu.Lock()
		if s.occupied[orbit] != now {
			s.occupied[orbit] = now
			select {
			case s.changed <- struct{}{}:
			default:
			}
		}
		s.mu.Unlock()
		tell(true)
	}
}

// Occupied is the orbits where a call is.
func (s *lamps) Occupied() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for orbit, is := range s.occupied {
		if is {
			all = append(all, orbit)
		}
	}
	slices.Sort(all)
	return all
}

// Wait waits for a change.
func (s *lamps) Wait(ctx context.Context) error {
	select {
	case <-s.changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close ends the subscriptions. Nobody waits for that: a server may owe the last NOTIFY for seconds.
func (s *lamps) Close() {
	s.cancel()
	s.e.mu.Lock()
	running := s.e.goLocked("lamps", func(context.Context) {
		for _, sub := range s.subs {
			s.readers.Go(func() { s.e.unsubscribe(sub) })
		}
		s.readers.Wait()
	})
	s.e.mu.Unlock()
	if !running {
		s.readers.Wait()
	}
}
