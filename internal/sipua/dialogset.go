package sipua

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// InviteOptions describe an outgoing INVITE.
type InviteOptions struct {
	Target      sip.Uri
	ContentType string
	Body        []byte
	Headers     []sip.Header // e.g. Subject, Ms-Text-Format, Message-ID
	CallID      string       // default random
	// From, if its address has a host, is whom the INVITE comes from, instead of the agent's address and name. It gets a tag.
	From sip.FromHeader
	// ContactParams go to the Contact, in this INVITE and in the dialog: what this user agent is (RFC 3840 §9).
	ContactParams sip.HeaderParams
	// Provisional is called for every 101..199 response of any fork, on the goroutine that called Invite.
	Provisional func(*sip.Response)
	// FollowRedirects recurses on 3xx, at most this often (RFC 3261 §8.1.3.4).
	FollowRedirects int
}

// Bounds on one INVITE.
const (
	maxForks = 64
	// rememberSet is how long after its end an INVITE is remembered. A phone that never heard the CANCEL may ring for
	// minutes, and a 2xx it then sends must be acknowledged and ended.
	rememberSet = 3 * time.Minute
)

// dialogSet is one outgoing INVITE with the dialogs its forks create: all have our Call-ID and From tag (RFC 3261 §12.1).
type dialogSet struct {
	// Immutable
	agent *Agent
	opt   InviteOptions
	id    halfID

	// Owned by establish
	req   *sip.Request // the INVITE as it is sent next
	round *authRound

	mu sync.Mutex
	// Guarded by mu
	forks   map[string]*fork // by remote tag
	winner  *Dialog
	reason  string        // why it was canceled, for a fork that answers all the same
	changed chan struct{} // closed and replaced when a fork is added

	expires time.Time // Guarded by the agent's mu; zero while Invite runs
}

// fork is one branch that has answered.
type fork struct {
	dialog *Dialog
	ack    *ackRequest // of its 2xx; nil before. Guarded by the set's mu
}

// Invite sends an INVITE and blocks until it is decided. On the first 2xx it sends ACK and returns the dialog with that
// response; every later 2xx of another fork is acknowledged and ended with BYE and
// `Reason: SIP;cause=200;text="Call completed elsewhere"` in the background, for 64*T1 (RFC 3261 §13.2.2.4); a repeated
// 2xx is acknowledged again. If ctx ends first, CANCEL is sent and a 2xx that crosses it is acknowledged and ended with
// BYE: it never revives the call; the error is then ctx's cause, and a *CancelCause is told to the other side. A final
// response other than 2xx is *StatusError.
func (a *Agent) Invite(ctx context.Context, opt InviteOptions) (*Dialog, *sip.Response, error) {
	s := a.newDialogSet(opt)
	a.addSet(s)
	defer a.retireSet(s)
	return s.establish(ctx)
}

func (a *Agent) newDialogSet(opt InviteOptions) *dialogSet {
	req := a.NewRequest(sip.INVITE, opt.Target)
	if opt.CallID != "" {
		id := sip.CallIDHeader(opt.CallID)
		req.ReplaceHeader(&id)
	}
	if opt.From.Address.Host != "" {
		from := &sip.FromHeader{DisplayName: QuoteText(opt.From.DisplayName), Address: *opt.From.Address.Clone()}
		from.Params.Add("tag", fromTag(req))
		req.ReplaceHeader(from)
	}
	if c := req.Contact(); c != nil {
		c.Params = opt.ContactParams.Clone()
	}
	for _, h := range opt.Headers {
		req.AppendHeader(h)
	}
	if a.cfg.SessionTimer > 0 {
		req.AppendHeader(sessionExpiresHeader(a.cfg.SessionTimer, ""))
		req.AppendHeader(minSE(minSessionExpires))
	}
	setBody(req, opt.ContentType, opt.Body)
	return &dialogSet{
		agent: a, opt: opt, id: halfID{callID(req), fromTag(req)}, req: req, forks: map[string]*fork{},
		changed: make(chan struct{}),
	}
}

// addSet makes the set findable for responses and requests that come outside its transaction.
func (a *Agent) addSet(s *dialogSet) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for id, old := range a.sets {
		if !old.expires.IsZero() && now.After(old.expires) {
			delete(a.sets, id)
		}
	}
	if !a.closed {
		a.sets[s.id] = s
	}
}

func (a *Agent) retireSet(s *dialogSet) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.expires = time.Now().Add(rememberSet)
}

// changes returns a channel that is closed when a fork is added.
func (s *dialogSet) changes() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// establish sends the INVITE, again as often as responses ask for it with something changed.
func (s *dialogSet) establish(ctx context.Context) (*Dialog, *sip.Response, error) {
	s.round = s.agent.account.begin(s.req, hopOf(s.req))
	for redirects := 0; ; {
		d, res, err := s.attempt(ctx)
		if d != nil || err != nil {
			return d, res, err
		}
		s.dropEarly()
		again, err := s.adapt(ctx, res, &redirects)
		if err != nil {
			return nil, res, err
		}
		if !again {
			return nil, res, statusError(res)
		}
		s.req.CSeq().SeqNo++
	}
}

