package sipua

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"offhook/internal/plaintext"
)

// CompletedElsewhere is the Reason of a CANCEL or BYE for forks that lost (RFC 3326 §3.1).
const CompletedElsewhere = `SIP;cause=200;text="Call completed elsewhere"`

// Abandoned is the Reason of a BYE that says what a CANCEL would have said, had the 2xx not been faster.
const Abandoned = `SIP;cause=487;text="Request Terminated"`

// CancelCause is a cause to end a context with: an INVITE that is given up for it is canceled with its reason, which is
// the value of a Reason header (RFC 3326).
type CancelCause struct{ Reason string }

func (c *CancelCause) Error() string { return "sipua: canceled: " + cleanLine(c.Reason) }

// cancelReason is the reason of a context that has ended, "" if it has none to tell.
func cancelReason(ctx context.Context) string {
	var c *CancelCause
	if errors.As(context.Cause(ctx), &c) {
		return c.Reason
	}
	return ""
}

// maxReasonText bounds the text of a reason in characters; it is meant for one line of a screen.
const maxReasonText = 200

// Reason is a parsed Reason header (RFC 3326).
type Reason struct {
	Protocol string // SIP, Q.850
	Cause    int    // 0 if none was given
	Text     string // safe to show
	Instance string // with Elsewhere: the endpoint that has it, urn:uuid:…; an extension of ours, "" if not told
}

// AnsweredBy is CompletedElsewhere that tells a user's other endpoints which of them has the call. It is an extension
// parameter (RFC 3326 §2: reason-extension), which those that do not know it skip.
func AnsweredBy(instance string) Reason {
	return Reason{Protocol: "SIP", Cause: 200, Text: "Call completed elsewhere", Instance: instance}
}

// Elsewhere reports whether the reason says that the call was completed by another branch.
func (r Reason) Elsewhere() bool { return strings.EqualFold(r.Protocol, "SIP") && r.Cause == 200 }

// String is the header value.
func (r Reason) String() string {
	if r.Protocol == "" {
		return ""
	}
	s := r.Protocol
	if r.Cause != 0 {
		s += ";cause=" + strconv.Itoa(r.Cause)
	}
	if r.Text != "" {
		s += `;text="` + QuoteText(r.Text) + `"`
	}
	if r.Instance != "" {
		s += `;instance="` + QuoteText(r.Instance) + `"`
	}
	return s
}

// ParseReason parses one reason value. A malformed one is empty: a reason only explains and must break nothing.
func ParseReason(value string) Reason {
	parts := splitOutside(value, ';')
	r := Reason{Protocol: strings.TrimSpace(parts[0])}
	if !isToken(r.Protocol) {
		return Reason{}
	}
	for _, p := range parts[1:] {
		name, v, _ := strings.Cut(p, "=")
		v = strings.TrimSpace(v)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "cause":
			if n, err := strconv.ParseUint(v, 10, 16); err == nil {
				r.Cause = int(n)
			}
		case "text":
			r.Text = plaintext.Line(unquote(v), maxReasonText)
		case "instance":
			r.Instance = plaintext.Line(unquote(v), maxReasonText)
		}
	}
	return r
}

// reasonOf picks the reason of a BYE or CANCEL. There may be one for each protocol, in several headers or in one
// (RFC 3326 §2); SIP's own says whether the call lives on elsewhere, so it is preferred.
func reasonOf(msg message) Reason {
	var first Reason
	for _, value := range elements(msg, "reason") {
		r := ParseReason(value)
		if strings.EqualFold(r.Protocol, "SIP") {
			return r
		}
		if first.Protocol == "" {
			first = r
		}
	}
	return first
}

// unquote strips the quotation marks and escapes of a quoted string; other text is returned as it is.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// cleanLine makes a reason phrase safe to show.
func cleanLine(s string) string { return plaintext.Line(s, maxReasonText) }
