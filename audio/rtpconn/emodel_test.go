package rtpconn

import (
	"math"
	"testing"
	"time"
)

// The expected values were worked out by hand from the formulas of G.107.
func TestEModel(t *testing.T) {
	ms := time.Millisecond
	tests := []struct {
		name   string
		codec  string
		loss   float64
		burst  float64
		delay  time.Duration
		r, mos float64
	}{
		// R = 93.2; MOS = 1 + 3.262 + 93.2·33.2·6.8·7e-6
		{"perfect", "pcmu", 0, 1, 0, 93.2, 4.409},
		{"delay that nobody notices", "pcmu", 0, 1, 100 * ms, 93.2, 4.409},
		// X = log2 1.5 = 0.58496; Idd = 25·(1.04006^(1/6) − 3·1.0000549^(1/6) + 2) = 0.163
		{"150 ms", "pcma", 0, 1, 150 * ms, 93.037, 4.405},
		// X = 2; Idd = 25·(65^(1/6) − 3·(1+(2/3)^6)^(1/6) + 2) = 25·(2.00517 − 3.04237 + 2) = 24.07
		{"400 ms", "opus", 0, 1, 400 * ms, 69.13, 3.556},
		// Ie-eff = 95·1/(1 + 25.1) = 3.640
		{"1 % loss", "pcmu", 0.01, 1, 0, 89.560, 4.328},
		// Ie-eff = 95·5/(5 + 25.1) = 15.781
		{"5 % loss", "pcmu", 0.05, 1, 0, 77.419, 3.923},
		// Ie-eff = 95·5/(2.5 + 25.1) = 17.210
		{"5 % loss in bursts", "pcmu", 0.05, 2, 0, 75.990, 3.864},
		// Ie-eff = 95·5/(5 + 4.3) = 51.075
		{"5 % loss without concealment", "gsm", 0.05, 1, 0, 42.125, 2.170},
		// Ie-eff = 95·5/(5 + 20) = 19
		{"5 % loss, Opus", "opus", 0.05, 1, 0, 74.2, 3.787},
		// Ie-eff = 95·5/(5 + 16) = 22.619
		{"5 % loss, G.722", "g722", 0.05, 1, 0, 70.581, 3.624},
		// Ie-eff = 95·100/(100 + 25.1) = 75.939; R = 17.26; MOS = 1 + 0.604 − 17.26·42.74·82.74·7e-6
		{"nothing arrives", "pcmu", 1, 1, 0, 17.261, 1.177},
		{"a mistake of the caller", "pcmu", 3, 0, -ms, 17.261, 1.177},
	}
	for _, tt := range tests {
		r, mos := EModel(tt.codec, tt.loss, tt.burst, tt.delay)
		if math.Abs(r-tt.r) > 0.01 || math.Abs(mos-tt.mos) > 0.002 {
			t.Errorf("%s: R %.3f, MOS %.3f; want %.3f, %.3f", tt.name, r, mos, tt.r, tt.mos)
		}
	}
	for r := 0.0; r < 100; r++ {
		if opinion(r+1) < opinion(r) {
			t.Errorf("the score falls from R %v to %v", r, r+1)
		}
	}
}
