package sdp

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var compareAgreements = cmp.Options{compare, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })}

const (
	printA = "sha-256 AA:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F"
	printB = "sha-256 BB:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F"
)

var allFormats = []Format{
	{PayloadType: 96, Name: "opus", ClockRate: 48000, Channels: 2, Params: "useinbandfec=1"},
	{PayloadType: 9, Name: "g722", ClockRate: 8000, Channels: 1},
	{PayloadType: 0, Name: "pcmu", ClockRate: 8000, Channels: 1},
	{PayloadType: 8, Name: "pcma", ClockRate: 8000, Channels: 1},
	{PayloadType: 97, Name: "telephone-event", ClockRate: 48000, Channels: 1},
	{PayloadType: 101, Name: "telephone-event", ClockRate: 8000, Channels: 1},
	{PayloadType: 13, Name: "cn", ClockRate: 8000, Channels: 1},
}

// side is one of two that negotiate, with what it has said.
type side struct {
	name    string
	n       *Negotiation
	local   Local
	version uint64
	last    string
	kinds   []string // of its media lines
}

// drawLocal draws what a side may bring: any address, formats and policy.
func drawLocal(t *rapid.T, fingerprint string) Local {
	addr := rapid.SampledFrom([]string{"192.0.2.1", "198.51.100.7", "2001:db8::1"}).Draw(t, "addr")
	l := Local{
		Addr:    netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(rapid.IntRange(1, 32767).Draw(t, "port")*2)),
		Policy:  rapid.SampledFrom([]Policy{Opportunistic, Opportunistic, Required, Off}).Draw(t, "policy"),
		OverTLS: rapid.IntRange(0, 2).Draw(t, "over TLS") == 0,
		Ptime:   time.Duration(rapid.SampledFrom([]int{0, 10, 20, 60}).Draw(t, "ptime")) * time.Millisecond,
	}
	for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(allFormats)-1), 3, -1, rapid.ID[int]).Draw(t, "formats") {
		f := allFormats[i]
		if f.PayloadType >= 96 {
			f.PayloadType = uint8(rapid.IntRange(60, 127).Draw(t, "pt")) // bad ones and collisions included
		}
		l.Formats = append(l.Formats, f)
	}
	if rapid.IntRange(0, 3).Draw(t, "dtls") != 0 {
		l.Fingerprint = fingerprint
	}
	return l
}

// said checks a description against all that its side has said before.
func (s *side) said(t *rapid.T, b []byte) Session {
	d, err := Parse(b)
	if err != nil {
		t.Fatalf("%s says %s: %v", s.name, b, err)
	}
	f := strings.Fields(d.Origin)
	version, err := strconv.ParseUint(f[2], 10, 64)
	if err != nil {
		t.Fatalf("origin %s", d.Origin)
	}
	rest := strings.Replace(string(b), d.Origin, "", 1)
	switch {
	case rest == s.last && version != s.version, rest != s.last && version != s.version+1:
		t.Fatalf("%s: version %d after %d, with the same description: %v", s.name, version, s.version, rest == s.last)
	}
	s.last, s.version = rest, version
	open := 0
	for i, m := range d.Media {
		if i < len(s.kinds) && s.kinds[i] != m.Kind {
			t.Fatalf("%s: line %d was %s, is %s", s.name, i, s.kinds[i], m.Kind)
		}
		if i >= len(s.kinds) {
			s.kinds = append(s.kinds, m.Kind)
		}
		if m.Port != 0 {
			open++
		}
		for _, f := range m.Formats {
			if pt, _ := strconv.Atoi(f); m.Port != 0 && pt >= 64 && pt <= 95 {
				t.Fatalf("%s uses payload type %d", s.name, pt)
			}
		}
	}
	s.keysFit(t, d)
	if len(d.Media) < len(s.kinds) || open != 1 {
		t.Fatalf("%s says %d lines, %d open, had %d:\n%s", s.name, len(d.Media), open, len(s.kinds), b)
	}
	return d
}

