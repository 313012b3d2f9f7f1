package service

import (
	"crypto/subtle"
	"errors"
	"net/url"
	"strings"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/plaintext"
	"offhook/internal/sipua"
	"offhook/park"
)

// marked reports whether a request came through the proxy, which has put its mark on it.
func (s *Service) marked(req *sip.Request) bool {
	h := req.GetHeader(headerMark)
	return h != nil && subtle.ConstantTimeCompare([]byte(h.Value()), []byte(s.cfg.Mark(req.CallID().Value()))) == 1
}

// mark is the header that our own requests carry.
func (s *Service) mark(callID string) sip.Header {
	return sip.NewHeader(headerMark, s.cfg.Mark(callID))
}

// sender is who has sent a request: whom the proxy asserts (RFC 3325 §9.1), or, for somebody it does not know, whom From
// names. user is the name of a user of the domain, "" for anybody else.
func (s *Service) sender(req *sip.Request) (who park.Party, user string) {
	if asserted := sipua.NameAddrs(req, "P-Asserted-Identity"); len(asserted) > 0 {
		who = s.partyOf(asserted[0])
		return who, s.local(who)
	}
	from := req.From()
	who = s.partyOf(sipua.NameAddr{Display: plaintext.Line(from.DisplayName, 128), URI: from.Address})
	if s.local(who) != "" {
		return anonymous, "" // a user of the domain would have been asserted: somebody passes for him
	}
	return who, ""
}

// anonymous is nobody in particular (RFC 3323 §4.1.1.3).
var anonymous = park.Party{URI: "sip:anonymous@anonymous.invalid", Display: "Anonymous"}

// isPrivate reports whether its sender wants a message to say nothing of him to others (RFC 3323 §4.2, RFC 3325 §9.3). The
// service has to know him all the same.
func isPrivate(msg interface {
	GetHeaders(name string) []sip.Header
},
) bool {
	for _, h := range msg.GetHeaders("Privacy") {
		for want := range strings.FieldsFuncSeq(h.Value(), func(c rune) bool { return c == ';' || c == ',' || c == ' ' }) {
			if strings.EqualFold(want, "id") || strings.EqualFold(want, "user") {
				return true
			}
		}
	}
	return false
}

// referrer is who has sent the caller here (RFC 3892).
func (s *Service) referrer(req *sip.Request) (who park.Party, ok bool) {
	by := sipua.NameAddrs(req, "Referred-By")
	if len(by) == 0 {
		return park.Party{}, false
	}
	return s.partyOf(by[0]), true
}

// partyOf is the person at an address: without port, parameters and headers, which name a device.
func (s *Service) partyOf(n sipua.NameAddr) park.Party {
	u := sip.Uri{Scheme: n.URI.Scheme, User: n.URI.User, Host: strings.ToLower(n.URI.Host)}
	return park.Party{URI: u.String(), Display: n.Display}
}

// local is the name of a user of the domain, "" for anybody else and for the service's own names.
func (s *Service) local(who park.Party) string {
	u, err := sipua.ParseURI(who.URI)
	if err != nil || u.Host != s.cfg.Domain {
		return ""
	}
	user, err := url.PathUnescape(u.User)
	if err != nil || s.Serves(user) {
		return ""
	}
	return user
}

// userOf is the user that a request is for.
func userOf(u sip.Uri) string {
	user, err := url.PathUnescape(u.User)
	if err != nil {
		return u.User
	}
	return user
}

// refusal is a failure as the response that tells it.
func (s *Service) refusal(err error) (code int, phrase string, headers []sip.Header) {
	var f *park.Failure
	if !errors.As(err, &f) {
		f = park.ErrProcessing
	}
	headers = []sip.Header{sip.NewHeader("Warning", f.Warning(s.cfg.Domain))} // RFC 3261 §20.43
	switch f {
	case park.ErrNoOrbit, park.ErrTooMany, park.ErrLotClosed:
		headers = append(headers, sip.NewHeader("Retry-After", "30"))
	}
	return f.Status, phrases[f.Status], headers
}

// phrases are the reason phrases of RFC 3261 §21.
var phrases = map[int]string{
	400: "Bad Request", 403: "Forbidden", 404: "Not Found", 410: "Gone", 480: "Temporarily Unavailable",
	481: "Call/Transaction Does Not Exist", 486: "Busy Here", 488: "Not Acceptable Here", 500: "Server Internal Error",
	503: "Service Unavailable", 504: "Server Time-out",
}

// refuse rejects an INVITE.
func (s *Service) refuse(inv *sipua.Invite, err error, headers ...sip.Header) {
	code, phrase, more := s.refusal(err)
	if err := inv.Reject(code, phrase, append(more, headers...)...); err != nil {
		s.log.Debug("refusal not sent", "code", code, "err", err)
	}
}

// asserted is a P-Asserted-Identity header.
func asserted(who park.Party) sip.Header {
	u, err := sipua.ParseURI(who.URI)
	if err != nil {
		return sip.NewHeader("P-Asserted-Identity", "<sip:anonymous@anonymous.invalid>") // RFC 3323 §4.1.1.3
	}
	return sip.NewHeader("P-Asserted-Identity", sipua.NameAddr{Display: who.Display, URI: u}.String())
}
