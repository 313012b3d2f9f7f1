// Package event subscribes to events and publishes them: SUBSCRIBE and NOTIFY (RFC 6665), PUBLISH (RFC 3903).
//
// A Subscription wants notifications until it is closed and heals itself. One subscription dialog after the other
// serves it (life.go), each in these steps:
//
//  1. SUBSCRIBE goes out with a Call-ID of its own. From now on a NOTIFY may come, also before the 2xx.
//  2. The first NOTIFY makes the dialog: its sender is the notifier. A forked SUBSCRIBE brings others, who get 481.
//  3. Each NOTIFY is answered at once and queued for the reader; a slow reader loses the oldest, never the newest.
//  4. The dialog is refreshed when most of the time that the notifier granted has passed.
//  5. It ends: the notifier says terminated with a reason, a refresh fails, time runs out. The reason decides whether
//     to subscribe anew at once, after a while, or never again (RFC 6665 §4.1.3).
//
// A Publication keeps one piece of state published. The server names what it stored by an entity-tag; each PUBLISH
// refers to the last one, and when the server has forgotten it (412) the state is published anew. So it outlives a
// server that restarts.
//
// Waiting before a new attempt doubles from failure to failure and is random in part, for a server that comes back
// should not meet all of its clients in one moment.
package event

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// ErrClosed is what Next returns once the subscription was closed.
var ErrClosed = errors.New("event: the subscription is closed")

// Notification is one NOTIFY.
type Notification struct {
	ContentType string // without parameters, in lower case; "" without a body
	Body        []byte
	State       string    // active, pending, terminated
	Reason      string    // with terminated
	Date        time.Time // of the NOTIFY, zero if absent
	Received    time.Time // by this machine's clock, with a monotonic reading
}

// Ended is why a notifier has ended a subscription for good: it is what Next returns then.
type Ended struct {
	Reason string // rejected, noresource, invariant
}

func (e *Ended) Error() string { return "event: the subscription was ended: " + e.Reason }

// substate is a Subscription-State header (RFC 6665 §8.2.3).
type substate struct {
	state      string
	reason     string
	expires    time.Duration // -1 if absent
	retryAfter time.Duration // 0 if absent
}

// parseSubstate reads a Subscription-State value. A missing one counts as active: the notifier did notify.
func parseSubstate(v string) substate {
	state, rest, _ := strings.Cut(v, ";")
	s := substate{state: strings.ToLower(strings.TrimSpace(state)), expires: -1}
	if s.state == "" {
		s.state = "active"
	}
	for param := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(param, "=")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "reason":
			// Deployed notifiers write reason=reason=noresource.
			value = strings.ToLower(strings.Trim(value, `"`))
			s.reason = strings.TrimPrefix(value, "reason=")
		case "expires":
			if d, ok := parseSeconds(value); ok {
				s.expires = d
			}
		case "retry-after":
			if d, ok := parseSeconds(value); ok {
				s.retryAfter = d
			}
		}
	}
	return s
}

// maxInterval bounds every interval that a peer names.
const maxInterval = 24 * time.Hour

// parseSeconds reads the number that v begins with; Retry-After has a comment or parameters behind it.
func parseSeconds(v string) (time.Duration, bool) {
	v = strings.TrimSpace(v)
	end := 0
	for end < len(v) && v[end] >= '0' && v[end] <= '9' {
		end++
	}
	if end == 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(v[:end], 10, 32)
	if err != nil || n > uint64(maxInterval/time.Second) {
		return maxInterval, true
	}
	return time.Duration(n) * time.Second, true
}

// message is a request or response.
type message interface{ GetHeader(name string) sip.Header }

// field returns the value of a header, "" if it is absent.
func field(m message, name string) string {
	if h := m.GetHeader(name); h != nil {
		return h.Value()
	}
	return ""
}

// interval reads a header that holds seconds.
func interval(m message, name string) (time.Duration, bool) { return parseSeconds(field(m, name)) }

// seconds writes an interval as header value, rounded up: never less than is meant.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// newNotification reads a NOTIFY.
func newNotification(req *sipua.Request, s substate) Notification {
	n := Notification{Body: req.Body(), State: s.state, Reason: s.reason, Received: time.Now()}
	if h := req.ContentType(); h != nil && len(n.Body) > 0 {
		kind, _, _ := strings.Cut(h.Value(), ";")
		n.ContentType = strings.ToLower(strings.TrimSpace(kind))
	}
	if t, err := http.ParseTime(field(req, "Date")); err == nil { // RFC 3261 §20.17: the format of HTTP
		n.Date = t
	}
	return n
}

// samePackage compares event types without their parameters. A NOTIFY without one is taken: its dialog says enough.
func samePackage(value, name string) bool {
	kind, _, _ := strings.Cut(value, ";")
	return value == "" || strings.EqualFold(strings.TrimSpace(kind), name)
}

// statusOf returns the final response in an error, if that is one.
func statusOf(err error) (*sipua.StatusError, bool) {
	var status *sipua.StatusError
	ok := errors.As(err, &status)
	return status, ok
}

// retryAfter returns how long a refusal asks to wait.
func retryAfter(status *sipua.StatusError) time.Duration {
	if status.Response == nil {
		return 0
	}
	d, _ := interval(status.Response, "Retry-After")
	return d
}

// minExpires returns what a 423 demands, or 0.
func minExpires(status *sipua.StatusError) time.Duration {
	if status.Code != 423 || status.Response == nil {
		return 0
	}
	d, _ := interval(status.Response, "Min-Expires")
	return d
}

// temporary reports whether a refused request may succeed later: the server or the path is in trouble, rather than the
// request wrong or unwanted.
func temporary(code int) bool {
	switch code {
	case 408, 429, 430, 480, 481, 486, 487, 491, 494, 500, 502, 503, 504, 580, 600:
		return true
	}
	return false
}
