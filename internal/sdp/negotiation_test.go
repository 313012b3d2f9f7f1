package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// here is what the tests bring.
func here(change ...func(*Local)) Local {
	l := Local{Addr: netip.MustParseAddrPort("192.0.2.7:6000"), Formats: allFormats, Ptime: 20 * time.Millisecond, Fingerprint: printA}
	for _, c := range change {
		c(&l)
	}
	return l
}

func policy(p Policy) func(*Local)        { return func(l *Local) { l.Policy = p } }
func noCertificate(l *Local)              { l.Fingerprint = "" }
func only(formats ...Format) func(*Local) { return func(l *Local) { l.Formats = formats } }
func theirs(media ...string) []byte {
	return lines(append([]string{"v=0", "o=x 1 1 IN IP4 198.51.100.1", "s=-", "c=IN IP4 198.51.100.1", "t=0 0"}, media...)...)
}

func text(formats []Format) (s string) {
	for _, f := range formats {
		s += fmt.Sprintf(" %d=%s/%d", f.PayloadType, f.Name, f.ClockRate)
	}
	return strings.TrimSpace(s)
}

// summary is an agreement in a line.
func summary(a Agreement) string {
	s := fmt.Sprintf("%s %s, send %s, receive %s, %s", a.Remote, a.Direction, text(a.Send), text(a.Receive), a.Ptime)
	if a.Mux {
		s += ", mux"
	} else if a.RemoteRTCP.IsValid() {
		s += ", rtcp " + a.RemoteRTCP.String()
	}
	if a.Silent {
		s += ", silent"
	}
	p := a.Protection
	s += ", " + string(p.Method) + p.Suite
	if p.RemoteMKI != nil {
		s += fmt.Sprintf(" mki %x", p.RemoteMKI)
	}
	if p.Method == DTLS {
		s += fmt.Sprintf(" active=%v of %d", p.Active, len(p.Fingerprints))
	}
	return s
}

// answer answers an offer with a new negotiation.
func answer(t *testing.T, l Local, offer []byte, d Direction) (*Negotiation, string, Agreement) {
	t.Helper()
	n := NewNegotiation(l)
	b, a, err := n.Answer(offer, d)
	if err != nil {
		t.Fatalf("%v\n%s", err, offer)
	}
	return n, string(b), a
}

// offering has made an offer.
func offering(t *testing.T, l Local) (*Negotiation, Session) {
	t.Helper()
	n := NewNegotiation(l)
	b, err := n.Offer(Both)
	if err != nil {
		t.Fatal(err)
	}
	return n, mustParse(t, b)
}

var secrets = regexp.MustCompile(`inline:\S+`)

func TestFirstOffer(t *testing.T) {
	n := NewNegotiation(here())
	b, err := n.Offer(Both)
	if err != nil {
		t.Fatal(err)
	}
	got := secrets.ReplaceAllString(string(b), "inline:KEY")
	want := string(lines("v=0", "o="+n.origin[0]+" 1 IN IP4 192.0.2.7", "s=-", "c=IN IP4 192.0.2.7", "t=0 0",
		"m=audio 6000 RTP/AVP 96 9 0 8 97 101 13",
		"a=rtpmap:96 opus/48000/2", "a=fmtp:96 useinbandfec=1", "a=rtpmap:9 G722/8000", "a=rtpmap:0 PCMU/8000",
		"a=rtpmap:8 PCMA/8000", "a=rtpmap:97 telephone-event/48000", "a=fmtp:97 0-15",
		"a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=rtpmap:13 CN/8000",
		"a=ptime:20", "a=maxptime:60", "a=rtcp-mux", "a=sendrecv",
		"a=crypto:1 AEAD_AES_128_GCM inline:KEY", "a=crypto:2 AEAD_AES_256_GCM inline:KEY", "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:KEY",
		"a=fingerprint:"+printA, "a=setup:actpass"))
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if _, ok := n.Current(); ok {
		t.Error("an offer is in force before its answer")
	}
}

// RFC 3264 §6.1: what an offer says and what we want decide together.
func TestDirections(t *testing.T) {
	for _, tt := range []struct {
		offered string
		want    Direction
		says    string
		agreed  Direction
		hold    bool
	}{
		{"sendrecv", Both, "sendrecv", Both, false},
		{"", Both, "sendrecv", Both, false},
		{"sendonly", Both, "recvonly", Receiving, true}, // they hold
		{"recvonly", Both, "sendonly", Sending, false},
		{"inactive", Both, "inactive", Inactive, true},
		{"sendrecv", Sending, "sendonly", Sending, false}, // we hold
		{"sendonly", Sending, "inactive", Inactive, true}, // both hold
		{"recvonly", Sending, "sendonly", Sending, false},
		{"sendrecv", Inactive, "inactive", Inactive, true},
		{"SendOnly", Both, "recvonly", Receiving, true},
	} {
		offer := []string{"m=audio 5000 RTP/AVP 0"}
		if tt.offered != "" {
			offer = append(offer, "a="+tt.offered)
		}
		_, b, a := answer(t, here(), theirs(offer...), tt.want)
		if !strings.Contains(b, "a="+tt.says+"\r\n") || a.Direction != tt.agreed || a.RemoteHold() != tt.hold {
			t.Errorf("%q, wanted %s: %s, hold %v\n%s", tt.offered, tt.want, a.Direction, a.RemoteHold(), b)
		}
	}
}

