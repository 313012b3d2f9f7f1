package jitter_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"offhook/audio/jitter"
)

const ms = time.Millisecond

// fake is a codec whose payload is a number and a length; its sound is a quiet tone that goes on from packet to packet.
type fake struct {
	rate    int
	decoded []uint32 // all packets, in the order of play-out, if keep is set
	keep    bool
	each    func(id uint32)
}

func payload(id uint32, length time.Duration) []byte {
	b := binary.BigEndian.AppendUint32(nil, id)
	return append(b, byte(length/ms))
}

func (f *fake) Duration(p []byte) int {
	if len(p) < 5 {
		return 0
	}
	return int(p[4]) * f.rate / 1000
}

func (f *fake) Decode(pcm []int16, p []byte) (int, error) {
	id, n := binary.BigEndian.Uint32(p), f.Duration(p)
	if f.keep {
		f.decoded = append(f.decoded, id)
	}
	if f.each != nil {
		f.each(id)
	}
	for i := range min(n, len(pcm)) {
		pcm[i] = table[(i*8000/f.rate)%len(table)]
	}
	return n, nil
}

func (f *fake) Conceal([]int16) bool         { return false }
func (f *fake) Recover([]int16, []byte) bool { return false }

// table is 10 ms of a 200 Hz tone at 8 kHz.
var table = func() (t [80]int16) {
	for i := range t {
		t[i] = int16(3000 * math.Sin(2*math.Pi*200*float64(i)/8000))
	}
	return t
}()

// network says how long packet i, sent at a time, travels; lost packets do not arrive.
type network func(i int, sent time.Duration) (delay time.Duration, lost bool)

// world is a sender, a network and a device in virtual time.
type world struct {
	seed          uint64
	ptime         time.Duration
	rate, clock   int
	network       network
	ppm           float64       // of the sender's clock over the device's
	tick, device  time.Duration // scheduling noise of sender and device, uniform from 0
	period        time.Duration // of the device: it takes that much sound at once; 0 is 10 ms
	phase         time.Duration // of the sender to the device
	length        time.Duration
	configuration jitter.Config
}

// report is how it went, seen from outside the buffer.
type report struct {
	jitter.Stats
	delays          []time.Duration // spoken to played, of each packet played
	mean, high, low time.Duration   // of delays, the first second apart; 95 and 5 percent
	end             time.Duration   // mean of the last 10 seconds
	sent            int
}

type arrival struct {
	at time.Duration
	p  jitter.Packet
}

// run simulates. Packets are made as time goes on, so that hours need no memory.
func (w world) run(each func(now time.Duration, b *jitter.Buffer)) report {
	rnd := rand.New(rand.NewPCG(w.seed, 7))
	noise := func(d time.Duration) time.Duration { return time.Duration(rnd.Float64() * float64(d)) }
	dec := &fake{rate: w.rate}
	b := jitter.New(w.configuration)
	b.SetFormat(0, jitter.Format{Decoder: dec, ClockRate: w.clock, SampleRate: w.rate})
	var r report
	var now time.Duration
	spoken := func(i int) time.Duration {
		return time.Duration(float64(i)*float64(w.ptime)*(1-w.ppm*1e-6)) + w.phase
	}
	dec.each = func(id uint32) {
		if now > time.Second {
			r.delays = append(r.delays, now-spoken(int(id)))
		}
	}
	if w.length > 3*time.Minute {
		dec.each = nil
	}
	var flying []arrival
	next := 0
	for now = 0; now < w.length; now += 10 * ms {
		pull := now.Truncate(max(w.period, 10*ms)) + noise(w.device)
		for spoken(next+1) <= now+20*ms {
			sent := spoken(next+1) + noise(w.tick)
			d, lost := w.network(next, sent)
			if !lost {
				p := jitter.Packet{Sequence: uint16(next), Timestamp: uint32(next * int(w.ptime/ms) * w.clock / 1000), Payload: payload(uint32(next), w.ptime)}
				a := arrival{sent + d, p}
				at := len(flying)
				for at > 0 && flying[at-1].at > a.at {
					at--
				}
				flying = slices.Insert(flying, at, a)
			}
			next++
		}
		for len(flying) > 0 && flying[0].at <= pull {
			b.Push(flying[0].p, flying[0].at)
			flying = flying[1:]
		}
		b.Pull(pull)
		if each != nil {
			each(now, b)
		}
	}
	r.Stats, r.sent = b.Stats(), next
	if n := len(r.delays); n > 0 {
		var sum, last time.Duration
		for _, d := range r.delays {
			sum += d
		}
		r.mean = sum / time.Duration(n)
		k := min(n, int(10*time.Second/w.ptime))
		for _, d := range r.delays[n-k:] {
			last += d
		}
		r.end = last / time.Duration(k)
		sorted := slices.Sorted(slices.Values(r.delays))
		r.high, r.low = sorted[n*95/100], sorted[n*5/100]
	}
	return r
}
