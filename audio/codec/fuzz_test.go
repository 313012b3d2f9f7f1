package codec

import "testing"

// Payloads come from strangers. The input is a stream of them, each with its length before it in one byte, for the state
// of a decoder depends on what it has read.

func FuzzPCMU(f *testing.F) { fuzzDecoder(f, "pcmu") }
func FuzzPCMA(f *testing.F) { fuzzDecoder(f, "pcma") }
func FuzzG722(f *testing.F) { fuzzDecoder(f, "g722") }
func FuzzOpus(f *testing.F) { fuzzDecoder(f, "opus") }

func fuzzDecoder(f *testing.F, name string) {
	c, _ := Find(name)
	var stream []byte
	for _, file := range []string{"silk.opus", "hybrid.opus", "celt.opus", "stereo.opus"} {
		for _, payload := range packets(f, file)[:5] {
			stream = append(append(stream, byte(len(payload))), payload[:min(len(payload), 255)]...)
		}
		f.Add(stream, uint16(5760))
	}
	f.Add(append([]byte{160}, recording(f)[:160]...), uint16(320))
	f.Add([]byte{0, 1, 0xF8, 2, 0x4B, 0xFF, 3, 0xFF, 0xFF, 0xFF}, uint16(480))
	f.Fuzz(func(t *testing.T, stream []byte, room uint16) {
		d := decoder(t, c)
		const guard = 64
		buffer := make([]int16, int(room)+guard)
		for i := range guard {
			buffer[int(room)+i] = 0x5A5A
		}
		pcm := buffer[:room]
		for len(stream) > 0 {
			n := min(int(stream[0]), len(stream)-1)
			payload := stream[1 : 1+n : 1+n]
			stream = stream[1+n:]
			duration := d.Duration(payload)
			if duration < 0 {
				t.Fatalf("a duration of %d", duration)
			}
			if d.Recover(pcm, payload) && len(pcm) == 0 {
				t.Fatal("recovered into nothing")
			}
			got, err := d.Decode(pcm, payload)
			if err == nil && got != duration || err != nil && got != 0 {
				t.Fatalf("%d samples, %v; the duration is %d", got, err, duration)
			}
			_ = d.Conceal(pcm)
			for _, v := range buffer[room:] {
				if v != 0x5A5A {
					t.Fatal("wrote beyond the end")
				}
			}
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte{11, 0x8A, 5, 0})
	f.Add([]byte{255, 255, 255})
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, err := ParseEvent(payload)
		if err != nil {
			return
		}
		_, _ = e.Digit()
		if again, err := ParseEvent(e.Append(nil)); err != nil || again != e {
			t.Fatalf("%+v comes back as %+v, %v", e, again, err)
		}
	})
}

// Whatever a peer says in its a=fmtp, there is an encoder.
func FuzzParams(f *testing.F) {
	f.Add("minptime=10; useinbandfec=1; usedtx=1; maxaveragebitrate=20000; maxplaybackrate=16000; cbr=1")
	f.Add(";=;maxaveragebitrate=99999999999999999999")
	f.Fuzz(func(t *testing.T, params string) {
		for _, c := range sendable() {
			e := encoder(t, c, EncoderConfig{Params: params})
			if _, err := e.Encode(nil, make([]int16, packet(c, 0))); err != nil {
				t.Fatal(err)
			}
			e.Close()
		}
	})
}
