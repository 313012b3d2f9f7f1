package music

import (
	"testing"
	"time"

	"offhook/audio/resample"
	"offhook/internal/testkit/sound"
)

// spoken finds the words in samples: what is loud, without pauses as long as those between digits.
func spoken(samples []int16, rate int) (words []sound.Gap, pauses []time.Duration) {
	block := rate / 100
	at := func(i int) time.Duration { return time.Duration(i) * time.Second / time.Duration(rate) }
	end := 0
	for i := 0; i+block <= len(samples); i += block {
		if sound.Level(samples[i:i+block]) < -50 {
			continue
		}
		if silence := at(i - end); len(words) == 0 || silence > betweenDigits*3/4 {
			words = append(words, sound.Gap{At: at(i)})
			pauses = append(pauses, silence)
		}
		end = i + block
		words[len(words)-1].Length = at(end) - words[len(words)-1].At
	}
	return words, append(pauses, at(len(samples)-end))
}

func TestSpell(t *testing.T) {
	for d := byte('0'); d <= '9'; d++ {
		s := digit(d)
		if length := time.Duration(len(s)) * time.Second / spellRate; length < 300*time.Millisecond || length > 700*time.Millisecond {
			t.Errorf("%c takes %v", d, length)
		}
		if level, top := sound.Level(s), peak(s); level < -27 || level > -18 || top > -7 {
			t.Errorf("%c has %.1f dBov, peak %.1f", d, level, top)
		}
	}
	samples := Spell("7-0-1")
	narrow := make([]int16, len(samples)/6)
	resample.NewDown(6).Process(narrow, samples)
	heard := overPCMU(t, narrow)
	words, pauses := spoken(heard, 8000)
	t.Logf("words %v, pauses %v", words, pauses)
	if len(words) != 3 {
		t.Fatalf("%d words, want 3: %v", len(words), words)
	}
	if first := pauses[0]; first < 300*time.Millisecond {
		t.Errorf("%v before the first word", first)
	}
	if last := pauses[3]; last < 1500*time.Millisecond {
		t.Errorf("%v before it is repeated", last)
	}
	for i, d := range []byte("701") {
		want := time.Duration(len(digit(d))) * time.Second / spellRate
		if got := words[i].Length; got > want+20*time.Millisecond || got < want-150*time.Millisecond {
			t.Errorf("word %d takes %v, %c takes %v", i, got, d, want)
		}
	}
	if level := sound.Level(Spell("")); level > -100 {
		t.Errorf("no digits have %.1f dBov", level)
	}
}

// The recordings have the one form that is read here.
func TestRecordings(t *testing.T) {
	files, err := recordings.ReadDir("digits")
	if err != nil || len(files) != 10 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	total := 0
	for _, f := range files {
		b, err := recordings.ReadFile("digits/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		total += len(b)
		want := "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00data"
		if got := string(b[8:40]); got != want {
			t.Errorf("%s begins with %q", f.Name(), got)
		}
	}
	if total > 200_000 {
		t.Errorf("%d bytes of recordings", total)
	}
}
