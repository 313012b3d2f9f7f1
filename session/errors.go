package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"offhook/internal/fsm"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
)

// Kind classifies an Error. It is part of the control API.
type Kind string

// The kinds. What they mean and what the user can do about them is in the table kinds.
const (
	KindConfig      Kind = "Config"
	KindUnreachable Kind = "Unreachable"
	KindTimeout     Kind = "Timeout"
	KindTLS         Kind = "TLS"
	KindAuth        Kind = "Auth"
	KindNotFound    Kind = "NotFound"
	KindUnavailable Kind = "Unavailable"
	KindBusy        Kind = "Busy"
	KindDeclined    Kind = "Declined"
	KindUnsupported Kind = "Unsupported"
	KindEncryption  Kind = "Encryption"
	KindGone        Kind = "Gone"
	KindState       Kind = "State"

	KindNoOrbit       Kind = "NoOrbit"
	KindOrbitNotFound Kind = "OrbitNotFound"
	KindStaleOrbit    Kind = "StaleOrbit"
	KindDoublePark    Kind = "DoublePark"
	KindParkTimeout   Kind = "ParkTimeout"
	KindLotClosed     Kind = "LotClosed"
	KindStranger      Kind = "Stranger"

	KindDevice   Kind = "Device"
	KindInternal Kind = "Internal"
)

// kindText is what people read of a kind.
type kindText struct {
	kind    Kind
	message string
	hint    string
}

// kinds is the whole vocabulary of failures.
var kinds = []kindText{
	{KindConfig, "the setting or address is not valid", "correct it; `offhook config check` names file and line"},
	{KindUnreachable, "the server could not be reached", "check the server address and the network; it is tried again by itself"},
	{KindTimeout, "no answer in time", "check the network, or try again later"},
	{KindTLS, "the server's certificate is not trusted", "add its CA under tls.ca_files; an unencrypted connection is never tried instead"},
	{KindAuth, "the user name or password was not accepted", "check the user name and the password command"},
	{KindNotFound, "there is nobody at this address", "check the address"},
	{KindUnavailable, "not available at the moment", "leave a message, or try again later"},
	{KindBusy, "busy", "leave a message, or try again later"},
	{KindDeclined, "declined", "leave it at that, or ask another way"},
	{KindUnsupported, "the other side does not support this", "send plain text of at most 60 KiB; for a call, allow the codecs that both sides have"},
	{KindEncryption, "one side insists on encryption, or could not agree on it", "the setting audio.srtp decides: required, opportunistic or off"},
	{KindGone, "the session was ended by the network", "send again; a new session is made by itself"},
	{KindNoOrbit, "no orbit is free", "try again in a moment, or transfer the call instead"},
	{KindOrbitNotFound, "nothing is parked there", "look at the board: the call may be in another orbit, or taken already"},
	{KindStaleOrbit, "that parked call is over", "somebody has picked it up, or the caller has hung up; no other call is ever taken in its place"},
	{KindDoublePark, "the call is parked already", "pick it up before it is parked again"},
	{KindParkTimeout, "the park service has not decided in time", "the call goes on; try again, or transfer it instead"},
	{KindLotClosed, "the park service is closing", "try again in a minute, or transfer the call instead"},
	{KindStranger, "somebody else is parked there now", "pick up all the same, or look at the board for who you expect"},
	{KindState, "not possible at this moment", "nothing has changed; look at the current state"},
	{KindDevice, "the microphone or speaker cannot be used", "choose another device; a call that goes on does so without"},
	{KindInternal, "internal error", "the log file tells more; please report it"},
}

// Error is what every operation fails with.
type Error struct {
	Op   string // what was tried: send, establish, accept, …
	Kind Kind
	Peer string // the other party's address, "" if none
	Code int    // SIP status, 0 if none
	Err  error  // cause, may be nil
}

// Error prints for people: what was tried with whom, what happened, and the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Peer != "" {
		b.WriteString(" " + e.Peer)
	}
	if errors.Is(e.Err, context.Canceled) {
		return b.String() + ": canceled"
	}
	b.WriteString(": " + e.Kind.text().message)
	if e.Code != 0 {
		fmt.Fprintf(&b, " (SIP %d)", e.Code)
	}
	var (
		status *sipua.StatusError
		said   *explained
	)
	switch {
	case errors.As(e.Err, &said):
		if said.text != "" { // the kind says it all
			b.WriteString(": " + said.text)
		}
	case e.Err != nil && !errors.As(e.Err, &status):
		b.WriteString(": " + sentence(e.Err))
	}
	return b.String()
}