// answers checks that an answer answers an offer (RFC 3264 §6).
func answers(t *rapid.T, answer, offer Session) {
	if len(answer.Media) != len(offer.Media) || answer.Time != offer.Time {
		t.Fatalf("the answer has %d lines and t=%s", len(answer.Media), answer.Time)
	}
	for i, a := range answer.Media {
		o := offer.Media[i]
		if a.Kind != o.Kind || a.Proto != o.Proto || o.Port == 0 && a.Port != 0 || len(a.Formats) == 0 {
			t.Fatalf("line %d: %+v answers %+v", i, a, o)
		}
		if a.Port == 0 {
			continue
		}
		for _, f := range a.Formats {
			if !slices.Contains(o.Formats, f) {
				t.Fatalf("format %s was not offered", f)
			}
		}
		offered, chosen := direction(o.Attributes, Both), direction(a.Attributes, Both)
		if chosen&^offered.reversed() != 0 {
			t.Fatalf("%s answers %s", chosen, offered)
		}
	}
}

// keysFit checks that a description has the keys of its profile, and no others.
func (s *side) keysFit(t *rapid.T, d Session) {
	for _, m := range d.Media {
		_, crypted := m.Attribute("crypto")
		_, printed := m.Attribute("fingerprint")
		if strings.HasPrefix(m.Proto, "UDP/TLS") && m.Port != 0 && (crypted || !printed && s.local.Fingerprint != "") || s.local.Policy == Off && (crypted || printed) {
			t.Fatalf("%s says %s with crypto %v, fingerprint %v", s.name, m.Proto, crypted, printed)
		}
	}
}

// complementary checks that two sides have understood the same.
func complementary(t *rapid.T, a, b *side) {
	x, okA := a.n.Current()
	y, okB := b.n.Current()
	if !okA || !okB {
		t.Fatal("nothing is in force")
	}
	if x.Direction != y.Direction.reversed() || x.Mux != y.Mux || x.Remote != b.local.Addr || y.Remote != a.local.Addr {
		t.Fatalf("%+v\n%+v", x, y)
	}
	numbers := func(formats []Format) string {
		s := ""
		for _, f := range formats {
			s += fmt.Sprintf("%d %s/%d/%d ", f.PayloadType, f.Name, f.ClockRate, f.Channels)
		}
		return s
	}
	if numbers(x.Send) != numbers(y.Receive) || numbers(x.Receive) != numbers(y.Send) || !x.Send[0].isAudio() {
		t.Fatalf("%s and %s\n%s and %s", numbers(x.Send), numbers(x.Receive), numbers(y.Send), numbers(y.Receive))
	}
	p, q := x.Protection, y.Protection
	if p.Method != q.Method || p.Suite != q.Suite {
		t.Fatalf("%+v\n%+v", p, q)
	}
	if p.Method == SDES && (!bytes.Equal(p.LocalKey, q.RemoteKey) || !bytes.Equal(p.RemoteKey, q.LocalKey) || bytes.Equal(p.LocalKey, p.RemoteKey)) {
		t.Fatalf("keys %x %x, %x %x", []byte(p.LocalKey), []byte(p.RemoteKey), []byte(q.LocalKey), []byte(q.RemoteKey))
	}
	if p.Method == DTLS && (p.Active == q.Active || p.Fingerprints[0] != b.local.Fingerprint || q.Fingerprints[0] != a.local.Fingerprint) {
		t.Fatalf("%+v\n%+v", p, q)
	}
	for _, s := range []*side{a, b} {
		if g, _ := s.n.Current(); s.local.Policy == Required && g.Protection.Method == Plain || s.local.Policy == Off && g.Protection.Method != Plain {
			t.Fatalf("%s has policy %d and %s", s.name, s.local.Policy, g.Protection.Method)
		}
	}
}

