package sdp

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var (
	opus = allFormats[0]
	pcmu = allFormats[2]
)

func TestFormatsAreAnswered(t *testing.T) {
	for _, tt := range []struct {
		name, offer, want string // want is sent and received
		params            string // of Send[0]
	}{
		{"static without rtpmap", "m=audio 5000 RTP/AVP 0 8 9 13", "0=pcmu/8000 8=pcma/8000 9=g722/8000 13=cn/8000", ""},
		{
			"their numbers, their order", "m=audio 5000 RTP/AVP 8 111 126 110\na=rtpmap:111 Opus/48000/2\na=fmtp:111 stereo=1\na=rtpmap:126 telephone-event/8000\na=rtpmap:110 telephone-event/48000",
			"8=pcma/8000 111=opus/48000 126=telephone-event/8000 110=telephone-event/48000", "",
		},
		{"parameters are theirs to be sent", "m=audio 5000 RTP/AVP 111\na=rtpmap:111 opus/48000/2\na=fmtp:111 minptime=10; maxaveragebitrate=20000", "111=opus/48000", "minptime=10; maxaveragebitrate=20000"},
		{"events without a codec of their rate", "m=audio 5000 RTP/AVP 0 97 101\na=rtpmap:97 telephone-event/48000\na=rtpmap:101 telephone-event/8000", "0=pcmu/8000 101=telephone-event/8000", ""},
		{"events of another rate alone", "m=audio 5000 RTP/AVP 100 101 13\na=rtpmap:100 opus/48000/2\na=rtpmap:101 telephone-event/8000", "100=opus/48000 101=telephone-event/8000", ""},
		{"events first", "m=audio 5000 RTP/AVP 101 0\na=rtpmap:101 telephone-event/8000", "0=pcmu/8000 101=telephone-event/8000", ""},
		{"a codec twice", "m=audio 5000 RTP/AVP 100 99 0\na=rtpmap:100 opus/48000/2\na=fmtp:100 stereo=1\na=rtpmap:99 opus/48000/2", "100=opus/48000 0=pcmu/8000", "stereo=1"},
		{"numbers that RTCP uses", "m=audio 5000 RTP/AVP 72 0\na=rtpmap:72 opus/48000/2", "0=pcmu/8000", ""},
		{"opus without its channels", "m=audio 5000 RTP/AVP 100\na=rtpmap:100 opus/48000", "100=opus/48000", ""},
		{"G722 with its real rate", "m=audio 5000 RTP/AVP 9\na=rtpmap:9 G722/16000", "9=g722/8000", ""},
		{"another rate is another codec", "m=audio 5000 RTP/AVP 96 97 0\na=rtpmap:96 PCMU/16000\na=rtpmap:97 opus/16000/2", "0=pcmu/8000", ""},
		{"a static number with another meaning", "m=audio 5000 RTP/AVP 8 0\na=rtpmap:8 opus/48000/2", "8=opus/48000 0=pcmu/8000", ""},
		{"nonsense between", "m=audio 5000 RTP/AVP 300 x 96 97 98 0\na=rtpmap:96 opus\na=rtpmap:97 /8000\na=rtpmap:98 opus/x\na=rtpmap:y pcmu/8000\na=fmtp:", "0=pcmu/8000", ""},
	} {
		_, said, g := answer(t, here(), theirs(strings.Split(tt.offer, "\n")...), Both)
		if text(g.Send) != tt.want || text(g.Receive) != tt.want || g.Send[0].Params != tt.params {
			t.Errorf("%s: send %s, receive %s, params %q\n%s", tt.name, text(g.Send), text(g.Receive), g.Send[0].Params, said)
		}
		if g.Receive[0].Name == "opus" && g.Receive[0].Params != opus.Params {
			t.Errorf("%s: we receive with %q", tt.name, g.Receive[0].Params)
		}
	}
}

