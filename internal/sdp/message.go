package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// MessageOffer is an SDP with one message media line: m=message PORT sip null.
type MessageOffer struct {
	Addr        netip.AddrPort // decoration; port 0 is written as 5060, for 0 would mean no
	AcceptTypes []string       // empty means text/plain
	SessionID   uint64         // of o=; the same for a dialog's whole life
}

// ErrNoMessage is returned by AnswerMessage when no media line is a message session over SIP.
var ErrNoMessage = errors.New("sdp: no message session over SIP is offered")

const textPlain = "text/plain"

// Marshal writes the offer.
func (o MessageOffer) Marshal() []byte {
	s := o.session()
	s.Media = []Media{o.media("message", "null")}
	return s.Marshal()
}

func (o MessageOffer) session() Session {
	return Session{
		Origin: fmt.Sprintf("- %d 0 %s", o.SessionID, connection(o.Addr.Addr())),
		Name:   "session",
		Addr:   o.Addr.Addr(),
		Time:   "0 0",
	}
}

func (o MessageOffer) media(kind, format string) Media {
	port := int(o.Addr.Port())
	if port == 0 {
		port = 5060
	}
	types := strings.Join(o.AcceptTypes, " ")
	return Media{
		Kind: kind, Port: port, Proto: "sip", Formats: []string{format},
		Attributes: []Attribute{{"accept-types", or(types, textPlain)}},
	}
}

// AnswerMessage answers an offer: exactly one message-over-sip line is accepted, every other line rejected with port 0
// in its place (RFC 3264 §6). user is this side's address, sip:bob@example.org.
func AnswerMessage(offer Session, local MessageOffer, user string) ([]byte, error) {
	s := local.session()
	s.Time = offer.Time // RFC 3264 §6: the answer's t= equals the offer's
	accepted := false
	for _, m := range offer.Media {
		if !accepted && m.isMessage() {
			accepted = true
			s.Media = append(s.Media, local.media(m.Kind, userFormat(user)))
			continue
		}
		s.Media = append(s.Media, Media{Kind: m.Kind, Proto: m.Proto, Formats: m.Formats})
	}
	if !accepted {
		return nil, ErrNoMessage
	}
	return s.Marshal(), nil
}

// isMessage reports whether the line is an open message session over SIP. LCS 2005 called the medium x-ms-message.
func (m Media) isMessage() bool {
	kind := strings.ToLower(m.Kind)
	return (kind == "message" || kind == "x-ms-message") && strings.EqualFold(m.Proto, "sip") && m.Port != 0
}

// userFormat makes a format of an address; one that could not stand in a line becomes null.
func userFormat(user string) string {
	if user == "" || strings.ContainsFunc(user, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "null"
	}
	if !strings.Contains(user, ":") {
		return "sip:" + user
	}
	return user
}

// AcceptedMessage reads an answer to a MessageOffer and returns the types the other side takes. An answer with fewer
// lines than offered is matched by protocol. A peer that names no types takes text/plain.
func AcceptedMessage(answer Session) (acceptTypes []string, ok bool) {
	for _, m := range answer.Media {
		if m.isMessage() {
			if len(m.AcceptTypes) == 0 {
				return []string{textPlain}, true
			}
			return m.AcceptTypes, true
		}
	}
	return nil, false
}

// Accepts reports whether a list of accept-types has a content type (RFC 4975 §8.6: * is all, text/* is a family).
func Accepts(acceptTypes []string, contentType string) bool {
	contentType, _, _ = strings.Cut(strings.ToLower(contentType), ";")
	contentType = strings.TrimSpace(contentType)
	family, _, _ := strings.Cut(contentType, "/")
	for _, t := range acceptTypes {
		if t == "*" || t == "*/*" || strings.EqualFold(t, contentType) || strings.EqualFold(t, family+"/*") {
			return true
		}
	}
	return false
}
