package sipua

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// minSessionExpires is the shortest session interval anybody may ask for (RFC 4028 §4).
const minSessionExpires = 90 * time.Second

// refreshRetry is how long after a refresh that failed for a passing reason the next is tried.
const refreshRetry = 10 * time.Second

// sessionTimer is the agreement on how often a session is shown to be alive (RFC 4028).
type sessionTimer struct {
	touched chan struct{} // Immutable; capacity 1: something below has changed

	// Guarded by the dialog's mu
	interval time.Duration // 0: no agreement
	ours     bool          // we refresh
	since    time.Time     // the last refresh
	retry    time.Time     // not before this
	minimum  time.Duration // largest Min-SE seen
}

// sessionExpires reads Session-Expires: the interval and who refreshes, "uac", "uas" or "".
func sessionExpires(msg message) (interval time.Duration, refresher string, ok bool) {
	h := msg.GetHeader("session-expires")
	if h == nil {
		return 0, "", false
	}
	interval, ok = parseSeconds(h.Value())
	for _, p := range strings.Split(h.Value(), ";")[1:] {
		if name, value, _ := strings.Cut(p, "="); strings.EqualFold(strings.TrimSpace(name), "refresher") {
			refresher = strings.ToLower(strings.TrimSpace(value))
		}
	}
	return interval, refresher, ok
}

func sessionExpiresHeader(interval time.Duration, refresher string) sip.Header {
	v := fmt.Sprint(int(interval / time.Second))
	if refresher != "" {
		v += ";refresher=" + refresher
	}
	return sip.NewHeader("Session-Expires", v)
}

func minSE(d time.Duration) sip.Header {
	return sip.NewHeader("Min-SE", fmt.Sprint(int(d/time.Second)))
}

// admitTimer refuses an interval that would make for too many refreshes (RFC 4028 §9).
func (a *Agent) admitTimer(req *Request) bool {
	interval, _, ok := sessionExpires(req)
	if !ok || a.cfg.SessionTimer < 0 || interval >= minSessionExpires || !hasToken(req, "supported", "timer") {
		return true
	}
	_ = req.Respond(422, "Session Interval Too Small", minSE(minSessionExpires))
	return false
}

func (d *Dialog) admitTimer(req *Request) bool {
	if d.agent.admitTimer(req) {
		return true
	}
	d.endAnswering()
	return false
}

// grantTimer puts our side of the agreement into a 2xx to INVITE or UPDATE (RFC 4028 §9, table 2).
func (d *Dialog) grantTimer(req *Request, res *sip.Response) {
	most := d.agent.cfg.SessionTimer
	interval, refresher, asked := sessionExpires(req)
	knows := hasToken(req, "supported", "timer")
	if most < 0 || !asked && !knows {
		return
	}
	least := minSessionExpires
	if m, ok := seconds(req, "min-se"); ok {
		least = max(least, m)
	}
	if !asked || interval > most {
		interval = most
	}
	interval = max(interval, least)
	switch {
	case !knows:
		refresher = "uas" // the other side cannot
	case refresher != "uas":
		refresher = "uac"
		res.AppendHeader(sip.NewHeader("Require", "timer"))
	}
	res.AppendHeader(sessionExpiresHeader(interval, refresher))
}

// refreshed takes over the agreement that a 2xx of ours has made.
func (d *Dialog) refreshed(_ *Request, res *sip.Response) { d.agree(res, "uas") }

// agree takes over the agreement in a 2xx; we is our role in that transaction. A 2xx without one ends the timer
// (RFC 4028 §7.2).
func (d *Dialog) agree(res *sip.Response, we string) {
	interval, refresher, ok := sessionExpires(res)
	d.mu.Lock()
	defer d.mu.Unlock()
	if !ok || d.agent.cfg.SessionTimer < 0 {
		interval = 0
	} else {
		interval = max(interval, minSessionExpires)
	}
	if refresher == "" {
		refresher = "uac"
	}
	d.timer.interval, d.timer.ours, d.timer.since = interval, refresher == we, time.Now()
	d.timer.retry = time.Time{}
	select {
	case d.timer.touched <- struct{}{}:
	default:
	}
}