// introduce lets x offer its lines, which a third party began, to y. It reports whether y takes them.
func introduce(t *rapid.T, x, y *side) bool {
	offer, err := x.n.Offer(Both)
	if err != nil {
		return false
	}
	offered := x.said(t, offer)
	answer, _, err := y.n.Answer(offer, Both)
	if err != nil {
		return false
	}
	answers(t, y.said(t, answer), offered)
	if _, err := x.n.Accept(answer); err != nil {
		t.Fatal(err)
	}
	return true
}

// TestTwoSides: whatever two sides offer each other, and however it is answered, refused, mangled or taken back, both
// understand the same, and what fails changes nothing.
func TestTwoSides(t *testing.T) {
	agreed, failed, methods := 0, 0, map[Method]int{}
	rapid.Check(t, func(t *rapid.T) {
		a, b := &side{name: "a"}, &side{name: "b"}
		sides := []*side{a, b}
		for i, s := range sides {
			s.local = drawLocal(t, []string{printA, printB}[i])
			s.n = NewNegotiation(s.local)
		}
		if rapid.Bool().Draw(t, "many lines") { // b has talked to somebody else before, about more than audio
			offer := lines("v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0", "m=video 5002 RTP/AVP 34",
				"m=audio 5000 RTP/AVP 0 8 9 96", "a=rtpmap:96 opus/48000/2", "m=audio 5004 RTP/AVP 0")
			if answer, _, err := b.n.Answer(offer, Both); err == nil {
				answers(t, b.said(t, answer), mustParse(t, offer))
			}
			if !introduce(t, b, a) {
				return
			}
		}
		inForce := false // between the two
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			from := rapid.IntRange(0, 1).Draw(t, "from")
			x, y := sides[from], sides[1-from]
			if rapid.IntRange(0, 3).Draw(t, "move") == 0 {
				x.local = drawLocal(t, x.local.Fingerprint)
				x.n.SetLocal(x.local)
				inForce = false
			}
			before, had := [2]Agreement{}, [2]bool{}
			before[0], had[0] = x.n.Current()
			before[1], had[1] = y.n.Current()
			unchanged := func(i int, s *side) {
				now, has := s.n.Current()
				if diff := cmp.Diff(before[i], now, compareAgreements); diff != "" || has != had[i] {
					t.Fatalf("%s: a failure changed %s", s.name, diff)
				}
			}
			want := Direction(rapid.IntRange(0, 3).Draw(t, "want"))
			offer, err := x.n.Offer(want)
			if err != nil {
				if !errors.Is(err, ErrNoCodec) {
					t.Fatal(err)
				}
				continue
			}
			offered := x.said(t, offer)
			if _, err := x.n.Offer(want); !errors.Is(err, ErrState) {
				t.Fatalf("two offers at once: %v", err)
			}
			if _, _, err := x.n.Answer(offer, Both); !errors.Is(err, ErrState) {
				t.Fatalf("an answer with an offer open: %v", err)
			}
			if rapid.IntRange(0, 4).Draw(t, "refused") == 0 {
				x.n.Rollback()
				unchanged(0, x)
				continue
			}
			wants := Direction(rapid.IntRange(0, 3).Draw(t, "wants"))
			answer, _, err := y.n.Answer(offer, wants)
			if err != nil {
				failed++
				unchanged(1, y)
				x.n.Rollback()
				unchanged(0, x)
				if inForce {
					complementary(t, a, b)
				}
				continue
			}
			answers(t, y.said(t, answer), offered)
			if rapid.IntRange(0, 9).Draw(t, "mangled") == 0 {
				if _, err := x.n.Accept([]byte("v=0\r\n")); !errors.Is(err, ErrMalformed) {
					t.Fatalf("an empty answer: %v", err)
				}
				unchanged(0, x)
				inForce = false // y believes in something else; x has to end the call
				continue
			}
			fork := x.n.Clone()
			got, err := x.n.Accept(answer)
			if err != nil {
				t.Fatalf("%v\n%s\n%s", err, offer, answer)
			}
			if again, err := fork.Accept(answer); err != nil || !cmp.Equal(again, got, compareAgreements) {
				t.Fatalf("a clone: %v", err)
			}
			if got.Direction&^want != 0 {
				t.Fatalf("%s was offered, %s agreed", want, got.Direction)
			}
			agreed++
			methods[got.Protection.Method]++
			inForce = true
			complementary(t, a, b)
		}
	})
	if agreed < 50 || failed < 5 || methods[SDES] < 5 || methods[DTLS] < 5 || methods[Plain] < 5 {
		t.Errorf("the property was hardly tried: %d agreements, %d failures, %v", agreed, failed, methods)
	}
}

