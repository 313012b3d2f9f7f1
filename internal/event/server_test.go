package event_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/event"
	"offhook/internal/sipua"
	"offhook/internal/vnet"
	"offhook/server"
)

const serverAddress = "127.0.0.10:5060"

func startServer(t *testing.T, network *vnet.Net) *server.Server {
	t.Helper()
	s, err := server.New(server.Config{
		Listen: []sipua.Listener{{Network: "udp", Address: serverAddress}}, Domain: "example.org", Open: true,
		ListenPacket: network.ListenPacket,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func stopServer(t *testing.T, s *server.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("closing the server: %v", err)
	}
}

// openAgent signs nobody in: publishing and watching need no registration.
func openAgent(t *testing.T, network *vnet.Net, host, aor string) *sipua.Agent {
	t.Helper()
	stack, err := sipua.NewStack(t.Context(), sipua.StackConfig{
		Listeners: []sipua.Listener{{Network: "udp", Address: host + ":5060"}}, ListenPacket: network.ListenPacket,
	})
	if err != nil {
		t.Fatal(err)
	}
	address, err := sipua.ParseURI(aor)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := sipua.ParseURI("sip:" + serverAddress + ";transport=udp")
	if err != nil {
		t.Fatal(err)
	}
	a, err := sipua.NewAgent(sipua.AgentConfig{Stack: stack, AOR: address, Server: proxy})
	if err != nil {
		t.Fatal(err)
	}
	a.Serve(sipua.Mux{})
	t.Cleanup(func() {
		_ = a.Close()
		_ = stack.Close()
	})
	return a
}

// expectDevices reads notifications until one names exactly these devices.
func expectDevices(t *testing.T, s *event.Subscription, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	last := "nothing"
	for {
		n, err := s.Next(ctx)
		if err != nil {
			t.Fatalf("devices %v expected: %v; the last notification had %s", want, err, last)
		}
		var doc body.PIDF
		if len(n.Body) > 0 {
			if doc, err = body.ParsePIDF(n.Body); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, d := range doc.Devices {
			got = append(got, d.Name)
		}
		slices.Sort(got)
		if slices.Equal(got, want) {
			return
		}
		last = fmt.Sprint(got)
	}
}

// TestAgainstServer publishes two devices of one user, on a network that loses and reorders, and restarts the server:
// a watcher sees every change in the end.
func TestAgainstServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := vnet.New()
		network.Default(vnet.Link{Loss: 0.1, Delay: 20 * time.Millisecond, Jitter: 30 * time.Millisecond})
		s := startServer(t, network)
		bob := openAgent(t, network, "127.0.0.1", "sip:bob@example.org")
		watch := event.Subscribe(t.Context(), bob, event.SubscribeOptions{
			Target: mustURI(t, "sip:alice@example.org"), Event: "presence", Accept: []string{body.TypePIDF},
			Expires: 5 * time.Minute,
		})
		var pubs []*event.Publication
		for i, name := range []string{"desk", "lap"} {
			a := openAgent(t, network, fmt.Sprintf("127.0.0.%d", i+2), "sip:alice@example.org")
			p := event.NewPublication(a, event.PublishOptions{
				Target: a.AOR(), Event: "presence", Expires: 5 * time.Minute,
			})
			doc := body.PIDF{
				Entity: "sip:alice@example.org", Tuples: []body.Tuple{{ID: "t-" + name, Open: true}},
				Devices: []body.Device{{ID: "d-" + name, DeviceID: "urn:uuid:" + name, Name: name, Idle: -1}},
			}
			if err := p.Publish(t.Context(), body.TypePIDF, doc.Marshal()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); p.Refresh(ctx) }()
			t.Cleanup(func() { cancel(); <-done })
			pubs = append(pubs, p)
		}
		expectDevices(t, watch, "desk", "lap")
		if err := pubs[0].Remove(t.Context()); err != nil {
			t.Error(err)
		}
		expectDevices(t, watch, "lap")

		stopServer(t, s)
		s = startServer(t, network) // it remembers nothing of us
		expectDevices(t, watch, "lap")
		if err := watch.Close(t.Context()); err != nil {
			t.Error(err)
		}
		stopServer(t, s)
	})
}

func mustURI(t *testing.T, s string) (u sip.Uri) {
	t.Helper()
	u, err := sipua.ParseURI(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
