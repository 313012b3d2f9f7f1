//go:build interop

package interop

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// theirHz is the tone that a baresip has for a microphone.
const theirHz = 440

// baresip is a running baresip 1.x, spoken to over its control port. It plays to nobody and dumps what it sends
// and hears into WAV files.
type baresip struct {
	*transcript
	uri, dir string
	conn     net.Conn
	asked    int
}

// newBaresip starts one, or skips. account is added to its account line, lines to its configuration.
func newBaresip(t *testing.T, user, account string, lines ...string) *baresip {
	t.Helper()
	host := newHost()
	return runBaresip(t, user, host, fmt.Sprintf("<sip:%s@%s:5070>;regint=0;%s", user, host, account), lines...)
}

func runBaresip(t *testing.T, user, host, account string, lines ...string) *baresip {
	t.Helper()
	name, err := exec.LookPath("baresip")
	if err != nil {
		t.Skip("baresip is not installed (Debian: baresip-core)")
	}
	dir := t.TempDir()
	b := &baresip{transcript: newTranscript(t, user), uri: "sip:" + user + "@" + host + ":5070", dir: dir}
	config := append(slices.Clone(lines), // what comes first counts
		"poll_method epoll", "sip_listen "+host+":5070", "sip_trans_bsize 128", "call_local_timeout 120", "call_max_calls 4",
		fmt.Sprintf("audio_source ausine,%d", theirHz), "audio_player aubridge,nowhere", "audio_alert aubridge,alerts",
		"ausrc_srate 48000", "auplay_srate 48000", "ausrc_channels 2", "auplay_channels 2", "audio_txmode thread", "audio_level no",
		"audio_buffer 20-160", "rtp_ports 20000-24000", "rtcp_mux no", "jitter_buffer_type fixed", "jitter_buffer_delay 1-5",
		"net_interface "+host, "module_path "+moduleDir(), "module g711.so", "module g722.so", "module opus.so",
		"module ausine.so", "module aubridge.so", "module sndfile.so", "module srtp.so", "module dtls_srtp.so", "module_tmp uuid.so",
		"module_tmp account.so", "module_app menu.so", "module_app ctrl_tcp.so", "module_app debug_cmd.so",
		"ctrl_tcp_listen "+host+":4444", "snd_path "+dir, "opus_bitrate 28000",
	)
	for file, text := range map[string]string{"config": strings.Join(config, "\n") + "\n", "accounts": account + "\n", "contacts": ""} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, "-f", dir, "-s")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s said:\n%.12000s", user, text)
		}
	})
	for range 100 {
		if b.conn, err = net.Dial("tcp", host+":4444"); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond) // wall clock: a real program starts, there is nothing to wait on
	}
	if err != nil {
		t.Fatalf("baresip does not start: %v", err)
	}
	t.Cleanup(func() { _ = b.conn.Close() })
	go b.listen()
	return b
}

func moduleDir() string {
	for _, dir := range []string{"/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules"} {
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
	}
	return "/usr/lib/baresip/modules"
}

// listen reads the netstrings of the control port.
func (b *baresip) listen() {
	in := bufio.NewReader(b.conn)
	for {
		length, err := in.ReadString(':')
		if err != nil {
			break
		}
		n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
		if err != nil {
			break
		}
		text := make([]byte, n+1) // with the comma
		if _, err := io.ReadFull(in, text); err != nil {
			break
		}
		var o map[string]any
		if json.Unmarshal(text[:n], &o) == nil {
			b.add(o, string(text[:n]))
		}
	}
	b.add(nil, "")
}

// do runs a command and returns what it printed.
func (b *baresip) do(command string, params ...string) string {
	b.t.Helper()
	b.asked++
	token := strconv.Itoa(b.asked)
	text, err := json.Marshal(map[string]string{"command": command, "params": strings.Join(params, " "), "token": token})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(b.conn, "%d:%s,", len(text), text); err != nil {
		b.t.Fatalf("%s: %v", b.name, err)
	}
	o, ok := b.next("answer "+token, patience, func(o map[string]any) bool { return o["token"] == token })
	if !ok || o["ok"] != true {
		b.t.Fatalf("%s: %s %v: %v", b.name, command, params, o)
	}
	data, _ := o["data"].(string)
	return data
}

// event waits for the next event of a type.
func (b *baresip) event(kind string, fields ...string) map[string]any {
	b.t.Helper()
	o, ok := b.next(kind, patience, func(o map[string]any) bool { return o["type"] == kind && fits(o, fields) })
	if !ok {
		b.t.Fatalf("%s: no event %s %v", b.name, kind, fields)
	}
	return o
}

// registered waits until it is. It may have told before anybody listened.
func (b *baresip) registered() {
	b.t.Helper()
	for range 50 {
		if strings.Contains(b.do("reginfo"), "OK") {
			return
		}
		time.Sleep(100 * time.Millisecond) // wall clock: a real program
	}
	b.t.Fatalf("%s does not register: %s", b.name, b.do("reginfo"))
}

// received is how many packets of the current call have come, 0 before the first.
func (b *baresip) received() int {
	b.t.Helper()
	debug := b.do("audio_debug")
	_, count, ok := strings.Cut(debug, "rcvd=")
	if !ok {
		return 0
	}
	count, _, _ = strings.Cut(count, "\n")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// dumps are the files that it sent ("enc") or heard ("dec"), one a stream, the oldest first.
func (b *baresip) dumps(which string) []string {
	files, _ := filepath.Glob(filepath.Join(b.dir, "dump-*-"+which+".wav"))
	return files
}
