package server

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// Bounds on subscriptions.
const (
	maxSubscriptions        = 16384
	maxWatcherSubscriptions = 256                    // of one user
	notifyInterval          = 200 * time.Millisecond // between two notifications of changes
	lampInterval            = time.Second            // the same of dialog state (RFC 4235 §3.10)
)

// subscriptionKey names the dialog of a subscription as this side sees it.
type subscriptionKey struct{ callID, localTag, remoteTag string }

func (k subscriptionKey) String() string { return k.callID + " " + k.localTag + " " + k.remoteTag }

// notifier keeps all subscriptions (RFC 6665 §4.2).
type notifier struct {
	s *Server // Immutable

	mu sync.Mutex
	// Guarded by mu
	all     map[subscriptionKey]*subscription
	watched map[string]map[*subscription]bool // by user and event
	counts  map[string]int                    // by watcher
}

func newNotifier(s *Server) *notifier {
	return &notifier{
		s: s, all: map[subscriptionKey]*subscription{}, watched: map[string]map[*subscription]bool{},
		counts: map[string]int{},
	}
}

// subscription is one watcher's subscription to one user's state. A goroutine of its own notifies, one NOTIFY at a time.
type subscription struct {
	// Immutable
	n                           *notifier
	user, watcher               string
	event, eventID              string
	callID, localTag, remoteTag string
	local                       sip.ToHeader   // of the SUBSCRIBE
	remote                      sip.FromHeader // of the SUBSCRIBE
	routes                      []sip.Uri
	list                        bool          // the watcher gets a resource list (RFC 4662)
	lost                        bool          // it is to a park of the process before this one
	change, poke                chan struct{} // the state may be new; it is to be told in any case
	ended                       chan struct{} // closed when run has returned

	// Guarded by n.mu
	cseq    uint32 // of the subscriber
	contact sip.Uri
	to      sipua.Target
	expires time.Time

	// Owned by run
	sent    uint32 // CSeq of the last NOTIFY
	version int
	last    []byte // essence of the last report
}

// report is a state as a watcher is to see it.
type report struct {
	contentType string
	body        []byte
	essence     []byte // differs where the state does; nil: always
	list        bool   // a resource list
	over        bool   // nothing more will come: the subscription ends with it
}

func newSubscription(n *notifier) *subscription {
	return &subscription{
		n: n, change: make(chan struct{}, 1), poke: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// refreshed is what a SUBSCRIBE inside the dialog changes.
type refreshed struct {
	cseq    uint32
	contact sip.Uri
	to      sipua.Target
	expires time.Time
}

func (sub *subscription) key() subscriptionKey {
	return subscriptionKey{sub.callID, sub.localTag, sub.remoteTag}
}

func watchKey(user, event string) string { return event + " " + user }

// add takes a subscription in; false if there are too many.
func (n *notifier) add(sub *subscription) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.all) >= maxSubscriptions || n.counts[sub.watcher] >= maxWatcherSubscriptions {
		return false
	}
	n.all[sub.key()] = sub
	n.counts[sub.watcher]++
	key := watchKey(sub.user, sub.event)
	if n.watched[key] == nil {
		n.watched[key] = map[*subscription]bool{}
	}
	n.watched[key][sub] = true
	n.keepLocked(sub)
	return true
}

// keepLocked notes a subscription in the ledger.
func (n *notifier) keepLocked(sub *subscription) {
	n.s.ledger.keep(keptSubscriptions, sub.key().String(), saveSubscription(sub))
}

// remove forgets a subscription. One that only ends because the server does is for the next one to go on with.
func (n *notifier) remove(sub *subscription) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all[sub.key()] != sub {
		return
	}
	if n.s.ctx.Err() == nil {
		n.s.ledger.keep(keptSubscriptions, sub.key().String(), nil)
	}
	delete(n.all, sub.key())
	if n.counts[sub.watcher]--; n.counts[sub.watcher] == 0 {
		delete(n.counts, sub.watcher)
	}
	key := watchKey(sub.user, sub.event)
	if delete(n.watched[key], sub); len(n.watched[key]) == 0 {
		delete(n.watched, key)
	}
}

// refresh takes what a SUBSCRIBE inside the dialog says (RFC 6665 §4.2.1.4). list tells that the subscription is one to a
// list.
func (n *notifier) refresh(key subscriptionKey, watcher, event string, r refreshed) (list bool, bad *refusal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	sub := n.all[key]
	switch {
	case sub == nil || sub.event != event:
		return false, &refusal{481, "Subscription Does Not Exist"}
	case sub.watcher != watcher:
		return false, &refusal{403, "Not Your Subscription"}
	case r.cseq <= sub.cseq: // RFC 3261 §12.2.2
		return false, &refusal{500, "Request Out Of Order"}
	}
	sub.cseq, sub.contact, sub.to, sub.expires = r.cseq, r.contact, r.to, r.expires
	n.keepLocked(sub)
	return sub.list, nil
}

// poke makes a subscription tell its state in any case.
func (n *notifier) poke(key subscriptionKey) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if sub := n.all[key]; sub != nil {
		raise(sub.poke)
	}
}

// changed tells the subscriptions to a user's state that it may be new.
func (n *notifier) changed(user, event string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for sub := range n.watched[watchKey(user, event)] {
		raise(sub.change)
	}
}