// RFC 3264 §5.1: the numbers of the two directions may differ. What they lack is neither sent nor expected.
func TestAsymmetricNumbers(t *testing.T) {
	n, _ := offering(t, here(policy(Off)))
	g, err := n.Accept(theirs("m=audio 5000 RTP/AVP 120 0 99 100 121", "a=rtpmap:120 opus/48000/2", "a=rtpmap:99 telephone-event/48000", "a=rtpmap:121 speex/8000"))
	if err != nil {
		t.Fatal(err)
	}
	if got := text(g.Send) + " | " + text(g.Receive); got != "120=opus/48000 0=pcmu/8000 99=telephone-event/48000 | 96=opus/48000 0=pcmu/8000 97=telephone-event/48000" {
		t.Error(got)
	}
}

// RFC 3264 §8.3.2: a number keeps its meaning for the whole dialog.
func TestNumbersKeepTheirMeaning(t *testing.T) {
	n, _, _ := answer(t, here(policy(Off)), theirs("m=audio 5000 RTP/AVP 101 97", "a=rtpmap:101 opus/48000/2", "a=rtpmap:97 telephone-event/48000"), Both)
	b, err := n.Offer(Both)
	if err != nil {
		t.Fatal(err)
	}
	formats := readFormats(mustParse(t, b).Media[0])
	if got := text(formats); got != "101=opus/48000 9=g722/8000 0=pcmu/8000 8=pcma/8000 97=telephone-event/48000 96=telephone-event/8000 13=cn/8000" {
		t.Errorf("offer %s", got)
	}
}

// A codec that was chosen stays first, whatever we like better.
func TestCodecInUseStaysFirst(t *testing.T) {
	n, _, g := answer(t, here(policy(Off)), theirs("m=audio 5000 RTP/AVP 8 0 100 101", "a=rtpmap:100 opus/48000/2", "a=rtpmap:101 telephone-event/8000"), Both)
	b, err := n.Offer(Sending)
	if err != nil {
		t.Fatal(err)
	}
	formats := readFormats(mustParse(t, b).Media[0])
	if g.Send[0].Name != "pcma" || text(formats) != "8=pcma/8000 100=opus/48000 9=g722/8000 0=pcmu/8000 97=telephone-event/48000 101=telephone-event/8000 13=cn/8000" {
		t.Errorf("%s is used, we offer %s", text(g.Send), text(formats))
	}
}

// So does one that is not in use any more.
func TestNumbersAreNotUsedAgain(t *testing.T) {
	n, _, _ := answer(t, here(policy(Off)), theirs("m=audio 5000 RTP/AVP 101", "a=rtpmap:101 opus/48000/2"), Both)
	if _, _, err := n.Answer(theirs("m=audio 5000 RTP/AVP 0"), Both); err != nil {
		t.Fatal(err)
	}
	b, err := n.Offer(Both)
	if err != nil {
		t.Fatal(err)
	}
	if got := text(readFormats(mustParse(t, b).Media[0])); strings.Contains(got, "101=telephone-event") {
		t.Errorf("offer %s", got)
	}
}

