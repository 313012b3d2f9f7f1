package session_test

import (
	"slices"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
	"offhook/internal/vnet"
	"offhook/session"
)

// typing lists what p was told of its peer's typing.
func (p *phone) typing() []bool {
	var out []bool
	for _, c := range eventsOf[session.Composing](p) {
		out = append(out, c.Active)
	}
	return out
}

// RFC 3994 §3.2, the sender's and the receiver's timers.
func TestComposing(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice, bob := newPhone(t, n, "alice", "127.0.1.1"), newPhone(t, n, "bob", "127.0.2.1")
		alice.send(bob, "hello")
		conv, _ := alice.Conversation(bob.addr)

		conv.Compose(true)
		time.Sleep(time.Second)
		if got := bob.typing(); !slices.Equal(got, []bool{true}) {
			t.Fatalf("typing: %v", got)
		}
		if !bob.Snapshot().Conversations[0].Composing {
			t.Error("the snapshot knows nothing of it")
		}
		time.Sleep(13 * time.Second)
		conv.Compose(true) // a key press; the 15 s begin anew
		time.Sleep(14 * time.Second)
		if got := bob.typing(); !slices.Equal(got, []bool{true}) {
			t.Errorf("stopped too early: %v", got)
		}
		time.Sleep(2 * time.Second)
		if got := bob.typing(); !slices.Equal(got, []bool{true, false}) {
			t.Errorf("15 s after the last key: %v", got)
		}

		for what, stop := range map[string]func(){
			"the text":     func() { alice.send(bob, "a text says that its writing has ended") },
			"the clearing": func() { conv.Compose(false) },
		} {
			conv.Compose(true)
			time.Sleep(time.Second)
			if got := bob.typing(); !got[len(got)-1] {
				t.Errorf("before %s: %v", what, got)
			}
			stop()
			time.Sleep(time.Second)
			if got := bob.typing(); got[len(got)-1] {
				t.Errorf("after %s: %v", what, got)
			}
		}
	})
}

// Who goes on typing says so again, before the receiver gives up; who vanishes stops typing there.
func TestComposingRefreshAndExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice, bob := newPhone(t, n, "alice", "127.0.1.1"), newPhone(t, n, "bob", "127.0.2.1")
		alice.send(bob, "hello")
		conv, _ := alice.Conversation(bob.addr)
		for range 20 { // 200 s
			conv.Compose(true)
			time.Sleep(10 * time.Second)
			bob.told() // or the hub would keep the newest only
		}
		if got := bob.typing(); !slices.Equal(got, []bool{true}) {
			t.Errorf("typing on for 200 s: %v", got)
		}
		n.Cut(host("127.0.1.1"))
		time.Sleep(3 * time.Minute)
		if got := bob.typing(); !slices.Equal(got, []bool{true, false}) {
			t.Errorf("after the typist has vanished: %v", got)
		}
		n.Heal(host("127.0.1.1"))
	})
}

// OCS tells typing in another form, and is told in that form.
func TestKeyboardActivity(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice := newPhone(t, n, "alice", "127.0.1.1")
		got := make(chan *sipua.Request, 10)
		dialogs := make(chan *sipua.Dialog, 1)
		carol := newCaller(t, n, "carol", "127.0.3.1", func(c *caller, inv *sipua.Invite) {
			answer := "v=0\r\no=- 0 0 IN IP4 127.0.3.1\r\ns=session\r\nc=IN IP4 127.0.3.1\r\nt=0 0\r\n" +
				"m=message 5060 sip sip:carol@127.0.3.1\r\na=accept-types:text/plain text/html\r\n"
			dlg, err := inv.Answer(t.Context(), body.TypeSDP, []byte(answer), sip.NewHeader("Supported", "ms-sender, ms-text-format"))
			if err != nil {
				return
			}
			dialogs <- dlg
			serveDialog(dlg, got)
		})
		conv, _ := alice.Conversation(carol.uri)
		if _, err := conv.Send(t.Context(), "hello"); err != nil {
			t.Fatal(err)
		}
		conv.Compose(true)
		req := <-got
		if typing, err := body.ParseKeyboardActivity(req.Body()); req.Method != sip.INFO || err != nil || !typing {
			t.Errorf("told %s %q", req.Method, req.Body())
		}
		dlg := <-dialogs
		if _, err := dlg.Do(t.Context(), sip.INFO, "application/xml", body.MarshalKeyboardActivity(true)); err != nil {
			t.Error(err)
		}
		if got := alice.typing(); !slices.Equal(got, []bool{true}) {
			t.Errorf("typing: %v", got)
		}
		if _, err := dlg.Do(t.Context(), sip.MESSAGE, "text/html", []byte("<b>no</b>")); statusOf(err) != 415 {
			t.Errorf("html: %v", err)
		}
		alternative := "--x\r\nContent-Type: text/html\r\n\r\n<b>hi</b>\r\n--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x--\r\n"
		if _, err := dlg.Do(t.Context(), sip.MESSAGE, "multipart/alternative; boundary=x", []byte(alternative)); err != nil {
			t.Error(err)
		}
		if got := alice.texts(); !slices.Equal(got, []string{"hi"}) {
			t.Errorf("texts %q", got)
		}
	})
}
