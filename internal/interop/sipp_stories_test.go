//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const hangUp = "BYE"

// callers are odd things that somebody who calls may do. Ours answers at once.
var callers = map[string]scenario{
	"no offer in the INVITE": {
		request("INVITE", 1), maybe("100"), maybe("180"), expect("200", "m=audio [1-9]", "application/sdp"),
		request("ACK", 1, sdpPCMU), pause(500 * time.Millisecond), request(hangUp, 2), expect("200"),
	},
	"no offer, answer without a codec in common": {
		request("INVITE", 1), maybe("100"), maybe("180"), expect("200", "m=audio [1-9]"),
		request("ACK", 1, sdpHead+"m=audio 6000 RTP/AVP 18\n"), expectRequest(hangUp), again("200 OK"),
	},
	"no offer, no answer": {
		request("INVITE", 1), maybe("100"), maybe("180"), expect("200", "m=audio [1-9]"), request("ACK", 1), expectRequest(hangUp), again("200 OK"),
	},
	"re-INVITE without an offer, UPDATE, old hold": {
		request("INVITE", 1, sdpPCMU), maybe("100"), maybe("180"), expect("200", "m=audio [1-9]"), request("ACK", 1),
		pause(200 * time.Millisecond), request("INVITE", 2), maybe("100"), expect("200", "m=audio [1-9]"), request("ACK", 2, sdpPCMU),
		pause(200 * time.Millisecond), request("UPDATE", 3, sdpPCMU+"a=sendonly\n"), expect("200", "a=recvonly"),
		request("UPDATE", 4), expect("200"),
		request("INVITE", 5, "v=0\no=sipp 1 5 IN IP4 [local_ip]\ns=-\nc=IN IP4 0.0.0.0\nt=0 0\n"+pcmu), maybe("100"), expect("200", "m=audio [1-9]"), request("ACK", 5),
		pause(200 * time.Millisecond), request("INVITE", 6, sdpPCMU), maybe("100"), expect("200", "a=sendrecv"), request("ACK", 6),
		request("INVITE", 7, sdpHead+"m=audio 6000 RTP/AVP 18\n"), maybe("100"), expect("488"), request("ACK", 7),
		request("INFO", 8), expect("200"), request("OPTIONS", 9), expect("200"),
		request(hangUp, 10), expect("200"),
	},
	"audio and video": {
		request("INVITE", 1, sdpPCMU+"m=video 6002 RTP/AVP 97\na=rtpmap:97 H264/90000\n"), maybe("100"), maybe("180"), expect("200", "m=audio [1-9]", "m=video 0 "),
		request("ACK", 1), request(hangUp, 2), expect("200"),
	},
	"video before audio": {
		request("INVITE", 1, sdpHead+"m=video 6002 RTP/AVP 97\na=rtpmap:97 H264/90000\n"+pcmu), maybe("100"), maybe("180"), expect("200", "m=video 0 [^m]*m=audio [1-9]"),
		request("ACK", 1), request(hangUp, 2), expect("200"),
	},
	"video added later": {
		request("INVITE", 1, sdpPCMU), maybe("100"), maybe("180"), expect("200"), request("ACK", 1), pause(200 * time.Millisecond),
		request("INVITE", 2, sdpPCMU+"m=video 6002 RTP/AVP 97\na=rtpmap:97 H264/90000\n"), maybe("100"), expect("200", "m=audio [1-9]", "m=video 0 "), request("ACK", 2),
		request(hangUp, 3), expect("200"),
	},
	"two audio lines": {
		request("INVITE", 1, sdpPCMU+"m=audio 6002 RTP/AVP 8\n"), maybe("100"), maybe("180"), expect("200", "m=audio [1-9][0-9]* RTP/AVP 0", "m=audio 0 RTP/AVP 8"),
		request("ACK", 1), request(hangUp, 2), expect("200"),
	},
	"a closed line before an open one": {
		request("INVITE", 1, sdpHead+"m=audio 0 RTP/AVP 0\nm=audio 6002 RTP/AVP 8\n"), maybe("100"), maybe("180"), expect("200", "m=audio 0 ", "m=audio [1-9]"),
		request("ACK", 1), request(hangUp, 2), expect("200"),
	},
	"encryption is offered only": {
		request("INVITE", 1, sdpHead+"m=audio 6000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4\n"), maybe("100"), maybe("180"),
		expect("200", "RTP/SAVP 0", "a=crypto:1 "), request("ACK", 1), request(hangUp, 2), expect("200"),
	},
	"no codec in common": {
		request("INVITE", 1, sdpHead+"m=audio 6000 RTP/AVP 18 4\n"), maybe("100"), maybe("180"), expect("488"), request("ACK", 1),
	},
	"only a closed line": {
		request("INVITE", 1, sdpHead+"m=audio 0 RTP/AVP 0\n"), maybe("100"), maybe("180"), expect("488"), request("ACK", 1),
	},
	"only video": {
		request("INVITE", 1, sdpHead+"m=video 6002 RTP/AVP 97\na=rtpmap:97 H264/90000\n"), maybe("100"), maybe("180"), expect("488"), request("ACK", 1),
	},
	"a description that is none": {
		request("INVITE", 1, "v=0\nthis is not a description\n"), maybe("100"), expect("400"), request("ACK", 1),
	},
	"a body of another type": {
		request("INVITE", 1, "Content-Type: application/x-nonsense", sdpPCMU), maybe("100"), maybe("180"), expect("415"), request("ACK", 1),
	},
	"Replaces of an unknown dialog": {
		request("INVITE", 1, "Require: replaces", "Replaces: nobody@nowhere;to-tag=1;from-tag=2", sdpPCMU), maybe("100"), expect("481"), request("ACK", 1),
	},
	"an extension that nobody has": {
		request("INVITE", 1, "Require: teleport", sdpPCMU), maybe("100"), expect("420", "Unsupported: teleport"), request("ACK", 1),
	},
	"session timer": {
		request("INVITE", 1, "Supported: timer", "Session-Expires: 90;refresher=uac", "Min-SE: 90", sdpPCMU), maybe("100"), maybe("180"),
		expect("200", "Session-Expires: *90;refresher=uac"), request("ACK", 1),
		request("UPDATE", 2, "Supported: timer", "Session-Expires: 90;refresher=uac"), expect("200", "Session-Expires: *90"),
		request("INVITE", 3, "Supported: timer", "Session-Expires: 90;refresher=uac", sdpPCMU), maybe("100"), expect("200", "Session-Expires: *90"), request("ACK", 3),
		request(hangUp, 4), expect("200"),
	},
	"session timer too short": {
		request("INVITE", 1, "Supported: timer", "Session-Expires: 30", sdpPCMU), maybe("100"), expect("422", "Min-SE: *90"), request("ACK", 1),
	},
	"BYE in place of the ACK": {
		request("INVITE", 1, sdpPCMU), maybe("100"), maybe("180"), expect("200"), request(hangUp, 2), expect("200"),
	},
	"no ACK at all": {
		request("INVITE", 1, sdpPCMU), maybe("100"), maybe("180"), expect("200"), expectRequest(hangUp), again("200 OK"),
	},
	"a request of an unknown dialog": {
		request("INVITE", 1, sdpPCMU), maybe("100"), maybe("180"), expect("200"), request("ACK", 1), request(hangUp, 2), expect("200"),
		request("INVITE", 3, sdpPCMU), maybe("100"), expect("481"), request("ACK", 3),
	},
}

