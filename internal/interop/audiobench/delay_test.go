//go:build bench && linux

package audiobench

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"offhook/audio/device"
	"offhook/internal/testkit/sound"
)

const (
	rate = device.Rate
	// chirpEvery is the distance of the sounds by which delay is measured, longer than any delay.
	chirpEvery = 1100 * time.Millisecond
	chirps     = 20
)

// chirp is a sound that resembles itself at one offset only: a sweep of 60 ms through the band of a telephone.
func chirp() []int16 {
	n := rate * 60 / 1000
	out := make([]int16, n)
	for i := range out {
		x := float64(i) / float64(n)
		window := math.Sin(math.Pi * x)
		phase := 2 * math.Pi * (500 + 1000*x) * float64(i) / rate
		out[i] = int16(16000 * window * math.Sin(phase))
	}
	return out
}

// track is a recording of chirps, each a little earlier or later than regular, so that no phase of blocks and packets is
// preferred; at are the offsets where they begin.
func track() (samples []int16, at []int) {
	random := rand.New(rand.NewPCG(1, 2))
	samples = make([]int16, (chirps+2)*int(chirpEvery*rate/time.Second))
	for i := range chirps {
		begin := (i+1)*int(chirpEvery*rate/time.Second) + random.IntN(rate/50)
		copy(samples[begin:], chirp())
		at = append(at, begin)
	}
	return samples, at
}

// delays finds each chirp of one track in the other.
func delays(t *testing.T, said, heard []int16) []time.Duration {
	t.Helper()
	var found []time.Duration
	part := chirp()
	for at := 0; at+len(part) < len(said); {
		d, alike := sound.Delay(part, said[at:], rate, chirpEvery)
		if alike < 0.8 {
			at += rate
			continue
		}
		begin := at + int(d*rate/time.Second)
		at = begin + int(chirpEvery*rate/time.Second)/2
		if begin+len(part) > len(heard) {
			break
		}
		late, alike := sound.Delay(part, heard[begin:], rate, 600*time.Millisecond)
		if alike > 0.6 {
			found = append(found, late)
		}
	}
	slices.Sort(found)
	return found
}

// report prints the delays of all chirps but the first few, while which streams settle.
func report(t *testing.T, what string, d []time.Duration) {
	t.Helper()
	if len(d) < chirps/2 {
		t.Errorf("%s: only %d of %d sounds were found again", what, len(d), chirps)
		return
	}
	t.Logf("%s: median %.1f ms, least %.1f, most %.1f, of %d sounds", what, ms(d[len(d)/2]), ms(d[0]), ms(d[len(d)-1]), len(d))
}

