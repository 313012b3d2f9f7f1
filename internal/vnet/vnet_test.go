package vnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

var (
	hostA = netip.MustParseAddr("192.0.2.1")
	hostB = netip.MustParseAddr("192.0.2.2")
)

func open(t *testing.T, v *Net, address string) net.PacketConn {
	t.Helper()
	c, err := v.ListenPacket(t.Context(), "udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// pair opens a socket on each of two hosts.
func pair(t *testing.T, v *Net) (a, b net.PacketConn) {
	return open(t, v, "192.0.2.1:5060"), open(t, v, "192.0.2.2:5060")
}

func send(t *testing.T, from, to net.PacketConn, text string) {
	t.Helper()
	if n, err := from.WriteTo([]byte(text), to.LocalAddr()); err != nil || n != len(text) {
		t.Fatalf("wrote %d bytes: %v", n, err)
	}
}

// drain reads until nothing has come for a minute.
func drain(t *testing.T, c net.PacketConn) []string {
	t.Helper()
	var got []string
	buf := make([]byte, 2048)
	for {
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, _, err := c.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(buf[:n]))
	}
}

func TestPerfectLinkKeepsOrderAndSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := New()
		a, b := pair(t, v)
		start := time.Now()
		for i := range 100 {
			send(t, a, b, fmt.Sprint(i))
		}
		buf := make([]byte, 10)
		n, from, err := b.ReadFrom(buf)
		if err != nil || string(buf[:n]) != "0" || from.String() != "192.0.2.1:5060" {
			t.Fatalf("first packet: %q from %v, %v", buf[:n], from, err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("a perfect link took %v", took)
		}
		for i, got := range drain(t, b) {
			if got != fmt.Sprint(i+1) {
				t.Fatalf("packet %d is %q", i+1, got)
			}
		}
	})
}

func TestDelayKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := New()
		v.Link(hostA, hostB, Link{Delay: 30 * time.Millisecond})
		a, b := pair(t, v)
		start := time.Now()
		for i := range 50 {
			send(t, a, b, fmt.Sprint(i))
		}
		for i := range 50 {
			buf := make([]byte, 10)
			n, _, err := b.ReadFrom(buf)
			if err != nil || string(buf[:n]) != fmt.Sprint(i) {
				t.Fatalf("packet %d is %q: %v", i, buf[:n], err)
			}
		}
		if took := time.Since(start); took != 30*time.Millisecond {
			t.Errorf("arrived after %v", took)
		}
		send(t, b, a, "back")
		if took := time.Since(start); took != 30*time.Millisecond {
			t.Errorf("the other direction has no delay, but took %v", took)
		}
	})
}

func TestChanceRepeats(t *testing.T) {
	run := func(seed uint64) (got []string) {
		synctest.Test(t, func(t *testing.T) {
			v := New(Seed(seed))
			v.Default(Link{Loss: 0.3, Duplicate: 0.2, Delay: 10 * time.Millisecond, Jitter: 40 * time.Millisecond})
			a, b := pair(t, v)
			for i := range 500 {
				send(t, a, b, fmt.Sprint(i))
				time.Sleep(time.Millisecond)
			}
			got = drain(t, b)
			s := v.Stats()
			if s.Sent != 500 || s.Delivered != len(got) || s.Lost < 100 || s.Lost > 200 {
				t.Errorf("stats %+v for %d packets", s, len(got))
			}
			if dup := s.Delivered + s.Lost - s.Sent; dup < 40 || dup > 110 {
				t.Errorf("%d duplicates of 350", dup)
			}
		})
		return got
	}
	first := run(7)
	if again := run(7); fmt.Sprint(first) != fmt.Sprint(again) {
		t.Error("the same seed gave another run")
	}
	if other := run(8); fmt.Sprint(first) == fmt.Sprint(other) {
		t.Error("another seed gave the same run")
	}
	overtaken := false
	for i := 1; i < len(first); i++ {
		var x, y int
		_, _ = fmt.Sscan(first[i-1], &x)
		_, _ = fmt.Sscan(first[i], &y)
		overtaken = overtaken || y < x
	}
	if !overtaken {
		t.Error("jitter reordered nothing")
	}
}

func TestCutTakesPacketsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := New()
		v.Default(Link{Delay: time.Second})
		a, b := pair(t, v)
		send(t, a, b, "under way")
		time.Sleep(500 * time.Millisecond)
		v.Cut(hostB)
		send(t, a, b, "to the dead")
		send(t, b, a, "from the dead")
		time.Sleep(2 * time.Second)
		v.Heal(hostB)
		send(t, a, b, "alive")
		if got := drain(t, b); len(got) != 1 || got[0] != "alive" {
			t.Errorf("b received %q", got)
		}
		if got := drain(t, a); len(got) != 0 {
			t.Errorf("a received %q", got)
		}
		if s := v.Stats(); s.Cut != 3 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestTapAndFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := New()
		a, b := pair(t, v)
		var seen []string
		untap := v.Tap(func(p Packet) { seen = append(seen, fmt.Sprintf("%s %s %s", p.From, p.To, p.Data)) })
		heal := v.Filter(func(p Packet) bool { return !bytes.HasPrefix(p.Data, []byte("drop")) })
		send(t, a, b, "drop me")
		send(t, a, b, "keep me")
		heal()
		send(t, a, b, "drop not")
		untap()
		send(t, a, b, "unseen")
		if got := fmt.Sprint(drain(t, b)); got != "[keep me drop not unseen]" {
			t.Errorf("received %s", got)
		}
		if len(seen) != 3 || seen[0] != "192.0.2.1:5060 192.0.2.2:5060 drop me" {
			t.Errorf("tap saw %q", seen)
		}
	})
}

func TestRewrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := New(MTU(10))
		a, b := pair(t, v)
		var seen []string
		end := v.Rewrite(func(p Packet) []byte { return bytes.ReplaceAll(p.Data, []byte("bad"), []byte("much better")) })
		v.Tap(func(p Packet) { seen = append(seen, string(p.Data)) })
		sent := []byte("bad")
		if _, err := a.WriteTo(sent, b.LocalAddr()); err != nil || string(sent) != "bad" {
			t.Errorf("the sender's bytes are %q now, %v", sent, err)
		}
		send(t, a, b, "good")
		end()
		send(t, a, b, "bad again")
		if got := fmt.Sprint(drain(t, b)); got != "[good bad again]" || v.Stats().Oversize != 1 { // over the MTU when rewritten
			t.Errorf("received %s, stats %+v", got, v.Stats())
		}
		if got := fmt.Sprint(seen); got != "[much better good bad again]" {
			t.Errorf("a tap behind it saw %s", got)
		}
	})
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := New(Queue(3), MTU(10))
		a, b := pair(t, v)
		for i := range 5 {
			send(t, a, b, fmt.Sprint(i))
		}
		send(t, a, b, "more than ten bytes")
		if _, err := a.WriteTo(nil, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 99), Port: 1}); err != nil {
			t.Error(err)
		}
		if s := v.Stats(); s.Overflowed != 2 || s.Oversize != 1 || s.Unheard != 1 || s.Delivered != 3 {
			t.Errorf("stats %+v", s)
		}
		if got := fmt.Sprint(drain(t, b)); got != "[0 1 2]" {
			t.Errorf("received %s", got)
		}
		if _, err := a.WriteTo(make([]byte, MaxPacket+1), b.LocalAddr()); err == nil {
			t.Error("a packet too long for UDP was taken")
		}
	})
}

func TestCloseAndDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := New()
		a, b := pair(t, v)
		failed := make(chan error)
		read := func() { _, _, err := b.ReadFrom(make([]byte, 10)); failed <- err }

		go read()
		synctest.Wait()
		_ = b.SetReadDeadline(time.Now().Add(time.Hour)) // moved while it waits
		synctest.Wait()
		_ = b.SetReadDeadline(time.Now().Add(time.Second))
		start := time.Now()
		if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("deadline: %v after %v", err, time.Since(start))
		}
		send(t, a, b, "late")
		go read()
		if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a passed deadline let a packet through: %v", err)
		}
		_ = b.SetDeadline(time.Time{})
		go read()
		if err := <-failed; err != nil {
			t.Errorf("the deadline was lifted: %v", err)
		}
		_ = a.SetWriteDeadline(time.Now())
		if _, err := a.WriteTo([]byte("x"), b.LocalAddr()); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %v", err)
		}

		go read()
		synctest.Wait()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := <-failed; !errors.Is(err, net.ErrClosed) {
			t.Errorf("close: %v", err)
		}
		if err := b.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second close: %v", err)
		}
		if _, err := b.WriteTo([]byte("x"), a.LocalAddr()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("write after close: %v", err)
		}
		open(t, v, b.LocalAddr().String()) // the address is free again
	})
}

func TestListenAddresses(t *testing.T) {
	v := New()
	for _, tt := range []struct{ network, address, want string }{
		{"udp", "192.0.2.1:5060", "192.0.2.1:5060"},
		{"udp", "192.0.2.1:0", "192.0.2.1:49152"},
		{"udp", "192.0.2.1:0", "192.0.2.1:49153"},
		{"udp4", "192.0.2.3:0", "192.0.2.3:49152"},
		{"udp6", "[2001:db8::1]:5060", "[2001:db8::1]:5060"},
		{"udp", "[::ffff:192.0.2.4]:1", "192.0.2.4:1"},
		{"udp", "192.0.2.1:5060", ""}, // in use
		{"udp", "0.0.0.0:5060", ""},
		{"udp", "[::]:5060", ""},
		{"udp", "localhost:5060", ""},
		{"udp", "192.0.2.1", ""},
		{"udp", "192.0.2.1:70000", ""},
		{"udp4", "[2001:db8::1]:0", ""},
		{"udp6", "192.0.2.1:0", ""},
		{"tcp", "192.0.2.1:0", ""},
	} {
		c, err := v.ListenPacket(t.Context(), tt.network, tt.address)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%s %s: no error", tt.network, tt.address)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", tt.network, tt.address, err)
			continue
		}
		if a, ok := c.LocalAddr().(*net.UDPAddr); !ok || a.String() != tt.want {
			t.Errorf("%s %s: got %v", tt.network, tt.address, c.LocalAddr())
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.ListenPacket(ended, "udp", "192.0.2.9:0"); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}

func BenchmarkSend(b *testing.B) {
	v := New()
	from, _ := v.ListenPacket(b.Context(), "udp", "192.0.2.1:1")
	to, _ := v.ListenPacket(b.Context(), "udp", "192.0.2.2:1")
	buf := make([]byte, 500)
	for b.Loop() {
		_, _ = from.WriteTo(buf, to.LocalAddr())
		_, _, _ = to.ReadFrom(buf)
	}
}
