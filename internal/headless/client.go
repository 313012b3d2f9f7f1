package headless

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
)

// ErrNoInstance tells that there is nobody behind a control socket.
var ErrNoInstance = errors.New("no instance of offhook is running for this profile")

// Client is a connection to the control socket of a running instance. It is used by one goroutine.
type Client struct {
	conn net.Conn
	in   *bufio.Reader
}

// Dial connects to the control socket at path.
func Dial(path string) (*Client, error) {
	conn, err := net.Dial("unix", path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w (%s)", ErrNoInstance, path)
	}
	if err != nil {
		return nil, err
	}
	return &Client{conn: conn, in: bufio.NewReader(conn)}, nil
}

// Close ends the connection; a running request is cancelled by it.
func (c *Client) Close() error { return c.conn.Close() }

// Call calls a method and waits for its outcome. The error of a response is *Error.
func (c *Client) Call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()
	line, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	if len(line) > maxLine {
		return nil, fmt.Errorf("%s: parameters larger than %d bytes", method, maxLine)
	}
	if _, err := c.conn.Write(append(line, '\n')); err != nil {
		return nil, c.lost(ctx, err)
	}
	var r response
	for r.ID == nil { // events of a subscription may come between
		if err := c.next(&r); err != nil {
			return nil, c.lost(ctx, err)
		}
	}
	if r.Error != nil {
		return nil, r.Error
	}
	return r.Result, nil
}

// Failed returns the error that a result tells of: a message whose status is failed is a result all the same. Its hint
// and code are those that an error response would have.
func Failed(result json.RawMessage) error {
	var r struct {
		Error *struct {
			Message string `json:"message"`
			Hint    string `json:"hint"`
		} `json:"error"`
	}
	if json.Unmarshal(result, &r) != nil || r.Error == nil { // a list has no such member
		return nil
	}
	return &Error{Code: codeFailed, Message: r.Error.Message, Data: map[string]any{"hint": r.Error.Hint}}
}

// Follow writes the events of these types, all without types, one a line, until ctx or the instance ends.
func (c *Client) Follow(ctx context.Context, types []string, out io.Writer) error {
	params := map[string]any{}
	if len(types) > 0 {
		params["types"] = types
	}
	if _, err := c.Call(ctx, "subscribe", params); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()
	for {
		var n notification
		switch err := c.next(&n); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return c.lost(ctx, err)
		}
		if _, err := out.Write(append(n.Params, '\n')); err != nil {
			return err
		}
	}
}

func (c *Client) next(v any) error {
	line, err := c.in.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}

// lost explains a connection that ended.
func (c *Client) lost(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ErrInterrupted
	case errors.Is(err, io.EOF):
		return errors.New("the instance ended before it answered")
	default:
		return err
	}
}

// ParseArgs makes parameters of KEY=VALUE: a value is JSON if it parses as JSON, else a string.
func ParseArgs(args []string) (map[string]any, error) {
	params := map[string]any{}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%.80q is not a parameter; expected KEY=VALUE", arg)
		}
		if _, twice := params[key]; twice {
			return nil, fmt.Errorf("%.80q is given twice", key)
		}
		if json.Valid([]byte(value)) {
			params[key] = json.RawMessage(value)
		} else {
			params[key] = value
		}
	}
	return params, nil
}
