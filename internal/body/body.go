// Package body reads and writes the bodies that SIP messages carry, apart from SDP.
//
//	application/pidf+xml             presence: who is there, on which device, since when idle (pidf.go)
//	application/reginfo+xml          which endpoints of an address of record are registered (reginfo.go)
//	application/dialog-info+xml      which calls an address has: lamps, and news of parked calls (dialoginfo.go)
//	multipart/related                the state of a list of addresses at once (resourcelist.go)
//	application/im-iscomposing+xml   "is typing" (iscomposing.go), and KeyboardActivity, which OCS sends instead
//	message/sipfrag                  the outcome of a REFER, as a piece of a SIP response (sipfrag.go)
//	Ms-Text-Format                   no body but a header: the first message inside of an INVITE (textformat.go)
//
// Presence is three layers of documents. PIDF (RFC 3863) has tuples, ways to reach somebody, each open or closed. The
// data model (RFC 4479) adds the person and the devices. RPID (RFC 4480) fills them: what the person does, and when a
// device last had user input. A presence server composes what each endpoint of a user publishes into one document.
//
// Readers are lenient about what real peers get wrong: namespaces declared anywhere or not at all, elements at another
// level than the schema has them, unknown elements and attributes. They are strict about what could harm: size and
// depth are bounded, document type declarations and entities refused. Nothing that is read is cleaned for display; that
// is the business of package plaintext where the text enters the program. Writers produce documents that a validating
// peer accepts.
package body

import "errors"

// MaxSize bounds a body that is parsed, in bytes.
const MaxSize = 64 << 10

// Errors that parsers wrap.
var (
	// ErrTooLarge is returned for a body over MaxSize, or a header body over the caller's limit.
	ErrTooLarge = errors.New("body: too large")
	// ErrMalformed is returned for a body that is not what its type says.
	ErrMalformed = errors.New("body: malformed")
)

// Content types.
const (
	TypePIDF             = "application/pidf+xml"
	TypeReginfo          = "application/reginfo+xml"
	TypeIsComposing      = "application/im-iscomposing+xml"
	TypeKeyboardActivity = "application/xml"
	TypeSipfrag          = "message/sipfrag"
	TypeDialogInfo       = "application/dialog-info+xml"
	TypeResourceList     = "application/rlmi+xml"
	TypeRelated          = "multipart/related"
	TypeText             = "text/plain"
	TypeSDP              = "application/sdp"
)
