package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain runs the program itself when a test started this binary as the program.
func TestMain(m *testing.M) {
	if os.Getenv(asOffhook) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestScripts runs testdata/script/*.txtar: what a person would type, and what must come out. Besides the commands of
// testscript, scripts know:
//
//	offhook ARG…              run the program to its end; exec's conventions for !, stdout and stderr
//	exits CODE offhook ARG…   run it to its end and compare the exit code
//	server                    run `offhook server --open` in the background; $SERVER is its SIP address
//	endpoint NAME USER [ARG…] sign USER in with `offhook headless` in the background and wait until it is registered
//	background NAME offhook ARG…  run it in the background; HOME and the working directory are the script's
//	ask NAME REGEXP METHOD [KEY=VALUE…]  send NAME a request, a VALUE being JSON where it can be; the response must match
//	expect NAME REGEXP        wait for a line of NAME's that matches
//	interrupt NAME CODE       SIGINT; NAME must end with this exit code
//	sigkill NAME              SIGKILL
//	ended NAME CODE           NAME must end by itself with this exit code
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		Setup:               setupScript,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"offhook":    scriptOffhook,
			"exits":      scriptExits,
			"server":     scriptServer,
			"endpoint":   scriptEndpoint,
			"background": scriptBackground,
			"ask":        scriptAsk,
			"expect":     scriptExpect,
			"interrupt":  scriptInterrupt,
			"sigkill":    scriptKill,
			"ended":      scriptEnded,
		},
	})
}

// patience is how long a script waits for one thing. Nothing that scripts wait for takes longer by itself.
const patience = 20 * time.Second

// stage is what a script has running.
type stage struct {
	exchange *exchange
	peers    map[string]*process
}

type stageKey struct{}

func setupScript(env *testscript.Env) error {
	env.Values[stageKey{}] = &stage{peers: map[string]*process{}}
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
	env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
	env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "data"))
	env.Setenv("XDG_RUNTIME_DIR", filepath.Join(env.WorkDir, "run"))
	env.Setenv(asOffhook, "1")
	address, err := freeAddress()
	env.Setenv("ADDR", address)
	return err
}

// scriptT lets the process harness fail a script.
type scriptT struct {
	testing.TB // nil: only what the harness uses is there
	ts         *testscript.TestScript
	failed     bool
}

func (t *scriptT) Helper()          {}
func (t *scriptT) Failed() bool     { return t.failed }
func (t *scriptT) Cleanup(f func()) { t.ts.Defer(f) }
func (t *scriptT) Fatal(args ...any) {
	t.failed = true
	t.ts.Fatalf("%s", fmt.Sprint(args...))
}

func (t *scriptT) Fatalf(format string, args ...any) {
	t.failed = true
	t.ts.Fatalf(format, args...)
}
func (t *scriptT) Errorf(format string, args ...any) { t.ts.Logf("ERROR "+format, args...) }
func (t *scriptT) Logf(format string, args ...any)   { t.ts.Logf(format, args...) }

func (t *scriptT) TempDir() string {
	dir, err := os.MkdirTemp(t.ts.Getenv("WORK"), "dir")
	t.ts.Check(err)
	return dir
}

func on(ts *testscript.TestScript) (*stage, *scriptT) {
	return ts.Value(stageKey{}).(*stage), &scriptT{ts: ts}
}

func peer(ts *testscript.TestScript, name string) *process {
	s, _ := on(ts)
	p := s.peers[name]
	if p == nil {
		ts.Fatalf("nobody is called %s", name)
	}
	return p
}

func want(ts *testscript.TestScript, ok bool, usage string) {
	if !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

func scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) >= 2 && args[1] == "offhook", "exits CODE offhook ARG…")
	code := 0
	if err := ts.Exec(program(), args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("offhook %s: %v", strings.Join(args[2:], " "), err)
		}
		code = exit.ExitCode()
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("offhook %s: exit code %d, want %s", strings.Join(args[2:], " "), code, args[0])
	}
}

func scriptOffhook(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(program(), args...)
	if neg == (err == nil) {
		ts.Fatalf("offhook %s: %v", strings.Join(args, " "), err)
	}
}

func scriptServer(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 0, "server")
	s, t := on(ts)
	if s.exchange == nil {
		s.exchange = startServer(t)
	} else {
		s.exchange.run(t)
	}
	s.peers["server"] = s.exchange.process
	ts.Setenv("SERVER", "sip:"+s.exchange.address+";transport=udp")
}

func scriptEndpoint(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) >= 2, "endpoint NAME USER [ARG…]")
	s, t := on(ts)
	s.peers[args[0]] = s.exchange.endpoint(t, args[1], args[0], args[2:]...)
}

func scriptBackground(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) >= 2 && args[1] == "offhook", "background NAME offhook ARG…")
	s, t := on(ts)
	cmd := offhook(ts.Getenv("WORK"), args[2:]...)
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	s.peers[args[0]] = launch(t, args[0], cmd)
}

func scriptAsk(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, len(args) >= 3, "ask NAME REGEXP METHOD [KEY=VALUE…]")
	p := peer(ts, args[0])
	var params []any
	for _, pair := range args[3:] {
		key, value, _ := strings.Cut(pair, "=")
		if json.Valid([]byte(value)) {
			params = append(params, key, json.RawMessage(value))
		} else {
			params = append(params, key, value)
		}
	}
	id := p.ask(args[2], params...)
	result, failure := p.answer(id, patience)
	if neg != (failure != nil) {
		ts.Fatalf("%s %s: result %v, error %v", args[0], args[2], result, failure)
	}
	text := p.response(id)
	if !regexp.MustCompile(args[1]).MatchString(text) {
		ts.Fatalf("%s %s answers %s, which does not match %s", args[0], args[2], text, args[1])
	}
}

// response is the text of a response that has come.
func (p *process) response(id int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if got, ok := l.object["id"].(float64); ok && int(got) == id {
			return l.text
		}
	}
	return ""
}

func scriptExpect(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 2, "expect NAME REGEXP")
	p, re := peer(ts, args[0]), regexp.MustCompile(args[1])
	timeout := time.After(patience)
	for checked := 0; ; {
		p.mu.Lock()
		lines, more := p.lines, p.change
		p.mu.Unlock()
		for ; checked < len(lines); checked++ {
			if re.MatchString(lines[checked].text) {
				return
			}
		}
		select {
		case <-more:
		case <-p.done:
			ts.Fatalf("%s ended\n%s", args[0], p.record())
		case <-timeout:
			ts.Fatalf("%s prints nothing that matches %s\n%s", args[0], args[1], p.record())
		}
	}
}

func scriptInterrupt(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 2, "interrupt NAME CODE")
	if code := fmt.Sprint(peer(ts, args[0]).interrupt(patience)); code != args[1] {
		ts.Fatalf("%s ended with exit code %s, want %s\n%s", args[0], code, args[1], peer(ts, args[0]).record())
	}
}

func scriptKill(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 1, "sigkill NAME")
	peer(ts, args[0]).kill()
}

func scriptEnded(ts *testscript.TestScript, _ bool, args []string) {
	want(ts, len(args) == 2, "ended NAME CODE")
	p := peer(ts, args[0])
	select {
	case <-p.done:
	case <-time.After(patience):
		ts.Fatalf("%s does not end\n%s", args[0], p.record())
	}
	if code := fmt.Sprint(p.cmd.ProcessState.ExitCode()); code != args[1] {
		ts.Fatalf("%s ended with exit code %s, want %s\n%s", args[0], code, args[1], p.record())
	}
}
