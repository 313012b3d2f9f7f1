package line

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"

	"offhook/audio/codec"
	"offhook/internal/sdp"
	"offhook/internal/testkit/sound"
)

// say sends a tone of 20 ms packets for a while, in the first format agreed.
func (p *phone) say(hz, amplitude float64, d time.Duration) {
	f := p.at.Send[0]
	c, _ := codec.Find(f.Name)
	encoder, err := c.NewEncoder(codec.EncoderConfig{})
	if err != nil {
		p.t.Error(err)
		return
	}
	defer encoder.Close()
	n := c.SampleRate / 50
	tone := sound.Sine(hz, amplitude, c.SampleRate, n*int(d/(20*time.Millisecond)))
	for i := 0; i*n < len(tone); i++ {
		payload, err := encoder.Encode(nil, tone[i*n:(i+1)*n])
		if err == nil {
			err = p.conn.Write(f.PayloadType, i == 0, uint32(i*c.ClockRate/50), payload)
		}
		if err != nil {
			p.t.Error(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// hear decodes packets of one format.
func (p *phone) hear(packets []rtp.Packet) (samples []int16, rate int) {
	p.t.Helper()
	f := p.at.Send[0]
	c, _ := codec.Find(f.Name)
	decoder, err := c.NewDecoder()
	if err != nil {
		p.t.Fatal(err)
	}
	defer decoder.Close()
	pcm := make([]int16, c.SampleRate*int(codec.MaxDuration/time.Millisecond)/1000)
	at := slices.IndexFunc(p.at.Receive, func(r sdp.Format) bool { return same(r, f) })
	for _, packet := range packets {
		if packet.PayloadType != p.at.Receive[at].PayloadType {
			p.t.Errorf("payload type %d, want %d", packet.PayloadType, p.at.Receive[at].PayloadType)
		}
		n, err := decoder.Decode(pcm, packet.Payload)
		if err != nil {
			p.t.Fatal(err)
		}
		samples = append(samples, pcm[:n]...)
	}
	return samples, c.SampleRate
}

// continuous checks that packets are one stream without a gap, and that time never goes back.
func (p *phone) continuous(packets []rtp.Packet) {
	p.t.Helper()
	for i := 1; i < len(packets); i++ {
		a, b := packets[i-1], packets[i]
		if b.SequenceNumber != a.SequenceNumber+1 || b.SSRC != a.SSRC || int32(b.Timestamp-a.Timestamp) <= 0 {
			p.t.Errorf("packet %d of %d does not go on: %v, then %v", i, len(packets), a.Header, b.Header)
		}
	}
}

func hears(t *testing.T, p *phone, hz, level float64) {
	t.Helper()
	packets := p.packets()
	p.continuous(packets)
	samples, rate := p.hear(packets)
	if len(samples) < rate/2 {
		t.Errorf("%d samples were heard", len(samples))
		return
	}
	samples = samples[rate/10:] // the codec finds in
	f, l, ratio := sound.Tone(samples, rate, hz)
	if f < hz-0.5 || f > hz+0.5 || l < level-1 || l > level+1 || ratio < 15 {
		t.Errorf("heard %.2f Hz, %.2f dBov, %.1f dB over the rest, want %v Hz, %v dBov", f, l, ratio, hz, level)
	}
	if gaps := sound.Gaps(samples, rate, 0.25, time.Millisecond); len(gaps) > 0 {
		t.Errorf("gaps %v", gaps)
	}
}
