package sipua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
)

func TestAgentNeedsAnAddress(t *testing.T) {
	s := loopback(t, StackConfig{}, "udp")
	for _, aor := range []sip.Uri{{}, {Scheme: "sip", Host: "x"}, {Scheme: "tel", User: "1", Host: "x"}} {
		if _, err := NewAgent(AgentConfig{Stack: s, AOR: aor}); err == nil {
			t.Errorf("%s was taken", aor.String())
		}
	}
	if _, err := NewAgent(AgentConfig{AOR: at(bobHost)}); err == nil {
		t.Error("no stack was taken")
	}
}

func TestNewRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice := w.agent("alice", aliceHost, server(serverHost), func(c *AgentConfig) {
			c.DisplayName = "Alice \"A\"\r\nX-Injected: yes"
			c.Supported = []string{"replaces", "timer"}
		})
		target := at(bobHost)
		target.Headers = sip.HeaderParams{{K: "Subject", V: "x"}}
		inv := alice.NewRequest(sip.INVITE, target)
		inv.SetBody(nil)
		text := inv.String()
		if strings.Contains(text, "\nX-Injected") || strings.Contains(text, "Subject") || !canLeave(inv) {
			t.Errorf("%s", text)
		}
		if inv.Contact() == nil || inv.Route().Address.Host != serverHost || !hasToken(inv, "supported", "replaces") ||
			strings.Count(inv.GetHeader("Supported").Value(), "timer") != 1 {
			t.Errorf("%s", text)
		}
		if msg := alice.NewRequest(sip.MESSAGE, target); msg.Contact() != nil { // RFC 3428 §4
			t.Error("a MESSAGE has a Contact")
		}
	})
}

func TestSecretsDoNotPrint(t *testing.T) {
	s := Secret("hunter2")
	var b strings.Builder
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "secret", s, "in", struct{ P Secret }{s})
	for _, text := range []string{b.String(), fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("printed: %s", text)
		}
	}
}

// Close leaves nothing running, whatever was going on. The bubble fails if a goroutine is left.
func TestCloseInTheMiddle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, alice, bob := pair(t)
		a, b := call(t, alice, bob)
		ringing := alice.calling(context.Background(), inviteTo(bobHost))
		inv := within(t, bob.invites, time.Second, "INVITE")
		_ = inv.Ringing()
		silent := w.peer(peerHost)
		waiting := bob.calling(context.Background(), inviteTo(peerHost))
		silent.request(sip.INVITE, time.Second)
		sending := make(chan error, 1)
		go func() { _, err := a.Do(context.Background(), sip.MESSAGE, "text/plain", []byte("x")); sending <- err }()
		time.Sleep(100 * time.Millisecond)
		_ = alice.Close()
		_ = bob.Close()
		for _, c := range []<-chan outcome{ringing, waiting} {
			if o := within(t, c, time.Second, "Invite"); o.err == nil {
				t.Error("an INVITE succeeded")
			}
		}
		if err := within(t, sending, time.Second, "Do"); err == nil {
			t.Error("a MESSAGE was answered by nobody")
		}
		for _, d := range []*Dialog{a, b} {
			if !errors.Is(d.End(), ErrClosed) {
				t.Error(d.End())
			}
		}
		if _, _, err := alice.Invite(context.Background(), inviteTo(bobHost)); !errors.Is(err, ErrClosed) {
			t.Errorf("Invite after Close: %v", err)
		}
	})
}

// Two calls between the same two do not mix.
func TestTwoDialogs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, alice, bob := pair(t)
		a1, b1 := call(t, alice, bob)
		a2, b2 := call(t, bob, alice)
		for _, p := range [][2]*Dialog{{a1, b1}, {b2, a2}, {a2, b2}, {b1, a1}} {
			text := fmt.Sprintf("for %v", p[1].ID())
			go func() { _, _ = p[0].Do(t.Context(), sip.MESSAGE, "text/plain", []byte(text)) }()
			if got := read(t, p[1], 1); got[0] != text {
				t.Errorf("got %q, want %q", got[0], text)
			}
		}
		_ = a1.Bye(t.Context(), "")
		if a2.End() != nil || b2.End() != nil {
			t.Error("the other call has ended")
		}
	})
}

// A server with two addresses: the second serves when the first is silent, busy (503), or there is none (RFC 3263 §4.3).
func TestNextAddressIsTried(t *testing.T) {
	for _, first := range []string{"silent", "busy"} {
		t.Run(first, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				one, two := w.peer("10.0.0.21"), w.peer("10.0.0.22")
				alice := w.agentOn(w.stack(aliceHost, func(c *StackConfig) {
					c.Resolver = hostTable{"example.net": {netip.MustParseAddr("10.0.0.21"), netip.MustParseAddr("10.0.0.22")}}
				}), "alice")
				out := make(chan outcome, 1)
				go func() {
					res, err := alice.Do(t.Context(), alice.NewRequest(sip.MESSAGE, sip.Uri{Scheme: "sip", Host: "example.net"}))
					out <- outcome{res: res, err: err}
				}()
				req := one.request(sip.MESSAGE, time.Second)
				if first == "busy" {
					one.reply(req, 503, "t")
				}
				two.reply(two.request(sip.MESSAGE, time.Minute), 200, "t")
				if o := within(t, out, time.Second, "Do"); o.err != nil {
					t.Error(o.err)
				}
			})
		})
	}
}

// A lossy, slow, duplicating network: calls and messages come through, each once and in order.
func TestLossyCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, alice, bob := pair(t)
		link := linkDelay(20 * time.Millisecond)
		link.Loss, link.Duplicate, link.Jitter = 0.15, 0.15, 30*time.Millisecond
		w.net.Default(link)
		for n := range 10 {
			out := alice.calling(t.Context(), inviteTo(bobHost))
			in := answering(t.Context(), within(t, bob.invites, time.Minute, "INVITE"))
			o, i := within(t, out, time.Minute, "2xx"), within(t, in, time.Minute, "ACK")
			if o.err != nil || i.err != nil {
				t.Fatal(n, o.err, i.err)
			}
			got := make(chan []string, 1)
			go func() { got <- read(t, i.dialog, 10) }()
			var want []string
			for k := range 10 {
				want = append(want, fmt.Sprint(n, "/", k))
				if _, err := o.dialog.Do(t.Context(), sip.MESSAGE, "text/plain", []byte(want[k])); err != nil {
					t.Fatal(n, k, err)
				}
			}
			if texts := within(t, got, time.Minute, "texts"); strings.Join(texts, " ") != strings.Join(want, " ") {
				t.Errorf("got %v", texts)
			}
			if err := i.dialog.Bye(t.Context(), ""); err != nil {
				t.Error(err)
			}
			within(t, o.dialog.Done(), time.Minute, "BYE")
		}
		if len(bob.invites) != 0 {
			t.Errorf("%d INVITEs came twice", len(bob.invites))
		}
	})
}
