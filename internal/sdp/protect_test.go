package sdp

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

const (
	printB1   = "sha-1 BB:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13"
	printOld  = "sha-256 CC:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F"
	key30     = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
	otherKey  = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR"
	sha80     = "AES_CM_128_HMAC_SHA1_80"
	cryptoSHA = "a=crypto:1 " + sha80 + " inline:" + key30
)

// RFC 4568 §9.2: the grammar of a=crypto, and what is skipped.
func TestParseCrypto(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30, "1 AES_CM_128_HMAC_SHA1_80 30 []"},
		{"1 aes_cm_128_hmac_sha1_32 INLINE:" + key30 + "|2^20", "1 AES_CM_128_HMAC_SHA1_32 30 []"},
		{"2 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|2^31|1:1", "2 AES_CM_128_HMAC_SHA1_80 30 [1]"},
		{"2 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|1:4", "2 AES_CM_128_HMAC_SHA1_80 30 [0 0 0 1]"},
		{"2 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|1048576|66051:4 WSH=128", "2 AES_CM_128_HMAC_SHA1_80 30 [0 1 2 3]"},
		{"3 AEAD_AES_128_GCM inline:" + strings.Repeat("A", 38) + "==", "3 AEAD_AES_128_GCM 28 []"},
		{"3 AEAD_AES_128_GCM inline:" + strings.Repeat("A", 38), "3 AEAD_AES_128_GCM 28 []"}, // some leave the padding out
		{"4 AEAD_AES_256_GCM inline:" + strings.Repeat("A", 59) + "=", "4 AEAD_AES_256_GCM 44 []"},
		{"5 AES_256_CM_HMAC_SHA1_80 inline:" + strings.Repeat("A", 62) + "==", "5 AES_256_CM_HMAC_SHA1_80 46 []"},
		{"6 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " -later=1", "6 AES_CM_128_HMAC_SHA1_80 30 []"},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " UNENCRYPTED_SRTP", ""},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " KDR=1", ""},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + ";inline:" + otherKey, ""},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30[1:], ""},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|x", ""},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|1:4|2^20", ""},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|2^20|2^21", ""},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|2^20|1:4|1:4", ""},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|256:1", ""},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|1:129", ""},
		{"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|1:0", ""},
		{"1 AES_CM_128_HMAC_SHA1_80 other:" + key30, ""},
		{"1 F8_128_HMAC_SHA1_80 inline:" + key30, ""},
		{"x AES_CM_128_HMAC_SHA1_80 inline:" + key30, ""},
		{"1234567890 AES_CM_128_HMAC_SHA1_80 inline:" + key30, ""},
		{"1 AES_CM_128_HMAC_SHA1_80", ""},
		{"", ""},
	} {
		c, ok := parseCrypto(tt.in)
		got := ""
		if ok {
			got = fmt.Sprintln(c.tag, c.suite, len(c.key), c.mki)
		}
		if strings.TrimSpace(got) != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
		if ok && c.mki == nil {
			if again, ok := parseCrypto(c.attribute()[1]); !ok || !bytes.Equal(again.key, c.key) {
				t.Errorf("%q is written as %s", tt.in, c.attribute())
			}
		}
	}
}

