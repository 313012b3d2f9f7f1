package server

import (
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// serveRegister is the registrar (RFC 3261 §10.3): who may register, which bindings that makes, and the answer that
// lists all of them.
func (s *Server) serveRegister(req *sipua.Request) {
	if !s.requires(req) {
		return
	}
	sender, ok := s.identify(req, false)
	if !ok {
		return
	}
	to := req.To().Address
	user := userOf(&to)
	switch {
	case !s.isOurs(&to) || user == "":
		s.respond(req, 404, "Not A User Of This Domain")
		return
	case sender != user: // RFC 3261 §10.3 step 4: third-party registration is not for anybody here
		s.respond(req, 403, "Only The User Registers Its Endpoints")
		return
	}
	asked, all, bad := s.readContacts(req)
	switch {
	case bad != nil && bad.code == 423:
		s.respond(req, 423, "Interval Too Brief", sip.NewHeader("Min-Expires", wholeSeconds(s.cfg.MinExpires)))
		return
	case bad != nil:
		s.respond(req, bad.code, bad.reason)
		return
	}
	before := s.location.bindings(user)
	after, refused := before, (*refusal)(nil)
	switch {
	case all:
		after, refused = nil, s.location.clear(user, string(*req.CallID()), req.CSeq().SeqNo)
	case len(asked) > 0:
		after, refused = s.location.update(user, asked, time.Now())
	}
	if refused != nil {
		s.respond(req, refused.code, refused.reason)
		return
	}
	s.respond(req, 200, "OK", s.registered(req, user, after)...)
	if len(asked) > 0 || all {
		s.registrationChanged(user, before)
	}
	if len(asked) > 0 && len(after) > 0 {
		s.store.remember(user)
		s.deliverStored(user)
	}
}

// readContacts reads what a REGISTER asks for: bindings to add or, with no time left, to remove; or all of them.
func (s *Server) readContacts(req *sipua.Request) (asked []*binding, all bool, bad *refusal) {
	now := time.Now()
	contacts := req.GetHeaders("Contact")
	for _, h := range contacts {
		c, ok := h.(*sip.ContactHeader)
		if !ok {
			return nil, false, &refusal{400, "Malformed Contact"}
		}
		if c.Address.Wildcard {
			// RFC 3261 §10.2.2: only alone, and only to remove.
			if seconds, given := expiresOf(req.Request, nil); len(contacts) > 1 || !given || seconds != 0 {
				return nil, false, &refusal{400, "Contact * Needs Expires 0 And No Other Contact"}
			}
			return nil, true, nil
		}
		if c.Address.Scheme != "sip" && c.Address.Scheme != "sips" {
			return nil, false, &refusal{400, "Only SIP Contacts Can Be Reached"}
		}
		b := newBinding(c, req)
		seconds, given := expiresOf(req.Request, c.Params)
		lifetime := time.Duration(seconds) * time.Second
		switch {
		case !given:
			lifetime = s.cfg.MaxExpires
		case lifetime > 0 && lifetime < s.cfg.MinExpires:
			return nil, false, &refusal{423, "Interval Too Brief"}
		}
		b.created, b.expires = now, now.Add(min(lifetime, s.cfg.MaxExpires))
		asked = append(asked, b)
	}
	if len(asked) > maxBindings {
		return nil, false, &refusal{403, "Too Many Endpoints Of This User"}
	}
	return asked, false, nil
}

// newBinding reads one Contact.
func newBinding(c *sip.ContactHeader, req *sipua.Request) *binding {
	b := &binding{
		user:    userOf(&req.To().Address),
		contact: sip.ContactHeader{DisplayName: c.DisplayName, Address: *c.Address.Clone()},
		callID:  string(*req.CallID()), cseq: req.CSeq().SeqNo, source: req.Source(),
	}
	for _, p := range c.Params {
		switch p.K {
		case "expires", "pub-gruu", "temp-gruu", "temp-gruu-cookie":
			continue
		case "+sip.instance":
			b.instance = strings.Trim(p.V, `"<>`)
		case "reg-id":
			b.regID = p.V
		}
		b.contact.Params = append(b.contact.Params, p)
	}
	if b.instance == "" {
		b.regID = "" // RFC 5626 §6: reg-id means nothing without an instance
	} else {
		b.tempGRUU = newTempGRUU()
	}
	return b
}

// expiresOf is the interval in seconds that a request asks for, by a Contact parameter or the Expires field. What is
// malformed counts as not given (RFC 3261 §20.19 and §10.2.1.1).
func expiresOf(req *sip.Request, params sip.HeaderParams) (seconds uint32, given bool) {
	text, ok := params.Get("expires")
	if !ok {
		h := req.GetHeader("Expires")
		if h == nil {
			return 0, false
		}
		text = h.Value()
	}
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	return uint32(n), err == nil
}

// registered is what a 200 to REGISTER tells: all bindings with the time each has left.
func (s *Server) registered(req *sipua.Request, user string, bindings []*binding) []sip.Header {
	now := time.Now()
	hs := []sip.Header{sip.NewHeader("Date", httpDate(now))}
	gruu := supports(req.Request, "gruu")
	if gruu {
		hs = append(hs, sip.NewHeader("Supported", "gruu, outbound"))
	}
	outbound := false
	for _, b := range bindings {
		c := b.contact.Clone()
		c.Params.Add("expires", itoa(int((b.expires.Sub(now)+time.Second-1)/time.Second)))
		if gruu && b.instance != "" { // RFC 5627 §5.2
			c.Params.Add("pub-gruu", `"`+s.pubGRUU(user, b.instance)+`"`)
			c.Params.Add("temp-gruu", `"`+s.tempGRUU(b)+`"`)
		}
		outbound = outbound || b.regID != "" && b.callID == string(*req.CallID())
		hs = append(hs, c)
	}
	if outbound && supports(req.Request, "outbound") {
		hs = append(hs, sip.NewHeader("Require", "outbound")) // RFC 5626 §6: the flow is kept
	}
	return hs
}

func itoa(n int) string { return strconv.Itoa(n) }

// wholeSeconds writes an interval, rounded up.
func wholeSeconds(d time.Duration) string { return itoa(int((d + time.Second - 1) / time.Second)) }

// httpDate is the form of a Date field (RFC 3261 §20.17).
func httpDate(t time.Time) string { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") }
