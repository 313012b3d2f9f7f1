package echo

import "testing"

// lower brings a signal to the rate at which the locator works.
func lower(x []float32) []float32 {
	d, out := newSplit(), make([]float32, len(x)/ratio)
	for i := 0; i+Block <= len(x); i += Block {
		d.process(out[i/ratio:][:lowBlock], x[i:i+Block])
	}
	return out
}

// search runs a locator and calls f after every block with the seconds since the start and the delay in ms, -1 if
// unknown.
func search(mic, far []float32, f func(at, delay float64)) {
	l := newLocator()
	mic, far = lower(mic), lower(far)
	for i := 0; i+lowBlock <= len(mic); i += lowBlock {
		d := l.process(mic[i:i+lowBlock], far[i:i+lowBlock])
		ms := -1.0
		if d >= 0 {
			ms = float64(d) * 1000 / lowRate
		}
		f(float64(i+lowBlock)/lowRate, ms)
	}
}

// Two talkers always have something in common, but a delay that was found is not given up for that, though the near
// end is 30 dB louder than the echo.
func TestLocatorIsNotMisled(t *testing.T) {
	const seconds, path = 12, 60
	names := [][2]string{{"far.wav", "near.wav"}, {"near.wav", "far.wav"}}
	for _, n := range names {
		for seed := range uint64(4) {
			h := room(0.1+0.1*float64(seed), -20, seed)
			for j := len(h) - 1; j > 0; j-- {
				h[j] -= 0.95 * h[j-1] // a small loudspeaker has no bass
			}
			far := wide(speech(t, n[0]), seconds, -25)
			talk := speech(t, n[1])
			talk = append(append([]float32{}, talk[seed*9000:]...), talk[:seed*9000]...)
			near := cut(wide(talk, seconds, -20), 3, seconds)
			mic := mixed(heard(far, h, path*48), near, noise(len(far), -70, seed))
			wrong := 0
			search(mic, far, func(at, delay float64) {
				if at > 2 && (delay < path-8 || delay > path+8) {
					wrong++
				}
			})
			if wrong > 0 {
				t.Errorf("%s under %s, %d: the delay is wrong for %d blocks", n[0], n[1], seed, wrong)
			}
		}
	}
}

// After a loud near end has fallen silent, a faint echo is found as soon as it could have been at first.
func TestLocatorForgetsLoudWords(t *testing.T) {
	const seconds, path = 5, 40
	far := farSpeech(t, seconds)
	near := cut(wide(speech(t, "near.wav"), seconds, -8), 0, 3)
	mic := mixed(heard(far, room(0.1, -30, 1), path*48), near, noise(len(far), -80, 1))
	search(mic, far, func(at, delay float64) {
		if at > 4 && (delay < path-8 || delay > path+8) {
			t.Fatalf("after %.2f s the delay is %g ms", at, delay)
		}
	})
}

// A tone that starts has one delay; its ends in the search's window have another.
func TestLocatorAndTones(t *testing.T) {
	alone(t)
	const seconds, path = 3, 200
	far := tone(seconds*Rate, 440, -20)
	mic := mixed(heard(far, room(0.1, pathLevel, 1), path*48), noise(len(far), -80, 1))
	search(mic, far, func(at, delay float64) {
		if delay >= 0 && (delay < path-8 || delay > path+8) {
			t.Fatalf("after %.2f s the delay is %g ms", at, delay)
		}
	})
}