// explained is a cause together with what it means for people.
type explained struct {
	kind Kind
	text string
	err  error
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint says what the user can do about it.
func (e *Error) Hint() string { return e.Kind.text().hint }

func (k Kind) text() kindText {
	if at := slices.IndexFunc(kinds, func(t kindText) bool { return t.kind == k }); at >= 0 {
		return kinds[at]
	}
	return kindText{k, "failed", "the log file tells more"}
}

// Kinds lists all kinds, for documentation and tests.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i, t := range kinds {
		all[i] = t.kind
	}
	return all
}

// statusKinds are the SIP status codes whose kind is not that of their class (RFC 3261 §21).
var statusKinds = map[int]Kind{
	400: KindInternal,
	401: KindAuth, 403: KindAuth, 407: KindAuth, 429: KindAuth, 433: KindAuth, 436: KindAuth, 437: KindAuth, 438: KindAuth,
	402: KindDeclined,
	404: KindNotFound, 410: KindNotFound, 484: KindNotFound, 485: KindNotFound, 416: KindNotFound, 604: KindNotFound,
	405: KindUnsupported, 406: KindUnsupported, 413: KindUnsupported, 414: KindUnsupported, 415: KindUnsupported,
	420: KindUnsupported, 421: KindUnsupported, 488: KindUnsupported, 493: KindUnsupported, 489: KindUnsupported,
	501: KindUnsupported, 505: KindUnsupported, 513: KindUnsupported, 606: KindUnsupported, 580: KindUnsupported,
	408: KindTimeout, 504: KindTimeout,
	480: KindUnavailable, 430: KindUnavailable, 482: KindUnavailable, 483: KindUnavailable, 487: KindUnavailable,
	486: KindBusy, 491: KindBusy, 600: KindBusy,
	481: KindGone,
	502: KindUnreachable, 503: KindUnreachable,
	603: KindDeclined, 607: KindDeclined, 608: KindDeclined,
}

// kindOfStatus classifies a final response that is not 2xx.
func kindOfStatus(code int) Kind {
	if k, ok := statusKinds[code]; ok {
		return k
	}
	switch code / 100 {
	case 3:
		return KindNotFound // moved, and where to was not followed
	case 5:
		return KindUnavailable
	case 6:
		return KindDeclined
	default:
		return KindUnsupported // RFC 3261 §8.1.3.2: an unknown 4xx is a 400, something it could not do
	}
}

// fail makes an *Error of err, or returns the one err already is.
func fail(op, peer string, err error) error {
	var done *Error
	if err == nil || errors.As(err, &done) {
		return err
	}
	e := &Error{Op: op, Peer: peer, Err: err, Kind: KindInternal}
	var (
		status  *sipua.StatusError
		ended   *sipua.EndError
		refused *fsm.Error
		said    *explained
	)
	switch {
	case errors.As(err, &said):
		e.Kind, e.Code = said.kind, statusOf(said.err)
	case errors.Is(err, sdp.ErrEncryption), errors.Is(err, errSecurity):
		e.Kind = KindEncryption
	case errors.Is(err, sdp.ErrNoCodec), errors.Is(err, sdp.ErrNoAudio), errors.Is(err, sdp.ErrMalformed):
		e.Kind = KindUnsupported
	case errors.As(err, &status):
		e.Code, e.Kind = status.Code, kindOfStatus(status.Code)
	case errors.As(err, &refused), errors.Is(err, context.Canceled), errors.Is(err, errClosing):
		e.Kind = KindState
	case errors.Is(err, sipua.ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, errNoAnswer):
		e.Kind = KindTimeout
	case errors.Is(err, sipua.ErrUnreachable), errors.Is(err, sipua.ErrClosed):
		e.Kind = KindUnreachable
	case errors.Is(err, sipua.ErrTLS):
		e.Kind = KindTLS
	case errors.Is(err, sipua.ErrCanceled), errors.Is(err, sipua.ErrDialogGone), errors.As(err, &ended),
		errors.Is(err, errEnded):
		e.Kind = KindGone
	}
	return e
}

// refuse makes an *Error out of nothing but words.
func refuse(op, peer string, kind Kind, format string, args ...any) error {
	return &Error{Op: op, Peer: peer, Kind: kind, Err: fmt.Errorf(format, args...)}
}

// statusOf is the SIP status in err, 0 if there is none.
func statusOf(err error) int {
	var status *sipua.StatusError
	if errors.As(err, &status) {
		return status.Code
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// Causes that have no type of their own.
var (
	errClosing    = errors.New("this endpoint is being closed")
	errNoAnswer   = errors.New("nobody answered")
	errEnded      = errors.New("the call has ended")
	errSecurity   = errors.New("the keys of the media could not be agreed, and nothing is sent without")
	errSuperseded = errors.New("another session with the same party took its place")
)