// RFC 3264 §8.4: holding and resuming, also by both sides, and by the old 0.0.0.0.
func TestHold(t *testing.T) {
	a, b := NewNegotiation(here()), NewNegotiation(here(func(l *Local) { l.Fingerprint = printB }))
	exchange := func(x, y *Negotiation, want, wants Direction) (Agreement, Agreement) {
		t.Helper()
		offer, err := x.Offer(want)
		if err != nil {
			t.Fatal(err)
		}
		answer, h, err := y.Answer(offer, wants)
		if err != nil {
			t.Fatal(err)
		}
		g, err := x.Accept(answer)
		if err != nil {
			t.Fatal(err)
		}
		return g, h
	}
	for _, tt := range []struct {
		x, y        *Negotiation
		want, wants Direction
		gx, gy      Direction
	}{
		{a, b, Both, Both, Both, Both},
		{a, b, Sending, Both, Sending, Receiving},    // a holds
		{b, a, Sending, Sending, Inactive, Inactive}, // b holds, too
		{a, b, Both, Sending, Receiving, Sending},    // a resumes, b still holds
		{b, a, Both, Both, Both, Both},               // b resumes
	} {
		if gx, gy := exchange(tt.x, tt.y, tt.want, tt.wants); gx.Direction != tt.gx || gy.Direction != tt.gy {
			t.Errorf("%s, %s: %s and %s", tt.want, tt.wants, gx.Direction, gy.Direction)
		}
	}
	for _, zero := range []string{"c=IN IP4 0.0.0.0", "c=IN IP6 ::"} {
		_, said, g := answer(t, here(), theirs("m=audio 5000 RTP/AVP 0", zero), Both)
		if !g.Silent || !g.RemoteHold() || g.Remote.IsValid() || g.RemoteRTCP.IsValid() || !strings.Contains(said, "m=audio 6000") || !strings.Contains(said, "a=sendrecv") {
			t.Errorf("%s: %+v\n%s", zero, g, said)
		}
	}
}

