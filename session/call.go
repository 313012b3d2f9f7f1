package session

import (
	"context"
	"time"

	"offhook/internal/fsm"
	"offhook/internal/sipua"
)

// call is what calls of every kind have in common: a place in a table, and somebody who waits for it to change.
type call struct {
	// Immutable.
	e        *Endpoint
	conv     *Conversation
	id       string
	kind     string // im
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
	return CallInfo{Call: c.id, Conversation: c.conv.id, Kind: c.kind, Direction: c.dir, State: c.state}
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
