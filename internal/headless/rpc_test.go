package headless

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/command"
	"offhook/internal/fanout"
	"offhook/session"
)

func TestParseRequest(t *testing.T) {
	for _, tt := range []struct {
		line string
		code int
		id   string
	}{
		{`{"jsonrpc":"2.0","id":1,"method":"status"}`, 0, "1"},
		{`{"id":"a","method":"status","params":{}}`, 0, `"a"`},
		{`{"method":"cancel","params":{"id":1}}`, 0, ""},
		{`{"id":null,"method":"status"}`, 0, "null"},
		{"\xef\xbb\xbf{\"id\":1,\"method\":\"status\"}\r", 0, "1"},
		{`{"id":1,`, codeParse, ""},
		{`hello`, codeParse, ""},
		{"\x00", codeParse, ""},
		{`[{"id":1,"method":"status"}]`, codeRequest, ""},
		{`"status"`, codeRequest, ""},
		{`{"id":1}`, codeRequest, "1"},
		{`{"id":1,"method":5}`, codeRequest, "1"},
		{`{"id":1,"method":""}`, codeRequest, "1"},
		{`{"id":1,"jsonrpc":"1.0","method":"status"}`, codeRequest, "1"},
		{`{"id":{},"method":"status"}`, codeRequest, ""},
		{`{"id":true,"method":"status"}`, codeRequest, ""},
	} {
		r, bad := parseRequest([]byte(tt.line))
		code := 0
		if bad != nil {
			code = bad.Code
		}
		if code != tt.code || string(r.ID) != tt.id {
			t.Errorf("%s: code %d, id %s; want %d, %s", tt.line, code, r.ID, tt.code, tt.id)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(`{"jsonrpc":"2.0","id":1,"method":"status","params":{"a":[1]}}`)
	f.Add(`[]`)
	f.Add(`{"id":[1],"method":{}}`)
	f.Fuzz(func(t *testing.T, line string) {
		r, bad := parseRequest([]byte(line))
		if bad == nil && (r.Method == nil || *r.Method == "") {
			t.Errorf("%q is accepted without a method", line)
		}
		if len(r.ID) > 0 && !json.Valid(r.ID) {
			t.Errorf("%q: id %s", line, r.ID)
		}
	})
}

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	r := bufio.NewReader(strings.NewReader("one\n\n" + long + "\n" + long + "y\nthree\r\n" + long + "\r\n" + long + "y\r\nlast"))
	for _, want := range []struct {
		line string
		err  error
	}{{"one", nil}, {"", nil}, {long, nil}, {"", errLong}, {"three", nil}, {long, nil}, {"", errLong}, {"last", nil}, {"", io.EOF}} {
		line, err := readLine(r)
		if string(line) != want.line || !errors.Is(err, want.err) {
			t.Errorf("%d bytes %.20q, %v; want %.20q, %v", len(line), line, err, want.line, want.err)
		}
	}
}

func TestErrors(t *testing.T) {
	sent := map[string]any{"status": "failed", "message": "m1"}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{
			&command.MethodError{Method: "call.dial"},
			`{"code":-32601,"message":"no method \"call.dial\"","data":{"hint":"methods: `,
		},
		{
			&command.ParamError{Method: "im.send", Problem: "text is missing", Accepts: "to, text"},
			`{"code":-32602,"message":"im.send: text is missing; accepted: to, text","data":{"hint":"accepted: to, text","kind":"Config"}}`,
		},
		{
			&session.Error{Op: "send", Kind: session.KindNotFound, Code: 404},
			`"data":{"hint":"check the address","kind":"NotFound","sip":404}}`,
		},
		{
			&command.Reply{Err: fmt.Errorf("send: %w", context.Canceled), Result: sent},
			`{"code":-32800,"message":"canceled","data":{"kind":"State","message":"m1","status":"failed"}}`,
		},
		{fmt.Errorf("something"), `{"code":-32000,"message":"something","data":{"kind":"Internal"}}`},
	} {
		data, err := json.Marshal(errorOf(tt.err))
		if err != nil || !strings.Contains(string(data), tt.want) {
			t.Errorf("%s, %v\nwant %s", data, err, tt.want)
		}
	}
}

