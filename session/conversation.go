package session

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/fsm"
)

// Conversation is everything with one peer.
type Conversation struct {
	// Immutable.
	e      *Endpoint
	id     string
	key    string  // peerKey
	uri    sip.Uri // where requests to the peer go
	thread string  // Ms-Conversation-ID of sessions that begin here

	// Guarded by e.mu.
	peer      Party
	state     ConversationState
	calls     []*InstantMessagingCall // all that are not Terminated, oldest first
	queue     []*turn                 // Sends under way, oldest first
	unread    int
	missed    []Message // the texts that are marked so, until the user looks
	composing *composing
	peerTypes *peerTyping
	last      time.Time
	transfers bool // what Can("transfer") was when last told
}

// maxMissed bounds the marked texts that a conversation remembers to unmark.
const maxMissed = 256

// Conversation returns the conversation with peer (as Resolve takes it), a new Inactive one if there is none.
func (e *Endpoint) Conversation(peer string) (*Conversation, error) {
	uri, err := e.Resolve(peer)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conversationLocked(target(uri), Party{URI: addressOf(uri)}), nil
}

// conversationLocked finds or makes the conversation with the person at uri.
func (e *Endpoint) conversationLocked(uri sip.Uri, peer Party) *Conversation {
	e.mu.Held()
	key := peerKey(uri)
	if c, ok := e.byPeer[key]; ok {
		if peer.Display != "" {
			c.peer.Display = peer.Display
		}
		return c
	}
	c := &Conversation{
		e: e, id: e.nextIDLocked("conversation"), key: key, uri: uri, thread: newConversationIndex(time.Now()),
		peer: peer, state: ConversationInactive, last: time.Now(),
	}
	e.byPeer[key], e.byID[c.id] = c, c
	c.tellLocked("")
	return c
}

// newConversationIndex is a conversation index as Outlook and OCS make them: six high bytes of a FILETIME and a GUID.
func newConversationIndex(now time.Time) string {
	const toFiletime = 116444736000000000 // 100 ns from 1601 to 1970
	ticks := uint64(now.UnixNano()/100 + toFiletime)
	b := make([]byte, 22)
	for i := range 6 {
		b[i] = byte(ticks >> (56 - 8*i))
	}
	_, _ = rand.Read(b[6:]) // never fails
	return base64.StdEncoding.EncodeToString(b)
}

// FindConversation returns a conversation by its id.
func (e *Endpoint) FindConversation(id string) (*Conversation, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c, ok := e.byID[id]
	return c, ok
}

// ID names the conversation within this process.
func (c *Conversation) ID() string { return c.id }

// Peer is the other party.
func (c *Conversation) Peer() Party {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.peer
}

func (c *Conversation) peerURI() string { return c.Peer().URI }

// State is the conversation's state.
func (c *Conversation) State() ConversationState {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.state
}

// IM is the IM call that messages would use: an Established one, else one on its way, else one that waits to be
// accepted; nil if there is none.
func (c *Conversation) IM() *InstantMessagingCall {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.imLocked()
}

func (c *Conversation) imLocked() *InstantMessagingCall {
	for _, states := range [][]State{{Established, Transferring}, {Establishing}, {Incoming}} {
		for _, im := range slices.Backward(c.calls) {
			if slices.Contains(states, im.state) {
				return im
			}
		}
	}
	return nil
}

// NewIM makes an Idle outbound IM call.
func (c *Conversation) NewIM() *InstantMessagingCall {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.newIMLocked(Outbound)
}

// actions that Can knows, with what stands in their way; "" means nothing.
var actions = map[string]func(*Conversation) string{
	"send": func(c *Conversation) string {
		if c.state == ConversationTerminated {
			return "the conversation has ended"
		}
		return ""
	},
	"end": func(c *Conversation) string {
		if c.state == ConversationTerminated {
			return "the conversation has ended"
		}
		return ""
	},
	"transfer": func(c *Conversation) string {
		switch im := c.imLocked(); {
		case im == nil || im.state != Established && im.state != Transferring:
			return "there is no session to transfer"
		case im.state == Transferring:
			return "a transfer is under way"
		}
		return ""
	},
	"call": func(*Conversation) string { return "audio calls are not available" },
	"park": func(*Conversation) string { return "there is no audio call to park" },
}

