package headless_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"offhook/internal/config"
	"offhook/internal/headless"
	"offhook/server"
)

// object is a line of output.
type object = map[string]any

// program is a headless instance with somebody on its standard streams.
type program struct {
	t      *testing.T
	in     io.WriteCloser
	lines  chan object
	result chan error
	cancel context.CancelFunc
	paths  config.Paths
	seen   []object // events that were skipped
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// startServer starts an embedded server on loopback and returns its URI.
func startServer(t *testing.T, cfg server.Config) string {
	t.Helper()
	cfg.Listen, cfg.Domain, cfg.Logger = headless.Listeners("127.0.0.1:0"), "example.org", quiet()
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	_, address, _ := strings.Cut(s.Addrs()[0], ":")
	return "sip:" + address + ";transport=udp"
}

// private writes a file that only its owner may read, and returns its path.
func private(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func settings(user, uri string) config.Config {
	c := config.Default()
	c.Account.AOR, c.Account.Server, c.Account.Listen = "sip:"+user+"@example.org", uri, "127.0.0.1:0"
	return c
}

func start(t *testing.T, c config.Config, state string) *program {
	t.Helper()
	return startInstance(t, headless.Options{Config: c}, state)
}

func startInstance(t *testing.T, o headless.Options, state string) *program {
	t.Helper()
	var err error
	if o.Paths, err = config.ProfilePaths("", state); err != nil {
		t.Fatal(err)
	}
	o.Version, o.Log = "test", quiet()
	i, err := headless.NewInstance(o)
	if err != nil {
		t.Fatal(err)
	}
	in, stdin := io.Pipe()
	stdout, out := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	p := &program{t: t, in: stdin, lines: make(chan object, 1000), result: make(chan error, 1), cancel: cancel, paths: i.Paths}
	go func() {
		err := headless.Run(ctx, i, in, out)
		_ = out.Close()
		p.result <- err
	}()
	go func() {
		defer close(p.lines)
		r := bufio.NewScanner(stdout)
		r.Buffer(nil, 4<<20)
		for r.Scan() {
			var line object
			if err := json.Unmarshal(r.Bytes(), &line); err != nil {
				t.Errorf("not JSON: %s", r.Bytes())
			}
			p.lines <- line
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = stdin.Close()
		for range p.lines { // until Run has ended
		}
	})
	return p
}

func (p *program) send(format string, args ...any) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		p.t.Fatal(err)
	}
}

// next returns the first line that is wanted. Lines before it are kept for event.
func (p *program) next(what string, want func(object) bool) object {
	p.t.Helper()
	for i, line := range p.seen {
		if want(line) {
			p.seen = append(p.seen[:i:i], p.seen[i+1:]...)
			return line
		}
	}
	timeout := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the output ended before %s", what)
			}
			if want(line) {
				return line
			}
			p.seen = append(p.seen, line)
		case <-timeout:
			p.t.Fatalf("no %s; there was %v", what, p.seen)
		}
	}
}

func (p *program) event(kind string, fields object) object {
	p.t.Helper()
	line := p.next(fmt.Sprint(kind, " ", fields), func(line object) bool {
		params, _ := line["params"].(object)
		if params["type"] != kind {
			return false
		}
		for k, v := range fields {
			if params[k] != v {
				return false
			}
		}
		return true
	})
	return line["params"].(object)
}

func (p *program) response(id any) object {
	p.t.Helper()
	return p.next(fmt.Sprint("response ", id), func(line object) bool {
		got, is := line["id"]
		return is && got == id
	})
}

func (p *program) ended(want error) {
	p.t.Helper()
	select {
	case err := <-p.result:
		if !errors.Is(err, want) {
			p.t.Errorf("ended with %v, want %v", err, want)
		}
	case <-time.After(20 * time.Second):
		p.t.Fatal("does not end")
	}
}

