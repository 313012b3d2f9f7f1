package line

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offhook/audio/codec"
	"offhook/audio/rtpconn"
	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/testkit/sound"
	"offhook/internal/vnet"
	"offhook/park/music"
)

// common are formats of phones that this build can play music in: Opus needs cgo.
func common() []sdp.Format {
	c, _ := codec.Find("opus")
	if c.NewEncoder == nil {
		return []sdp.Format{g722, pcmu, events, noise}
	}
	return []sdp.Format{opus, opusEvents, pcmu, events, noise}
}

// The story of a park: music, silence while somebody is about to come, then each hears the other and nobody else.
func TestParkAndPickUp(t *testing.T) {
	for _, c := range []struct {
		name        string
		marys, bobs security
	}{
		{"plain", plain, plain},
		{"sdes and dtls", bySDES, byDTLS},
		{"dtls and sdes", byDTLS, bySDES},
		{"plain and dtls", plain, byDTLS},
		{"sdes and sdes", bySDES, bySDES},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := vnet.New()
				v.Default(vnet.Link{Delay: 5 * time.Millisecond})
				mary, bob := pair(t, v, c.marys, c.bobs, common()...)
				if mary.at.Protection.Method != bob.at.Protection.Method && c.marys == c.bobs {
					t.Fatalf("%v and %v", mary.at.Protection.Method, bob.at.Protection.Method)
				}
				if mary.number(common()[0]) == bob.number(common()[0]) && common()[0].Name == "opus" {
					t.Fatal("both have the same payload type, which proves nothing")
				}
				source := music.New(sound.Sine(440, 0.25, music.Rate, music.Rate), nil)
				defer source.Close()
				time.Sleep(2 * time.Second) // handshakes
				if err := mary.line.Play(source); err != nil {
					t.Fatal(err)
				}
				go mary.say(1000, 0.25, 2*time.Second)
				time.Sleep(2 * time.Second)
				hears(t, mary, 440, -15)
				if n := len(bob.packets()); n != 0 {
					t.Errorf("Bob gets %d packets before he has picked up", n)
				}
				last := mary.conn.Stats().Received
				join(t, mary, bob)
				time.Sleep(100 * time.Millisecond)
				mary.packets()
				var talk sync.WaitGroup
				talk.Go(func() { mary.say(1000, 0.25, 2*time.Second) })
				talk.Go(func() { bob.say(700, 0.25, 2*time.Second) })
				talk.Wait()
				time.Sleep(15 * time.Second) // two reports of each side
				hears(t, mary, 700, -15)
				hears(t, bob, 1000, -15)
				for _, p := range []*phone{mary, bob} {
					s := p.conn.Stats()
					if s.Lost != 0 || s.Rejected > 0 || s.RoundTrip == 0 || s.RemoteLoss != 0 {
						t.Errorf("stats %+v", s)
					}
					if relayed, omitted := p.line.relayed.Load(), p.line.omitted.Load(); relayed != 100 || omitted != 0 {
						t.Errorf("%d packets relayed, %d omitted", relayed, omitted)
					}
					if is := p.line.Stats().Security; is != p.at.Protection.Method {
						t.Errorf("protected by %q", is)
					}
				}
				if n := mary.conn.Stats().Received - last; n > 102 {
					t.Errorf("Mary got %d packets: the music goes on", n)
				}
			})
		})
	}
}

// From music to a call is one stream to the caller: numbers go on, time goes on, the marker tells of the change.
func TestOneStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mary, bob := pair(t, vnet.New(), bySDES, plain, pcmu, events)
		source := music.New(music.Default(), nil)
		defer source.Close()
		if err := mary.line.Play(source); err != nil {
			t.Fatal(err)
		}
		time.Sleep(990 * time.Millisecond)
		join(t, mary, bob)
		time.Sleep(500 * time.Millisecond)
		bob.say(700, 0.25, time.Second)
		packets := mary.packets()
		mary.continuous(packets)
		if len(packets) != 100 {
			t.Fatalf("%d packets", len(packets))
		}
		for i, p := range packets {
			if p.Marker != (i == 0 || i == 50) {
				t.Errorf("packet %d: marker is %v", i, p.Marker)
			}
		}
		if d := packets[50].Timestamp - packets[49].Timestamp; d != 8*510 {
			t.Errorf("the pause of 510 ms is %d units long", d)
		}
	})
}

func TestMusicIsHeardAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		source := music.New(music.Default(), nil)
		defer source.Close()
		for _, f := range soundFormats() {
			p := call(t, v.ListenPacket, addrService, addrMary, plain, true, f)
			if err := p.line.Play(source); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			packets := p.packets()
			p.continuous(packets)
			samples, rate := p.hear(packets)
			want := sound.Level(music.Default()[:5*music.Rate])
			if level := sound.Level(samples[rate/10:]); level < want-1 || level > want+1 {
				t.Errorf("%s: %.1f dBov are heard, %.1f are played", f.Name, level, want)
			}
			// Half a millisecond without a sample above -46 dBov would be a hole.
			if gaps := sound.Gaps(samples[rate/2:], rate, 0.025, 10*time.Millisecond); len(gaps) > 0 {
				t.Errorf("%s: gaps %v", f.Name, gaps)
			}
			if err := p.line.Play(nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // one may be under way
			p.packets()
			time.Sleep(time.Second)
			if n := len(p.packets()); n != 0 {
				t.Errorf("%s: %d packets of silence", f.Name, n)
			}
		}
	})
}

// soundFormats are those of sound that a line offers.
func soundFormats() (list []sdp.Format) {
	for _, f := range formats() {
		if isSound(f) {
			list = append(list, f)
		}
	}
	return list
}

// Whoever holds gets nothing, and misses nothing when he comes back.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mary, bob := pair(t, vnet.New(), bySDES, plain, common()...)
		join(t, mary, bob)
		mary.say(1000, 0.25, 200*time.Millisecond)
		before := bob.packets()
		bob.agree(true, sdp.Sending) // he holds
		go bob.say(700, 0.25, 200*time.Millisecond)
		mary.say(1000, 0.25, 200*time.Millisecond)
		if n := len(bob.packets()); n != 0 {
			t.Errorf("Bob gets %d packets while he holds", n)
		}
		if n := len(mary.packets()); n != 10 {
			t.Errorf("Mary gets %d packets of his music", n)
		}
		bob.agree(true, sdp.Both)
		mary.say(1000, 0.25, 200*time.Millisecond)
		after := bob.packets()
		// The keep-alive of a hold has a number, too.
		if gap := after[0].SequenceNumber - before[9].SequenceNumber; gap > 2 {
			t.Errorf("%d numbers from before the hold until after it", gap)
		}
		bob.continuous(after)
		if len(after) != 10 || !after[0].Marker || bob.conn.Stats().Lost != 0 {
			t.Errorf("%d packets, stats %+v", len(after), bob.conn.Stats())
		}
		mary.agree(true, sdp.Inactive)
		mary.say(1000, 0.25, 200*time.Millisecond)
		if n := len(bob.packets()); n != 0 {
			t.Errorf("Bob gets %d packets from a line that is inactive", n)
		}
	})
}

// A hold stops the music, too, and it begins again after it.
func TestHoldStopsMusic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mary := call(t, vnet.New().ListenPacket, addrService, addrMary, plain, true, pcmu)
		source := music.New(music.Default(), nil)
		defer source.Close()
		if err := mary.line.Play(source); err != nil {
			t.Fatal(err)
		}
		time.Sleep(190 * time.Millisecond)
		mary.agree(true, sdp.Inactive)
		if mary.line.player != nil {
			t.Error("it plays to somebody who cannot hear it")
		}
		time.Sleep(time.Second)
		mary.agree(true, sdp.Both)
		time.Sleep(190 * time.Millisecond)
		packets := mary.packets()
		if len(packets) != 20 || !packets[10].Marker || mary.conn.Stats().Lost != 0 {
			t.Errorf("%d packets, stats %+v", len(packets), mary.conn.Stats())
		}
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		mary := call(t, v.ListenPacket, addrService, addrMary, plain, true, pcma)
		bob := call(t, v.ListenPacket, addrService, addrBob, plain, true, pcmu)
		carol := call(t, v.ListenPacket, addrService, addrBob, plain, true, pcma)
		fresh, err := Open(t.Context(), Config{Local: addrService, ListenPacket: v.ListenPacket})
		if err != nil {
			t.Fatal(err)
		}
		source := music.New(nil, nil)
		check := func(what string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
		check("no codec in common", mary.line.Join(bob.line), ErrNoCodec)
		check("no agreement", mary.line.Join(fresh), ErrNoAgreement)
		check("itself", mary.line.Join(mary.line), ErrJoined)
		check("first", mary.line.Join(carol.line), nil)
		check("third", bob.line.Join(carol.line), ErrJoined)
		check("music in a call", mary.line.Play(source), ErrJoined)
		mary.line.Part()
		mary.line.Part()
		check("again", carol.line.Join(mary.line), nil)
		carol.line.Part()
		check("close", fresh.Close(), nil)
		check("close twice", fresh.Close(), nil)
		check("apply", fresh.Apply(sdp.Agreement{}), ErrClosed)
		check("play", fresh.Play(source), ErrClosed)
		check("join", mary.line.Join(fresh), ErrClosed)
		check("protection", mary.line.Apply(sdp.Agreement{Protection: sdp.Protection{Method: "zrtp"}}), rtpconn.ErrMethod)
		source.Close()
		check("closed source", mary.line.Play(source), music.ErrClosed)
		if _, ok := fresh.Agreement(); ok {
			t.Error("an agreement from nowhere")
		}
	})
}

