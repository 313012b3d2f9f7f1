package ui

import (
	"context"
	"fmt"
	"testing"
	"time"

	"offhook/audio/echo"
	"offhook/internal/command"
	"offhook/internal/history"
	"offhook/internal/media"
	"offhook/internal/testkit/golden"
	"offhook/session"
)

// northwind is a call that has been up for 3:12 when the clock of a stage says 09:59:00.
func northwind() session.CallInfo {
	return session.CallInfo{
		Call: "audio-1", Conversation: "c5", Kind: kindAudio, Direction: session.Inbound, State: session.Established,
		Peer: session.Party{URI: uri("+12065550142"), Display: "Northwind"}, Began: morning("09:55:40"), Since: morning("09:55:48"),
		Hold: session.HoldNone, Codec: "opus", Security: "sdes", Suite: "AES_CM_128_HMAC_SHA1_80",
	}
}

// ann is a call with a contact.
func ann(state session.State, dir session.Direction) session.CallInfo {
	return session.CallInfo{
		Call: "audio-2", Conversation: "c6", Kind: kindAudio, Direction: dir, State: state, Hold: session.HoldNone,
		Peer: session.Party{URI: uri("ann")}, Began: morning("09:58:54"),
	}
}

var stats = command.Stats{
	Call: "audio-1", Codec: "opus", ReceiveCodec: "opus", Security: "sdes", Local: "192.0.2.7:20000", Remote: "192.0.2.99:30002",
	Loss: 0.003, RemoteLoss: 0.001, Jitter: 8.2, RemoteJitter: 5, RoundTrip: 12, Delay: 74, Concealed: 120, MOS: 4.2, RemoteMOS: 4.1,
	Levels: command.StatsLevels{Send: -18, Receive: -12}, Sent: 9600, Received: 9571, Lost: 29,
}

// calling is a stage with these calls. The window of Bob is shown, with a half-typed line.
func calling(t *testing.T, w, h int, calls ...session.CallInfo) *stage {
	t.Helper()
	s := mockA(t, w, h)
	s.m.sound = silentSound{}
	s.setCalls(calls...)
	s.update(pulseMsg{"audio-1": stats})
	return s
}

// setCalls has the session say that there are these calls.
func (s *stage) setCalls(calls ...session.CallInfo) {
	s.f.mu.Lock()
	s.f.snapshot.Calls = append(s.f.snapshot.Calls[:1:1], calls...)
	s.f.mu.Unlock()
	s.events(session.CallMedia{})
}

// ringIn shows the toast of a call.
func (s *stage) ringIn(c session.CallInfo) {
	s.events(session.ToastShown{Toast: "t9", Kind: "call", Conversation: c.Conversation, Call: c.Call, From: c.Peer})
}

// silentSound has two devices of each kind.
type silentSound struct{}

func (silentSound) Devices(context.Context) ([]media.Device, error) { return headsets(), nil }
func (silentSound) Select(context.Context, media.Selection) error   { return nil }
func (silentSound) Selection() media.Selection                      { return media.Selection{Capture: "jabra-in"} }
func (silentSound) Watch(context.Context, chan<- struct{})          {}
func (silentSound) Processing() echo.Config {
	return echo.Config{Echo: true, Noise: true, Limiter: true}
}
func (silentSound) SetProcessing(echo.Config)          {}
func (silentSound) Meter(context.Context) error        { return nil }
func (silentSound) Levels() media.Levels               { return media.Levels{Capture: -18, Playback: -127} }
func (silentSound) Test(context.Context, string) error { return nil }

func headsets() []media.Device {
	return []media.Device{
		{ID: "jabra-in", Name: "Jabra Evolve 65", Backend: "pulse", Capture: true, Default: true, InUse: true},
		{ID: "mic", Name: "Built-in microphone", Backend: "pulse", Capture: true},
		{ID: "jabra-out", Name: "Jabra Evolve 65", Backend: "pulse", Default: true},
		{ID: "speakers", Name: "Built-in speakers", Backend: "pulse"},
	}
}