func TestTwoEndpointsThroughTheServer(t *testing.T) {
	users := private(t, "users", "alice:secret of alice\nbob:secret of bob\n")
	uri := startServer(t, server.Config{Users: users})
	signIn := func(user string) *program {
		c := settings(user, uri)
		c.Account.PasswordFile = private(t, "password", "secret of "+user+"\n")
		return start(t, c, t.TempDir())
	}
	alice, bob := signIn("alice"), signIn("bob")
	for _, p := range []*program{alice, bob} {
		p.event("registration", object{"state": "registered"})
	}
	alice.send(`{"jsonrpc":"2.0","id":1,"method":"im.send","params":{"to":"bob","text":"do you have a minute?"}}`)
	result := alice.response(1.0)["result"].(object)
	if result["status"] != "delivered" || result["message"] == "" || result["conversation"] == "" || result["call"] == "" {
		t.Errorf("result %v", result)
	}
	message := bob.event("im.message", object{"direction": "inbound"})
	if message["text"] != "do you have a minute?" || message["message"] != result["message"] || message["toast"] != true {
		t.Errorf("bob got %v", message)
	}
	bob.event("call.auto_accept", object{"immediate": true})

	// The answer goes by the conversation; the line is in both histories.
	bob.send(`{"id":"x","method":"im.send","params":{"conversation":%q,"text":"yes"}}`, message["conversation"])
	if status := bob.response("x")["result"].(object)["status"]; status != "delivered" {
		t.Errorf("bob's answer is %v", status)
	}
	alice.event("im.message", object{"direction": "inbound", "text": "yes"})
	bob.send(`{"id":2,"method":"history.list","params":{"conversation":"alice"}}`)
	if list := bob.response(2.0)["result"].([]any); len(list) < 1 || list[0].(object)["text"] != "do you have a minute?" {
		t.Errorf("history %v", list)
	}

	// A message that nobody takes is a result: there is a message, and its status says why it failed.
	alice.send(`{"id":3,"method":"im.send","params":{"to":"nobody","text":"x"}}`)
	failed := alice.response(3.0)["result"].(object)
	why := failed["error"].(object)
	if failed["status"] != "failed" || failed["message"] == "" || failed["conversation"] == "" ||
		why["kind"] != "NotFound" || why["sip"] != 404.0 || why["message"] == "" || why["hint"] == "" {
		t.Errorf("result %v", failed)
	}
	// What never became a message is an error.
	alice.send(`{"id":"no","method":"im.send","params":{"conversation":"conversation-99","text":"x"}}`)
	if e := alice.response("no")["error"].(object); e["data"].(object)["kind"] != "NotFound" {
		t.Errorf("error %v", e)
	}

	// Not waiting answers at once; the events tell.
	alice.send(`{"id":4,"method":"im.send","params":{"to":"bob","text":"later","wait":false}}`)
	if early := alice.response(4.0)["result"].(object); early["status"] != "sending" {
		t.Errorf("early result %v", early)
	}
	alice.event("im.message", object{"text": "later", "status": "delivered"})

	alice.send(`{"id":5,"method":"quit"}`)
	if alice.response(5.0)["error"] != nil {
		t.Error("quit failed")
	}
	alice.ended(nil)
	alice.event("registration", object{"state": "unregistered"})
	if err := bob.in.Close(); err != nil {
		t.Fatal(err)
	}
	bob.ended(nil)
}

// What was not read before a restart is unread after it; who answers has read.
func TestUnreadSurvivesARestart(t *testing.T) {
	uri, state := startServer(t, server.Config{Open: true}), t.TempDir()
	alice, bob := start(t, settings("alice", uri), t.TempDir()), start(t, settings("bob", uri), state)
	for _, p := range []*program{alice, bob} {
		p.event("registration", object{"state": "registered"})
	}
	for i, text := range []string{"one", "two"} {
		alice.send(`{"id":%d,"method":"im.send","params":{"to":"bob","text":%q}}`, i, text)
		bob.event("im.message", object{"text": text})
		alice.response(float64(i))
	}
	unread := func(p *program, id string) float64 {
		t.Helper()
		p.send(`{"id":%q,"method":"conversation.list"}`, id)
		list := p.response(id)["result"].([]any)
		if len(list) != 1 {
			t.Fatalf("conversations %v", list)
		}
		return list[0].(object)["unread"].(float64)
	}
	if n := unread(bob, "a"); n != 2 {
		t.Errorf("%v unread", n)
	}
	bob.send(`{"id":"q","method":"quit"}`)
	bob.response("q")
	bob.ended(nil)
	bob = start(t, settings("bob", uri), state)
	bob.event("registration", object{"state": "registered"})
	if n := unread(bob, "b"); n != 2 {
		t.Errorf("%v unread after a restart", n)
	}
	bob.send(`{"id":"s","method":"im.send","params":{"to":"alice","text":"three"}}`)
	bob.response("s")
	bob.send(`{"id":"q","method":"quit"}`)
	bob.response("q")
	bob.ended(nil)
	bob = start(t, settings("bob", uri), state)
	bob.send(`{"id":"c","method":"conversation.list"}`)
	if list := bob.response("c")["result"].([]any); len(list) != 0 {
		t.Errorf("after an answer: %v", list)
	}
}

