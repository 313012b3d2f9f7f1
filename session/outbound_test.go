package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
	"offhook/internal/vnet"
	"offhook/session"
)

func header(msg interface{ GetHeader(string) sip.Header }, name string) string {
	if h := msg.GetHeader(name); h != nil {
		return h.Value()
	}
	return ""
}

// What the answer to the INVITE makes of the text that it carried.
func TestLadder(t *testing.T) {
	for _, c := range []struct {
		status int
		kind   session.Kind // "" means that the text goes by pager
	}{
		{486, ""},
		{480, ""},
		{488, ""},
		{415, ""},
		{405, ""},
		{408, ""},
		{500, ""},
		{503, ""},
		{606, ""},
		{600, ""},
		{487, ""},
		{404, session.KindNotFound},
		{410, session.KindNotFound},
		{604, session.KindNotFound},
		{403, session.KindAuth},
		{603, session.KindDeclined},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *vnet.Net) {
				alice := newPhone(t, n, "alice", "127.0.1.1")
				ids := make(chan string, 10)
				carol := newCaller(t, n, "carol", "127.0.3.1", func(_ *caller, inv *sipua.Invite) {
					ids <- header(inv.Request(), "Message-ID")
					_ = inv.Reject(c.status, "")
				})
				conv, _ := alice.Conversation(carol.uri)
				m, err := conv.Send(t.Context(), "hello")
				if c.kind != "" {
					var e *session.Error
					if !errors.As(err, &e) || e.Kind != c.kind || e.Code != c.status || m.Status != session.Failed || m.Error == "" {
						t.Errorf("%+v, %v", m, err)
					}
					if len(carol.messages) != 0 {
						t.Error("a pager message was sent after a final answer")
					}
					return
				}
				if err != nil || m.Status != session.Delivered || m.Toast || m.Call != "" {
					t.Errorf("%+v, %v", m, err)
				}
				if len(carol.messages) != 1 {
					t.Fatalf("%d pager messages", len(carol.messages))
				}
				req := <-carol.messages
				if id := <-ids; id != m.ID || header(req, "Message-ID") != id || string(req.Body()) != "hello" {
					t.Errorf("ids %q, %q; text %q", id, header(req, "Message-ID"), req.Body())
				}
			})
		})
	}
}

// serveDialog answers the texts of a session with 200 and returns them.
func serveDialog(dlg *sipua.Dialog, got chan<- *sipua.Request) {
	for dlg != nil {
		req, err := dlg.Next(context.Background())
		if err != nil {
			return
		}
		_ = req.Respond(200, "OK")
		got <- req
	}
}

func TestToastThatIsNotTakenIsSentAgain(t *testing.T) {
	for _, taken := range []bool{true, false} {
		inBubble(t, func(t *testing.T, n *vnet.Net) {
			alice := newPhone(t, n, "alice", "127.0.1.1")
			got := make(chan *sipua.Request, 10)
			carol := newCaller(t, n, "carol", "127.0.3.1", func(c *caller, inv *sipua.Invite) {
				serveDialog(c.accept(inv, taken), got)
			})
			conv, _ := alice.Conversation(carol.uri)
			m, err := conv.Send(t.Context(), "hello")
			if err != nil || m.Status != session.Delivered {
				t.Fatalf("%+v, %v", m, err)
			}
			if taken != (len(got) == 0) {
				t.Errorf("taken %v, and sent %d times in the session", taken, len(got))
			}
			if !taken {
				if req := <-got; header(req, "Message-ID") != m.ID || string(req.Body()) != "hello" {
					t.Errorf("sent again as %s", req)
				}
			}
		})
	}
}

// A session that is gone at the other end: the text goes by pager, with the same Message-ID, and the call ends.
func TestSessionGoneMidway(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice := newPhone(t, n, "alice", "127.0.1.1")
		ids := make(chan string, 1)
		carol := newCaller(t, n, "carol", "127.0.3.1", func(c *caller, inv *sipua.Invite) {
			req, err := c.accept(inv, true).Next(context.Background())
			if err != nil {
				return
			}
			ids <- header(req, "Message-ID")
			_ = req.Respond(481, "Call Does Not Exist")
		})
		conv, _ := alice.Conversation(carol.uri)
		if _, err := conv.Send(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		m, err := conv.Send(t.Context(), "two")
		if err != nil || m.Status != session.Delivered {
			t.Fatalf("%+v, %v", m, err)
		}
		if req := <-carol.messages; header(req, "Message-ID") != m.ID || <-ids != m.ID {
			t.Error("the text went by pager under another Message-ID")
		}
		time.Sleep(10 * time.Second)
		if conv.IM() != nil || conv.State() != session.ConversationInactive {
			t.Errorf("call %v, conversation %s", conv.IM(), conv.State())
		}
	})
}

