package session

import (
	"errors"
	"strings"

	"offhook/internal/plaintext"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
)

// refusesMedia reports whether the other side cannot do with what was offered (RFC 3261 §21.4.26, §21.6.4). Some say that
// they do not know the type of the body.
func refusesMedia(err error) bool {
	code := 0
	var status *sipua.StatusError
	if errors.As(err, &status) {
		code = status.Code
	}
	return code == 488 || code == 606 || code == 415
}

// warnCodec is how a warning begins that tells of codecs (RFC 3261 §20.43).
const warnCodec = "305"

// warningIn is the first warning of a refusal, as it came; "" if there is none.
func warningIn(err error) string {
	var status *sipua.StatusError
	if errors.As(err, &status) && status.Response != nil {
		if h := status.Response.GetHeader("Warning"); h != nil {
			return strings.TrimSpace(h.Value())
		}
	}
	return ""
}

// refusesOffer reports whether the same call may come about with another offer. A codec that is missing here will be missing
// there.
func refusesOffer(err error) bool {
	return errors.Is(err, sdp.ErrNoAudio) || refusesMedia(err) && !strings.HasPrefix(warningIn(err), warnCodec)
}

// telling is what the user is told when an attempt has failed and another one after it: of two refusals the first, which is
// about what the policy asks for, unless the later one says more.
func telling(first, later error) error {
	code := statusOf(later)
	unknown := code == 400 || code != 0 && kindOfStatus(code) == KindUnsupported && (warningIn(later) == "" || warningIn(first) != "")
	if first != nil && (unknown || errors.Is(later, sdp.ErrNoAudio)) {
		return first
	}
	return later
}

// explain makes a sentence of a refusal of our media. The status does not tell codecs from encryption; what the other side
// warns of may, and what we have insisted on.
func explain(err error, policy sdp.Policy) error {
	if !refusesMedia(err) {
		return err
	}
	_, warned, _ := strings.Cut(warningIn(err), `"`)
	warned = plaintext.Line(strings.TrimSuffix(warned, `"`), 200)
	said := &explained{kind: KindUnsupported, text: "they take none of the codecs that are offered", err: err}
	switch {
	case strings.Contains(strings.ToLower(warned), "encrypt"):
		said.kind, said.text = KindEncryption, "they say: "+warned
	case warned != "":
		said.text = "they say: " + warned
	case policy == sdp.Required:
		said.kind, said.text = KindEncryption, "encryption is required here, and they may not be able to"
	}
	return said
}

// because says in a few words why a call did not come about.
func because(err error) string {
	var (
		said  *explained
		known *Error
	)
	switch {
	case errors.As(err, &said):
		return said.text
	case errors.Is(err, sdp.ErrNoCodec), errors.Is(err, sdp.ErrNoAudio), errors.Is(err, sdp.ErrEncryption), errors.Is(err, sdp.ErrMalformed):
		return sentence(err)
	case errors.As(err, &known) && known.Kind == KindDevice && known.Err != nil:
		return known.Err.Error()
	}
	return reasonOf(err)
}
