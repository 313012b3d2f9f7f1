package server

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"offhook/internal/body"
)

// maxPublications bounds the publications of one user.
const maxPublications = maxBindings

// publication is what one endpoint of a user has published (RFC 3903): one entity, replaced as a whole.
type publication struct {
	etag     string
	document body.PIDF
	device   string // urn:uuid:… of the endpoint it is about, "" if it does not say
	expires  time.Time
	received uint64 // order of arrival
}

// presence knows the publications of all users.
type presence struct {
	ledger *ledger // Immutable after Start

	mu sync.Mutex
	// Guarded by mu
	users map[string][]*publication
	clock uint64 // counts what was received
}

func newPresence() *presence { return &presence{ledger: &ledger{}, users: map[string][]*publication{}} }

// deviceOf is the endpoint a document is about.
func deviceOf(d *body.PIDF) string {
	for _, v := range d.Devices {
		if v.DeviceID != "" {
			return v.DeviceID
		}
	}
	for _, t := range d.Tuples {
		if t.DeviceID != "" {
			return t.DeviceID
		}
	}
	return ""
}

// add stores a first publication. An endpoint that publishes anew without its entity-tag has started again: what it
// had published before ends.
func (p *presence) add(user string, pub *publication, now time.Time) *refusal {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(p.users[user]), func(old *publication) bool {
		return !now.Before(old.expires) || pub.device != "" && old.device == pub.device
	})
	if len(rest) >= maxPublications {
		return &refusal{403, "Too Many Publications Of This User"}
	}
	p.clock++
	pub.received = p.clock
	p.setLocked(user, append(rest, pub))
	return nil
}

// change refreshes a publication, and replaces its document if there is one. The old entity-tag is gone afterwards.
func (p *presence) change(user, etag, next string, document *body.PIDF, expires, now time.Time) *refusal {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.users[user], func(o *publication) bool { return o.etag == etag && now.Before(o.expires) })
	if i < 0 {
		return &refusal{412, "Conditional Request Failed"} // RFC 3903 §6 step 4
	}
	changed := *p.users[user][i]
	changed.etag, changed.expires = next, expires
	if document != nil {
		p.clock++
		changed.document, changed.device, changed.received = *document, deviceOf(document), p.clock
	}
	p.users[user][i] = &changed
	p.setLocked(user, p.users[user])
	return nil
}

// setLocked replaces the publications of a user, also in the ledger.
func (p *presence) setLocked(user string, pubs []*publication) {
	if len(pubs) == 0 {
		delete(p.users, user)
		p.ledger.keep(keptPublications, user, nil)
		return
	}
	p.users[user] = pubs
	p.ledger.keep(keptPublications, user, savePublications(pubs))
}

// remove ends a publication.
func (p *presence) remove(user, etag string) *refusal {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.users[user]
	if !p.keepLocked(user, func(o *publication) bool { return o.etag != etag }) && len(before) == len(p.users[user]) {
		return &refusal{412, "Conditional Request Failed"}
	}
	return nil
}

// keepLocked drops the publications of a user that are not to be kept. It reports whether there were any.
func (p *presence) keepLocked(user string, keep func(*publication) bool) bool {
	var rest []*publication
	for _, o := range p.users[user] {
		if keep(o) {
			rest = append(rest, o)
		}
	}
	if len(rest) == len(p.users[user]) {
		return false
	}
	p.setLocked(user, rest)
	return true
}

// expire ends what has run out and returns the users concerned.
func (p *presence) expire(now time.Time) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var changed []string
	for user := range p.users {
		if p.keepLocked(user, func(o *publication) bool { return now.Before(o.expires) }) {
			changed = append(changed, user)
		}
	}
	return changed
}

// endInstances ends the publications of endpoints that have signed out.
func (p *presence) endInstances(user string, gone map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keepLocked(user, func(o *publication) bool { return !gone[o.device] })
}

// documents are the live documents of a user, latest first.
func (p *presence) documents(user string, now time.Time) []body.PIDF {
	p.mu.Lock()
	pubs := slices.Clone(p.users[user])
	p.mu.Unlock()
	slices.SortFunc(pubs, func(a, b *publication) int { return cmp.Compare(b.received, a.received) })
	var docs []body.PIDF
	for _, o := range pubs {
		if now.Before(o.expires) {
			docs = append(docs, o.document)
		}
	}
	return docs
}

// presenceDocument composes what a watcher is told about a user (RFC 3856 §6.6.2): one tuple and one device of each
// endpoint that publishes; without any, whether the user is signed in at all. When and how long ago somebody used a
// device is for the user's own endpoints only, which elect the most active among them by it.
func (s *Server) presenceDocument(user, watcher string) []byte {
	doc := body.MergePIDF(s.aor(user), s.presence.documents(user, time.Now()))
	if len(doc.Tuples) == 0 && len(doc.Devices) == 0 {
		open := len(s.location.bindings(user)) > 0
		doc.Tuples = []body.Tuple{{ID: "registration", Open: open, Contact: s.aor(user)}}
	}
	if watcher != user {
		doc.Person.Wish, doc.Person.Extra, doc.Person.Timestamp = "", nil, time.Time{} // what its devices tell each other
		for i := range doc.Tuples {
			doc.Tuples[i].Extra, doc.Tuples[i].Timestamp = nil, time.Time{}
		}
		for i := range doc.Devices {
			d := &doc.Devices[i]
			d.LastInput, d.Timestamp, d.Threshold, d.Idle, d.Extra = time.Time{}, time.Time{}, 0, -1, nil
		}
	}
	return doc.Marshal()
}
