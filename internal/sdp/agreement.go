package sdp

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"
)

// Errors of a negotiation. Each is told to the user in words of its own.
var (
	ErrNoAudio    = errors.New("sdp: no audio is offered")
	ErrNoCodec    = errors.New("sdp: no codec in common")
	ErrEncryption = errors.New("sdp: encryption is required on one side only")
	ErrState      = errors.New("sdp: no offer is open, or one is open already")
)

// Direction is which way media go, as this side sees it (RFC 3264 §5.1).
type Direction uint8

// The directions; Sending and Receiving are the bits of it.
const (
	Inactive  Direction = 0
	Sending   Direction = 1
	Receiving Direction = 2
	Both      Direction = Sending | Receiving
)

var directions = [...]string{Inactive: "inactive", Sending: "sendonly", Receiving: "recvonly", Both: "sendrecv"}

// String is the attribute that says it.
func (d Direction) String() string { return directions[d&Both] }

// reversed is the same as the other side sees it.
func (d Direction) reversed() Direction { return d&Sending<<1 | d&Receiving>>1 }

// Policy is whether media have to be encrypted.
type Policy uint8

// The policies.
const (
	Opportunistic Policy = iota // offered, used when the other side can (RFC 8643)
	Required                    // no call without
	Off
)

// Format is one codec of an audio line.
type Format struct {
	PayloadType uint8
	Name        string // in lower case: opus, g722, pcmu, pcma, telephone-event, cn
	ClockRate   int    // of the RTP timestamps, in Hz
	Channels    int    // 1 where the description says nothing
	Params      string // of a=fmtp, "" without
}

// Local is what this side brings to a negotiation.
type Local struct {
	Addr        netip.AddrPort // where RTP is received; RTCP comes there, too, or to the next port
	Formats     []Format       // in order of preference, with the payload types of our offers
	Ptime       time.Duration  // of a packet that we like to get; 0 leaves it out
	Policy      Policy
	Fingerprint string // of the DTLS certificate, "sha-256 AB:CD:…"; "" means no DTLS-SRTP
	// OverTLS begins with UDP/TLS/RTP/SAVP, for those who know DTLS-SRTP by its profile alone (RFC 5764 §8).
	OverTLS bool
}

// Key is a master key and its salt, one after the other. It never prints.
type Key []byte

// String keeps the key out of prints.
func (Key) String() string { return "[secret]" }

// GoString keeps the key out of prints.
func (Key) GoString() string { return "[secret]" }

// LogValue keeps the key out of logs.
func (Key) LogValue() slog.Value { return slog.StringValue("[secret]") }

// Method is how SRTP gets its keys.
type Method string

// The methods, in the words of the control API.
const (
	Plain Method = "none"
	SDES  Method = "sdes" // RFC 4568
	DTLS  Method = "dtls" // RFC 5763
)

// Protection is how the media of an agreement are protected.
type Protection struct {
	Method Method
	// SDES
	Suite               string // AES_CM_128_HMAC_SHA1_80, …
	LocalKey, RemoteKey Key    // what we protect with, and what they do
	RemoteMKI           []byte // at the end of what they send; nil without
	// DTLS
	Active       bool     // we begin the handshake (RFC 5763 §5)
	Fingerprints []string // of their certificate, "sha-256 AB:CD:…"
	Association  string   // what they call the association (RFC 8842 §4); "" without
	// Renew is set when they ask for another association with the same certificates in the place of the one in force. It
	// goes on until the other one is complete.
	Renew bool
	// Existing is set when they say that the association in force stays. Some say so when they have forgotten it.
	Existing bool
}

// Agreement is what offer and answer have agreed for the audio of a dialog.
type Agreement struct {
	Remote     netip.AddrPort // where our RTP goes; not valid means nowhere
	RemoteRTCP netip.AddrPort // the same as Remote with Mux
	Mux        bool           // RTP and RTCP on one port (RFC 5761)
	Direction  Direction      // as this side sees it
	// Silent is set when they gave 0.0.0.0 as their address, the old way of holding: neither RTP nor RTCP goes there.
	Silent bool
	// Send are the formats that they take, best first, with the payload types to send; Send[0] is the codec in use. Receive
	// are those that may arrive, with the payload types to expect. The numbers may differ (RFC 3264 §5.1).
	Send, Receive []Format
	Ptime         time.Duration // of the packets we send; 20 ms unless they wish otherwise
	Protection    Protection
}

// RemoteHold reports whether the other side holds this call: it does not take our media.
func (a Agreement) RemoteHold() bool { return a.Silent || a.Direction&Sending == 0 }
