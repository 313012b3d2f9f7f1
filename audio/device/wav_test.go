package device

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// makeWAV writes a file as others do: any format, with a chunk of odd length before the samples.
func makeWAV(tag uint16, rate, channels, bits int, extensible bool, data []byte) []byte {
	le := binary.LittleEndian
	var f []byte
	outer := tag
	if extensible {
		outer = formatExtensible
	}
	f = le.AppendUint16(f, outer)
	f = le.AppendUint16(f, uint16(channels))
	f = le.AppendUint32(f, uint32(rate))
	f = le.AppendUint32(f, uint32(rate*channels*bits/8))
	f = le.AppendUint16(f, uint16(channels*bits/8))
	f = le.AppendUint16(f, uint16(bits))
	if extensible {
		f = le.AppendUint16(f, 22)
		f = le.AppendUint16(f, uint16(bits))
		f = le.AppendUint32(f, 0)
		f = le.AppendUint16(f, tag)
		f = append(f, make([]byte, 14)...)
	}
	var b bytes.Buffer
	b.WriteString("RIFF\xff\xff\xff\x7fWAVE")
	b.WriteString("LIST\x03\x00\x00\x00abc\x00")
	b.WriteString("fmt ")
	_ = binary.Write(&b, le, uint32(len(f)))
	b.Write(f)
	b.WriteString("data")
	_ = binary.Write(&b, le, uint32(len(data)))
	b.Write(data)
	return b.Bytes()
}

// encode writes one value in -1..1 in a format.
func encode(tag uint16, bits int, x float64) []byte {
	le := binary.LittleEndian
	switch {
	case tag == formatFloat && bits == 32:
		return le.AppendUint32(nil, math.Float32bits(float32(x)))
	case tag == formatFloat:
		return le.AppendUint64(nil, math.Float64bits(x))
	case bits == 8:
		return []byte{byte(int(x*128) + 128)}
	}
	v := int64(x * float64(int64(1)<<(bits-1)))
	return le.AppendUint64(nil, uint64(v))[:bits/8]
}

func TestWAVFormats(t *testing.T) {
	for _, f := range []struct {
		tag        uint16
		bits       int
		extensible bool
	}{
		{formatPCM, 8, false},
		{formatPCM, 16, false},
		{formatPCM, 24, false},
		{formatPCM, 32, false},
		{formatFloat, 32, false},
		{formatFloat, 64, false},
		{formatPCM, 24, true},
		{formatFloat, 32, true},
	} {
		for _, channels := range []int{1, 2, 6} {
			var data []byte
			want := []int16{0, 8192, -8192, 16384, -32768}
			for _, w := range want {
				for range channels {
					data = append(data, encode(f.tag, f.bits, float64(w)/32768)...)
				}
			}
			got, err := decodeWAV(bytes.NewReader(makeWAV(f.tag, Rate, channels, f.bits, f.extensible, data)), maxFile)
			if err != nil {
				t.Errorf("%+v, %d channels: %v", f, channels, err)
				continue
			}
			if len(got) != len(want) {
				t.Errorf("%+v, %d channels: %d samples, want %d", f, channels, len(got), len(want))
				continue
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%+v, %d channels: sample %d is %d, want %d", f, channels, i, got[i], want[i])
				}
			}
		}
	}
}

func TestWAVChannelsAreMixed(t *testing.T) {
	data := append(encode(formatPCM, 16, 0.5), encode(formatPCM, 16, -0.25)...)
	got, err := decodeWAV(bytes.NewReader(makeWAV(formatPCM, Rate, 2, 16, false, data)), maxFile)
	if err != nil || len(got) != 1 || got[0] != 4096 {
		t.Errorf("got %v, %v; want the mean 4096", got, err)
	}
}

// TestWAVRates plays a tone of every usual rate, which has to come out with the same frequency and level.
func TestWAVRates(t *testing.T) {
	for _, rate := range []int{8000, 11025, 16000, 22050, 44100, 96000} {
		var data []byte
		for i := range rate {
			data = append(data, encode(formatPCM, 16, 0.5*math.Sin(2*math.Pi*1000*float64(i)/float64(rate)))...)
		}
		got, err := decodeWAV(bytes.NewReader(makeWAV(formatPCM, rate, 1, 16, false, data)), maxFile)
		if err != nil {
			t.Errorf("%d Hz: %v", rate, err)
			continue
		}
		if d := len(got) - Rate; d < -2 || d > 2 {
			t.Errorf("%d Hz: a second has %d samples", rate, len(got))
		}
		if level := levelAt(got[1000:len(got)-1000], 1000); math.Abs(level-0.5) > 0.002 {
			t.Errorf("%d Hz: the tone has an amplitude of %.4f, want 0.5", rate, level)
		}
	}
}

// levelAt is the amplitude of a frequency, 1 for full scale.
func levelAt(pcm []int16, hz float64) float64 {
	var re, im float64
	for i, v := range pcm {
		s, c := math.Sincos(2 * math.Pi * hz * float64(i) / Rate)
		re += float64(v) / 32768 * c
		im += float64(v) / 32768 * s
	}
	return 2 * math.Hypot(re, im) / float64(len(pcm))
}

