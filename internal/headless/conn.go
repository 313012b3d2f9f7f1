package headless

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"offhook/internal/command"
	"offhook/internal/fanout"
	"offhook/session"
)

const (
	// maxRequests bounds the requests of a connection that run at the same time.
	maxRequests = 256
	// drainTime is how long requests that were sent before the end of the input may still take: the longest
	// transaction of SIP, 64*T1, and some.
	drainTime = 35 * time.Second
)

// conn is one client.
type conn struct {
	// Immutable.
	env *command.Env
	log *slog.Logger
	out chan []byte // lines for the writer

	requests sync.WaitGroup // running requests
	pump     sync.WaitGroup // the goroutine that sends events

	levels, stats asked // events that are sent only when asked for

	emitting sync.Mutex
	seq      int // Guarded by emitting. Of the last event; held while it is sent, so that they come in order.

	mu      sync.Mutex
	cancel  map[string]context.CancelFunc // Guarded by mu. Running requests by id.
	unnamed int                           // Guarded by mu. Requests without an id so far.
	events  filter                        // Guarded by mu. What the client wants to hear.
	pumped  bool                          // Guarded by mu. pump has been started.
}

// filter tells which events a client gets.
type filter struct {
	all   bool            // everything that is not of level type
	types map[string]bool // these besides
}

func (f filter) lets(kind string) bool {
	return f.types[kind] || f.all && kind != levelChanged{}.Type() && kind != statsChanged{}.Type()
}

func newConn(env *command.Env, log *slog.Logger) *conn {
	return &conn{
		env: env, log: log, out: make(chan []byte, 64), cancel: map[string]context.CancelFunc{},
		levels: asked{kind: levelChanged{}.Type(), yes: make(chan struct{})}, stats: asked{kind: statsChanged{}.Type(), yes: make(chan struct{})},
	}
}

// write is the only one that writes to w. It ends when done is closed, with what is queued by then written, or when w
// fails; abandon is then called so that nobody waits for the writer.
func (c *conn) write(w io.Writer, done <-chan struct{}, abandon context.CancelFunc) {
	defer abandon()
	buffered := bufio.NewWriter(w)
	for {
		select {
		case line := <-c.out:
			if c.writeBatch(buffered, line) != nil {
				return
			}
		case <-done:
			for {
				select {
				case line := <-c.out:
					if c.writeBatch(buffered, line) != nil {
						return
					}
				default:
					return
				}
			}
		}
	}
}

// writeBatch writes line and what is queued behind it, then flushes.
func (c *conn) writeBatch(w *bufio.Writer, line []byte) error {
	for {
		if _, err := w.Write(line); err != nil {
			return err
		}
		select {
		case line = <-c.out:
		default:
			return w.Flush()
		}
	}
}

// send queues a line. It waits for a client that reads slowly and gives up when ctx ends.
func (c *conn) send(ctx context.Context, v any) {
	line, err := json.Marshal(v)
	if err != nil {
		c.log.Error("encode", "error", err)
		return
	}
	select {
	case c.out <- append(line, '\n'):
	case <-ctx.Done():
	}
}

// read serves requests until the input ends. ctx ends the requests and the sending.
func (c *conn) read(ctx context.Context, in io.Reader) error {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := readLine(r)
		switch {
		case errors.Is(err, errLong):
			c.answer(ctx, nil, nil, refuse(codeRequest, fmt.Sprintf("line longer than %d bytes", maxLine)))
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(bytes.TrimSpace(line)) > 0:
			c.dispatch(ctx, line)
		}
	}
}

var errLong = errors.New("line too long")

// readLine returns the next line without its end, which may be that of other systems. A line over maxLine is skipped and
// reported as errLong.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if !long {
			line = append(line, part...)
			if len(line) > maxLine+len("\r\n") {
				long, line = true, nil
			}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !(errors.Is(err, io.EOF) && (len(line) > 0 || long)):
			return nil, err
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if long || len(line) > maxLine {
			return nil, errLong
		}
		return line, nil
	}
}

