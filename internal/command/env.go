package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"offhook/internal/contacts"
	"offhook/internal/fsm"
	"offhook/session"
)

// History is what the table needs of the record of conversations; history.Store implements it. Messages come oldest
// first. peer is an address of record, "" for everybody. before is the id of a message: only older ones are returned.
type History interface {
	Messages(ctx context.Context, peer, before string, limit int) ([]session.Message, error)
	Search(ctx context.Context, query, peer, before string, limit int) ([]session.Message, error)
	// Unread counts the messages that the user has not seen, by peer; peers without any are left out.
	Unread(ctx context.Context) (map[string]int, error)
	MarkRead(ctx context.Context, peer string) error
}

// Env is what commands act on. Its exported fields are set before the first call and not changed.
type Env struct {
	Endpoint *session.Endpoint
	Contacts *contacts.Book
	History  History // nil: nothing is kept
	Audio    Audio   // nil: there is no sound
	Version  string
	// Recordings is the directory of recordings that are given no file.
	Recordings string
	// Quit ends the program's calls and registration. It blocks until that is done; the front end ends itself after it.
	Quit func(context.Context) error

	ops   sync.WaitGroup // operations that were not waited for
	known knownDevices
	lease lease
	// processing is held while audio.processing reads and changes it.
	processing sync.Mutex
}

// Call runs a method. args is anything that marshals to a JSON object of parameters, or nil; a json.RawMessage is taken
// as it is. The result marshals to what the control API documents.
func (e *Env) Call(ctx context.Context, method string, args any) (any, error) {
	c, ok := Find(method)
	if !ok {
		return nil, &MethodError{method}
	}
	raw, ok := args.(json.RawMessage)
	if !ok && args != nil {
		data, err := json.Marshal(args)
		if err != nil {
			return nil, fmt.Errorf("%s: encode parameters: %w", method, err)
		}
		raw = data
	}
	p, err := parseParams(c, raw)
	if err != nil {
		return nil, err
	}
	var wait waitParam
	if err := p.decode(&wait); err != nil {
		return nil, err
	}
	result, operation, err := c.run(ctx, e, p)
	if err != nil {
		return nil, classified(method, err)
	}
	if operation == nil {
		return result, nil
	}
	if wait.Wait != nil && !*wait.Wait {
		// The events tell how it ends; it outlives the request, and Wait or the endpoint's Close ends it.
		e.ops.Go(func() { _, _ = operation(context.WithoutCancel(ctx)) })
		return result, nil
	}
	result, err = operation(ctx)
	return result, classified(method, err)
}

// Wait waits for operations that nobody waits for. Call it after the endpoint is closed, which ends them.
func (e *Env) Wait() {
	e.lease.end()
	e.ops.Wait()
}

// waitParam is accepted by every method with an Operation.
type waitParam struct {
	Wait *bool `json:"wait"`
}

func waitable(ps ...Param) []Param {
	return append(ps, Param{Name: "wait", Type: Boolean, Help: "false answers at once, without waiting for the network"})
}

// Reply is the failure of an operation whose result tells of the failure, as that of im.send does: the message is there,
// and its status is failed. The control API answers with the result; people are told the error.
type Reply struct {
	Err    error
	Result any
}

func (r *Reply) Error() string { return r.Err.Error() }

func (r *Reply) Unwrap() error { return r.Err }

// classified gives errors that arise outside of the session the session's form, so that every front end sees one.
func classified(method string, err error) error {
	var known *session.Error
	var param *ParamError
	var state *fsm.Error
	var missing interface{ NotFound() bool }
	switch {
	case err == nil, errors.As(err, &known), errors.As(err, &param), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &state):
		return &session.Error{Op: method, Kind: session.KindState, Err: err}
	case errors.As(err, &missing) && missing.NotFound(), errors.Is(err, contacts.ErrUnknown):
		return &session.Error{Op: method, Kind: session.KindNotFound, Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &session.Error{Op: method, Kind: session.KindTimeout, Err: err}
	case strings.HasPrefix(method, "history."): // the file cannot be read; health says so, too
		return &session.Error{Op: method, Kind: session.KindInternal, Err: err}
	default:
		return &session.Error{Op: method, Kind: session.KindConfig, Err: err}
	}
}

// unknown says that there is nothing with this id.
func unknown(what, id string) error {
	return &session.Error{Op: "find " + what, Kind: "NotFound", Err: fmt.Errorf("there is no %s %.80q", what, id)}
}

// Address returns what the session resolves: the address of a contact with this name, else what was given.
func (e *Env) Address(who string) (string, error) {
	if e.Contacts == nil {
		return who, nil
	}
	c, err := e.Contacts.Find(who)
	switch {
	case err == nil:
		return c.URI, nil
	case errors.Is(err, contacts.ErrAmbiguous):
		return "", &session.Error{Op: "find contact", Kind: "Config", Peer: who, Err: err}
	default:
		return who, nil
	}
}

// resolve returns the canonical URI of an address of any accepted form.
func (e *Env) resolve(who string) (string, error) {
	address, err := e.Address(who)
	if err != nil {
		return "", err
	}
	uri, err := e.Endpoint.Resolve(address)
	if err != nil {
		return "", err
	}
	return uri.String(), nil
}
