// Package media is what calls and sound say to each other: package session decides what a call is, package audio what it
// sounds like, and neither imports the other.
//
// A call opens a Stream, which has a socket from then on. Local is what an offer may promise for it; Apply puts what
// offer and answer agreed (package sdp) into force, as often as they agree anew. What the stream finds out by itself (the
// media are protected now, nothing is heard any more) it tells by Options.Told.
package media

import (
	"context"
	"errors"
	"net/netip"

	"offhook/internal/sdp"
)

// ErrNoDigits is returned by Stream.Digits where the agreement has no telephone events.
var ErrNoDigits = errors.New("media: the other side takes no telephone events")

// Engine makes sound for calls. It is implemented by audio.Engine.
type Engine interface {
	// Open makes the media of one call: sockets, payload formats, keys. Nothing is sent before Apply.
	Open(ctx context.Context, opt Options) (Stream, error)
	// Ring plays what the user is to hear beside the calls, on the ringers (Ring, CallWaiting) or on the speaker (the
	// others), until the next Ring. It returns at once.
	Ring(t Tone)
}

// Options of a stream.
type Options struct {
	Name   string     // of the call, for logs and events
	Local  netip.Addr // address to receive on, as the peer shall see it
	Policy sdp.Policy // whether media have to be encrypted
	// Told is called for what the stream finds out by itself, from goroutines of the stream. It must not block and must
	// not call the stream. Nil tells nobody.
	Told func(Event)
}

// Stream is the media of one call.
type Stream interface {
	// Local is what may be offered for this stream.
	Local() sdp.Local
	// Apply puts an agreement into force. It does not wait: a DTLS handshake goes on behind it and is told by Event.
	Apply(a sdp.Agreement) error
	// Move receives on another address from now on, because the network has changed; Local has it for the next offer.
	Move(ctx context.Context, local netip.Addr) error
	// Hold stops microphone and speaker for this stream at once, before the other side has agreed to anything.
	Hold(on bool)
	// Mute sends silence instead of the microphone.
	Mute(on bool)
	// Conference joins streams: those with the same group, other than "", hear each other besides this user.
	Conference(group string)
	// Digits sends telephone events (RFC 4733): 0-9 * # A-D, and a comma for a pause of a second. It returns when the last
	// one has been sent. Without telephone-event in the agreement the error is ErrNoDigits.
	Digits(ctx context.Context, digits string) error
	// Record writes both sides to a WAV file, this user left and the peer right; it never overwrites.
	Record(path string) error
	// StopRecording ends it and returns the path; "" if nothing was recorded.
	StopRecording() (string, error)
	// Stats tells how the stream is doing.
	Stats() Stats
	// Close ends the stream: RTCP BYE, sockets closed.
	Close() error
}

// Tone is what the user hears beside the calls.
type Tone int

// The tones. Frequencies and cadences are in package audio.
const (
	NoTone      Tone = iota
	Ring             // somebody calls
	CallWaiting      // somebody calls during a call
	Ringback         // it rings at the other end
	Busy             // they are busy
	Congestion       // the network could not do it
	Hangup           // the call has ended
)

// EventKind says what an Event tells.
type EventKind int

// The kinds of Event.
const (
	FirstAudio     EventKind = iota // the first packet of this agreement was heard
	Secured                         // the media are protected from now on; Text names the method and suite
	SecurityFailed                  // keys could not be agreed; the session must fail (RFC 8643 §3)
	Silent                          // nothing has arrived for a while although it should; Text says for how long
	Heard                           // sound arrives again
	Digit                           // the peer pressed a key; Text is the key
	FormatChanged                   // the peer sends, or we send, another codec; Text names it
	DeviceTrouble                   // a microphone or speaker is gone and the stream goes on; Text says which, "" that all is well again
	PeerMoved                       // the peer's media come from another address; Text is the address
)

// Event is something that a stream found out by itself.
type Event struct {
	Kind EventKind
	Text string // safe to show; "" if there is nothing to add
	Err  error  // of SecurityFailed
}
