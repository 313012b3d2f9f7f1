package rtpconn

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"offhook/internal/vnet"
)

// stranded is a packet of a stream that was numbered elsewhere.
func stranded(ssrc uint32, sequence int) *rtp.Packet {
	return &rtp.Packet{
		Header: rtp.Header{
			Version: 2, SSRC: ssrc, SequenceNumber: uint16(sequence), Timestamp: uint32(sequence) * 160,
			CSRC: []uint32{7},
		},
		Payload: []byte(fmt.Sprintf("packet %d", sequence)),
	}
}

// forward sends packets of 20 ms in real time.
func forward(t *testing.T, c *Conn, r *Relay, packets ...*rtp.Packet) {
	t.Helper()
	for _, p := range packets {
		if err := c.Forward(r, 0, p); err != nil {
			t.Error(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// arrival is what a relayed packet looks like at the end, with numbers that begin at zero.
type arrival struct {
	Payload   string
	Sequence  int16
	Timestamp int32
	Marker    bool
}

func arrivals(packets []rtp.Packet) (list []arrival) {
	for _, p := range packets {
		first := packets[0]
		list = append(list, arrival{
			string(p.Payload), int16(p.SequenceNumber - first.SequenceNumber), int32(p.Timestamp - first.Timestamp), p.Marker,
		})
	}
	return list
}

// What is lost, late or doubled on the way in looks so on the way out, with keys and across the end of the numbers.
func TestRelayKeepsLosses(t *testing.T) {
	for _, suite := range []string{"", cm80, gcm} {
		t.Run(suite, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := vnet.New()
				var c, d *side
				if suite == "" {
					c, d = pair(t, v)
				} else {
					c, d, _, _ = securePair(t, v, suite)
				}
				c.out.index = 1<<16 - 3
				var r Relay
				for _, sequence := range []int{65533, 65534, 65536, 65535, 65536, 65538, 65540, 65541} {
					forward(t, c.Conn, &r, stranded(9, sequence))
				}
				want := []arrival{
					{"packet 65533", 0, 0, true},
					{"packet 65534", 1, 160, false},
					{"packet 65536", 3, 480, false},
					{"packet 65535", 2, 320, false},
					{"packet 65538", 5, 800, false},
					{"packet 65540", 7, 1120, false},
					{"packet 65541", 8, 1280, false},
				}
				if diff := cmp.Diff(want, arrivals(d.packets())); diff != "" {
					t.Error(diff)
				}
				if s := d.Stats(); s.Lost != 2 || s.Reordered != 1 || s.Duplicates != 0 || s.Rejected != 0 {
					t.Errorf("stats %+v", s)
				}
				forward(t, c.Conn, &r, stranded(9, 65539))
				if newest := d.packets()[6].Timestamp; c.out.timestamp != newest {
					t.Errorf("reports will speak of %d, the newest packet has %d", c.out.timestamp, newest)
				}
				for _, p := range d.packets() {
					if p.SSRC != c.SSRC() || len(p.CSRC) != 0 {
						t.Errorf("SSRC %x, contributing %v", p.SSRC, p.CSRC)
					}
				}
			})
		})
	}
}

// Streams that follow each other are one stream to the peer: no number is missing between them, time goes on, and the
// marker tells where one begins.
func TestRelayBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, d := pair(t, vnet.New())
		var music, call Relay
		forward(t, c.Conn, &music, stranded(1, 100), stranded(1, 101))
		time.Sleep(60 * time.Millisecond)
		forward(t, c.Conn, &call, stranded(2, 5000), stranded(2, 5001)) // somebody has picked up
		forward(t, c.Conn, &call, stranded(3, 60), stranded(3, 61))     // another device of theirs
		forward(t, c.Conn, &call, stranded(3, 30000), stranded(3, 30001))
		held := plain(addrB)
		held.Silent = true
		apply(t, c.Conn, held)
		forward(t, c.Conn, &call, stranded(3, 30002), stranded(3, 30003))
		apply(t, c.Conn, plain(addrB))
		forward(t, c.Conn, &call, stranded(3, 30004))
		call.Restart()
		forward(t, c.Conn, &call, stranded(3, 30008))
		want := []arrival{
			{"packet 100", 0, 0, true},
			{"packet 101", 1, 160, false},
			{"packet 5000", 2, 800, true},
			{"packet 5001", 3, 960, false},
			{"packet 60", 4, 1120, true},
			{"packet 61", 5, 1280, false},
			{"packet 30000", 6, 1440, true},
			{"packet 30001", 7, 1600, false},
			{"packet 30004", 8, 2080, true},
			{"packet 30008", 9, 2240, true},
		}
		if diff := cmp.Diff(want, arrivals(d.packets())); diff != "" {
			t.Error(diff)
		}
		if s := d.Stats(); s.Lost != 0 || s.Rejected != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// What the other side does not understand leaves no gap, but what is missing beside it does. A packet of our own in between
// takes a number of its own.
func TestRelayOmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, d := pair(t, vnet.New())
		var r Relay
		r.Omit(&stranded(1, 9).Header)
		forward(t, c.Conn, &r, stranded(1, 10))
		r.Omit(&stranded(1, 11).Header)
		r.Omit(&stranded(1, 13).Header)
		forward(t, c.Conn, &r, stranded(1, 12), stranded(1, 14), stranded(1, 16), stranded(1, 15))
		if err := c.Write(0, false, 0, []byte("keep-alive")); err != nil {
			t.Error(err)
		}
		forward(t, c.Conn, &r, stranded(1, 18), stranded(1, 17))
		want := []arrival{
			{"packet 10", 0, 0, true},
			{"packet 14", 2, 640, false},
			{"packet 16", 4, 960, false},
			{"packet 15", 3, 800, false},
			{"keep-alive", 5, 0, false},
			{"packet 18", 7, 1280, false},
			{"packet 17", 6, 1120, false},
		}
		got := arrivals(d.packets())
		got[4].Timestamp = 0 // counts from elsewhere
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// No index is used twice under one key: a late packet of before the change stays away.
func TestRelayAcrossKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, d, keyC, keyD := securePair(t, vnet.New(), cm80)
		var r Relay
		forward(t, c.Conn, &r, stranded(1, 10), stranded(1, 12))
		next := newKey(cm80)
		apply(t, c.Conn, keyed(cm80, next, keyD, plain(addrB)))
		apply(t, d.Conn, keyed(cm80, keyD, next, plain(addrA)))
		forward(t, c.Conn, &r, stranded(1, 11), stranded(1, 14), stranded(1, 13))
		got := arrivals(d.packets())
		want := []arrival{{"packet 10", 0, 0, true}, {"packet 12", 2, 320, false}, {"packet 14", 4, 640, false}, {"packet 13", 3, 480, false}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		_ = keyC
	})
}

func TestRelayTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := pair(t, vnet.New())
		if err := c.Forward(new(Relay), 0, &rtp.Packet{Payload: make([]byte, maxPacket)}); err != ErrTooLong {
			t.Errorf("error %v", err)
		}
	})
}

// Whatever arrives in whatever order: an index is used once, and within a stretch the distances stay.
func TestRelayProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Relay
		o := outbound{ssrc: 1, index: rapid.Uint64Range(0, 1<<17).Draw(t, "index"), offset: 5}
		used := map[uint64]bool{}
		source, sequence := uint32(1), rapid.Uint16().Draw(t, "sequence")
		now := time.Duration(0)
		var lastIndex uint64
		var lastSequence uint16
		known, shifted := false, false // shifted: the distance is another one from the next newest packet on
		for range rapid.IntRange(1, 200).Draw(t, "packets") {
			now += 20 * time.Millisecond
			switch rapid.IntRange(0, 19).Draw(t, "what") {
			case 0:
				source++
			case 1:
				sequence += uint16(rapid.IntRange(2, 40000).Draw(t, "ahead"))
			case 2:
				used[o.index] = true // a packet of our own
				o.index++
				shifted = true
			case 3:
				r.Omit(&rtp.Header{SSRC: source, SequenceNumber: sequence})
				sequence++
				shifted = true
			case 4:
				o.floor = o.index
			case 5:
				r.Restart()
			}
			h := &rtp.Header{SSRC: source, SequenceNumber: sequence - uint16(rapid.IntRange(0, 3).Draw(t, "late"))}
			sequence++
			before := o.index
			index, first, ok := r.place(&o, h, now)
			if !ok {
				continue
			}
			if used[index] || index < o.floor {
				t.Fatalf("index %d again, floor %d", index, o.floor)
			}
			used[index] = true
			if first && index != before {
				t.Fatalf("a stretch begins at %d, not at %d", index, before)
			}
			late := index < before
			if known && !first && !shifted && int64(index-lastIndex) != int64(int16(h.SequenceNumber-lastSequence)) {
				t.Fatalf("%d packets apart, %d were", int64(index-lastIndex), int16(h.SequenceNumber-lastSequence))
			}
			o.index = max(o.index, index+1)
			if late && shifted {
				continue
			}
			lastIndex, lastSequence, known, shifted = index, h.SequenceNumber, true, false
		}
	})
}

func TestForwardDoesNotAllocate(t *testing.T) {
	p := stranded(1, 1)
	for name, protections := range protections() {
		l := newLoop(t, protections)
		var r Relay
		pass := func() {
			p.SequenceNumber++
			if err := l.a.Forward(&r, 0, p); err != nil {
				t.Fatal(err)
			}
		}
		pass()
		if n := testing.AllocsPerRun(200, pass); n > 0 && !racing {
			t.Errorf("%s: %v allocations for a packet forwarded", name, n)
		}
	}
}

func BenchmarkForward(b *testing.B) {
	for name, p := range protections() {
		b.Run(name, func(b *testing.B) {
			c := fuzzed(b, p[0])
			var r Relay
			packet := &rtp.Packet{Payload: make([]byte, 160)}
			b.ReportAllocs()
			for b.Loop() {
				packet.SequenceNumber++
				if err := c.Forward(&r, 0, packet); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestListenPair(t *testing.T) {
	v := vnet.New()
	for range 5 {
		rtpSocket, rtcpSocket, at, err := ListenPair(t.Context(), v.ListenPacket, addrA.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer rtpSocket.Close()  //nolint:errcheck // the test is over
		defer rtcpSocket.Close() //nolint:errcheck // the test is over
		if at.Port()%2 != 0 || at.Addr() != addrA.Addr() || addrPort(rtpSocket.LocalAddr()) != at || addrPort(rtcpSocket.LocalAddr()) != after(at) {
			t.Errorf("RTP on %v, RTCP on %v, said to be at %v", rtpSocket.LocalAddr(), rtcpSocket.LocalAddr(), at)
		}
	}
}
