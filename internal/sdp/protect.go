package sdp

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// promise is what an offer of ours says about encryption.
type promise struct {
	required    bool
	cryptos     []crypto
	fingerprint string
}

// firstProfile is that of a dialog in which nobody has offered anything yet, as far as the policy allows it.
func (n *Negotiation) firstProfile() string {
	if n.local.OverTLS && n.local.Fingerprint != "" {
		return "UDP/TLS/RTP/SAVP"
	}
	return "RTP/AVP"
}

// profile is that of our next offer. One that keys can be offered under in two ways does not exist: RTP/SAVP means SDES
// and UDP/TLS/RTP/SAVP means DTLS. So a call that may be plain says RTP/AVP with keys (RFC 8643 §3.1), one that may not
// says RTP/SAVP, and a dialog keeps the profile it has where that is possible.
func (n *Negotiation) profile(current string) string {
	switch secure := profiles[strings.ToUpper(current)]; {
	case n.local.Policy == Off && secure:
		return "RTP/AVP"
	case n.local.Policy == Required && !secure:
		return "RTP/SAVP"
	}
	return current
}

// promise makes the keys of an offer under a profile. Once a method is in use it is the only one that is offered: a change
// would interrupt the sound. Keys stay the same as long as they are in use (RFC 4568 §7.1.4).
func (n *Negotiation) promise(profile string) (promise, []Attribute) {
	profile = strings.ToUpper(profile)
	p := promise{required: n.local.Policy == Required || profiles[profile]}
	if n.local.Policy == Off {
		return promise{}, nil
	}
	overTLS := strings.HasPrefix(profile, "UDP/TLS")
	var attributes []Attribute
	if !overTLS && !n.uses(DTLS) {
		for _, s := range n.offered() {
			if n.keys[s.name] == nil {
				n.keys[s.name] = newKey(s)
			}
			c := crypto{tag: strconv.Itoa(len(p.cryptos) + 1), suite: s.name, key: n.keys[s.name]}
			p.cryptos = append(p.cryptos, c)
			attributes = append(attributes, c.attribute())
		}
	}
	if n.local.Fingerprint != "" && (overTLS || !n.uses(SDES)) {
		p.fingerprint = n.local.Fingerprint
		attributes = append(attributes, Attribute{"fingerprint", p.fingerprint}, Attribute{"setup", "actpass"}) // RFC 5763 §5
	}
	return p, attributes
}

// offered are the suites to offer, the one in use first.
func (n *Negotiation) offered() []suite {
	var first, rest []suite
	for _, s := range suites {
		switch {
		case n.uses(SDES) && n.current.Protection.Suite == s.name:
			first = append(first, s)
		case s.common || n.local.Policy == Required:
			rest = append(rest, s)
		}
	}
	return append(first, rest...)
}

func (n *Negotiation) uses(m Method) bool {
	return n.current != nil && n.current.Protection.Method == m
}

// promised is the protection that their answer chooses from our offer.
func (n *Negotiation) promised(a audio, p promise) (Protection, error) {
	withKey, withCertificate := len(a.cryptos) > 0 && len(p.cryptos) > 0, len(a.fingerprints) > 0 && p.fingerprint != ""
	switch {
	case withKey && withCertificate: // RFC 8643 §3.2
		return Protection{}, fmt.Errorf("%w: they chose two ways at once", ErrEncryption)
	case withKey:
		return chosenKey(a.cryptos[0], p.cryptos)
	case withCertificate:
		active, ok := n.role(a, true, p.fingerprint)
		if !ok {
			return Protection{}, fmt.Errorf("%w: they do not say who begins (setup:%s)", ErrEncryption, printable(a.setup))
		}
		return n.dtls(a, active), nil
	case p.required:
		return Protection{}, fmt.Errorf("%w: they answered without", ErrEncryption)
	case a.secure:
		return Protection{}, fmt.Errorf("%w: they answered with a key that is none", ErrEncryption)
	}
	return Protection{Method: Plain}, nil
}

// chosenKey joins their key with the one of ours that has the same tag (RFC 4568 §5.1.3).
func chosenKey(theirs crypto, ours []crypto) (Protection, error) {
	for _, c := range ours {
		if c.tag != theirs.tag || c.suite != theirs.suite {
			continue
		}
		if bytes.Equal(c.key, theirs.key) {
			return Protection{}, fmt.Errorf("%w: they sent our own key back", ErrEncryption)
		}
		return sdes(c.suite, c.key, theirs), nil
	}
	return Protection{}, fmt.Errorf("%w: they chose %s, which was not offered so", ErrEncryption, theirs.suite)
}

func sdes(suite string, local Key, theirs crypto) Protection {
	return Protection{Method: SDES, Suite: suite, LocalKey: local, RemoteKey: theirs.key, RemoteMKI: theirs.mki}
}

