package session

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/fsm"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
)

// maxInvite bounds how long an IM INVITE may ring. Endpoints that elect one of them have answered long before; what
// rings longer waits for a person, and a text need not: it goes by pager then.
const maxInvite = time.Minute

// EstablishOptions for an outbound call.
type EstablishOptions struct {
	Destination string // default: the conversation's peer
	Toast       *ToastMessage
}

// Establish sends the INVITE and blocks until the call is Established or has failed. A toast is message number one of
// the session: if the other side does not take it with the INVITE it is sent in the session, and if there is no session
// it goes by pager. Its fate is told by MessageChanged.
func (c *InstantMessagingCall) Establish(ctx context.Context, opt EstablishOptions) error {
	c.e.mu.Blocking()
	peer := c.conv.peerURI()
	uri := c.conv.uri
	if opt.Destination != "" {
		var err error
		if uri, err = c.e.Resolve(opt.Destination); err != nil {
			return err
		}
	}
	ctx, stop := c.e.join(ctx)
	defer stop()
	if opt.Toast == nil || opt.Toast.Text == "" {
		_, err := c.establish(ctx, uri, nil)
		return fail("establish", peer, err)
	}
	if t := opt.Toast.ContentType; t != "" && t != body.TypeText {
		return refuse("establish", peer, KindUnsupported, "a toast is %s, not %s", body.TypeText, t)
	}
	var established error
	_, err := c.conv.send(ctx, opt.Toast.Text, func(ctx context.Context, m *Message) (err error) {
		var taken bool
		m.Call, m.Toast = c.id, true
		taken, established = c.establish(ctx, uri, m)
		return c.conv.afterInvite(ctx, c, uri, m, taken, established)
	})
	if established != nil {
		err = established
	}
	return fail("establish", peer, err)
}

// establish is the straight line of an outbound IM call up to Established. taken says that the other side has the whole
// text of toast already; it can be true even with errSuperseded.
func (c *InstantMessagingCall) establish(ctx context.Context, to sip.Uri, toast *Message) (taken bool, err error) {
	e := c.e
	e.mu.Blocking()
	e.mu.Lock()
	if e.closing || c.conv.state == ConversationTerminated {
		e.mu.Unlock()
		return false, errEnded
	}
	if outcome, err := c.inputLocked(Establish, why{}); outcome != fsm.Moved {
		e.mu.Unlock()
		return false, err
	}
	c.callID = newCallID()
	e.mu.Unlock()

	dlg, res, err := c.invite(ctx, to, toast)
	if err == nil {
		taken = toast != nil && !isLong(toast.Text) && supports(res, func(tag string) bool { return strings.EqualFold(tag, tagTextFormat) })
		c.flow.ocs = supports(res, func(tag string) bool { return strings.HasPrefix(strings.ToLower(tag), "ms-") })
		err = c.up(dlg, EstablishCompleted)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		c.inputMovesLocked(EstablishFailed, why{reason: reasonOf(err), sip: statusOf(err)})
		c.terminatedLocked()
		return taken, err
	}
	running := e.goLocked("session", func(context.Context) {
		c.run(dlg)
		e.mu.Lock()
		defer e.mu.Unlock()
		c.terminatedLocked()
	})
	if !running { // Close has just begun and has told this call to terminate
		c.inputMovesLocked(Terminate, why{reason: "closing"})
		c.terminatedLocked()
		return taken, errClosing
	}
	return taken, nil
}

// invite sends the INVITE and returns the dialog of the answer that was first, if it accepts a session.
func (c *InstantMessagingCall) invite(ctx context.Context, to sip.Uri, toast *Message) (*sipua.Dialog, *sip.Response, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxInvite, errNoAnswer)
	defer cancel()
	stop := context.AfterFunc(c.ctx, cancel) // Terminate
	defer stop()
	dlg, res, err := c.e.agent.Invite(ctx, sipua.InviteOptions{
		Target: target(to), ContentType: body.TypeSDP, Body: c.e.localMedia().Marshal(), CallID: c.callID,
		Headers: c.inviteHeaders(toast), Provisional: func(res *sip.Response) { c.rings(res) }, FollowRedirects: 5,
	})
	if err != nil {
		return nil, nil, err
	}
	answer, err := sdp.Parse(res.Body())
	if err == nil {
		if types, ok := sdp.AcceptedMessage(answer); ok {
			c.flow.accepts = types
			return dlg, res, nil
		}
	}
	// A 2xx that accepts nothing is a 488 in disguise.
	if bye := dlg.Bye(context.WithoutCancel(ctx), ""); bye != nil {
		c.e.log.Debug("bye was not answered", "call", c.id, "err", bye)
	}
	return nil, nil, &sipua.StatusError{Code: 488, Reason: "the answer accepts no message session", Response: res}
}

// inviteHeaders carry the toast and what OCS wants to know of it.
func (c *InstantMessagingCall) inviteHeaders(toast *Message) []sip.Header {
	headers := []sip.Header{
		sip.NewHeader(headerConversationID, c.conv.thread),
		sip.NewHeader("Supported", "ms-delayed-accept, ms-embedded-first-message"),
		sip.NewHeader("Accept", body.TypeSDP+", multipart/mixed"),
	}
	if toast == nil {
		return headers
	}
	text, id := toast.Text, toast.ID
	if isLong(text) {
		text, id = preview(text), id+previewSuffix
	}
	format := body.TextFormat{ContentType: body.TypeText, Text: text}
	return append(headers, sip.NewHeader(headerTextFormat, format.String()), sip.NewHeader(headerMessageID, id))
}

// isLong reports whether a text is too long for a toast.
func isLong(text string) bool { return len(text) > maxToastSent }

// preview is the beginning of a long text.
func preview(text string) string {
	n := 0
	for at := range text {
		if n++; n > previewRunes {
			return text[:at] + "…"
		}
	}
	return text
}

func newCallID() string { return strings.ToLower(newMessageID()) }

// reasonOf is an error in the words for an event.
func reasonOf(err error) string {
	var e *Error
	if errors.As(fail("", "", err), &e) && e.Kind != KindInternal {
		return e.Kind.text().message
	}
	return err.Error()
}

// validText checks a text that the user sends.
func validText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return errors.New("there is no text")
	case !utf8.ValidString(text):
		return errors.New("the text is not valid UTF-8")
	case len(text) > maxText:
		return errors.New("the text is longer than 60 KiB; send it in parts")
	}
	return nil
}
