package session_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
	"offhook/internal/testkit"
	"offhook/session"
)

var (
	ourPrint   = "sha-256 AA" + strings.Repeat(":01", 31)
	theirPrint = "sha-256 BB" + strings.Repeat(":02", 31)
)

const overTLS = "UDP/TLS/RTP/SAVP"

// profileOf is the profile of the audio line of a description.
func profileOf(description []byte) string {
	for line := range strings.Lines(string(description)) {
		if f := strings.Fields(line); strings.HasPrefix(line, "m=audio ") {
			return f[2]
		}
	}
	return ""
}

// insisting is a desk phone that takes UDP/TLS/RTP/SAVP alone.
type insisting struct {
	*phones
	t        *testing.T
	profiles []string // of what it was offered
	callIDs  []string
	declines bool // it does not refuse RTP/AVP with keys but the line, as Asterisk does
	warning  string
}

func inInsisting(t *testing.T, policy sdp.Policy, tell func(t *testing.T, p *insisting)) {
	t.Helper()
	change := func(cfg *session.Config) {
		cfg.Encryption = policy
		cfg.Media.(*testkit.Sound).Fingerprint = ourPrint
	}
	inPhonesWith(t, change, func(t *testing.T, phones *phones) {
		p := &insisting{phones: phones, t: t}
		p.ring = p.take
		tell(t, p)
	})
}

// answerTo is a description that answers an offer.
func (p *insisting) answerTo(offer []byte) []byte {
	wish := "sendrecv"
	if strings.Contains(string(offer), "a=sendonly") {
		wish = "recvonly"
	}
	text := strings.Replace(p.describe(deskHost, wish), "RTP/AVP", overTLS, 1)
	return []byte(text + "a=setup:active\r\na=fingerprint:" + theirPrint + "\r\n")
}

func (p *insisting) take(inv *sipua.Invite) {
	req := inv.Request()
	profile := profileOf(req.Body())
	p.profiles = append(p.profiles, profile)
	p.callIDs = append(p.callIDs, req.CallID().Value())
	if profile != overTLS {
		if p.declines && profile == "RTP/AVP" {
			p.pickUp(inv, strings.Replace(p.describe(deskHost, "sendrecv"), "m=audio 4000", "m=audio 0", 1))
			return
		}
		var headers []sip.Header
		if p.warning != "" {
			headers = append(headers, sip.NewHeader("Warning", p.warning))
		}
		if err := inv.Reject(488, "", headers...); err != nil {
			p.t.Error(err)
		}
		return
	}
	if strings.Contains(string(req.Body()), "a=crypto") {
		p.t.Errorf("keys of two kinds:\n%s", req.Body())
	}
	if err := inv.Ringing(); err != nil {
		p.t.Error(err)
	}
	time.Sleep(time.Second)
	dlg, err := inv.Answer(p.t.Context(), body.TypeSDP, p.answerTo(req.Body()))
	if err != nil {
		return // given up
	}
	p.dialogs <- dlg
	for {
		req, err := dlg.Next(p.t.Context())
		if err != nil {
			return
		}
		p.profiles = append(p.profiles, profileOf(req.Body()))
		_ = req.Send(req.Response(200, "OK", p.answerTo(req.Body()), sip.NewHeader("Content-Type", body.TypeSDP)))
	}
}

