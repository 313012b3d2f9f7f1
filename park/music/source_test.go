package music

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offhook/audio/codec"
	"offhook/internal/testkit/sound"
)

// meter counts what encoders do, and may take its time for it.
type meter struct {
	mu           sync.Mutex
	made, closed int                       // Guarded by mu.
	encodes      int                       // Guarded by mu.
	delay        func(n int) time.Duration // for the nth encode
}

func (m *meter) find(name string) (codec.Codec, bool) {
	c, ok := codec.Find(name)
	if !ok || c.NewEncoder == nil {
		return c, ok
	}
	inner := c.NewEncoder
	c.NewEncoder = func(cfg codec.EncoderConfig) (codec.Encoder, error) {
		e, err := inner(cfg)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.made++
		return &counted{e, m}, err
	}
	return c, true
}

func (m *meter) counts() (made, closed, encodes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.made, m.closed, m.encodes
}

type counted struct {
	codec.Encoder
	m *meter
}

func (c *counted) Encode(dst []byte, pcm []int16) ([]byte, error) {
	c.m.mu.Lock()
	c.m.encodes++
	n, delay := c.m.encodes, c.m.delay
	c.m.mu.Unlock()
	if delay != nil {
		time.Sleep(delay(n))
	}
	return c.Encoder.Encode(dst, pcm)
}

func (c *counted) Close() {
	c.m.mu.Lock()
	c.m.closed++
	c.m.mu.Unlock()
	c.Encoder.Close()
}

// frames are what one listener has heard.
type frames struct {
	mu    sync.Mutex
	begun time.Time
	at    []time.Duration
	first []bool
	bytes [][]byte
}

func (f *frames) hear(payload []byte, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.first, f.bytes = append(f.at, time.Since(f.begun)), append(f.first, first), append(f.bytes, slices.Clone(payload))
}

func listen(t *testing.T, s *Source, name string) (f *frames, stop func()) {
	t.Helper()
	f = &frames{begun: time.Now()}
	stop, err := s.Listen(name, f.hear)
	if err != nil {
		t.Fatal(err)
	}
	return f, stop
}

// decode is what a listener hears.
func decode(t *testing.T, name string, payloads [][]byte) []int16 {
	t.Helper()
	c, _ := codec.Find(name)
	d, err := c.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var out []int16
	pcm := make([]int16, c.SampleRate*int(codec.MaxDuration/time.Millisecond)/1000)
	for _, p := range payloads {
		n, err := d.Decode(pcm, p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pcm[:n]...)
	}
	return out
}

// playable are the codecs that this build can encode.
func playable() (list []codec.Codec) {
	for _, c := range codec.All {
		if c.NewEncoder != nil {
			list = append(list, c)
		}
	}
	return list
}

func TestOneEncodeForEachCodec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m meter
		s := New(sound.Sine(700, 0.1, Rate, 2*Rate), nil)
		s.find = m.find
		var stops []func()
		heard := map[string][]*frames{}
		for _, c := range playable() {
			for range 100 {
				f, stop := listen(t, s, c.Name)
				heard[c.Name], stops = append(heard[c.Name], f), append(stops, stop)
			}
		}
		time.Sleep(10 * time.Millisecond) // who came first has heard a frame already
		_, _, before := m.counts()
		time.Sleep(time.Second)
		synctest.Wait()
		made, _, encodes := m.counts()
		if n := len(playable()); made != n || encodes-before != 50*n {
			t.Errorf("%d encoders and %d encodes in 50 frames for %d codecs", made, encodes-before, n)
		}
		for _, list := range heard {
			want := list[0].bytes[len(list[0].bytes)-50:]
			for _, f := range list {
				if len(f.at) < 50 || !slices.EqualFunc(f.bytes[len(f.at)-50:], want, slices.Equal) {
					t.Fatalf("one of the listeners has %d frames, and perhaps others than the first", len(f.at))
				}
			}
		}
		for _, stop := range stops {
			stop()
		}
		time.Sleep(FrameTime)
		synctest.Wait()
		if _, closed, _ := m.counts(); closed != made || s.running {
			t.Errorf("%d of %d encoders are closed when nobody listens, running: %v", closed, made, s.running)
		}
	})
}

// Each time somebody comes after a pause, the loop is played from its beginning: half a number helps nobody.
func TestBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Spell("701"), nil)
		defer s.Close()
		one, stop := listen(t, s, "pcmu")
		time.Sleep(790 * time.Millisecond)
		stop()
		time.Sleep(time.Minute)
		two, stop := listen(t, s, "pcmu")
		time.Sleep(790 * time.Millisecond)
		stop()
		if len(one.at) != 40 || !slices.EqualFunc(one.bytes, two.bytes, slices.Equal) {
			t.Errorf("%d frames, and others the second time", len(one.at))
		}
	})
}

// However long the work takes, a frame is due 20 ms after the one before.
func TestNoDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := meter{delay: func(n int) time.Duration { return time.Duration(n%7) * time.Millisecond }}
		s := New(nil, nil)
		s.find = m.find
		defer s.Close()
		f, stop := listen(t, s, "pcma")
		defer stop()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		for i, at := range f.at {
			if want := time.Duration(i)*FrameTime + time.Duration((i+1)%7)*time.Millisecond; at != want {
				t.Fatalf("frame %d came after %v, want %v", i, at, want)
			}
			if f.first[i] != (i == 0) {
				t.Fatalf("frame %d: first is %v", i, f.first[i])
			}
		}
		if len(f.at) < 5999 {
			t.Errorf("%d frames in two minutes", len(f.at))
		}
	})
}

