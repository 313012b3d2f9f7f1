package codec

import "testing"

// The benchmarks code packets of 20 ms.

func BenchmarkOpusEncode(b *testing.B) { benchmarkEncode(b, "opus", EncoderConfig{}, 0) }
func BenchmarkOpusDecode(b *testing.B) { benchmarkDecode(b, "opus") }
func BenchmarkG722Encode(b *testing.B) { benchmarkEncode(b, "g722", EncoderConfig{}, 0) }
func BenchmarkG722Decode(b *testing.B) { benchmarkDecode(b, "g722") }
func BenchmarkPCMUEncode(b *testing.B) { benchmarkEncode(b, "pcmu", EncoderConfig{}, 0) }
func BenchmarkPCMUDecode(b *testing.B) { benchmarkDecode(b, "pcmu") }
func BenchmarkPCMAEncode(b *testing.B) { benchmarkEncode(b, "pcma", EncoderConfig{}, 0) }
func BenchmarkPCMADecode(b *testing.B) { benchmarkDecode(b, "pcma") }

// BenchmarkOpusEncodeFEC makes copies for lost packets, too.
func BenchmarkOpusEncodeFEC(b *testing.B) {
	benchmarkEncode(b, "opus", EncoderConfig{Params: "useinbandfec=1"}, 0.05)
}

// speech is the synthetic voice at the rate of a codec; a mean of neighbours is good enough a filter here.
func speech(b *testing.B, rate int) []int16 {
	low := g722Decode(b, recording(b), 160)
	var x []int16
	for i := range len(low) / 2 {
		switch rate {
		case 8000:
			x = append(x, int16((int(low[2*i])+int(low[2*i+1]))/2))
		case 16000:
			x = append(x, low[2*i], low[2*i+1])
		case 48000:
			x = append(x, low[2*i], low[2*i], low[2*i], low[2*i+1], low[2*i+1], low[2*i+1])
		}
	}
	return x
}

func benchmarkEncode(b *testing.B, name string, cfg EncoderConfig, loss float64) {
	c, _ := Find(name)
	if c.NewEncoder == nil {
		b.Skip("this build only receives it")
	}
	e, x, n := encoder(b, c, cfg), speech(b, c.SampleRate), packet(c, 0)
	e.SetLoss(loss)
	dst := make([]byte, 0, MaxPayload)
	at := 0
	b.ReportAllocs()
	for b.Loop() {
		if at+n > len(x) {
			at = 0
		}
		if _, err := e.Encode(dst, x[at:at+n]); err != nil {
			b.Fatal(err)
		}
		at += n
	}
}

func benchmarkDecode(b *testing.B, name string) {
	c, _ := Find(name)
	var list [][]byte
	if c.NewEncoder != nil {
		e, x, n := encoder(b, c, EncoderConfig{}), speech(b, c.SampleRate), packet(c, 0)
		for ; len(x) >= n; x = x[n:] {
			payload, err := e.Encode(nil, x[:n])
			if err != nil {
				b.Fatal(err)
			}
			list = append(list, payload)
		}
	} else {
		list = packets(b, "hybrid.opus")
	}
	d, pcm := decoder(b, c), make([]int16, 5760)
	at := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(pcm, list[at%len(list)]); err != nil {
			b.Fatal(err)
		}
		at++
	}
}
