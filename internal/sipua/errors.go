package sipua

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/emiago/sipgo/sip"
)

// Errors that transactions and dialogs end with.
var (
	ErrTimeout     = errors.New("sipua: no answer in time")
	ErrUnreachable = errors.New("sipua: could not be reached")
	ErrClosed      = errors.New("sipua: closed")
	ErrDialogGone  = errors.New("sipua: the dialog has ended")
	ErrTLS         = errors.New("sipua: the TLS connection was refused")
	// ErrCanceled is returned by Answer and Reject when the caller's CANCEL or BYE came first.
	ErrCanceled = errors.New("sipua: the caller canceled")
	errNoAck    = errors.New("sipua: only a 2xx to an INVITE is acknowledged")
	// ErrDecided is returned by the second of two answers to one INVITE.
	ErrDecided = errors.New("sipua: the INVITE has been answered already")
)

// StatusError is a final response that is not 2xx.
type StatusError struct {
	Code     int
	Reason   string
	Response *sip.Response
}

func (e *StatusError) Error() string { return fmt.Sprintf("sipua: %d %s", e.Code, e.Reason) }

// statusError wraps a final response; nil for a 2xx.
func statusError(res *sip.Response) error {
	if res.IsSuccess() {
		return nil
	}
	return &StatusError{Code: res.StatusCode, Reason: cleanLine(res.Reason), Response: res}
}

// hasStatus reports whether err is a final response with one of the codes.
func hasStatus(err error, codes ...int) bool {
	var status *StatusError
	if !errors.As(err, &status) {
		return false
	}
	for _, c := range codes {
		if status.Code == c {
			return true
		}
	}
	return false
}

// EndError is the way a dialog ended.
type EndError struct {
	Remote bool   // by the other side's BYE
	Reason Reason // from the BYE
	Err    error  // timer, 481, transport; nil for a BYE
}

func (e *EndError) Error() string {
	switch {
	case e.Err != nil:
		return "sipua: the dialog has ended: " + e.Err.Error()
	case e.Remote && e.Reason.Text != "":
		return "sipua: ended by the other side: " + e.Reason.Text
	case e.Remote:
		return "sipua: ended by the other side"
	}
	return ErrDialogGone.Error()
}

// Unwrap makes errors.Is(err, ErrDialogGone) true for every end, besides what caused it.
func (e *EndError) Unwrap() []error {
	if e.Err != nil {
		return []error{ErrDialogGone, e.Err}
	}
	return []error{ErrDialogGone}
}

// Secret is a password. It prints as [secret] and logs as nothing else.
type Secret string

const redacted = "[secret]"

func (Secret) String() string   { return redacted }
func (Secret) GoString() string { return redacted }

// LogValue keeps the secret out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps the secret out of encoded structures.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
