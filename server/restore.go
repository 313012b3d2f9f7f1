package server

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
)

// savedBinding is a binding in the ledger.
type savedBinding struct {
	URI      string      `json:"uri"`
	Name     string      `json:"name,omitempty"`
	Params   [][2]string `json:"params,omitempty"`
	Instance string      `json:"instance,omitempty"`
	RegID    string      `json:"reg_id,omitempty"`
	CallID   string      `json:"call_id"`
	CSeq     uint32      `json:"cseq"`
	Expires  time.Time   `json:"expires"`
	Created  time.Time   `json:"created"`
	Source   savedTarget `json:"source"`
	TempGRUU string      `json:"temp_gruu,omitempty"`
}

type savedTarget struct {
	Network string         `json:"network"`
	Addr    netip.AddrPort `json:"addr"`
}

func (t savedTarget) target() sipua.Target { return sipua.Target{Network: t.Network, Addr: t.Addr} }

func saveBindings(all []*binding) []savedBinding {
	var saved []savedBinding
	for _, b := range all {
		v := savedBinding{
			URI: b.contact.Address.String(), Name: b.contact.DisplayName, Instance: b.instance, RegID: b.regID,
			CallID: b.callID, CSeq: b.cseq, Expires: b.expires, Created: b.created,
			Source: savedTarget{b.source.Network, b.source.Addr}, TempGRUU: b.tempGRUU,
		}
		for _, p := range b.contact.Params {
			v.Params = append(v.Params, [2]string{p.K, p.V})
		}
		saved = append(saved, v)
	}
	return saved
}

// binding is the binding again; nil if it is over or makes no sense.
func (v savedBinding) binding(now time.Time, longest time.Duration) *binding {
	uri, err := sipua.ParseURI(v.URI)
	if err != nil || !now.Before(v.Expires) || !v.Source.Addr.IsValid() {
		return nil
	}
	b := &binding{
		contact:  sip.ContactHeader{DisplayName: v.Name, Address: uri},
		instance: v.Instance, regID: v.RegID, callID: v.CallID, cseq: v.CSeq, created: v.Created,
		expires: notBeyond(v.Expires, now, longest), source: v.Source.target(), tempGRUU: v.TempGRUU,
	}
	for _, p := range v.Params {
		b.contact.Params = append(b.contact.Params, sip.HeaderKV{K: p[0], V: p[1]})
	}
	return b
}

// notBeyond bounds a time that was noted by a clock that may since have been set back.
func notBeyond(t, now time.Time, longest time.Duration) time.Time {
	if most := now.Add(longest); t.After(most) {
		return most
	}
	return t
}

// savedPublication is a publication in the ledger.
type savedPublication struct {
	ETag     string    `json:"etag"`
	Document string    `json:"document"` // PIDF
	Expires  time.Time `json:"expires"`
	Received uint64    `json:"received"`
}

func savePublications(all []*publication) []savedPublication {
	var saved []savedPublication
	for _, o := range all {
		saved = append(saved, savedPublication{o.etag, string(o.document.Marshal()), o.expires, o.received})
	}
	return saved
}

func (v savedPublication) publication(now time.Time, longest time.Duration) *publication {
	document, err := body.ParsePIDF([]byte(v.Document))
	if err != nil || !now.Before(v.Expires) {
		return nil
	}
	return &publication{
		etag: v.ETag, document: document, device: deviceOf(&document), expires: notBeyond(v.Expires, now, longest),
		received: v.Received,
	}
}

// savedSubscription is a subscription in the ledger: the dialog it lives in, and what it watches.
type savedSubscription struct {
	User      string      `json:"user"`
	Watcher   string      `json:"watcher"`
	Event     string      `json:"event"`
	EventID   string      `json:"event_id,omitempty"`
	CallID    string      `json:"call_id"`
	LocalTag  string      `json:"local_tag"`
	RemoteTag string      `json:"remote_tag"`
	Local     string      `json:"local"` // URI of our side
	Remote    string      `json:"remote"`
	Routes    []string    `json:"routes,omitempty"`
	CSeq      uint32      `json:"cseq"` // of the subscriber
	Contact   string      `json:"contact"`
	To        savedTarget `json:"to"`
	Expires   time.Time   `json:"expires"`
	List      bool        `json:"list,omitempty"`
}

