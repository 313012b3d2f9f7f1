//go:build interop

package interop

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// asteriskHz is the frequency of Asterisk's Milliwatt().
const asteriskHz = 1004

// startAsterisk runs an Asterisk that anybody may call: 600 sends everything back, 601 plays a tone, 602 reads three keys and
// presses them itself. files are configuration files of another one, in which HOST stands for its address. ASTERISK names
// the program, ASTERISK_ROOT the tree that it was unpacked into.
func startAsterisk(t *testing.T, files map[string]string) (host string) {
	t.Helper()
	program := os.Getenv("ASTERISK")
	if program == "" {
		var err error
		if program, err = exec.LookPath("asterisk"); err != nil {
			t.Skip("asterisk is not installed, and ASTERISK names no program")
		}
	}
	root := os.Getenv("ASTERISK_ROOT")
	modules := filepath.Join(root, "/usr/lib/asterisk/modules")
	if found, _ := filepath.Glob(filepath.Join(root, "/usr/lib/*/asterisk/modules")); len(found) > 0 {
		modules = found[0]
	}
	host, dir := newHost(), t.TempDir()
	for _, sub := range []string{"run", "log", "spool", "var"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	endpoint := func(name, codec, more string) string {
		return fmt.Sprintf("[%s]\ntype=endpoint\ncontext=all\ndisallow=all\nallow=%s\ndirect_media=no\nrtp_symmetric=yes\nforce_rport=yes\ndtmf_mode=rfc4733\n%s\n",
			name, codec, more)
	}
	var phones strings.Builder
	for theirs, ours := range map[string]string{"ulaw": "pcmu", "alaw": "pcma", "g722": "g722", "opus": "opus"} {
		phones.WriteString(endpoint(ours+"-none", theirs, ""))
		phones.WriteString(endpoint(ours+"-sdes", theirs, "media_encryption=sdes"))
		phones.WriteString(endpoint(ours+"-dtls", theirs, "media_encryption=dtls\ndtls_auto_generate_cert=yes\ndtls_verify=fingerprint\ndtls_setup=actpass\nmedia_address=HOST\nbind_rtp_to_media_address=yes\n"))
	}
	texts := map[string]string{
		"asterisk.conf": fmt.Sprintf("[directories]\nastetcdir => %[1]s\nastmoddir => %[2]s\nastvarlibdir => %[1]s/var\nastdbdir => %[1]s/var\nastkeydir => %[1]s/var\n"+
			"astdatadir => %[3]s\nastagidir => %[1]s/var\nastspooldir => %[1]s/spool\nastrundir => %[1]s/run\nastlogdir => %[1]s/log\nastcachedir => %[1]s/var\n[options]\nverbose = 3\n",
			dir, modules, filepath.Join(root, "/usr/share/asterisk")),
		"modules.conf": "[modules]\nautoload=yes\n" + omit("chan_iax2", "chan_unistim", "chan_motif", "chan_console", "chan_websocket", "pbx_ael", "pbx_dundi", "pbx_lua",
			"res_snmp", "res_config_ldap", "res_config_odbc", "res_config_pgsql", "res_config_sqlite3", "res_config_curl", "res_odbc", "res_odbc_transaction", "res_xmpp", "res_hep", "res_hep_pjsip",
			"res_hep_rtcp", "res_prometheus", "res_phoneprov", "res_pjsip_phoneprov_provider", "res_calendar", "app_queue", "app_voicemail", "app_voicemail_odbc", "cdr_pgsql", "cel_pgsql", "cdr_radius",
			"cel_radius", "cdr_tds", "cel_tds", "cdr_odbc", "cel_odbc"),
		"logger.conf":     "[logfiles]\nconsole => notice,warning,error\n",
		"rtp.conf":        "[general]\nrtpstart=31000\nrtpend=31999\nicesupport=no\n",
		"pjsip.conf":      "[udp]\ntype=transport\nprotocol=udp\nbind=" + host + ":5060\n[tcp]\ntype=transport\nprotocol=tcp\nbind=" + host + ":5060\n" + phones.String(),
		"extensions.conf": "[all]\nexten => 600,1,Answer()\n same => n,Echo()\nexten => 601,1,Answer()\n same => n,Milliwatt()\nexten => 602,1,Answer()\n same => n,Read(KEYS,,3,,1,10)\n same => n,SendDTMF(${KEYS})\n same => n,Wait(10)\n",
		"pjproject.conf":  "", "sorcery.conf": "", "features.conf": "", "acl.conf": "", "cel.conf": "", "cdr.conf": "", "manager.conf": "", "http.conf": "", "indications.conf": "[general]\ncountry=us\n[us]\ndescription=US\nringcadence=2000,4000\ndial=350+440\n",
	}
	maps.Copy(texts, files)
	for file, text := range texts {
		text = strings.ReplaceAll(text, "HOST", host)
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-C", filepath.Join(dir, "asterisk.conf"), "-f")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("asterisk said:\n%.6000s", text)
		}
	})
	for range 200 { // it listens long before it answers
		text, _ := os.ReadFile(log.Name())
		if strings.Contains(string(text), "Asterisk Ready") {
			return host
		}
		time.Sleep(100 * time.Millisecond) // wall clock: a real program starts
	}
	t.Fatal("asterisk does not start")
	return ""
}

