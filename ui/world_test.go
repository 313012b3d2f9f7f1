package ui

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/internal/command"
	"offhook/internal/history"
	"offhook/internal/testkit"
	"offhook/internal/testkit/screen"
	"offhook/session"
)

// desk is a terminal with the whole program behind it: screen, session, server and record are real, the network and the
// time are not.
type desk struct {
	player
	store  *history.Store
	cancel context.CancelFunc
}

// sit starts the UI on a device.
func sit(t *testing.T, d *testkit.Device, store *history.Store) *desk {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	k := &desk{store: store, cancel: cancel, player: player{t: t, terminal: screen.New(80, 24), ended: make(chan error, 1)}}
	log := slog.New(slog.DiscardHandler)
	recorder := history.NewRecorder(store, d.Endpoint, nil, log)
	cfg := Config{
		Endpoint: d.Endpoint, Env: &command.Env{Endpoint: d.Endpoint, History: store}, History: store, Notify: "none", Logger: log,
		Input: k.terminal.Input(), Output: k.terminal, Environ: []string{"TERM=xterm-256color"},
	}
	if d.Sound() != nil {
		cfg.Env.Audio = silentSound{}
		cfg.Env.Recordings = t.TempDir()
	}
	go func() {
		recording := make(chan struct{})
		go func() { recorder.Run(ctx); close(recording) }()
		err := run(ctx, cfg, tea.WithWindowSize(80, 24))
		cancel()
		<-recording
		k.ended <- err
	}()
	k.settle()
	return k
}

// leave ends the UI as /quit does.
func (k *desk) leave() {
	k.t.Helper()
	k.cancel()
	if err := <-k.ended; err != nil {
		k.t.Error(err)
	}
	k.close()
}

// A message of a stranger is offered to two devices, the answer is typed at one of them, and the record has both.
func TestStoryOfTwoDesks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := history.Open(filepath.Join(t.TempDir(), "history.db"), "sip:alice@"+testkit.Domain, slog.New(slog.DiscardHandler))
		defer store.Close()
		w := testkit.NewWorld(t)
		bob := w.Endpoint("bob", testkit.Configure(func(_ int, cfg *session.Config) { cfg.DisplayName = "Bob Martin" }))
		alice := w.Endpoint("alice", testkit.Devices(2), testkit.Configure(func(i int, cfg *session.Config) {
			if i == 0 {
				cfg.Journal = store
			}
		}))
		other := alice.Device(1)
		k := sit(t, alice.Device(0), store)
		time.Sleep(20 * time.Second) // device state is published every ten seconds at most
		k.settle()
		k.sees("2 devices, this one active")
		k.keys("/whois ")

		sent := bob.IM(alice, "are you at your desk?")
		k.settle()
		k.sees("IM from Bob Martin")
		k.sees("10 s, then THIS device accepts")
		k.sees("/whois") // no key was taken
		k.sees("F2 Accept")

		// Somebody sits down at the other device: the promise follows.
		time.Sleep(3 * time.Second)
		other.Input(0)
		time.Sleep(2 * time.Second)
		k.settle()
		k.sees("then " + other.Name + " accepts (more active)")

		// A key here, and it is this one again.
		k.keys("\x15")
		k.sees("then THIS device accepts")

		// To type into the conversation answers.
		k.keys("\x18j")
		k.sees("[2] Bob Martin")
		k.keys("yes, what is it?\r")
		time.Sleep(time.Second)
		k.settle()
		k.sees("me  yes, what is it?")
		k.sees("delivered")
		k.sees("session IM")
		bob.Device(0).ExpectMessage("alice", "yes, what is it?")
		sent.Wait()
		other.ExpectToastClosed("answered_elsewhere")

		// The record has both, and search finds them.
		k.keys("/search desk\r")
		time.Sleep(time.Second)
		k.settle()
		k.sees("FOUND 1 message")
		k.keys("\x1b")
		k.leave()
		lines, err := store.Page(context.WithoutCancel(t.Context()), "sip:bob@"+testkit.Domain, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, line := range lines {
			texts = append(texts, line.Text)
		}
		if all := strings.Join(texts, "|"); !strings.Contains(all, "are you at your desk?") || !strings.Contains(all, "yes, what is it?") {
			t.Errorf("recorded: %s", all)
		}
	})
}

// The server goes away and comes back: the screen says so, and says what becomes of a message written meanwhile.
func TestStoryOfLostServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := history.Open(filepath.Join(t.TempDir(), "history.db"), "sip:alice@"+testkit.Domain, slog.New(slog.DiscardHandler))
		defer store.Close()
		w := testkit.NewWorld(t)
		bob := w.Endpoint("bob")
		alice := w.Endpoint("alice", testkit.Configure(func(_ int, cfg *session.Config) {
			cfg.Journal, cfg.RegisterExpires = store, time.Minute
		}))
		k := sit(t, alice.Device(0), store)
		w.StopServer()
		time.Sleep(3 * time.Minute)
		k.settle()
		k.sees("! sign")
		k.sees("no answer in time")
		k.seesNot("A Available")
		k.keys("/msg bob are you there\r")
		k.keys("\x1b2")
		time.Sleep(time.Minute)
		k.settle()
		k.sees("are you there")
		k.sees("waiting for the server")
		w.StartServer()
		time.Sleep(5 * time.Minute)
		k.settle()
		k.sees("A Available")
		k.seesNot("waiting for the server")
		bob.Device(0).ExpectMessage("alice", "are you there")
		k.keys("/msg bob and now\r")
		time.Sleep(10 * time.Second)
		k.settle()
		bob.Device(0).ExpectMessage("alice", "and now")
		k.leave()
	})
}
