//go:build e2e

package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"offhook/audio/device"
	"offhook/internal/testkit/sound"
)

// The tone microphone, as device.ToneAmplitude has it.
const (
	toneHz        = 1000
	toneAmplitude = float64(device.ToneAmplitude) / math.MaxInt16
)

var toneLevel = sound.Level(sound.Sine(toneHz, toneAmplitude, device.Rate, device.Rate)) // dBov

// settle is how long a call may take until its jitter buffer has found its length.
const settle = time.Second

// TestProcessesSound sends a tone through two real processes each way, for every codec and every way of encryption, and
// measures what was written to the other's speaker file.
func TestProcessesSound(t *testing.T) {
	x := startServer(t)
	for _, codec := range []string{"pcmu", "pcma", "g722", "opus"} {
		// What comes of a policy that both sides have: RTP/SAVP is the profile of SDES, and where both ways are offered
		// DTLS keeps the keys out of the signalling.
		for policy, method := range map[string]string{"off": "none", "required": "sdes", "opportunistic": "dtls"} {
			t.Run(codec+" "+method, func(t *testing.T) {
				t.Parallel()
				toneCall(t, x, codec, policy, method, 6*time.Second)
			})
		}
	}
	t.Run("a minute of opus", func(t *testing.T) { t.Parallel(); toneCall(t, x, "opus", "opportunistic", "dtls", time.Minute) })
}

// toneCall calls for a while and checks what both have heard.
func toneCall(t *testing.T, x *exchange, codec, policy, method string, length time.Duration) {
	t.Helper()
	home := t.TempDir()
	user := func(name string) (process *process, heard string) {
		heard = filepath.Join(home, name+".wav")
		return x.endpoint(t, name+"-"+codec+"-"+method+"-"+length.String(), name, "--mic", "tone:1000", "--speaker", "file:"+heard,
			"--media-listen", "127.0.0.1:0", "--codecs", codec, "--srtp", policy, "--answer", "auto"), heard
	}
	alice, heardByAlice := user("alice")
	bob, heardByBob := user("bob")
	call := alice.call(10*time.Second, "call.dial", "to", "bob-"+codec+"-"+method+"-"+length.String())
	for _, p := range []*process{alice, bob} {
		p.event(5*time.Second, "call.media", "codec", codec, "security", method)
	}
	stood := stoodStill()
	time.Sleep(length) // wall clock: this is what is recorded
	longest := stood()
	for _, p := range []*process{alice, bob} {
		stats := p.call(5*time.Second, "call.stats")
		if stats["codec"] != codec || stats["security"] != method || stats["lost"] != 0.0 {
			t.Errorf("%s: statistics: %v", p.name, stats)
		}
		t.Logf("%s: jitter %v ms, concealed %v ms, stretched %v ms, delay %v ms", p.name, stats["jitter"], stats["concealed_ms"], stats["stretched_ms"], stats["delay"])
	}
	alice.call(5*time.Second, "call.hangup", "call", call["call"])
	bob.event(5*time.Second, "call.state", "kind", "audio", "state", "Terminated")
	for _, file := range []string{heardByAlice, heardByBob} {
		checkTone(t, file, length, longest)
	}
}

// stall is how long the machine may stand still before breaks in what it plays say nothing of the program.
const stall = 50 * time.Millisecond

// stoodStill watches the clock until the returned function is called, which tells for how long nothing ran at the worst.
func stoodStill() (longest func() time.Duration) {
	const step = 2 * time.Millisecond
	end, worst := make(chan struct{}), make(chan time.Duration)
	go func() {
		tick, most := time.NewTicker(step), time.Duration(0)
		defer tick.Stop()
		for last := time.Now(); ; last = time.Now() {
			select {
			case <-tick.C:
				most = max(most, time.Since(last)-step)
			case <-end:
				worst <- most
				return
			}
		}
	}()
	return func() time.Duration {
		close(end)
		return <-worst
	}
}

// checkWindows is checkTone for a machine that stood still: the tone has to be right nearly everywhere.
func checkWindows(t *testing.T, file string, samples []int16) {
	t.Helper()
	const window = device.Rate / 5
	right, all := 0, 0
	for at := 0; at+window <= len(samples); at += window {
		hz, level, _ := sound.Tone(samples[at:at+window], device.Rate, toneHz)
		if all++; math.Abs(hz-toneHz) <= 1 && math.Abs(level-toneLevel) <= 0.5 {
			right++
		}
	}
	if right < all*8/10 {
		t.Errorf("%s: the tone is right in %d of %d windows only", filepath.Base(file), right, all)
		keep(t, file)
	}
}

// checkTone measures the tone that was recorded to a file while a call went on for that long. stood is how long the machine
// stood still meanwhile.
func checkTone(t *testing.T, file string, length, stood time.Duration) {
	t.Helper()
	samples, err := device.ReadWAV(file, 2*60*device.Rate)
	if err != nil {
		t.Fatal(err)
	}
	first := 0
	for first < len(samples) && math.Abs(float64(samples[first])) < toneAmplitude*math.MaxInt16/2 {
		first++
	}
	from, to := first+count(settle), first+count(length)-count(settle)/2
	if stood > stall {
		t.Logf("the machine stood still for %v: breaks are not held against the program", stood)
		checkWindows(t, file, samples[min(from, len(samples)):min(to, len(samples))])
		return
	}
	if to > len(samples) || from >= to {
		t.Fatalf("%s: %d samples, the tone begins at %d; %v are expected", filepath.Base(file), len(samples), first, length)
	}
	whole := samples[from:to]
	hz, level, ratio := sound.Tone(whole, device.Rate, toneHz)
	t.Logf("%s: %.3f Hz, %+.3f dB, %.1f dB above all else", filepath.Base(file), hz, level-toneLevel, ratio)
	if math.Abs(hz-toneHz) > 1 || math.Abs(level-toneLevel) > 0.5 {
		t.Errorf("%s: %.3f Hz, %.2f dBov; want %d Hz, %.2f dBov", filepath.Base(file), hz, level, toneHz, toneLevel)
	}
	if gaps := sound.Gaps(whole, device.Rate, toneAmplitude, time.Millisecond); len(gaps) > 0 {
		t.Errorf("%s: gaps %v", filepath.Base(file), gaps)
	}
	if t.Failed() {
		keep(t, file)
	}
}

func count(d time.Duration) int { return int(d * device.Rate / time.Second) }

// keep copies a file to where a person can listen to it.
func keep(t testing.TB, file string) {
	data, err := os.ReadFile(file)
	if err == nil {
		to := filepath.Join(os.TempDir(), "offhook-"+filepath.Base(strings.ReplaceAll(t.Name(), " ", "_"))+"-"+filepath.Base(file))
		if err = os.WriteFile(to, data, 0o600); err == nil {
			t.Logf("kept as %s", to)
		}
	}
	if err != nil {
		t.Log(err)
	}
}