// What policies and offers make of each other: the answer's keys are exactly one method's (RFC 8643 §3.2).
func TestProtectionOfAnswers(t *testing.T) {
	offers := map[string][]string{
		"plain":    {"m=audio 5000 RTP/AVP 0"},
		"avpf":     {"m=audio 5000 RTP/AVPF 0"},
		"sdes":     {"m=audio 5000 RTP/SAVP 0", "a=crypto:1 UNKNOWN inline:x", "a=crypto:7 " + sha80 + " inline:" + key30},
		"savpf":    {"m=audio 5000 RTP/SAVPF 0", cryptoSHA},
		"dtls":     {"m=audio 5000 UDP/TLS/RTP/SAVPF 0", "a=setup:actpass", "a=fingerprint:" + printB},
		"osrtp":    {"m=audio 5000 RTP/AVP 0", cryptoSHA, "a=setup:actpass", "a=fingerprint:" + printB},
		"osdes":    {"m=audio 5000 RTP/AVP 0", cryptoSHA},
		"savpboth": {"m=audio 5000 RTP/SAVP 0", cryptoSHA, "a=setup:actpass", "a=fingerprint:" + printB},
		"sha1":     {"m=audio 5000 RTP/AVP 0", "a=setup:actpass", "a=fingerprint:" + printB1, "a=fingerprint:md5 00:11"},
		"holdconn": {"m=audio 5000 RTP/AVP 0", "a=setup:holdconn", "a=fingerprint:" + printB},
	}
	for _, tt := range []struct {
		offer       string
		certificate bool
		want        string // by Opportunistic, Required, Off
	}{
		{"plain", true, "none - none"},
		{"avpf", true, "none - none"},
		{"sdes", true, "sdes sdes -"},
		{"savpf", true, "sdes sdes -"},
		{"dtls", true, "dtls dtls -"},
		{"dtls", false, "- - -"},
		{"osrtp", true, "dtls dtls none"},
		{"osrtp", false, "sdes sdes none"},
		{"osdes", true, "sdes sdes none"},
		{"savpboth", true, "sdes sdes -"},
		{"sha1", true, "none - none"},
		{"holdconn", true, "none - none"},
	} {
		var got []string
		for _, p := range []Policy{Opportunistic, Required, Off} {
			l := here(policy(p))
			if !tt.certificate {
				noCertificate(&l)
			}
			b, g, err := NewNegotiation(l).Answer(theirs(offers[tt.offer]...), Both)
			if err != nil {
				got = append(got, "-")
				continue
			}
			got = append(got, string(g.Protection.Method))
			m, offered := mustParse(t, b).Media[0], strings.Fields(offers[tt.offer][0])[2]
			value, crypted := m.Attribute("crypto")
			_, printed := m.Attribute("fingerprint")
			if m.Proto != offered || crypted != (g.Protection.Method == SDES) || printed != (g.Protection.Method == DTLS) {
				t.Errorf("%s, policy %d:\n%s", tt.offer, p, b)
			}
			if tt.offer == "sdes" && (!strings.HasPrefix(value, "7 "+sha80) || strings.Contains(value, key30)) {
				t.Errorf("answered with %s", value)
			}
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s, certificate %v: %s, want %s", tt.offer, tt.certificate, s, tt.want)
		}
	}
}

// What the policies offer.
func TestProtectionOfOffers(t *testing.T) {
	for _, tt := range []struct {
		p           Policy
		certificate bool
		want        string // profile, keys, fingerprints
	}{
		{Opportunistic, true, "RTP/AVP 3 1"},
		{Opportunistic, false, "RTP/AVP 3 0"},
		{Required, true, "RTP/SAVP 5 1"},
		{Required, false, "RTP/SAVP 5 0"},
		{Off, true, "RTP/AVP 0 0"},
	} {
		l := here(policy(tt.p))
		if !tt.certificate {
			noCertificate(&l)
		}
		_, s := offering(t, l)
		b := string(s.Marshal())
		if got := fmt.Sprint(s.Media[0].Proto, " ", strings.Count(b, "a=crypto"), " ", strings.Count(b, "a=fingerprint")); got != tt.want {
			t.Errorf("policy %d: %s", tt.p, got)
		}
	}
	for _, tt := range []struct {
		change []func(*Local)
		want   string
	}{
		{[]func(*Local){policy(Required)}, "UDP/TLS/RTP/SAVP 0 1"},
		{[]func(*Local){policy(Opportunistic)}, "UDP/TLS/RTP/SAVP 0 1"},
		{[]func(*Local){policy(Required), noCertificate}, "RTP/SAVP 5 0"},
		{[]func(*Local){policy(Off)}, "RTP/AVP 0 0"},
	} {
		n, s := offering(t, here(append(tt.change, func(l *Local) { l.OverTLS = true })...))
		b := string(s.Marshal())
		if got := fmt.Sprint(s.Media[0].Proto, " ", strings.Count(b, "a=crypto"), " ", strings.Count(b, "a=fingerprint")); got != tt.want {
			t.Errorf("over TLS: %s, want %s", got, tt.want)
		}
		if strings.Contains(tt.want, "TLS") {
			if _, err := n.Clone().Accept(theirs("m=audio 5000 UDP/TLS/RTP/SAVP 0")); !errors.Is(err, ErrEncryption) {
				t.Errorf("an answer without a fingerprint: %v", err)
			}
		}
	}
	// A dialog keeps its profile, unless the policy has changed.
	n, _, _ := answer(t, here(), theirs("m=audio 5000 RTP/SAVPF 0", cryptoSHA), Both)
	for _, tt := range []struct {
		p    Policy
		want string
	}{{Opportunistic, "RTP/SAVPF"}, {Required, "RTP/SAVPF"}, {Off, "RTP/AVP"}} {
		n.SetLocal(here(policy(tt.p)))
		b, err := n.Offer(Both)
		if err != nil || mustParse(t, b).Media[0].Proto != tt.want {
			t.Errorf("policy %d: %v\n%s", tt.p, err, b)
		}
		n.Rollback()
	}
}

