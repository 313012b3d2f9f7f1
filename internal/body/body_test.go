package body

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"offhook/internal/testkit/golden"
)

func TestReginfo(t *testing.T) {
	got, err := ParseReginfo(readFile(t, "reginfo_gaps.xml"))
	if err != nil {
		t.Fatal(err)
	}
	want := Reginfo{Full: true, Regs: []Registration{{
		AOR: "sip:alice@example.org", ID: "0x7f01", State: "active", Contacts: []RegContact{
			{
				ID: "0x7f02", State: "active", Event: "created", URI: "sip:alice@192.0.2.1:5060", Expires: 300,
				Instance: "urn:uuid:aa", Methods: "INVITE, ACK, MESSAGE",
			},
			{
				ID: "0x7f03", State: "terminated", Event: "unregistered", URI: "sip:alice@192.0.2.2",
				Instance: "urn:uuid:bb", PubGRUU: "sip:alice@example.org;gr=urn:uuid:bb",
			},
		},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	want.Version, want.Full = 7, false
	golden.Check(t, "reginfo.golden.xml", want.Marshal())
	if got, err = ParseReginfo(want.Marshal()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzReginfo(f *testing.F) {
	f.Add(readFile(f, "reginfo_gaps.xml"))
	f.Add(readFile(f, "reginfo.golden.xml"))
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := ParseReginfo(b)
		if err != nil {
			return
		}
		second, err := ParseReginfo(first.Marshal())
		if errors.Is(err, ErrTooLarge) {
			return
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, first.Marshal())
		}
		third, err := ParseReginfo(second.Marshal())
		if err != nil {
			t.Fatalf("%v\n%s", err, second.Marshal())
		}
		if diff := cmp.Diff(second, third, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestIsComposing(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want IsComposing
	}{
		{
			`<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>active</state><contenttype>text/plain</contenttype><refresh>90</refresh></isComposing>`,
			IsComposing{Active: true, ContentType: "text/plain", Refresh: 90 * time.Second},
		},
		{`<isComposing><state> idle </state><lastactive>2026-01-01T00:00:00Z</lastactive></isComposing>`, IsComposing{}},
		{`<isComposing><state>pondering</state><refresh>soon</refresh></isComposing>`, IsComposing{}},
	} {
		got, err := ParseIsComposing([]byte(tt.in))
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v", tt.in, got, err)
		}
		again, err := ParseIsComposing(got.Marshal())
		if err != nil || again != got {
			t.Errorf("%s: round trip %+v, %v", tt.in, again, err)
		}
	}
	if _, err := ParseIsComposing([]byte("<isComposing/>")); !errors.Is(err, ErrMalformed) {
		t.Errorf("no state: %v", err)
	}
}

func FuzzIsComposing(f *testing.F) {
	f.Add(IsComposing{Active: true, ContentType: "text/plain", Refresh: time.Minute}.Marshal())
	f.Add(MarshalKeyboardActivity(true))
	f.Fuzz(func(t *testing.T, b []byte) {
		if typing, err := ParseKeyboardActivity(b); err == nil {
			if again, err := ParseKeyboardActivity(MarshalKeyboardActivity(typing)); err != nil || again != typing {
				t.Fatal(again, err)
			}
		}
		c, err := ParseIsComposing(b)
		if err != nil {
			return
		}
		again, err := ParseIsComposing(c.Marshal())
		if err != nil || again != c {
			t.Fatalf("%+v became %+v, %v", c, again, err)
		}
	})
}

func TestKeyboardActivity(t *testing.T) {
	for in, want := range map[string]bool{
		`<KeyboardActivity><status status="type" /></KeyboardActivity>`:                               true,
		`<?xml version="1.0"?><KeyboardActivity xmlns="x"><status status="idle"/></KeyboardActivity>`: false,
		string(MarshalKeyboardActivity(true)):                                                         true,
		string(MarshalKeyboardActivity(false)):                                                        false,
	} {
		if got, err := ParseKeyboardActivity([]byte(in)); err != nil || got != want {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	if _, err := ParseKeyboardActivity([]byte("<KeyboardActivity/>")); !errors.Is(err, ErrMalformed) {
		t.Errorf("no status: %v", err)
	}
}

func TestSipfrag(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Sipfrag
	}{
		{"SIP/2.0 100 Trying", Sipfrag{Code: 100, Reason: "Trying"}},
		{"SIP/2.0 200\r\n", Sipfrag{Code: 200}},
		{"\r\nsip/2.0 603 No way\n", Sipfrag{Code: 603, Reason: "No way"}},
		{
			"SIP/2.0 200 OK\r\ncall-info: <sip:701@example.org>;purpose=x-park-orbit,\r\n <sip:pk@example.org>\r\nm: <sip:a@b>\r\nCALL-INFO: second\r\n\r\nbody\r\n",
			Sipfrag{Code: 200, Reason: "OK", Headers: map[string][]string{
				"Call-Info": {"<sip:701@example.org>;purpose=x-park-orbit, <sip:pk@example.org>", "second"},
				"Contact":   {"<sip:a@b>"},
			}, Body: []byte("body\r\n")},
		},
	} {
		got, err := ParseSipfrag([]byte(tt.in))
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.in, diff)
		}
	}
	for _, in := range []string{
		"", "INVITE sip:a@b SIP/2.0", "SIP/2.0 99 Low", "SIP/2.0 700 High", "SIP/2.0 2000 Long", "SIP/3.0 200 OK",
		"SIP/2.0 200 OK\r\nno colon", "SIP/2.0 200 OK\r\nbad name: x", "SIP/2.0 +20 OK",
		"SIP/2.0 200 OK\r\n" + strings.Repeat("A: b\r\n", maxFragHeaders+1),
	} {
		if _, err := ParseSipfrag([]byte(in)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.40q: %v", in, err)
		}
	}
}

func TestSipfragMarshalIsSafe(t *testing.T) {
	f := Sipfrag{Code: 200, Reason: "OK\r\nX: y", Headers: map[string][]string{"Contact": {"a\r\nB: c"}, "Bad\r\nName": {"x"}}}
	if got, want := string(f.Marshal()), "SIP/2.0 200 OK X: y\r\nContact: a B: c\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzSipfrag(f *testing.F) {
	f.Add([]byte("SIP/2.0 200 OK\r\nContact: <sip:a@b>\r\n x\r\n\r\nbody"))
	f.Add([]byte("SIP/2.0 486 Busy Here"))
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := ParseSipfrag(b)
		if err != nil {
			return
		}
		second, err := ParseSipfrag(first.Marshal())
		if errors.Is(err, ErrTooLarge) {
			return
		}
		if err != nil {
			t.Fatalf("%v\n%q", err, first.Marshal())
		}
		third, err := ParseSipfrag(second.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(second, third, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestTextFormat(t *testing.T) {
	for _, tt := range []struct{ in, kind, text string }{
		{"text/plain; charset=UTF-8; ms-body=cXdl", "text/plain", "qwe"},
		{"text/plain; charset=UTF-8;msgr=WAAtAE0A;ms-body=aGVsbG8=", "text/plain", "hello"},
		{"Text/Plain;CHARSET=utf-8;MS-Body=\"aGVsbG8\"", "text/plain", "hello"},
		{"text/plain; charset=iso-8859-1; ms-body=R3L832U=", "text/plain", "Grüße"},
		{"text/plain; charset=utf-16; ms-body=aABpAA==", "text/plain", "hi"},
		{"text/html; charset=UTF-8; ms-body=PGI+aGk8L2I+", "text/html", "<b>hi</b>"},
		{"text/plain; ms-body=", "text/plain", ""},
	} {
		got, err := ParseTextFormat(tt.in, 100)
		if err != nil || got.ContentType != tt.kind || got.Text != tt.text {
			t.Errorf("%s: %+v, %v", tt.in, got, err)
		}
	}
	for _, in := range []string{
		"", "text/plain", "text/plain; charset=UTF-8", "plain; ms-body=cXdl", "text/plain; ms-body=***",
		"text/plain; charset=klingon; ms-body=cXdl", "; ms-body=cXdl",
	} {
		if _, err := ParseTextFormat(in, 100); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", in, err)
		}
	}
	long := TextFormat{Text: strings.Repeat("x", 101)}
	if _, err := ParseTextFormat(long.String(), 100); !errors.Is(err, ErrTooLarge) {
		t.Errorf("101 bytes: %v", err)
	}
	if got := (TextFormat{ContentType: "a/b\r\nX: y", Text: "hi"}).String(); got != "text/plain; charset=UTF-8; ms-body=aGk=" {
		t.Errorf("unsafe content type: %q", got)
	}
}

func FuzzTextFormat(f *testing.F) {
	f.Add("text/plain; charset=UTF-8; ms-body=cXdl")
	f.Add("text/plain; charset=utf-16; ms-body=" + base64.StdEncoding.EncodeToString([]byte{0xfe, 0xff, 0, 65}))
	f.Fuzz(func(t *testing.T, v string) {
		first, err := ParseTextFormat(v, 4096)
		if err != nil {
			return
		}
		again, err := ParseTextFormat(first.String(), 4*4096)
		if err != nil || again != first {
			t.Fatalf("%+v became %+v, %v", first, again, err)
		}
		if strings.ContainsAny(first.String(), "\r\n") {
			t.Fatalf("line break in %q", first.String())
		}
	})
}
