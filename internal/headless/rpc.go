package headless

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"offhook/internal/command"
	"offhook/session"
)

// maxLine bounds a request, in bytes.
const maxLine = 1 << 20

// Error codes. Those of JSON-RPC 2.0 §5.1, and two of our own in the ranges it leaves to applications.
const (
	codeParse    = -32700
	codeRequest  = -32600
	codeMethod   = -32601
	codeParams   = -32602
	codeFailed   = -32000
	codeCanceled = -32800
)

// request is one line of a client.
type request struct {
	Version *string         `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  *string         `json:"method"`
	Params  json.RawMessage `json:"params"`
}

// response is the answer to a request with an id.
type response struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *Error          `json:"error,omitempty"`
}

// Error is the error member of a response.
type Error struct {
	Code    int            `json:"code"`
	Message string         `json:"message"`
	Data    map[string]any `json:"data,omitempty"`
}

func (e *Error) Error() string { return e.Message }

// Hint says what can be done about it, "" if there is nothing to say.
func (e *Error) Hint() string {
	hint, _ := e.Data["hint"].(string)
	return hint
}

// Usage reports whether the request made no sense, so that nothing was tried.
func (e *Error) Usage() bool { return e.Code <= codeRequest && e.Code >= codeParse }

// parseRequest understands a line. The request's id, if one can be told, comes with an error too.
func parseRequest(line []byte) (request, *Error) {
	line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))) // some editors begin files so
	var r request
	switch err := json.Unmarshal(line, &r); {
	case len(line) > 0 && line[0] == '[' && json.Valid(line):
		return request{}, refuse(codeRequest, "batches are not supported; send one object a line")
	case err != nil && json.Valid(line):
		return request{ID: idOf(line)}, refuse(codeRequest, "not a request: expected {\"jsonrpc\":\"2.0\",\"id\":…,\"method\":…,\"params\":{…}}")
	case err != nil:
		return request{}, refuse(codeParse, "not JSON: one object a line is expected")
	}
	id := r.ID
	r.ID = nil
	switch {
	case !validID(id):
		return r, refuse(codeRequest, "id must be a string, a number or null")
	case r.Version != nil && *r.Version != "2.0":
		r.ID = id
		return r, refuse(codeRequest, "jsonrpc must be \"2.0\"")
	case r.Method == nil || *r.Method == "":
		r.ID = id
		return r, refuse(codeRequest, "method is missing")
	}
	r.ID = id
	return r, nil
}

// validID accepts what JSON-RPC 2.0 §4 does; nil is a notification.
func validID(id json.RawMessage) bool {
	if id == nil {
		return true
	}
	switch id[0] {
	case '{', '[', 't', 'f':
		return false
	default:
		return len(id) <= 256
	}
}

// idOf reads the id of an object whose other members are of the wrong type.
func idOf(line []byte) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(line, &members) != nil || !validID(members["id"]) {
		return nil
	}
	return members["id"]
}

func refuse(code int, message string) *Error { return &Error{Code: code, Message: message} }

// errorOf translates an error of the command table.
func errorOf(err error) *Error {
	var (
		ready  *Error
		param  *command.ParamError
		method *command.MethodError
	)
	switch {
	case errors.As(err, &ready):
		return ready
	case errors.As(err, &param):
		e := refuse(codeParams, param.Error())
		e.Data = map[string]any{"kind": session.KindConfig, "hint": "accepted: " + param.Accepts}
		if param.Accepts == "" {
			delete(e.Data, "hint")
		}
		return e
	case errors.As(err, &method):
		e := refuse(codeMethod, method.Error())
		e.Data = map[string]any{"kind": session.KindUnsupported, "hint": "methods: " + strings.Join(methods(), ", ")}
		return e
	case errors.Is(err, context.Canceled):
		e := refuse(codeCanceled, "canceled")
		e.Data = members(err)
		e.Data["kind"] = session.KindState
		return e
	default:
		return failure(err)
	}
}

// failure is the error of what was tried and did not succeed.
func failure(err error) *Error {
	e := &Error{Code: codeFailed, Message: err.Error(), Data: map[string]any{"kind": session.KindInternal}}
	var known *session.Error
	if errors.As(err, &known) {
		e.Data["kind"], e.Data["hint"] = known.Kind, known.Hint()
		if known.Code != 0 {
			e.Data["sip"] = known.Code
		}
	}
	var stranger *session.StrangerError
	if errors.As(err, &stranger) {
		e.Data["orbit"], e.Data["expected"], e.Data["present"] = stranger.Orbit, stranger.Expected, stranger.Present
	}
	return e
}

// members is what is known of the subject of an operation that was cancelled, e.g. the id of the message.
func members(err error) map[string]any {
	out := map[string]any{}
	var reply *command.Reply
	if errors.As(err, &reply) {
		if data, bad := json.Marshal(reply.Result); bad == nil {
			_ = json.Unmarshal(data, &out) // not an object: nothing to add
		}
		delete(out, "error") // that it was cancelled is said already
	}
	return out
}

// methods lists what can be called.
func methods() []string {
	var out []string
	for _, c := range command.Table() {
		if c.Method != "" {
			out = append(out, c.Method)
		}
	}
	return append(out, "cancel", "subscribe")
}
