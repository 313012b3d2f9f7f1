package body

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"offhook/internal/testkit/golden"
)

func TestResourceList(t *testing.T) {
	occupied := DialogInfo{Full: true, Entity: "sip:701@example.org", Dialogs: []DialogState{{ID: "p1", State: "confirmed"}}}
	free := DialogInfo{Full: true, Entity: "sip:702@example.org"}
	want := ResourceList{URI: "sip:park-lot@example.org", Version: 2, Full: true, Resources: []Resource{
		{URI: "sip:701@example.org", Instances: []ResourceInstance{{ID: "1", State: "active", Type: TypeDialogInfo, Body: occupied.Marshal()}}},
		{URI: "sip:702@example.org", Instances: []ResourceInstance{{ID: "1", State: "active", Type: TypeDialogInfo, Body: free.Marshal()}}},
		{URI: "sip:703@example.org", Instances: []ResourceInstance{{ID: "1", State: "terminated", Reason: "noresource"}}},
		{URI: "sip:704@example.org"},
	}}
	contentType, b := want.Marshal()
	golden.Check(t, "resourcelist.golden.txt", append([]byte(contentType+"\r\n\r\n"), b...))
	got, err := ParseResourceList(contentType, b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestResourceListSize: a lot of 20 that is full stays far below what UDP carries in fragments.
func TestResourceListSize(t *testing.T) {
	l := ResourceList{URI: "sip:park-lot@example.org", Full: true}
	for n := range 20 {
		uri := fmt.Sprintf("sip:%d@example.org", 701+n)
		doc := DialogInfo{Version: n, Full: true, Entity: uri, Dialogs: []DialogState{{
			ID: "p1", State: "confirmed", Local: Participant{URI: uri}, Remote: Participant{URI: "sip:mary@example.org", Display: "Mary Miller"},
			Parked: &ParkedInfo{
				By: "sip:bob@example.org", ByDisplay: "Bob Martin", Since: at("2026-03-02T10:00:00Z"), RingBack: at("2026-03-02T10:01:30Z"),
				Note: "order 77, wants to know when it comes",
			},
		}}}
		l.Resources = append(l.Resources, Resource{URI: uri, Instances: []ResourceInstance{{State: "active", Type: TypeDialogInfo, Body: doc.Marshal()}}})
	}
	if _, b := l.Marshal(); len(b) > 20<<10 {
		t.Errorf("%d bytes", len(b))
	} else {
		t.Logf("%d bytes", len(b))
	}
}

func lines(s ...string) string { return strings.Join(s, "\r\n") }

func TestResourceListVariants(t *testing.T) {
	const rlmi = `<list uri="sip:l@x" version="1" fullState="1"><name>the lot</name><resource uri="sip:701@x"><name>a</name><instance id="z" state="Active" cid="cid:a@x"/></resource></list>`
	want := ResourceList{URI: "sip:l@x", Version: 1, Full: true, Resources: []Resource{
		{URI: "sip:701@x", Instances: []ResourceInstance{{ID: "z", State: "active", Type: "text/plain", Body: []byte("hello")}}},
	}}
	without := ResourceList{URI: "sip:l@x", Version: 1, Full: true, Resources: []Resource{
		{URI: "sip:701@x", Instances: []ResourceInstance{{ID: "z", State: "active"}}},
	}}
	root := lines("--b", "Content-Type: application/rlmi+xml;charset=UTF-8", "Content-ID: <root@x>", "", rlmi)
	part := lines("--b", "content-type: Text/Plain ; charset=utf-8", "content-id: <a@x>", "", "hello")
	for _, tt := range []struct {
		name, contentType, in string
		want                  ResourceList
	}{
		{"as it should be", `multipart/related;type="application/rlmi+xml";start="<root@x>";boundary=b`, lines(root, part, "--b--", ""), want},
		{"root last, start wrong", `Multipart/Related; boundary="b"; start="<a@x>"`, lines("preamble", part, root, "--b--", "epilogue"), want},
		{"part missing", `multipart/related;boundary=b`, lines(root, "--b--", ""), without},
		{"bare line feeds", `multipart/related;boundary=b`, strings.ReplaceAll(lines(root, part, "--b--", ""), "\r\n", "\n"), want},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseResourceList(tt.contentType, []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name, tt := range map[string]struct {
		contentType, in string
		want            error
	}{
		"another type": {`application/rlmi+xml`, rlmi, ErrMalformed},
		"no boundary":  {`multipart/related`, lines(root, "--b--", ""), ErrMalformed},
		"no type":      {``, lines(root, "--b--", ""), ErrMalformed},
		"no list":      {`multipart/related;boundary=b`, lines(part, "--b--", ""), ErrMalformed},
		"no parts":     {`multipart/related;boundary=b`, "--b--\r\n", ErrMalformed},
		"empty":        {`multipart/related;boundary=b`, "", ErrMalformed},
		"cut off":      {`multipart/related;boundary=b`, lines(root, part), ErrMalformed},
		"long":         {`multipart/related;boundary=b`, strings.Repeat(" ", MaxSize+1), ErrTooLarge},
		"many parts":   {`multipart/related;boundary=b`, strings.Repeat("--b\r\n\r\n\r\n", maxParts+1), ErrTooLarge},
		"many resources": {
			`multipart/related;boundary=b`,
			lines("--b", "Content-Type: application/rlmi+xml", "", "<list>"+strings.Repeat("<resource/>", maxParts+1)+"</list>", "--b--", ""), ErrTooLarge,
		},
	} {
		if _, err := ParseResourceList(tt.contentType, []byte(tt.in)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestResourceListRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := ResourceList{URI: drawText(t, "uri"), Version: rapid.IntRange(0, 1000).Draw(t, "version"), Full: rapid.Bool().Draw(t, "full")}
		for range rapid.IntRange(0, 4).Draw(t, "resources") {
			r := Resource{URI: drawText(t, "resource")}
			for range rapid.IntRange(0, 2).Draw(t, "instances") {
				i := ResourceInstance{ID: "i", State: rapid.SampledFrom([]string{"active", "pending", "terminated"}).Draw(t, "state"), Reason: drawText(t, "reason")}
				if rapid.Bool().Draw(t, "document") {
					i.Type = "text/plain"
					// Bodies that look like the end of their part.
					i.Body = []byte(rapid.StringOf(rapid.SampledFrom([]rune("\r\n-part0123 "))).Draw(t, "body"))
				}
				r.Instances = append(r.Instances, i)
			}
			l.Resources = append(l.Resources, r)
		}
		contentType, b := l.Marshal()
		got, err := ParseResourceList(contentType, b)
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		if diff := cmp.Diff(l, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s\n%s", diff, b)
		}
	})
}

func FuzzResourceList(f *testing.F) {
	contentType, b := ResourceList{URI: "sip:l@x", Resources: []Resource{{
		URI: "sip:701@x", Instances: []ResourceInstance{{ID: "1", State: "active", Type: "text/plain", Body: []byte("hello")}},
	}}}.Marshal()
	f.Add(contentType, b)
	f.Add("multipart/related;boundary=b", []byte("--b\r\nContent-Type: application/rlmi+xml\r\n\r\n<list/>\r\n--b--"))
	f.Fuzz(func(t *testing.T, contentType string, b []byte) {
		first, err := ParseResourceList(contentType, b)
		if err != nil {
			return
		}
		second, err := ParseResourceList(first.Marshal())
		if errors.Is(err, ErrTooLarge) {
			return
		}
		if err != nil {
			_, b := first.Marshal()
			t.Fatalf("%v\n%s", err, b)
		}
		if len(second.Resources) != len(first.Resources) {
			t.Fatal("resources were lost")
		}
	})
}
