package session

import (
	"context"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/plaintext"
	"offhook/internal/sipua"
)

// overtime is how long after a transfer the side that is to end a call has for it, before we do.
const overtime = 5 * time.Second

// TransferTo connects the other parties of two calls with each other (RFC 5589 §7): the peer of c is referred to the peer
// of other, where it takes this user's place. Success ends both calls; failure leaves both as they were.
func (c *AudioVideoCall) TransferTo(ctx context.Context, other *AudioVideoCall) error {
	c.e.mu.Blocking()
	peer := c.conv.peerURI()
	c.e.mu.Lock()
	dlg := other.dialog
	fit := other != c && other.e == c.e && other.state == Established
	name := other.conv.peer.URI
	c.e.mu.Unlock()
	if !fit {
		return refuse("transfer", peer, KindState, "the call to transfer to is %s", other.State())
	}
	if err := c.transferTo(ctx, replacing(dlg), name); err != nil {
		return err
	}
	// Who takes our place ends our call with the other (RFC 3891 §3).
	patience, cancel := context.WithTimeout(ctx, overtime)
	defer cancel()
	if _, err := other.await(patience, over); err == nil {
		return nil
	}
	return other.Terminate(ctx)
}

// replacing is the URI to refer somebody to who is to take our place in a dialog. It names the other side's device where
// that has an address that works from everywhere (RFC 5627), else its user: all devices of the user are asked then, and
// those that do not have the dialog refuse at once (RFC 5589 §7.3).
func replacing(dlg *sipua.Dialog) sip.Uri {
	device := dlg.ReferTo()
	if _, everywhere := device.UriParams.Get("gr"); everywhere {
		return device
	}
	user := target(dlg.Remote())
	user.Headers = device.Headers
	return user
}

// followedLocked is the call that a REFER asks for. Who is sent to a park service is parked, and still in the conversation
// with who has done that.
func (c *AudioVideoCall) followedLocked(r referral) *AudioVideoCall {
	e := c.e
	if e.isParkService(r.to) {
		next := c.conv.newAudioLocked(Outbound)
		next.lodging = &lodging{parked: true, by: c.conv.peer}
		return next
	}
	conv := e.conversationLocked(target(r.to), Party{URI: plaintext.Line(addressOf(r.to), 256)})
	return conv.newAudioLocked(Outbound)
}

// follow makes the call that a REFER asks for and notifies its progress. The call with who asked goes on until the new
// one is up, and then ends; if it does not come about, nothing has changed.
func (c *AudioVideoCall) follow(ctx context.Context, dlg *sipua.Dialog, r referral) {
	e := c.e
	e.mu.Blocking()
	c.notifyRefer(ctx, dlg, 100, "Trying")
	e.mu.Lock()
	next := c.followedLocked(r)
	e.mu.Unlock()

	rings, done := make(chan struct{}), make(chan error, 1)
	e.mu.Lock()
	started := e.goLocked("call", func(ctx context.Context) {
		done <- next.establish(ctx, outgoing{
			to: r.to, headers: r.headers, instead: c, rings: func() { close(rings) },
		})
	})
	e.mu.Unlock()
	if !started {
		return
	}
	var err error
	for waiting := true; waiting; {
		select {
		case <-rings:
			rings = nil
			c.notifyRefer(ctx, dlg, 180, "Ringing")
		case err = <-done:
			waiting = false
		}
	}
	e.mu.Lock()
	told := next.referred
	e.mu.Unlock()
	c.notifyOutcome(ctx, dlg, err, told)
	if err != nil {
		return
	}
	select { // who has referred us ends the call (RFC 5589 §6.1)
	case <-dlg.Done():
	case <-ctx.Done():
	case <-time.After(overtime):
		e.mu.Lock()
		act := c.terminateLocked("transferred")
		e.mu.Unlock()
		act(ctx)
	}
}