// HasTimer reports whether a session timer is agreed: the dialog of a peer that has vanished ends then.
func (d *Dialog) HasTimer() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.timer.interval > 0
}

// timerHeaders ask for an interval in a request of ours. Once there is an agreement, we ask to stay the refresher if we
// are, which in our own request is the uac (RFC 4028 §7.4).
func (d *Dialog) timerHeaders() []sip.Header {
	most := d.agent.cfg.SessionTimer
	if most < 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	interval, refresher := most, ""
	if d.timer.interval > 0 {
		interval, refresher = d.timer.interval, "uas"
		if d.timer.ours {
			refresher = "uac"
		}
	}
	least := max(d.timer.minimum, minSessionExpires)
	return []sip.Header{sessionExpiresHeader(max(interval, least), refresher), minSE(least)}
}

// keepSession refreshes the session in time, or ends it when the other side does not, until the dialog ends.
func (d *Dialog) keepSession(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		due, last := d.timerDue()
		timer.Stop()
		if !due.IsZero() {
			timer.Reset(time.Until(due))
		}
		select {
		case <-timer.C:
			if last {
				d.abort(fmt.Errorf("%w: the session was not refreshed", ErrTimeout), "")
				return
			}
			d.refresh(ctx)
		case <-d.timer.touched:
		case <-d.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// timerDue says when something has to be done; last means that it is to end the session. The refresher acts at half the
// interval; a session that nobody has refreshed ends a little before it would expire (RFC 4028 §10).
func (d *Dialog) timerDue() (due time.Time, last bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := &d.timer
	if t.interval == 0 {
		return time.Time{}, false
	}
	end := t.since.Add(t.interval - min(32*time.Second, t.interval/3))
	if !t.ours {
		return end, true
	}
	due = t.since.Add(t.interval / 2)
	if due.Before(t.retry) {
		due = t.retry
	}
	if !due.Before(end) {
		return end, true
	}
	return due, false
}

// refresh shows that the session is alive, and tries once more with what the other side asks for.
func (d *Dialog) refresh(ctx context.Context) {
	d.mu.Lock()
	d.timer.retry = time.Now().Add(refreshRetry) // unless it succeeds
	d.mu.Unlock()
	res, err := d.refreshOnce(ctx)
	switch {
	case hasStatus(err, 422): // RFC 4028 §7.4
		if least, ok := seconds(res, "min-se"); ok {
			d.mu.Lock()
			d.timer.minimum = least
			d.mu.Unlock()
			_, err = d.refreshOnce(ctx)
		}
	case hasStatus(err, 405, 501): // it does not take UPDATE after all
		d.mu.Lock()
		d.allows = nil
		d.mu.Unlock()
		_, err = d.refreshOnce(ctx)
	}
	if err != nil {
		d.agent.log.Info("session refresh failed", "call", d.id.CallID, "err", err)
	}
}

// refreshOnce sends UPDATE, which carries no offer, if the other side takes it, else a re-INVITE that repeats our
// description (RFC 4028 §7.4).
func (d *Dialog) refreshOnce(ctx context.Context) (*sip.Response, error) {
	if _, body, _ := d.description(); len(body) == 0 || d.CanBeSent(sip.UPDATE) {
		return d.touch(ctx)
	}
	// When its turn comes an offer that was open may have changed what there is to repeat.
	return d.Propose(ctx, Offer{Method: sip.INVITE, Describe: d.description})
}

// description is our session description that is in force.
func (d *Dialog) description() (contentType string, body []byte, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bodyType, d.body, nil
}

// touch sends an UPDATE without an offer.
func (d *Dialog) touch(ctx context.Context) (*sip.Response, error) {
	if err := d.take(ctx); err != nil {
		return nil, err
	}
	defer d.release()
	res, err := d.do(ctx, sip.UPDATE, "", nil, d.timerHeaders())
	if err == nil {
		d.learn(res)
		d.agree(res, "uac")
	}
	return res, err
}