func writeWAV(t *testing.T, path string, samples []int16) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := device.NewWAVWriter(f, rate, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(samples); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDelayThroughFiles measures the way from a microphone file to a speaker file and back: the callee's microphone is what
// it hears, so one process has both ends, with one clock.
func TestDelayThroughFiles(t *testing.T) {
	for _, codec := range []string{"pcmu", "opus"} {
		t.Run(codec, func(t *testing.T) {
			dir := t.TempDir()
			said, _ := track()
			writeWAV(t, filepath.Join(dir, "said.wav"), said)
			headless(t, "bob", "127.30.0.2", "--mic", "loop", "--speaker", "loop", "--media-listen", "127.30.0.2:0", "--codecs", codec)
			alice := headless(t, "alice", "127.30.0.1", "--mic", "file:"+dir+"/said.wav", "--speaker", "file:"+dir+"/heard.wav",
				"--media-listen", "127.30.0.1:0", "--codecs", codec)
			call := alice.ask("call.dial", map[string]any{"to": "sip:bob@127.30.0.2:5070"})
			time.Sleep(chirpEvery * (chirps + 1)) // wall clock: this is what is recorded
			alice.ask("call.hangup", map[string]any{"call": call["call"]})
			heard, err := device.ReadWAV(dir+"/heard.wav", 120*rate)
			if err != nil {
				t.Fatal(err)
			}
			d := delays(t, said, heard)
			for i := range d {
				d[i] /= 2
			}
			report(t, "one way, half of there and back", d)
		})
	}
}

// TestDelayThroughPulse measures from mouth to ear through sound cards: two null sinks of a PulseAudio of its own stand in
// for them. Mouth and ear are the left and the right channel of one recording.
func TestDelayThroughPulse(t *testing.T) {
	for _, codec := range []string{"pcmu", "opus"} {
		t.Run(codec, func(t *testing.T) {
			t.Run("offhook", func(t *testing.T) {
				server := pulse(t)
				devices := func(user, host, mic, speaker string) *program {
					t.Setenv("PULSE_SERVER", server)
					return headless(t, user, host, "--mic", mic, "--speaker", speaker, "--media-listen", host+":0", "--codecs", codec)
				}
				devices("bob", "127.30.0.2", "silence", "Ear")
				alice := devices("alice", "127.30.0.1", "Mouth", "discard")
				alice.ask("call.dial", map[string]any{"to": "sip:bob@127.30.0.2:5070"})
				said, heard := through(t, server)
				report(t, "mouth to ear", delays(t, said, heard))
			})
			t.Run("baresip", func(t *testing.T) {
				server := pulse(t)
				t.Setenv("PULSE_SERVER", server)
				home := t.TempDir()
				write(t, filepath.Join(home, ".asoundrc"), "pcm.mouth { type pulse\n device mouth }\npcm.ear { type pulse\n device ear }\n")
				t.Setenv("HOME", home)
				baresip(t, "127.30.0.3", "audio_source aubridge,nowhere", "audio_player alsa,ear", "audio_alert aubridge,nowhere")
				caller := baresip(t, "127.30.0.5", "audio_source alsa,mouth", "audio_player aubridge,nowhere2", "audio_alert aubridge,nowhere", "module stdio.so")
				if _, err := io.WriteString(caller.in, "/dial sip:bench@127.30.0.3:5070\n"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second) // wall clock: the other phone tells nothing
				said, heard := through(t, server)
				report(t, "mouth to ear", delays(t, said, heard))
			})
		})
	}
}

// pulse starts a sound server with a sink whose left channel is the mouth and whose right one is the ear.
func pulse(t *testing.T) (server string) {
	t.Helper()
	_, server = pulseIn(t, t.TempDir())
	return server
}

// pulseIn is pulse in a directory of the caller's: another one in the same place has the same address.
func pulseIn(t *testing.T, dir string) (p *program, server string) {
	t.Helper()
	if _, err := exec.LookPath("pulseaudio"); err != nil {
		t.Skip("pulseaudio is not installed")
	}
	socket := dir + "/native"
	write(t, dir+"/default.pa", fmt.Sprintf(`load-module module-null-sink sink_name=air rate=48000 channels=2 channel_map=front-left,front-right norewinds=1
load-module module-remap-source source_name=mouth master=air.monitor channels=1 master_channel_map=front-left channel_map=mono remix=no source_properties=device.description=Mouth
load-module module-remap-sink sink_name=ear master=air channels=1 master_channel_map=front-right channel_map=mono remix=no sink_properties=device.description=Ear
load-module module-remap-sink sink_name=lips master=air channels=1 master_channel_map=front-left channel_map=mono remix=no sink_properties=device.description=Lips
load-module module-native-protocol-unix auth-anonymous=1 socket=%s
`, socket))
	_ = os.Remove(socket)
	p = launch(t, []string{"PULSE_RUNTIME_PATH=" + dir + "/run", "PULSE_STATE_PATH=" + dir + "/state", "HOME=" + dir},
		"pulseaudio", "-n", "-F", dir+"/default.pa", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--high-priority=no",
		"--realtime=no", "--log-target=stderr")
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	for range 100 {
		if _, err := os.Stat(socket); err == nil {
			return p, "unix:" + socket
		}
		time.Sleep(50 * time.Millisecond) // wall clock: it prints nothing when it is ready
	}
	t.Fatal("the sound server did not start")
	return nil, ""
}

// record records mouth and ear until ctx ends.
func record(ctx context.Context, t *testing.T, server string) (said, heard []int16) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "air.wav")
	recorder := exec.CommandContext(ctx, "parec", "--server="+server, "--device=air.monitor", "--rate=48000", "--channels=2",
		"--format=s16le", "--file-format=wav", file)
	recorder.Cancel = func() error { return recorder.Process.Signal(os.Interrupt) }
	_ = recorder.Run() // it is interrupted
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 44; i+4 <= len(raw); i += 4 {
		said = append(said, int16(raw[i])|int16(raw[i+1])<<8)
		heard = append(heard, int16(raw[i+2])|int16(raw[i+3])<<8)
	}
	return said, heard
}

// through plays the track at the mouth and records mouth and ear.
func through(t *testing.T, server string) (said, heard []int16) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "said.wav")
	samples, _ := track()
	writeWAV(t, file, samples)
	ctx, cancel := context.WithTimeout(t.Context(), 2*chirpEvery*chirps)
	defer cancel()
	played := make(chan error, 1)
	go func() {
		defer cancel()
		played <- exec.CommandContext(ctx, "paplay", "--server="+server, "--device=lips", file).Run()
	}()
	said, heard = record(ctx, t, server)
	if err := <-played; err != nil {
		t.Fatalf("paplay: %v", err)
	}
	return said, heard
}
