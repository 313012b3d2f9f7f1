package ui

import (
	"io"
	"syscall"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/session"
)

// What the screen itself costs while nobody types, as a share of a core: at rest, during a call with its bar (the clock and
// the meter once a second), with calls parked that count down in the list, and with forty of them on the open board. Each
// round takes five seconds of the wall clock.
func BenchmarkIdle(b *testing.B) {
	for name, calls := range map[string][]session.CallInfo{"rest": nil, "call": {northwind()}, "parked": nil, "board": nil} {
		b.Run(name, func(b *testing.B) {
			f := office()
			if name == "parked" || name == "board" {
				f.parked = crowded(40)
				for i := range f.parked.rows {
					f.parked.rows[i].Since, f.parked.rows[i].RingBack = time.Now(), time.Now().Add(time.Hour)
				}
			}
			for i := range calls {
				calls[i].Since = time.Now()
			}
			f.snapshot.Calls = append(f.snapshot.Calls, calls...)
			f.stats = stats
			m := newModel(b.Context())
			m.account, m.attention, m.commands, m.people = f, f, f, f
			m.load(f.Snapshot())
			if name == "board" {
				m.openBoard()
			}
			quiet, output := newQuiet(io.Discard)
			in, keys := io.Pipe()
			p := tea.NewProgram(m, tea.WithInput(in), tea.WithOutput(output), tea.WithFilter(quiet.filter), tea.WithWindowSize(120, 40),
				tea.WithoutSignalHandler(), tea.WithFPS(frameRate), tea.WithEnvironment([]string{"TERM=xterm-256color"}))
			quiet.begin(p.Send)
			defer quiet.end()
			ended := make(chan error, 1)
			go func() { _, err := p.Run(); ended <- err }()
			time.Sleep(time.Second) // wall clock: the first frames are out
			var used, passed time.Duration
			for b.Loop() {
				before, began := cpuTime(b), time.Now()
				time.Sleep(5 * time.Second) // wall clock: it is what is measured
				used, passed = used+cpuTime(b)-before, passed+time.Since(began)
			}
			p.Quit()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
			_ = keys.Close()
			b.ReportMetric(100*used.Seconds()/passed.Seconds(), "%core")
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