// RFC 3264 §6 and §8.2: every line is answered in its place, one audio line is accepted, none is ever removed.
func TestLinesStay(t *testing.T) {
	n, b, g := answer(t, here(), lines("v=0", "o=x 1 1 IN IP4 198.51.100.1", "s=-", "c=IN IP4 198.51.100.1", "t=7 9",
		"m=video 5000 RTP/AVP 34 97", "m=audio 5002 UNKNOWN 1", "m=audio 0 RTP/AVP 0", "m=audio 5004 RTP/AVP 8", "m=audio 5006 RTP/AVP 0",
		"m=application 5008 UDP/DTLS/SCTP webrtc-datachannel", "m=image 5010 udptl t38", "m=message 5012 TCP/MSRP *"), Both)
	at := func(b string) (m []string) {
		for l := range strings.SplitSeq(b, "\r\n") {
			if strings.HasPrefix(l, "m=") {
				m = append(m, l)
			}
		}
		return m
	}
	want := []string{
		"m=video 0 RTP/AVP 34 97", "m=audio 0 UNKNOWN 1", "m=audio 0 RTP/AVP 0", "m=audio 6000 RTP/AVP 8", "m=audio 0 RTP/AVP 0",
		"m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "m=image 0 udptl t38", "m=message 0 TCP/MSRP *",
	}
	if !slices.Equal(at(b), want) || !strings.Contains(b, "t=7 9\r\n") || g.Remote.Port() != 5004 {
		t.Errorf("%s\n%+v", b, g)
	}
	offer, err := n.Offer(Both)
	if err != nil {
		t.Fatal(err)
	}
	want[3] = "m=audio 6000 RTP/AVP 9 0 8 96 97 101 13"
	got := at(string(offer))
	got[3] = want[3]
	if !slices.Equal(got, want) || strings.Count(string(offer), "rtpmap") != 7 {
		t.Errorf("our offer\n%s", offer)
	}
	n.Rollback()
	// RFC 3264 §8.1: a line with port 0 may be used again, for something else.
	b2, g, err := n.Answer(theirs("m=audio 5020 RTP/AVP 0", "m=audio 0 UNKNOWN 1", "m=audio 0 RTP/AVP 0", "m=audio 0 RTP/AVP 8", "m=audio 0 RTP/AVP 0",
		"m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "m=image 0 udptl t38", "m=message 0 TCP/MSRP *"), Both)
	if err != nil || g.Remote.Port() != 5020 || at(string(b2))[0] != "m=audio 6000 RTP/AVP 0" {
		t.Errorf("%v\n%s", err, b2)
	}
}

// An audio line that does not suit is passed over for one that does: the old way to offer encryption or none.
func TestTheLineThatSuits(t *testing.T) {
	offer := theirs("m=audio 5000 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+strings.Repeat("A", 40), "m=audio 5002 RTP/AVP 0")
	for p, port := range map[Policy]uint16{Opportunistic: 5000, Required: 5000, Off: 5002} {
		if _, b, g := answer(t, here(policy(p)), offer, Both); g.Remote.Port() != port || strings.Count(b, " 0 RTP/") != 1 {
			t.Errorf("policy %d: %+v\n%s", p, g, b)
		}
	}
}

// RFC 3311 §5.1, RFC 6141 §3.1: a refused offer leaves everything in force; its version is used up.
func TestRollback(t *testing.T) {
	n, _, before := answer(t, here(noCertificate), theirs("m=audio 5000 RTP/AVP 0"), Both)
	held, err := n.Offer(Sending)
	if err != nil {
		t.Fatal(err)
	}
	n.Rollback()
	if now, ok := n.Current(); !ok || summary(now) != summary(before) {
		t.Errorf("%s", summary(now))
	}
	if _, err := n.Accept(theirs("m=audio 5000 RTP/AVP 0")); !errors.Is(err, ErrState) {
		t.Errorf("an answer to what was refused: %v", err)
	}
	again, _ := n.Offer(Sending)
	if string(again) != string(held) {
		t.Errorf("the same offer has another version:\n%s%s", held, again)
	}
	n.Rollback()
	if other, _ := n.Offer(Both); !strings.HasPrefix(mustParse(t, other).Origin, n.origin[0]+" 3 ") {
		t.Errorf("another: %s", other)
	}
}

// A network change: the address moves, o= keeps its own.
func TestMove(t *testing.T) {
	n, before := offering(t, here())
	if _, err := n.Accept(theirs("m=audio 5000 RTP/AVP 0")); err != nil {
		t.Fatal(err)
	}
	n.SetLocal(here(func(l *Local) { l.Addr = netip.MustParseAddrPort("[2001:db8::7]:7000") }))
	b, err := n.Offer(Both)
	if err != nil {
		t.Fatal(err)
	}
	after := mustParse(t, b)
	if after.Origin != strings.Replace(before.Origin, " 1 IN", " 2 IN", 1) || after.Addr.String() != "2001:db8::7" || after.Media[0].Port != 7000 {
		t.Errorf("%s", b)
	}
}

// Early media: two forks answer one offer, each for itself.
func TestForks(t *testing.T) {
	n, s := offering(t, here(noCertificate))
	key, _ := s.Media[0].Attribute("crypto")
	tag, _, _ := strings.Cut(key, " inline:")
	early := n.Clone()
	if g, err := early.Accept(theirs("m=audio 5000 RTP/AVP 0")); err != nil || g.Protection.Method != Plain {
		t.Fatal(g, err)
	}
	g, err := n.Clone().Accept(theirs("m=audio 5002 RTP/AVP 96", "a=rtpmap:96 opus/48000/2", "a=crypto:"+tag+" inline:"+strings.Repeat("A", 38)))
	if err != nil || g.Protection.Method != SDES || !strings.HasSuffix(key, "inline:"+keyText(g.Protection.LocalKey)) {
		t.Fatal(g, err)
	}
	if was, _ := early.Current(); was.Remote.Port() != 5000 {
		t.Error("the forks share what is in force")
	}
	if _, ok := n.Current(); ok {
		t.Error("a clone's agreement is in force for the original")
	}
}

func TestOffersAudio(t *testing.T) {
	for in, want := range map[string]bool{
		"m=audio 5000 RTP/AVP 0":                              true,
		"m=video 1 RTP/AVP 34\nm=audio 1 udp/tls/rtp/savpf 0": true,
		"m=audio 0 RTP/AVP 0":                                 false,
		"m=message 5060 sip null":                             false,
		"m=audio 5000 TCP/MSRP *":                             false,
		"nothing":                                             false,
		"":                                                    false,
	} {
		if got := OffersAudio([]byte(in)); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}
