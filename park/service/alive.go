package service

import (
	"context"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
)

// A peer that refreshes its session (RFC 4028) is known to be there, or the dialog ends it. One that cannot is asked.

// askEvery is how often: as often as a session would be refreshed.
const askEvery = sessionTimer / 2

// stayAlert asks a peer without a session timer for a sign of life, as long as nothing is heard of it, by OPTIONS in the dialog
// (RFC 3261 §11.2). The dialog ends itself on 481, 408 and silence (RFC 3261 §12.2.1.2, RFC 5057 §5.1). Any other answer is a
// sign of life, also that of a peer which does not know OPTIONS.
func (l *leg) stayAlert(ctx context.Context) {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for heard := uint64(0); ; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		before := heard
		if heard = l.line.Stats().Received; heard != before || l.dialog.HasTimer() {
			continue
		}
		if _, err := l.dialog.Do(ctx, sip.OPTIONS, "", nil, sip.NewHeader("Accept", body.TypeSDP)); err != nil {
			l.s.log.Debug("a peer was asked whether it is there", "err", err)
		}
	}
}
