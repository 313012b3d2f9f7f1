package park

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/google/go-cmp/cmp"

	"offhook/internal/body"
	"offhook/internal/sipua"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestParseOutcome(t *testing.T) {
	for _, tt := range []struct {
		name string
		frag string
		want CallParkOrbit
	}{
		{
			"as ours sends it", "SIP/2.0 200 OK\r\nCall-Info: " + strings.ReplaceAll(orbit701, ", ", ",\r\n ") + "\r\n",
			CallParkOrbit{"701", "sip:pk-secret@example.org", noon, noon.Add(90 * time.Second)},
		},
		{
			"two headers, other order, no friendly name", "SIP/2.0 202 Accepted\r\ncall-info: <sip:pk-x@a>;purpose=X-Park-Retrieve\r\n" +
				"Call-Info: <sip:702@a>;Purpose=x-park-orbit\r\nCall-Info: <http://a/face.png>;purpose=icon\r\n",
			CallParkOrbit{"702", "sip:pk-x@a", noon, time.Time{}},
		},
		{"nothing told", "SIP/2.0 200 OK\r\n", CallParkOrbit{Parked: noon}},
		{
			"a name with an escape sequence, a URI that is not SIP, bad expiry", "SIP/2.0 200 OK\r\n" +
				"Call-Info: <sip:x@a>;purpose=x-park-orbit;x-friendly=\"7\x1b[31m01\", <tel:911>;purpose=x-park-retrieve;x-expires=-1\r\n",
			CallParkOrbit{FriendlyOrbit: "701", Parked: noon},
		},
		{
			"a URI that would add headers", "SIP/2.0 200 OK\r\nCall-Info: <sip:pk-x@a?Replaces=1>;purpose=x-park-retrieve\r\n",
			CallParkOrbit{SafeRetrieveURI: "sip:pk-x@a", Parked: noon},
		},
		{"malformed", "SIP/2.0 200 OK\r\nCall-Info: <sip:701@a;purpose=x-park-orbit\r\n", CallParkOrbit{Parked: noon}},
	} {
		frag, err := body.ParseSipfrag([]byte(tt.frag))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseOutcome(frag, noon)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestParseOutcomeFailure(t *testing.T) {
	for _, tt := range []struct {
		code    int
		reason  string
		warning string
		want    *Failure
		text    string
	}{
		{486, "Busy Here", ErrNoOrbit.Warning("a"), ErrNoOrbit, "no free orbit (35002)"},
		{488, "Not \x1b[2JAcceptable", "", ErrReplaces, "the other side could not be taken over: 488 Not Acceptable (35007)"},
		{481, "", `399 a "something else (12345)"`, ErrReplaces, "the other side could not be taken over (35007)"},
		{504, "Timeout", "", ErrParkTimeout, "parking took too long (35004)"},
		{100, "Trying", "", ErrReplaces, "the other side could not be taken over: 100 Trying (35007)"},
	} {
		frag := body.Sipfrag{Code: tt.code, Reason: tt.reason}
		if tt.warning != "" {
			frag.Headers = map[string][]string{"Warning": {tt.warning}}
		}
		_, err := ParseOutcome(frag, noon)
		var f *Failure
		if !errors.As(err, &f) || !errors.Is(err, tt.want) || f.Status != tt.code || err.Error() != tt.text {
			t.Errorf("%d: %v", tt.code, err)
		}
	}
	if ErrReplaces.Status != 480 || strings.Contains(ErrReplaces.Text, ":") {
		t.Error("the failure itself was changed")
	}
}

func TestRefusal(t *testing.T) {
	if err := refusal(sipua.ErrTimeout); !errors.Is(err, sipua.ErrTimeout) {
		t.Error(err)
	}
	var f *Failure
	if err := refusal(status(486, `399 a "noise"`, ErrTooMany.Warning("a"))); !errors.As(err, &f) || !f.Is(ErrTooMany) || f.Status != 486 {
		t.Error(err)
	}
	unknown := status(477)
	if err := refusal(unknown); !errors.Is(err, unknown) {
		t.Error(err)
	}
}

func TestDetect(t *testing.T) {
	answer := func(code int, headers ...string) *sip.Response {
		res := sip.NewResponse(code, "x")
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			res.AppendHeader(sip.NewHeader(name, value))
		}
		return res
	}
	asError := func(res *sip.Response) error { return &sipua.StatusError{Code: res.StatusCode, Response: res} }
	const lot = `Call-Info: <sip:park-lot@a>;purpose=x-park-lot;x-orbits="701-720"`
	for _, tt := range []struct {
		name string
		res  *sip.Response
		err  error
		want string
	}{
		{"ours", answer(200, lot, "Server: offhook park"), nil, RFC5359},
		{"ours behind something", answer(200, "Server: Asterisk PBX", lot), nil, RFC5359},
		{"another that takes REFER", answer(200, "Allow: INVITE, ACK", "Allow: BYE,refer"), nil, RFC5359},
		{"a plain one", answer(200, "Allow: INVITE, ACK, BYE"), nil, Attended},
		{"one that says nothing", answer(200), nil, Attended},
		{"Asterisk", answer(200, "Server: Asterisk PBX 22.10.1", "Allow: REFER"), nil, Asterisk},
		{"Asterisk without such an extension", nil, asError(answer(404, "Server: asterisk")), Asterisk},
		{"one that does not know OPTIONS", answer(405), asError(answer(405)), Attended},
		{"nobody", nil, asError(answer(404, lot)), ""},
		{"nobody registered", nil, asError(answer(480)), ""},
		{"draining", nil, asError(answer(503)), ""},
		{"silence", nil, sipua.ErrTimeout, ""},
	} {
		got, ok := Detect(tt.res, tt.err)
		if ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("%s: %q, %t", tt.name, got, ok)
		}
	}
}

func FuzzParseOutcome(f *testing.F) {
	f.Add([]byte("SIP/2.0 200 OK\r\nCall-Info: " + orbit701 + "\r\n"))
	f.Add([]byte("SIP/2.0 486 Busy Here\r\nWarning: " + ErrNoOrbit.Warning("a") + "\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		frag, err := body.ParseSipfrag(b)
		if err != nil {
			return
		}
		o, err := ParseOutcome(frag, noon)
		var failure *Failure
		switch {
		case err != nil && !errors.As(err, &failure):
			t.Errorf("%v is no failure", err)
		case err != nil:
			checkClean(t, failure.Text, "", Party{})
		default:
			checkClean(t, o.FriendlyOrbit, o.SafeRetrieveURI, Party{})
		}
		if err == nil && o.SafeRetrieveURI != "" {
			if _, err := sipua.ParseURI(o.SafeRetrieveURI); err != nil {
				t.Error(err)
			}
		}
	})
}
