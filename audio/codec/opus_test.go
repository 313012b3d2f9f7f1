package codec

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"testing"
)

// packets reads a recorded stream: each packet has its length before it, in two bytes.
func packets(t testing.TB, file string) [][]byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	for len(b) >= 2 {
		n := 2 + int(binary.BigEndian.Uint16(b))
		list = append(list, b[2:n])
		b = b[n:]
	}
	return list
}

// Streams of libopus 1.3.1, one for each layer of the codec and one in stereo whose right side is silent, all a tone of
// 1 kHz and 16000. Both builds have to read them.
func TestOpusStreams(t *testing.T) {
	c, _ := Find("opus")
	full := 20 * math.Log10(16000.0/32767)
	for _, s := range []struct {
		file  string
		level float64
	}{
		{"silk.opus", full}, {"hybrid.opus", full}, {"celt.opus", full}, {"stereo.opus", full - 20*math.Log10(2)},
	} {
		d := decoder(t, c)
		var out []int16
		for _, payload := range packets(t, s.file) {
			pcm := make([]int16, 5760)
			if got := d.Duration(payload); got != 960 {
				t.Fatalf("%s: a packet lasts %d samples", s.file, got)
			}
			n, err := d.Decode(pcm, payload)
			if err != nil || n != 960 {
				t.Fatalf("%s: %d samples, %v", s.file, n, err)
			}
			out = append(out, pcm[:n]...)
		}
		level, hz, snr := measure(out[9600:24000], opusRate)
		t.Logf("%s: %.2f dB, %.2f Hz, SNR %.1f dB", s.file, level, hz, snr)
		if math.Abs(level-s.level) > 0.5 || math.Abs(hz-1000) > 1 || snr < 15 {
			t.Errorf("%s: %.2f dB, %.2f Hz, SNR %.1f dB; want %.2f dB", s.file, level, hz, snr, s.level)
		}
		d.Close()
		if _, err := d.Decode(make([]int16, 5760), []byte{0xF8, 0xFF, 0xFE}); !errors.Is(err, ErrClosed) {
			t.Errorf("a closed decoder says %v", err)
		}
		if d.Conceal(make([]int16, 480)) {
			t.Error("a closed decoder conceals")
		}
	}
}

// The durations of RFC 6716 §3.1, by the number in the first five bits.
func TestOpusDuration(t *testing.T) {
	frames := []float64{
		10, 20, 40, 60, 10, 20, 40, 60, 10, 20, 40, 60, // SILK
		10, 20, 10, 20, // hybrid
		2.5, 5, 10, 20, 2.5, 5, 10, 20, 2.5, 5, 10, 20, 2.5, 5, 10, 20, // CELT
	}
	for config, ms := range frames {
		n := int(ms * 48)
		toc := byte(config << 3)
		for _, c := range []struct {
			payload []byte
			want    int
		}{
			{[]byte{toc}, n},
			{[]byte{toc | 4, 1, 2, 3}, n},
			{[]byte{toc | 1, 1, 2}, 2 * n},
			{[]byte{toc | 2, 1, 2, 3}, 2 * n},
			{[]byte{toc | 3}, 0},
			{[]byte{toc | 3, 0}, 0},
			{[]byte{toc | 3, 1, 5}, n},
			{[]byte{toc | 3, 0x80 | 2, 0, 0}, 2 * n},
			{[]byte{toc | 3, 48}, 48 * n},
			{[]byte{toc | 3, 63}, 63 * n},
		} {
			if c.want > 5760 {
				c.want = 0 // RFC 6716 §3.4 R5
			}
			if got := opusDuration(c.payload); got != c.want {
				t.Errorf("%v lasts %d samples, want %d", c.payload, got, c.want)
			}
		}
	}
}

func TestOpusConfigure(t *testing.T) {
	const full = 4
	for _, c := range []struct {
		cfg  EncoderConfig
		want opusSettings
	}{
		{EncoderConfig{}, opusSettings{bitrate: 40000, bandwidth: full}},
		{EncoderConfig{Params: "minptime=10; useinbandfec=1"}, opusSettings{bitrate: 40000, bandwidth: full, fec: true}},
		{EncoderConfig{Params: "usedtx=1;cbr=1;UseInbandFEC = 0"}, opusSettings{bitrate: 40000, bandwidth: full, dtx: true, cbr: true}},
		{EncoderConfig{Params: "maxaveragebitrate=20000"}, opusSettings{bitrate: 20000, bandwidth: full}},
		{EncoderConfig{Params: "maxaveragebitrate=64000"}, opusSettings{bitrate: 40000, bandwidth: full}},
		{EncoderConfig{Params: "maxaveragebitrate=64000", Bitrate: 510000}, opusSettings{bitrate: 64000, bandwidth: full}},
		{EncoderConfig{Params: "maxaveragebitrate=1"}, opusSettings{bitrate: 6000, bandwidth: full}},
		{EncoderConfig{Params: "maxaveragebitrate=-5; maxplaybackrate=x"}, opusSettings{bitrate: 40000, bandwidth: full}},
		{EncoderConfig{Bitrate: 1 << 40}, opusSettings{bitrate: 510000, bandwidth: full}},
		{EncoderConfig{Params: "maxplaybackrate=8000"}, opusSettings{bitrate: 12000}},
		{EncoderConfig{Params: "maxplaybackrate=16000"}, opusSettings{bitrate: 20000, bandwidth: 2}},
		{EncoderConfig{Params: "maxplaybackrate=17000"}, opusSettings{bitrate: 28000, bandwidth: 3}},
		{EncoderConfig{Params: "maxplaybackrate=44100", Bitrate: 30000}, opusSettings{bitrate: 30000, bandwidth: full}},
		{EncoderConfig{Params: ";;=;usedtx;usedtx=2"}, opusSettings{bitrate: 40000, bandwidth: full}},
	} {
		if got := opusConfigure(c.cfg); got != c.want {
			t.Errorf("%+v gives %+v, want %+v", c.cfg, got, c.want)
		}
	}
}