func omit(modules ...string) string {
	var b strings.Builder
	for _, m := range modules {
		fmt.Fprintf(&b, "noload => %s.so\n", m)
	}
	return b.String()
}

func TestAsterisk(t *testing.T) {
	host := startAsterisk(t, nil)
	for _, codec := range []string{"pcmu", "pcma", "g722", "opus"} {
		for _, how := range [][2]string{{"none", "opportunistic"}, {"sdes", "required"}, {"dtls", "opportunistic"}, {"dtls", "required"}} {
			security, policy := how[0], how[1]
			t.Run(codec+" "+security+" "+policy, func(t *testing.T) {
				t.Parallel()
				ours := newEndpoint(t, codec+"-"+security, "--codecs", codec, "--srtp", policy)
				call := ours.do("call.dial", "to", "sip:600@"+host)["call"]
				ours.event("call.media", "codec", codec, "security", security)
				time.Sleep(aMoment) // wall clock: this is recorded
				expectEnd(t, "offhook through the echo", ours.heard, toneHz)
				ours.do("call.hold", "call", call)
				ours.event("call.hold", "hold", "local")
				ours.do("call.resume", "call", call)
				time.Sleep(aMoment) // wall clock: this is recorded
				expectEnd(t, "offhook after hold", ours.heard, toneHz)
				ours.do("call.hangup", "call", call)
			})
		}
		t.Run(codec+" keys", func(t *testing.T) {
			t.Parallel()
			ours := newEndpoint(t, codec+"-none", "--codecs", codec, "--srtp", "off")
			call := ours.do("call.dial", "to", "sip:602@"+host)["call"]
			time.Sleep(time.Second) // wall clock: somebody listens, then presses keys
			ours.do("call.dtmf", "call", call, "digits", "7*3")
			for _, d := range []string{"7", "*", "3"} {
				ours.event("call.digit", "digit", d)
			}
		})
	}
	t.Run("tone", func(t *testing.T) {
		t.Parallel()
		ours := newEndpoint(t, "pcmu-none", "--codecs", "pcmu", "--srtp", "off")
		ours.do("call.dial", "to", "sip:601@"+host)
		time.Sleep(aMoment) // wall clock: this is recorded
		expectEnd(t, "offhook", ours.heard, asteriskHz)
	})
}

// TestAsteriskInsistsOnDTLS lets two of ours call each other through an Asterisk that takes UDP/TLS/RTP/SAVP alone: it
// calls one with it, and the other one has to find that out. It refuses RTP/SAVP; RTP/AVP with keys it answers, with a line
// that is declined.
func TestAsteriskInsistsOnDTLS(t *testing.T) {
	for policy, invites := range map[string]int{"opportunistic": 1, "required": 2} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			bob := newEndpoint(t, "pcmu-dtls", "--codecs", "pcmu", "--srtp", policy, "--answer", "auto", "--mic", fmt.Sprint("tone:", voices["bob"]))
			host := startAsterisk(t, map[string]string{
				"extensions.conf": "[all]\nexten => 601,1,Answer()\n same => n,Milliwatt()\nexten => 603,1,Dial(PJSIP/pcmu-dtls/" + bob.uri + ")\n",
			})
			mary := newEndpoint(t, "pcmu-dtls", "--codecs", "pcmu", "--srtp", policy, "--mic", fmt.Sprint("tone:", voices["mary"]))
			call := mary.do("call.dial", "to", "sip:601@"+host)["call"]
			mary.event("call.media", "codec", "pcmu", "security", "dtls")
			time.Sleep(aMoment) // wall clock: this is recorded
			expectEnd(t, "mary", mary.heard, asteriskHz)
			mary.do("call.hold", "call", call)
			mary.event("call.hold", "hold", "local")
			mary.do("call.resume", "call", call)
			time.Sleep(aMoment) // wall clock: this is recorded
			expectEnd(t, "mary after hold", mary.heard, asteriskHz)
			mary.do("call.hangup", "call", call)

			call = mary.do("call.dial", "to", "sip:603@"+host)["call"]
			time.Sleep(aMoment) // wall clock: this is recorded
			expectEnd(t, "mary", mary.heard, voices["bob"])
			expectEnd(t, "bob", bob.heard, voices["mary"])
			theirs := bob.event("call.state", "kind", "audio", "state", "Established")["call"]
			// After each offer Asterisk forgets its association: it shakes hands with mary again, and waits until bob does.
			for _, p := range []struct {
				e    *endpoint
				call any
			}{{mary, call}, {bob, theirs}, {mary, call}, {bob, theirs}} {
				p.e.do("call.hold", "call", p.call)
				time.Sleep(time.Second) // wall clock: longer than Asterisk needs to begin another handshake
				p.e.do("call.resume", "call", p.call)
				time.Sleep(aMoment) // wall clock: this is recorded
				expectEnd(t, "mary after hold", mary.heard, voices["bob"])
				expectEnd(t, "bob after hold", bob.heard, voices["mary"])
			}
			mary.do("call.hangup", "call", call)
			if _, ended := bob.seek(patience, "call.state", "state", "Terminated", "reason", "the other side hung up"); !ended {
				t.Error("bob is not told of the end")
			}
			trace, err := os.ReadFile(mary.trace)
			if n := strings.Count(string(trace), "\nINVITE sip:603@"); err != nil || n != invites {
				t.Errorf("%d INVITEs, %v", n, err)
			}
		})
	}
}
