// Package sdp reads and writes session descriptions (RFC 8866) and negotiates with them: one side offers, the other
// answers, and both know what has been agreed (RFC 3264).
//
// An answer has a line for each line of the offer, in the same order; what is not wanted gets port 0, and no line is ever
// removed from a dialog. One audio line is accepted, and the first message line of an IM session.
//
// Audio is negotiated by a Negotiation, one for each dialog; it is pure, and knows no SIP and no sound. Its result is an
// Agreement. Each side says which formats it takes, under payload types of its own, so the numbers of the two directions
// may differ; a number keeps its meaning for the whole dialog. Holding a call is to offer sendonly. An offer that is refused
// leaves in force what was agreed before.
//
// How SRTP gets its keys is agreed as well (protect.go). SDES puts them into the description itself, under the profile
// RTP/SAVP (RFC 4568). DTLS puts only the fingerprint of a certificate there, and who begins the handshake (RFC 5763). A
// call that may also be plain offers both under RTP/AVP, and the answer takes one, or none (RFC 8643). Keys and roles stay
// while both sides leave them alone, because a change of them costs sound.
//
// An IM session over SIP is offered as one media line, m=message 5060 sip null: neither the protocol nor the format is
// registered anywhere, and address and port mean nothing, because the messages travel in the dialog itself. The
// attribute accept-types has MSRP's meaning (RFC 4975 §8.6) and is the only part that matters. The answer names the
// answerer's address as the format: m=message 5060 sip sip:bob@example.org.
//
// The reader is lenient: lines may end with LF alone, be missing, or stand in another order; protocols and formats that
// nobody registered are kept. It refuses only what cannot be answered: a media line that is none, or control characters.
package sdp

import (
	"errors"
	"net/netip"
	"strings"
)

// MaxSize bounds a description that is parsed, in bytes; MaxMedia its media lines.
const (
	MaxSize  = 64 << 10
	MaxMedia = 32
)

// ErrMalformed is wrapped by what Parse returns.
var ErrMalformed = errors.New("sdp: malformed")

// Session is a parsed session description.
type Session struct {
	Origin     string     // of o=, without the "o="; "" if it is missing
	Name       string     // of s=
	Addr       netip.Addr // of c=; not valid if missing or a host name
	Time       string     // of the first t=
	Attributes []Attribute
	Media      []Media
}

// Media is one media line as received.
type Media struct {
	Kind        string // message, audio, video
	Port        int    // 0: rejected, or in an offer not used
	Proto       string // sip, TCP/TLS/MSRP, RTP/AVP, …
	Formats     []string
	Addr        netip.Addr // of its own c=; not valid if it has none
	AcceptTypes []string   // of a=accept-types
	Attributes  []Attribute
}

// Attribute is an a= line: its name and what follows the colon, if anything.
type Attribute [2]string

// Attribute returns the value of the first attribute with a name, and whether there is one.
func (m Media) Attribute(name string) (value string, ok bool) {
	for _, a := range m.Attributes {
		if strings.EqualFold(a[0], name) {
			return a[1], true
		}
	}
	return "", false
}