func TestSIPpCalls(t *testing.T) {
	for name, s := range callers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours := newEndpoint(t, "alice", "--answer", "auto")
			runSIPp(t, s, ours.uri).wait(t)
			if calls, _ := ours.do("status")["calls"].([]any); len(calls) > 0 {
				t.Errorf("calls are left: %v", calls)
			}
		})
	}
}

// Cancelled before somebody answers; and the missed call is told.
func TestSIPpCancels(t *testing.T) {
	t.Parallel()
	ours := newEndpoint(t, "alice")
	runSIPp(t, scenario{
		request("INVITE", 1, sdpPCMU), maybe("100"), expect("180"), pause(300 * time.Millisecond), request("CANCEL", 1), expect("200"), expect("487"), request("ACK", 1),
	}, ours.uri).wait(t)
	ours.event("toast.closed", "reason", "missed")
}

// callees are odd things that somebody who is called may do; dialled is whether the call is established, and fails how it
// fails otherwise.
var callees = map[string]struct {
	play  scenario
	fails string
}{
	"early media": {scenario{
		expectRequest("INVITE"), response("180 Ringing"), response("183 Session Progress", sdpPCMU), pause(500 * time.Millisecond),
		response("200 OK", sdpPCMU), expectRequest("ACK"), expectRequest(hangUp), again("200 OK"),
	}, ""},
	"reliable early media": {scenario{
		expectRequest("INVITE"), response("183 Session Progress", "Require: 100rel", "RSeq: 7", sdpPCMU), expectRequest("PRACK", "RAck: 7 "), again("200 OK"),
		pause(300 * time.Millisecond), final(), expectRequest("ACK"), expectRequest(hangUp), again("200 OK"),
	}, ""},
	"an answer without a codec in common": {scenario{
		expectRequest("INVITE"), response("200 OK", sdpHead+"m=audio 6000 RTP/AVP 18\n"), expectRequest("ACK"), expectRequest(hangUp), again("200 OK"),
	}, "Unsupported"},
	"an answer that declines the audio": {scenario{
		expectRequest("INVITE"), response("200 OK", sdpHead+"m=audio 0 RTP/AVP 0\n"), expectRequest("ACK"), expectRequest(hangUp), again("200 OK"),
	}, "Unsupported"},
	"no answer in the 200": {scenario{
		expectRequest("INVITE"), response("200 OK"), expectRequest("ACK"), expectRequest(hangUp), again("200 OK"),
	}, "Unsupported"},
	"not acceptable": {scenario{expectRequest("INVITE"), response("488 Not Acceptable Here", "Warning: 305 sipp \"no such codec\""), expectRequest("ACK")}, "Unsupported"},
	"session interval too small": {scenario{
		expectRequest("INVITE"), response("422 Session Interval Too Small", "Min-SE: 3000"), expectRequest("ACK"),
		expectRequest("INVITE", "Min-SE: *3000", "Session-Expires: *3000"), response("200 OK", "Require: timer", "Session-Expires: 3000;refresher=uac", sdpPCMU), expectRequest("ACK"), expectRequest(hangUp), again("200 OK"),
	}, ""},
}

