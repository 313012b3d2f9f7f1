package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Bounds of park.orbits: every orbit is watched by itself.
const (
	maxOrbits = 200
	maxOrbit  = 999_999
)

// What stands for something else in the addresses of a dial plan.
const (
	orbitSlot = "{orbit}"
	tokenSlot = "{token}"
)

// wrong returns the values that are refused, in the order of the fields.
func (p Park) wrong() []wrong {
	var out []wrong
	refuse := func(key string, err error) {
		if err != nil {
			out = append(out, wrong{"park." + key, err.Error()})
		}
	}
	if p.Server != "" && p.Server != "off" && !isCallable(p.Server) {
		refuse("server", fmt.Errorf("%.80q is not a park service; expected sip:user@domain, or off", p.Server))
	}
	refuse("extension", checkTemplate(p.Extension, "700", tokenSlot))
	refuse("slot_uri", checkTemplate(p.SlotURI, "park-{orbit}*{token}", orbitSlot, tokenSlot))
	if p.SlotURI != "" && !strings.Contains(p.SlotURI, orbitSlot) {
		refuse("slot_uri", fmt.Errorf("%.80q does not say at which orbit; expected e.g. park-{orbit}*{token}", p.SlotURI))
	}
	refuse("retrieve_uri", checkTemplate(p.RetrieveURI, "get-{orbit}*{token}", orbitSlot, tokenSlot))
	if p.RetrieveURI != "" && !strings.Contains(p.RetrieveURI, orbitSlot) && !strings.Contains(p.RetrieveURI, tokenSlot) {
		refuse("retrieve_uri", fmt.Errorf("%.80q does not say which call; expected e.g. get-{orbit}*{token}", p.RetrieveURI))
	}
	refuse("orbits", checkOrbits(p.Orbits))
	return out
}

// checkTemplate looks at what is called once the slots in it are filled: a user part, or a URI.
func checkTemplate(template, example string, slots ...string) error {
	filled := template
	for _, slot := range slots {
		filled = strings.ReplaceAll(filled, slot, "0")
	}
	switch {
	case filled == "", isUser(filled), isCallable(filled):
		return nil
	case strings.ContainsAny(filled, "{}"):
		return fmt.Errorf("%.80q has something in braces that is not known here; accepted is %s", template, strings.Join(slots, " and "))
	default:
		return fmt.Errorf("%.80q cannot be called; expected a number, a user or a SIP address, e.g. %s", template, example)
	}
}

// checkOrbits looks at numbers and ranges of them.
func checkOrbits(orbits string) error {
	bad := fmt.Errorf("%.60q are not orbits; expected numbers of up to six digits, e.g. 701-720 or 701,703", orbits)
	count := 0
	for part := range strings.SplitSeq(orbits, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		low, badLow := strconv.ParseUint(strings.TrimSpace(first), 10, 32)
		high, badHigh := strconv.ParseUint(strings.TrimSpace(last), 10, 32)
		if badLow != nil || badHigh != nil || low > high || high > maxOrbit {
			return bad
		}
		count += int(high-low) + 1
	}
	switch {
	case count > maxOrbits:
		return fmt.Errorf("%.60q are %d orbits; at most %d can be watched", orbits, count, maxOrbits)
	case count == 0 && orbits != "":
		return bad
	}
	return nil
}

// isCallable accepts sip:user@host, with a port and a transport if need be.
func isCallable(uri string) bool {
	rest, ok := cutScheme(uri)
	user, host, at := strings.Cut(rest, "@")
	return ok && at && isUser(user) && checkServer("sip:"+host) == nil && !strings.ContainsAny(uri, " \t\r\n<>\"?")
}

// isUser accepts what can stand before the @ of a SIP URI without escapes (RFC 3261 §25.1), as digits and names of
// extensions do.
func isUser(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("-_.!~*'()&=+$,", r))
	})
}
