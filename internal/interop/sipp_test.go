//go:build interop

package interop

import (
	"context"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// scenario is what a SIPp peer does, step by step, in SIPp's XML.
type scenario []string

// The descriptions that SIPp sends. Its media port is 6000; nobody listens there.
const (
	sdpHead = "v=0\no=sipp 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\n"
	pcmu    = "m=audio 6000 RTP/AVP 0\n"
	sdpPCMU = sdpHead + pcmu
)

// request sends one within the call that SIPp began; the first INVITE begins it.
func request(method string, cseq int, more ...string) string {
	headers, body := split(more)
	contact := "Contact: <sip:sipp@[local_ip]:[local_port]>\n"
	to, uri := "[last_To:]", "[next_url]"
	if method == "INVITE" && cseq == 1 {
		to, uri = "To: <sip:[service]@[remote_ip]>", "sip:[service]@[remote_ip]:[remote_port]"
	}
	branch, number := "[branch]", fmt.Sprint(cseq)
	if method == "CANCEL" {
		branch, to, uri = "[branch-4]", "To: <sip:[service]@[remote_ip]>", "sip:[service]@[remote_ip]:[remote_port]"
	}
	text := fmt.Sprintf("%s %s SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=%s\nMax-Forwards: 70\n"+
		"From: <sip:sipp@[local_ip]>;tag=caller[call_number]\n%s\nCall-ID: [call_id]\nCSeq: %s %s\n%s%s",
		method, uri, branch, to, number, method, contact, headers)
	return send(text, body, method != "ACK")
}

// response answers the last request.
func response(status string, more ...string) string {
	headers, body := split(more)
	text := "SIP/2.0 " + status + "\n[last_Via:]\n[last_From:]\n[last_To:];tag=callee[call_number]\n[last_Call-ID:]\n[last_CSeq:]\n" +
		"Contact: <sip:sipp@[local_ip]:[local_port]>\n" + headers
	return send(text, body, false)
}

// again answers the last request of a dialog that exists, whose To has its tag.
func again(status string, more ...string) string {
	return strings.Replace(response(status, more...), ";tag=callee[call_number]", "", 1)
}

// final answers the INVITE with 200 after another request has come.
func final(more ...string) string {
	return strings.NewReplacer("[last_Via:]", "Via: [$1]", "[last_CSeq:]", "CSeq: 1 INVITE").Replace(again("200 OK", more...))
}

// split tells headers from a body, which begins with "v=0".
func split(more []string) (headers, body string) {
	for _, m := range more {
		if strings.HasPrefix(m, "v=0") {
			body = m
		} else {
			headers += m + "\n"
		}
	}
	if body != "" && !strings.Contains(headers, "Content-Type:") {
		headers += "Content-Type: application/sdp\n"
	}
	return headers, body
}

func send(text, body string, retransmit bool) string {
	attribute := ""
	if retransmit {
		attribute = ` retrans="500"`
	}
	return fmt.Sprintf("<send%s><![CDATA[\n%sContent-Length: [len]\n\n%s]]></send>", attribute, text, body)
}

// expect waits for a response; each check is a regular expression that the message has to match.
func expect(status string, checks ...string) string {
	return fmt.Sprintf(`<recv response="%s" rrs="true">%s</recv>`, status, actions(checks))
}

// maybe lets a response come or not.
func maybe(status string) string { return fmt.Sprintf(`<recv response="%s" optional="true"/>`, status) }

// expectRequest waits for a request.
func expectRequest(method string, checks ...string) string {
	remember := ""
	if method == "INVITE" {
		remember = `<ereg regexp=".*" search_in="hdr" header="Via:" assign_to="1"/>`
	}
	return fmt.Sprintf(`<recv request="%s" rrs="true"><action>%s%s</action></recv>`, method, remember, ereg(checks))
}

func actions(checks []string) string {
	if len(checks) == 0 {
		return ""
	}
	return "<action>" + ereg(checks) + "</action>"
}

func ereg(checks []string) string {
	var b strings.Builder
	for _, c := range checks {
		fmt.Fprintf(&b, `<ereg regexp="%s" search_in="msg" check_it="true" assign_to="2"/>`, html.EscapeString(c))
	}
	return b.String()
}

func pause(d time.Duration) string {
	return fmt.Sprintf(`<pause milliseconds="%d"/>`, d.Milliseconds())
}

// sipp is a running peer.
type sipp struct {
	uri  string
	done chan error
}

// runSIPp plays a scenario: it calls target, or waits for a call when that is "". The test fails unless all of it is played.
func runSIPp(t *testing.T, s scenario, target string) *sipp {
	t.Helper()
	name, err := exec.LookPath("sipp")
	if err != nil {
		t.Skip("sipp is not installed (Debian: sip-tester)")
	}
	dir, host := t.TempDir(), newHost()
	file, messages := filepath.Join(dir, "scenario.xml"), filepath.Join(dir, "messages")
	steps, set := strings.Join(s, "\n"), []string{}
	for _, variable := range []string{"1", "2"} { // SIPp wants those that are set to be used, too
		if strings.Contains(steps, `assign_to="`+variable+`"`) {
			set = append(set, variable)
		}
	}
	if len(set) > 0 {
		steps += `<Reference variables="` + strings.Join(set, ",") + `"/>`
	}
	text := `<?xml version="1.0" encoding="UTF-8"?><scenario name="` + html.EscapeString(t.Name()) + `">` + steps + `</scenario>`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"-sf", file, "-i", host, "-p", "5070", "-m", "1", "-s", "alice", "-nostdin", "-timeout", "60s", "-timeout_error",
		"-trace_msg", "-message_file", messages, "-trace_err", "-error_file", filepath.Join(dir, "errors"),
	}
	if target != "" {
		args = append(args, strings.TrimPrefix(target[strings.Index(target, "@")+1:], "@"))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	p := &sipp{uri: "sip:sipp@" + host + ":5070", done: make(chan error, 1)}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.done <- cmd.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if t.Failed() {
			said, _ := os.ReadFile(messages)
			complaints, _ := os.ReadFile(filepath.Join(dir, "errors"))
			t.Logf("sipp saw\n%.20000s\n%.3000s", said, complaints)
		}
	})
	if target == "" {
		time.Sleep(500 * time.Millisecond) // wall clock: it prints nothing when it is ready
	}
	return p
}

// wait fails the test unless the whole scenario was played.
func (p *sipp) wait(t *testing.T) {
	t.Helper()
	if err := <-p.done; err != nil {
		t.Errorf("the scenario was not played to its end: %v", err)
	}
}
