package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"offhook/internal/fsm"
	"offhook/internal/sipua"
)

func TestEveryKindHasMessageAndHint(t *testing.T) {
	seen := map[Kind]bool{}
	for _, k := range kinds {
		if k.message == "" || k.hint == "" {
			t.Errorf("%s has no message or no hint", k.kind)
		}
		if strings.HasSuffix(k.message, ".") || strings.HasSuffix(k.hint, ".") || strings.ToLower(k.message[:1]) != k.message[:1] {
			t.Errorf("%s is not in the form of an error: %q, %q", k.kind, k.message, k.hint)
		}
		if seen[k.kind] {
			t.Errorf("%s is there twice", k.kind)
		}
		seen[k.kind] = true
	}
	if len(Kinds()) != len(kinds) {
		t.Error("Kinds does not list all kinds")
	}
}

func TestEveryStatusHasAKind(t *testing.T) {
	known := map[Kind]bool{}
	for _, k := range kinds {
		known[k.kind] = true
	}
	for code := 300; code < 700; code++ {
		if k := kindOfStatus(code); !known[k] {
			t.Errorf("%d is of kind %q, which is none", code, k)
		}
	}
	for code, want := range map[int]Kind{
		404: KindNotFound, 604: KindNotFound, 486: KindBusy, 600: KindBusy, 603: KindDeclined, 480: KindUnavailable,
		408: KindTimeout, 503: KindUnreachable, 401: KindAuth, 407: KindAuth, 403: KindAuth, 488: KindUnsupported,
		481: KindGone, 302: KindNotFound, 499: KindUnsupported, 599: KindUnavailable, 699: KindDeclined,
	} {
		if got := kindOfStatus(code); got != want {
			t.Errorf("%d is of kind %s, want %s", code, got, want)
		}
	}
}

func TestFailClassifies(t *testing.T) {
	for _, c := range []struct {
		err  error
		kind Kind
		code int
	}{
		{&sipua.StatusError{Code: 486}, KindBusy, 486},
		{fmt.Errorf("wrapped: %w", sipua.ErrTimeout), KindTimeout, 0},
		{sipua.ErrUnreachable, KindUnreachable, 0},
		{sipua.ErrTLS, KindTLS, 0},
		{sipua.ErrDialogGone, KindGone, 0},
		{&sipua.EndError{Remote: true}, KindGone, 0},
		{&fsm.Error{State: "Established", Input: "Accept"}, KindState, 0},
		{context.DeadlineExceeded, KindTimeout, 0},
		{context.Canceled, KindState, 0},
		{errClosing, KindState, 0},
		{errNoAnswer, KindTimeout, 0},
		{errors.New("anything"), KindInternal, 0},
	} {
		var e *Error
		if !errors.As(fail("send", "sip:bob@example.org", c.err), &e) || e.Kind != c.kind || e.Code != c.code {
			t.Errorf("%v became %+v, want %s %d", c.err, e, c.kind, c.code)
			continue
		}
		if !errors.Is(e, c.err) {
			t.Errorf("%v is not in %v", c.err, e)
		}
		if e.Hint() == "" || !strings.Contains(e.Error(), "send sip:bob@example.org: ") {
			t.Errorf("%q with hint %q", e.Error(), e.Hint())
		}
	}
	if fail("send", "", nil) != nil {
		t.Error("no error became one")
	}
	inner := fail("accept", "", sipua.ErrTimeout)
	if got := fail("send", "", inner); got != inner {
		t.Error("an *Error was wrapped again")
	}
}

// A person who cancels has no use for the words of the language this program is written in.
func TestCanceledErrorText(t *testing.T) {
	err := &Error{Op: "send", Peer: "sip:bob@example.test", Kind: KindState, Err: context.Canceled}
	if got, want := err.Error(), "send sip:bob@example.test: canceled"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
