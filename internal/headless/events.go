package headless

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"offhook/internal/fanout"
	"offhook/session"
)

// timeFormat is RFC 3339 with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z"

// overflow and snapshot tell a client that fell behind where things stand.
type (
	overflow struct{}
	snapshot struct{ session.Snapshot }
)

func (overflow) Type() string { return "overflow" }
func (snapshot) Type() string { return "snapshot" }

// notification is an event on the wire.
type notification struct {
	Version string          `json:"jsonrpc"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
}

// listen sends the events that the filter lets through until the endpoint is closed or ctx ends. reader was made when
// the client was to begin to hear.
func (c *conn) listen(ctx context.Context, reader *fanout.Reader[session.Event]) {
	defer reader.Close()
	ctx, cancel := context.WithCancel(ctx)
	var meters sync.WaitGroup
	defer meters.Wait()
	defer cancel()
	meters.Go(func() { c.tellLevels(ctx) })
	meters.Go(func() { c.tellStats(ctx) })
	for {
		batch, err := reader.NextTimed(ctx)
		switch {
		case errors.Is(err, fanout.ErrOverflow):
			c.log.Warn("a client of the control interface fell behind", "client", reader.Name)
			c.emit(ctx, overflow{}, time.Now())
			c.emit(ctx, snapshot{c.env.Endpoint.Snapshot()}, time.Now())
		case err != nil:
			return
		}
		for _, e := range batch {
			if c.wants(e.Event) {
				c.emit(ctx, e.Event, e.At)
			}
		}
	}
}

// emit sends an event. It waits for a client that reads slowly, which lets levels be skipped meanwhile.
func (c *conn) emit(ctx context.Context, e session.Event, at time.Time) {
	c.emitting.Lock()
	defer c.emitting.Unlock()
	c.seq++
	params, err := encode(e, c.seq, at)
	if err != nil {
		c.log.Error("encode event", "type", e.Type(), "error", err)
		return
	}
	c.send(ctx, notification{"2.0", "event", params})
}

func (c *conn) wants(e session.Event) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.events.lets(e.Type())
}

// hear makes f what the client hears. It returns a reader that the caller has to listen to, or nil if somebody does.
func (c *conn) hear(f filter) *fanout.Reader[session.Event] {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = f
	for _, m := range []*asked{&c.levels, &c.stats} {
		if f.types[m.kind] {
			m.once.Do(func() { close(m.yes) })
		}
	}
	if c.pumped {
		return nil
	}
	c.pumped = true
	return c.env.Endpoint.Subscribe("control")
}

// subscription is what the client hears once it has subscribed to the types in raw besides: everything without types.
func (c *conn) subscription(raw json.RawMessage) (filter, *Error) {
	var p struct {
		Types []string `json:"types"`
	}
	if len(raw) > 0 && json.Unmarshal(raw, &p) != nil {
		return filter{}, refuse(codeParams, "subscribe: types must be an array of strings; accepted: [types]")
	}
	known := eventTypes()
	c.mu.Lock()
	f := filter{all: c.events.all || len(p.Types) == 0, types: map[string]bool{}}
	maps.Copy(f.types, c.events.types)
	c.mu.Unlock()
	for _, t := range p.Types {
		if !slices.Contains(known, t) {
			e := refuse(codeParams, fmt.Sprintf("subscribe: unknown type %.60q", t))
			e.Data = map[string]any{"kind": session.KindConfig, "hint": "types: " + strings.Join(known, ", ")}
			return filter{}, e
		}
		f.types[t] = true
	}
	return f, nil
}

// names are the types that the filter lets through.
func (f filter) names() []string {
	var out []string
	for _, t := range eventTypes() {
		if f.lets(t) {
			out = append(out, t)
		}
	}
	return out
}

// encode makes the params of an event: seq, time and type, then the event's own fields.
func encode(e session.Event, seq int, at time.Time) (json.RawMessage, error) {
	fields, err := json.Marshal(shown(e))
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf(`{"seq":%d,"time":%q,"type":%q`, seq, at.UTC().Format(timeFormat), e.Type())
	if len(fields) > len("{}") {
		head += ","
	}
	return append([]byte(head), fields[1:]...), nil
}

// shown is e as it is encoded. Where an event has a time of its own, which may be long ago, it is called sent: time is
// that of the event. All times are UTC.
func shown(e session.Event) any {
	switch e := e.(type) {
	case session.MessageChanged:
		return struct {
			session.Message
			Time *time.Time `json:"time,omitempty"` // hides the embedded one
			Sent time.Time  `json:"sent"`
		}{Message: e.Message, Sent: e.Time.UTC()}
	case session.ToastShown:
		e.Deadline = e.Deadline.UTC()
		return e
	case session.ParkDone:
		e.Orbit.Parked, e.Orbit.RingBack = e.Orbit.Parked.UTC(), e.Orbit.RingBack.UTC()
		return e
	case session.BoardChanged:
		e.Since, e.RingBack = e.Since.UTC(), e.RingBack.UTC()
		return e
	case session.Notice:
		return struct {
			session.Notice
			Time *time.Time `json:"time,omitempty"`
			Sent time.Time  `json:"sent"`
		}{Notice: e, Sent: e.Time.UTC()}
	default:
		return e
	}
}
