package session_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
	"offhook/internal/vnet"
	"offhook/session"
)

// offered makes a call to bob that shows a toast, and returns it.
func offered(t *testing.T, n *vnet.Net, headers ...sip.Header) (bob *phone, carol *caller, o *outgoing, im *session.InstantMessagingCall) {
	t.Helper()
	bob, carol = newPhone(t, n, "bob", "127.0.2.1"), newCaller(t, n, "carol", "127.0.3.1", nil)
	o = carol.invite(t.Context(), bob, append([]sip.Header{manual, toastHeader("hello")}, headers...)...)
	time.Sleep(time.Second)
	shown := eventsOf[session.ToastShown](bob)
	if len(shown) != 1 || shown[0].Text != "hello" || shown[0].From.URI != carol.uri {
		t.Fatalf("toasts: %+v", shown)
	}
	call, _ := bob.FindToast(shown[0].Toast)
	im, ok := call.(*session.InstantMessagingCall)
	if !ok || im.State() != session.Incoming {
		t.Fatalf("the toast offers no call: %v", call)
	}
	if toast, ok := im.Toast(); !ok || toast.Text != "hello" || toast.ContentType != "text/plain" {
		t.Errorf("toast message %+v", toast)
	}
	return bob, carol, o, im
}

func (p *phone) closedToast() string {
	closed := eventsOf[session.ToastClosed](p)
	if len(closed) != 1 {
		return "not closed once"
	}
	return closed[0].Reason
}

func TestAcceptByClick(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		bob, _, o, im := offered(t, n)
		if err := im.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		if o.status() != 200 || im.State() != session.Established {
			t.Errorf("status %d, state %s", o.status(), im.State())
		}
		if got := bob.closedToast(); got != "accepted" {
			t.Errorf("toast closed as %s", got)
		}
		if len(eventsOf[session.AutoAccept](bob)) != 0 {
			t.Error("AutoAcceptNeeded was raised although the user clicked")
		}
		tags := ""
		for _, h := range o.res.GetHeaders("Supported") {
			tags += h.Value() + ","
		}
		if !strings.Contains(tags, "ms-text-format") {
			t.Errorf("the 200 does not say that the toast was taken: %s", tags)
		}
		var e *session.Error
		if err := im.Accept(t.Context()); !errors.As(err, &e) || e.Kind != session.KindState {
			t.Errorf("accepted twice: %v", err)
		}
		if err := im.Terminate(t.Context()); err != nil || im.State() != session.Terminated {
			t.Errorf("terminate: %v, %s", err, im.State())
		}
		<-o.dlg.Done()
	})
}

func TestDeclineAndForward(t *testing.T) {
	for _, c := range []struct {
		name   string
		act    func(*session.InstantMessagingCall) error
		status int
		reason string
	}{
		{"here", func(im *session.InstantMessagingCall) error { return im.Decline(context.Background(), false) }, 486, "declined"},
		{"everywhere", func(im *session.InstantMessagingCall) error { return im.Decline(context.Background(), true) }, 603, "declined"},
		{"forward", func(im *session.InstantMessagingCall) error {
			return im.Forward(context.Background(), "sip:dave@127.0.4.1:5062")
		}, 302, "declined"},
		{"terminate", func(im *session.InstantMessagingCall) error { return im.Terminate(context.Background()) }, 480, "dismissed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *vnet.Net) {
				bob, _, o, im := offered(t, n)
				if err := c.act(im); err != nil {
					t.Fatal(err)
				}
				if o.status() != c.status || im.State() != session.Terminated {
					t.Errorf("status %d, state %s", o.status(), im.State())
				}
				if got := bob.closedToast(); got != c.reason {
					t.Errorf("toast closed as %s", got)
				}
				if len(bob.Snapshot().Calls) != 0 {
					t.Error("the call is still listed")
				}
			})
		})
	}
}