func TestPacketTime(t *testing.T) {
	for in, want := range map[string]int{
		"":                          20,
		"a=ptime:10":                10,
		"a=ptime:30":                30,
		"a=ptime:5":                 10,
		"a=ptime:24":                20,
		"a=ptime:50":                60, // as near as 40
		"a=ptime:45":                40,
		"a=ptime:200":               60,
		"a=ptime:30\na=maxptime:20": 20,
		"a=maxptime:10":             10,
		"a=maxptime:5":              10,
		"a=ptime: 40 ":              40,
		"a=ptime:0":                 20,
		"a=ptime:-20":               20,
		"a=ptime:x\na=maxptime:NaN": 20,
		"a=ptime:20.0":              20,
	} {
		_, _, g := answer(t, here(), theirs(append([]string{"m=audio 5000 RTP/AVP 0"}, strings.Fields(strings.ReplaceAll(in, ": ", ":"))...)...), Both)
		if g.Ptime != time.Duration(want)*time.Millisecond {
			t.Errorf("%q: %s", in, g.Ptime)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, tt := range []struct{ media, rtp, rtcp string }{
		{"m=audio 5000 RTP/AVP 0", "198.51.100.1:5000", "198.51.100.1:5001"},
		{"m=audio 5000 RTP/AVP 0\nc=IN IP4 203.0.113.5", "203.0.113.5:5000", "203.0.113.5:5001"},
		{"m=audio 5000 RTP/AVP 0\nc=IN IP6 2001:db8::5", "[2001:db8::5]:5000", "[2001:db8::5]:5001"},
		{"m=audio 5000 RTP/AVP 0\na=rtcp:53020", "198.51.100.1:5000", "198.51.100.1:53020"},
		{"m=audio 5000 RTP/AVP 0\na=rtcp:53020 IN IP4 203.0.113.6", "198.51.100.1:5000", "203.0.113.6:53020"},
		{"m=audio 5000 RTP/AVP 0\na=rtcp:x IN IP4 203.0.113.6", "198.51.100.1:5000", "198.51.100.1:5001"},
		{"m=audio 5000 RTP/AVP 0\na=rtcp:9 IN IP4 0.0.0.0", "198.51.100.1:5000", "198.51.100.1:9"},
		{"m=audio 65535 RTP/AVP 0", "198.51.100.1:65535", "invalid AddrPort"},
		{"m=audio 5000 RTP/AVP 0\na=rtcp:53020\na=rtcp-mux", "198.51.100.1:5000", "198.51.100.1:5000"},
	} {
		_, said, g := answer(t, here(), theirs(strings.Split(tt.media, "\n")...), Both)
		mux := strings.Contains(tt.media, "mux")
		if g.Remote.String() != tt.rtp || g.RemoteRTCP.String() != tt.rtcp || g.Mux != mux || strings.Contains(said, "a=rtcp-mux") != mux {
			t.Errorf("%q: %s, %s, mux %v\n%s", tt.media, g.Remote, g.RemoteRTCP, g.Mux, said)
		}
	}
	six := here(func(l *Local) { l.Addr = netip.MustParseAddrPort("[2001:db8::7]:6000") })
	if _, said, _ := answer(t, six, theirs("m=audio 5000 RTP/AVP 0"), Both); !strings.Contains(said, "c=IN IP6 2001:db8::7\r\n") {
		t.Errorf("IPv6\n%s", said)
	}
}

// What cannot be answered is refused with a sentence that can be shown.
func TestRefusedOffers(t *testing.T) {
	plain := here(only(opus, pcmu))
	for _, tt := range []struct {
		local Local
		media string
		kind  error
		says  string
	}{
		{plain, "m=audio 5000 RTP/AVP 18 3 101\na=rtpmap:101 telephone-event/8000", ErrNoCodec, "they offer g729, gsm; here are opus, pcmu"},
		{plain, "m=audio 5000 RTP/AVP 99\na=rtpmap:99 \u202eg\u00fc729\u0085/8000", ErrNoCodec, "they offer g729; here are opus, pcmu"},
		{plain, "m=audio 5000 RTP/AVP 77", ErrNoCodec, "they offer none; here are opus, pcmu"},
		{plain, "m=audio 5000 RTP/AVP 101\na=rtpmap:101 telephone-event/8000", ErrNoCodec, "they offer none; here are opus, pcmu"},
		{plain, "m=audio 0 RTP/AVP 0", ErrNoAudio, "they offer audio, closed"},
		{plain, "m=video 5000 RTP/AVP 34\nm=audio 5002 TCP/X 0", ErrNoAudio, "they offer video, audio over TCP/X"},
		{plain, "", ErrNoAudio, "they offer nothing"},
		{plain, "m=audio 5000 RTP/AVP 0\nc=IN IP4 224.1.1.1", ErrMalformed, "a group address"},
		{plain, "m=audio 5000 RTP/AVP 0\nc=IN IP4 255.255.255.255", ErrMalformed, "a group address"},
		{plain, "garbage", ErrMalformed, ""},
		{here(only()), "m=audio 5000 RTP/AVP 0", ErrNoCodec, "none is enabled here"},
		{here(func(l *Local) { l.Addr = netip.AddrPort{} }), "m=audio 5000 RTP/AVP 0", ErrState, "no address"},
		{here(policy(Off)), "m=audio 5000 RTP/SAVP 0", ErrEncryption, "they insist on it, here it is switched off"},
		{here(policy(Required)), "m=audio 5000 RTP/AVP 0", ErrEncryption, "they offer none"},
		{here(), "m=audio 5000 RTP/SAVP 0\na=crypto:1 F8_128_HMAC_SHA1_80 inline:" + strings.Repeat("A", 40), ErrEncryption, "with no key that is understood"},
		{here(noCertificate), "m=audio 5000 UDP/TLS/RTP/SAVP 0\na=fingerprint:" + printB, ErrEncryption, "DTLS, which is not available"},
	} {
		n := NewNegotiation(tt.local)
		b, _, err := n.Answer(theirs(strings.Split(tt.media, "\n")...), Both)
		if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) || b != nil {
			t.Errorf("%q: %v", tt.media, err)
			continue
		}
		if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q: unprintable: %q", tt.media, err)
		}
		if _, ok := n.Current(); ok {
			t.Errorf("%q: something is in force", tt.media)
		}
	}
	if _, _, err := NewNegotiation(plain).Answer([]byte("v=0\nc=IN IP4 pc.example.org\nm=audio 5000 RTP/AVP 0"), Both); !errors.Is(err, ErrMalformed) {
		t.Errorf("a host name: %v", err)
	}
}

