package sdp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWild: offers in the manner of programs and telephones that are about, and what we make of them. The files are
// written for this test after what such devices send.
func TestWild(t *testing.T) {
	for name, want := range map[string]string{
		"baresip":    "198.51.100.10:20404 sendrecv, send 96=opus/48000 0=pcmu/8000 8=pcma/8000 101=telephone-event/8000, 20ms, mux, sdesAES_CM_128_HMAC_SHA1_80",
		"linphone":   "198.51.100.11:7078 sendrecv, send 96=opus/48000 0=pcmu/8000 8=pcma/8000 97=telephone-event/48000 98=telephone-event/8000, 20ms, rtcp 198.51.100.11:7079, sdesAEAD_AES_128_GCM",
		"asterisk":   "198.51.100.12:14820 sendrecv, send 8=pcma/8000 9=g722/8000 101=telephone-event/8000, 20ms, rtcp 198.51.100.12:14821, none",
		"lync":       "198.51.100.13:20180 sendrecv, send 9=g722/8000 0=pcmu/8000 8=pcma/8000 13=cn/8000 101=telephone-event/8000, 20ms, rtcp 198.51.100.13:20181, sdesAES_CM_128_HMAC_SHA1_80 mki 01",
		"browser":    "198.51.100.14:55000 sendrecv, send 111=opus/48000 9=g722/8000 0=pcmu/8000 8=pcma/8000 13=cn/8000 110=telephone-event/48000 126=telephone-event/8000, 20ms, mux, dtls active=true of 1",
		"polycom":    "198.51.100.15:2226 sendrecv, send 9=g722/8000 0=pcmu/8000 8=pcma/8000 127=telephone-event/8000, 20ms, rtcp 198.51.100.15:2227, none",
		"cisco-hold": "198.51.100.16:27646 inactive, send 0=pcmu/8000 8=pcma/8000 101=telephone-event/8000, 20ms, rtcp 198.51.100.16:27647, none",
		"old-hold":   "invalid AddrPort sendrecv, send 0=pcmu/8000, 30ms, silent, none",
		"blackhole":  "invalid AddrPort inactive, send 0=pcmu/8000, 20ms, silent, none",
		"freeswitch": "[2001:db8::17]:17038 sendrecv, send 102=opus/48000 9=g722/8000 0=pcmu/8000 8=pcma/8000 103=telephone-event/48000 101=telephone-event/8000 13=cn/8000, 20ms, mux, sdesAEAD_AES_256_GCM",
		"gateway":    "198.51.100.18:16384 recvonly, send 8=pcma/8000 0=pcmu/8000 96=telephone-event/8000, 20ms, rtcp 198.51.100.18:16385, none",
	} {
		b, err := os.ReadFile(filepath.Join("testdata", "wild", name+".sdp"))
		if err != nil {
			t.Fatal(err)
		}
		_, said, g := answer(t, here(), b, Both)
		got := summary(g)
		before, _, _ := strings.Cut(got, ", receive ")
		_, after, _ := strings.Cut(got, ", receive "+text(g.Receive))
		if before+after != want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, before+after, want)
		}
		offered, answered := mustParse(t, b), mustParse(t, []byte(said))
		if len(offered.Media) != len(answered.Media) {
			t.Errorf("%s: %d lines answer %d", name, len(answered.Media), len(offered.Media))
		}
	}
}

// FuzzNegotiation: no description can break the answer to it, nor what follows; and no answer an offer of ours.
func FuzzNegotiation(f *testing.F) {
	files, err := filepath.Glob("testdata/wild/*.sdp")
	if err != nil || len(files) == 0 {
		f.Fatal("no corpus", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, b)
	}
	f.Fuzz(func(t *testing.T, offer, answer []byte) {
		for _, p := range []Policy{Opportunistic, Required, Off} {
			n := NewNegotiation(here(policy(p)))
			said, g, err := n.Answer(offer, Both)
			switch {
			case err != nil:
				if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
					t.Fatalf("unprintable: %q", err)
				}
			case p == Required && g.Protection.Method == Plain, p == Off && g.Protection.Method != Plain:
				t.Fatalf("policy %d: %+v", p, g)
			case len(said) <= MaxSize:
				check(t, g)
				if a, o := mustParse(t, said), mustParse(t, offer); len(a.Media) != len(o.Media) {
					t.Fatalf("%d lines answer %d", len(a.Media), len(o.Media))
				}
			}
			before, had := n.Current()
			b, err := n.Offer(Sending)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) <= MaxSize {
				mustParse(t, b)
			}
			if g, err := n.Accept(answer); err == nil {
				check(t, g)
				if g.Direction&Receiving != 0 {
					t.Fatalf("sendonly was offered, %s agreed", g.Direction)
				}
			} else if now, has := n.Current(); has != had || summary(now) != summary(before) {
				t.Fatalf("a broken answer changed what is in force: %s", summary(now))
			}
		}
	})
}

// check looks at an agreement for what no peer may bring about.
func check(t *testing.T, g Agreement) {
	t.Helper()
	if len(g.Send) == 0 || len(g.Send) != len(g.Receive) || !g.Send[0].isAudio() || g.Remote.IsValid() == g.Silent || g.Remote.Addr().IsMulticast() {
		t.Fatalf("%+v", g)
	}
	for i := range g.Send {
		if !g.Send[i].same(g.Receive[i]) || g.Send[i].PayloadType > 127 {
			t.Fatalf("%+v", g)
		}
	}
	s, known := suiteNamed(g.Protection.Suite)
	if p := g.Protection; p.Method == SDES && (!known || len(p.LocalKey) != s.length || len(p.RemoteKey) != s.length) {
		t.Fatalf("%+v", p)
	}
}