// adapt changes the INVITE as a response asks. It reports false if the response is final.
func (s *dialogSet) adapt(ctx context.Context, res *sip.Response, redirects *int) (again bool, err error) {
	switch {
	case res.StatusCode == 401 || res.StatusCode == 407:
		return s.round.answer(ctx, res)
	case res.StatusCode == 422:
		return s.lengthen(res), nil
	case res.IsRedirection() && *redirects < s.opt.FollowRedirects:
		*redirects++
		return s.redirect(res), nil
	}
	return false, nil
}

// lengthen asks for the session interval that a 422 demands (RFC 4028 §7.3), once.
func (s *dialogSet) lengthen(res *sip.Response) bool {
	least, ok := seconds(res, "min-se")
	had, _, timed := sessionExpires(s.req)
	if !ok || !timed || had >= least {
		return false
	}
	s.req.ReplaceHeader(sessionExpiresHeader(least, ""))
	s.req.ReplaceHeader(minSE(least))
	return true
}

// redirect sends the INVITE to the first SIP address of a 3xx (RFC 3261 §8.1.3.4).
func (s *dialogSet) redirect(res *sip.Response) bool {
	for _, h := range res.GetHeaders("contact") {
		c, ok := h.(*sip.ContactHeader)
		if !ok || (c.Address.Scheme != "sip" && c.Address.Scheme != "sips") || sameURI(&c.Address, &s.req.Recipient) {
			continue
		}
		target := *c.Address.Clone()
		target.Headers = nil
		s.req.Recipient = target
		s.round.strip()
		s.round = s.agent.account.begin(s.req, hopOf(s.req))
		return true
	}
	return false
}

// attempt sends the INVITE to the targets of its next hop in order (RFC 3263 §4.3). It returns the dialog of a 2xx, or
// another final response, or an error.
func (s *dialogSet) attempt(ctx context.Context) (*Dialog, *sip.Response, error) {
	targets, err := s.agent.targets(ctx, route{hop: hopOf(s.req)})
	if err != nil {
		return nil, nil, err
	}
	for i, t := range targets {
		var tx *ClientTx
		var d *Dialog
		var res *sip.Response
		if tx, err = s.agent.open(ctx, s.req, t); err == nil {
			d, res, err = s.decide(ctx, tx)
		}
		last := i == len(targets)-1
		if d != nil || last || ctx.Err() != nil || err == nil && res.StatusCode != 503 {
			return d, res, err
		}
		s.agent.log.Info("trying the next address", "method", "INVITE", "target", t, "err", err)
		s.req.CSeq().SeqNo++ // or a proxy behind both would take it for merged (RFC 3261 §8.2.2.2)
	}
	return nil, nil, err
}

// decide reads responses until one decides. What the other forks still send is dealt with in the background.
func (s *dialogSet) decide(ctx context.Context, tx *ClientTx) (*Dialog, *sip.Response, error) {
	for {
		select {
		case res, ok := <-tx.Responses():
			switch {
			case !ok:
				s.dropEarly()
				return nil, nil, ended(tx)
			case res.IsProvisional():
				s.ring(res)
			case res.IsSuccess():
				d, err := s.win(ctx, tx, res)
				return d, res, err
			default:
				return nil, res, nil
			}
		case <-ctx.Done():
			reason := cancelReason(ctx)
			s.mu.Lock()
			s.reason = reason
			s.mu.Unlock()
			tx.Cancel(reason)
			s.agent.spawn(func(ctx context.Context) { s.linger(ctx, tx) })
			return nil, nil, context.Cause(ctx)
		case <-s.agent.ctx.Done():
			tx.Terminate()
			return nil, nil, ErrClosed
		}
	}
}

// ring takes a provisional response: its early dialog, and its PRACK if it asks for one (RFC 3262 §4).
func (s *dialogSet) ring(res *sip.Response) {
	if res.StatusCode == 100 {
		return
	}
	if toTag(res) != "" {
		f := s.fork(res)
		if f == nil {
			return
		}
		if rseq, ok := parseRSeq(res); ok {
			if !f.dialog.reliable.accept(rseq) {
				return
			}
			f.dialog.prack(rseq, res.CSeq().SeqNo)
		}
	}
	if s.opt.Provisional != nil {
		s.opt.Provisional(res)
	}
}

// win takes the first 2xx: it is acknowledged and its dialog is the call.
func (s *dialogSet) win(ctx context.Context, tx *ClientTx, res *sip.Response) (*Dialog, error) {
	d, err := s.accept(ctx, res)
	if err != nil {
		s.agent.spawn(func(ctx context.Context) { s.linger(ctx, tx) })
		return nil, err
	}
	s.mu.Lock()
	s.winner = d
	s.mu.Unlock()
	d.describeSession(s.req)
	d.agree(res, "uac")
	d.confirm()
	s.agent.spawn(func(ctx context.Context) { s.linger(ctx, tx) })
	return d, nil
}

