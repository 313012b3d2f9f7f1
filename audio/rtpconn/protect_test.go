package rtpconn

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/vnet"
)

func newKey(suite string) sdp.Key {
	length := map[string]int{
		"AEAD_AES_128_GCM": 28, "AEAD_AES_256_GCM": 44, "AES_CM_128_HMAC_SHA1_80": 30,
		"AES_CM_128_HMAC_SHA1_32": 30, "AES_256_CM_HMAC_SHA1_80": 46,
	}[suite]
	k := make(sdp.Key, length)
	_, _ = rand.Read(k)
	return k
}

// keyed is plain with SDES.
func keyed(suite string, local, remote sdp.Key, a sdp.Agreement) sdp.Agreement {
	a.Protection = sdp.Protection{Method: sdp.SDES, Suite: suite, LocalKey: local, RemoteKey: remote}
	return a
}

// securePair is two sides with SDES.
func securePair(t *testing.T, v *vnet.Net, suite string) (a, b *side, keyA, keyB sdp.Key) {
	t.Helper()
	a, b = open(t, v, addrA), open(t, v, addrB)
	keyA, keyB = newKey(suite), newKey(suite)
	apply(t, a.Conn, keyed(suite, keyA, keyB, plain(addrB)))
	apply(t, b.Conn, keyed(suite, keyB, keyA, plain(addrA)))
	return a, b, keyA, keyB
}

const cm80, gcm = "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"

// clearText finds what must never be on the wire.
func clearText(t *testing.T, v *vnet.Net) {
	t.Cleanup(v.Tap(func(p vnet.Packet) {
		if bytes.Contains(p.Data, []byte("packet ")) || bytes.Contains(p.Data, []byte(addrA.String())) {
			t.Errorf("%v sends in clear: %q", p.From, p.Data)
		}
	}))
}

func TestSDES(t *testing.T) {
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := vnet.New()
				v.Default(vnet.Link{Delay: 10 * time.Millisecond})
				clearText(t, v)
				a, b, _, _ := securePair(t, v, s.name)
				go b.talk(t, 500)
				a.talk(t, 500)
				time.Sleep(time.Second)
				got := b.packets()
				if len(got) != 500 || string(got[7].Payload) != "packet 7" {
					t.Errorf("%d packets arrived", len(got))
				}
				st := b.Stats()
				if st.Rejected != 0 || st.Suite != s.name || st.Security != sdp.SDES || st.RoundTrip == 0 {
					t.Errorf("stats %+v", st)
				}
				if e := b.told(media.Secured); len(e) != 1 || e[0].Text != "sdes "+s.name {
					t.Errorf("told %v", e)
				}
			})
		})
	}
}

func TestWrongKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b, keyA, keyB := securePair(t, v, cm80)
		a.talk(t, 5)
		apply(t, b.Conn, keyed(cm80, keyB, newKey(cm80), plain(addrA)))
		time.Sleep(2 * keyOverlap)
		before := b.Stats()
		a.talk(t, 20)
		s := b.Stats()
		if n := len(b.packets()); n != 5 || s.Rejected < before.Rejected+20 || s.Received != 5 || s.MOS != before.MOS {
			t.Errorf("%d packets delivered, stats %+v", n, s)
		}
		_ = keyA
	})
}

// Without keys nothing is believed where there should be some.
func TestClearIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b, _, _ := securePair(t, v, gcm)
		apply(t, a.Conn, plain(addrB))
		a.talk(t, 150)
		if s := b.Stats(); s.Received != 0 || s.Rejected < 150 || s.RoundTrip != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestReplay(t *testing.T) {
	for _, suite := range []string{cm80, gcm} {
		synctest.Test(t, func(t *testing.T) {
			v := vnet.New()
			a, b, _, _ := securePair(t, v, suite)
			var mu sync.Mutex
			var taken [][]byte
			stop := v.Tap(func(p vnet.Packet) {
				mu.Lock()
				defer mu.Unlock()
				if p.From == addrA {
					taken = append(taken, bytes.Clone(p.Data))
				}
			})
			a.talk(t, 200)
			synctest.Wait()
			stop()
			evil := newStranger(t, v, "192.0.2.66:6666")
			before := b.Stats()
			for _, p := range taken {
				evil.send(t, addrB, p)
			}
			synctest.Wait()
			after := b.Stats()
			if len(b.packets()) != 200 || after.Rejected-before.Rejected != uint64(len(taken)) || after.Remote != before.Remote {
				t.Errorf("%d delivered, %d of %d rejected", len(b.packets()), after.Rejected-before.Rejected, len(taken))
			}
		})
	}
}