// The golden screens of calls, in the sizes of the others.
func TestCallScreens(t *testing.T) {
	held, talk := ann(session.Established, session.Inbound), northwind()
	held.Hold, held.Since = session.HoldLocal, morning("09:57:55")
	quiet := northwind()
	quiet.Silence = "no sound from them: nothing has arrived at all, a firewall may block it or their address is wrong"
	loud := northwind()
	loud.Muted, loud.Recording = true, "/home/me/recordings/20260824-095548-northwind.wav"
	ringing := ann(session.Establishing, session.Outbound)
	ringing.Ringing = true
	in := ann(session.Incoming, session.Inbound)

	states := []struct {
		name  string
		stage func(t *testing.T, w, h int) *stage
	}{
		{"ringing-in", func(t *testing.T, w, h int) *stage { s := calling(t, w, h, in); s.ringIn(in); return s }},
		{"ringing-out", func(t *testing.T, w, h int) *stage { return calling(t, w, h, ringing) }},
		{"in-call", func(t *testing.T, w, h int) *stage {
			s := calling(t, w, h, talk)
			s.press("alt+4")
			return s
		}},
		{"two-calls", func(t *testing.T, w, h int) *stage { return calling(t, w, h, talk, held) }},
		{"second-call", func(t *testing.T, w, h int) *stage {
			s := calling(t, w, h, talk, in)
			line := history.Line{Notice: true, Message: inbound("", "ann", "", "09:12:00", "call ended after 4:10 (opus)").Message}
			line.Time = line.Time.AddDate(0, 0, -5)
			s.f.mu.Lock()
			s.f.lines[uri("ann")] = []history.Line{line}
			s.f.mu.Unlock()
			s.ringIn(in)
			s.clock = s.clock.Add(6 * time.Second)
			return s
		}},
		{"keypad", func(t *testing.T, w, h int) *stage {
			s := calling(t, w, h, talk)
			s.press("ctrl+x", "d", "12#")
			return s
		}},
		{"devices", func(t *testing.T, w, h int) *stage {
			s := calling(t, w, h, talk)
			s.press("ctrl+x", "v")
			d := s.m.overlay.(*devices)
			s.update(devicesMsg{of: d, all: headsets(), selected: media.Selection{Capture: "jabra-in", Ringers: []string{"speakers"}}})
			s.update(levelsMsg{of: d, levels: media.Levels{Capture: -18, Playback: -127}, processing: d.processing})
			return s
		}},
		{"stats", func(t *testing.T, w, h int) *stage {
			s := calling(t, w, h, talk)
			s.press("ctrl+x", "q")
			return s
		}},
		{"silence", func(t *testing.T, w, h int) *stage { return calling(t, w, h, quiet) }},
		{"muted-recording", func(t *testing.T, w, h int) *stage { return calling(t, w, h, loud, held) }},
		{"missed", func(t *testing.T, w, h int) *stage {
			s := calling(t, w, h)
			s.events(session.Notice{Conversation: "c2", Time: s.clock, Text: "missed call (0:21)"},
				session.ToastShown{Toast: "t8", Kind: "missed", Conversation: "c2", From: session.Party{URI: uri("carol")}, Text: "0:21"})
			return s
		}},
	}
	for _, size := range []struct{ w, h int }{{80, 24}, {120, 40}, {40, 15}, {200, 50}, {50, 14}} {
		for _, state := range states {
			if size.w == 50 && state.name != "devices" {
				continue
			}
			name := fmt.Sprintf("%s-%dx%d.txt", state.name, size.w, size.h)
			t.Run(name, func(t *testing.T) {
				t.Parallel() // most of the time it waits for ticks that do not come
				golden.Check(t, name, []byte(state.stage(t, size.w, size.h).screen()))
			})
		}
	}
}