// Can reports whether an action (send, call, park, transfer, end) is possible now, and if not why.
func (c *Conversation) Can(action string) (available bool, why string) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	obstacle, ok := actions[action]
	if !ok {
		return false, "there is no such action"
	}
	why = obstacle(c)
	return why == "", why
}

// Read marks what has arrived as seen by the user.
func (c *Conversation) Read() {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.unread = 0
	for _, m := range c.missed {
		m.Missed = false
		c.e.publishLocked(MessageChanged{m})
	}
	for _, im := range c.calls {
		if im.text != nil {
			im.text.Missed = false
		}
	}
	c.missed = nil
}

// missLocked marks a text as missed.
func (c *Conversation) missLocked(m Message) {
	c.e.mu.Held()
	c.missed = append(c.missed, m)
	if len(c.missed) > maxMissed {
		c.missed = slices.Delete(c.missed, 0, 1)
	}
	c.e.publishLocked(MessageChanged{m})
}

// seenLocked takes the mark, and the count, from one text.
func (c *Conversation) seenLocked(id string) {
	c.e.mu.Held()
	c.missed = slices.DeleteFunc(c.missed, func(m Message) bool { return m.ID == id })
	if c.unread > 0 {
		c.unread--
	}
}

// End terminates the conversation and its calls and blocks until they are Terminated.
func (c *Conversation) End(ctx context.Context) error {
	e := c.e
	e.mu.Blocking()
	e.mu.Lock()
	if !c.inputLocked(ended, "ended here") {
		e.mu.Unlock()
		return nil
	}
	delete(e.byID, c.id)
	if e.byPeer[c.key] == c {
		delete(e.byPeer, c.key)
	}
	calls := slices.Clone(c.calls)
	acts := make([]func(context.Context), len(calls))
	for i, im := range calls {
		acts[i] = im.terminateLocked("the conversation was ended")
	}
	e.mu.Unlock()

	var wg sync.WaitGroup
	errs := make([]error, len(calls))
	for i, im := range calls {
		wg.Go(func() {
			acts[i](ctx)
			_, errs[i] = im.await(ctx, over)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return fail("end", c.peerURI(), err)
		}
	}
	return nil
}

// inputLocked moves the conversation's machine and reports whether it moved.
func (c *Conversation) inputLocked(on conversationInput, reason string) bool {
	c.e.mu.Held()
	to, outcome, _ := conversations.Next(c.state, on)
	if outcome != fsm.Moved {
		return false
	}
	c.state = to
	c.tellLocked(reason)
	return true
}

func (c *Conversation) tellLocked(reason string) {
	c.e.publishLocked(ConversationChanged{Conversation: c.id, Peer: c.peer, State: c.state, Reason: reason})
}

// callChangedLocked follows the calls: the conversation is Active while one of them is Established.
func (c *Conversation) callChangedLocked() {
	c.e.mu.Held()
	if slices.ContainsFunc(c.calls, func(im *InstantMessagingCall) bool { return live(im.state) }) {
		c.inputLocked(connected, "")
	} else {
		c.inputLocked(disconnected, "")
	}
	why := actions["transfer"](c)
	if available := why == ""; available != c.transfers {
		c.transfers = available
		c.e.publishLocked(ActionAvailability{Conversation: c.id, Action: "transfer", Available: available, Why: why})
	}
}

// dropLocked forgets a Terminated call.
func (c *Conversation) dropLocked(im *InstantMessagingCall) {
	c.calls = slices.DeleteFunc(c.calls, func(o *InstantMessagingCall) bool { return o == im })
}

func (c *Conversation) infoLocked() ConversationInfo {
	info := ConversationInfo{
		Conversation: c.id, Peer: c.peer, State: c.state, Unread: c.unread, Last: c.last,
		Composing: c.peerTypes != nil,
	}
	if im := c.imLocked(); im != nil {
		info.Call = im.id
	}
	return info
}
