package session_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/fanout"
	"offhook/internal/sipua"
	"offhook/internal/vnet"
	"offhook/session"
)

// Endpoints without a server, which call each other by address.

// phone is an endpoint and what it has told.
type phone struct {
	*session.Endpoint
	t      *testing.T
	addr   string
	reader *fanout.Reader[session.Event]
	events []session.Event
}

// newPhone starts an endpoint on a host of the network. It is closed with the test.
func newPhone(t *testing.T, n *vnet.Net, user, host string, change ...func(*session.Config)) *phone {
	t.Helper()
	addr := netip.AddrPortFrom(netip.MustParseAddr(host), 5062).String()
	cfg := session.Config{
		AOR: "sip:" + user + "@" + addr, DeviceName: user + "-pc", NoRegister: true, NoPublish: true,
		Listen: []sipua.Listener{{Network: "udp", Address: addr}}, ListenPacket: n.ListenPacket,
	}
	for _, f := range change {
		f(&cfg)
	}
	e, err := session.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := &phone{Endpoint: e, t: t, addr: cfg.AOR, reader: e.Subscribe("test")}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Errorf("%s: %v", user, err)
		}
		if t.Failed() {
			for _, ev := range p.told() {
				t.Logf("%s: %s %+v", user, ev.Type(), ev)
			}
		}
	})
	return p
}

func host(s string) netip.Addr { return netip.MustParseAddr(s) }

// told returns all events until now.
func (p *phone) told() []session.Event {
	synctest.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		batch, err := p.reader.Next(ctx)
		if err != nil {
			return p.events
		}
		p.events = append(p.events, batch...)
	}
}

func eventsOf[E session.Event](p *phone) []E {
	var out []E
	for _, ev := range p.told() {
		if e, ok := ev.(E); ok {
			out = append(out, e)
		}
	}
	return out
}

// texts lists the texts that came in, each as it was told last.
func (p *phone) texts() []string {
	var ids, texts []string
	for _, m := range eventsOf[session.MessageChanged](p) {
		if m.Direction != session.Inbound {
			continue
		}
		if at := slices.Index(ids, m.ID); at >= 0 {
			texts[at] = m.Text
			continue
		}
		ids, texts = append(ids, m.ID), append(texts, m.Text)
	}
	return texts
}

func (p *phone) send(to *phone, text string) session.Message {
	p.t.Helper()
	c, err := p.Conversation(to.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	m, err := c.Send(p.t.Context(), text)
	if err != nil {
		p.t.Fatalf("send %q: %v", text, err)
	}
	return m
}

// inBubble runs a story of phones in fake time.
func inBubble(t *testing.T, f func(t *testing.T, n *vnet.Net)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := vnet.New()
		n.Default(vnet.Link{Delay: 2 * time.Millisecond})
		f(t, n)
	})
}

func TestDirectConversation(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice, bob := newPhone(t, n, "alice", "127.0.1.1"), newPhone(t, n, "bob", "127.0.2.1")
		if m := alice.send(bob, "hello"); m.Status != session.Delivered || !m.Toast {
			t.Errorf("the first text: %+v", m)
		}
		if m := alice.send(bob, "are you there?"); m.Status != session.Delivered || m.Toast {
			t.Errorf("the second text: %+v", m)
		}
		if m := bob.send(alice, "yes"); m.Status != session.Delivered {
			t.Errorf("the answer: %+v", m)
		}
		if got := bob.texts(); !slices.Equal(got, []string{"hello", "are you there?"}) {
			t.Errorf("bob got %q", got)
		}
		if got := alice.texts(); !slices.Equal(got, []string{"yes"}) {
			t.Errorf("alice got %q", got)
		}
		// One session serves both ways.
		for _, p := range []*phone{alice, bob} {
			if calls := p.Snapshot().Calls; len(calls) != 1 || calls[0].State != session.Established {
				t.Errorf("calls: %+v", calls)
			}
		}
		if shown := eventsOf[session.ToastShown](bob); len(shown) != 0 {
			t.Errorf("the only endpoint shows a toast: %+v", shown)
		}
		if auto := eventsOf[session.AutoAccept](bob); len(auto) != 1 || !auto[0].Immediate || auto[0].Elected {
			t.Errorf("auto accept: %+v", auto)
		}
	})
}

func TestLongTextIsShownWhole(t *testing.T) {
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		alice, bob := newPhone(t, n, "alice", "127.0.1.1"), newPhone(t, n, "bob", "127.0.2.1")
		long := strings.Repeat("wörter ", 140)
		alice.send(bob, long)
		if got := bob.texts(); len(got) != 1 || got[0] != long {
			t.Errorf("bob got %q", got)
		}
	})
}