func TestEncodeEvents(t *testing.T) {
	at := time.Date(2026, 1, 2, 4, 4, 5, 678_900_000, time.FixedZone("", 3600))
	for _, tt := range []struct {
		event session.Event
		want  string
	}{
		{overflow{}, `{"seq":17,"time":"2026-01-02T03:04:05.678Z","type":"overflow"}`},
		{session.CallRinging{Call: "c1", Conversation: "k1"}, `{"seq":17,"time":"2026-01-02T03:04:05.678Z","type":"call.ringing","call":"c1","conversation":"k1"}`},
		{session.ToastShown{Toast: "t1", Deadline: at}, `"deadline":"2026-01-02T03:04:05.6789Z"}`},
		{session.Notice{Conversation: "k1", Text: "x", Time: at}, `"type":"conversation.notice","conversation":"k1","text":"x","sent":"2026-01-02T03:04:05.6789Z"}`},
	} {
		got, err := encode(tt.event, 17, at)
		if err != nil || !strings.HasSuffix(string(got), tt.want) {
			t.Errorf("%s, %v\nwant %s", got, err, tt.want)
		}
	}
	// No event has a field of the envelope's.
	for _, d := range documented() {
		got, err := encode(d.event, 1, at)
		if err != nil || !json.Valid(got) {
			t.Fatal(string(got), err)
		}
		for _, key := range []string{`"seq":`, `"time":`, `"type":`} {
			if n := strings.Count(string(got), key); n != 1 {
				t.Errorf("%s: %d times %s", got, n, key)
			}
		}
	}
}

// A client that fell behind is told so, gets everything, and then what has happened since.
func TestOverflow(t *testing.T) {
	endpoint, err := session.New(session.Config{AOR: "sip:alice@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	var hub fanout.Hub[session.Event]
	reader := hub.Subscribe("slow", fanout.Limit[session.Event](3))
	for i := range 5 {
		hub.Publish(session.CallRinging{Call: fmt.Sprint("c", i)})
	}
	hub.Close()
	c := newConn(&command.Env{Endpoint: endpoint}, slog.New(slog.DiscardHandler))
	c.events = filter{all: true}
	c.listen(t.Context(), reader)
	close(c.out)
	var got []string
	for line := range c.out {
		var n struct {
			Params struct {
				Seq     int
				Type    string
				Call    string
				Account session.Account
			}
		}
		if err := json.Unmarshal(line, &n); err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimSpace(fmt.Sprint(n.Params.Seq, " ", n.Params.Type, " ", n.Params.Call, n.Params.Account.AOR)))
	}
	want := []string{"1 overflow", "2 snapshot sip:alice@example.org", "3 call.ringing c3", "4 call.ringing c4"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The time of an event is that of what happened, however late the client gets to it.
func TestEventTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hub fanout.Hub[session.Event]
		reader := hub.Subscribe("late")
		happened := time.Now()
		hub.Publish(session.CallRinging{Call: "c1"})
		hub.Close()
		time.Sleep(time.Minute)
		c := newConn(&command.Env{}, slog.New(slog.DiscardHandler))
		c.events = filter{all: true}
		c.listen(t.Context(), reader)
		if line, want := string(<-c.out), happened.UTC().Format(timeFormat); !strings.Contains(line, want) {
			t.Errorf("%s does not have the time %s", line, want)
		}
	})
}

// A result that tells of a failure is a failure for a script, too.
func TestFailed(t *testing.T) {
	for result, want := range map[string]string{
		`{"status":"delivered"}`: "", `[{"error":"x"}]`: "", `{}`: "", `"x"`: "",
		`{"status":"failed","error":{"kind":"NotFound","message":"nobody","hint":"look"}}`: "nobody look",
	} {
		err := Failed(json.RawMessage(result))
		got := ""
		var refused *Error
		if errors.As(err, &refused) {
			got = refused.Message + " " + refused.Hint()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", result, got, want)
		}
	}
}

func TestParseArgs(t *testing.T) {
	got, err := ParseArgs([]string{"to=bob", "text=a=b", "limit=5", "groups=[\"x\"]", "empty=", "number=+4144"})
	data, bad := json.Marshal(got)
	if want := `{"empty":"","groups":["x"],"limit":5,"number":"+4144","text":"a=b","to":"bob"}`; err != nil || bad != nil || string(data) != want {
		t.Errorf("%s, %v; want %s", data, err, want)
	}
	for _, args := range [][]string{{"bob"}, {"=x"}, {"a=1", "a=2"}} {
		if _, err := ParseArgs(args); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestEventsMarkdown(t *testing.T) {
	text := string(EventsMarkdown())
	for _, want := range []string{"## toast.shown\n", "| `from` | object {uri, display} |", "| `sent` | RFC 3339 time |", "## snapshot\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
