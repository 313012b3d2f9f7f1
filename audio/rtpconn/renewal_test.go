package rtpconn

import (
	"bytes"
	"crypto/rand"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/vnet"
)

// renewing is shaken of a side that is asked for another association.
func renewing(a sdp.Agreement, active bool, fingerprint string) sdp.Agreement {
	a = shaken(a, active, fingerprint)
	a.Protection.Renew = true
	return a
}

// shakenPair has an association between A and B. hello is the first ClientHello of that.
func shakenPair(t *testing.T, v *vnet.Net, aActive bool) (a, b *side, idA, idB *identity, hello []byte) {
	t.Helper()
	v.Default(vnet.Link{Delay: 10 * time.Millisecond})
	a, b, idA, idB = dtlsPair(t, v)
	var mu sync.Mutex
	defer v.Tap(func(p vnet.Packet) {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := helloOf(p.Data); ok && classify(p.Data) == dtlsRecord && hello == nil {
			hello = bytes.Clone(p.Data)
		}
	})()
	apply(t, a.Conn, shaken(plain(addrB), aActive, idB.print))
	apply(t, b.Conn, shaken(plain(addrA), !aActive, idA.print))
	time.Sleep(time.Second)
	if len(a.told(media.Secured)) != 1 || len(b.told(media.Secured)) != 1 {
		t.Fatal("not secured")
	}
	mu.Lock()
	defer mu.Unlock()
	return a, b, idA, idB, hello
}

// chat lets both sides send n packets, and reports how many have arrived.
func chat(t *testing.T, a, b *side, n int) (atA, atB int) {
	t.Helper()
	beforeA, beforeB := len(a.packets()), len(b.packets())
	var both sync.WaitGroup
	both.Go(func() { a.talk(t, n) })
	both.Go(func() { b.talk(t, n) })
	both.Wait()
	time.Sleep(time.Second)
	return len(a.packets()) - beforeA, len(b.packets()) - beforeB
}

// local is the key that a side protects with.
func (s *side) local() sdp.Key {
	s.Conn.mu.Lock()
	defer s.Conn.mu.Unlock()
	return s.keys.local
}

// renews reports whether another handshake is under way.
func (s *side) renews() bool {
	s.Conn.mu.Lock()
	defer s.Conn.mu.Unlock()
	return s.renewal != nil
}

// Another handshake in the middle of a call costs no sound, even after the rollover counter has left zero.
func TestRenewal(t *testing.T) {
	for _, index := range []uint64{100, 1<<16 - 5} {
		for _, loss := range []float64{0, 0.3} {
			synctest.Test(t, func(t *testing.T) {
				v := vnet.New()
				clearText(t, v)
				a, b, idA, idB, _ := shakenPair(t, v, true)
				setIndex(a, index)
				chat(t, a, b, 10)
				probation := int(index >> 15) // the first packet of another source
				key := a.local()
				defer v.Tap(func(p vnet.Packet) {
					if p.Data[0] == 21 && loss == 0 { // a close_notify could be taken for one of the other association
						t.Errorf("%v sends an alert", p.From)
					}
				})()
				stop := v.Filter(func(p vnet.Packet) bool {
					var dice [1]byte
					_, _ = rand.Read(dice[:])
					return classify(p.Data) != dtlsRecord || float64(dice[0]) >= loss*256
				})
				defer stop()
				// The passive side knows nothing of it before the ClientHello.
				apply(t, b.Conn, shaken(plain(addrA), false, idA.print))
				apply(t, a.Conn, renewing(plain(addrB), true, idB.print))
				if atA, atB := chat(t, a, b, 500); loss == 0 && (atA != 500 || atB != 500-probation) {
					t.Errorf("loss %v: %d and %d packets", loss, atA, atB)
				}
				time.Sleep(handshakeTime)
				if atA, atB := chat(t, a, b, 50); atA != 50 || atB < 50-probation {
					t.Errorf("loss %v: %d and %d packets afterwards", loss, atA, atB)
				}
				if loss > 0 {
					return // it may have needed several attempts, or failed
				}
				for _, s := range []*side{a, b} {
					if s.renews() || len(s.told(media.Secured)) != 2 || s.told(media.SecurityFailed) != nil || s.Stats().Rejected > uint64(probation) {
						t.Errorf("told %v, %+v", s.events, s.Stats())
					}
				}
				if bytes.Equal(key, a.local()) {
					t.Error("the keys are the same")
				}
			})
		}
	}
}

