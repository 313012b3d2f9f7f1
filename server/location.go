package server

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// Bounds on what users can make the location service hold.
const (
	maxBindings = 32   // of one user
	maxUsers    = 4096 // of an open server
)

// binding is one endpoint of a user: an address, and the flow over which it is reached. Immutable; a refresh makes a
// new one.
type binding struct {
	user     string
	contact  sip.ContactHeader // as registered, without expires and GRUUs
	instance string            // urn:uuid:… without brackets; "" if the endpoint has not said
	regID    string            // RFC 5626 §4.2
	callID   string
	cseq     uint32
	expires  time.Time
	created  time.Time
	source   sipua.Target
	tempGRUU string // user part of the temporary GRUU
}

// key of a contact: what RFC 3261 §19.1.4 compares, near enough for addresses that endpoints make up themselves.
func contactKey(u *sip.Uri) string {
	transport, _ := u.UriParams.Get("transport")
	return strings.Join([]string{u.Scheme, u.User, strings.ToLower(u.Host), strings.ToLower(transport)}, " ") +
		" " + itoa(u.Port)
}

// replaces reports whether registering b does away with old: the same instance and flow (RFC 5626 §6), the same
// address, or the same instance that has started anew and forgotten its earlier address.
func (b *binding) replaces(old *binding) bool {
	if b.instance != "" && b.instance == old.instance && (b.regID != "" || old.regID != "") {
		return b.regID == old.regID
	}
	if contactKey(&b.contact.Address) == contactKey(&old.contact.Address) {
		return true
	}
	return b.instance != "" && b.instance == old.instance && b.callID != old.callID
}

// location knows the bindings of all users (RFC 3261 §10.3).
type location struct {
	ledger *ledger // Immutable after Start

	mu sync.Mutex
	// Guarded by mu
	users  map[string][]*binding
	flows  map[string]*binding
	temped map[string]*binding // by tempGRUU
}

func newLocation() *location {
	return &location{
		ledger: &ledger{}, users: map[string][]*binding{}, flows: map[string]*binding{}, temped: map[string]*binding{},
	}
}

// bindings returns the live bindings of a user, oldest first.
func (l *location) bindings(user string) []*binding {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.liveLocked(user, time.Now())
}

func (l *location) liveLocked(user string, now time.Time) []*binding {
	var live []*binding
	for _, b := range l.users[user] {
		if now.Before(b.expires) {
			live = append(live, b)
		}
	}
	return live
}

// byContact finds the binding whose registered address a URI is: the way to an endpoint inside a dialog.
func (l *location) byContact(u *sip.Uri) *binding {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.flows[contactKey(u)]; b != nil && time.Now().Before(b.expires) {
		return b
	}
	return nil
}

// byAddress finds an endpoint that is signed in with the host and port of a URI, whatever its user part; nil if there is
// none.
func (l *location) byAddress(u *sip.Uri) *binding {
	l.mu.Lock()
	defer l.mu.Unlock()
	port := cmp.Or(u.Port, 5060)
	for _, b := range l.flows {
		c := &b.contact.Address
		if strings.EqualFold(c.Host, u.Host) && cmp.Or(c.Port, 5060) == port && time.Now().Before(b.expires) {
			return b
		}
	}
	return nil
}

// byTempGRUU finds the binding of a temporary GRUU.
func (l *location) byTempGRUU(name string) *binding {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.temped[name]; b != nil && time.Now().Before(b.expires) {
		return b
	}
	return nil
}

// refusal says why a registration cannot be done.
type refusal struct {
	code   int
	reason string
}

// update changes the bindings of a user by what one REGISTER asks for, all of it or nothing (RFC 3261 §10.3 step 7).
// Contacts with no time left are removals. It returns the bindings after it.
func (l *location) update(user string, asked []*binding, now time.Time) ([]*binding, *refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.users) >= maxUsers && l.users[user] == nil {
		return nil, &refusal{503, "Too Many Users"}
	}
	next := l.liveLocked(user, now)
	for _, b := range asked {
		for _, old := range next {
			if b.replaces(old) && b.callID == old.callID && b.cseq <= old.cseq {
				return nil, &refusal{500, "Registration Out Of Order"}
			}
		}
		at := len(next)
		if i := slices.IndexFunc(next, b.replaces); i >= 0 {
			b.created, at = next[i].created, i
			if next[i].callID == b.callID { // RFC 5627 §5.2: what was given out stays valid
				b.tempGRUU = next[i].tempGRUU
			}
		}
		next = slices.DeleteFunc(next, b.replaces)
		if at = min(at, len(next)); b.expires.After(now) {
			next = slices.Insert(next, at, b)
		}
	}
	if len(next) > maxBindings {
		return nil, &refusal{403, "Too Many Endpoints Of This User"}
	}
	l.setLocked(user, next)
	return next, nil
}

// clear removes all bindings of a user (RFC 3261 §10.2.2).
func (l *location) clear(user, callID string, cseq uint32) *refusal {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, old := range l.users[user] {
		if old.callID == callID && cseq <= old.cseq {
			return &refusal{500, "Registration Out Of Order"}
		}
	}
	l.setLocked(user, nil)
	return nil
}

// setLocked replaces the bindings of a user, also in the ledger.
func (l *location) setLocked(user string, next []*binding) {
	l.indexLocked(user, next)
	if len(next) == 0 {
		l.ledger.keep(keptBindings, user, nil)
		return
	}
	l.ledger.keep(keptBindings, user, saveBindings(next))
}

// indexLocked replaces the bindings of a user and keeps the indexes in step.
func (l *location) indexLocked(user string, next []*binding) {
	for _, b := range l.users[user] {
		if key := contactKey(&b.contact.Address); l.flows[key] == b {
			delete(l.flows, key)
		}
		delete(l.temped, b.tempGRUU)
	}
	for _, b := range next {
		l.flows[contactKey(&b.contact.Address)] = b
		if b.tempGRUU != "" {
			l.temped[b.tempGRUU] = b
		}
	}
	if len(next) == 0 {
		delete(l.users, user)
		return
	}
	l.users[user] = next
}

// expire removes what has run out. It returns the users concerned with the bindings they had.
func (l *location) expire(now time.Time) map[string][]*binding {
	l.mu.Lock()
	defer l.mu.Unlock()
	changed := map[string][]*binding{}
	for user, all := range l.users {
		if live := l.liveLocked(user, now); len(live) < len(all) {
			l.setLocked(user, live)
			changed[user] = all
		}
	}
	return changed
}
