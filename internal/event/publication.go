package event

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// PublishOptions for NewPublication.
type PublishOptions struct {
	Target  sip.Uri
	Event   string
	Expires time.Duration // 0 means 10 min
	Logger  *slog.Logger
}

const defaultPublish = 10 * time.Minute

// Publication is an event publication (RFC 3903) that keeps its entity-tag and refreshes itself.
type Publication struct {
	// Immutable
	agent *sipua.Agent
	opt   PublishOptions
	log   *slog.Logger
	turn  chan struct{} // capacity 1, holds a token while a PUBLISH is under way: they must not overlap (RFC 3903 §4.1)
	wake  chan struct{} // capacity 1: due has changed

	mu sync.Mutex
	// Guarded by mu
	want     document      // what is to be published; without a body nothing is
	version  int           // counts changes of want
	sent     int           // version that the server has
	etag     string        // "" if the server has nothing of ours
	ask      time.Duration // a 423 raises it
	until    time.Time     // when the server forgets
	due      time.Time     // when Refresh has to act; zero: not before something happens
	hurried  bool          // Renew was called while a PUBLISH was under way
	failures backoff
}

type document struct {
	contentType string
	body        []byte
}

// NewPublication makes an empty publication. Nothing is sent.
func NewPublication(a *sipua.Agent, opt PublishOptions) *Publication {
	opt.Target = *opt.Target.Clone()
	if opt.Expires == 0 {
		opt.Expires = defaultPublish
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	return &Publication{
		agent: a, opt: opt, log: opt.Logger.With("event", opt.Event, "target", opt.Target.String()),
		turn: make(chan struct{}, 1), wake: make(chan struct{}, 1), ask: opt.Expires,
	}
}

// Publish creates or modifies the published state. 412 and 500 to a known entity-tag are answered by publishing anew.
// When it fails for a while, as by a timeout, the state is remembered and Refresh goes on trying. Of several calls at
// once the last one's state is published.
func (p *Publication) Publish(ctx context.Context, contentType string, body []byte) error {
	p.change(document{contentType, append([]byte{}, body...)})
	return p.send(ctx, false)
}

// Remove takes the state away.
func (p *Publication) Remove(ctx context.Context) error {
	p.change(document{})
	return p.send(ctx, false)
}

// Renew has Refresh publish again now: the network has changed, or the server is back and may have forgotten.
func (p *Publication) Renew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.want.body != nil {
		p.hurried = true
		p.scheduleLocked(time.Now())
	}
}

// Refresh keeps the state alive until ctx ends; run it on a goroutine of its own. What fails is tried again, later
// each time; what the server refuses for good waits for the next Publish.
func (p *Publication) Refresh(ctx context.Context) {
	for ctx.Err() == nil {
		wait := p.wait()
		if wait > 0 {
			pause(ctx, wait, p.wake)
			continue
		}
		_ = p.send(ctx, true) // send has logged it and set the next time
	}
}

func (p *Publication) change(d document) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.want = d
	p.version++
}

// wait is how long Refresh has nothing to do.
func (p *Publication) wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.due.IsZero() {
		return maxInterval
	}
	return time.Until(p.due)
}

func (p *Publication) scheduleLocked(due time.Time) {
	p.due = due
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// send waits for its turn and brings the server up to date. Unless refresh is set, there is nothing to do if another
// call has done it meanwhile.
func (p *Publication) send(ctx context.Context, refresh bool) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		p.settle(context.Cause(ctx))
		return context.Cause(ctx)
	}
	p.mu.Lock()
	p.hurried = false
	p.mu.Unlock()
	err := p.exchange(ctx, refresh)
	p.settle(err)
	if err != nil {
		return fmt.Errorf("event: publish %s: %w", p.opt.Event, err)
	}
	return nil
}

// settle decides when Refresh acts next.
func (p *Publication) settle(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	status, answered := statusOf(err)
	switch {
	case err == nil && p.want.body == nil:
		p.scheduleLocked(time.Time{})
	case err == nil:
		p.failures.reset()
		p.scheduleLocked(time.Now().Add(max(minRefresh, refreshTime(time.Until(p.until)))))
	case p.want.body == nil: // not taken away: the server forgets it in time
		p.scheduleLocked(time.Time{})
	case answered && !temporary(status.Code):
		p.log.Warn("publication refused", "err", err)
		p.scheduleLocked(time.Time{})
	default:
		wait := p.failures.next(false)
		switch {
		case answered:
			wait = max(wait, retryAfter(status))
		case p.hurried: // it was lost in the network that was; the next one need not wait
			wait = 0
		}
		p.log.Info("publishing again", "after", wait, "err", err)
		p.scheduleLocked(time.Now().Add(wait))
	}
}

// maxExchange bounds the requests of one exchange: a refresh, a new publication, and one with longer life.
const maxExchange = 4

// exchange publishes, refreshes or removes, whichever is needed.
func (p *Publication) exchange(ctx context.Context, refresh bool) error {
	var err error
	for range maxExchange {
		req, version, needed := p.request(refresh)
		if !needed {
			return nil
		}
		var res *sip.Response
		if res, err = p.agent.Do(ctx, req); err == nil {
			p.stored(res, version)
			return nil
		}
		status, ok := statusOf(err)
		if !ok || !p.repair(status, field(req, "SIP-If-Match") != "") {
			return err
		}
	}
	return err
}

// request builds the PUBLISH that is needed now (RFC 3903 §4.1, Table 1): initial, refresh, modify or remove.
func (p *Publication) request(refresh bool) (req *sip.Request, version int, needed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().After(p.until) {
		p.etag = "" // forgotten by the server
	}
	current := p.etag != "" && p.sent == p.version
	remove := p.want.body == nil
	if remove && p.etag == "" || current && !refresh {
		return nil, 0, false
	}
	req = p.agent.NewRequest(sip.PUBLISH, p.opt.Target)
	req.AppendHeader(sip.NewHeader("Event", p.opt.Event))
	if p.etag != "" {
		req.AppendHeader(sip.NewHeader("SIP-If-Match", p.etag))
	}
	if remove {
		req.AppendHeader(sip.NewHeader("Expires", "0"))
		return req, p.version, true
	}
	req.AppendHeader(sip.NewHeader("Expires", seconds(p.ask)))
	if !current { // a refresh has no body
		contentType := sip.ContentTypeHeader(p.want.contentType)
		req.AppendHeader(&contentType)
		req.SetBody(p.want.body)
	}
	return req, p.version, true
}

// stored notes what the server has now.
func (p *Publication) stored(res *sip.Response, version int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = version
	p.etag = field(res, "SIP-ETag")
	granted, ok := interval(res, "Expires")
	if !ok {
		granted = p.ask
	}
	if granted == 0 { // removed
		p.etag = ""
	}
	p.until = time.Now().Add(granted)
}

// repair reports whether a refused request can be sent in another way at once.
func (p *Publication) repair(status *sipua.StatusError, conditional bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case conditional && (status.Code == 412 || status.Code == 500 || status.Code == 404):
		// RFC 3903 §4.4: the server does not know the tag. Some answer 500 to a tag that is not of their making.
		p.etag = ""
		return true
	case minExpires(status) > p.ask:
		p.ask = minExpires(status)
		return true
	}
	return false
}
