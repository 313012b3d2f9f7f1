package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/fsm"
	"offhook/internal/plaintext"
	"offhook/internal/sipua"
)

// transferWait bounds a transfer: the other side has to reach the target, which may ring.
const transferWait = maxInvite + 30*time.Second

var errNoOutcome = errors.New("the outcome of the transfer was not told in time")

// transfer is a REFER of ours under way.
type transfer struct{ outcome chan int } // capacity 1; the final status from the sipfrag

// Transfer refers the peer to another address and blocks until the outcome is known. Success ends this call; failure
// leaves it as it was.
func (c *InstantMessagingCall) Transfer(ctx context.Context, to string) error {
	e := c.e
	e.mu.Blocking()
	peer := c.conv.peerURI()
	uri, err := e.Resolve(to)
	if err != nil {
		return err
	}
	ctx, stop := e.join(ctx)
	defer stop()
	t := &transfer{outcome: make(chan int, 1)}
	e.mu.Lock()
	outcome, err := c.inputLocked(Transfer, why{})
	if outcome != fsm.Moved {
		e.mu.Unlock()
		return fail("transfer", peer, err)
	}
	c.transfer = t
	dlg := c.dialog
	e.mu.Unlock()

	err = c.refer(ctx, dlg, uri, t)
	e.mu.Lock()
	c.transfer = nil
	if err != nil {
		c.inputMovesLocked(TransferFailed, why{reason: reasonOf(err), sip: statusOf(err)})
		e.mu.Unlock()
		return fail("transfer", peer, err)
	}
	c.inputMovesLocked(TransferCompleted, why{reason: "transferred to " + addressOf(uri)})
	e.mu.Unlock()
	c.hangUp(context.WithoutCancel(ctx), "")
	_, err = c.await(ctx, over)
	return fail("transfer", peer, err)
}

// refer sends the REFER and waits for the NOTIFY that tells the outcome (RFC 3515 §2.4.5). The answer to the REFER tells
// only that it was understood, and may come after the NOTIFY.
func (c *InstantMessagingCall) refer(ctx context.Context, dlg *sipua.Dialog, to sip.Uri, t *transfer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, transferWait, errNoOutcome)
	defer cancel()
	_, err := dlg.Do(ctx, sip.REFER, "", nil,
		sip.NewHeader("Refer-To", "<"+to.String()+">"),
		sip.NewHeader("Referred-By", "<"+c.e.self.URI+">")) // RFC 3892 §2
	if err != nil {
		return err
	}
	select {
	case code := <-t.outcome:
		return outcomeOf(code)
	case <-dlg.Done():
		select {
		case code := <-t.outcome:
			return outcomeOf(code)
		default:
			return nil // gap rule G2: a BYE is how a transfer usually ends
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func outcomeOf(code int) error {
	if code/100 == 2 {
		return nil
	}
	return &sipua.StatusError{Code: code, Reason: "the transfer failed"}
}

// serveNotify takes the progress of our REFER.
func (c *InstantMessagingCall) serveNotify(req *sipua.Request) error {
	event := ""
	if h := req.GetHeader("Event"); h != nil {
		event, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(h.Value())), ";")
	}
	c.e.mu.Lock()
	t := c.transfer
	c.e.mu.Unlock()
	if event != "refer" || t == nil {
		return req.Respond(481, "Subscription Does Not Exist")
	}
	frag, err := body.ParseSipfrag(req.Body())
	if err != nil {
		return req.Respond(400, "Bad Request")
	}
	if frag.Code >= 200 {
		select {
		case t.outcome <- frag.Code:
		default: // told before
		}
	}
	return req.Respond(200, "OK")
}

// serveRefer does what the other side asks: it makes a session with somebody else and tells how that went. The
// reference is followed on a goroutine of its own, for the session goes on meanwhile.
func (c *InstantMessagingCall) serveRefer(req *sipua.Request) error {
	to, err := referTo(req.Request)
	if err != nil {
		return req.Respond(400, "Bad Request") // RFC 3515 §2.4.2
	}
	e := c.e
	e.mu.Lock()
	dlg := c.dialog
	started := live(c.state) && e.goLocked("following a transfer", func(ctx context.Context) { c.follow(ctx, dlg, to) })
	if started {
		e.publishLocked(Notice{
			Conversation: c.conv.id, Time: time.Now(),
			Text: "you are being transferred to " + plaintext.Line(addressOf(to), 256),
		})
	}
	e.mu.Unlock()
	if !started {
		return req.Respond(480, "Temporarily Unavailable")
	}
	return req.Respond(202, "Accepted") // what RFC 3515 peers expect; RFC 7647 §5 takes it for a 200
}

// referTo reads the one Refer-To of a REFER. Only what this endpoint can call is followed.
func referTo(req *sip.Request) (sip.Uri, error) {
	values := req.GetHeaders("Refer-To")
	if len(values) != 1 {
		return sip.Uri{}, errNotAnAddress
	}
	value := values[0].Value()
	if _, after, ok := strings.Cut(value, "<"); ok {
		value, _, _ = strings.Cut(after, ">")
	}
	var uri sip.Uri
	if err := parseAddress(strings.TrimSpace(value), &uri); err != nil {
		return sip.Uri{}, err
	}
	if method, ok := uri.UriParams.Get("method"); ok && !strings.EqualFold(method, "INVITE") {
		return sip.Uri{}, errNotAnAddress
	}
	return uri, nil
}

// follow makes the session that a REFER asks for and notifies its progress.
func (c *InstantMessagingCall) follow(ctx context.Context, dlg *sipua.Dialog, to sip.Uri) {
	e := c.e
	e.mu.Blocking()
	c.notifyRefer(ctx, dlg, 100, "Trying", "active;expires=120")
	e.mu.Lock()
	conv := e.conversationLocked(target(to), Party{URI: plaintext.Line(addressOf(to), 256)})
	call := conv.newIMLocked(Outbound)
	e.mu.Unlock()
	_, err := call.establish(ctx, to, nil)
	code, reason := 200, "OK"
	if err != nil {
		if code = statusOf(err); code < 300 {
			code = 503
		}
		reason = "Failed"
		e.log.Info("transfer could not be followed", "err", err)
	}
	c.notifyRefer(ctx, dlg, code, reason, "terminated;reason=noresource")
}

func (c *InstantMessagingCall) notifyRefer(ctx context.Context, dlg *sipua.Dialog, code int, reason, state string) {
	if err := c.flow.lock(ctx); err != nil {
		return
	}
	defer c.flow.unlock()
	frag := body.Sipfrag{Code: code, Reason: reason}
	_, err := dlg.Do(ctx, sip.NOTIFY, body.TypeSipfrag+";version=2.0", frag.Marshal(),
		sip.NewHeader("Event", "refer"), sip.NewHeader("Subscription-State", state))
	if err != nil {
		c.e.log.Debug("notify was not answered", "err", fmt.Errorf("refer %d: %w", code, err))
	}
}
