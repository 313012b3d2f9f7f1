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
		for security, policy := range map[string]string{"none": "opportunistic", "sdes": "required"} {
			t.Run(codec+" "+security, func(t *testing.T) {
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
