package session_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"offhook/internal/sipua"
	"offhook/session"
)

// Over real sockets a long text moves from UDP to TCP by itself (RFC 3261 §18.1.1).
func TestLongTextOverLoopback(t *testing.T) {
	start := func(user string) (*session.Endpoint, string) {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := free.Addr().String()
		if err := free.Close(); err != nil {
			t.Fatal(err)
		}
		e, err := session.New(session.Config{
			AOR: "sip:" + user + "@" + addr, NoRegister: true, NoPublish: true,
			Listen: []sipua.Listener{{Network: "udp", Address: addr}, {Network: "tcp", Address: addr}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := e.Close(ctx); err != nil {
				t.Error(err)
			}
		})
		return e, "sip:" + user + "@" + addr
	}
	alice, _ := start("alice")
	bob, at := start("bob")
	reader := bob.Subscribe("test")
	conv, err := alice.Conversation(at)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0123456789", 5000)
	for _, text := range []string{"short", text} {
		if m, err := conv.Send(t.Context(), text); err != nil || m.Status != session.Delivered {
			t.Fatalf("%s, %v", m.Status, err)
		}
	}
	for {
		events, err := reader.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			if m, ok := ev.(session.MessageChanged); ok && m.Text == text {
				return
			}
		}
	}
}