// RFC 4568 §7.1.4: keys live as long as they are in use on both sides.
func TestRekeying(t *testing.T) {
	offer := func(key string, more ...string) []byte {
		return theirs(append([]string{"m=audio 5000 RTP/SAVP 0", "a=crypto:1 " + sha80 + " inline:" + key}, more...)...)
	}
	n, _, first := answer(t, here(), offer(key30), Both)
	again := func(b []byte) Agreement {
		t.Helper()
		_, g, err := n.Answer(b, Both)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	same := func(a, b Agreement) bool { return bytes.Equal(a.Protection.LocalKey, b.Protection.LocalKey) }
	held := again(offer(key30, "a=sendonly"))
	if !same(held, first) {
		t.Error("a hold changes our key")
	}
	if g := again(theirs("m=audio 5000 RTP/SAVP 0", "a=crypto:1 AEAD_AES_128_GCM inline:"+strings.Repeat("A", 38), "a=crypto:2 "+sha80+" inline:"+key30)); !same(g, first) || g.Protection.Suite != sha80 {
		t.Error("what is in use does not stay when something better is offered")
	}
	b, err := n.Offer(Both)
	if err != nil {
		t.Fatal(err)
	}
	if value, _ := mustParse(t, b).Media[0].Attribute("crypto"); value != "1 "+sha80+" inline:"+keyText(first.Protection.LocalKey) {
		t.Errorf("our offer begins with %s", value)
	}
	if strings.Contains(string(b), "fingerprint") {
		t.Error("another method is offered")
	}
	n.Rollback()
	moved := again(offer(otherKey))
	if same(moved, first) {
		t.Error("our key stays when theirs changes")
	}
	gcm := again(theirs("m=audio 5000 RTP/SAVP 0", "a=crypto:1 AEAD_AES_128_GCM inline:"+strings.Repeat("A", 38)))
	if back := again(offer(otherKey)); gcm.Protection.Suite == sha80 || same(back, moved) {
		t.Error("a key comes back after another suite")
	}
}

// A key that was in use is not offered again after another: the packet counter would begin anew with it. What a clone does
// is its own.
func TestUsedKeysAreForgotten(t *testing.T) {
	original, _ := offering(t, here())
	n := original.Clone()
	g, err := n.Accept(theirs("m=audio 5000 RTP/AVP 0", "a=crypto:1 AEAD_AES_128_GCM inline:"+strings.Repeat("A", 38)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.Answer(theirs("m=audio 5000 RTP/AVP 0"), Both); err != nil {
		t.Fatal(err)
	}
	b, err := n.Offer(Both)
	if err != nil || strings.Contains(string(b), keyText(g.Protection.LocalKey)) {
		t.Errorf("%v\n%s", err, b)
	}
	if !bytes.Equal(original.keys["AEAD_AES_128_GCM"], g.Protection.LocalKey) {
		t.Error("the original has lost its key")
	}
}

// RFC 5763 §5 and RFC 8842 §5: who begins the handshake, at first and later.
func TestRoles(t *testing.T) {
	dtls := func(setup, fingerprint string) []byte {
		m := []string{"m=audio 5000 UDP/TLS/RTP/SAVP 0", "a=fingerprint:" + fingerprint}
		if setup != "" {
			m = append(m, "a=setup:"+setup)
		}
		return theirs(m...)
	}
	for setup, want := range map[string]string{"actpass": "active", "active": "passive", "passive": "active", "": "passive", "ACTPASS": "active"} {
		_, said, g := answer(t, here(), dtls(setup, printB), Both)
		if !strings.Contains(said, "a=setup:"+want+"\r\n") || g.Protection.Active != (want == "active") || g.Protection.Fingerprints[0] != printB {
			t.Errorf("offer %q: %+v\n%s", setup, g.Protection, said)
		}
	}
	for setup, active := range map[string]bool{"active": false, "passive": true, "": true} {
		n, _ := offering(t, here())
		g, err := n.Accept(bytes.Replace(dtls(setup, printB), []byte("UDP/TLS/RTP/SAVP"), []byte("RTP/AVP"), 1))
		if err != nil || g.Protection.Active != active {
			t.Errorf("answer %q: %+v %v", setup, g.Protection, err)
		}
	}
	// They were active; each later offer is looked at with what is in force.
	n, _, _ := answer(t, here(), dtls("active", printB), Both)
	for _, tt := range []struct {
		setup, fingerprint string
		active             bool
	}{
		{"actpass", printB, false},  // the role stays
		{"holdconn", printB, false}, // and so it does here
		{"actpass", printOld, true}, // another certificate: a new association
		{"actpass", printOld, true},
		{"active", printOld, false}, // they insist
		{"passive", printOld, true},
	} {
		_, g, err := n.Answer(dtls(tt.setup, tt.fingerprint), Both)
		if err != nil || g.Protection.Active != tt.active {
			t.Errorf("%s of %.12s: %+v %v", tt.setup, tt.fingerprint, g.Protection, err)
		}
	}
	b, err := n.Offer(Both) // RFC 8842 §5.5: actpass, whatever the role
	if s := string(b); err != nil || !strings.Contains(s, "a=setup:actpass") || !strings.Contains(s, "UDP/TLS/RTP/SAVP") || strings.Contains(s, "crypto") {
		t.Errorf("%v\n%s", err, b)
	}
	if _, _, g := answer(t, here(), lines("v=0", "c=IN IP4 198.51.100.1", "a=fingerprint:"+strings.ToLower(printB), "a=setup:passive", "a=inactive",
		"m=audio 5000 UDP/TLS/RTP/SAVP 0"), Both); g.Protection.Method != DTLS || !g.Protection.Active || g.Direction != Inactive || g.Protection.Fingerprints[0] != printB {
		t.Errorf("what a line inherits from the session: %+v", g)
	}
}

// Another association is asked for by a=connection (RFC 4145 §5) or by another tls-id (RFC 8842 §4), where there is one.
func TestAnotherAssociation(t *testing.T) {
	dtls := func(more ...string) []string {
		return append([]string{"m=audio 5000 UDP/TLS/RTP/SAVP 0", "a=fingerprint:" + printB}, more...)
	}
	n, _, first := answer(t, here(), theirs(dtls("a=setup:active", "a=connection:new", "a=tls-id:one")...), Both)
	if first.Protection.Renew {
		t.Error("the first association is another one")
	}
	for _, tt := range []struct {
		connection, association string
		renew                   bool
	}{
		{"", "", false},
		{"a=connection:existing", "", false},
		{"a=connection:new", "", true},
		{"a=connection:NEW", "", true},
		{"", "a=tls-id:two", false},
		{"", "a=tls-id:two", false},
		{"", "a=tls-id:three", true},
		{"", "a=tls-id:three", false},
	} {
		more := []string{"a=setup:passive"}
		for _, a := range []string{tt.connection, tt.association} {
			if a != "" {
				more = append(more, a)
			}
		}
		said, g, err := n.Answer(theirs(dtls(more...)...), Both)
		if err != nil || g.Protection.Renew != tt.renew || g.Protection.Existing != strings.HasSuffix(tt.connection, "existing") || !g.Protection.Active || strings.Contains(string(said), "connection:") {
			t.Errorf("offer %q: %+v %v", more, g.Protection, err)
		}
		offer := n.Clone()
		if _, err := offer.Offer(Both); err != nil {
			t.Fatal(err)
		}
		g, err = offer.Accept(theirs(dtls(more...)...))
		if want := tt.connection != "" && tt.renew; err != nil || g.Protection.Renew != want || !g.Protection.Active {
			t.Errorf("answer %q: %+v %v", more, g.Protection, err)
		}
	}
	session := lines("v=0", "c=IN IP4 198.51.100.1", "a=connection:new", "a=setup:active", "a=fingerprint:"+printB, "m=audio 5000 UDP/TLS/RTP/SAVP 0")
	if _, g, err := n.Answer(session, Both); err != nil || !g.Protection.Renew || g.Protection.Active {
		t.Errorf("what a line inherits: %+v %v", g.Protection, err)
	}
}

// Keys never print.
func TestKeysDoNotPrint(t *testing.T) {
	_, _, g := answer(t, here(), theirs("m=audio 5000 RTP/SAVP 0", cryptoSHA), Both)
	for _, f := range []string{"%v", "%+v", "%s", "%#v"} {
		s := fmt.Sprintf(f, g)
		if !strings.Contains(s, "[secret]") || strings.Contains(s, fmt.Sprint([]byte(g.Protection.LocalKey))) || strings.Contains(s, "0x59, 0x53") {
			t.Errorf("%s: %s", f, s)
		}
	}
}
