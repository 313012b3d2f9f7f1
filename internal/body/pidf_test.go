package body

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"offhook/internal/testkit/golden"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

// TestParseComposedPIDF reads what a presence server made of the documents of several endpoints: namespaces declared
// again in every tuple, user input in the tuple as well as in the device, a tuple id used twice, two persons.
func TestParseComposedPIDF(t *testing.T) {
	got, err := ParsePIDF(readFile(t, "composed.xml"))
	if err != nil {
		t.Fatal(err)
	}
	want := PIDF{
		Entity: "sip:alice@example.org",
		Tuples: []Tuple{
			{
				ID: "t-desk", Open: true, DeviceID: "urn:uuid:desk", Contact: "sip:alice@example.org;gr=urn:uuid:desk",
				Note: "at the desk", Timestamp: at("2026-03-02T09:30:00.25Z"),
			},
			{
				ID: "t-lap", Open: true, Contact: "sip:alice@example.org;gr=urn:uuid:lap",
				Extra: []string{`<servcaps xmlns="urn:ietf:params:xml:ns:pidf:caps"><message>true</message></servcaps>`},
			},
			{ID: "t-desk-2"},
		},
		Devices: []Device{
			{ID: "d-desk", DeviceID: "urn:uuid:desk", Name: "desk", UserInput: "idle", Idle: -1},
			{
				ID: "d-t-lap", DeviceID: "urn:uuid:lap", UserInput: "active", LastInput: at("2026-03-02T10:29:50Z"),
				Idle: -1,
			},
		},
		Person: Person{Activities: []string{"on-the-phone", "baking"}, Note: "back soon"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseSoftphonePIDF(t *testing.T) {
	got, err := ParsePIDF(readFile(t, "softphone.xml"))
	if err != nil {
		t.Fatal(err)
	}
	want := PIDF{
		Entity: "sip:bob@example.org",
		Tuples: []Tuple{{ID: "t4109", Open: true, Contact: "sip:bob@example.org"}},
		Person: Person{Activities: []string{"away"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPIDFVariants(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     PIDF
	}{
		{"empty", `<presence/>`, PIDF{}},
		{
			"no namespaces", `<presence entity="x"><tuple id="a"><status><basic> OPEN </basic></status></tuple></presence>`,
			PIDF{Entity: "x", Tuples: []Tuple{{ID: "a", Open: true}}},
		},
		{
			"prefix that nobody declared", `<p:presence entity="x"><p:tuple><p:status><p:basic>open</p:basic></p:status></p:tuple></p:presence>`,
			PIDF{Entity: "x", Tuples: []Tuple{{ID: "i", Open: true}}},
		},
		{
			"input of an unknown state", `<presence><device id="d"><user-input last-input="2026-01-01T00:00:00Z">gone</user-input></device></presence>`,
			PIDF{Devices: []Device{{ID: "d", Idle: -1}}},
		},
		{
			"bad numbers and times", `<presence><device id="d"><user-input idle-threshold="-5" last-input="yesterday">idle</user-input><machine idle="x"/></device></presence>`,
			PIDF{Devices: []Device{{ID: "d", UserInput: "idle", Idle: -1}}},
		},
		{
			"time without a zone", `<presence><tuple id="a"><timestamp>2026-01-01T00:00:00</timestamp></tuple></presence>`,
			PIDF{Tuples: []Tuple{{ID: "a", Timestamp: at("2026-01-01T00:00:00Z")}}},
		},
		{"note of the document", `<presence><note>hi</note></presence>`, PIDF{Person: Person{Note: "hi"}}},
		{
			"note among activities, as RPID has it", `<presence><person><activities><note>lunch</note><away/></activities></person></presence>`,
			PIDF{Person: Person{Activities: []string{"away"}, Note: "lunch"}},
		},
		{
			"activities in a tuple", `<presence><tuple id="a"><activities><busy/></activities></tuple></presence>`,
			PIDF{Tuples: []Tuple{{ID: "a"}}, Person: Person{Activities: []string{"busy"}}},
		},
		{
			"latin1", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><presence><note>Gr\xfc\xdfe</note></presence>",
			PIDF{Person: Person{Note: "Grüße"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParsePIDF([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestXMLRefused(t *testing.T) {
	nested := strings.Repeat("<a>", maxDepth)
	for name, in := range map[string]string{
		"nothing":          "",
		"text":             "hello",
		"another document": "<reginfo/>",
		"cut short":        "<presence><tuple>",
		"crossing tags":    "<presence><tuple></presence></tuple>",
		"two roots":        "<presence/><presence/>",
		"doctype":          `<!DOCTYPE presence [<!ENTITY a "aaaa">]><presence>&a;</presence>`,
		"doctype inside":   `<presence><!DOCTYPE x></presence>`,
		"unknown entity":   "<presence>&nbsp;</presence>",
		"unknown charset":  `<?xml version="1.0" encoding="EBCDIC"?><presence/>`,
		"too deep":         "<presence>" + nested + strings.ReplaceAll(nested, "<a", "</a") + "</presence>",
	} {
		if _, err := ParsePIDF([]byte(in)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParsePIDF([]byte("<presence>" + strings.Repeat(" ", MaxSize) + "</presence>")); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

// TestExtraIsBounded has a long namespace that changes with each of many elements: written out it would be sixty
// times as long.
func TestExtraIsBounded(t *testing.T) {
	in := `<presence xmlns:a="` + strings.Repeat("n", 20000) + `" xmlns:b="b"><a:x>` +
		strings.Repeat(`<b:y><a:z/></b:y>`, 2000) + `</a:x><b:small/></presence>`
	p, err := ParsePIDF([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{`<small xmlns="b"/>`}, p.Extra); diff != "" {
		t.Error(diff)
	}
}

func TestMarshalPIDF(t *testing.T) {
	p := PIDF{
		Entity: "sip:bob@example.org",
		Tuples: []Tuple{{
			ID: "t-1", Open: true, DeviceID: "urn:uuid:1", Contact: "sip:bob@example.org;gr=urn:uuid:1",
			Note: `<b>"x" & y</b>`, Timestamp: at("2026-03-02T10:00:00Z"),
			Extra: []string{`<servcaps xmlns="urn:ietf:params:xml:ns:pidf:caps"/>`},
		}},
		Devices: []Device{{
			ID: "d-1", DeviceID: "urn:uuid:1", Name: "LAB-PC", UserInput: "idle", LastInput: at("2026-03-02T09:50:00Z"),
			Threshold: 5 * time.Minute, Class: "inactive", Idle: 10 * time.Minute, Timestamp: at("2026-03-02T10:00:00Z"),
		}},
		Person: Person{Activities: []string{"busy", "baking"}, Note: "später", DND: true},
	}
	golden.Check(t, "pidf.golden.xml", p.Marshal())
	got, err := ParsePIDF(p.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, got); diff != "" {
		t.Error(diff)
	}
}

func TestMarshalRepairsIDs(t *testing.T) {
	p := PIDF{Tuples: []Tuple{{ID: "1 ü"}, {ID: ""}, {ID: ""}}, Devices: []Device{{ID: "i", Idle: -1}}}
	got, err := ParsePIDF(p.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{got.Tuples[0].ID, got.Tuples[1].ID, got.Tuples[2].ID, got.Devices[0].ID}
	if diff := cmp.Diff([]string{"i1__", "i", "i-2", "i-3"}, ids); diff != "" {
		t.Error(diff)
	}
}

func TestMergePIDF(t *testing.T) {
	got := MergePIDF("sip:bob@example.org", []PIDF{
		{Tuples: []Tuple{{ID: "t4109", Contact: "new"}}, Devices: []Device{{ID: "d", Name: "new"}}, Extra: []string{"<x/>"}},
		{Tuples: []Tuple{{ID: "t4109", Contact: "old"}}, Person: Person{Note: "second"}, Extra: []string{"<x/>", "<y/>"}},
		{Person: Person{Note: "third"}},
	})
	want := PIDF{
		Entity:  "sip:bob@example.org",
		Tuples:  []Tuple{{ID: "t4109", Contact: "new"}, {ID: "t4109-2", Contact: "old"}},
		Devices: []Device{{ID: "d", Name: "new"}},
		Person:  Person{Note: "second"},
		Extra:   []string{"<x/>", "<y/>"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func drawText(t *rapid.T, label string) string {
	return strings.TrimSpace(rapid.StringOf(rapid.RuneFrom([]rune("ab <>&\"';/é字\n\t]"))).Draw(t, label))
}

func drawTime(t *rapid.T, label string) time.Time {
	n := rapid.Int64Range(0, 4e12).Draw(t, label)
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

func TestPIDFRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.Map(rapid.IntRange(0, 1e6), func(n int) time.Duration { return time.Duration(n) * time.Second })
		p := PIDF{Entity: drawText(t, "entity")}
		for i := range rapid.IntRange(0, 4).Draw(t, "tuples") {
			p.Tuples = append(p.Tuples, Tuple{
				ID: "t" + string(rune('a'+i)), Open: rapid.Bool().Draw(t, "open"), DeviceID: drawText(t, "device id"),
				Contact: drawText(t, "contact"), Note: drawText(t, "note"), Timestamp: drawTime(t, "timestamp"),
			})
		}
		for i := range rapid.IntRange(0, 4).Draw(t, "devices") {
			d := Device{
				ID: "d" + string(rune('a'+i)), DeviceID: drawText(t, "device id"), Name: drawText(t, "name"),
				UserInput: rapid.SampledFrom([]string{"", "active", "idle"}).Draw(t, "input"),
				Class:     rapid.SampledFrom([]string{"", "active", "inactive", "away"}).Draw(t, "class"),
				Idle:      seconds.Draw(t, "idle") - time.Second, Timestamp: drawTime(t, "timestamp"),
			}
			if d.Idle < 0 {
				d.Idle = -1
			}
			if d.UserInput != "" {
				d.LastInput, d.Threshold = drawTime(t, "last input"), seconds.Draw(t, "threshold")
			}
			p.Devices = append(p.Devices, d)
		}
		p.Person = Person{Note: drawText(t, "note"), DND: rapid.Bool().Draw(t, "dnd")}
		for range rapid.IntRange(0, 3).Draw(t, "activities") {
			if a := drawText(t, "activity"); a != "" {
				p.Person.Activities = append(p.Person.Activities, a)
			}
		}
		if !p.Person.Empty() {
			p.Person.Timestamp = drawTime(t, "person timestamp")
		}
		got, err := ParsePIDF(p.Marshal())
		if err != nil {
			t.Fatalf("%v\n%s", err, p.Marshal())
		}
		if diff := cmp.Diff(p, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s\n%s", diff, p.Marshal())
		}
	})
}

func FuzzPIDF(f *testing.F) {
	f.Add(readFile(f, "composed.xml"))
	f.Add(readFile(f, "softphone.xml"))
	f.Add(readFile(f, "pidf.golden.xml"))
	f.Add([]byte(`<presence xmlns:q="urn:q"><tuple id="1"><q:z q:a="b" c="d">t<e xmlns=""/></q:z></tuple><q:r/></presence>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := ParsePIDF(b)
		if err != nil {
			return
		}
		// What was read once is written in a form that reads the same from then on.
		second, err := ParsePIDF(first.Marshal())
		if errors.Is(err, ErrTooLarge) {
			return
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, first.Marshal())
		}
		third, err := ParsePIDF(second.Marshal())
		if err != nil {
			t.Fatalf("%v\n%s", err, second.Marshal())
		}
		if diff := cmp.Diff(second, third, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s\n%s", diff, second.Marshal())
		}
		if len(second.Tuples) != len(first.Tuples) || len(second.Devices) != len(first.Devices) {
			t.Fatalf("elements were lost:\n%s", first.Marshal())
		}
	})
}
