package sipua

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Replaces names a dialog that an INVITE is to take over (RFC 3891 §6.1), as the user agent sees it that receives the
// INVITE: ToTag is its own tag, FromTag that of the party it is to be taken from (§3).
type Replaces struct {
	CallID, ToTag, FromTag string
	EarlyOnly              bool // not if the dialog is confirmed
}

var errReplaces = errors.New("sipua: malformed Replaces")

// ParseReplaces parses the value of a Replaces header.
func ParseReplaces(value string) (Replaces, error) {
	parts := strings.Split(value, ";") // a Call-ID may hold quotation marks and brackets, which mean nothing here
	r := Replaces{CallID: strings.TrimSpace(parts[0])}
	if r.CallID == "" || strings.ContainsFunc(r.CallID, func(c rune) bool { return c <= ' ' || c == ',' || c > '~' }) {
		return Replaces{}, errReplaces
	}
	for _, p := range parts[1:] {
		name, v, _ := strings.Cut(p, "=")
		v = strings.TrimSpace(v)
		var tag *string
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "to-tag":
			tag = &r.ToTag
		case "from-tag":
			tag = &r.FromTag
		case "early-only":
			r.EarlyOnly = true
			continue
		default:
			continue
		}
		if *tag != "" || !isToken(v) { // §6.1: exactly one of each
			return Replaces{}, errReplaces
		}
		*tag = v
	}
	if r.ToTag == "" || r.FromTag == "" {
		return Replaces{}, errReplaces
	}
	return r, nil
}

// String is the header value.
func (r Replaces) String() string {
	s := fmt.Sprintf("%s;to-tag=%s;from-tag=%s", r.CallID, or(r.ToTag, "0"), or(r.FromTag, "0"))
	if r.EarlyOnly {
		s += ";early-only"
	}
	return s
}

// Header is the header.
func (r Replaces) Header() sip.Header { return sip.NewHeader("Replaces", r.String()) }

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Replaces names this dialog for the other side of it: for an INVITE to that side, or a REFER that causes one. What is our
// tag here is the other's there.
func (d *Dialog) Replaces() Replaces {
	return Replaces{CallID: d.id.CallID, ToTag: d.id.RemoteTag, FromTag: d.id.LocalTag}
}

// RemoteTarget is where the requests of this dialog go: the other side's newest Contact.
func (d *Dialog) RemoteTarget() sip.Uri {
	d.mu.Lock()
	defer d.mu.Unlock()
	return *d.target.Clone()
}

// ReferTo is the URI to refer somebody to who is to take our place in this dialog (RFC 3515 §2.1, RFC 5589 §7): the other
// side's device, for no other has the dialog, with Replaces among the headers of the URI.
func (d *Dialog) ReferTo() sip.Uri {
	to := d.RemoteTarget()
	to.Headers = sip.HeaderParams{{K: "Replaces", V: escapeHeader(d.Replaces().String())}}
	return to
}

// escapeHeader writes a value as part of a URI (RFC 3261 §19.1.2): everything escaped that might mean something.
func escapeHeader(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isAlnum(c) || strings.IndexByte("-_.!~*'()", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// Referred reads a URI from Refer-To: whom to call, and with which headers. A URI may ask for any header, and a stranger
// may have written it, so only Replaces is taken (RFC 3261 §19.1.5). With it the INVITE requires the extension, or it
// would ring at a phone that does not know it (RFC 3891 §4).
func Referred(u sip.Uri) (target sip.Uri, headers []sip.Header, err error) {
	target = *u.Clone()
	target.Headers = nil
	target.UriParams.Remove("method")
	for _, h := range u.Headers {
		if !strings.EqualFold(h.K, "Replaces") {
			continue
		}
		value, err := url.PathUnescape(h.V)
		if err != nil || headers != nil {
			return sip.Uri{}, nil, errReplaces
		}
		r, err := ParseReplaces(value)
		if err != nil {
			return sip.Uri{}, nil, err
		}
		headers = []sip.Header{r.Header(), sip.NewHeader("Require", "replaces")}
	}
	return target, headers, nil
}

// FindDialog finds a dialog of this agent, early ones and those just ended included.
func (a *Agent) FindDialog(id DialogID) (*Dialog, bool) {
	d := a.dialog(id)
	return d, d != nil
}

// readReplaces reads the INVITE's Replaces header. More than one, and one that makes no sense, are errors (RFC 3891 §3).
func (i *Invite) readReplaces() error {
	values := i.req.GetHeaders("replaces")
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 || i.req.GetHeader("join") != nil {
		return errReplaces
	}
	r, err := ParseReplaces(values[0].Value())
	i.replaces = &r
	return err
}

// Replaces is the dialog that the INVITE wants to take over; ok is false if it wants none. It says nothing of who may do
// that (RFC 3891 §8).
func (i *Invite) Replaces() (r Replaces, ok bool) {
	if i.replaces == nil {
		return Replaces{}, false
	}
	return *i.replaces, true
}

// Replaced finds the dialog that the INVITE takes over: a confirmed one, which has to be ended with Bye once the INVITE is
// answered, or an early one of an INVITE of ours, to be canceled then. A *StatusError is what to reject the INVITE with
// (RFC 3891 §3). Without Replaces the dialog is nil.
func (i *Invite) Replaced() (*Dialog, error) {
	if i.replaces == nil {
		return nil, nil
	}
	d := i.agent.replaced(*i.replaces)
	switch {
	case d == nil || d == i.dialog || d.stateIs(early) && !d.caller: // nobody may pick up a call that rings here
		return nil, &StatusError{Code: 481, Reason: "Call/Transaction Does Not Exist"}
	case d.stateIs(mortal):
		return nil, &StatusError{Code: 603, Reason: "Declined"}
	case i.replaces.EarlyOnly && !d.stateIs(early):
		return nil, &StatusError{Code: 486, Reason: "Busy Here"}
	}
	return d, nil
}

// replaced finds a dialog by Replaces. A tag of 0 also matches none, from a peer of RFC 2543 (RFC 3891 §3).
func (a *Agent) replaced(r Replaces) *Dialog {
	d := a.dialog(DialogID{r.CallID, r.ToTag, r.FromTag})
	if d == nil && r.FromTag == "0" {
		d = a.dialog(DialogID{r.CallID, r.ToTag, ""})
	}
	return d
}
