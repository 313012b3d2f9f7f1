package rtpconn

import (
	"math"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"

	"offhook/internal/sdp"
	"offhook/internal/vnet"
)

// reports collects the compound packets that leave a host.
func reports(t *testing.T, v *vnet.Net, from *side) *[][]rtcp.Packet {
	t.Helper()
	var list [][]rtcp.Packet // written by Run of from only; read after synctest.Wait
	t.Cleanup(v.Tap(func(p vnet.Packet) {
		if p.From.Addr() != from.at.Addr() || classify(p.Data) != rtcpPacket {
			return
		}
		packets, err := rtcp.Unmarshal(p.Data)
		if err != nil || !validCompound(p.Data) {
			t.Errorf("a compound packet that others cannot read: %v", err)
		}
		list = append(list, packets)
	}))
	return &list
}

func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		v.Default(vnet.Link{Delay: 50 * time.Millisecond})
		a, b := open(t, v, addrA), open(t, v, addrB)
		sent := reports(t, v, a)
		apply(t, a.Conn, plain(addrB))
		apply(t, b.Conn, plain(addrA))
		go b.talk(t, 1500)
		a.talk(t, 75)
		synctest.Wait()
		if len(*sent) == 0 {
			t.Error("no report within 1.5 s")
		}
		a.talk(t, 1425) // 30 s in all
		synctest.Wait()
		if n := len(*sent); n < 4 || n > 13 {
			t.Errorf("%d reports in 30 s", n)
		}
		sr, ok := (*sent)[1][0].(*rtcp.SenderReport)
		if !ok || sr.SSRC != a.SSRC() || sr.PacketCount == 0 || len(sr.Reports) != 1 || sr.Reports[0].SSRC != b.SSRC() {
			t.Errorf("sender report %+v", sr)
		}
		if sdes, ok := (*sent)[1][1].(*rtcp.SourceDescription); !ok || sdes.Chunks[0].Items[0].Text != addrA.String() {
			t.Errorf("source description %+v", sdes)
		}
		for _, s := range []*side{a, b} {
			st := s.Stats()
			if d := st.RoundTrip - 100*time.Millisecond; d < -time.Millisecond || d > time.Millisecond {
				t.Errorf("round trip %v, want 100 ms", st.RoundTrip)
			}
			if st.Jitter > time.Millisecond || st.RemoteJitter > time.Millisecond {
				t.Errorf("jitter %v, remote %v, without any", st.Jitter, st.RemoteJitter)
			}
			if st.MOS < 4.3 || st.RemoteMOS < 4.3 {
				t.Errorf("MOS %.2f, remote %.2f", st.MOS, st.RemoteMOS)
			}
		}
	})
}

// The timestamp of a sender report is that of the sound at the moment of the report (RFC 3550 §6.4.1), during a telephone
// event, too, whose packets all have the timestamp of its beginning.
func TestReportedTimestamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b := open(t, v, addrA), open(t, v, addrB)
		sent := reports(t, v, a)
		ag := plain(addrB)
		ag.Send = append(ag.Send[:1:1], sdp.Format{PayloadType: 101, Name: "telephone-event", ClockRate: 8000})
		apply(t, a.Conn, ag)
		apply(t, b.Conn, plain(addrA))
		a.talk(t, 10)
		for range 500 {
			if err := a.Write(101, false, 10*160, []byte{1, 0, 0, 0}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		synctest.Wait()
		for _, r := range *sent {
			sr, ok := r[0].(*rtcp.SenderReport)
			if !ok {
				continue
			}
			a.Conn.mu.Lock()
			since := (a.ntp(a.now()) - sr.NTPTime) * 8000 >> 32 // until now
			now := a.out.offset + ticks(a.now(), 8000)
			a.Conn.mu.Unlock()
			if off := int32(now - uint32(since) - sr.RTPTime); off < -8 || off > 8 {
				t.Errorf("the timestamp is off by %d", off)
			}
		}
	})
}

