package ui

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/internal/history"
	"offhook/session"
)

// filled is a model whose second window has n messages.
func filled(n, w, h int) *model {
	f := office()
	m := newModel(context.Background())
	m.account, m.attention, m.commands, m.people = f, f, f, f
	m.groups = f.groups
	m.load(f.Snapshot())
	m.Update(tea.WindowSizeMsg{Width: w, Height: h})
	m.showNumber(2)
	for i := range n {
		m.onEvent(inbound("c1", "bob", fmt.Sprint(i), "10:00:00", fmt.Sprintf("message %d, and some more words so that it wraps on a narrow screen", i)))
	}
	m.View()
	return m
}

// A key press: Update and View, with 10,000 messages in the conversation.
func BenchmarkKey(b *testing.B) {
	for _, size := range []struct{ w, h int }{{80, 24}, {200, 60}} {
		b.Run(fmt.Sprintf("%dx%d", size.w, size.h), func(b *testing.B) {
			m := filled(10000, size.w, size.h)
			for i := 0; b.Loop(); i++ {
				m.Update(tea.KeyPressMsg{Code: 'a', Text: "a"})
				if i%60 == 59 {
					m.Update(tea.KeyPressMsg{Code: 'u', Mod: tea.ModCtrl})
				}
				m.View()
			}
		})
	}
}

// A batch of 100 events: Update and View.
func BenchmarkEvents(b *testing.B) {
	m := filled(10000, 120, 40)
	for i := 0; b.Loop(); i++ {
		batch := make([]session.Event, 100)
		for k := range batch {
			batch[k] = inbound("c1", "bob", fmt.Sprintf("%d-%d", i, k), "10:00:00", "hello")
		}
		m.Update(eventsMsg{events: batch})
		m.View()
	}
}

// A resize wraps only what is visible.
func BenchmarkResize(b *testing.B) {
	m := filled(10000, 120, 40)
	for i := 0; b.Loop(); i++ {
		m.Update(tea.WindowSizeMsg{Width: 80 + i%100, Height: 40})
		m.View()
	}
}

// With 100,000 messages in the record, 2,000 with -short. It takes minutes to write them one by one, as they arrive.
func BenchmarkRecord(b *testing.B) {
	store := history.Open(filepath.Join(b.TempDir(), "history.db"), uri("desk"), slog.New(slog.DiscardHandler))
	b.Cleanup(func() { store.Close() })
	messages := 100_000
	if testing.Short() {
		messages = 2000
	}
	fill(b, store, messages)
	b.Run("window", func(b *testing.B) { benchOpenWindow(b, store) })
	b.Run("key", func(b *testing.B) { benchKeyToScreen(b, store) })
}

// frames tells when the program has written to the terminal.
type frames struct{ written chan time.Time }

func (f *frames) Write(p []byte) (int, error) {
	select {
	case f.written <- time.Now():
	default:
	}
	return len(p), nil
}

// From a key to the bytes for the changed screen, in the running program, with 100,000 messages in the record and pages
// of it being read meanwhile. The figure that counts is the 99th percentile; half of the time between two frames is in
// every one.
func benchKeyToScreen(b *testing.B, store *history.Store) {
	f := office()
	m := newModel(b.Context())
	m.account, m.attention, m.commands, m.record, m.people = f, f, f, store, f
	m.groups = f.groups
	m.load(f.Snapshot())
	m.showNumber(2)
	out := &frames{written: make(chan time.Time, 1)}
	quiet, output := newQuiet(out)
	in, keys := io.Pipe()
	p := tea.NewProgram(m, tea.WithInput(in), tea.WithOutput(output), tea.WithFilter(quiet.filter), tea.WithWindowSize(120, 40), tea.WithoutSignalHandler(),
		tea.WithFPS(frameRate), tea.WithEnvironment([]string{"TERM=xterm-256color"}))
	quiet.begin(p.Send)
	defer quiet.end()
	ended := make(chan error, 1)
	go func() { _, err := p.Run(); ended <- err }()
	<-out.written
	p.Send(pageMsg{window: m.windows.current})
	time.Sleep(500 * time.Millisecond) // wall clock: the first frames are out

	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		key := string(rune('a' + i%26))
		switch {
		case i%50 == 49:
			key = "\x15" // Ctrl-U
		case i%10 == 9:
			key = "\x1b[5~" // PgUp
		}
		time.Sleep(time.Duration(i%17) * time.Millisecond) // wall clock: no key knows where in a frame it falls
		select {
		case <-out.written:
		default:
		}
		began := time.Now()
		if _, err := io.WriteString(keys, key); err != nil {
			b.Fatal(err)
		}
		if i%10 == 9 {
			continue // scrolling at the top changes nothing; it is here for the reading
		}
		took = append(took, (<-out.written).Sub(began))
	}
	p.Quit()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// The window of a conversation with a long record: from the command to the first picture.
func benchOpenWindow(b *testing.B, store *history.Store) {
	for b.Loop() {
		m := filled(0, 120, 40)
		m.record = store
		m.onPage(m.readPage(m.windows.current, pageLimit)().(pageMsg))
		m.View()
	}
}

// fill writes n messages with Bob into the record.
func fill(b *testing.B, store *history.Store, n int) {
	b.Helper()
	for i := range n {
		msg := inbound("c1", "bob", fmt.Sprint("h", i), "08:00:00", fmt.Sprintf("message %d about the parcel that is late", i)).Message
		msg.Time = msg.Time.Add(time.Duration(i-n) * time.Minute)
		if _, err := store.Journal(b.Context(), msg); err != nil {
			b.Fatal(err)
		}
	}
}