// An answer that does not answer is an error, closes the offer, and leaves what was in force.
func TestBrokenAnswers(t *testing.T) {
	key := func(n *Negotiation) string { return keyText(n.keys["AES_CM_128_HMAC_SHA1_80"]) }
	for _, tt := range []struct {
		local Local
		media string
		kind  error
		says  string
	}{
		{here(), "", ErrMalformed, "they answer with 0 media lines to 1"},
		{here(), "m=audio 5000 RTP/AVP 0\nm=audio 5002 RTP/AVP 0", ErrMalformed, "with 2 media lines to 1"},
		{here(), "m=video 5000 RTP/AVP 34", ErrMalformed, "they answer audio with video"},
		{here(), "m=audio 0 RTP/AVP 0", ErrNoAudio, "they declined it"},
		{here(), "m=audio 5000 TCP/X 0", ErrMalformed, "audio over TCP/X"},
		{here(), "m=audio 5000 RTP/AVP 18", ErrNoCodec, "they answer with g729; here are opus"},
		{here(), "m=audio 5000 RTP/AVP 120", ErrNoCodec, "they answer with none"},
		{here(policy(Required)), "m=audio 5000 RTP/AVP 0", ErrEncryption, "they answered without"},
		{here(policy(Required)), "m=audio 5000 RTP/SAVP 0", ErrEncryption, "they answered without"},
		{here(), "m=audio 5000 RTP/SAVP 0", ErrEncryption, "a key that is none"},
		{here(), "m=audio 5000 RTP/AVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + strings.Repeat("A", 40), ErrEncryption, "which was not offered so"},
		{here(), "m=audio 5000 RTP/AVP 0\na=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:" + strings.Repeat("A", 40), ErrEncryption, "which was not offered so"},
		{here(), "m=audio 5000 RTP/AVP 0\na=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:OURS", ErrEncryption, "our own key"},
		{here(), "m=audio 5000 RTP/AVP 0\na=fingerprint:" + printB + "\na=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:" + strings.Repeat("A", 40), ErrEncryption, "two ways at once"},
		{here(), "m=audio 5000 RTP/AVP 0\na=setup:actpass\na=fingerprint:" + printB, ErrEncryption, "who begins (setup:actpass)"},
		{here(), "m=audio 5000 RTP/AVP 0\na=setup:holdconn\na=fingerprint:" + printB, ErrEncryption, "who begins (setup:holdconn)"},
	} {
		n, _ := offering(t, tt.local)
		_, err := n.Accept(theirs(strings.Split(strings.ReplaceAll(tt.media, "OURS", key(n)), "\n")...))
		if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: %v", tt.media, err)
		}
		if _, err := n.Accept(theirs("m=audio 5000 RTP/AVP 0")); !errors.Is(err, ErrState) {
			t.Errorf("%q: the offer is still open: %v", tt.media, err)
		}
	}
}

func keyText(k Key) string {
	_, text, _ := strings.Cut(crypto{key: k}.attribute()[1], "inline:")
	return text
}