// When one side has hung up the other is free for somebody else.
func TestCloseParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		mary, bob := pair(t, v, plain, plain, pcmu)
		carol := call(t, v.ListenPacket, addrService, addrBob, plain, true, pcmu)
		join(t, mary, bob)
		if err := bob.line.Close(); err != nil {
			t.Fatal(err)
		}
		mary.say(1000, 0.25, 200*time.Millisecond)
		if received, relayed := mary.line.Stats().Received, mary.line.relayed.Load(); received != 10 || relayed != 0 {
			t.Errorf("%d packets received, %d relayed", received, relayed)
		}
		join(t, mary, carol)
		mary.say(1000, 0.25, 200*time.Millisecond)
		if n := len(carol.packets()); n != 10 {
			t.Errorf("Carol gets %d packets", n)
		}
	})
}

// When the program has stood still, the timestamps of the music have gone on.
func TestMusicAfterAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mary := call(t, vnet.New().ListenPacket, addrService, addrMary, plain, true, pcmu)
		p := &player{line: mary.line, payloadType: 0, ticks: 160}
		for _, pause := range []time.Duration{0, 20 * time.Millisecond, 500 * time.Millisecond, 20 * time.Millisecond} {
			time.Sleep(pause)
			p.hear(make([]byte, 160), pause != 20*time.Millisecond)
		}
		synctest.Wait()
		packets := mary.packets()
		mary.continuous(packets)
		for i, want := range []uint32{0, 160, 160 + 4000, 320 + 4000} {
			if got := packets[i].Timestamp - packets[0].Timestamp; got != want || packets[i].Marker != (i%2 == 0) {
				t.Errorf("packet %d is at %d, want %d; marker %v", i, got, want, packets[i].Marker)
			}
		}
	})
}

// A key exchange that fails is told: the call must not go on (RFC 8643 §3).
func TestFailureIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mary := call(t, vnet.New().ListenPacket, addrService, addrMary, byDTLS, true, pcmu)
		mary.conn.Close() //nolint:errcheck // that is the failure
		time.Sleep(time.Minute)
		mary.mu.Lock()
		defer mary.mu.Unlock()
		if !slices.ContainsFunc(mary.events, func(e media.Event) bool { return e.Kind == media.SecurityFailed }) {
			t.Errorf("told %v", mary.events)
		}
	})
}

// Lines are joined crosswise, agreed anew and closed at once, by everybody.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		source := music.New(music.Default(), nil)
		defer source.Close()
		var phones []*phone
		for range 6 {
			phones = append(phones, call(t, v.ListenPacket, addrService, addrMary, plain, true, pcmu))
		}
		var group sync.WaitGroup
		for i, p := range phones {
			agreement, _ := p.line.Agreement()
			group.Go(func() { p.say(700, 0.25, time.Second) })
			group.Go(func() {
				for j := range 50 {
					o := phones[(i+1+j%5)%len(phones)]
					if err := p.line.Join(o.line); err != nil && !errors.Is(err, ErrJoined) && !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					time.Sleep(time.Duration(i+j%3) * time.Millisecond)
					p.line.Part()
				}
			})
			group.Go(func() {
				for range 50 {
					if err := p.line.Apply(agreement); err != nil && !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					if err := p.line.Play(source); err != nil && !errors.Is(err, ErrJoined) && !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					time.Sleep(time.Millisecond)
				}
			})
			group.Go(func() {
				time.Sleep(time.Duration(70+i%2) * time.Millisecond)
				if err := p.line.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	})
}