// forget opens a side anew that says nothing about its end.
func forget(t *testing.T, v *vnet.Net, s *side, id *identity) *side {
	t.Helper()
	defer v.Filter(func(p vnet.Packet) bool { return p.From != s.at })()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return open(t, v, s.at, withCertificate(&id.cert))
}

// A peer that has forgotten everything begins again at the same address, or has us begin.
func TestRenewalWithWhoeverHasForgotten(t *testing.T) {
	for _, active := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			v := vnet.New()
			clearText(t, v)
			a, b, idA, idB, _ := shakenPair(t, v, active)
			chat(t, a, b, 10)
			b = forget(t, v, b, idB)
			apply(t, b.Conn, shaken(plain(addrA), !active, idA.print))
			apply(t, a.Conn, renewing(plain(addrB), active, idB.print))
			time.Sleep(time.Second)
			if atA, atB := chat(t, a, b, 100); atA < 98 || atB != 100 { // its source is another one
				t.Errorf("active %v: %d and %d packets", active, atA, atB)
			}
			if n := len(a.told(media.Secured)); n != 2 || a.told(media.SecurityFailed) != nil || a.told(media.PeerMoved) != nil {
				t.Errorf("active %v: told %v", active, a.events)
			}
		})
	}
}

// A peer says that it has kept the association, and is silent: it has not. When it is not silent, it has.
func TestRenewalOfDoubt(t *testing.T) {
	for _, forgets := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			v := vnet.New()
			a, b, idA, idB, _ := shakenPair(t, v, true)
			if forgets {
				b = forget(t, v, b, idB)
				apply(t, b.Conn, shaken(plain(addrA), false, idA.print))
			}
			existing := shaken(plain(addrB), true, idB.print)
			existing.Protection.Existing = true
			apply(t, a.Conn, existing)
			chat(t, a, b, 100)
			if atA, atB := chat(t, a, b, 100); atA != 100 || atB != 100 {
				t.Errorf("%d and %d packets", atA, atB)
			}
			if renewed := len(a.told(media.Secured)) == 2; renewed != forgets {
				t.Errorf("told %v", a.events)
			}
		})
	}
}

// A server cannot know whether its last word has been heard. It has not: both sides stay with the keys that they have.
func TestRenewalHalfDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b, _, idB, _ := shakenPair(t, v, true)
		key := a.local()
		stop := v.Filter(func(p vnet.Packet) bool { return p.From != addrB || p.Data[0] != 20 }) // ChangeCipherSpec
		apply(t, a.Conn, renewing(plain(addrB), true, idB.print))
		if atA, atB := chat(t, a, b, 1500); atA != 1500 || atB != 1500 {
			t.Errorf("%d and %d packets", atA, atB)
		}
		if !bytes.Equal(key, a.local()) || len(b.told(media.Secured)) < 2 {
			t.Errorf("told %v", b.events)
		}
		stop()
		apply(t, a.Conn, renewing(plain(addrB), true, idB.print))
		time.Sleep(time.Second)
		if atA, atB := chat(t, a, b, 50); atA != 50 || atB != 50 || len(a.told(media.Secured)) != 2 {
			t.Errorf("%d and %d packets, told %v", atA, atB, a.events)
		}
		b.Conn.mu.Lock()
		defer b.Conn.mu.Unlock()
		if b.keys.latent != nil {
			t.Error("what B sends is still under the former keys")
		}
	})
}

// A client that sends nothing does not show that it has the new keys. It gets its sound all the same.
func TestRenewalWithTheSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b, _, idB, _ := shakenPair(t, v, true)
		defer v.Filter(func(p vnet.Packet) bool { return p.From != addrA || classify(p.Data) == dtlsRecord })()
		apply(t, a.Conn, renewing(plain(addrB), true, idB.print))
		b.talk(t, 300)
		time.Sleep(time.Second)
		if n := len(a.packets()); n != 300 || len(a.told(media.Secured)) != 2 {
			t.Errorf("%d packets, told %v", n, a.events)
		}
	})
}

// Two renewals one after the other, as hold and resume bring them.
func TestRenewalAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b, _, idB, _ := shakenPair(t, v, true)
		for range 3 {
			apply(t, a.Conn, renewing(plain(addrB), true, idB.print))
			time.Sleep(100 * time.Millisecond)
			a.talk(t, 1)
		}
		if atA, atB := chat(t, a, b, 50); atA != 50 || atB != 50 || len(b.told(media.Secured)) != 4 {
			t.Errorf("%d and %d packets, told %v", atA, atB, b.events)
		}
	})
}