// accept makes the dialog of a 2xx and acknowledges it.
func (s *dialogSet) accept(ctx context.Context, res *sip.Response) (*Dialog, error) {
	f := s.fork(res)
	if f == nil {
		return nil, fmt.Errorf("sipua: more than %d forks", maxForks)
	}
	d := f.dialog
	d.mu.Lock()
	d.routes = routesOf(res, true) // RFC 3261 §13.2.2.4: computed anew from the 2xx
	d.learnLocked(res)
	d.mu.Unlock()
	ack := d.ackFor(s.req)
	ack.req.CSeq().SeqNo = res.CSeq().SeqNo
	s.mu.Lock()
	f.ack = &ack
	s.mu.Unlock()
	if err := s.agent.sendAck(ctx, ack); err != nil {
		// The 2xx will be repeated, and the ACK with it.
		s.agent.log.Info("ACK not sent", "call", s.id.callID, "err", err)
	}
	return d, nil
}

// linger acknowledges and ends what arrives after the decision, until the transaction is over (RFC 3261 §13.2.2.4).
func (s *dialogSet) linger(ctx context.Context, tx *ClientTx) {
	defer s.dropEarly()
	eachFurther2xx(ctx, tx, func(res *sip.Response) { s.late(ctx, res) })
}

// eachFurther2xx hands over every 2xx that still comes to an INVITE, until its transaction is over or ctx ends.
func eachFurther2xx(ctx context.Context, tx *ClientTx, take func(*sip.Response)) {
	for {
		select {
		case res, ok := <-tx.Responses():
			if !ok {
				return
			}
			if res.IsSuccess() {
				take(res)
			}
		case <-ctx.Done():
			tx.Terminate()
			return
		}
	}
}

// late takes a 2xx after the decision: a repeated one is acknowledged again, another fork's is acknowledged and ended.
func (s *dialogSet) late(ctx context.Context, res *sip.Response) {
	s.mu.Lock()
	f := s.forks[toTag(res)]
	var ack *ackRequest
	if f != nil {
		ack = f.ack
	}
	reason := s.reason
	if s.winner != nil {
		reason = CompletedElsewhere
	} else if reason == "" {
		reason = Abandoned
	}
	s.mu.Unlock()
	if ack != nil {
		_ = s.agent.sendAck(ctx, *ack)
		return
	}
	d, err := s.accept(ctx, res)
	if err != nil {
		s.agent.log.Warn("a late answer was ignored", "call", s.id.callID, "err", err)
		return
	}
	s.agent.spawn(func(ctx context.Context) { _ = d.Bye(ctx, reason) })
}

// fork finds or makes the dialog that a response names (RFC 3261 §12.1.2); nil if there are too many.
func (s *dialogSet) fork(res *sip.Response) *fork {
	tag := toTag(res)
	s.mu.Lock()
	if f := s.forks[tag]; f != nil {
		s.mu.Unlock()
		if res.IsProvisional() {
			f.dialog.learn(res)
		}
		return f
	}
	if len(s.forks) >= maxForks {
		s.mu.Unlock()
		return nil
	}
	d := s.agent.newDialog(DialogID{s.id.callID, s.id.localTag, tag}, 0)
	d.caller, d.localSeq, d.target = true, res.CSeq().SeqNo, *s.req.Recipient.Clone()
	d.local = sip.FromHeader{DisplayName: s.req.From().DisplayName, Address: s.req.From().Address}
	d.local.Params = sip.HeaderParams{{K: "tag", V: s.id.localTag}}
	d.contactParams = s.opt.ContactParams
	d.remote = sip.ToHeader{DisplayName: s.req.To().DisplayName, Address: s.req.To().Address}
	if tag != "" {
		d.remote.Params = sip.HeaderParams{{K: "tag", V: tag}}
	}
	d.routes = routesOf(res, true)
	d.learnLocked(res) // nobody else knows d yet
	f := &fork{dialog: d}
	s.forks[tag] = f
	s.mu.Unlock()
	s.agent.addDialog(d)
	s.mu.Lock()
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	return f
}

// dropEarly forgets the forks that were never answered.
func (s *dialogSet) dropEarly() {
	s.mu.Lock()
	var dropped []*Dialog
	for tag, f := range s.forks {
		if f.ack == nil {
			dropped = append(dropped, f.dialog)
			delete(s.forks, tag)
		}
	}
	s.mu.Unlock()
	for _, d := range dropped {
		d.finish(&EndError{Err: ErrDialogGone})
		d.forget()
		for _, req := range d.inbox.close() { // nobody will ever read them
			_ = req.Respond(481, "Call/Transaction Does Not Exist")
		}
	}
}
