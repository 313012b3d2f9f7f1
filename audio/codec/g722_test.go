package codec

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"testing"
	"time"
)

// The hashes here are those of what another implementation made of the same input: FFmpeg 5.1, which passes the test
// sequences of the recommendation (its encoder without trellis search). testdata/speech.g722 is a synthetic voice.

func g722Encode(t testing.TB, ptime time.Duration, x []int16) []byte {
	t.Helper()
	c, _ := Find("g722")
	e := encoder(t, c, EncoderConfig{Ptime: ptime})
	var out []byte
	for n := packet(c, ptime); len(x) >= n; x = x[n:] {
		var err error
		if out, err = e.Encode(out, x[:n]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// g722Decode decodes in payloads of a size that has nothing to do with frames, for there are none.
func g722Decode(t testing.TB, payload []byte, size int) []int16 {
	t.Helper()
	c, _ := Find("g722")
	d := decoder(t, c)
	var out []int16
	pcm := make([]int16, 2*size)
	for len(payload) > 0 {
		n, err := d.Decode(pcm, payload[:min(size, len(payload))])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pcm[:n]...)
		payload = payload[n/2:]
	}
	return out
}

// recording is the synthetic voice, as payload.
func recording(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/speech.g722")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])[:16]
}

func littleEndian(x []int16) []byte {
	var b []byte
	for _, v := range x {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return b
}

// random is a sequence that the other side can make, too.
type random uint32

func (r *random) next() uint32 {
	*r = *r*1664525 + 1013904223
	return uint32(*r)
}

func TestG722Vectors(t *testing.T) {
	speech := recording(t)
	const n = 16000
	r := random(1)
	noise, quiet, square := make([]int16, n), make([]int16, n), make([]int16, n)
	for i := range noise {
		noise[i] = int16(int(r.next()>>16) - 32768)
	}
	for i := range quiet {
		quiet[i] = int16(int(r.next()>>26) - 32)
	}
	for i := range square { // of full scale, from the highest frequency downwards
		square[i] = 32767
		if i/(1+i/400)%2 == 1 {
			square[i] = -32768
		}
	}
	bytes := make([]byte, n/2)
	for i := range bytes {
		bytes[i] = byte(r.next() >> 24)
	}
	for _, c := range []struct {
		name             string
		pcm              []int16
		payload          []byte // where no samples are encoded
		encoded, decoded string
	}{
		{"noise", noise, nil, "4a9c03e0554316f3", "ecdd72966a64721a"},
		{"quiet", quiet, nil, "ab7321f7d0769036", "9edbfdd49c08c947"},
		{"square", square, nil, "b18a02c220b7bebb", "0aed55a0847f9862"},
		{"any bytes", nil, bytes, "", "95308fac6cfbf359"},
		{"speech", nil, speech, "", "2f55b4b4acfa2899"},
		{"speech again", g722Decode(t, speech, 160), nil, "bcd767a2ad5e2e70", ""},
	} {
		for _, ptime := range []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond} {
			payload := c.payload
			if c.pcm != nil {
				payload = g722Encode(t, ptime, c.pcm)
				if got := hash(payload); got != c.encoded {
					t.Errorf("%s: encoded in packets of %v it is %s, want %s", c.name, ptime, got, c.encoded)
				}
			}
			if c.decoded == "" {
				continue
			}
			for _, size := range []int{1, 7, 160, 1000} {
				if got := hash(littleEndian(g722Decode(t, payload, size))); got != c.decoded {
					t.Errorf("%s: decoded by %d bytes it is %s, want %s", c.name, size, got, c.decoded)
				}
			}
		}
	}
}

// A tone of 5 kHz lies in the upper band alone.
func TestG722UpperBand(t *testing.T) {
	out := g722Decode(t, g722Encode(t, 0, tone(16000, 5000, 16000, -10)), 160)
	var energy float64
	for _, v := range out[8000:] {
		energy += float64(v) * float64(v) / 8000
	}
	want := 32767 * 32767 * 0.1 / 2
	if energy < 0.8*want || energy > 1.25*want {
		t.Errorf("the power is %.0f, want about %.0f", energy, want)
	}
}
