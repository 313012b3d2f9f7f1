package session_test

import (
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
	"offhook/session"
)

// TestPhoneInsistsOnProfile calls a phone that takes encrypted media only and knows them by the profile: the opportunistic
// offer is refused, the second one is not. A phone that says what it is about codecs gets no second offer.
func TestPhoneInsistsOnProfile(t *testing.T) {
	for _, c := range []struct {
		warning string
		offers  int
		kind    session.Kind
	}{
		{"", 2, ""},
		{`305 desk "no codec in common"`, 1, session.KindUnsupported},
	} {
		inPhones(t, func(t *testing.T, p *phones) {
			var offers []string
			p.ring = func(inv *sipua.Invite) {
				offer := string(inv.Request().Body())
				offers = append(offers, offer)
				if !strings.Contains(offer, " RTP/SAVP ") {
					var headers []sip.Header
					if c.warning != "" {
						headers = append(headers, sip.NewHeader("Warning", c.warning))
					}
					if err := inv.Reject(488, "", headers...); err != nil {
						t.Error(err)
					}
					return
				}
				crypto := "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + strings.Repeat("A", 40)
				tag, _, _ := strings.Cut(offer[strings.Index(offer, " AES_CM_128_HMAC_SHA1_80")-1:], " ")
				answer := strings.ReplaceAll(p.describe(deskHost, "sendrecv"), "RTP/AVP", "RTP/SAVP") +
					strings.Replace(crypto, "crypto:1", "crypto:"+tag, 1) + "\r\n"
				p.pickUp(inv, answer)
			}
			call, done := p.dial(t)
			err := <-done
			if kindOf(err) != c.kind || len(offers) != c.offers {
				t.Fatalf("after %d offers: %v", len(offers), err)
			}
			if err != nil {
				return
			}
			if s := call.Info(); s.Security != "sdes" {
				t.Errorf("the call is %+v", s)
			}
			dlg := <-p.dialogs
			_ = call.Hold(t.Context()) // the phone's answers to later offers know no keys; the offer is what matters
			if again := p.got(sip.INVITE); len(again) == 0 || !strings.Contains(string(again[len(again)-1].Body()), " RTP/SAVP ") {
				t.Error("a later offer has another profile")
			}
			_ = dlg.Bye(t.Context(), "")
		})
	}
}