func TestProtocol(t *testing.T) {
	c := settings("alice", "")
	c.Account.Register = false
	p := start(t, c, t.TempDir())
	p.send(`nonsense`)
	if e := p.response(nil)["error"].(object); e["code"] != -32700.0 {
		t.Errorf("parse error: %v", e)
	}
	p.send(`%s`, strings.Repeat("x", 1<<20+1))
	if e := p.response(nil)["error"].(object); e["code"] != -32600.0 || !strings.Contains(e["message"].(string), "1048576") {
		t.Errorf("long line: %v", e)
	}
	p.send(`{"id":1,"method":"call.dail","params":{"to":"bob"}}`)
	if e := p.response(1.0)["error"].(object); e["code"] != -32601.0 {
		t.Errorf("unknown method: %v", e)
	}
	p.send(`{"id":1,"method":"call.dial","params":{"to":"bob"}}`)
	if e := p.response(1.0)["error"].(object); e["code"] != -32000.0 || e["data"].(object)["kind"] != "Device" {
		t.Errorf("a call without sound: %v", e)
	}
	p.send(`{"id":1,"method":"status","params":{"x":1}}`)
	if e := p.response(1.0)["error"].(object); e["code"] != -32602.0 {
		t.Errorf("unknown parameter: %v", e)
	}
	p.send(`{"method":"status"}`) // gets no answer
	p.send(`{"id":2,"method":"subscribe","params":{"types":["call.state"]}}`)
	if types := p.response(2.0)["result"].(object)["types"].([]any); len(types) < 10 || slices.Contains(types, any("audio.level")) {
		t.Errorf("subscribed to %v", types)
	}
	p.send(`{"id":2,"method":"subscribe","params":{"types":["audio.level"]}}`)
	if types := p.response(2.0)["result"].(object)["types"].([]any); !slices.Contains(types, any("audio.level")) {
		t.Errorf("subscribed to %v", types)
	}
	p.send(`{"id":2,"method":"subscribe","params":{"types":["weather"]}}`)
	if e := p.response(2.0)["error"].(object); e["code"] != -32602.0 {
		t.Errorf("unknown type: %v", e)
	}
	// A request to a peer that does not answer can be cancelled; its id is in use until then.
	p.send(`{"id":3,"method":"im.send","params":{"to":"sip:bob@127.0.0.1:9","text":"x"}}`)
	p.event("im.message", object{"status": "sending"})
	p.send(`{"id":3,"method":"status"}`)
	if e := p.response(3.0)["error"].(object); e["code"] != -32600.0 {
		t.Errorf("id in use: %v", e)
	}
	p.send(`{"id":4,"method":"cancel","params":{"id":3}}`)
	if r := p.response(4.0)["result"].(object); r["canceled"] != true {
		t.Errorf("cancel: %v", r)
	}
	p.response(3.0)
	p.send(`{"id":5,"method":"cancel","params":{"id":3}}`)
	if r := p.response(5.0)["result"].(object); r["canceled"] != false {
		t.Errorf("cancel again: %v", r)
	}
	p.cancel()
	p.ended(headless.ErrInterrupted)
}

func TestEventsAreNumbered(t *testing.T) {
	c := settings("alice", "")
	c.Account.Register = false
	p := start(t, c, t.TempDir())
	for i := range 20 {
		p.send(`{"id":%d,"method":"im.send","params":{"to":"sip:x%d@127.0.0.1:9","text":"x","wait":false}}`, i, i)
		p.response(float64(i))
	}
	if err := p.in.Close(); err != nil {
		t.Fatal(err)
	}
	p.ended(nil)
	last := 0.0
	for line := range p.lines {
		p.seen = append(p.seen, line)
	}
	for _, line := range p.seen {
		params, is := line["params"].(object)
		if !is {
			continue
		}
		if params["seq"] != last+1 {
			t.Fatalf("after %v comes %v", last, params["seq"])
		}
		last++
		if at, err := time.Parse("2006-01-02T15:04:05.000Z", params["time"].(string)); err != nil || time.Since(at) > time.Hour {
			t.Errorf("time %v", params["time"])
		}
	}
	if last < 40 {
		t.Errorf("only %v events", last)
	}
}

