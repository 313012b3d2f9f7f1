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
const transferWait = maxRinging + 30*time.Second

var errNoOutcome = errors.New("the outcome of the transfer was not told in time")

// transfer is a REFER of ours under way.
type transfer struct{ outcome chan body.Sipfrag } // capacity 1; the final one

// Transfer refers the peer to another address and blocks until the outcome is known. Success ends this call; failure
// leaves it as it was.
func (c *call) Transfer(ctx context.Context, to string) error {
	uri, err := c.e.Resolve(to)
	if err != nil {
		return err
	}
	return c.transferTo(ctx, uri, addressOf(uri))
}

// transferTo refers the peer to an address that is called name in what people read.
func (c *call) transferTo(ctx context.Context, uri sip.Uri, name string) error {
	e := c.e
	e.mu.Blocking()
	peer := c.conv.peerURI()
	ctx, stop := e.join(ctx)
	defer stop()
	t := &transfer{outcome: make(chan body.Sipfrag, 1)}
	e.mu.Lock()
	outcome, err := c.inputLocked(Transfer, why{})
	if outcome != fsm.Moved {
		e.mu.Unlock()
		return fail("transfer", peer, err)
	}
	c.transfer = t
	dlg := c.dialog
	e.mu.Unlock()

	frag, err := c.refer(ctx, dlg, uri, t)
	if err == nil {
		err = outcomeOf(frag.Code)
	}
	e.mu.Lock()
	c.transfer = nil
	if err != nil {
		c.inputMovesLocked(TransferFailed, why{reason: reasonOf(err), sip: statusOf(err)})
		e.mu.Unlock()
		return fail("transfer", peer, err)
	}
	c.inputMovesLocked(TransferCompleted, why{reason: "transferred to " + name})
	e.mu.Unlock()
	c.hangUp(context.WithoutCancel(ctx), "")
	_, err = c.await(ctx, over)
	return fail("transfer", peer, err)
}

// refer sends the REFER and waits for the NOTIFY that tells the outcome (RFC 3515 §2.4.5). The answer to the REFER tells
// only that it was understood, and may come after the NOTIFY.
func (c *call) refer(ctx context.Context, dlg *sipua.Dialog, to sip.Uri, t *transfer) (body.Sipfrag, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, transferWait, errNoOutcome)
	defer cancel()
	_, err := dlg.Do(ctx, sip.REFER, "", nil,
		sip.NewHeader("Refer-To", "<"+to.String()+">"),
		sip.NewHeader("Referred-By", "<"+c.e.self.URI+">")) // RFC 3892 §2
	if err != nil {
		return body.Sipfrag{}, err
	}
	select {
	case frag := <-t.outcome:
		return frag, nil
	case <-dlg.Done():
		select {
		case frag := <-t.outcome:
			return frag, nil
		default:
			return body.Sipfrag{Code: 200}, nil // gap rule G2: a BYE is how a transfer usually ends
		}
	case <-ctx.Done():
		return body.Sipfrag{}, context.Cause(ctx)
	}
}

func outcomeOf(code int) error {
	if code/100 == 2 {
		return nil
	}
	return &sipua.StatusError{Code: code, Reason: "the transfer failed"}
}

// serveNotify takes the progress of our REFER.
func (c *call) serveNotify(req *sipua.Request) error {
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
		case t.outcome <- frag:
		default: // told before
		}
	}
	return req.Respond(200, "OK")
}

// referral is what a REFER asks for.
type referral struct {
	to      sip.Uri
	headers []sip.Header // for the INVITE: whom to replace, and who wished it
}

