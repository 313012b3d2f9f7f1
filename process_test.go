package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"offhook/internal/sipua"
)

// asOffhook makes the test binary behave as the program: tests run it again with this variable set. OFFHOOK_BIN names a
// built program to use instead.
const asOffhook = "OFFHOOK_TEST_MAIN"

// program is what tests run as offhook.
func program() string {
	if bin := os.Getenv("OFFHOOK_BIN"); bin != "" {
		return bin
	}
	return os.Args[0]
}

// offhook prepares the program with these arguments and an environment that holds nothing of the person's who tests.
func offhook(home string, args ...string) *exec.Cmd {
	cmd := exec.Command(program(), args...)
	cmd.Env = []string{
		asOffhook + "=1", "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(),
	}
	cmd.Dir = home
	return cmd
}

// process is a running offhook that speaks lines of JSON: a server or a headless endpoint.
type process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan struct{} // closed when it has ended; its output is complete then

	mu     sync.Mutex
	lines  []line        // Guarded by mu.
	change chan struct{} // Guarded by mu; closed when lines grows.
	errs   bytes.Buffer  // Guarded by mu.
	asked  int           // Guarded by mu; the id of the last request.
	bad    []string      // Guarded by mu; lines that are not JSON.
}

// line is one object that a process printed, and when.
type line struct {
	at     time.Time
	text   string
	object map[string]any
}

// start runs offhook in a home of its own until the test ends.
func start(t testing.TB, name string, args ...string) *process {
	t.Helper()
	home := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	return launch(t, name, offhook(home, args...))
}

// launch runs a command until the test ends.
func launch(t testing.TB, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: cmd, done: make(chan struct{}), change: make(chan struct{})}
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = p
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(out)
	t.Cleanup(func() {
		p.kill()
		for _, text := range p.bad {
			t.Errorf("%s prints a line that is not JSON: %q", name, text)
		}
		if t.Failed() {
			t.Logf("%s\n%s", name, p.record())
		}
	})
	return p
}

// Write takes what the process writes to its standard error.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.errs.Write(b)
}

func (p *process) read(out io.Reader) {
	scan := bufio.NewScanner(out)
	scan.Buffer(nil, 2<<20)
	for scan.Scan() {
		l := line{at: time.Now(), text: scan.Text()}
		err := json.Unmarshal(scan.Bytes(), &l.object)
		p.mu.Lock()
		if err != nil {
			p.bad = append(p.bad, l.text)
		}
		p.lines = append(p.lines, l)
		close(p.change)
		p.change = make(chan struct{})
		p.mu.Unlock()
	}
	_ = p.cmd.Wait() // how it ended is seen in ProcessState
	close(p.done)
}

// expect returns the first line, of those printed and those to come, that match accepts.
func (p *process) expect(what string, patience time.Duration, match func(map[string]any) bool) line {
	p.t.Helper()
	timeout := time.After(patience)
	for checked := 0; ; {
		p.mu.Lock()
		lines, more := p.lines, p.change
		p.mu.Unlock()
		for ; checked < len(lines); checked++ {
			if match(lines[checked].object) {
				return lines[checked]
			}
		}
		select {
		case <-more:
		case <-p.done:
			p.t.Fatalf("%s ended before %s: %v\n%s", p.name, what, p.cmd.ProcessState, p.record())
		case <-timeout:
			p.t.Fatalf("%s: no %s within %v", p.name, what, patience)
		}
	}
}

// event waits for an event of that type whose fields have these values: "state", "Established", …
func (p *process) event(patience time.Duration, kind string, fields ...string) line {
	p.t.Helper()
	return p.expect(fmt.Sprintf("event %s %v", kind, fields), patience, func(o map[string]any) bool {
		params, _ := o["params"].(map[string]any)
		if o["method"] != "event" || params["type"] != kind {
			return false
		}
		for i := 0; i+1 < len(fields); i += 2 {
			if fmt.Sprint(params[fields[i]]) != fields[i+1] {
				return false
			}
		}
		return true
	})
}

// events are the params of all events of that type so far.
func (p *process) events(kind string) []map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []map[string]any
	for _, l := range p.lines {
		if params, _ := l.object["params"].(map[string]any); l.object["method"] == "event" && params["type"] == kind {
			all = append(all, params)
		}
	}
	return all
}

// newCall waits for an established audio call that is none of those that are known.
func (p *process) newCall(known map[any]bool) (id any) {
	p.t.Helper()
	p.expect("established call", 10*time.Second, func(o map[string]any) bool {
		params, _ := o["params"].(map[string]any)
		id = params["call"]
		return params["type"] == "call.state" && params["kind"] == "audio" && params["state"] == "Established" && !known[id]
	})
	return id
}