// A program that has stood still goes on where it was: no burst, and the listeners are told of the pause.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := meter{delay: func(n int) time.Duration {
			switch n {
			case 10:
				return 250 * time.Millisecond
			case 20:
				return 15 * time.Millisecond // in time for the next
			}
			return 0
		}}
		tone := sound.Sine(1000, 0.25, Rate, Rate)
		s := New(tone, nil)
		s.find = m.find
		defer s.Close()
		f, stop := listen(t, s, "pcmu")
		time.Sleep(1240 * time.Millisecond)
		stop()
		for i := 1; i < len(f.at); i++ {
			gap := f.at[i] - f.at[i-1]
			switch {
			case i == 9: // the one that took so long
				if gap != 270*time.Millisecond {
					t.Errorf("the stall took %v", gap)
				}
			case i == 10 && (gap != 0 || !f.first[i]):
				t.Errorf("after the stall a frame comes after %v, first is %v", gap, f.first[i])
			case i == 19 && gap != 35*time.Millisecond, i == 20 && gap != 5*time.Millisecond:
				t.Errorf("frame %d comes after %v", i, gap)
			case i > 10 && i != 19 && i != 20 && gap != FrameTime:
				t.Errorf("frame %d comes after %v", i, gap)
			}
			if i != 10 && f.first[i] {
				t.Errorf("frame %d: first is set", i)
			}
		}
		if got := decode(t, "pcmu", f.bytes); len(sound.Gaps(got[160:], 8000, 0.25, time.Millisecond)) > 0 {
			t.Error("the tone has gaps")
		}
	})
}

// The loop is whole at its seam, and what a codec makes of it is what was given.
func TestToneThroughCodecs(t *testing.T) {
	for _, c := range playable() {
		synctest.Test(t, func(t *testing.T) {
			s := New(sound.Sine(1000, 0.25, Rate, Rate/2), nil)
			defer s.Close()
			f, stop := listen(t, s, c.Name)
			time.Sleep(2990 * time.Millisecond)
			stop()
			got := decode(t, c.Name, f.bytes)[c.SampleRate/2:]
			hz, level, ratio := sound.Tone(got, c.SampleRate, 1000)
			if hz < 999.9 || hz > 1000.1 || level < -16 || level > -14.5 || ratio < 20 {
				t.Errorf("%s: %v Hz, %.2f dBov, %.1f dB over the rest", c.Name, hz, level, ratio)
			}
			if gaps := sound.Gaps(got, c.SampleRate, 0.25, 500*time.Microsecond); len(gaps) > 0 {
				t.Errorf("%s: gaps %v", c.Name, gaps)
			}
		})
	}
}

// Who comes later hears the middle of a coded stream, and has to find into it at once.
func TestJoinInTheMiddle(t *testing.T) {
	for _, c := range playable() {
		synctest.Test(t, func(t *testing.T) {
			s := New(Default(), nil)
			defer s.Close()
			early, stop := listen(t, s, c.Name)
			time.Sleep(3 * time.Second)
			late, stop2 := listen(t, s, c.Name)
			time.Sleep(990 * time.Millisecond)
			stop2()
			stop()
			whole := decode(t, c.Name, early.bytes)
			got := decode(t, c.Name, late.bytes)
			whole = whole[len(whole)-len(got):]
			for i, step := 0, c.SampleRate/50; i < 10; i++ {
				a, b := whole[i*step:(i+1)*step], got[i*step:(i+1)*step]
				if d := sound.Level(b) - sound.Level(a); d > 3 {
					t.Errorf("%s: frame %d is %.1f dB louder than it should be", c.Name, i, d)
				}
			}
			settled := c.SampleRate / 5
			rest := make([]int16, len(got)-settled)
			for i := range rest {
				rest[i] = got[settled+i] - whole[settled+i]
			}
			if d := sound.Level(whole[settled:]) - sound.Level(rest); d < 20 {
				t.Errorf("%s: after 200 ms only %.1f dB alike", c.Name, d)
			}
		})
	}
}

func TestListenRefuses(t *testing.T) {
	s := New(nil, nil)
	if _, err := s.Listen("g729", nil); !errors.Is(err, ErrCodec) {
		t.Errorf("g729: %v", err)
	}
	s.find = func(string) (codec.Codec, bool) { return codec.Codec{Name: "opus"}, true } // as without cgo
	if _, err := s.Listen("opus", nil); !errors.Is(err, ErrCodec) {
		t.Errorf("opus: %v", err)
	}
	s.Close()
	s.Close()
	if _, err := s.Listen("pcmu", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// Listeners come and go while others hear; stop is not returned from while its listener is called.
func TestComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(nil, nil)
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				for j := range 20 {
					name := []string{"pcmu", "pcma", "g722"}[(i+j)%3]
					left := false
					stop, err := s.Listen(name, func([]byte, bool) {
						if left {
							t.Error("called after stop")
						}
					})
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Duration(i*j%70) * time.Millisecond)
					stop()
					left = true
				}
			})
		}
		group.Wait()
		s.Close()
	})
}

// BenchmarkFrame is a frame to 500 listeners without what they do with it.
func BenchmarkFrame(b *testing.B) {
	for _, c := range playable() {
		b.Run(c.Name, func(b *testing.B) {
			s := New(Default(), nil)
			v, err := s.voiceLocked(c.Name)
			if err != nil {
				b.Fatal(err)
			}
			for range 500 {
				v.listeners = append(v.listeners, &listener{hear: func([]byte, bool) {}})
			}
			b.ReportAllocs()
			for b.Loop() {
				s.play(v, s.samples[:frameSize], v.listeners, false)
			}
		})
	}
}
