package event

import (
	"context"
	"fmt"
	"time"

	"offhook/internal/sipua"
)

// Fetch subscribes with Expires 0 and returns the one notification (RFC 6665 §4.4.3). A resource without state, or one
// whose state is not known, gives a notification without a body.
func Fetch(ctx context.Context, a *sipua.Agent, opt SubscribeOptions) (Notification, error) {
	opt = opt.withDefaults()
	d := openDialog(ctx, a, opt)
	defer d.close()
	pending := d.subscribe(ctx, 0)
	late := time.NewTimer(2 * firstNotify) // the transaction, then the NOTIFY
	defer late.Stop()
	for {
		select {
		case req, ok := <-d.requests:
			if !ok {
				return Notification{}, closedOr(ctx)
			}
			if d.accept(req) {
				return newNotification(req, parseSubstate(field(req, "Subscription-State"))), nil
			}
		case answer := <-pending:
			if answer.err != nil {
				return Notification{}, fmt.Errorf("event: fetch %s of %s: %w", opt.Event, opt.Name, answer.err)
			}
			pending = nil
			late.Reset(firstNotify)
		case <-late.C:
			return Notification{}, fmt.Errorf("event: fetch %s of %s: no NOTIFY: %w", opt.Event, opt.Name, sipua.ErrTimeout)
		case <-ctx.Done():
			return Notification{}, context.Cause(ctx)
		}
	}
}

// closedOr tells whether a usage ended because of ctx or because of the agent.
func closedOr(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return sipua.ErrClosed
}