// settle waits until the subscriptions that match have ended, or until ctx ends.
func (n *notifier) settle(ctx context.Context, match func(*subscription) bool) {
	n.mu.Lock()
	var waiting []*subscription
	for _, sub := range n.all {
		if match(sub) {
			waiting = append(waiting, sub)
		}
	}
	n.mu.Unlock()
	for _, sub := range waiting {
		select {
		case <-sub.ended:
		case <-ctx.Done():
			return
		}
	}
}

// raise sets a flag that a goroutine waits for.
func raise(flag chan<- struct{}) {
	select {
	case flag <- struct{}{}:
	default:
	}
}

// interval is the least time between two notifications of changes. The end of a park is told when it comes.
func (sub *subscription) interval() time.Duration {
	switch {
	case sub.isSafe():
		return 0
	case sub.event == eventDialog:
		return lampInterval
	}
	return notifyInterval
}

// run notifies until the subscription ends: at once, then on each change, but not more often than once in its interval,
// and then the newest state.
func (sub *subscription) run(ctx context.Context) {
	defer close(sub.ended)
	defer sub.n.remove(sub)
	for must := true; ; {
		sub.n.mu.Lock()
		left := time.Until(sub.expires)
		sub.n.mu.Unlock()
		if !sub.notify(ctx, left, must) || left <= 0 {
			return
		}
		pause := time.NewTimer(sub.interval())
		select {
		case <-sub.poke:
			pause.Stop()
			must = true
			continue
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
		expiry := time.NewTimer(left)
		must = false
		select {
		case <-sub.change:
		case <-sub.poke:
			must = true
		case <-expiry.C:
			must = true
		case <-ctx.Done():
		}
		expiry.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// notify sends the state, if it is new or must be told. It reports whether the subscription goes on; where nothing is
// left of its time, this is the last notification.
func (sub *subscription) notify(ctx context.Context, left time.Duration, must bool) bool {
	select { // the state read below is the newest
	case <-sub.change:
	default:
	}
	state := sub.state()
	if !must && left > 0 && !state.over && state.essence != nil && bytes.Equal(state.essence, sub.last) {
		return true
	}
	sub.last = state.essence
	sub.version++
	req, to := sub.request(state, left)
	tx, err := sub.n.s.stack.Relay(ctx, req, to)
	if err != nil {
		sub.n.s.log.Info("subscription ended: its watcher cannot be reached", "watcher", sub.watcher, "err", err)
		return false
	}
	for {
		select {
		case res, ok := <-tx.Responses():
			if !ok {
				return false // RFC 6665 §4.2.2: no answer ends the subscription
			}
			if res.IsProvisional() {
				continue
			}
			return !state.over && (res.IsSuccess() || res.GetHeader("Retry-After") != nil)
		case <-ctx.Done():
			tx.Terminate()
			return false
		}
	}
}

// state is what the watcher is to see. The versions of registrations and dialogs count the notifications (RFC 3680 §4.3,
// RFC 4235 §4.1).
func (sub *subscription) state() report {
	r := report{contentType: strings.ToLower(eventTypes[sub.event])}
	switch sub.event {
	case eventDialog:
		return sub.lampState()
	case eventReg:
		r.body = sub.n.s.regDocument(sub.user, sub.version)
	default:
		r.body = sub.n.s.presenceDocument(sub.user, sub.watcher)
		r.essence = r.body
	}
	return r
}

// request builds a NOTIFY (RFC 6665 §4.2.2).
func (sub *subscription) request(state report, left time.Duration) (*sip.Request, sipua.Target) {
	sub.n.mu.Lock()
	contact, to := *sub.contact.Clone(), sub.to
	sub.n.mu.Unlock()
	req := sip.NewRequest(sip.NOTIFY, contact)
	for i := range sub.routes {
		req.AppendHeader(&sip.RouteHeader{Address: sub.routes[i]})
	}
	from := sip.FromHeader{DisplayName: sub.local.DisplayName, Address: sub.local.Address}
	from.Params.Add("tag", sub.localTag)
	req.AppendHeader(&from)
	req.AppendHeader(&sip.ToHeader{
		DisplayName: sub.remote.DisplayName, Address: sub.remote.Address, Params: sub.remote.Params,
	})
	callID := sip.CallIDHeader(sub.callID)
	req.AppendHeader(&callID)
	sub.sent++
	req.AppendHeader(&sip.CSeqHeader{SeqNo: sub.sent, MethodName: sip.NOTIFY})
	hops := sip.MaxForwardsHeader(defaultHops)
	req.AppendHeader(&hops)
	if here, ok := sub.n.s.local(to.Network, to.Addr.Addr()); ok {
		req.AppendHeader(&sip.ContactHeader{Address: here})
	}
	event := sub.event
	if sub.eventID != "" {
		event += ";id=" + sub.eventID
	}
	req.AppendHeader(sip.NewHeader("Event", event))
	req.AppendHeader(sip.NewHeader("Subscription-State", state.of(left)))
	if state.list {
		req.AppendHeader(sip.NewHeader("Require", "eventlist")) // RFC 4662 §4.5
	}
	req.AppendHeader(sip.NewHeader("Date", httpDate(time.Now())))
	req.AppendHeader(sip.NewHeader("Content-Type", state.contentType))
	req.SetBody(state.body)
	return req, to
}

// of is the state of a subscription with that much time left.
func (r report) of(left time.Duration) string {
	switch {
	case r.over:
		return "terminated;reason=noresource" // RFC 6665 §4.1.3: do not subscribe again
	case left > 0:
		return "active;expires=" + wholeSeconds(left)
	}
	return "terminated;reason=timeout"
}
