//go:build interop

package interop

import (
	"fmt"
	"math"
	"testing"
	"time"

	audiodevice "offhook/audio/device"
	"offhook/internal/testkit/sound"
)

// voices are the tones that people speak in. No two of them have a harmonic in common, and baresip's is theirHz.
var voices = map[string]float64{"mary": 530, "bob": 610, "carol": 890, "dave": 1130, "steven": 1370}

// What is heard besides voices.
const (
	music   = "music" // or somebody who says a number
	silence = "silence"
)

// person is an endpoint of ours whose every sound is on record.
type person struct {
	*endpoint
	name string
}

// newPerson starts one who has an account and answers calls at once.
func newPerson(t *testing.T, name, domain, server string, more ...string) *person {
	t.Helper()
	e := newEndpoint(t, name, append([]string{
		"--aor", "sip:" + name + "@" + domain, "--server", "sip:" + server + ";transport=udp", "--password-command", "echo " + name + "pw",
		"--mic", fmt.Sprintf("tone:%v", voices[name]), "--answer", "auto", "--no-publish",
	}, more...)...)
	e.uri = "sip:" + name + "@" + domain
	e.event("registration", "state", "registered")
	return &person{e, name}
}

// dial calls somebody of ours, and returns how the two know the call.
func (p *person) dial(other *person) (ours, theirs string) {
	p.t.Helper()
	p.do("call.dial", "to", other.uri)
	return p.established(), other.established()
}

// established waits for the next call that is.
func (p *person) established() (call string) {
	p.t.Helper()
	call, _ = p.event("call.state", "kind", "audio", "state", "Established")["call"].(string)
	return call
}

// park parks and tells how long that took.
func (p *person) park(call string, params ...any) (orbit map[string]any) {
	p.t.Helper()
	begun := time.Now()
	orbit = p.do("park.park", append([]any{"call", call}, params...)...)
	p.t.Logf("park.park took %v: %v", time.Since(begun).Round(time.Millisecond), orbit["friendly_orbit"])
	return orbit
}

// isRefused expects an error of a kind.
func (p *person) isRefused(kind, method string, params ...any) {
	p.t.Helper()
	begun := time.Now()
	result, failure := p.ask(method, params...)
	data, _ := failure["data"].(map[string]any)
	if data["kind"] != kind {
		p.t.Errorf("%s: %s %v: %v %v, want %s", p.name, method, params, result, failure, kind)
	}
	p.t.Logf("%s was refused after %v: %v", method, time.Since(begun).Round(time.Millisecond), failure["message"])
}

// hears waits until this is what has been heard for the last second, and nothing else: a name, music or silence.
func (p *person) hears(what string) {
	p.t.Helper()
	waitHeard(p.t, p.name, what, func() string { return p.heard })
}

// waitHeard does so with a recording that may not be there yet.
func waitHeard(t *testing.T, who, what string, file func() string) {
	t.Helper()
	var last string
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(200 * time.Millisecond) { // wall clock: a file has no events
		if last = heardLast(file()); last == what {
			return
		}
	}
	t.Errorf("%s hears %s, want %s", who, last, what)
}

// heardLast names what is in the last second of a recording.
func heardLast(file string) string {
	samples, err := audiodevice.ReadWAV(file, 5*60*audiodevice.Rate)
	if err != nil || len(samples) < audiodevice.Rate {
		return fmt.Sprint("nothing yet: ", err)
	}
	const window = audiodevice.Rate / 10
	said := ""
	for at := len(samples) - audiodevice.Rate; at+window <= len(samples); at += window {
		switch now := nameOf(samples[at : at+window]); {
		case said == "", said == silence && now == music: // music has pauses
			said = now
		case now != said && !(said == music && now == silence):
			return said + ", then " + now
		}
	}
	return said
}

// heardEver names all that was heard for half a second or longer, in order.
func heardEver(file string) (what []string) {
	samples, err := audiodevice.ReadWAV(file, 5*60*audiodevice.Rate)
	if err != nil {
		return nil
	}
	const window = audiodevice.Rate / 10
	before, run := "", 0
	for at := 0; at+window <= len(samples); at += window {
		now := nameOf(samples[at : at+window])
		if now != before {
			before, run = now, 0
		}
		if run++; run == 5 {
			what = append(what, now)
		}
	}
	return what
}

func nameOf(samples []int16) string {
	if sound.Level(samples) < -50 {
		return silence
	}
	for name, hz := range voices {
		if share(samples, hz) > 0.7 {
			return name
		}
	}
	if share(samples, theirHz) > 0.7 {
		return "baresip"
	}
	return music
}

// share is how much of the power of samples is in one tone.
func share(samples []int16, hz float64) float64 {
	var re, im, all float64
	for i, v := range samples {
		x := float64(v)
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / audiodevice.Rate)
		re, im, all = re+x*cos, im+x*sin, all+x*x
	}
	return 2 * (re*re + im*im) / (float64(len(samples)) * all)
}
