package audio

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offhook/audio/codec"
	"offhook/audio/device"
	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/testkit/sound"
)

// settle is how long a stream takes to find its delay.
const settle = 2 * time.Second

// sendable are the codecs that this build can send: without cgo Opus is for receiving.
func sendable() (names []string) {
	for _, c := range codec.All {
		if c.NewEncoder != nil {
			names = append(names, c.Name)
		}
	}
	return names
}

// TestToneArrives holds that what one side plays is what the other hears: frequency, level, without a gap.
func TestToneArrives(t *testing.T) {
	for _, name := range sendable() {
		for _, policy := range []sdp.Policy{sdp.Off, sdp.Required} {
			t.Run(fmt.Sprintf("%s/%d", name, policy), func(t *testing.T) {
				inWorld(t, func(w *world) {
					a, b := w.party("10.0.0.1", tone(1000), name), w.party("10.0.0.2", tone(440), name)
					la, _ := w.call(a, b, policy)
					time.Sleep(settle + 5*time.Second)
					synctest.Wait()
					w.hears("b", b.dev, 1000)
					w.hears("a", a.dev, 440)
					if gaps := sound.Gaps(b.dev.last(5*time.Second), Rate, 0.25, time.Millisecond); len(gaps) > 0 {
						t.Errorf("gaps: %v", gaps)
					}
					st := la.Stats()
					if st.SendCodec != name || st.ReceiveCodec != name || (st.Security != "none") != (policy == sdp.Required) {
						t.Errorf("statistics: %+v", st)
					}
				})
			})
		}
	}
}

// TestPacketLengths holds that packets are as long as the peer wishes, and that any length is played.
func TestPacketLengths(t *testing.T) {
	for _, ptime := range []time.Duration{10, 20, 30, 40, 60} {
		t.Run(fmt.Sprint(ptime), func(t *testing.T) {
			inWorld(t, func(w *world) {
				a, b := w.party("10.0.0.1", tone(1000), "pcmu"), w.party("10.0.0.2", nil, "pcmu")
				la, lb := w.leg(a, sdp.Off), w.leg(b, sdp.Off)
				local := lb.Local()
				local.Ptime = ptime * time.Millisecond
				lb.talk = sdp.NewNegotiation(local)
				w.agree(la, lb, sdp.Both, sdp.Both)
				time.Sleep(settle + time.Second)
				synctest.Wait()
				w.hears("b", b.dev, 1000)
				want := uint64((settle + time.Second) / (ptime * time.Millisecond))
				if sent := la.Stats().Sent; sent < want || sent > want+3 {
					t.Errorf("%d packets were sent, want about %d", sent, want)
				}
			})
		})
	}
}

func TestHoldAndMute(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.party("10.0.0.1", tone(1000), "pcma"), w.party("10.0.0.2", tone(440), "pcma")
		la, lb := w.call(a, b, sdp.Off)
		time.Sleep(settle)

		la.Mute(true)
		time.Sleep(settle)
		synctest.Wait()
		w.hearsNothing("b, while a is mute,", b.dev, time.Second)
		w.hears("a, mute,", a.dev, 440)
		la.Mute(false)

		la.Hold(true) // before anything is agreed
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		w.hearsNothing("a, who holds,", a.dev, 400*time.Millisecond)
		w.agree(la, lb, sdp.Sending, sdp.Both)
		time.Sleep(settle)
		synctest.Wait()
		w.hearsNothing("b, held,", b.dev, time.Second)
		if _, silent := lb.told(media.Silent); silent {
			t.Error("a held side is told that it hears nothing")
		}

		la.Hold(false)
		w.agree(la, lb, sdp.Both, sdp.Both)
		time.Sleep(settle)
		synctest.Wait()
		w.hears("b, resumed,", b.dev, 1000)
		w.hears("a, resumed,", a.dev, 440)
	})
}