// A side that only listens has no sender report to be answered; RFC 3611 gives it the round trip.
func TestListenerKnowsRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		v.Default(vnet.Link{Delay: 50 * time.Millisecond})
		a, b := open(t, v, addrA), open(t, v, addrB)
		listen, speak := plain(addrB), plain(addrA)
		listen.Direction, speak.Direction = sdp.Receiving, sdp.Sending
		sent := reports(t, v, a)
		apply(t, a.Conn, listen)
		apply(t, b.Conn, speak)
		b.talk(t, 1000)
		synctest.Wait()
		if _, ok := (*sent)[1][0].(*rtcp.ReceiverReport); !ok {
			t.Errorf("a listener sends %T", (*sent)[1][0])
		}
		if rtt := a.Stats().RoundTrip; rtt < 99*time.Millisecond || rtt > 101*time.Millisecond {
			t.Errorf("round trip %v, want 100 ms", rtt)
		}
		if b.Stats().RemoteMOS == 0 {
			t.Error("the listener's opinion is not known")
		}
	})
}

func TestLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b := pair(t, v)
		a.talk(t, 10)
		v.Link(addrA.Addr(), addrB.Addr(), vnet.Link{Loss: 0.05})
		a.talk(t, 3000) // a minute
		s := b.Stats()
		if got := float64(s.Lost) / 3000; math.Abs(got-0.05) > 0.015 {
			t.Errorf("%d of 3000 lost", s.Lost)
		}
		if s.Received+s.Lost > 3010 || s.Received+s.Lost < 3000 {
			t.Errorf("received %d, lost %d, sent 3010", s.Received, s.Lost)
		}
		if s.Loss < 0.01 || s.Loss > 0.1 {
			t.Errorf("recent loss %.3f", s.Loss)
		}
		if s.MOS > 4.3 || s.MOS < 3 {
			t.Errorf("MOS %.2f", s.MOS)
		}
		if r := a.Stats().RemoteLoss; r < 0.01 || r > 0.11 {
			t.Errorf("remote loss %.3f", r)
		}
		v.Link(addrA.Addr(), addrB.Addr(), vnet.Link{})
		a.talk(t, 750)
		if s := b.Stats(); s.Loss != 0 {
			t.Errorf("recent loss %.3f after 15 s without", s.Loss)
		}
	})
}

func TestJitterAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		v.Link(addrA.Addr(), addrB.Addr(), vnet.Link{Delay: 20 * time.Millisecond, Jitter: 60 * time.Millisecond, Duplicate: 0.1})
		a, b := pair(t, v)
		a.talk(t, 1000)
		time.Sleep(time.Second)
		s := b.Stats()
		if s.Received != 1000 || s.Lost != 0 || s.Duplicates < 70 || s.Reordered < 100 {
			t.Errorf("received %d, lost %d, duplicates %d, reordered %d", s.Received, s.Lost, s.Duplicates, s.Reordered)
		}
		// Uniform over 60 ms: the mean difference of two is 20 ms; overtaken packets are left out of the estimate.
		if s.Jitter < 8*time.Millisecond || s.Jitter > 30*time.Millisecond {
			t.Errorf("jitter %v", s.Jitter)
		}
	})
}

// Playout's view of loss goes before the network's, because it knows what came too late and what was recovered.
func TestPlayoutDecidesQuality(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, vnet.New())
		var p Playout
		b.SetPlayout(func() Playout {
			p.Codec, p.Delay, p.Target, p.Max = "pcmu", 60*time.Millisecond, 40*time.Millisecond, 500*time.Millisecond
			p.Received += 80
			p.Discarded += 20
			return p
		})
		sent := reports(t, b.net, b)
		for range 10 {
			a.talk(t, 50)
			b.Stats()
		}
		if s := b.Stats(); s.Loss != 0 || s.MOS > 2.8 {
			t.Errorf("loss %.2f, MOS %.2f with a fifth too late", s.Loss, s.MOS)
		}
		synctest.Wait()
		last := (*sent)[len(*sent)-1]
		x, ok := last[2].(*rtcp.ExtendedReport)
		if !ok {
			t.Fatalf("no extended report in %v", last)
		}
		for _, block := range x.Reports {
			if m, ok := block.(*rtcp.VoIPMetricsReportBlock); ok {
				if m.DiscardRate != 51 || m.EndSystemDelay != 80 || m.JBNominal != 40 || m.JBAbsMax != 500 || m.Gmin != 16 {
					t.Errorf("metrics %+v", m)
				}
				return
			}
		}
		t.Error("no VoIP metrics")
	})
}