func TestWrongPasswordEndsTheProgram(t *testing.T) {
	c := settings("alice", startServer(t, server.Config{Users: private(t, "users", "alice:right\n")}))
	c.Account.PasswordFile = private(t, "password", "wrong\n")
	p := start(t, c, t.TempDir())
	p.event("registration", object{"state": "failed"})
	p.ended(headless.ErrNotRegistered)

	c.Account.PasswordFile = private(t, "password", "right\n")
	start(t, c, t.TempDir()).event("registration", object{"state": "registered"})
}

func TestControlSocket(t *testing.T) {
	c := settings("alice", "")
	c.Account.Register = false
	state := t.TempDir()
	p := start(t, c, state)
	p.send(`{"id":1,"method":"status"}`) // it is up
	p.response(1.0)
	if info, err := os.Stat(p.paths.Socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info, err)
	}
	// Another instance of the same profile is another device with its own state.
	second := start(t, c, state)
	if second.paths.Socket == p.paths.Socket || second.paths.History == p.paths.History {
		t.Errorf("two instances share %s", second.paths.State)
	}
	dial := func() *headless.Client {
		client, err := headless.Dial(p.paths.Socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
	follower, caller := dial(), dial()
	events, out := io.Pipe()
	followed := make(chan error, 1)
	go func() {
		followed <- follower.Follow(t.Context(), []string{"conversation.state"}, out)
		_ = out.Close()
	}()
	// The follower hears what happens once it has subscribed; until then calls are repeated, each with a new peer.
	heard := make(chan string, 100)
	go func() {
		lines := bufio.NewScanner(events)
		for lines.Scan() {
			heard <- lines.Text()
		}
		close(heard)
	}()
	var first string
	for n := 0; first == ""; n++ {
		params := map[string]any{"to": fmt.Sprintf("sip:x%d@127.0.0.1:9", n), "text": "x", "wait": false}
		if _, err := caller.Call(t.Context(), "im.send", params); err != nil {
			t.Fatal(err)
		}
		select {
		case first = <-heard:
		default:
		}
	}
	if !strings.Contains(first, `"type":"conversation.state"`) || !strings.HasPrefix(first, `{"seq":1,`) {
		t.Errorf("followed %s", first)
	}
	var refused *headless.Error
	if _, err := caller.Call(t.Context(), "nothing", nil); !errors.As(err, &refused) || !refused.Usage() {
		t.Errorf("unknown method: %v", err)
	}
	if result, err := caller.Call(t.Context(), "quit", nil); err != nil || string(result) != "{}" {
		t.Errorf("quit: %s, %v", result, err)
	}
	p.ended(nil)
	if err := <-followed; err != nil {
		t.Errorf("follow ended with %v", err)
	}
	if _, err := headless.Dial(p.paths.Socket); !errors.Is(err, headless.ErrNoInstance) {
		t.Errorf("after the end: %v", err)
	}
}

// A client that does not read holds up neither the session nor another client, and the program ends all the same.
func TestClientThatDoesNotRead(t *testing.T) {
	c := settings("alice", "")
	c.Account.Register = false
	paths, err := config.ProfilePaths("", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	i, err := headless.NewInstance(headless.Options{Config: c, Paths: paths, Version: "test", Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	in, stdin := io.Pipe()
	_, out := io.Pipe() // nobody reads
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- headless.Run(ctx, i, in, out) }()
	if _, err := io.Copy(stdin, bytes.NewReader(bytes.Repeat([]byte("{\"method\":\"im.send\",\"params\":{\"to\":\"sip:bob@127.0.0.1:9\",\"text\":\"x\",\"wait\":false}}\n"), 200))); err != nil {
		t.Fatal(err)
	}
	client, err := headless.Dial(paths.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if status, err := client.Call(t.Context(), "status", nil); err != nil || !strings.Contains(string(status), "sip:alice@example.org") {
		t.Errorf("%s, %v", status, err)
	}
	cancel()
	if err := <-result; !errors.Is(err, headless.ErrInterrupted) {
		t.Errorf("ended with %v", err)
	}
}