func saveSubscription(sub *subscription) savedSubscription {
	v := savedSubscription{
		User: sub.user, Watcher: sub.watcher, Event: sub.event, EventID: sub.eventID, CallID: sub.callID,
		LocalTag: sub.localTag, RemoteTag: sub.remoteTag, Local: sub.local.Address.String(),
		Remote: sub.remote.Address.String(), CSeq: sub.cseq, Contact: sub.contact.String(),
		To: savedTarget{sub.to.Network, sub.to.Addr}, Expires: sub.expires, List: sub.list,
	}
	for i := range sub.routes {
		v.Routes = append(v.Routes, sub.routes[i].String())
	}
	return v
}

func (v savedSubscription) subscription(n *notifier, now time.Time) *subscription {
	local, err1 := sipua.ParseURI(v.Local)
	remote, err2 := sipua.ParseURI(v.Remote)
	contact, err3 := sipua.ParseURI(v.Contact)
	if err1 != nil || err2 != nil || err3 != nil || !now.Before(v.Expires) || !v.To.Addr.IsValid() ||
		eventTypes[v.Event] == "" || v.Event == eventDialog && !n.s.parks(v.User) {
		return nil
	}
	to, reachable := n.s.reach(&contact, v.To.target()) // a connection that led there is gone
	if !reachable {
		return nil
	}
	sub := newSubscription(n)
	sub.user, sub.watcher, sub.event, sub.eventID, sub.list = v.User, v.Watcher, v.Event, v.EventID, v.List
	sub.callID, sub.localTag, sub.remoteTag = v.CallID, v.LocalTag, v.RemoteTag
	sub.local, sub.remote = sip.ToHeader{Address: local}, sip.FromHeader{Address: remote}
	sub.lost = sub.isSafe()
	if v.RemoteTag != "" {
		sub.remote.Params.Add("tag", v.RemoteTag)
	}
	sub.cseq, sub.contact, sub.to = v.CSeq, contact, to
	sub.expires = notBeyond(v.Expires, now, n.s.cfg.MaxExpires)
	sub.sent, sub.version = restoredCount(now), int(restoredCount(now))
	for _, text := range v.Routes {
		route, err := sipua.ParseURI(text)
		if err != nil {
			return nil
		}
		sub.routes = append(sub.routes, route)
	}
	return sub
}

// restore takes up what an earlier process knew and is not over. Watchers are told the state at once: it may have
// changed while nobody was there to tell.
func (s *Server) restore(now time.Time) {
	s.ledger.load(keptBindings, func(user string, value []byte) bool {
		var saved []savedBinding
		return json.Unmarshal(value, &saved) == nil && s.location.restore(user, saved, now, s.cfg.MaxExpires)
	})
	s.ledger.load(keptPublications, func(user string, value []byte) bool {
		var saved []savedPublication
		return json.Unmarshal(value, &saved) == nil && s.presence.restore(user, saved, now, s.cfg.MaxExpires)
	})
	var subs []*subscription
	s.ledger.load(keptSubscriptions, func(_ string, value []byte) bool {
		var saved savedSubscription
		if json.Unmarshal(value, &saved) != nil {
			return false
		}
		sub := saved.subscription(s.notifier, now)
		if sub == nil {
			return false
		}
		subs = append(subs, sub)
		return true
	})
	s.location.ledger, s.presence.ledger = s.ledger, s.ledger
	slices.SortFunc(subs, func(a, b *subscription) int { return strings.Compare(a.callID, b.callID) })
	for _, sub := range subs {
		if s.notifier.add(sub) {
			s.notify(sub)
		}
	}
	if n := len(s.location.users); n > 0 || len(subs) > 0 {
		s.log.Info("restored", "users", n, "subscriptions", len(subs))
	}
}

// restore takes up the bindings of a user. It reports whether any is left.
func (l *location) restore(user string, saved []savedBinding, now time.Time, longest time.Duration) bool {
	var live []*binding
	for _, v := range saved {
		if b := v.binding(now, longest); b != nil {
			b.user = user
			live = append(live, b)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.indexLocked(user, live)
	return len(live) > 0
}

// restore takes up the publications of a user. It reports whether any is left.
func (p *presence) restore(user string, saved []savedPublication, now time.Time, longest time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range saved {
		if o := v.publication(now, longest); o != nil {
			p.users[user] = append(p.users[user], o)
			p.clock = max(p.clock, o.received)
		}
	}
	return len(p.users[user]) > 0
}