// A peer that is only listened to keeps the way open: with mux by reports, without by packets that mean nothing.
func TestKeepAlive(t *testing.T) {
	for _, mux := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			v := vnet.New()
			a, b := open(t, v, addrA, withControl), open(t, v, addrB, withControl)
			listen, speak := plain(addrB), plain(addrA)
			listen.Direction, speak.Direction = sdp.Inactive, sdp.Inactive
			listen.Mux, speak.Mux = mux, mux
			if !mux {
				listen.RemoteRTCP, speak.RemoteRTCP = after(addrB), after(addrA)
			}
			var last time.Time
			longest := time.Duration(0)
			var mu sync.Mutex // guards both
			defer v.Tap(func(p vnet.Packet) {
				mu.Lock()
				defer mu.Unlock()
				if p.From == addrA && p.To == addrB {
					if !last.IsZero() {
						longest = max(longest, time.Since(last))
					}
					last = time.Now()
				}
			})()
			apply(t, b.Conn, speak)
			apply(t, a.Conn, listen)
			synctest.Wait()
			mu.Lock()
			if last.IsZero() {
				t.Error("no greeting")
			}
			mu.Unlock()
			time.Sleep(3 * time.Minute)
			mu.Lock()
			defer mu.Unlock()
			if longest > keepAlive+time.Second || longest == 0 {
				t.Errorf("mux %v: %v without a packet", mux, longest)
			}
			if s := b.Stats(); len(b.packets()) != 0 || s.Rejected > 0 {
				t.Errorf("mux %v: %d packets delivered, %d rejected", mux, len(b.packets()), s.Rejected)
			}
		})
	}
}

// Without mux RTCP has its own port.
func TestTwoPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		v.Default(vnet.Link{Delay: 10 * time.Millisecond})
		a, b := open(t, v, addrA, withControl), open(t, v, addrB, withControl)
		defer v.Tap(func(p vnet.Packet) {
			if control := classify(p.Data) == rtcpPacket; control != (p.To.Port()%2 == 1) || control != (p.From.Port()%2 == 1) {
				t.Errorf("a packet of the wrong kind from %v to %v", p.From, p.To)
			}
		})()
		for s, to := range map[*side]netip.AddrPort{a: addrB, b: addrA} {
			ag := plain(to)
			ag.Mux, ag.RemoteRTCP = false, after(to)
			apply(t, s.Conn, ag)
		}
		go b.talk(t, 1000)
		a.talk(t, 1000)
		if s := a.Stats(); s.RoundTrip < 19*time.Millisecond || s.Rejected != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A peer that takes RTCP on the same port at first may want it apart later.
func TestControlApartLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		v.Default(vnet.Link{Delay: 10 * time.Millisecond})
		a, b := open(t, v, addrA, withControl), open(t, v, addrB, withControl)
		apply(t, a.Conn, plain(addrB))
		apply(t, b.Conn, plain(addrA))
		a.talk(t, 50)
		for _, s := range []struct {
			c  *side
			to netip.AddrPort
		}{{a, addrB}, {b, addrA}} {
			apart := plain(s.to)
			apart.Mux, apart.RemoteRTCP = false, after(s.to)
			apply(t, s.c.Conn, apart)
		}
		apartFrom := 0
		defer v.Tap(func(p vnet.Packet) {
			if p.From == after(addrB) {
				apartFrom++
			}
		})()
		a.Conn.mu.Lock()
		a.peer.roundTrip = 0
		a.Conn.mu.Unlock()
		a.talk(t, 1000)
		if a.Stats().RoundTrip == 0 || apartFrom == 0 {
			t.Errorf("no report was taken of %d from the other port", apartFrom)
		}
	})
}
