package session

import (
	"errors"
	"mime"
	"strings"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/plaintext"
	"offhook/internal/sdp"
)

// invitation is an INVITE, understood.
type invitation struct {
	from  sip.Uri
	party Party
	audio bool // it wants an audio call, not an IM session

	lodging *lodging // of an audio call: the other side has parked this user
	recall  *recall  // of an audio call: it was parked, and comes back

	description []byte // of the session; empty: an audio call that wants our offer

	// Of an IM session
	offer     sdp.Session
	toast     *ToastMessage // cleaned; nil if the INVITE carries no text
	whole     bool          // the toast is the whole text: it need not be sent again
	messageID string
	manual    bool // RFC 5373: only a person may answer
	ocs       bool // the caller speaks OCS's dialect
}

// setMode notes who may answer (RFC 5373 §4.1).
func (inv *invitation) setMode(req *sip.Request, audio bool) {
	if h := req.GetHeader("Answer-Mode"); h != nil {
		mode := strings.ToLower(strings.ReplaceAll(h.Value(), " ", ""))
		// Where nobody is elected it costs nothing to respect a mere wish as well.
		inv.manual = mode == "manual;require" || audio && mode == "manual"
	}
}

// refusal is a final response that an INVITE deserves.
type refusal struct {
	code   int
	reason string
	accept string // value of an Accept header, or ""
}

func (r *refusal) Error() string { return r.reason }

// readInvitation understands an INVITE, or says how to refuse it. Responses are chosen so that they do not end the
// call on the user's other endpoints (RFC 3261 §16.7: a 6xx would). Who offers both messages and audio gets messages: an
// offer has one answer, and a text is lost on a telephone. Without an offer it is a call (RFC 3725), for no IM begins so.
func readInvitation(req *sip.Request, haveAudio bool) (invitation, error) {
	inv := invitation{messageID: messageIDOf(req)}
	inv.from, inv.party = senderOf(req)
	description, text, err := splitBody(req)
	if err != nil {
		return inv, err
	}
	inv.description = description
	if len(description) == 0 {
		inv.audio = true
		inv.setMode(req, true)
		if !haveAudio {
			return inv, &refusal{code: 488, reason: "an offer in the INVITE is needed"}
		}
		return inv, nil
	}
	inv.offer, err = sdp.Parse(description)
	if err != nil {
		return inv, &refusal{code: 400, reason: "the session description cannot be read"}
	}
	if _, err := sdp.AnswerMessage(inv.offer, sdp.MessageOffer{}, "sip:nobody@invalid"); errors.Is(err, sdp.ErrNoMessage) {
		switch {
		case !sdp.OffersAudio(description):
			return inv, &refusal{code: 488, reason: "neither a message session over SIP nor audio is offered"}
		case !haveAudio:
			return inv, &refusal{code: 488, reason: "audio calls are not available"}
		}
		inv.audio = true
		inv.setMode(req, true)
		return inv, nil
	}
	if t, ok := toastIn(req, text); ok {
		inv.setToast(t)
	}
	inv.setMode(req, false)
	inv.ocs = supports(req, func(tag string) bool { return strings.HasPrefix(strings.ToLower(tag), "ms-") })
	return inv, nil
}

// splitBody returns the session description of an INVITE, and the text part beside it if the body is a
// multipart/mixed (RFC 5621 §8.2).
func splitBody(req *sip.Request) (description []byte, text *part, err error) {
	if len(req.Body()) == 0 {
		return nil, nil, nil
	}
	unsupported := &refusal{code: 415, reason: "Unsupported Media Type", accept: body.TypeSDP + ", multipart/mixed"}
	h := req.ContentType()
	if h == nil {
		return nil, nil, unsupported
	}
	kind, params, err := mime.ParseMediaType(h.Value())
	switch {
	case err != nil:
		return nil, nil, unsupported
	case kind == body.TypeSDP:
		return req.Body(), nil, nil
	case strings.HasPrefix(kind, "multipart/"):
		d, ok := findPart(req.Body(), params["boundary"], body.TypeSDP)
		if !ok {
			return nil, nil, unsupported
		}
		if t, ok := findPart(req.Body(), params["boundary"], body.TypeText); ok {
			text = &t
		}
		return d.body, text, nil
	}
	return nil, nil, unsupported
}

// toastIn finds the text that an INVITE carries: in a header of OCS's kind, or as a part of the body. Renderings other
// than plain text are never looked at.
func toastIn(req *sip.Request, text *part) (body.TextFormat, bool) {
	for _, name := range []string{headerTextFormat, headerIMFormat} {
		for _, h := range req.GetHeaders(name) {
			t, err := body.ParseTextFormat(h.Value(), body.MaxSize)
			if err == nil && t.ContentType == body.TypeText {
				return t, true
			}
		}
	}
	if text != nil {
		if c, err := readPart(text.contentType, text.body, 1); err == nil {
			return body.TextFormat{ContentType: body.TypeText, Text: c.text}, true
		}
	}
	return body.TextFormat{}, false
}

// setToast cleans the text and cuts it. A text that was cut, here or by the caller, is a preview: the caller is not told
// that it was taken and sends it whole in the session.
func (inv *invitation) setToast(t body.TextFormat) {
	id, preview := strings.CutSuffix(inv.messageID, previewSuffix)
	inv.messageID, inv.whole = id, !preview && len(t.Text) <= maxToast
	if cleaned := plaintext.Text(t.Text, maxToast); cleaned != "" {
		inv.toast = &ToastMessage{ContentType: body.TypeText, Text: cleaned}
	}
}
