package server

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// To transfer somebody to the park service is to park them, to call it is not; what tells the one from the other is
// Referred-By (RFC 3892), or Replaces (RFC 3891) where the orbit was asked for first, and there are telephones that know
// neither. But a REFER passes here on its way to the one who is transferred. It is remembered for as long as that takes,
// and the call that follows says by whom it was referred, and in place of which it is.

const (
	// referralTime is how long after a REFER the call may come: 64*T1.
	referralTime = 64 * sipua.T1
	// maxReferrals bounds what is remembered.
	maxReferrals = 1024
)

// referral is a transfer to the park service that is under way.
type referral struct {
	by       string     // user who transfers
	to       string     // name of the park service
	replaces sip.Header // nil if no call is replaced
	until    time.Time
}

// referrals are those of users whom a REFER was sent to. It is by user: a long INVITE leaves from another port, by TCP.
type referrals struct {
	mu  sync.Mutex
	all map[string]referral // Guarded by mu.
}

// add remembers one.
func (r *referrals) add(who string, ref referral, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.all, func(_ string, old referral) bool { return now.After(old.until) })
	if r.all == nil {
		r.all = map[string]referral{}
	}
	if len(r.all) < maxReferrals {
		r.all[who] = ref
	}
}

// take finds how a user was referred to a name of the park service. It serves once.
func (r *referrals) take(who, to string, now time.Time) (ref referral, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ref, ok = r.all[who]
	if !ok || ref.to != to || now.After(ref.until) {
		return referral{}, false
	}
	delete(r.all, who)
	return ref, true
}

// noteReferral looks whether a REFER inside a dialog transfers its target to the park service. Who sends it is known by the
// address from which they have signed in.
func (s *Server) noteReferral(req *sipua.Request, targets []target) {
	if s.park == nil || req.Method != sip.REFER || len(targets) != 1 || targets[0].user == "" {
		return
	}
	values := req.GetHeaders("Refer-To")
	if len(values) != 1 {
		return
	}
	referTo, err := sipua.ParseNameAddr(values[0].Value())
	if err != nil {
		return
	}
	to, headers, err := sipua.Referred(referTo.URI)
	by := userOf(&req.From().Address)
	if err != nil || !s.isOurs(&to) || !s.parks(userOf(&to)) || !s.isOurs(&req.From().Address) || !s.signedInAt(by, req.Source()) {
		return
	}
	now := time.Now()
	ref := referral{by: by, to: userOf(&to), until: now.Add(referralTime)}
	if len(headers) > 0 {
		ref.replaces = headers[0]
	}
	s.park.referred.add(targets[0].user, ref, now)
}

// signedInAt reports whether a user has signed in from an address.
func (s *Server) signedInAt(user string, source sipua.Target) bool {
	for _, b := range s.location.bindings(user) {
		if b.source.Network == source.Network && b.source.Addr == source.Addr {
			return true
		}
	}
	return false
}

// sayReferrer adds to a call of the park service that was caused by a REFER what it does not say of that.
func (s *Server) sayReferrer(req *sipua.Request, sender string) {
	if s.park == nil || req.Method != sip.INVITE || req.To().Params.Has("tag") {
		return
	}
	ref, ok := s.park.referred.take(sender, userOf(&req.Recipient), time.Now())
	if !ok {
		return
	}
	if !hasHeader(req.Request, "Referred-By") {
		req.AppendHeader(sip.NewHeader("Referred-By", "<"+s.aor(ref.by)+">"))
	}
	if ref.replaces != nil && !hasHeader(req.Request, "Replaces") {
		req.AppendHeader(ref.replaces)
	}
}

func hasHeader(req *sip.Request, name string) bool {
	return slices.ContainsFunc(req.Headers(), func(h sip.Header) bool { return strings.EqualFold(h.Name(), name) })
}
