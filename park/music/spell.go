package music

import (
	"embed"
	"encoding/binary"
	"time"

	"offhook/audio/resample"
)

// recordings are the ten digits: digits/README.md says how they were made.
//
//go:embed digits/*.wav
var recordings embed.FS

const (
	spellRate = 16000
	spellUp   = Rate / spellRate
	header    = 44 // bytes of a WAV file before its samples

	beforeDigits  = 400 * time.Millisecond // the media of a call that has just been answered may need a moment
	betweenDigits = 250 * time.Millisecond
	afterDigits   = 1600 * time.Millisecond
)

// Spell is the digits of an orbit, spoken one by one, with a pause before they are repeated. What is not a digit is left
// out.
func Spell(orbit string) []int16 {
	narrow := pause(nil, beforeDigits)
	for i, d := range []byte(orbit) {
		if d < '0' || d > '9' {
			continue
		}
		if i > 0 {
			narrow = pause(narrow, betweenDigits)
		}
		narrow = append(narrow, digit(d)...)
	}
	narrow = pause(narrow, afterDigits)
	out := make([]int16, spellUp*len(narrow))
	resample.NewUp(spellUp).Process(out, narrow)
	return out
}

func pause(samples []int16, d time.Duration) []int16 {
	return append(samples, make([]int16, d*spellRate/time.Second)...)
}

// digit is the recording of '0' to '9', at spellRate.
func digit(d byte) []int16 {
	file, err := recordings.ReadFile("digits/" + string(rune(d)) + ".wav")
	if err != nil || len(file) < header {
		panic("music: the program lacks its recordings") // they are compiled in, and a test reads them all
	}
	samples := make([]int16, (len(file)-header)/2)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(file[header+2*i:]))
	}
	return samples
}