// TestOverTLSStays: a dialog that began with UDP/TLS/RTP/SAVP keeps it and its handshake, whoever offers, and whatever is
// refused between.
func TestOverTLSStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sides := []*side{{name: "a"}, {name: "b"}}
		for i, s := range sides {
			s.local = drawLocal(t, "")
			s.local.Formats = append(s.local.Formats, Format{PayloadType: 0, Name: "pcmu", ClockRate: 8000, Channels: 1})
			s.local.Policy = rapid.SampledFrom([]Policy{Opportunistic, Required}).Draw(t, "keys")
			s.local.Fingerprint, s.local.OverTLS = []string{printA, printB}[i], true
			s.n = NewNegotiation(s.local)
		}
		var first *Protection
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			from := rapid.IntRange(0, 1).Draw(t, "from")
			x, y := sides[from], sides[1-from]
			offer, err := x.n.Offer(Direction(rapid.IntRange(0, 3).Draw(t, "want")))
			if err != nil {
				t.Fatal(err)
			}
			if m := x.said(t, offer).Media[0]; m.Proto != "UDP/TLS/RTP/SAVP" {
				t.Fatalf("an offer has %s", m.Proto)
			}
			if rapid.IntRange(0, 3).Draw(t, "refused") == 0 {
				x.n.Rollback()
				continue
			}
			answer, _, err := y.n.Answer(offer, Direction(rapid.IntRange(0, 3).Draw(t, "wants")))
			if err != nil {
				t.Fatal(err)
			}
			answers(t, y.said(t, answer), mustParse(t, offer))
			if _, err := x.n.Accept(answer); err != nil {
				t.Fatal(err)
			}
			complementary(t, sides[0], sides[1])
			now, _ := sides[0].n.Current()
			if first == nil {
				first = &now.Protection
			}
			if now.Protection.Method != DTLS || now.Protection.Active != first.Active {
				t.Fatalf("%+v, was %+v", now.Protection, *first)
			}
		}
	})
}

// TestReofferKeepsEverything: an offer that says nothing new is the same byte by byte, and changes no key and no role.
func TestReofferKeepsEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		la, lb := drawLocal(t, printA), drawLocal(t, printB)
		a, b := NewNegotiation(la), NewNegotiation(lb)
		talk := func(x, y *Negotiation) (offer []byte, g Agreement) {
			offer, err := x.Offer(Both)
			if err != nil {
				t.Skip()
			}
			answer, _, err := y.Answer(offer, Both)
			if err != nil {
				t.Skip()
			}
			g, err = x.Accept(answer)
			if err != nil {
				t.Fatal(err)
			}
			return offer, g
		}
		_, first := talk(a, b)
		other, _ := b.Current()
		second, g := talk(a, b)
		if diff := cmp.Diff(first, g, compareAgreements); diff != "" {
			t.Fatal(diff)
		}
		third, _ := talk(a, b)
		if !bytes.Equal(second, third) {
			t.Fatalf("offers differ:\n%s\n%s", second, third)
		}
		_, g = talk(b, a)
		if diff := cmp.Diff(other.Protection, g.Protection, compareAgreements); diff != "" {
			t.Fatalf("the other way: %s", diff)
		}
	})
}
