package server

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

// TestReferralIsTold: somebody who was transferred to the park service, by a telephone or with one that does not know
// Referred-By and Replaces, comes there as somebody who was transferred; who just calls does not.
func TestReferralIsTold(t *testing.T) {
	const replaces = "c1;to-tag=1;from-tag=2"
	for _, tt := range []struct {
		name     string
		referTo  string
		stranger bool // the REFER comes from an address where nobody has signed in
		wait     time.Duration
		calls    string   // user of the park service
		headers  []string // of the INVITE
		by       []string
		replaced []string
	}{
		{name: "to the service", referTo: "sip:park@example.test", calls: "park", by: []string{"<sip:bob@example.test>"}},
		{name: "to an orbit", referTo: "<sip:702@example.test>", calls: "702", by: []string{"<sip:bob@example.test>"}},
		{
			name: "attended", referTo: "<sip:park@example.test?Replaces=c1%3Bto-tag%3D1%3Bfrom-tag%3D2>", calls: "park",
			by: []string{"<sip:bob@example.test>"}, replaced: []string{replaces},
		},
		{
			name: "said already", referTo: "<sip:park@example.test?Replaces=c1%3Bto-tag%3D1%3Bfrom-tag%3D2>", calls: "park",
			headers: []string{"referred-by: <sip:dave@example.test>", "Replaces: c2;to-tag=1;from-tag=2"},
			by:      []string{"<sip:dave@example.test>"}, replaced: []string{"c2;to-tag=1;from-tag=2"},
		},
		{name: "elsewhere", referTo: "sip:702@example.test", calls: "703"},
		{name: "to somebody else", referTo: "sip:carol@example.test", calls: "park"},
		{name: "by a stranger", referTo: "sip:park@example.test", stranger: true, calls: "park"},
		{name: "too late", referTo: "sip:park@example.test", wait: referralTime + time.Second, calls: "park"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newParkWorld(t)
				mary, bob := w.ua("mary", "127.0.1.1"), w.ua("bob", "127.0.2.1")
				mary.register()
				if !tt.stranger {
					bob.register()
				}
				res := bob.expect(200, bob.request(sip.INVITE, at("mary")))
				bob.ack(res)
				bob.expect(200, bob.inDialog(sip.REFER, res, "Refer-To: "+tt.referTo))
				time.Sleep(tt.wait)
				for n := range 2 { // it serves once
					mary.expect(200, mary.request(sip.INVITE, at(tt.calls), tt.headers...))
					got := w.park.requests(sip.INVITE)[n]
					if by := values(got, "Referred-By"); !slices.Equal(by, tt.by) {
						t.Errorf("call %d is referred by %q, want %q", n, by, tt.by)
					}
					if replaced := values(got, "Replaces"); !slices.Equal(replaced, tt.replaced) {
						t.Errorf("call %d replaces %q, want %q", n, replaced, tt.replaced)
					}
					if tt.headers == nil {
						tt.by, tt.replaced = nil, nil
					}
				}
			})
		})
	}
}