// The same association is not another one, whatever is repeated: a ClientHello that comes late, or an agreement.
func TestNoRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b, idA, idB, hello := shakenPair(t, v, false)
		deliver(t, b, hello)
		time.Sleep(50 * time.Millisecond)
		apply(t, a.Conn, renewing(plain(addrB), false, idB.print)) // the other side begins
		apply(t, b.Conn, shaken(plain(addrA), true, idA.print))
		if a.renews() || b.renews() {
			t.Error("another handshake is under way")
		}
	})
}

// deliver sends a datagram from where a side is.
func deliver(t *testing.T, from *side, b []byte) {
	t.Helper()
	to := addrA
	if from.at == addrA {
		to = addrB
	}
	if _, err := from.cfg.RTP.WriteTo(b, net.UDPAddrFromAddrPort(to)); err != nil {
		t.Error(err)
	}
}

// forged is a ClientHello with another random.
func forged(hello []byte) []byte {
	b := bytes.Clone(hello)
	_, _ = rand.Read(b[13+12+2:][:len(hello[:32])])
	return b
}

// Who sends a ClientHello from the address of the peer gets little for it, and the call goes on. From elsewhere he gets
// nothing.
func TestForgedHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b, idA, _, hello := shakenPair(t, v, false)
		evil := newStranger(t, v, "192.0.2.66:6666")
		key := a.local()
		var mu sync.Mutex
		answers, octets, elsewhere := 0, 0, 0
		defer v.Tap(func(p vnet.Packet) {
			mu.Lock()
			defer mu.Unlock()
			if p.From == addrA && classify(p.Data) == dtlsRecord {
				answers++
				octets += len(p.Data)
				if p.To != addrB {
					elsewhere++
				}
			}
		})()
		flood := make(chan struct{})
		go func() {
			defer close(flood)
			for i := range 2000 {
				evil.send(t, addrA, forged(hello))
				if i >= 1000 {
					deliver(t, b, forged(hello))
				}
				time.Sleep(time.Millisecond)
			}
		}()
		if atA, atB := chat(t, a, b, 100); atA != 100 || atB != 100 {
			t.Errorf("%d and %d packets", atA, atB)
		}
		<-flood
		mu.Lock()
		if answers == 0 || answers > 6 || octets > answers*100 || elsewhere != 0 {
			t.Errorf("%d answers of %d octets, %d to strangers", answers, octets, elsewhere)
		}
		mu.Unlock()
		if !bytes.Equal(key, a.local()) || len(a.told(media.Secured)) != 1 || a.told(media.SecurityFailed) != nil {
			t.Errorf("told %v", a.events)
		}
		// The peer itself gets in all the same.
		apply(t, b.Conn, renewing(plain(addrA), true, idA.print))
		time.Sleep(2 * time.Second)
		if atA, atB := chat(t, a, b, 50); atA != 50 || atB != 50 || len(a.told(media.Secured)) != 2 {
			t.Errorf("%d and %d packets, told %v", atA, atB, a.events)
		}
		deliver(t, b, forged(hello))
		time.Sleep(2 * renewalTime)
		if a.renews() {
			t.Error("a handshake that nobody goes on with does not end")
		}
	})
}

// With another certificate than the signalling has said a second handshake fails, in either role, and changes nothing.
func TestRenewalWrongFingerprint(t *testing.T) {
	for _, active := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			v := vnet.New()
			a, b, idA, idB, _ := shakenPair(t, v, active)
			key := a.local()
			b.Conn.mu.Lock()
			b.cfg.Certificate = &identities()[2].cert
			b.Conn.mu.Unlock()
			tries := 0
			defer v.Tap(func(p vnet.Packet) {
				if classify(p.Data) == dtlsRecord && p.From == addrB && bytes.Contains(p.Data, identities()[2].cert.Certificate[0]) {
					tries++
				}
			})()
			if active {
				apply(t, a.Conn, renewing(plain(addrB), true, idB.print))
			} else {
				apply(t, b.Conn, renewing(plain(addrA), true, idA.print))
			}
			if atA, atB := chat(t, a, b, 1500); atA != 1500 || atB != 1500 {
				t.Errorf("active %v: %d and %d packets", active, atA, atB)
			}
			if !bytes.Equal(key, a.local()) || len(a.told(media.Secured)) != 1 || a.told(media.SecurityFailed) != nil || a.renews() {
				t.Errorf("active %v: told %v", active, a.events)
			}
			if tries == 0 || tries > 100 {
				t.Errorf("active %v: %d certificates were shown", active, tries)
			}
		})
	}
}