func TestDismissLeavesTheCall(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		bob, _, o, im := offered(t, n)
		if err := im.Dismiss(); err != nil {
			t.Fatal(err)
		}
		if im.State() != session.Incoming || bob.closedToast() != "dismissed" {
			t.Errorf("state %s, toast %s", im.State(), bob.closedToast())
		}
		if err := im.Dismiss(); err == nil {
			t.Error("dismissed twice")
		}
		if o.status() != 403 { // RFC 5373: nobody has answered in time, and nothing but a person may
			t.Errorf("status %d", o.status())
		}
	})
}

func TestCallerGivesUp(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		bob, carol := newPhone(t, n, "bob", "127.0.2.1"), newCaller(t, n, "carol", "127.0.3.1", nil)
		ctx, cancel := context.WithCancel(t.Context())
		o := carol.invite(ctx, bob, manual, toastHeader("are you there?"))
		time.Sleep(3 * time.Second)
		cancel()
		<-o.done
		time.Sleep(time.Second)
		if got := bob.closedToast(); got != "canceled" {
			t.Errorf("toast closed as %s", got)
		}
		messages := eventsOf[session.MessageChanged](bob)
		if last := messages[len(messages)-1]; !last.Missed || last.Elsewhere {
			t.Errorf("the text is not missed: %+v", last)
		}
		c, _ := bob.Conversation(carol.uri)
		c.Read()
		messages = eventsOf[session.MessageChanged](bob)
		if last := messages[len(messages)-1]; last.Missed {
			t.Errorf("the text is missed after it has been read: %+v", last)
		}
		if info := bob.Snapshot().Conversations[0]; info.Unread != 0 {
			t.Errorf("unread: %+v", info)
		}
	})
}

func TestSendingAccepts(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		bob, carol, o, im := offered(t, n)
		c, _ := bob.Conversation(carol.uri)
		go func() {
			<-o.done
			for {
				req, err := o.dlg.Next(context.Background())
				if err != nil {
					return
				}
				_ = req.Respond(200, "OK")
			}
		}()
		m, err := c.Send(t.Context(), "I am")
		if err != nil || m.Status != session.Delivered || m.Call != im.ID() {
			t.Errorf("%+v, %v", m, err)
		}
		if bob.closedToast() != "accepted" {
			t.Error("sending did not accept")
		}
	})
}

func TestTypingAccepts(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		bob, carol, o, _ := offered(t, n)
		c, _ := bob.Conversation(carol.uri)
		c.Compose(true)
		if o.status() != 200 || bob.closedToast() != "accepted" {
			t.Errorf("typing did not accept: %d", o.status())
		}
	})
}

func TestDoNotDisturb(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		bob, carol := newPhone(t, n, "bob", "127.0.2.1"), newCaller(t, n, "carol", "127.0.3.1", nil)
		if err := bob.SetPresence(t.Context(), "dnd", "in a meeting"); err != nil {
			t.Fatal(err)
		}
		if o := carol.invite(t.Context(), bob, toastHeader("urgent")); o.status() != 486 {
			t.Errorf("status %d", o.status())
		}
		if len(eventsOf[session.ToastShown](bob)) != 0 {
			t.Error("a toast disturbs")
		}
		messages := eventsOf[session.MessageChanged](bob)
		if len(messages) != 1 || messages[0].Text != "urgent" || !messages[0].Missed {
			t.Errorf("messages %+v", messages)
		}
	})
}