// TestPhoneInsistsOnDTLS calls a phone that takes UDP/TLS/RTP/SAVP alone. It is one call to the user, and every later offer
// keeps the profile, whoever makes it.
func TestPhoneInsistsOnDTLS(t *testing.T) {
	for _, c := range []struct {
		policy   sdp.Policy
		declines bool
		offers   []string
	}{
		{sdp.Opportunistic, false, []string{"RTP/AVP", "RTP/SAVP", overTLS}},
		{sdp.Opportunistic, true, []string{"RTP/AVP", overTLS}},
		{sdp.Required, false, []string{"RTP/SAVP", overTLS}},
	} {
		inInsisting(t, c.policy, func(t *testing.T, p *insisting) {
			p.declines = c.declines
			call, done := p.dial(t)
			if err := <-done; err != nil {
				t.Fatalf("after %v: %v", p.profiles, err)
			}
			if !slices.Equal(p.profiles, c.offers) {
				t.Errorf("offered %v, want %v", p.profiles, c.offers)
			}
			if s := call.Info(); s.Security != "dtls" {
				t.Errorf("the call is %+v", s)
			}
			if slices.Sort(p.callIDs); len(slices.Compact(p.callIDs)) != len(c.offers) {
				t.Errorf("Call-IDs %v", p.callIDs)
			}
			var states []session.State
			for _, e := range eventsOf[session.CallStateChanged](p.phone) {
				states = append(states, e.State)
			}
			if want := []session.State{session.Establishing, session.Establishing, session.Established}; !slices.Equal(states, want) {
				t.Errorf("the user sees %v", states)
			}
			if n := len(eventsOf[session.CallRinging](p.phone)); n != 1 {
				t.Errorf("it rings %d times", n)
			}
			streams := 1
			if c.declines { // what began with the one that was answered is not heard by the other
				streams = 2
			}
			if open, all := p.sound.OpenStreams(), p.sound.Streams(); len(open) != 1 || len(all) != streams {
				t.Errorf("%d streams of %d are open", len(open), len(all))
			}

			p.profiles = nil
			if err := call.Hold(t.Context()); err != nil {
				t.Error(err)
			}
			if err := call.Resume(t.Context()); err != nil {
				t.Error(err)
			}
			if !slices.Equal(p.profiles, []string{overTLS, overTLS}) {
				t.Errorf("later offers are %v", p.profiles)
			}
			var dlg *sipua.Dialog
			for len(p.dialogs) > 0 {
				dlg = <-p.dialogs // the last is that of the call
			}
			res, err := dlg.Propose(t.Context(), sipua.Offer{
				Method: sip.INVITE, Describe: func() (string, []byte, error) { return body.TypeSDP, p.answerTo(nil), nil },
				Refused: func() {}, Accepted: func(*sip.Response) {},
			})
			if err != nil || profileOf(res.Body()) != overTLS {
				t.Errorf("their offer: %v", err)
			}
			_ = dlg.Bye(t.Context(), "")
		})
	}
}

// TestPhoneInsistsOnDTLSAgain: whoever answers before he declines is asked once only the next time, until he wants it no
// more.
func TestPhoneInsistsOnDTLSAgain(t *testing.T) {
	inInsisting(t, sdp.Opportunistic, func(t *testing.T, p *insisting) {
		p.declines = true
		for _, want := range [][]string{{"RTP/AVP", overTLS}, {overTLS}} {
			p.profiles = nil
			call, done := p.dial(t)
			if err := <-done; err != nil || !slices.Equal(p.profiles, want) {
				t.Errorf("offered %v: %v", p.profiles, err)
			}
			_ = call.Terminate(t.Context())
		}
		p.ring = func(inv *sipua.Invite) {
			profile := profileOf(inv.Request().Body())
			p.profiles = append(p.profiles, profile)
			if profile == overTLS {
				_ = inv.Reject(488, "")
				return
			}
			p.pickUp(inv, p.describe(deskHost, "sendrecv"))
		}
		for _, want := range [][]string{{overTLS, "RTP/AVP"}, {"RTP/AVP"}} {
			p.profiles = nil
			call, done := p.dial(t)
			if err := <-done; err != nil || !slices.Equal(p.profiles, want) {
				t.Errorf("offered %v: %v", p.profiles, err)
			}
			_ = call.Terminate(t.Context())
		}
	})
}

