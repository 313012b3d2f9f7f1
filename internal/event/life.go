package event

import (
	"context"
	"errors"
	"time"

	"offhook/internal/sipua"
)

const (
	// firstNotify is how long a notifier may take for its first NOTIFY (RFC 6665 §4.1.2.4, timer N).
	firstNotify = 64 * sipua.T1
	// goodbye bounds unsubscribing.
	goodbye = 4 * time.Second
	// retryRefresh is the least wait after a refresh that the notifier could not serve just then.
	retryRefresh = 5 * time.Second
)

// life is the time from one SUBSCRIBE to the end of its dialog.
type life struct {
	s       *Subscription
	d       *dialog
	pending <-chan answer  // the SUBSCRIBE under way, or nil
	ask     *time.Duration // what is asked for; a 423 raises it, for later dialogs, too
	raised  bool           // by a 423 already
	hurried bool           // Renew was called while the SUBSCRIBE was under way
	refresh *time.Timer
	lapse   *time.Timer // the dialog is over unless something happens before
	until   time.Time   // when it lapses
}

// live opens a dialog and serves it until it ends.
func (s *Subscription) live(ctx, leaving context.Context, ask *time.Duration) ending {
	l := &life{s: s, d: openDialog(leaving, s.agent, s.opt), ask: ask, refresh: stopped(), lapse: stopped()}
	defer l.d.close()
	defer l.refresh.Stop()
	defer l.lapse.Stop()
	l.pending = l.d.subscribe(ctx, *ask)
	for {
		var end *ending
		select {
		case <-ctx.Done():
			l.leave(leaving)
			return ending{err: ErrClosed}
		case req, ok := <-l.d.requests:
			if !ok { // the agent is closed
				return ending{err: sipua.ErrClosed}
			}
			end = l.notified(req)
		case a := <-l.pending:
			end = l.answered(ctx, a)
		case <-l.refresh.C:
			l.resubscribe(ctx)
		case <-s.renew:
			l.hurried = l.pending != nil
			l.resubscribe(ctx)
		case <-l.lapse.C:
			end = &ending{err: errors.New("event: the notifier fell silent"), again: true, soon: l.d.notifier != ""}
		}
		if end != nil {
			if _, answered := statusOf(end.err); l.hurried && !answered {
				s.Renew() // it was lost in the network that was; the next one need not wait
			}
			return *end
		}
	}
}

func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// notified serves a NOTIFY. The result is not nil when it ends the dialog.
func (l *life) notified(req *sipua.Request) *ending {
	state := parseSubstate(field(req, "Subscription-State"))
	if !l.d.accept(req) {
		return nil
	}
	l.s.setActive(state.state == "active") // before the reader learns of it
	if n := newNotification(req, state); state.state != "terminated" || len(n.Body) > 0 {
		l.s.push(n)
	}
	if state.state == "terminated" {
		end := termination(state)
		return &end
	}
	switch {
	case state.expires >= 0:
		l.granted(state.expires)
	case l.until.IsZero(): // before the 2xx
		l.granted(*l.ask)
	default:
		l.lapse.Reset(time.Until(l.until))
	}
	return nil
}

// granted notes for how long the notifier keeps the subscription.
func (l *life) granted(d time.Duration) {
	l.until = time.Now().Add(d)
	l.refresh.Reset(max(minRefresh, refreshTime(d)))
	if l.d.notifier != "" {
		l.lapse.Reset(d)
	} else {
		l.lapse.Reset(firstNotify)
	}
}

// answered judges the answer to a SUBSCRIBE. The result is not nil when it ends the dialog.
func (l *life) answered(ctx context.Context, a answer) *ending {
	l.pending = nil
	l.d.seq = a.seq + 1
	if a.err == nil {
		l.hurried = false
		d, ok := interval(a.res, "Expires")
		if !ok {
			d = *l.ask
		}
		l.granted(d)
		return nil
	}
	if ctx.Err() != nil { // it was given up, not refused; what is left to do is leaving
		return nil
	}
	status, refused := statusOf(a.err)
	switch {
	case refused && !l.raised && minExpires(status) > *l.ask:
		*l.ask, l.raised = minExpires(status), true
		l.pending = l.d.subscribe(ctx, *l.ask)
		return nil
	case l.d.notifier == "":
		end := refusal(a.err)
		return &end
	case l.until.IsZero() && !refused: // the 2xx is lost, but a NOTIFY came: that is a subscription
		l.granted(*l.ask)
		return nil
	case refused && survives(status.Code):
		l.refresh.Reset(max(retryRefresh, retryAfter(status)))
		return nil
	default:
		return &ending{err: a.err, again: !errors.Is(a.err, sipua.ErrClosed), soon: true}
	}
}

// survives reports whether a dialog lives on after a refresh was refused so (RFC 5057 §5.1): the notifier is there and
// could not serve this one request.
func survives(code int) bool {
	return temporary(code) && code != 408 && code != 480 && code != 481
}

// resubscribe refreshes, unless a SUBSCRIBE is under way or the notifier is not known yet: outside of the dialog it would
// open another one.
func (l *life) resubscribe(ctx context.Context) {
	if l.pending == nil && l.d.notifier != "" {
		l.pending = l.d.subscribe(ctx, *l.ask)
	}
}

// leave unsubscribes: SUBSCRIBE with Expires 0, then the last NOTIFY (RFC 6665 §4.1.2.3).
func (l *life) leave(ctx context.Context) {
	if l.pending != nil { // its context has ended
		l.d.seq = (<-l.pending).seq + 1
	}
	if l.d.notifier == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, goodbye)
	defer cancel()
	gone := l.d.subscribe(ctx, 0)
	for last := false; !last || gone != nil; {
		select {
		case req, ok := <-l.d.requests:
			if !ok {
				return
			}
			state := parseSubstate(field(req, "Subscription-State")).state
			last = l.d.accept(req) && state == "terminated" || last
		case a := <-gone:
			if a.err != nil {
				return
			}
			gone = nil
		case <-ctx.Done():
			return
		}
	}
}