// The peer's machine dies in the middle of a session. Nothing is lost once it is back.
func TestPeerDiesMidway(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice, bob := newPhone(t, n, "alice", "127.0.1.1"), newPhone(t, n, "bob", "127.0.2.1")
		alice.send(bob, "one")
		n.Cut(host("127.0.2.1"))
		conv, _ := alice.Conversation(bob.addr)
		done := make(chan session.Message)
		go func() {
			m, _ := conv.Send(t.Context(), "two")
			done <- m
		}()
		time.Sleep(40 * time.Second) // the MESSAGE in the session has timed out, the pager is on its way
		n.Heal(host("127.0.2.1"))
		if m := <-done; m.Status != session.Delivered {
			t.Errorf("%+v", m)
		}
		if got := bob.texts(); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("bob got %q", got)
		}
	})
}

// Texts keep their order, each arrives once, whatever the network loses or doubles.
func TestManyTextsOverABadNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := vnet.New(vnet.Seed(7))
		n.Default(vnet.Link{Delay: 20 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: 0.15, Duplicate: 0.1})
		alice, bob := newPhone(t, n, "alice", "127.0.1.1"), newPhone(t, n, "bob", "127.0.2.1")
		conv, _ := alice.Conversation(bob.addr)
		var want []string
		var wg sync.WaitGroup
		for i := range 50 {
			text := fmt.Sprint("text ", i)
			want = append(want, text)
			wg.Go(func() {
				if _, err := conv.Send(t.Context(), text); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // the queue's order is that of the Sends
		}
		wg.Wait()
		if got := bob.texts(); !slices.Equal(got, want) {
			t.Errorf("bob got %q", got)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice := newPhone(t, n, "alice", "127.0.1.1")
		conv, _ := alice.Conversation("sip:nobody@127.0.9.9:5062")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() { _, _ = conv.Send(ctx, "hello") })
			synctest.Wait()
		}
		var e *session.Error
		if _, err := conv.Send(ctx, "one too many"); !errors.As(err, &e) || e.Kind != session.KindBusy {
			t.Errorf("got %v", err)
		}
		cancel()
		wg.Wait()
		for _, m := range eventsOf[session.MessageChanged](alice)[64:] {
			if m.Status != session.Failed {
				t.Errorf("%+v", m)
			}
		}
	})
}

func TestTextsThatCannotBeSent(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice := newPhone(t, n, "alice", "127.0.1.1")
		conv, _ := alice.Conversation("bob@127.0.2.1")
		for _, text := range []string{"", "  \n", "\xff", strings.Repeat("x", 60<<10+1)} {
			var e *session.Error
			if _, err := conv.Send(t.Context(), text); !errors.As(err, &e) || e.Kind != session.KindUnsupported {
				t.Errorf("%.10q: %v", text, err)
			}
		}
		if len(eventsOf[session.MessageChanged](alice)) != 0 {
			t.Error("what cannot be sent is on record")
		}
	})
}

// Both sides call at the same moment: both texts arrive, and one session is left, the same at both ends.
func TestBothCallAtOnce(t *testing.T) {
	for skew := range 6 {
		inBubble(t, func(t *testing.T, n *vnet.Net) {
			alice, bob := newPhone(t, n, "alice", "127.0.1.1"), newPhone(t, n, "bob", "127.0.2.1")
			var wg sync.WaitGroup
			wg.Go(func() { alice.send(bob, "from alice") })
			wg.Go(func() {
				time.Sleep(time.Duration(skew) * time.Millisecond)
				bob.send(alice, "from bob")
			})
			wg.Wait()
			time.Sleep(10 * time.Second)
			if got := bob.texts(); !slices.Equal(got, []string{"from alice"}) {
				t.Errorf("skew %d ms: bob got %q", skew, got)
			}
			if got := alice.texts(); !slices.Equal(got, []string{"from bob"}) {
				t.Errorf("skew %d ms: alice got %q", skew, got)
			}
			for _, p := range []*phone{alice, bob} {
				if calls := p.Snapshot().Calls; len(calls) != 1 || calls[0].State != session.Established {
					t.Errorf("skew %d ms: %+v", skew, calls)
				}
			}
			alice.send(bob, "still there?")
			bob.send(alice, "yes")
		})
	}
}

// There are never two Established calls in one conversation, not even for a moment.
func TestOneSessionAConversation(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice, bob := newPhone(t, n, "alice", "127.0.1.1"), newPhone(t, n, "bob", "127.0.2.1")
		alice.send(bob, "one")
		conv, _ := alice.Conversation(bob.addr)
		second := conv.NewIM()
		if err := second.Establish(t.Context(), session.EstablishOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		for _, p := range []*phone{alice, bob} {
			up := map[string]bool{}
			for _, ev := range eventsOf[session.CallStateChanged](p) {
				delete(up, ev.Call)
				if ev.State == session.Established {
					up[ev.Call] = true
				}
				if len(up) > 1 {
					t.Errorf("two sessions at once: %v", up)
				}
			}
			if len(p.Snapshot().Calls) != 1 {
				t.Errorf("calls %+v", p.Snapshot().Calls)
			}
		}
	})
}

func TestRingingIsToldOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice := newPhone(t, n, "alice", "127.0.1.1")
		carol := newCaller(t, n, "carol", "127.0.3.1", func(c *caller, inv *sipua.Invite) {
			_ = inv.Ringing()
			time.Sleep(time.Second)
			_ = inv.Ringing()
			time.Sleep(time.Second)
			c.accept(inv, true)
		})
		conv, _ := alice.Conversation(carol.uri)
		im := conv.NewIM()
		if err := im.Establish(t.Context(), session.EstablishOptions{Toast: &session.ToastMessage{Text: "hello"}}); err != nil {
			t.Fatal(err)
		}
		if n := len(eventsOf[session.CallRinging](alice)); n != 1 {
			t.Errorf("ringing was told %d times", n)
		}
		if err := im.Establish(t.Context(), session.EstablishOptions{}); err == nil {
			t.Error("established twice")
		}
	})
}

func TestTerminateWhileRinging(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice := newPhone(t, n, "alice", "127.0.1.1")
		canceled := make(chan struct{})
		carol := newCaller(t, n, "carol", "127.0.3.1", func(_ *caller, inv *sipua.Invite) {
			_ = inv.Ringing()
			<-inv.Canceled()
			close(canceled)
		})
		conv, _ := alice.Conversation(carol.uri)
		im := conv.NewIM()
		failed := make(chan error, 1)
		go func() { failed <- im.Establish(t.Context(), session.EstablishOptions{}) }()
		time.Sleep(time.Second)
		if err := im.Terminate(t.Context()); err != nil || im.State() != session.Terminated {
			t.Errorf("%v, %s", err, im.State())
		}
		if <-failed == nil {
			t.Error("Establish knows nothing of it")
		}
		<-canceled
	})
}

func TestEndOfConversationEndsItsCalls(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice, bob := newPhone(t, n, "alice", "127.0.1.1"), newPhone(t, n, "bob", "127.0.2.1")
		alice.send(bob, "one")
		conv, _ := alice.Conversation(bob.addr)
		idle := conv.NewIM()
		if err := conv.End(t.Context()); err != nil {
			t.Fatal(err)
		}
		if conv.State() != session.ConversationTerminated || idle.State() != session.Terminated || len(alice.Snapshot().Calls) != 0 {
			t.Errorf("%s, %s, %+v", conv.State(), idle.State(), alice.Snapshot().Calls)
		}
		if _, err := conv.Send(t.Context(), "too late"); err == nil {
			t.Error("a text was sent in a conversation that has ended")
		}
		if ok, why := conv.Can("send"); ok || why == "" {
			t.Errorf("send is possible, %q", why)
		}
		again, _ := alice.Conversation(bob.addr)
		if again == conv || again.State() != session.ConversationInactive {
			t.Error("there is no new conversation with the same peer")
		}
		time.Sleep(time.Second)
		if calls := bob.Snapshot().Calls; len(calls) != 0 {
			t.Errorf("bob still has %+v", calls)
		}
	})
}

func TestTransfer(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice, bob := newPhone(t, n, "alice", "127.0.1.1"), newPhone(t, n, "bob", "127.0.2.1")
		dave := newPhone(t, n, "dave", "127.0.4.1")
		alice.send(bob, "you want dave")
		conv, _ := alice.Conversation(bob.addr)
		im := conv.IM()
		if err := im.Transfer(t.Context(), "sip:nobody@127.0.4.1:5099"); err == nil || im.State() != session.Established {
			t.Errorf("a transfer to nobody: %v, %s", err, im.State())
		}
		if err := im.Transfer(t.Context(), dave.addr); err != nil || im.State() != session.Terminated {
			t.Errorf("%v, %s", err, im.State())
		}
		time.Sleep(time.Second)
		to, _ := bob.Conversation(dave.addr)
		if to.IM() == nil || to.IM().State() != session.Established {
			t.Error("bob has no session with dave")
		}
		bob.send(dave, "hello dave")
		if got := dave.texts(); !slices.Equal(got, []string{"hello dave"}) {
			t.Errorf("dave got %q", got)
		}
	})
}

// Closing with a peer that is gone takes no longer than it may.
func TestCloseIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice, bob := newPhone(t, n, "alice", "127.0.1.1"), newPhone(t, n, "bob", "127.0.2.1")
		alice.send(bob, "one")
		n.Cut(host("127.0.2.1"))
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := alice.Close(ctx); err != nil || time.Since(began) > 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := alice.Close(ctx); err != nil {
			t.Errorf("closed again: %v", err)
		}
		conv, _ := alice.Conversation(bob.addr)
		if _, err := conv.Send(t.Context(), "too late"); err == nil {
			t.Error("a closed endpoint sends")
		}
	})
}
