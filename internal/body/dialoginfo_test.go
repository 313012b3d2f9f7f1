package body

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"offhook/internal/testkit/golden"
)

func TestDialogInfo(t *testing.T) {
	want := DialogInfo{Version: 7, Full: true, Entity: "sip:park-lot@example.org", Dialogs: []DialogState{
		{
			ID: "p1", State: "confirmed",
			Local:  Participant{URI: "sip:701@example.org"},
			Remote: Participant{URI: "sip:mary@example.org", Display: `Mary "M" <O'Neill>`, Target: "sip:mary@192.0.2.7;transport=tcp"},
			Parked: &ParkedInfo{
				By: "sip:bob@example.org", ByDisplay: "Bob", Since: at("2026-03-02T10:00:00Z"), RingBack: at("2026-03-02T10:01:30Z"),
				Note: "order 77 & <more>", Recalling: true,
			},
		},
		{
			ID: "p2", State: "terminated", Event: "replaced", Direction: "recipient", CallID: "c", LocalTag: "l", RemoteTag: "r",
			Unpark: &Unpark{Reason: "retrieved", Target: "sip:carol@example.org", Display: "Carol"},
		},
		{ID: "p3", State: "terminated", Unpark: &Unpark{Reason: "abandoned"}},
	}}
	golden.Check(t, "dialoginfo.golden.xml", want.Marshal())
	got, err := ParseDialogInfo(readFile(t, "dialoginfo.golden.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDialogInfoVariants(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     DialogInfo
	}{
		{"empty", `<dialog-info/>`, DialogInfo{Full: true}},
		{
			"the hint of an Asterisk", `<?xml version="1.0" encoding="UTF-8"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="3" state="full" entity="sip:701@192.0.2.1">
 <dialog id="701"><state>confirmed</state></dialog></dialog-info>`,
			DialogInfo{Version: 3, Full: true, Entity: "sip:701@192.0.2.1", Dialogs: []DialogState{{ID: "701", State: "confirmed"}}},
		},
		{
			"notify-state, as in the first example of RFC 4235", `<dialog-info version="0" notify-state="partial" entity="sip:a@b"/>`,
			DialogInfo{Entity: "sip:a@b"},
		},
		{
			"target as text, as in RFC 5359", `<dialog-info state="full"><dialog id="1"><state> Confirmed </state>
<remote><identity>sip:a@b</identity><target>sip:a@192.0.2.3</target></remote></dialog></dialog-info>`,
			DialogInfo{Full: true, Dialogs: []DialogState{{
				ID: "1", State: "confirmed", Remote: Participant{URI: "sip:a@b", Target: "sip:a@192.0.2.3"},
			}}},
		},
		{
			"prefixes, unknown elements, no id", `<d:dialog-info xmlns:d="urn:ietf:params:xml:ns:dialog-info" xmlns:z="urn:z" z:a="1">
<z:x/><d:dialog><z:y/><d:state event="Remote-BYE" code="200">TERMINATED</d:state><d:duration>4</d:duration></d:dialog></d:dialog-info>`,
			DialogInfo{Full: true, Dialogs: []DialogState{{State: "terminated", Event: "remote-bye"}}},
		},
		{
			"ours without its namespace, with bad times", `<dialog-info><dialog><parked by="sip:b@c" since="yesterday" recalling="1"/></dialog></dialog-info>`,
			DialogInfo{Full: true, Dialogs: []DialogState{{Parked: &ParkedInfo{By: "sip:b@c"}}}},
		},
		{"version that is none", `<dialog-info version="-1" state="full"/>`, DialogInfo{Full: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseDialogInfo([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDialogInfoRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want error
	}{
		"another document": {`<presence/>`, ErrMalformed},
		"no document":      {``, ErrMalformed},
		"cut off":          {`<dialog-info><dialog>`, ErrMalformed},
		"entities":         {`<!DOCTYPE d [<!ENTITY x "y">]><dialog-info entity="&x;"/>`, ErrMalformed},
		"deep":             {`<dialog-info>` + strings.Repeat("<a>", maxDepth+1), ErrMalformed},
		"long":             {`<dialog-info>` + strings.Repeat(" ", MaxSize), ErrTooLarge},
		"many dialogs":     {`<dialog-info>` + strings.Repeat("<dialog/>", maxDialogs+1) + `</dialog-info>`, ErrTooLarge},
	} {
		if _, err := ParseDialogInfo([]byte(tt.in)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Empty elements are written as absent ones.
func drawDialog(t *rapid.T) DialogState {
	participant := func(label string) Participant {
		p := Participant{URI: drawText(t, label), Target: drawText(t, "target")}
		if p.URI != "" {
			p.Display = drawText(t, "display")
		}
		return p
	}
	d := DialogState{
		ID:        rapid.StringMatching(`[a-z0-9]{1,4}`).Draw(t, "id"),
		State:     rapid.SampledFrom([]string{"trying", "proceeding", "early", "confirmed", "terminated"}).Draw(t, "state"),
		Event:     rapid.SampledFrom([]string{"", "replaced", "remote-bye"}).Draw(t, "event"),
		Direction: rapid.SampledFrom([]string{"", "initiator", "recipient"}).Draw(t, "direction"),
		CallID:    drawText(t, "call-id"), LocalTag: drawText(t, "local tag"), RemoteTag: drawText(t, "remote tag"),
		Local: participant("local"), Remote: participant("remote"),
	}
	if rapid.Bool().Draw(t, "unpark") {
		d.Unpark = &Unpark{Reason: "retrieved", Target: drawText(t, "unpark target"), Display: drawText(t, "unpark display")}
	}
	if rapid.Bool().Draw(t, "parked") {
		d.Parked = &ParkedInfo{
			By: drawText(t, "by"), ByDisplay: drawText(t, "by display"), Since: drawTime(t, "since"), RingBack: drawTime(t, "ring back"),
			Note: drawText(t, "note"), Recalling: rapid.Bool().Draw(t, "recalling"),
		}
	}
	return d
}

func TestDialogInfoRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := DialogInfo{
			Version: rapid.IntRange(0, 1<<31-1).Draw(t, "version"), Full: rapid.Bool().Draw(t, "full"), Entity: drawText(t, "entity"),
			Dialogs: rapid.SliceOfN(rapid.Custom(drawDialog), 0, 4).Draw(t, "dialogs"),
		}
		got, err := ParseDialogInfo(d.Marshal())
		if err != nil {
			t.Fatalf("%v\n%s", err, d.Marshal())
		}
		if diff := cmp.Diff(d, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s\n%s", diff, d.Marshal())
		}
	})
}

func FuzzDialogInfo(f *testing.F) {
	f.Add(readFile(f, "dialoginfo.golden.xml"))
	f.Add([]byte(`<dialog-info notify-state="partial"><dialog><state>x</state><remote><target>y</target></remote></dialog></dialog-info>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := ParseDialogInfo(b)
		if err != nil {
			return
		}
		second, err := ParseDialogInfo(first.Marshal())
		if errors.Is(err, ErrTooLarge) {
			return
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, first.Marshal())
		}
		third, err := ParseDialogInfo(second.Marshal())
		if err != nil {
			t.Fatalf("%v\n%s", err, second.Marshal())
		}
		if diff := cmp.Diff(second, third, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s\n%s", diff, second.Marshal())
		}
		if len(second.Dialogs) != len(first.Dialogs) {
			t.Fatalf("dialogs were lost:\n%s", first.Marshal())
		}
	})
}