// Whatever comes over the network, what is shown is harmless.
func TestHostileToast(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		bob, carol := newPhone(t, n, "bob", "127.0.2.1"), newCaller(t, n, "carol", "127.0.3.1", nil)
		for _, text := range []string{
			"\x1b]52;c;cm0gLXJm\x07hi\x1b[2J", "abc\u202etxt.exe", "\xff\xfe broken", "<b onclick=x>html</b>", "a\rb\x00c\u0085",
			strings.Repeat("long ", 1000),
		} {
			o := carol.invite(t.Context(), bob, manual, toastHeader(text))
			time.Sleep(time.Second)
			shown := eventsOf[session.ToastShown](bob)
			got := shown[len(shown)-1].Text
			if i := strings.IndexFunc(got, func(r rune) bool {
				return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == '\u202e'
			}); i >= 0 || len(got) > 4200 {
				t.Errorf("%q shows %q", text, got)
			}
			im, _ := bob.FindToast(shown[len(shown)-1].Toast)
			if err := im.Decline(t.Context(), false); err != nil {
				t.Error(err)
			}
			<-o.done
		}
	})
}

func TestRefusedInvitations(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		bob, carol := newPhone(t, n, "bob", "127.0.2.1"), newCaller(t, n, "carol", "127.0.3.1", nil)
		for _, c := range []struct {
			contentType, body string
			status            int
		}{
			{"application/sdp", "v=0\r\no=- 0 0 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n", 488},
			{"application/sdp", "m=nonsense\r\n", 400},
			{"text/html", "<p>", 415},
			{"multipart/mixed;boundary=b", "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n", 415},
			{"", "", 488},
		} {
			_, _, err := carol.Invite(t.Context(), sipua.InviteOptions{
				Target: parse(t, bob.addr), ContentType: c.contentType, Body: []byte(c.body),
			})
			var refused *sipua.StatusError
			if !errors.As(err, &refused) || refused.Code != c.status {
				t.Errorf("%s %q: %v, want %d", c.contentType, c.body, err, c.status)
			}
		}
		if calls := bob.Snapshot().Calls; len(calls) != 0 {
			t.Errorf("calls were left: %+v", calls)
		}
	})
}

// A text part beside the session description is a toast too (RFC 5621).
func TestToastInMultipart(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		bob, carol := newPhone(t, n, "bob", "127.0.2.1"), newCaller(t, n, "carol", "127.0.3.1", nil)
		mixed := "--b\r\nContent-Type: application/sdp\r\n\r\n" + string(messages.Marshal()) +
			"\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Disposition: render\r\n\r\ngr\xfc\xdfe\r\n--b--\r\n"
		_, _, err := carol.Invite(t.Context(), sipua.InviteOptions{
			Target: parse(t, bob.addr), ContentType: "multipart/mixed;boundary=b", Body: []byte(mixed),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := bob.texts(); !slices.Equal(got, []string{"grüße"}) {
			t.Errorf("texts %q", got)
		}
	})
}

// Click and CANCEL in the same millisecond: one of them wins, and everybody agrees which.
func TestClickRacesCancel(t *testing.T) {
	for shift := -3; shift <= 3; shift++ {
		inBubble(t, func(t *testing.T, n *vnet.Net) {
			bob, carol := newPhone(t, n, "bob", "127.0.2.1"), newCaller(t, n, "carol", "127.0.3.1", nil)
			ctx, cancel := context.WithCancel(t.Context())
			o := carol.invite(ctx, bob, manual, toastHeader("race"))
			time.Sleep(time.Second)
			im, _ := bob.FindToast(eventsOf[session.ToastShown](bob)[0].Toast)
			go func() {
				time.Sleep(10 * time.Millisecond)
				cancel()
			}()
			time.Sleep(time.Duration(10+shift) * time.Millisecond)
			err := im.Accept(t.Context())
			<-o.done
			time.Sleep(40 * time.Second) // BYE of a 2xx that crossed the CANCEL
			synctest.Wait()
			want := session.Terminated
			if o.err == nil { // the 200 was there before the caller lost patience
				want = session.Established
			}
			if im.State() != want {
				t.Errorf("shift %d: state %s, the caller has %v, accept said %v", shift, im.State(), o.err, err)
			}
			if got := bob.closedToast(); got != "accepted" && got != "canceled" {
				t.Errorf("shift %d: toast closed as %s", shift, got)
			}
		})
	}
}