// A NAT that forgets gives the peer another address. Keys prove that it is the same peer, at any time.
func TestMoveWithKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		nat := newStranger(t, v, "192.0.2.50:1234")
		a, b, _, _ := securePair(t, v, cm80)
		a.talk(t, 10)
		time.Sleep(time.Minute)
		stop := v.Filter(func(p vnet.Packet) bool {
			if p.From != addrA {
				return true
			}
			nat.send(t, addrB, p.Data)
			return false
		})
		a.talk(t, 10)
		stop()
		if s := b.Stats(); len(b.packets()) != 20 || s.Remote != nat.at().String() || len(b.told(media.PeerMoved)) != 1 {
			t.Errorf("%d packets, remote %v", len(b.packets()), s.Remote)
		}
	})
}

// The rollover counter is not transmitted; both sides have to count alike past 65535.
func TestRollover(t *testing.T) {
	for _, suite := range []string{cm80, gcm} {
		synctest.Test(t, func(t *testing.T) {
			v := vnet.New()
			a, b, _, _ := securePair(t, v, suite)
			setIndex(a, 65500)
			a.talk(t, 100)
			if s := b.Stats(); len(b.packets()) != 100 || s.Rejected != 0 || s.Lost != 0 {
				t.Errorf("%d packets, stats %+v", len(b.packets()), s)
			}
		})
	}
}

func setIndex(s *side, index uint64) {
	s.Conn.mu.Lock()
	defer s.Conn.mu.Unlock()
	s.out.index = index
}

// New keys in the middle of a call: nothing is lost, whether or not the counter has gone over, even right at the wrap.
func TestRekey(t *testing.T) {
	for _, start := range []uint64{100, 65500, 65490} {
		t.Run(fmt.Sprint(start), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := vnet.New()
				v.Default(vnet.Link{Delay: 30 * time.Millisecond})
				a, b, keyA, keyB := securePair(t, v, gcm)
				setIndex(a, start)
				a.talk(t, 46)
				ssrc := a.SSRC()
				next := newKey(gcm)
				// The receiver knows first, as it does when it answers an offer.
				apply(t, b.Conn, keyed(gcm, keyB, next, plain(addrA)))
				apply(t, a.Conn, keyed(gcm, next, keyB, plain(addrB)))
				a.talk(t, 100)
				time.Sleep(time.Second)
				if s := b.Stats(); len(b.packets()) != 146 || s.Rejected != 0 || a.SSRC() != ssrc {
					t.Errorf("%d packets, stats %+v", len(b.packets()), s)
				}
				if n := len(b.told(media.Secured)); n != 2 {
					t.Errorf("Secured was told %d times", n)
				}
				if len(b.keys.in) != 1 {
					t.Errorf("%d contexts are left", len(b.keys.in))
				}
				time.Sleep(keyOverlap)
				_ = keyA
			})
		})
	}
}

// A peer that starts its counter over with new keys is understood, too.
func TestRekeyFromZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b, _, keyB := securePair(t, v, cm80)
		setIndex(a, 65500)
		a.talk(t, 100)
		next := newKey(cm80)
		apply(t, b.Conn, keyed(cm80, keyB, next, plain(addrA)))
		setIndex(a, 200)
		apply(t, a.Conn, keyed(cm80, next, keyB, plain(addrB)))
		a.talk(t, 50)
		if n := len(b.packets()); n < 148 { // the first may be a jump in sequence numbers
			t.Errorf("%d packets", n)
		}
	})
}

