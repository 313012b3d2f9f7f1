package echo

import "testing"

// A call in which both ends speak, which is the most expensive one. 1 % of a core is 100 000 ns per block of 10 ms.
func benchmark(b *testing.B, cfg Config) {
	far := farSpeech(b, 10)
	near := wide(speech(b, "near.wav"), 10, -26)
	sent := mixed(heard(far, room(0.1, pathLevel, 1), 40*48), near, noise(len(far), ownNoise, 1))
	mic, loud := make([]int16, len(far)), make([]int16, len(far))
	for i := range mic {
		mic[i], loud[i] = toInt(sent[i]), toInt(far[i])
	}
	block := make([]int16, Block)
	p := New(cfg)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		copy(block, mic[i:])
		p.Process(block, loud[i:i+Block])
		i = (i + Block) % len(mic)
	}
}

func BenchmarkCanceller(b *testing.B) { benchmark(b, Config{Echo: true}) }
func BenchmarkNoise(b *testing.B)     { benchmark(b, Config{Noise: true}) }
func BenchmarkGain(b *testing.B)      { benchmark(b, Config{Gain: true, Limiter: true}) }
func BenchmarkAll(b *testing.B)       { benchmark(b, Default) }
