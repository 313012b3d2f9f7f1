//go:build bench && linux

package audiobench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tickHz is what the kernel counts processor time in.
const tickHz = 100

// program is a process under test.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan map[string]any
	asked int
}

// launch starts a program that ends with the test. What it prints is read as lines of JSON; others are passed over.
func launch(t *testing.T, env []string, name string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(name, args...), lines: make(chan map[string]any, 4096)}
	p.cmd.Env = append(os.Environ(), env...)
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("BENCH_LOG") != "" {
		p.cmd.Stderr = os.Stderr
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		scan := bufio.NewScanner(out)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			var object map[string]any
			if json.Unmarshal(scan.Bytes(), &object) == nil {
				p.lines <- object
			} else if os.Getenv("BENCH_LOG") != "" {
				t.Log(scan.Text())
			}
		}
	}()
	t.Cleanup(p.stop)
	return p
}

func (p *program) stop() {
	_ = p.in.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range p.lines { // until it has ended
		}
		_ = p.cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
		_ = p.cmd.Process.Kill()
		<-done
	}
}

// expect waits for a line that match accepts.
func (p *program) expect(what string, match func(map[string]any) bool) map[string]any {
	p.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case object, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("%s ended before %s", p.cmd.Path, what)
			}
			if match(object) {
				return object
			}
		case <-timeout:
			p.t.Fatalf("%s: no %s", p.cmd.Path, what)
		}
	}
}

// event waits for an event of a headless endpoint.
func (p *program) event(kind string, fields ...string) map[string]any {
	p.t.Helper()
	return p.expect("event "+kind, func(o map[string]any) bool {
		params, _ := o["params"].(map[string]any)
		if params["type"] != kind {
			return false
		}
		for i := 0; i < len(fields); i += 2 {
			if fmt.Sprint(params[fields[i]]) != fields[i+1] {
				return false
			}
		}
		return true
	})
}

// ask calls a method of a headless endpoint.
func (p *program) ask(method string, params map[string]any) map[string]any {
	p.t.Helper()
	p.asked++
	line, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": p.asked, "method": method, "params": params})
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		p.t.Fatal(err)
	}
	answer := p.expect("answer to "+method, func(o map[string]any) bool { return o["id"] == float64(p.asked) })
	if answer["error"] != nil {
		p.t.Fatalf("%s: %v", method, answer["error"])
	}
	result, _ := answer["result"].(map[string]any)
	return result
}

// cost is the processor time of a process so far, and its memory.
func (p *program) cost() (cpu time.Duration, megabytes float64) {
	p.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rss, _ := strings.Cut(string(status), "VmRSS:")
	kilobytes, _ := strconv.ParseFloat(strings.Fields(rss)[0], 64)
	return time.Duration(user+system) * time.Second / tickHz, kilobytes / 1024
}

// offhook is the program of this project.
func offhook(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("OFFHOOK_BIN")
	if bin == "" {
		t.Fatal("OFFHOOK_BIN names no program; run make bench-audio")
	}
	return bin
}

// headless starts an endpoint of ours without a registrar.
func headless(t *testing.T, user, host string, args ...string) *program {
	t.Helper()
	all := append([]string{
		"headless", "--aor", "sip:" + user + "@" + host, "--no-register", "--listen", host + ":5070", "--answer", "auto",
		"--state-dir", filepath.Join(t.TempDir(), user), "--srtp", "off",
	}, args...)
	p := launch(t, nil, offhook(t), all...)
	p.ask("status", nil)
	return p
}

// baresip starts Debian's baresip with sources and players that need no sound card, or skips.
func baresip(t *testing.T, host string, lines ...string) *program {
	t.Helper()
	name, err := exec.LookPath("baresip")
	if err != nil {
		t.Skip("baresip is not installed; there is nothing to compare with")
	}
	dir := t.TempDir()
	config := append([]string{
		"poll_method epoll", "sip_listen " + host + ":5070", "call_max_calls 100", "call_hold_other_calls no", "audio_txmode thread",
		"audio_level no", "audio_buffer 20-160", "rtp_ports 20000-24000", "rtcp_mux yes", "jitter_buffer_type fixed",
		"jitter_buffer_delay 1-5", "net_interface " + host, "ausrc_srate 48000", "auplay_srate 48000", "ausrc_channels 2", "auplay_channels 2", "module_path /usr/lib/baresip/modules", "module g711.so", "module g722.so",
		"module opus.so", "module ausine.so", "module aubridge.so", "module alsa.so", "module_tmp uuid.so", "module_tmp account.so",
		"module_app menu.so", "opus_bitrate 28000",
	}, lines...)
	write(t, filepath.Join(dir, "config"), strings.Join(config, "\n")+"\n")
	write(t, filepath.Join(dir, "accounts"), fmt.Sprintf("<sip:bench@%s:5070>;regint=0;answermode=auto\n", host))
	write(t, filepath.Join(dir, "contacts"), "")
	p := launch(t, nil, name, "-f", dir)
	time.Sleep(time.Second) // wall clock: it prints nothing that tells that it is ready
	return p
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