// TestFirstPacketAtOnce holds that the first packet leaves with the agreement and not a packet's length later.
func TestFirstPacketAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.party("10.0.0.1", tone(1000)), w.party("10.0.0.2", nil)
		la, lb := w.leg(a, sdp.Off), w.leg(b, sdp.Off)
		time.Sleep(time.Second)
		w.agree(la, lb, sdp.Both, sdp.Both)
		synctest.Wait()
		if la.Stats().Sent != 1 || lb.Stats().Sent != 1 {
			t.Errorf("sent %d and %d packets, want one each", la.Stats().Sent, lb.Stats().Sent)
		}
	})
}

func TestDigits(t *testing.T) {
	for _, codecs := range [][]string{{"pcmu"}, {"opus", "pcmu"}} {
		inWorld(t, func(w *world) {
			a, b := w.party("10.0.0.1", tone(1000), codecs...), w.party("10.0.0.2", nil, codecs...)
			la, lb := w.call(a, b, sdp.Off)
			time.Sleep(time.Second)
			if err := la.Digits(w.ctx, "12,#a"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			var keys []string
			lb.mu.Lock()
			for _, ev := range lb.events {
				if ev.Kind == media.Digit {
					keys = append(keys, ev.Text)
				}
			}
			lb.mu.Unlock()
			if lost := lb.Stats().Lost + uint64(lb.Stats().Concealed); lost > 0 {
				t.Errorf("%v: keys are taken for losses: %+v", codecs, lb.Stats())
			}
			if got := strings.Join(keys, ""); got != "12#A" {
				t.Errorf("%v: the peer was told %q", codecs, got)
			}
			if err := la.Digits(w.ctx, "1x"); err == nil {
				t.Error("x is no key")
			}
		})
	}
}

func TestDigitsNeedTheirFormat(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.party("10.0.0.1", nil, "pcmu"), w.party("10.0.0.2", nil, "pcmu")
		la, lb := w.leg(a, sdp.Off), w.leg(b, sdp.Off)
		local := lb.Local()
		local.Formats = local.Formats[:1]
		lb.talk = sdp.NewNegotiation(local)
		w.agree(la, lb, sdp.Both, sdp.Both)
		if err := la.Digits(w.ctx, "1"); err != media.ErrNoDigits { //nolint:errorlint // the very value is promised
			t.Errorf("got %v", err)
		}
	})
}

// TestConference joins two calls of b: all three hear the two others, and nobody hears himself.
func TestConference(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b, c := w.party("10.0.0.1", tone(700), "pcmu"), w.party("10.0.0.2", tone(1000)), w.party("10.0.0.3", tone(1300), "g722")
		toA, _ := w.call(b, a, sdp.Off)
		toC, _ := w.call(b, c, sdp.Off)
		toA.Conference("x")
		toC.Conference("x")
		time.Sleep(settle + time.Second)
		synctest.Wait()
		for _, tt := range []struct {
			name       string
			d          *fakeDevice
			heard, not float64
			also       float64
		}{{"a", a.dev, 1000, 700, 1300}, {"b", b.dev, 700, 1000, 1300}, {"c", c.dev, 700, 1300, 1000}} {
			samples := tt.d.last(time.Second)
			for _, hz := range []float64{tt.heard, tt.also} {
				if _, level, _ := sound.Tone(samples, Rate, hz); math.Abs(level-toneLevel12) > 1 {
					t.Errorf("%s hears %v Hz at %.1f dBov", tt.name, hz, level)
				}
			}
			if _, level, _ := sound.Tone(samples, Rate, tt.not); level > -60 {
				t.Errorf("%s hears himself at %.1f dBov", tt.name, level)
			}
		}
		toC.Conference("")
		toC.Hold(true)
		toA.Conference("")
		time.Sleep(settle)
		synctest.Wait()
		w.hears("a, alone again,", a.dev, 1000)
	})
}

