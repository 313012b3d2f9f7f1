package session

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/plaintext"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
)

// typeKeyboardActivity is how OCS tells, in an INFO, that somebody types.
const typeKeyboardActivity = "application/xml"

// notRecorded is the reason phrase of a refusal because the journal fails.
const notRecorded = "Cannot Record Messages"

// flow is the messages of one session, each an in-dialog MESSAGE.
type flow struct {
	// sending is held by whoever has a request under way: one at a time (RFC 3428 §8).
	sending chan struct{}

	// Immutable once the call is Established.
	accepts []string // content types the other side takes
	ocs     bool     // the other side speaks OCS's dialect

	deaf bool // Guarded by sending. The other side has refused the news that we type.
}

func (f *flow) init() { f.sending = make(chan struct{}, 1) }

// lock waits until no request of this session is under way.
func (f *flow) lock(ctx context.Context) error {
	select {
	case f.sending <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (f *flow) unlock() { <-f.sending }

// localMedia is the media line of our sessions. Address and port are decoration; the messages go in the dialog.
func (e *Endpoint) localMedia() sdp.MessageOffer {
	contact := e.agent.Contact().Address
	addr, err := netip.ParseAddr(strings.Trim(contact.Host, "[]"))
	if err != nil {
		addr = netip.IPv4Unspecified()
	}
	port := contact.Port
	if port <= 0 || port > 65535 {
		port = 5060
	}
	return sdp.MessageOffer{
		Addr: netip.AddrPortFrom(addr, uint16(port)), AcceptTypes: acceptTypes, SessionID: uint64(time.Now().Unix()),
	}
}

// sendText delivers one text in the session and returns the status of the answer.
func (c *InstantMessagingCall) sendText(ctx context.Context, m Message) (code int, err error) {
	c.e.mu.Blocking()
	if err := c.flow.lock(ctx); err != nil {
		return 0, err
	}
	defer c.flow.unlock()
	dlg, err := c.openDialog()
	if err != nil {
		return 0, err
	}
	res, err := dlg.Do(ctx, sip.MESSAGE, "text/plain; charset=UTF-8", []byte(m.Text), sip.NewHeader(headerMessageID, m.ID))
	if err != nil {
		return statusOf(err), err
	}
	return res.StatusCode, nil
}

// openDialog returns the dialog of a session in which something can be sent.
func (c *InstantMessagingCall) openDialog() (*sipua.Dialog, error) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if !live(c.state) {
		return nil, sipua.ErrDialogGone
	}
	return c.dialog, nil
}

// sessionGone reports whether an error of sendText says that the session is no more, rather than that the text was
// refused: then the text can go another way. RFC 5057 §5.1 and what OCS clients do.
func sessionGone(err error) bool {
	switch statusOf(err) {
	case 408, 480, 481, 500, 502, 503, 504:
		return true
	case 0: // no answer at all, whatever the reason
		return true
	}
	return false
}

// run serves the requests of the session until it has ended.
func (c *InstantMessagingCall) run(dlg *sipua.Dialog) {
	c.e.mu.Blocking()
	for {
		req, err := dlg.Next(c.ctx)
		if err != nil {
			break
		}
		c.serveRequest(req)
	}
	var end *sipua.EndError
	select {
	case <-dlg.Done():
		end = dlg.End()
	default: // ended here; whoever did has sent the BYE
		end = &sipua.EndError{Err: errClosing}
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.sessionEndedLocked(end)
}

// sessionEndedLocked tells why a session ended that nobody here has ended.
func (c *InstantMessagingCall) sessionEndedLocked(end *sipua.EndError) {
	c.e.mu.Held()
	if c.conv.imLocked() == c {
		c.conv.peerStoppedLocked()
	}
	if c.state == Terminating {
		return
	}
	told := why{reason: "the other side ended the session"}
	switch {
	case end == nil:
	case end.Remote && end.Reason.Elsewhere():
		told.reason = toastElsewhere
		if c.dir == Inbound && time.Since(c.upTime) <= lostRace {
			c.lostRaceLocked()
		}
	case !end.Remote && end.Err != nil:
		told.reason = end.Err.Error()
	}
	c.inputMovesLocked(RemoteTerminated, told)
}

// lostRaceLocked says that another endpoint had accepted the call too, and a moment earlier.
func (c *InstantMessagingCall) lostRaceLocked() {
	notice := "answered on another device"
	if !c.elected && !c.immediate {
		notice = "the conversation continues on another device"
	}
	c.elsewhereLocked(toastElsewhere, "", notice)
}

// serveRequest routes a request of the session.
func (c *InstantMessagingCall) serveRequest(req *sipua.Request) {
	var err error
	switch req.Method {
	case sip.MESSAGE:
		err = c.serveMessage(req)
	case sip.INFO:
		err = c.serveInfo(req)
	case sip.REFER:
		err = c.serveRefer(req, c.follow)
	case sip.NOTIFY:
		err = c.serveNotify(req)
	case sip.INVITE:
		err = c.serveReinvite(req)
	default:
		err = req.Respond(405, "Method Not Allowed", sip.NewHeader("Allow", "INVITE, ACK, BYE, CANCEL, MESSAGE, INFO, REFER, NOTIFY, UPDATE"))
	}
	if err != nil {
		c.e.log.Debug("response could not be sent", "method", req.Method, "err", err)
	}
}

// serveMessage takes a text of the session: on record first, then acknowledged.
func (c *InstantMessagingCall) serveMessage(req *sipua.Request) error {
	got, err := readContent(req.Request)
	if err != nil {
		return respondUnsupported(req)
	}
	if got.composing != nil {
		c.e.mu.Lock()
		c.conv.peerTypesLocked(got.composing.Active, got.composing.Refresh)
		c.e.mu.Unlock()
		return req.Respond(200, "OK")
	}
	return c.conv.receive(c.ctx, req, got.text, c.id)
}

// receive journals and shows a text from the peer, unless it has been received before, and answers.
func (c *Conversation) receive(ctx context.Context, req *sipua.Request, text, callID string) error {
	e := c.e
	e.mu.Blocking()
	cleaned := plaintext.Text(text, maxText+maxText/2) // the names of what was hidden make it longer
	if cleaned == "" {
		return req.Respond(200, "OK")
	}
	e.mu.Lock()
	if _, from := senderOf(req.Request); from.Display != "" { // of who is called the first request tells the name
		c.peer.Display = from.Display
	}
	m := c.inboundLocked(messageIDOf(req.Request), cleaned, sentAt(req.Request, time.Now()))
	m.Call = callID
	e.mu.Unlock()
	what, err := e.journal(context.WithoutCancel(ctx), m)
	e.mu.Lock()
	switch what {
	case known:
	case completes:
		c.completedLocked(m)
	case fresh:
		c.receivedLocked(m)
	}
	e.mu.Unlock()
	if err != nil {
		return req.Respond(480, notRecorded) // RFC 3428 §7: not delivered
	}
	return req.Respond(200, "OK") // RFC 3428 §7: no body, no Contact
}

func respondUnsupported(req *sipua.Request) error {
	return req.Respond(415, "Unsupported Media Type", sip.NewHeader("Accept", strings.Join(acceptTypes, ", ")))
}

// serveInfo understands OCS's way to say that somebody types, and acknowledges its other news.
func (c *InstantMessagingCall) serveInfo(req *sipua.Request) error {
	if h := req.ContentType(); h != nil && strings.HasPrefix(strings.ToLower(h.Value()), typeKeyboardActivity) {
		if typing, err := body.ParseKeyboardActivity(req.Body()); err == nil {
			c.e.mu.Lock()
			c.conv.peerTypesLocked(typing, 0)
			c.e.mu.Unlock()
		}
		return req.Respond(200, "OK")
	}
	if len(req.Body()) == 0 {
		return req.Respond(200, "OK")
	}
	return req.Respond(415, "Unsupported Media Type", sip.NewHeader("Accept", typeKeyboardActivity))
}

// serveReinvite answers a new offer as the first one: nothing about an IM session can change.
func (c *InstantMessagingCall) serveReinvite(req *sipua.Request) error {
	offer, err := sdp.Parse(req.Body())
	if err != nil {
		return req.Respond(488, "Not Acceptable Here")
	}
	answer, err := sdp.AnswerMessage(offer, c.e.localMedia(), c.e.self.URI)
	if errors.Is(err, sdp.ErrNoMessage) {
		return req.Respond(488, "Not Acceptable Here") // RFC 3261 §14.2: the session goes on as it was
	}
	return req.Send(req.Response(200, "OK", answer, sip.NewHeader("Content-Type", body.TypeSDP)))
}
