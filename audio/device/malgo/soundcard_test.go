//go:build soundcard && cgo && linux

package malgo

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"offhook/audio/device"
	"offhook/internal/media"
)

// pulse is a PulseAudio of the test's own, whose speakers lose what they are given; one can listen to that at their
// monitors. Without norewinds a null sink holds two seconds.
type pulse struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd
}

const pulseScript = `
load-module module-null-sink sink_name=spk rate=48000 norewinds=1 sink_properties=device.description=TestSpeaker
load-module module-null-sink sink_name=other rate=48000 norewinds=1 sink_properties=device.description=OtherSpeaker
set-default-sink spk
set-default-source spk.monitor
load-module module-native-protocol-unix auth-anonymous=1 socket=SOCKET
`

func newPulse(t *testing.T) *pulse {
	t.Helper()
	if _, err := exec.LookPath("pulseaudio"); err != nil {
		t.Skip("PulseAudio is not installed (Debian: apt-get install --no-install-recommends pulseaudio pulseaudio-utils)")
	}
	p := &pulse{t: t, dir: t.TempDir()}
	t.Setenv("PULSE_SERVER", "unix:"+p.socket())
	t.Setenv("PULSE_COOKIE", filepath.Join(p.dir, "cookie"))
	for _, name := range []string{"XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "PULSE_STATE_PATH", "HOME"} {
		t.Setenv(name, p.dir)
	}
	script := strings.ReplaceAll(pulseScript, "SOCKET", p.socket())
	if err := os.WriteFile(filepath.Join(p.dir, "test.pa"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start()
	t.Cleanup(p.kill)
	return p
}

func (p *pulse) socket() string { return filepath.Join(p.dir, "socket") }

func (p *pulse) start() {
	p.t.Helper()
	_ = os.Remove(p.socket()) // of a server that was killed
	p.cmd = exec.Command("pulseaudio", "-n", "-F", filepath.Join(p.dir, "test.pa"), "--daemonize=no", "--exit-idle-time=-1",
		"--disallow-exit=yes", "--use-pid-file=no", "--log-target=stderr", "--log-level=error")
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		all, err := Backends()[0].Devices(p.t.Context())
		if err == nil && len(all) >= 4 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("PulseAudio does not answer: %v", err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// kill is kill -9: the server has no time to say goodbye.
func (p *pulse) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// phone is a hub with an engine that plays what next makes and keeps what it hears.
type phone struct {
	*device.Hub
	t *testing.T

	mu   sync.Mutex
	told []device.Trouble
}

func newPhone(t *testing.T, sel media.Selection) *phone {
	t.Helper()
	p := &phone{t: t}
	h, err := device.Open(sel, device.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Backends: Backends(), Told: func(x device.Trouble) {
		t.Logf("told: %s (%v)", x.Text, x.Err)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.told = append(p.told, x)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	p.Hub = h
	p.Use(device.Microphone | device.Speaker)
	return p
}

// run exchanges blocks for a while; next makes what is played, heard is called with what comes back.
func (p *phone) run(d time.Duration, next, heard func(block []int16)) (blocks int, longest time.Duration) {
	p.t.Helper()
	in, out := make([]int16, device.BlockSize), make([]int16, device.BlockSize)
	start := time.Now()
	for last := start; time.Since(start) < d; blocks++ {
		next(out)
		if err := p.Exchange(in, out); err != nil {
			p.t.Fatal(err)
		}
		now := time.Now()
		longest = max(longest, now.Sub(last))
		last = now
		heard(in)
	}
	return blocks, longest
}

func (p *phone) kinds() []device.TroubleKind {
	p.mu.Lock()
	defer p.mu.Unlock()
	var kinds []device.TroubleKind
	for _, x := range p.told {
		kinds = append(kinds, x.Kind)
	}
	p.told = nil
	slices.Sort(kinds)
	return kinds
}

const (
	toneHz        = 1000
	toneAmplitude = 8000
)

func tone() func(block []int16) {
	n := 0
	return func(block []int16) {
		for i := range block {
			block[i] = int16(math.Round(toneAmplitude * math.Sin(2*math.Pi*toneHz*float64(n)/device.Rate)))
			n++
		}
	}
}

// measure gives amplitude and frequency of a tone near toneHz: the medians over frames of 10 ms, which moments without
// sound do not change. On a machine that is busy, clocks are corrected all the time, and the frequency with them.
func measure(pcm []int16) (amplitude, hz float64) {
	const frame = device.BlockSize
	var amplitudes, frequencies []float64
	last := math.NaN()
	for at := 0; at+frame <= len(pcm); at += frame {
		var re, im float64
		for i, v := range pcm[at : at+frame] {
			s, c := math.Sincos(2 * math.Pi * toneHz * float64(at+i) / device.Rate)
			re += float64(v) * c
			im += float64(v) * s
		}
		amplitudes = append(amplitudes, 2*math.Hypot(re, im)/frame)
		phase := math.Atan2(re, im)
		if !math.IsNaN(last) {
			frequencies = append(frequencies, toneHz+math.Remainder(phase-last, 2*math.Pi)/(2*math.Pi)*100)
		}
		last = phase
	}
	return median(amplitudes), median(frequencies)
}

func median(x []float64) float64 { return share(x, 0.5) }

func share(x []float64, q float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	x = slices.Sorted(slices.Values(x))
	return x[min(int(q*float64(len(x))), len(x)-1)]
}

// isTone judges what came back. Where the machine let the sound server run dry, clocks are being corrected and samples are
// missing, and only the gross is judged.
func (p *phone) isTone(pcm []int16, longest time.Duration) {
	p.t.Helper()
	amplitude, hz := measure(pcm)
	db := 20 * math.Log10(amplitude/toneAmplitude)
	busy := longest > 13*time.Millisecond
	p.t.Logf("played %d at %d Hz, heard %.0f (%+.2f dB) at %.3f Hz; longest block %v, busy: %v",
		toneAmplitude, toneHz, amplitude, db, hz, longest, busy)
	limitDB, limitHz := 0.2, 0.5
	if busy {
		limitDB, limitHz = 3, 30
	}
	if math.Abs(db) > limitDB || math.Abs(hz-toneHz) > limitHz {
		p.t.Error("this is not the tone that was played")
	}
}

func quiet16(block []int16) { clear(block) }
func ignore16([]int16)      {}

func TestSoundCardTone(t *testing.T) {
	newPulse(t)
	p := newPhone(t, media.Selection{Capture: "Monitor of TestSpeaker", Playback: "TestSpeaker"})
	next := tone()
	p.run(2*time.Second, next, ignore16)
	var heard []int16
	_, longest := p.run(3*time.Second, next, func(block []int16) { heard = append(heard, block...) })
	p.isTone(heard, longest)
	devices, err := p.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	used := 0
	for _, d := range devices {
		t.Logf("%+v", d)
		if d.InUse {
			used++
		}
	}
	if used != 2 {
		t.Errorf("%d devices are in use, want 2", used)
	}
	if k := p.kinds(); len(k) > 0 {
		t.Errorf("told %v", k)
	}
}

// TestSoundCardDelay plays pulses and waits for them: what PulseAudio and the hub need for the way out and back, from the
// moment at which a block is given to the one at which it is handed out. A block of 10 ms is part of that.
func TestSoundCardDelay(t *testing.T) {
	newPulse(t)
	p := newPhone(t, media.Selection{})
	p.run(2*time.Second, quiet16, ignore16)
	var (
		sent   time.Time
		delays []float64
		block  int
		gaps   []float64
		last   = time.Now()
	)
	p.run(15*time.Second, func(out []int16) {
		clear(out)
		if block++; block%25 == 0 {
			for i := range 24 {
				out[i] = 20000
			}
			sent = time.Now()
		}
	}, func(in []int16) {
		now := time.Now()
		gaps = append(gaps, float64(now.Sub(last))/1e6)
		last = now
		at := slices.IndexFunc(in, func(v int16) bool { return v > 8000 })
		if sent.IsZero() || at < 0 {
			return
		}
		delays = append(delays, float64(now.Sub(sent))/1e6+float64(at)*1000/device.Rate)
		sent = time.Time{}
	})
	capture, playback := p.Latency()
	t.Logf("out and back: median %.1f ms, 95 %% %.1f ms, %d pulses; the hub's estimate is %v + %v",
		median(delays), share(delays, 0.95), len(delays), capture, playback)
	t.Logf("between blocks: 1 %% %.2f, median %.2f, 99 %% %.2f ms", share(gaps, 0.01), median(gaps), share(gaps, 0.99))
	if len(delays) < 40 {
		t.Errorf("only %d pulses came back", len(delays))
	}
	if median(delays) > 100 {
		t.Error("that is too long to talk, even on a busy machine")
	}
}

func TestSoundServerIsKilled(t *testing.T) {
	server := newPulse(t)
	p := newPhone(t, media.Selection{})
	next := tone()
	p.run(2*time.Second, next, ignore16)

	server.kill()
	blocks, longest := p.run(5*time.Second, next, ignore16)
	t.Logf("without a server: %d blocks in 5 s, longest %v", blocks, longest)
	if blocks < 485 || blocks > 502 {
		t.Errorf("%d blocks in 5 s", blocks)
	}
	if k := p.kinds(); !slices.Equal(k, []device.TroubleKind{device.Lost, device.Lost}) {
		t.Errorf("told %v", k)
	}

	server.start()
	back := time.Now()
	var heard []int16
	var after time.Duration
	_, longest = p.run(6*time.Second, next, func(block []int16) {
		if after == 0 && slices.Max(block) > toneAmplitude/2 {
			after = time.Since(back)
		}
		heard = append(heard, block...)
	})
	t.Logf("sound is back %v after the server", after.Round(time.Millisecond))
	p.isTone(heard[len(heard)/2:], longest)
	if k := p.kinds(); !slices.Equal(k, []device.TroubleKind{device.Back, device.Back}) {
		t.Errorf("told %v", k)
	}
}

func TestSoundCardIsRemoved(t *testing.T) {
	newPulse(t)
	if _, err := exec.LookPath("pactl"); err != nil {
		t.Skip("pactl is not installed (Debian: pulseaudio-utils)")
	}
	p := newPhone(t, media.Selection{Capture: "other.monitor", Playback: "other"})
	next := tone()
	p.run(2*time.Second, next, ignore16)
	pactl := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, "pactl", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("pactl %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for _, line := range strings.Split(pactl("list", "short", "modules"), "\n") {
		if strings.Contains(line, "sink_name=other") {
			pactl("unload-module", strings.Fields(line)[0])
		}
	}
	var heard []int16
	blocks, longest := p.run(5*time.Second, next, func(block []int16) { heard = append(heard, block...) })
	t.Logf("unplugged: %d blocks in 5 s", blocks)
	p.isTone(heard[len(heard)*4/5:], longest)
	if k := p.kinds(); !slices.Equal(k, []device.TroubleKind{device.Moved, device.Moved}) {
		t.Errorf("told %v", k)
	}

	pactl("load-module", "module-null-sink", "sink_name=other", "rate=48000", "norewinds=1",
		fmt.Sprintf("sink_properties=device.description=%s", "OtherSpeaker"))
	heard = heard[:0]
	_, longest = p.run(5*time.Second, next, func(block []int16) { heard = append(heard, block...) })
	p.isTone(heard[len(heard)*4/5:], longest)
	if k := p.kinds(); !slices.Equal(k, []device.TroubleKind{device.Back, device.Back}) {
		t.Errorf("told %v", k)
	}
}