func TestRecording(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.party("10.0.0.1", tone(1000), "g722"), w.party("10.0.0.2", tone(440), "g722")
		la, _ := w.call(a, b, sdp.Off)
		time.Sleep(settle)
		path := filepath.Join(t.TempDir(), "call.wav")
		if err := la.Record(path); err != nil {
			t.Fatal(err)
		}
		if err := la.Record(path + "2"); err == nil {
			t.Error("two recordings of one call")
		}
		time.Sleep(2 * time.Second)
		if got, err := la.StopRecording(); err != nil || got != path {
			t.Fatalf("got %q, %v", got, err)
		}
		if err := la.Record(path); err == nil {
			t.Error("an existing file is overwritten")
		}
		left, right := readStereo(t, path)
		for _, side := range []struct {
			name    string
			samples []int16
			hz      float64
		}{{"left", left, 1000}, {"right", right, 440}} {
			f, level, _ := sound.Tone(side.samples[4000:], Rate/recordFactor, side.hz)
			if math.Abs(f-side.hz) > 1 || math.Abs(level-toneLevel12) > 0.5 {
				t.Errorf("%s: %.1f Hz at %.1f dBov", side.name, f, level)
			}
		}
		if n := len(left); n < 2*16000-1600 || n > 2*16000+1600 {
			t.Errorf("%d samples for two seconds", n)
		}
	})
}

// TestSilenceIsTold covers the ways in which nothing can be heard.
func TestSilenceIsTold(t *testing.T) {
	t.Run("blocked", func(t *testing.T) {
		inWorld(t, func(w *world) {
			a, b := w.party("10.0.0.1", tone(1000)), w.party("10.0.0.2", tone(440))
			w.net.Cut(b.addr)
			la, _ := w.call(a, b, sdp.Off)
			time.Sleep(7 * time.Second)
			if text, ok := la.told(media.Silent); !ok || !strings.Contains(text, "blocked") {
				t.Errorf("told %q", text)
			}
			w.net.Heal(b.addr)
			time.Sleep(3 * time.Second)
			if _, ok := la.told(media.Heard); !ok {
				t.Error("not told that sound arrives")
			}
		})
	})
	t.Run("stopped", func(t *testing.T) {
		inWorld(t, func(w *world) {
			a, b := w.party("10.0.0.1", tone(1000), "pcmu"), w.party("10.0.0.2", tone(440), "pcmu")
			la, _ := w.call(a, b, sdp.Off)
			time.Sleep(settle)
			w.net.Cut(b.addr)
			time.Sleep(7 * time.Second)
			if text, ok := la.told(media.Silent); !ok || !strings.Contains(text, "stopped") {
				t.Errorf("told %q", text)
			}
		})
	})
	t.Run("mute", func(t *testing.T) {
		inWorld(t, func(w *world) {
			a, b := w.party("10.0.0.1", tone(1000), "pcmu"), w.party("10.0.0.2", nil, "pcmu")
			la, _ := w.call(a, b, sdp.Off)
			time.Sleep(7 * time.Second)
			if text, ok := la.told(media.Silent); !ok || !strings.Contains(text, "silence") {
				t.Errorf("told %q", text)
			}
		})
	})
}

// TestCodecChanges changes the codec in the middle of a call.
func TestCodecChanges(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.party("10.0.0.1", tone(1000)), w.party("10.0.0.2", tone(440))
		la, lb := w.call(a, b, sdp.Off)
		time.Sleep(settle)
		for _, name := range append(sendable(), "pcmu") {
			var only []sdp.Format
			for _, f := range la.Local().Formats {
				if f.Name == name || f.Name == telephoneEvent {
					only = append(only, f)
				}
			}
			local := la.Local()
			local.Formats = only
			la.talk.SetLocal(local)
			w.agree(la, lb, sdp.Both, sdp.Both)
			time.Sleep(settle + time.Second)
			synctest.Wait()
			w.hears("a with "+name, a.dev, 440)
			w.hears("b with "+name, b.dev, 1000)
		}
	})
}

