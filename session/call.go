package session

import (
	"context"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/fsm"
	"offhook/internal/sipua"
)

// Call is what calls of both kinds can do.
type Call interface {
	ID() string
	Kind() string // im, audio
	Conversation() *Conversation
	Direction() Direction
	State() State
	Can(on Input) bool
	// Accept accepts an Incoming call here and blocks until it is Established or has failed.
	Accept(ctx context.Context) error
	// Decline refuses it: here (486), so that the user's other endpoints keep offering it, or everywhere (603).
	Decline(ctx context.Context, everywhere bool) error
	// Forward redirects it (302) to another address.
	Forward(ctx context.Context, to string) error
	// Dismiss closes its toast and answers nothing.
	Dismiss() error
	// Transfer refers the peer to another address and blocks until the outcome is known.
	Transfer(ctx context.Context, to string) error
	// Terminate ends the call and blocks until it is Terminated.
	Terminate(ctx context.Context) error
}

// The kinds of call.
const (
	kindIM    = "im"
	kindAudio = "audio"
)

// owner is the call of a kind that a call is the common part of.
type owner interface {
	Call
	common() *call
	endedLocked() // the call is Terminated
	infoLocked() CallInfo
	terminateLocked(reason string) (act func(context.Context))
}

// call is what calls of every kind have in common: a place in a table, and somebody who waits for it to change.
type call struct {
	// Immutable.
	owner    owner
	e        *Endpoint
	conv     *Conversation
	id       string
	kind     string // kindIM, kindAudio
	dir      Direction
	machine  *fsm.Machine[State, Input]
	born     time.Time
	ctx      context.Context
	cancel   context.CancelFunc // ends what the call is doing on the network
	decision chan decision      // capacity 1; what was decided about an Incoming call

	// Guarded by e.mu.
	state   State
	changed chan struct{} // closed and replaced by every transition
	reason  string        // why it ended
	callID  string        // SIP Call-ID, once known
	dialog  *sipua.Dialog // while Established or later
	upTime  time.Time     // when it became Established
	rang    bool

	text      *Message  // the record of what an IM INVITE carried
	offer     *offer    // what is shown to the user; nil once closed
	immediate bool      // accepted at once: this is the only endpoint, or it takes the place of another call
	elected   bool      // accepted after the window without anybody's doing
	transfer  *transfer // while Transferring
}

// initLocked makes the common part of a call in its first state.
func (c *call) initLocked(o owner, conv *Conversation, kind string, dir Direction) {
	e := conv.e
	e.mu.Held()
	c.owner, c.e, c.conv, c.kind, c.dir = o, e, conv, kind, dir
	c.id = e.nextIDLocked(kind)
	c.machine, c.state = &outbound, Idle
	if dir == Inbound {
		c.machine, c.state = &inbound, Incoming
	}
	c.changed, c.decision = make(chan struct{}), make(chan decision, 1)
	c.born = time.Now()
	c.ctx, c.cancel = context.WithCancel(e.ctx)
	e.calls[c.id] = o
}

// decision is what became of an Incoming call.
type decision struct {
	input  Input
	status int    // Decline: the SIP status to refuse with
	to     string // Forward: the address to go to
}

// why says what made a transition, for the event.
type why struct {
	reason string
	sip    int
}

func (c *call) common() *call { return c }

// inputLocked asks the table and takes the edge. Skipped and Refused change nothing.
func (c *call) inputLocked(on Input, w why) (fsm.Outcome, error) {
	c.e.mu.Held()
	from := c.state
	to, outcome, err := c.machine.Next(from, on)
	if outcome != fsm.Moved {
		return outcome, err
	}
	c.state = to
	if w.reason != "" {
		c.reason = w.reason
	}
	close(c.changed)
	c.changed = make(chan struct{})
	c.e.publishLocked(CallStateChanged{
		Call: c.id, Conversation: c.conv.id, Kind: c.kind, Direction: c.dir,
		State: to, FromState: from, Trigger: on, Reason: w.reason, SIP: w.sip,
	})
	c.conv.callChangedLocked()
	return outcome, nil
}

// inputMovesLocked is inputLocked for those who only want to know whether the state changed.
func (c *call) inputMovesLocked(on Input, w why) bool {
	outcome, _ := c.inputLocked(on, w)
	return outcome == fsm.Moved
}

// await blocks until done holds of the call's state or ctx ends. It returns the state that it saw.
func (c *call) await(ctx context.Context, done func(State) bool) (State, error) {
	c.e.mu.Blocking()
	for {
		c.e.mu.Lock()
		state, changed := c.state, c.changed
		c.e.mu.Unlock()
		if done(state) {
			return state, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return state, context.Cause(ctx)
		}
	}
}

func settled(s State) bool { return s == Established || s == Terminating || s == Terminated }
func over(s State) bool    { return s == Terminated }
func live(s State) bool    { return s == Established || s == Transferring }

// ID names the call within this process.
func (c *call) ID() string { return c.id }

// Kind is im or audio.
func (c *call) Kind() string { return c.kind }

// Conversation is the conversation that the call belongs to.
func (c *call) Conversation() *Conversation { return c.conv }

// Direction is inbound or outbound.
func (c *call) Direction() Direction { return c.dir }

// State is the call's state.
func (c *call) State() State {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.state
}

// Can reports whether the call's table takes an input now.
func (c *call) Can(on Input) bool {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.machine.Can(c.state, on)
}

func (c *call) infoLocked() CallInfo {
	return CallInfo{
		Call: c.id, Conversation: c.conv.id, Kind: c.kind, Direction: c.dir, State: c.state, Peer: c.conv.peer,
		Began: c.born, Since: c.upTime, Ringing: c.state == Establishing && c.rang,
	}
}

// rings takes a provisional response of any fork. It reports whether it was the first to ring, which everybody is told.
func (c *call) rings(res *sip.Response) (first bool) {
	if res.StatusCode != 180 {
		return false
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if c.rang {
		c.inputMovesLocked(RingingAgain, why{})
		return false
	}
	c.rang = true
	first = c.inputMovesLocked(Ringing, why{sip: 180})
	if first {
		c.e.publishLocked(CallRinging{Call: c.id, Conversation: c.conv.id})
	}
	return first
}

// byeWait bounds the answer to a BYE: whoever hangs up does not want to wait for a peer that is gone.
const byeWait = 5 * time.Second

// hangUp ends the dialog of a call that was told to terminate. reason is the value of a Reason header, or "".
func (c *call) hangUp(ctx context.Context, reason string) {
	c.e.mu.Blocking()
	c.e.mu.Lock()
	dlg := c.dialog
	c.e.mu.Unlock()
	if dlg != nil {
		ctx, cancel := context.WithTimeout(ctx, byeWait)
		defer cancel()
		if err := dlg.Bye(ctx, reason); err != nil {
			c.e.log.Debug("bye was not answered", "call", c.id, "err", err)
		}
	}
	c.cancel()
}