// TestPhoneRefusesEverything: what the user reads is about the offer that the policy asks for, or what was said about it.
func TestPhoneRefusesEverything(t *testing.T) {
	warn := func(text string) []sip.Header { return []sip.Header{sip.NewHeader("Warning", `399 desk "`+text+`"`)} }
	for _, c := range []struct {
		policy        sdp.Policy
		first, last   int // of the attempts
		warn1, warn2  []sip.Header
		kind          session.Kind
		text          string
		offers        int
		noCertificate bool
	}{
		{sdp.Opportunistic, 488, 488, nil, nil, session.KindUnsupported, "none of the codecs", 3, false},
		{sdp.Opportunistic, 488, 488, nil, nil, session.KindUnsupported, "none of the codecs", 2, true},
		{sdp.Required, 488, 488, nil, nil, session.KindEncryption, "may not be able to", 2, false},
		{sdp.Required, 606, 400, nil, nil, session.KindEncryption, "may not be able to", 2, false},
		{sdp.Required, 488, 488, nil, warn("hardware is missing"), session.KindUnsupported, "they say: hardware is missing", 2, false},
		{sdp.Required, 488, 488, warn("no encryption today"), warn("strange profile"), session.KindEncryption, "no encryption today", 2, false},
		{sdp.Required, 488, 486, nil, nil, session.KindBusy, "", 2, false},
		{sdp.Required, 486, 488, nil, nil, session.KindBusy, "", 1, false},
		{sdp.Required, 488, 488, nil, nil, session.KindEncryption, "may not be able to", 1, true},
		{sdp.Off, 488, 488, nil, nil, session.KindUnsupported, "none of the codecs", 1, false},
	} {
		inInsisting(t, c.policy, func(t *testing.T, p *insisting) {
			if c.noCertificate {
				p.sound.Fingerprint = ""
			}
			offers := 0
			p.ring = func(inv *sipua.Invite) {
				offers++
				code, headers := c.first, c.warn1
				if profileOf(inv.Request().Body()) == overTLS {
					code, headers = c.last, c.warn2
				}
				if err := inv.Reject(code, "", headers...); err != nil {
					t.Error(err)
				}
			}
			_, done := p.dial(t)
			err := <-done
			if kindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) || offers != c.offers {
				t.Errorf("%+v: after %d offers: %v", c, offers, err)
			}
			if open := p.sound.OpenStreams(); len(open) != 0 {
				t.Errorf("%d streams are open", len(open))
			}
		})
	}
}

// TestGivenUpBetweenOffers: who hangs up while another offer is on its way hears nothing more of the call.
func TestGivenUpBetweenOffers(t *testing.T) {
	for _, declines := range []bool{false, true} {
		inInsisting(t, sdp.Opportunistic, func(t *testing.T, p *insisting) {
			p.declines = declines
			call, done := p.dial(t) // it rings for a second under the last profile
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			offers := len(p.profiles)
			if call.State() != session.Establishing || p.profiles[offers-1] != overTLS {
				t.Fatalf("%v after %v", call.State(), p.profiles)
			}
			if err := call.Terminate(t.Context()); err != nil {
				t.Error(err)
			}
			if err := <-done; err == nil {
				t.Error("it is up")
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(p.profiles) != offers || call.State() != session.Terminated || len(p.sound.OpenStreams()) != 0 {
				t.Errorf("%v after %v", call.State(), p.profiles)
			}
		})
	}
	inInsisting(t, sdp.Opportunistic, func(t *testing.T, p *insisting) { // and while the first is refused
		calls := make(chan *session.AudioVideoCall, 1)
		p.ring = func(inv *sipua.Invite) {
			p.profiles = append(p.profiles, profileOf(inv.Request().Body()))
			call := <-calls
			go func() { _ = call.Terminate(t.Context()) }()
			for call.State() == session.Establishing {
				time.Sleep(time.Millisecond)
			}
			_ = inv.Reject(488, "")
		}
		call, done := p.dial(t)
		calls <- call
		if err := <-done; err == nil {
			t.Error("it is up")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(p.profiles) != 1 || call.State() != session.Terminated {
			t.Errorf("%v after %v", call.State(), p.profiles)
		}
	})
}
