package park

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/plaintext"
	"offhook/internal/sipua"
)

// What Call-Info of ours says (RFC 3261 §20.9 lets anybody name a purpose).
const (
	purposeOrbit    = "x-park-orbit"
	purposeRetrieve = "x-park-retrieve"
	purposeLot      = "x-park-lot"
)

// Limits in bytes of what is shown.
const (
	maxOrbitText = 32
	maxNameText  = 128
	maxURIText   = 300
	maxNoteText  = 800 // 200 characters
)

// ParseOutcome reads the final sipfrag of a REFER to a park service. What is not 2xx is a *Failure.
//
// A service that is not like ours may say no more than 200: then the call is parked and FriendlyOrbit is empty.
func ParseOutcome(frag body.Sipfrag, now time.Time) (CallParkOrbit, error) {
	if frag.Code < 200 || frag.Code > 299 {
		return CallParkOrbit{}, outcomeFailure(frag)
	}
	o := CallParkOrbit{Parked: now}
	o.learn(frag.Headers["Call-Info"])
	return o, nil
}

// learn takes from Call-Info values where a call is parked.
func (o *CallParkOrbit) learn(values []string) {
	for _, info := range sipua.NameAddrs(headerValues(values), "Call-Info") {
		purpose, _ := info.Params.Get("purpose")
		switch strings.ToLower(purpose) {
		case purposeOrbit:
			friendly, _ := info.Params.Get("x-friendly")
			if friendly == "" {
				friendly = info.URI.User
			}
			o.FriendlyOrbit = plaintext.Line(friendly, maxOrbitText)
		case purposeRetrieve:
			if info.URI.Scheme != "sip" && info.URI.Scheme != "sips" {
				continue
			}
			info.URI.Headers = nil // headers of an INVITE are ours to choose
			o.SafeRetrieveURI = info.URI.String()
			expires, _ := info.Params.Get("x-expires")
			if n, err := strconv.ParseUint(expires, 10, 16); err == nil && n > 0 {
				o.RingBack = o.Parked.Add(time.Duration(n) * time.Second)
			}
		}
	}
}

// headerValues lets values be read as the headers of a message.
type headerValues []string

func (v headerValues) GetHeaders(name string) []sip.Header {
	var out []sip.Header
	for _, value := range v {
		out = append(out, sip.NewHeader(name, value))
	}
	return out
}

// outcomeFailure says why the service could not take the call over. Without a Warning the status is the parkee's.
func outcomeFailure(frag body.Sipfrag) *Failure {
	for _, w := range frag.Headers["Warning"] {
		if f := FailureIn(w); f != nil {
			return f.with(frag.Code, "")
		}
	}
	switch frag.Code {
	case 504:
		return ErrParkTimeout.with(frag.Code, "")
	default:
		return ErrReplaces.with(frag.Code, frag.Reason)
	}
}

// refusal makes a *Failure of a refused REFER or INVITE where it says one; other errors stay what they are.
func refusal(err error) error {
	var status *sipua.StatusError
	if !errors.As(err, &status) {
		return err
	}
	if status.Response != nil {
		for _, h := range status.Response.GetHeaders("Warning") {
			if f := FailureIn(h.Value()); f != nil {
				return f.with(status.Code, "")
			}
		}
	}
	known := map[int]*Failure{
		400: ErrBadRequest, 403: ErrNotAllowed, 481: ErrNoCall, 486: ErrNoOrbit, 500: ErrProcessing, 503: ErrLotClosed,
		504: ErrParkTimeout, 600: ErrNoOrbit,
	}
	if f := known[status.Code]; f != nil {
		return f.with(status.Code, "")
	}
	return err
}

// parkeeRefusal makes a *Failure of a REFER that the parkee has refused; other errors stay what they are.
func parkeeRefusal(err error) error {
	var status *sipua.StatusError
	if !errors.As(err, &status) {
		return err
	}
	return ErrReplaces.with(status.Code, status.Reason)
}

// with is the same failure as one peer has said it.
func (f *Failure) with(status int, reason string) *Failure {
	out := *f
	out.Status = status
	if reason = plaintext.Line(reason, maxNameText); reason != "" {
		out.Text = fmt.Sprintf("%s: %d %s", f.Text, status, reason)
	}
	return &out
}

// Detect tells by the answer to OPTIONS which strategy a service takes. Not ok: there is no service, or none that answers.
func Detect(res *sip.Response, err error) (name string, ok bool) {
	var status *sipua.StatusError
	if errors.As(err, &status) && res == nil {
		res = status.Response
	}
	switch {
	case res == nil:
		return "", false
	case hasLot(res):
		return RFC5359, true
	case isAsterisk(res):
		return Asterisk, true // whatever it answers: nothing lives at its "park", calls are parked at an extension
	case res.IsSuccess() && allows(res, "REFER"):
		return RFC5359, true
	}
	switch res.StatusCode {
	case 403, 405, 415, 420, 486, 488, 501: // it is there, and has other things to do
		return Attended, true
	default:
		return Attended, res.IsSuccess()
	}
}

func hasLot(res *sip.Response) bool {
	for _, info := range sipua.NameAddrs(res, "Call-Info") {
		if purpose, _ := info.Params.Get("purpose"); strings.EqualFold(purpose, purposeLot) {
			return res.IsSuccess()
		}
	}
	return false
}

func isAsterisk(res *sip.Response) bool {
	for _, name := range []string{"Server", "User-Agent"} {
		for _, h := range res.GetHeaders(name) {
			if strings.Contains(strings.ToLower(h.Value()), "asterisk") {
				return true
			}
		}
	}
	return false
}

func allows(res *sip.Response, method string) bool {
	for _, h := range res.GetHeaders("Allow") {
		for m := range strings.SplitSeq(h.Value(), ",") {
			if strings.EqualFold(strings.TrimSpace(m), method) {
				return true
			}
		}
	}
	return false
}
