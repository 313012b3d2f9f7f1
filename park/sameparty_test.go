package park

import "testing"

func TestSameParty(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"sip:mary@example.org", "sip:mary@example.org", true},
		{"sip:mary@example.org", "sips:mary@EXAMPLE.org;transport=tls", true},
		{"sip:mary@example.org;gr=urn:uuid:1", "sip:mary@example.org;gr=urn:uuid:2", true},
		{"sip:mary@example.org:5060", "sip:mary@example.org", true},
		{"sip:mary@example.org", "sip:Mary@example.org", false},
		{"sip:mary@example.org", "sip:mary@example.net", false},
		{"sip:mary@example.org", "sip:steven@example.org", false},
		{"sip:+1-206-555-0100@gw1.test", "tel:+12065550100", true},
		{"sip:+12065550100@gw1.test", "sip:+1(206)555.0100@gw2.test;user=phone", true},
		{"sip:+12065550100;ext=7@gw1.test", "sip:+12065550100@gw1.test", true},
		{"tel:+12065550100;phone-context=x", "tel:+1-206-555-0100", true},
		{"tel:100", "sip:100@example.org", true},
		{"tel:+12065550100", "tel:+12065550101", false},
		{"sip:100@example.org", "sip:1-00@example.org", true},
		{"sip:100@example.org", "sip:100@example.net", false},
		{"tel:mary", "sip:mary@example.org", false},
		{"tel:+", "tel:+", false},
		{"sip:+@a", "sip:+@a", true},
		{"sip:example.org", "sip:example.org", true},
		{"", "", false},
		{"", "sip:mary@example.org", false},
		{"mary", "mary", false},
	} {
		if got := SameParty(Party{URI: tt.a}, Party{URI: tt.b, Display: "x"}); got != tt.want {
			t.Errorf("%s %s: %t", tt.a, tt.b, got)
		}
		if got := SameParty(Party{URI: tt.b}, Party{URI: tt.a}); got != tt.want {
			t.Errorf("%s %s the other way: %t", tt.a, tt.b, got)
		}
	}
}
