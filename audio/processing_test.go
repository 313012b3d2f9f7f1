package audio

import (
	"testing"
	"time"

	"offhook/audio/echo"
	"offhook/internal/sdp"
	"offhook/internal/testkit/sound"
)

// The sound of a microphone is worked on or not, as the user switches during a call; nobody hears the switch.
func TestProcessingIsSwitched(t *testing.T) {
	inWorld(t, func(w *world) {
		a, b := w.party("10.0.0.1", tone(440), "pcmu"), w.party("10.0.0.2", nil, "pcmu")
		a.dev.real = true
		w.call(a, b, sdp.Off)
		time.Sleep(2 * time.Second)
		w.hears("b", b.dev, 440)
		quiet := jump(b.dev.last(time.Second))
		a.SetProcessing(echo.Config{Noise: true})
		if got := a.Processing(); got != (echo.Config{Noise: true}) {
			t.Errorf("%+v", got)
		}
		time.Sleep(10 * time.Second) // a tone is steady noise, once it is steady
		if level := sound.Level(b.dev.last(time.Second)); level > toneLevel12-6 {
			t.Errorf("steady noise is heard at %.1f dBov, it was %.1f", level, toneLevel12)
		}
		a.SetProcessing(echo.Config{})
		time.Sleep(2 * time.Second)
		w.hears("b", b.dev, 440)
		for range 10 { // on, with all that leaves a tone as it is, and off
			a.SetProcessing(echo.Config{Echo: true, Limiter: true})
			time.Sleep(300 * time.Millisecond)
			a.SetProcessing(echo.Config{})
			time.Sleep(300 * time.Millisecond)
		}
		if loud := jump(b.dev.last(6 * time.Second)); loud > 2*quiet {
			t.Errorf("a jump of %d where the tone alone has %d", loud, quiet)
		}
	})
}

// jump is the greatest second difference: a click is a step that no tone makes.
func jump(pcm []int16) (worst int) {
	for i := 2; i < len(pcm); i++ {
		d := int(pcm[i]) - 2*int(pcm[i-1]) + int(pcm[i-2])
		worst = max(worst, d, -d)
	}
	return worst
}