// TestMove carries a call over to another address.
func TestMove(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.party("10.0.0.1", tone(1000)), w.party("10.0.0.2", tone(440))
		la, lb := w.call(a, b, sdp.Required)
		time.Sleep(settle)
		w.net.Cut(a.addr)
		elsewhere := a.addr.Next().Next()
		if err := la.Move(w.ctx, elsewhere); err != nil {
			t.Fatal(err)
		}
		if at := la.Local().Addr.Addr(); at != elsewhere {
			t.Fatalf("moved to %v", at)
		}
		la.talk.SetLocal(la.Local())
		w.agree(la, lb, sdp.Both, sdp.Both)
		time.Sleep(settle + time.Second)
		synctest.Wait()
		w.hears("a, moved,", a.dev, 440)
		w.hears("b", b.dev, 1000)
	})
}

// TestDeviceIsReleased holds that the microphone is open only during calls.
func TestDeviceIsReleased(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.party("10.0.0.1", nil), w.party("10.0.0.2", nil)
		isOpen := func() bool {
			synctest.Wait()
			a.dev.mu.Lock()
			defer a.dev.mu.Unlock()
			return a.dev.need&device.Microphone != 0
		}
		if isOpen() {
			t.Error("open before any call")
		}
		la, _ := w.call(a, b, sdp.Off)
		time.Sleep(time.Second)
		if !isOpen() {
			t.Error("closed during a call")
		}
		if err := la.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * linger)
		if isOpen() {
			t.Error("open after the call")
		}
		a.Ring(media.Busy)
		time.Sleep(time.Second)
		if isOpen() {
			t.Error("the microphone is open for a tone")
		}
		a.Ring(media.NoTone)
		time.Sleep(2 * linger)
		if isOpen() {
			t.Error("open after the tone")
		}
	})
}

// TestSoundAfterCallThatWasRefused holds that there is sound after calls that were over before the engine noticed them.
func TestSoundAfterCallThatWasRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.party("10.0.0.1", tone(1000)), w.party("10.0.0.2", nil)
		a.Ring(media.Ringback)
		a.Ring(media.NoTone)
		time.Sleep(2 * linger)
		w.call(a, b, sdp.Off)
		time.Sleep(settle)
		synctest.Wait()
		w.hears("b", b.dev, 1000)
	})
}

func TestTones(t *testing.T) {
	inWorld(t, func(w *world) {
		a := w.party("10.0.0.1", nil)
		a.Ring(media.Ringback)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if f, level, _ := sound.Tone(a.dev.last(900*time.Millisecond), Rate, 425); math.Abs(f-425) > 0.5 || level < -26 {
			t.Errorf("ringback of %.1f Hz at %.1f dBov in its second period", f, level)
		}
		a.Ring(media.Ring)
		time.Sleep(time.Second)
		a.Ring(media.Hangup) // ends by itself
		time.Sleep(3 * time.Second)
		synctest.Wait()
		w.hearsNothing("a", a.dev, linger) // then it is closed
		if level := sound.Level(a.dev.rung); level < -30 {
			t.Errorf("the ringers played %.1f dBov", level)
		}
		if err := a.Test(context.Background(), ""); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if f, _, _ := sound.Tone(a.dev.last(800*time.Millisecond), Rate, 440); math.Abs(f-440) > 0.5 {
			t.Errorf("test tone of %.1f Hz", f)
		}
	})
}

func TestUnknownCodec(t *testing.T) {
	_, err := New(Config{Codecs: []string{"g729"}})
	if err == nil || !strings.Contains(err.Error(), "g729") || !strings.Contains(err.Error(), "pcmu") {
		t.Errorf("got %v", err)
	}
}

func readStereo(t *testing.T, path string) (left, right []int16) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if channels, rate := binary.LittleEndian.Uint16(b[22:]), binary.LittleEndian.Uint32(b[24:]); channels != 2 || rate != Rate/recordFactor {
		t.Fatalf("%d channels at %d Hz", channels, rate)
	}
	for at := 44; at+4 <= len(b); at += 4 {
		left = append(left, int16(binary.LittleEndian.Uint16(b[at:])))
		right = append(right, int16(binary.LittleEndian.Uint16(b[at+2:])))
	}
	return left, right
}
