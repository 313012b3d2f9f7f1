package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/media"
	"offhook/internal/sipua"
)

// What is said of a key in an INFO. Both types are in use, and neither was ever registered.
const (
	typeDTMFRelay = "application/dtmf-relay"
	typeDTMF      = "application/dtmf"
)

const (
	keys = "0123456789*#ABCD"
	// infoPause is how long a comma waits, and infoGap how long there is between two keys sent by INFO.
	infoPause = time.Second
	infoGap   = 100 * time.Millisecond
)

// Digits presses keys: 0-9 * # A-D, and a comma for a pause of a second. They go as telephone events in the media
// (RFC 4733), or by INFO if the other side does not take those. It blocks until the last one is on its way.
func (c *AudioVideoCall) Digits(ctx context.Context, digits string) error {
	c.e.mu.Blocking()
	digits = strings.ToUpper(digits)
	if digits == "" || strings.Trim(digits, keys+",") != "" {
		return refuse("press", c.conv.peerURI(), KindConfig, "keys are 0-9 * # A-D, and a comma for a pause")
	}
	s, err := c.established("press")
	if err != nil {
		return err
	}
	if h := c.Info().Hold; h != HoldNone {
		return refuse("press", c.conv.peerURI(), KindState, "the call is on hold")
	}
	err = s.Digits(ctx, digits)
	if errors.Is(err, media.ErrNoDigits) {
		err = c.digitsByInfo(ctx, digits)
	}
	return fail("press", c.conv.peerURI(), err)
}

func (c *AudioVideoCall) digitsByInfo(ctx context.Context, digits string) error {
	c.e.mu.Lock()
	dlg := c.dialog
	c.e.mu.Unlock()
	for _, key := range digits {
		if key == ',' {
			if err := sleep(ctx, infoPause); err != nil {
				return err
			}
			continue
		}
		info := fmt.Sprintf("Signal=%c\r\nDuration=160\r\n", key)
		if _, err := dlg.Do(ctx, sip.INFO, typeDTMFRelay, []byte(info)); err != nil {
			return err
		}
		if err := sleep(ctx, infoGap); err != nil {
			return err
		}
	}
	return nil
}

// serveInfo takes a key that comes by INFO.
func (c *AudioVideoCall) serveInfo(req *sipua.Request) error {
	kind := ""
	if h := req.ContentType(); h != nil {
		kind, _, _ = strings.Cut(strings.ToLower(h.Value()), ";")
	}
	key := ""
	switch strings.TrimSpace(kind) {
	case typeDTMFRelay:
		for line := range strings.Lines(string(req.Body())) {
			name, value, _ := strings.Cut(line, "=")
			if strings.EqualFold(strings.TrimSpace(name), "Signal") {
				key = strings.TrimSpace(value)
			}
		}
	case typeDTMF:
		key = strings.TrimSpace(string(req.Body()))
	case "":
		return req.Respond(200, "OK") // it asks whether we are still there
	default:
		return req.Respond(415, "Unsupported Media Type", sip.NewHeader("Accept", typeDTMFRelay+", "+typeDTMF))
	}
	switch key { // the numbers of the events (RFC 4733 §3.2), as some write them
	case "10":
		key = "*"
	case "11":
		key = "#"
	}
	key = strings.ToUpper(key)
	if len(key) != 1 || !strings.Contains(keys, key) {
		return req.Respond(400, "Bad Request")
	}
	c.e.mu.Lock()
	c.e.publishLocked(CallDigit{Call: c.id, Conversation: c.conv.id, Digit: key})
	c.e.mu.Unlock()
	return req.Respond(200, "OK")
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
