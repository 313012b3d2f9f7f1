package event

import (
	"strings"
	"testing"
	"time"
)

func TestParseSubstate(t *testing.T) {
	for in, want := range map[string]substate{
		"active;expires=597":                  {state: "active", expires: 597 * time.Second},
		"Active ; Expires=0":                  {state: "active"},
		"pending":                             {state: "pending", expires: -1},
		"":                                    {state: "active", expires: -1},
		"terminated;reason=timeout":           {state: "terminated", reason: "timeout", expires: -1},
		"terminated;reason=reason=noresource": {state: "terminated", reason: "noresource", expires: -1},
		`terminated;reason="Probation";retry-after=5`: {state: "terminated", reason: "probation", expires: -1, retryAfter: 5 * time.Second},
		"active;expires=soon;retry-after=-1":          {state: "active", expires: -1},
		"active;expires=99999999999999999999":         {state: "active", expires: maxInterval},
	} {
		if got := parseSubstate(in); got != want {
			t.Errorf("%q: %+v, want %+v", in, got, want)
		}
	}
}

func FuzzSubstate(f *testing.F) {
	f.Add("active;expires=597")
	f.Add("terminated;reason=reason=noresource;retry-after=1")
	f.Fuzz(func(t *testing.T, v string) {
		s := parseSubstate(v)
		if s.state == "" || strings.ContainsAny(s.state, ";") || s.expires < -1 || s.expires > maxInterval ||
			s.retryAfter < 0 || s.retryAfter > maxInterval {
			t.Errorf("%q: %+v", v, s)
		}
	})
}

func TestBackoff(t *testing.T) {
	var b backoff
	if w := b.next(true); w > soonWait {
		t.Errorf("a soon attempt waits %v", w)
	}
	for i := range 30 {
		if w := b.next(true); w < firstWait/2 || w > maxWait {
			t.Errorf("attempt %d waits %v", i, w)
		} else if i > 10 && w < maxWait/2 {
			t.Errorf("attempt %d waits only %v", i, w)
		}
	}
	b.reset()
	if w := b.next(false); w < firstWait/2 || w > firstWait {
		t.Errorf("the first failure waits %v", w)
	}
}

func TestRefreshTime(t *testing.T) {
	for _, d := range []time.Duration{0, time.Second, time.Minute, time.Hour} {
		if at := refreshTime(d); at < d*4/5 || at > d*9/10+1 {
			t.Errorf("%v is refreshed after %v", d, at)
		}
	}
}
