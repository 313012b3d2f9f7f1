//go:build interop

package interop

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long an answer may take on a busy machine.
const patience = 10 * time.Second

// hosts counts the loopback addresses that were given out.
var hosts atomic.Uint32

// newHost is a loopback address that no other program of this run uses, so that everybody can have the usual ports.
func newHost() string {
	n := hosts.Add(1)
	return fmt.Sprintf("127.40.%d.%d", 1+n/250, 1+n%250)
}

// offhook is the program: the one that OFFHOOK_BIN names, else one built for this run.
var offhook = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("OFFHOOK_BIN"); bin != "" {
		return filepath.Abs(bin)
	}
	bin := filepath.Join(os.TempDir(), fmt.Sprintf("offhook-interop-%d", os.Getpid()))
	out, err := exec.Command("go", "build", "-o", bin, "offhook").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getenv("OFFHOOK_BIN") == "" {
		_ = os.Remove(filepath.Join(os.TempDir(), fmt.Sprintf("offhook-interop-%d", os.Getpid())))
	}
	os.Exit(code)
}

// transcript is what a program has told so far, one JSON object after the other.
type transcript struct {
	t    *testing.T
	name string

	mu      sync.Mutex
	objects []map[string]any // Guarded by mu.
	said    []string         // Guarded by mu; when each came, and its text.
	change  chan struct{}    // Guarded by mu; closed when objects grows.
	read    map[string]int   // Guarded by mu; by topic, how far it has been read.
	ended   bool             // Guarded by mu.
}

func newTranscript(t *testing.T, name string) *transcript {
	tr := &transcript{t: t, name: name, change: make(chan struct{}), read: map[string]int{}}
	t.Cleanup(func() {
		if t.Failed() {
			tr.mu.Lock()
			defer tr.mu.Unlock()
			t.Logf("%s told:\n%s", name, strings.Join(tr.said, "\n"))
		}
	})
	return tr
}

// add appends an object, nil for the end.
func (tr *transcript) add(o map[string]any, text string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if o == nil {
		tr.ended = true
	} else {
		tr.objects = append(tr.objects, o)
		tr.said = append(tr.said, time.Now().Format("  05.000 ")+text)
	}
	close(tr.change)
	tr.change = make(chan struct{})
}

// next returns the next object of a topic that match accepts: those before it of the same topic are passed over, those of
// other topics are not.
func (tr *transcript) next(topic string, wait time.Duration, match func(map[string]any) bool) (map[string]any, bool) {
	late := time.After(wait)
	for {
		tr.mu.Lock()
		for i := tr.read[topic]; i < len(tr.objects); i++ {
			tr.read[topic] = i + 1
			if match(tr.objects[i]) {
				tr.mu.Unlock()
				return tr.objects[i], true
			}
		}
		change, ended := tr.change, tr.ended
		tr.mu.Unlock()
		if ended {
			return nil, false
		}
		select {
		case <-change:
		case <-late:
			return nil, false
		}
	}
}

// fits reports whether an object has these fields: "state", "Established", …
func fits(o map[string]any, fields []string) bool {
	for i := 0; i+1 < len(fields); i += 2 {
		if fmt.Sprint(o[fields[i]]) != fields[i+1] {
			return false
		}
	}
	return true
}

// process is a running offhook that speaks lines of JSON.
type process struct {
	*transcript
	in    io.WriteCloser
	asked int
}

// start runs offhook until the test ends.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	bin, err := offhook()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.Command(bin, args...)
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + home, "PATH=" + os.Getenv("PATH")}
	p := &process{transcript: newTranscript(t, name)}
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		scan := bufio.NewScanner(out)
		scan.Buffer(nil, 2<<20)
		for scan.Scan() {
			var o map[string]any
			if json.Unmarshal(scan.Bytes(), &o) == nil {
				p.add(o, scan.Text())
			}
		}
		p.add(nil, "")
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.in.Close()
		if name == "server" {
			_ = cmd.Process.Signal(os.Interrupt)
		}
		select {
		case <-done:
		case <-time.After(7 * time.Second): // it gives its peers 5 s
			_ = cmd.Process.Signal(syscall.SIGQUIT) // it tells what it is doing
			<-done
			t.Errorf("%s does not end when its input does", name)
		}
		if strings.Contains(complaints.String(), "panic:") || t.Failed() && complaints.Len() > 0 {
			t.Errorf("%s complains:\n%s", name, complaints.String())
		}
	})
	return p
}

// event waits for the next event of a type with these fields.
func (p *process) event(kind string, fields ...string) map[string]any {
	p.t.Helper()
	o, ok := p.seek(patience, kind, fields...)
	if !ok {
		p.t.Fatalf("%s: no event %s %v", p.name, kind, fields)
	}
	return o
}

func (p *process) seek(wait time.Duration, kind string, fields ...string) (map[string]any, bool) {
	o, ok := p.next(kind, wait, func(o map[string]any) bool {
		params, _ := o["params"].(map[string]any)
		return params["type"] == kind && fits(params, fields)
	})
	params, _ := o["params"].(map[string]any)
	return params, ok
}

// ask calls a method and returns its result or its error; params are "name", value pairs.
func (p *process) ask(method string, params ...any) (result, failure map[string]any) {
	p.t.Helper()
	return p.answer(p.send(method, params...), method)
}

// send calls a method without waiting.
func (p *process) send(method string, params ...any) (id int) {
	p.t.Helper()
	p.asked++
	object := map[string]any{}
	for i := 0; i+1 < len(params); i += 2 {
		object[params[i].(string)] = params[i+1]
	}
	line, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": p.asked, "method": method, "params": object})
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	return p.asked
}

func (p *process) answer(id int, method string) (result, failure map[string]any) {
	p.t.Helper()
	o, ok := p.next(fmt.Sprint("answer ", id), 40*time.Second, func(o map[string]any) bool { return o["id"] == float64(id) })
	if !ok {
		p.t.Fatalf("%s: no answer to %s", p.name, method)
	}
	result, _ = o["result"].(map[string]any)
	failure, _ = o["error"].(map[string]any)
	return result, failure
}

// do calls a method that has to succeed.
func (p *process) do(method string, params ...any) map[string]any {
	p.t.Helper()
	result, failure := p.ask(method, params...)
	if failure != nil {
		p.t.Fatalf("%s: %s fails: %v", p.name, method, failure)
	}
	return result
}

// endpoint is a headless endpoint of ours with a tone as microphone and a file as speaker.
type endpoint struct {
	*process
	uri, heard, trace string
}

// toneHz is what our microphone gives.
const toneHz = 1000

// newEndpoint starts one that has no registrar, unless more says so.
func newEndpoint(t *testing.T, user string, more ...string) *endpoint {
	t.Helper()
	host, dir := newHost(), t.TempDir()
	e := &endpoint{uri: "sip:" + user + "@" + host + ":5070", heard: filepath.Join(dir, "heard.wav"), trace: filepath.Join(dir, "trace")}
	args := []string{
		"headless", "--listen", host + ":5070", "--media-listen", host + ":0", "--state-dir", filepath.Join(dir, "state"),
		"--mic", fmt.Sprintf("tone:%d", toneHz), "--speaker", "file:" + e.heard, "--sip-trace", e.trace,
	}
	if !slices.Contains(more, "--aor") {
		args = append(args, "--aor", "sip:"+user+"@"+host, "--no-register", "--no-publish")
	}
	e.process = start(t, user, append(args, more...)...)
	e.do("status")
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(e.trace)
			t.Logf("%s on the wire:\n%.20000s", user, text)
		}
	})
	return e
}