// ask sends a request and does not wait; params are "name", value pairs.
func (p *process) ask(method string, params ...any) (id int) {
	p.t.Helper()
	object := map[string]any{}
	for i := 0; i+1 < len(params); i += 2 {
		object[params[i].(string)] = params[i+1]
	}
	p.mu.Lock()
	p.asked++
	id = p.asked
	p.mu.Unlock()
	text, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": object})
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.in.Write(append(text, '\n')); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	return id
}

// answer waits for the response to a request.
func (p *process) answer(id int, patience time.Duration) (result any, failure map[string]any) {
	p.t.Helper()
	l := p.expect("response "+strconv.Itoa(id), patience, func(o map[string]any) bool {
		got, ok := o["id"].(float64)
		return ok && int(got) == id && o["method"] == nil
	})
	failure, _ = l.object["error"].(map[string]any)
	return l.object["result"], failure
}

// call asks and waits for a result that is an object.
func (p *process) call(patience time.Duration, method string, params ...any) map[string]any {
	p.t.Helper()
	result, failure := p.answer(p.ask(method, params...), patience)
	if failure != nil {
		p.t.Fatalf("%s: %s fails: %v", p.name, method, failure)
	}
	object, _ := result.(map[string]any)
	return object
}

// kill ends the process without a warning, as kill -9 does, and waits.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL) // it may have ended
	<-p.done
}

// interrupt sends SIGINT and returns the exit code.
func (p *process) interrupt(patience time.Duration) int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%s does not end", p.name)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) record() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, l := range p.lines {
		fmt.Fprintf(&b, "  %s %s\n", l.at.Format("05.000"), l.text)
	}
	return b.String() + p.errs.String()
}

// exchange is a running `offhook server` and the people on it.
type exchange struct {
	*process
	address string
	state   string
	more    []string // arguments
}

// startServer runs a server for anybody on a free port.
func startServer(t testing.TB, more ...string) *exchange {
	t.Helper()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	x := &exchange{address: address, state: t.TempDir(), more: more}
	x.run(t)
	return x
}

// run starts the server, again after a kill, and waits until it is ready.
func (x *exchange) run(t testing.TB) {
	t.Helper()
	args := append([]string{
		"server", "--open", "--listen", x.address, "--domain", "example.test", "--state-dir", x.state,
	}, x.more...)
	x.process = start(t, "server", args...)
	ready := x.expect("ready line", 10*time.Second, func(o map[string]any) bool { return o["ready"] == true })
	listens, _ := ready.object["sip"].([]any)
	for _, want := range []string{"udp:" + x.address, "tcp:" + x.address} {
		if !slices.Contains(listens, any(want)) {
			t.Fatalf("the ready line does not list %s: %s", want, ready.text)
		}
	}
}

// endpoint signs a device of a user in.
func (x *exchange) endpoint(t testing.TB, user, device string, more ...string) *process {
	t.Helper()
	args := append([]string{
		"headless", "--aor", "sip:" + user + "@example.test", "--server", "sip:" + x.address + ";transport=udp",
		"--listen", "127.0.0.1:0", "--state-dir", t.TempDir(),
	}, more...)
	p := start(t, device, args...)
	p.event(10*time.Second, "registration", "state", "registered")
	return p
}

// freeAddress is a loopback address whose port nobody uses for UDP or TCP at this moment.
func freeAddress() (string, error) {
	for range 50 {
		stream, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		address := stream.Addr().String()
		packet, err := net.ListenPacket("udp", address)
		_ = stream.Close()
		if err == nil {
			return address, packet.Close()
		}
	}
	return "", errors.New("no port is free for UDP and TCP")
}

// agent signs in a user agent that runs in this process and does nothing but what a test makes it do.
func (x *exchange) agent(t testing.TB, user string, mux sipua.Mux) *sipua.Agent {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stack, err := sipua.NewStack(ctx, sipua.StackConfig{Listeners: []sipua.Listener{{Network: "udp", Address: "127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	aor, err1 := sipua.ParseURI("sip:" + user + "@example.test")
	server, err2 := sipua.ParseURI("sip:" + x.address + ";transport=udp")
	agent, err := sipua.NewAgent(sipua.AgentConfig{Stack: stack, AOR: aor, Server: server})
	if err := errors.Join(err, err1, err2); err != nil {
		t.Fatal(err)
	}
	agent.Serve(mux)
	registered, done := make(chan struct{}, 16), make(chan struct{})
	go func() {
		defer close(done)
		_ = agent.Register(ctx, time.Hour, func(s sipua.RegistrationState) { // ends with ctx
			if s.State == "registered" {
				registered <- struct{}{}
			}
		})
	}()
	select {
	case <-registered:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s could not sign in", user)
	}
	t.Cleanup(func() {
		cancel()
		<-done
		if err := errors.Join(agent.Close(), stack.Close()); err != nil {
			t.Error(err)
		}
	})
	return agent
}