func TestWAVRefusals(t *testing.T) {
	good := makeWAV(formatPCM, Rate, 1, 16, false, []byte{1, 2, 3, 4})
	change := func(at int, b ...byte) []byte {
		f := bytes.Clone(good)
		copy(f[at:], b)
		return f
	}
	format := bytes.Index(good, []byte("fmt ")) + 8
	for name, f := range map[string][]byte{
		"empty":          {},
		"not RIFF":       change(0, 'R', 'I', 'F', 'X'),
		"not WAVE":       change(8, 'A', 'V', 'I', ' '),
		"MP3":            change(format, 0x55),
		"no channels":    change(format+2, 0),
		"many channels":  change(format+2, 0, 1),
		"rate 0":         change(format+4, 0, 0, 0, 0),
		"rate too high":  change(format+4, 0xff, 0xff, 0xff, 0xff),
		"12 bits":        change(format+14, 12),
		"huge format":    change(format-4, 0xff, 0xff, 0xff, 0xff),
		"format missing": append([]byte("RIFF\x00\x00\x00\x00WAVE"), "data\x04\x00\x00\x00abcd"...),
		"cut in format":  good[:format+5],
		"no samples":     good[:format+16],
	} {
		if _, err := decodeWAV(bytes.NewReader(f), maxFile); !errors.Is(err, ErrNotWAV) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A file that is shorter than it says, or was never finished, is played as far as it goes.
	for name, f := range map[string][]byte{
		"cut in samples": good[:len(good)-1],
		"size unknown":   change(len(good)-8, 0xff, 0xff, 0xff, 0xff),
		"size zero":      change(len(good)-8, 0, 0, 0, 0),
	} {
		if got, err := decodeWAV(bytes.NewReader(f), maxFile); err != nil || len(got) == 0 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := decodeWAV(bytes.NewReader(good), 1); err == nil {
		t.Error("a file over the limit was read")
	}
}

func TestWAVReaderInPieces(t *testing.T) {
	var data []byte
	for i := range 3000 {
		data = binary.LittleEndian.AppendUint16(data, uint16(i))
	}
	w, err := NewWAVReader(oneByte{bytes.NewReader(makeWAV(formatPCM, 8000, 1, 16, false, data))})
	if err != nil {
		t.Fatal(err)
	}
	var got []int16
	buf := make([]int16, 7)
	for {
		n, err := w.Read(buf)
		got = append(got, buf[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 3000 || got[2999] != 2999 || w.Rate() != 8000 || w.Channels() != 1 {
		t.Errorf("%d samples, %d Hz, %d channels", len(got), w.Rate(), w.Channels())
	}
}

type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }

// TestWAVWriterIsAlwaysValid reads the file after every write.
func TestWAVWriterIsAlwaysValid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.wav")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWAVWriter(f, 16000, 2)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]int16, 2*320)
	for i := range block {
		block[i] = int16(i)
	}
	for n := range 20 {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		frames := n * len(block) / 2
		if got := int(binary.LittleEndian.Uint32(b[40:])); got != frames*4 || len(b) != headerLen+got {
			t.Fatalf("after %d frames the header says %d bytes, the file has %d", frames, got, len(b))
		}
		r, err := NewWAVReader(bytes.NewReader(b))
		if err != nil || r.Rate() != 16000 || r.Channels() != 2 {
			t.Fatalf("after %d frames: %v", frames, err)
		}
		if err := errors.Join(w.Write(block), w.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWAVWriterCollects(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.wav")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWAVWriter(f, Rate, 1)
	if err != nil {
		t.Fatal(err)
	}
	big := make([]int16, 100_000)
	for i := range big {
		big[i] = int16(i)
	}
	if err := errors.Join(w.Write(big), w.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := ReadWAV(path, maxFile)
	if err != nil || len(got) != len(big) || got[77_777] != big[77_777] {
		t.Errorf("%d samples came back, %v", len(got), err)
	}
}

func TestSpeakerFileOverwritesWAVOnly(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.wav")
	for range 2 { // new, then over itself
		r, err := newRecorder(path)
		if err != nil {
			t.Fatal(err)
		}
		r.Write(make([]int16, BlockSize))
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadWAV(path, maxFile); err != nil || len(got) != BlockSize {
			t.Errorf("%d samples, %v", len(got), err)
		}
	}
	letter := filepath.Join(dir, "letter.txt")
	if err := os.WriteFile(letter, []byte("Dear Ann,"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{letter, dir, filepath.Join(dir, "no", "such.wav")} {
		if _, err := newRecorder(path); err == nil {
			t.Errorf("%s was taken for a WAV file", path)
		}
	}
	if b, _ := os.ReadFile(letter); !strings.HasPrefix(string(b), "Dear") {
		t.Error("the letter is gone")
	}
}

func FuzzWAV(f *testing.F) {
	f.Add(makeWAV(formatPCM, Rate, 1, 16, false, []byte{1, 2, 3, 4}))
	f.Add(makeWAV(formatFloat, 44100, 2, 32, true, make([]byte, 64)))
	f.Add(makeWAV(formatPCM, 8000, 3, 24, true, make([]byte, 50)))
	f.Add(makeWAV(formatPCM, 1000, 64, 8, false, make([]byte, 129)))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := NewWAVReader(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, ErrNotWAV) {
				t.Errorf("unexpected error %v", err)
			}
			return
		}
		total := 0
		buf := make([]int16, 333)
		for {
			n, err := w.Read(buf)
			total += n
			if err != nil {
				break
			}
			if n != len(buf) {
				t.Fatalf("%d of %d samples without an error", n, len(buf))
			}
		}
		if total*w.frame() > len(b) {
			t.Errorf("%d samples from %d bytes", total, len(b))
		}
	})
}
