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
	peer       Party
	state      ConversationState
	ims        []*InstantMessagingCall // all that are not Terminated, oldest first
	audio      []*AudioVideoCall       // likewise
	queue      []*turn                 // Sends under way, oldest first
	unread     int
	missed     []Message // the texts that are marked so, until the user looks
	composing  *composing
	peerTypes  *peerTyping
	last       time.Time
	missedCall *offer            // the toast of the last audio call that was missed, until the user looks
	obstacles  map[string]string // what stood in the way of actions when last told
	parked     *parkedCall       // while Parked
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
	c.obstacles = c.obstaclesLocked()
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
		for _, im := range slices.Backward(c.ims) {
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

// Read marks what has arrived as seen by the user.
func (c *Conversation) Read() {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.unread = 0
	for _, m := range c.missed {
		m.Missed = false
		c.e.publishLocked(MessageChanged{m})
	}
	for _, im := range c.ims {
		if im.text != nil {
			im.text.Missed = false
		}
	}
	c.missed = nil
	c.closeMissedCallLocked(toastDismissed)
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

// forgetLocked is the end of a conversation: the next one with this peer is another.
func (c *Conversation) forgetLocked() {
	e := c.e
	delete(e.byID, c.id)
	if e.byPeer[c.key] == c {
		delete(e.byPeer, c.key)
	}
	c.closeMissedCallLocked(toastDismissed)
}

// End terminates the conversation and its calls and blocks until they are Terminated. Of a Parked one the caller stays
// parked, and can be taken back.
func (c *Conversation) End(ctx context.Context) error {
	e := c.e
	e.mu.Blocking()
	e.mu.Lock()
	if !c.inputLocked(ended, "ended here") {
		e.mu.Unlock()
		return nil
	}
	c.forgetLocked()
	for p := c.parked; p != nil; p = e.parkedHereLocked(c) { // the callers stay where they are
		p.conv = nil
	}
	c.parked = nil
	calls := c.callsLocked()
	acts := make([]func(context.Context), len(calls))
	for i, call := range calls {
		acts[i] = call.terminateLocked("the conversation was ended")
	}
	e.mu.Unlock()

	var wg sync.WaitGroup
	errs := make([]error, len(calls))
	for i, call := range calls {
		wg.Go(func() {
			acts[i](ctx)
			_, errs[i] = call.common().await(ctx, over)
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

// callsLocked lists the calls of both kinds.
func (c *Conversation) callsLocked() []owner {
	var all []owner
	for _, im := range c.ims {
		all = append(all, im)
	}
	for _, av := range c.audio {
		all = append(all, av)
	}
	return all
}

// callChangedLocked follows the calls: the conversation is Active while one of them is Established.
func (c *Conversation) callChangedLocked() {
	c.e.mu.Held()
	if slices.ContainsFunc(c.callsLocked(), func(o owner) bool { return live(o.common().state) }) {
		c.inputLocked(connected, "")
	} else {
		c.inputLocked(disconnected, "")
	}
	c.e.audioChangedLocked(c)
}

func (c *Conversation) infoLocked() ConversationInfo {
	info := ConversationInfo{
		Conversation: c.id, Peer: c.peer, State: c.state, Unread: c.unread, Last: c.last,
		Composing: c.peerTypes != nil,
	}
	if im := c.imLocked(); im != nil {
		info.Call = im.id
	}
	if o, ok := c.orbitLocked(); ok {
		info.Orbit = &o
	}
	return info
}