// dispatch begins the request in line.
func (c *conn) dispatch(ctx context.Context, line []byte) {
	r, bad := parseRequest(line)
	if bad != nil {
		c.answer(ctx, r.ID, nil, bad)
		return
	}
	switch *r.Method {
	case "cancel":
		result, err := c.cancelRequest(r.Params)
		c.reply(ctx, r.ID, result, err)
	case "subscribe":
		// Events begin behind the answer, and none is missing that happens once it has been read.
		f, err := c.subscription(r.Params)
		var reader *fanout.Reader[session.Event]
		if err == nil {
			reader = c.hear(f)
		}
		c.reply(ctx, r.ID, map[string]any{"types": f.names()}, err)
		if reader != nil {
			c.pump.Go(func() { c.listen(ctx, reader) })
		}
	default:
		c.start(ctx, r)
	}
}

// start runs a method in a goroutine of its own.
func (c *conn) start(ctx context.Context, r request) {
	runCtx, cancel := context.WithCancel(ctx)
	key, bad := c.admit(r.ID, cancel)
	if bad != nil {
		cancel()
		c.reply(ctx, r.ID, nil, bad)
		return
	}
	c.requests.Go(func() {
		defer cancel()
		result, err := c.env.Call(runCtx, *r.Method, r.Params)
		c.forget(key)
		var failed *command.Reply
		switch {
		case errors.Is(err, context.Canceled):
			c.reply(ctx, r.ID, nil, errorOf(err))
		case errors.As(err, &failed):
			c.reply(ctx, r.ID, failed.Result, nil)
		case err != nil:
			c.reply(ctx, r.ID, nil, errorOf(err))
		default:
			c.reply(ctx, r.ID, result, nil)
		}
	})
}

// admit notes a request that begins, or says why it may not. The key is what forget takes.
func (c *conn) admit(id json.RawMessage, cancel context.CancelFunc) (key string, bad *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key = string(id)
	if id == nil || key == "null" { // it cannot be cancelled, but it counts; no id begins like this
		c.unnamed++
		key = fmt.Sprint("unnamed ", c.unnamed)
	}
	switch _, used := c.cancel[key]; {
	case used:
		return "", refuse(codeRequest, "id is in use by a request that is still running")
	case len(c.cancel) >= maxRequests:
		bad = refuse(codeFailed, fmt.Sprintf("%d requests are running already", maxRequests))
		bad.Data = map[string]any{"kind": session.KindBusy, "hint": "wait for some of them to be answered"}
		return "", bad
	}
	c.cancel[key] = cancel
	return key, nil
}

func (c *conn) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.cancel, key)
}

// cancelRequest cancels a running request; it is not an error if it is answered already.
func (c *conn) cancelRequest(params json.RawMessage) (any, *Error) {
	var p struct {
		ID json.RawMessage `json:"id"`
	}
	if json.Unmarshal(params, &p) != nil || p.ID == nil || !validID(p.ID) {
		return nil, refuse(codeParams, "cancel: id is missing; accepted: id")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cancel, running := c.cancel[string(p.ID)]
	if running {
		cancel()
	}
	return map[string]bool{"canceled": running}, nil
}

// reply answers a request; a notification gets nothing.
func (c *conn) reply(ctx context.Context, id json.RawMessage, result any, bad *Error) {
	if id != nil {
		c.answer(ctx, id, result, bad)
	}
}

func (c *conn) answer(ctx context.Context, id json.RawMessage, result any, bad *Error) {
	if id == nil {
		id = json.RawMessage("null")
	}
	r := response{Version: "2.0", ID: id, Error: bad}
	if bad == nil {
		data, err := json.Marshal(result)
		if err != nil {
			r.Error = failure(fmt.Errorf("encode result: %w", err))
		}
		r.Result = data
	}
	c.send(ctx, r)
}
