package park

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
)

// fakeLeg is a call whose far ends do as a test says. It writes down whatever is asked of it: what is not there has not
// been done to the call.
type fakeLeg struct {
	t        *testing.T
	replaces bool                         // the parkee supports it
	out      answer                       // to the REFER to the service
	in       answer                       // to the REFER to the parkee
	services map[string]*fakeConsultation // by user part; 404 without
	lamps    *fakeLamps                   // nil: no lamps
	invited  func(user string)            // for side effects of an INVITE
	hang     context.CancelCauseFunc      // if set, the REFER to the parkee ends the context instead
	log      []string
}

// answer is the final outcome of a request.
type answer struct {
	frag body.Sipfrag
	err  error
}

func ok(callInfo ...string) answer {
	return answer{frag: body.Sipfrag{Code: 200, Reason: "OK", Headers: map[string][]string{"Call-Info": callInfo}}}
}

// failed is a final NOTIFY.
func failed(code int, warning ...string) answer {
	return answer{frag: body.Sipfrag{Code: code, Reason: "No", Headers: map[string][]string{"Warning": warning}}}
}

// refusedWith is a final response to the REFER or INVITE itself.
func refusedWith(code int, warning ...string) answer { return answer{err: status(code, warning...)} }

func status(code int, warning ...string) error {
	res := sip.NewResponse(code, "No")
	for _, w := range warning {
		res.AppendHeader(sip.NewHeader("Warning", w))
	}
	return &sipua.StatusError{Code: code, Reason: "No", Response: res}
}

func (l *fakeLeg) note(format string, args ...any) {
	l.log = append(l.log, fmt.Sprintf(format, args...))
}

func uriOf(t *testing.T, s string) sip.Uri {
	t.Helper()
	uri, err := sipua.ParseURI(s)
	if err != nil {
		t.Fatal(err)
	}
	return uri
}

func (l *fakeLeg) ReferTo() sip.Uri {
	return uriOf(l.t, "sip:mary@example.org;gr=phone?Replaces=call-1")
}

func (l *fakeLeg) Remote() Party               { return Party{URI: "sip:mary@example.org", Display: "Mary"} }
func (l *fakeLeg) Supports(option string) bool { return option == "replaces" && l.replaces }

func (l *fakeLeg) ReferOut(_ context.Context, to, referTo sip.Uri, note string) (body.Sipfrag, error) {
	l.note("REFER %s: %s %q", to.String(), referTo.String(), note)
	return l.out.frag, l.out.err
}

func (l *fakeLeg) ReferIn(ctx context.Context, referTo sip.Uri) (body.Sipfrag, error) {
	l.note("REFER in the call: %s", referTo.String())
	if l.hang != nil {
		l.hang(errHung)
		return body.Sipfrag{}, context.Cause(ctx)
	}
	for _, c := range l.services {
		if c.ends && l.in.err == nil && l.in.frag.Code == 200 {
			close(c.done)
		}
	}
	return l.in.frag, l.in.err
}

func (l *fakeLeg) Invite(_ context.Context, to sip.Uri) (Consultation, error) {
	l.note("INVITE %s", to.String())
	c := l.services[to.User]
	if c == nil {
		return nil, status(404)
	}
	if c.err != nil {
		return nil, c.err
	}
	if l.invited != nil {
		l.invited(to.User)
	}
	c.leg, c.done = l, make(chan struct{})
	return c, nil
}

func (l *fakeLeg) Lamps(_ context.Context, orbits []sip.Uri) (Lamps, error) {
	l.note("SUBSCRIBE %s…%s", orbits[0].String(), orbits[len(orbits)-1].String())
	if l.lamps == nil {
		return nil, status(489)
	}
	return l.lamps, nil
}

// fakeConsultation is a service that has answered.
type fakeConsultation struct {
	err      error // it does not answer
	asserted string
	callInfo []string
	ends     bool // it hangs up once the parkee has taken our place
	leg      *fakeLeg
	done     chan struct{}
}

func (c *fakeConsultation) ReferTo() sip.Uri {
	return uriOf(c.leg.t, "sip:192.0.2.1:5060?Replaces=call-2")
}
func (c *fakeConsultation) Asserted() Party       { return Party{URI: c.asserted} }
func (c *fakeConsultation) CallInfo() []string    { return c.callInfo }
func (c *fakeConsultation) Done() <-chan struct{} { return c.done }
func (c *fakeConsultation) Close(ctx context.Context) error {
	if ctx.Err() != nil {
		c.leg.t.Error("a consultation was closed with a context that is over")
	}
	select {
	case <-c.done:
	default:
		c.leg.note("BYE")
	}
	return nil
}

// fakeLamps are lamps whose changes a test makes.
type fakeLamps struct {
	lit     []string
	changes chan []string
}

func (l *fakeLamps) Occupied() []string { return slices.Clone(l.lit) }
func (l *fakeLamps) Close()             {}
func (l *fakeLamps) Wait(ctx context.Context) error {
	select {
	case l.lit = <-l.changes:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