func TestSIPpIsCalled(t *testing.T) {
	for name, c := range callees {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours := newEndpoint(t, "alice", "--srtp", "off")
			theirs := runSIPp(t, c.play, "")
			result, failure := ours.ask("call.dial", "to", theirs.uri)
			data, _ := failure["data"].(map[string]any)
			switch {
			case c.fails == "" && failure != nil, c.fails != "" && data["kind"] != c.fails:
				t.Errorf("call.dial: %v %v", result, failure)
			case c.fails == "":
				ours.do("call.hangup")
			}
			theirs.wait(t)
			ours.event("call.state", "state", "Terminated")
		})
	}
}

// A 200 that crosses our CANCEL is acknowledged and ended.
func TestSIPpAnswersTooLate(t *testing.T) {
	t.Parallel()
	ours := newEndpoint(t, "alice", "--srtp", "off")
	late := strings.Replace(final(sdpPCMU), "[last_To:]", "[last_To:];tag=callee[call_number]", 1)
	theirs := runSIPp(t, scenario{
		expectRequest("INVITE"), response("180 Ringing"), expectRequest("CANCEL"), response("200 OK"), late,
		expectRequest("ACK"), expectRequest(hangUp), again("200 OK"),
	}, "")
	id := ours.send("call.dial", "to", theirs.uri)
	ours.event("call.ringing")
	ours.do("call.hangup")
	if _, failure := ours.answer(id, "call.dial"); failure == nil {
		t.Error("a call that was given up succeeds")
	}
	theirs.wait(t)
	ours.event("call.state", "state", "Terminated")
}

// A transferor that consults: our INVITE to the third party carries the dialog to replace.
func TestSIPpRefersWithReplaces(t *testing.T) {
	t.Parallel()
	ours := newEndpoint(t, "alice", "--answer", "auto", "--srtp", "off")
	third := runSIPp(t, scenario{
		expectRequest("INVITE", "Replaces: *abc@x;.*to-tag=12;from-tag=34|Replaces: *abc@x;from-tag=34;to-tag=12", "Referred-By:"), response("200 OK", sdpPCMU), expectRequest("ACK"), expectRequest(hangUp), again("200 OK"),
	}, "")
	referTo := fmt.Sprintf("Refer-To: <%s?Replaces=abc%%40x%%3Bto-tag%%3D12%%3Bfrom-tag%%3D34&Require=replaces>", third.uri)
	transferor := runSIPp(t, scenario{
		request("INVITE", 1, sdpPCMU), maybe("100"), maybe("180"), expect("200"), request("ACK", 1), pause(300 * time.Millisecond),
		request("REFER", 2, referTo, "Referred-By: <sip:sipp@[local_ip]>"), expect("202"),
		expectRequest("NOTIFY", "SIP/2.0 1.."), again("200 OK"), expectRequest("NOTIFY", "SIP/2.0 200", "terminated"), again("200 OK"),
		expectRequest(hangUp), again("200 OK"),
	}, ours.uri)
	first := ours.event("call.state", "state", "Established", "direction", "inbound")["call"]
	second := ours.event("call.state", "state", "Established", "direction", "outbound")["call"]
	ours.do("call.hangup", "call", second)
	third.wait(t)
	ours.do("call.hangup", "call", first)
	transferor.wait(t)
}