// protect chooses exactly one protection for an offer of theirs, and writes what the answer says of it (RFC 8643 §3.2).
// Where both methods are offered, DTLS keeps the keys out of the signalling; but RTP/SAVP is the profile of SDES, and what
// is in use stays.
func (n *Negotiation) protect(a audio) (Protection, []Attribute, error) {
	if n.local.Policy == Off {
		if a.secure {
			return Protection{}, nil, fmt.Errorf("%w: they insist on it, here it is switched off", ErrEncryption)
		}
		return Protection{Method: Plain}, nil, nil
	}
	order := []func(audio) (Protection, []Attribute, bool){n.protectDTLS, n.protectSDES}
	switch {
	case a.overTLS:
		order = order[:1]
	case n.uses(SDES), a.secure && !n.uses(DTLS):
		slices.Reverse(order)
	}
	for _, try := range order {
		if p, attributes, ok := try(a); ok {
			return p, attributes, nil
		}
	}
	switch {
	case a.overTLS && n.local.Fingerprint == "":
		return Protection{}, nil, fmt.Errorf("%w: they insist on DTLS, which is not available here", ErrEncryption)
	case a.secure:
		return Protection{}, nil, fmt.Errorf("%w: they insist on it, with no key that is understood here", ErrEncryption)
	case n.local.Policy == Required:
		return Protection{}, nil, fmt.Errorf("%w: they offer none", ErrEncryption)
	}
	return Protection{Method: Plain}, nil, nil
}

func (n *Negotiation) protectDTLS(a audio) (Protection, []Attribute, bool) {
	if n.local.Fingerprint == "" || len(a.fingerprints) == 0 {
		return Protection{}, nil, false
	}
	active, ok := n.role(a, false, n.local.Fingerprint)
	if !ok {
		return Protection{}, nil, false
	}
	setup := "passive"
	if active {
		setup = "active"
	}
	return n.dtls(a, active), []Attribute{{"fingerprint", n.local.Fingerprint}, {"setup", setup}}, true
}

// protectSDES takes the first of their keys. Ours stays while theirs does; a new one of theirs may mean that another
// device has taken over, which does not know how far our packet counter is.
func (n *Negotiation) protectSDES(a audio) (Protection, []Attribute, bool) {
	if len(a.cryptos) == 0 {
		return Protection{}, nil, false
	}
	theirs := a.cryptos[0]
	if n.uses(SDES) {
		for _, c := range a.cryptos {
			if c.suite == n.current.Protection.Suite && bytes.Equal(c.key, n.current.Protection.RemoteKey) {
				ours := crypto{tag: c.tag, suite: c.suite, key: n.current.Protection.LocalKey}
				return sdes(c.suite, ours.key, c), []Attribute{ours.attribute()}, true
			}
		}
	}
	s, _ := suiteNamed(theirs.suite)
	ours := crypto{tag: theirs.tag, suite: theirs.suite, key: newKey(s)}
	return sdes(s.name, ours.key, theirs), []Attribute{ours.attribute()}, true
}

// dtls is what follows from their side of an agreement on DTLS. Another association is asked for by another name of it
// (RFC 8842 §4), or by connection:new (RFC 4145 §5). RFC 5763 §5 does not want the attribute and we do not say it; but
// Asterisk does, and waits for a handshake then.
func (n *Negotiation) dtls(a audio, active bool) Protection {
	p := Protection{Method: DTLS, Active: active, Fingerprints: a.fingerprints, Association: a.association}
	if n.uses(DTLS) {
		was := n.current.Protection.Association
		p.Existing = a.connection == "existing"
		p.Renew = a.connection == "new" || was != "" && a.association != "" && a.association != was
	}
	return p
}

// role says whether we begin the handshake. While both certificates stay, so do the association and its roles (RFC 8842
// §5.5): an offer says actpass all the same. ok is false for a value that decides nothing.
func (n *Negotiation) role(a audio, offering bool, fingerprint string) (active, ok bool) {
	if n.uses(DTLS) && n.ours == fingerprint && slices.Equal(n.current.Protection.Fingerprints, a.fingerprints) {
		was := n.current.Protection.Active
		if a.setup == "actpass" || a.setup == "holdconn" || a.setup == "" {
			return was, true
		}
	}
	switch a.setup {
	case "actpass": // RFC 5763 §5: active is recommended, for it saves a round trip
		return true, !offering
	case "active":
		return false, true
	case "passive":
		return true, true
	case "": // RFC 4145 §4.1: active in an offer, passive in an answer
		return offering, true
	}
	return false, false // holdconn: no handshake for now, and so no sound
}

// hashes are those of a fingerprint that proves anything (RFC 8122 §5), with their lengths.
var hashes = map[string]int{"sha-256": 32, "sha-384": 48, "sha-512": 64}

// readFingerprints reads a=fingerprint, in the spelling of Protection.
func readFingerprints(attributes []Attribute) []string {
	var prints []string
	for _, a := range attributes {
		if !strings.EqualFold(a[0], "fingerprint") {
			continue
		}
		f := strings.Fields(a[1])
		if len(f) != 2 {
			continue
		}
		hash, hex := strings.ToLower(f[0]), strings.ToUpper(f[1])
		if length, ok := hashes[hash]; ok && len(hex) == 3*length-1 && isHexPairs(hex) {
			prints = append(prints, hash+" "+hex)
		}
	}
	return prints
}

// isHexPairs reports whether s is pairs of digits with colons between.
func isHexPairs(s string) bool {
	for i := range len(s) {
		colon := i%3 == 2
		if colon != (s[i] == ':') || !colon && !strings.ContainsRune("0123456789ABCDEF", rune(s[i])) {
			return false
		}
	}
	return true
}
