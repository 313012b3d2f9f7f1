package park

import (
	"strings"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// SameParty reports whether two addresses are those of one party: the same address of record, whatever the parameters
// (a device, a transport) and the display names. Users are compared exactly and hosts without case (RFC 3261 §19.1.4),
// telephone numbers by their digits (RFC 3966 §4): the same caller comes as tel:+1-206-555-0100 by one gateway and as
// sip:+12065550100@gateway by another. A party without an address is nobody's same.
func SameParty(a, b Party) bool {
	ua, errA := sipua.ParseURI(a.URI)
	ub, errB := sipua.ParseURI(b.URI)
	if errA != nil || errB != nil {
		return false
	}
	na, nb := telephoneNumber(ua), telephoneNumber(ub)
	switch {
	case na != "" && na == nb && (global(na) || ua.Scheme == "tel" || ub.Scheme == "tel"):
		return true
	case ua.Scheme == "tel" || ub.Scheme == "tel":
		return false
	case na != "" && nb != "":
		return na == nb && strings.EqualFold(ua.Host, ub.Host)
	}
	return ua.User == ub.User && strings.EqualFold(ua.Host, ub.Host)
}

func global(number string) bool { return strings.HasPrefix(number, "+") }

// telephoneNumber is the digits of a user that is a number, with the + of a global one; "" if it is none.
func telephoneNumber(u sip.Uri) string {
	user := u.User
	if u.Scheme == "tel" {
		user, _, _ = strings.Cut(u.Raw(), ";")
	}
	user, _, _ = strings.Cut(user, ";") // parameters of a number within a SIP URI (RFC 3261 §19.1.6)
	digits := strings.NewReplacer("-", "", ".", "", "(", "", ")", "").Replace(user)
	if rest := strings.TrimPrefix(digits, "+"); rest == "" || strings.Trim(rest, "0123456789*#") != "" {
		return ""
	}
	return digits
}