// serveRefer does what the other side asks: follow makes a session with somebody else and tells how that went. It runs on
// a goroutine of its own, for the session goes on meanwhile.
func (c *call) serveRefer(req *sipua.Request, follow func(context.Context, *sipua.Dialog, referral)) error {
	r, err := readReferral(req.Request)
	if err != nil {
		return req.Respond(400, "Bad Request") // RFC 3515 §2.4.2
	}
	e := c.e
	e.mu.Lock()
	dlg := c.dialog
	started := live(c.state) && e.goLocked("following a transfer", func(ctx context.Context) { follow(ctx, dlg, r) })
	if started {
		e.publishLocked(Notice{
			Conversation: c.conv.id, Time: time.Now(),
			Text: "you are being transferred to " + plaintext.Line(addressOf(r.to), 256),
		})
	}
	e.mu.Unlock()
	if !started {
		return req.Respond(480, "Temporarily Unavailable")
	}
	return req.Respond(202, "Accepted") // what RFC 3515 peers expect; RFC 7647 §5 takes it for a 200
}

// readReferral reads the one Refer-To of a REFER. Only what this endpoint can call is followed.
func readReferral(req *sip.Request) (referral, error) {
	values := req.GetHeaders("Refer-To")
	if len(values) != 1 {
		return referral{}, errNotAnAddress
	}
	value := values[0].Value()
	if _, after, ok := strings.Cut(value, "<"); ok {
		value, _, _ = strings.Cut(after, ">")
	}
	var uri sip.Uri
	if err := parseAddress(strings.TrimSpace(value), &uri); err != nil {
		return referral{}, err
	}
	if method, ok := uri.UriParams.Get("method"); ok && !strings.EqualFold(method, "INVITE") {
		return referral{}, errNotAnAddress
	}
	to, headers, err := sipua.Referred(uri)
	if err != nil {
		return referral{}, err
	}
	by := "<" + addressOf(req.From().Address) + ">"        // who asks has sent us, also where they do not say so
	if said := req.GetHeader("Referred-By"); said != nil { // RFC 3892 §2.1
		by = said.Value()
	}
	headers = append(headers, sip.NewHeader("Referred-By", by))
	return referral{to: to, headers: headers}, nil
}

// follow makes the session that a REFER asks for and notifies its progress.
func (c *InstantMessagingCall) follow(ctx context.Context, dlg *sipua.Dialog, r referral) {
	e := c.e
	e.mu.Blocking()
	c.notifyRefer(ctx, dlg, 100, "Trying")
	e.mu.Lock()
	conv := e.conversationLocked(target(r.to), Party{URI: plaintext.Line(addressOf(r.to), 256)})
	call := conv.newIMLocked(Outbound)
	e.mu.Unlock()
	_, err := call.establish(ctx, r.to, nil)
	c.notifyOutcome(ctx, dlg, err, nil)
}

// notifyOutcome tells how following a REFER went. told are header fields of the answer that say more (RFC 3515 §2.4.5).
func (c *call) notifyOutcome(ctx context.Context, dlg *sipua.Dialog, err error, told map[string][]string) {
	code, reason := 200, "OK"
	if err != nil {
		if code = statusOf(err); code < 300 {
			code = 503
		}
		reason = "Failed"
		c.e.log.Info("transfer could not be followed", "err", err)
	}
	c.notify(ctx, dlg, body.Sipfrag{Code: code, Reason: reason, Headers: told})
}

// notifyRefer tells how far following a REFER is (RFC 3515 §2.4.5).
func (c *call) notifyRefer(ctx context.Context, dlg *sipua.Dialog, code int, reason string) {
	c.notify(ctx, dlg, body.Sipfrag{Code: code, Reason: reason})
}

// notify sends what is told of following a REFER. A final status ends the subscription.
func (c *call) notify(ctx context.Context, dlg *sipua.Dialog, frag body.Sipfrag) {
	state := "active;expires=240"
	if frag.Code >= 200 {
		state = "terminated;reason=noresource"
	}
	_, err := dlg.Do(ctx, sip.NOTIFY, body.TypeSipfrag+";version=2.0", frag.Marshal(),
		sip.NewHeader("Event", "refer"), sip.NewHeader("Subscription-State", state))
	if err != nil {
		c.e.log.Debug("notify was not answered", "err", fmt.Errorf("refer %d: %w", frag.Code, err))
	}
}