// The same keys again, as every hold and resume brings them: counters go on.
func TestSameKeysAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b, keyA, keyB := securePair(t, v, cm80)
		setIndex(a, 65530)
		a.talk(t, 20)
		for _, s := range []*side{a, b} {
			s.Conn.mu.Lock()
			ag := s.agreement
			s.Conn.mu.Unlock()
			apply(t, s.Conn, ag)
		}
		a.talk(t, 20)
		if n := len(b.packets()); n != 40 || len(b.told(media.Secured)) != 1 {
			t.Errorf("%d packets, told %v", n, b.told(media.Secured))
		}
		_, _ = keyA, keyB
	})
}

// At a new address sits perhaps somebody else, who cannot know a rollover counter above zero.
func TestNewPeerAfterRollover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, _, _, _ := securePair(t, v, gcm)
		setIndex(a, 65530)
		a.talk(t, 20)
		addrC := after(after(addrB))
		c := open(t, v, addrC)
		k1, k2 := newKey(gcm), newKey(gcm)
		apply(t, c.Conn, keyed(gcm, k2, k1, plain(addrA)))
		apply(t, a.Conn, keyed(gcm, k1, k2, plain(addrC)))
		a.talk(t, 20)
		if n := len(c.packets()); n != 20 {
			t.Errorf("%d packets", n)
		}
	})
}

func TestMKI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b, keyA, keyB := securePair(t, v, cm80)
		mki := []byte{0, 7}
		with := keyed(cm80, keyB, keyA, plain(addrA))
		with.Protection.RemoteMKI = mki
		apply(t, b.Conn, with)
		profile, _ := profileOf(cm80)
		sender, err := newContext(profile, keyA, mki)
		if err != nil {
			t.Fatal(err)
		}
		peer := a.cfg.RTP
		for i := range uint16(5) {
			p, err := sender.EncryptRTP(nil, rtpBytes(0, 1, i), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := peer.WriteTo(p, b.cfg.RTP.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if n := len(b.packets()); n != 5 {
			t.Errorf("%d packets", n)
		}
	})
}

// One index must not be used twice under one key, whatever the order of agreements (RFC 3711 §9.1).
func TestNoIndexTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a := open(t, v, addrA)
		var mu sync.Mutex
		seen := map[string]string{}
		key := ""
		v.Tap(func(p vnet.Packet) {
			mu.Lock()
			defer mu.Unlock()
			var id string
			switch k := classify(p.Data); {
			case k == rtpPacket:
				a.Conn.mu.Lock()
				roc := uint32(0)
				if a.keys.out != nil {
					roc, _ = a.keys.out.ROC(a.out.ssrc)
				}
				a.Conn.mu.Unlock()
				id = fmt.Sprintf("%s rtp %x %d %x", key, p.Data[8:12], roc, p.Data[2:4])
			case k == rtcpPacket:
				n := len(p.Data)
				id = fmt.Sprintf("%s rtcp %x %x", key, p.Data[4:8], p.Data[n-4:])
			}
			if old, ok := seen[id]; ok && key != "plain" {
				t.Errorf("%s: used twice: %s", id, old)
			}
			seen[id] = id
		})
		k1, k2, other := newKey(gcm), newKey(gcm), newKey(gcm)
		elsewhere := after(after(addrB))
		for i, step := range []struct {
			name string
			a    sdp.Agreement
		}{
			{"k1", keyed(gcm, k1, other, plain(addrB))},
			{"k2", keyed(gcm, k2, other, plain(addrB))},
			{"k1", keyed(gcm, k1, other, plain(addrB))},
			{"k2", keyed(gcm, k2, other, plain(elsewhere))},
			{"plain", plain(elsewhere)},
			{"k1", keyed(gcm, k1, other, plain(elsewhere))},
			{"k1", keyed(gcm, k1, other, plain(addrB))},
			{"k2", keyed(gcm, k2, other, plain(elsewhere))},
		} {
			if i == 3 {
				setIndex(a, 1<<16+5)
			}
			mu.Lock()
			key = step.name
			mu.Unlock()
			apply(t, a.Conn, step.a)
			a.talk(t, 400)
			synctest.Wait()
		}
	})
}
