package line

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"offhook/audio/codec"
	"offhook/internal/sdp"
	"offhook/internal/vnet"
	"offhook/park/music"
)

// Keys and comfort noise go through, under the numbers of the other side.
func TestKeysAreRelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mary, bob := pair(t, vnet.New(), byDTLS, bySDES, common()...)
		time.Sleep(2 * time.Second)
		join(t, mary, bob)
		mary.say(1000, 0.25, 200*time.Millisecond)
		number := mary.number(events)
		for _, end := range []bool{false, true, true, true} {
			event := codec.Event{Code: 7, Volume: 8, Duration: 800, End: end}
			if err := mary.conn.Write(number, !end, 9600, event.Append(nil)); err != nil {
				t.Error(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err := mary.conn.Write(mary.number(noise), false, 20000, []byte{60}); err != nil {
			t.Error(err)
		}
		time.Sleep(20 * time.Millisecond)
		packets := bob.packets()
		if len(packets) != 15 {
			t.Fatalf("%d packets", len(packets))
		}
		begun := packets[10]
		for i, p := range packets[10:14] {
			e, err := codec.ParseEvent(p.Payload)
			if err != nil || p.PayloadType == number || p.Timestamp != begun.Timestamp || p.Marker != (i == 0) || e.Code != 7 || e.End != (i > 0) {
				t.Errorf("%v: %+v, %v", p.Header, e, err)
			}
		}
		if got, _ := find(bob.at.Receive, events); begun.PayloadType != got.PayloadType {
			t.Errorf("payload type %d, want %d", begun.PayloadType, got.PayloadType)
		}
		if p := packets[14]; p.PayloadType != noise.PayloadType || !slices.Equal(p.Payload, []byte{60}) {
			t.Errorf("comfort noise arrives as %v", p.Header)
		}
	})
}

// What is lost on the way to the service is missing at the other end, in its place.
func TestLossesStayVisible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		v.Link(addrMary, addrService, vnet.Link{Loss: 0.1, Jitter: 30 * time.Millisecond})
		mary, bob := pair(t, v, bySDES, bySDES, pcmu)
		join(t, mary, bob)
		mary.say(1000, 0.25, 20*time.Second)
		time.Sleep(time.Second)
		in, out := mary.line.Stats(), bob.conn.Stats()
		if in.Lost < 50 || out.Lost != in.Lost || out.Reordered != in.Reordered || in.Reordered == 0 || out.Received != in.Received {
			t.Errorf("to the service %d of %d lost, %d late; from it %d, %d", in.Lost, in.Received, in.Reordered, out.Lost, out.Reordered)
		}
	})
}

// While they are joined a side goes over to another codec: what the other side does not take is left out until it does.
func TestCodecChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		mary := call(t, v.ListenPacket, addrService, addrMary, plain, true, pcma, pcmu, events)
		bob := call(t, v.ListenPacket, addrService, addrBob, plain, true, pcma, pcmu, events)
		join(t, mary, bob)
		mary.say(1000, 0.25, 200*time.Millisecond)
		if n := len(bob.packets()); n != 10 {
			t.Errorf("%d packets", n)
		}
		bob.talk.SetLocal(sdp.Local{Addr: bob.mine.Addr, Formats: []sdp.Format{pcmu}, Policy: sdp.Off})
		bob.agree(true, sdp.Both)
		mary.say(1000, 0.25, 200*time.Millisecond)
		if n, omitted := len(bob.packets()), mary.line.omitted.Load(); n != 0 || omitted != 10 {
			t.Errorf("%d packets, %d omitted", n, omitted)
		}
		send, _ := bob.line.Agreement()
		mary.theirs.SetLocal(mary.line.Restrict(send.Send))
		mary.agree(false, sdp.Both)
		mary.say(1000, 0.25, time.Second)
		hears(t, bob, 1000, -15)
		if s := bob.conn.Stats(); s.Lost != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// The re-INVITE to who is parked offers what both have, under the numbers of its dialog.
func TestRestrict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mary := call(t, vnet.New().ListenPacket, addrService, addrMary, plain, true, pcma, pcmu, g722, events, noise)
		other := sdp.Format{PayloadType: 18, Name: "g729", ClockRate: 8000, Channels: 1}
		theirs := g722
		theirs.Params = "mode=1"
		keys := events
		keys.PayloadType, keys.Params = 127, "0-11"
		got := mary.line.Restrict([]sdp.Format{other, theirs, pcmu, opusEvents, keys})
		want := []sdp.Format{pcmu, theirs, events}
		want[2].Params = "0-11"
		if !slices.Equal(got.Formats, want) {
			t.Errorf("got %v, want %v", got.Formats, want)
		}
		if got.Addr != mary.line.Local().Addr || got.Policy != sdp.Off || got.Ptime != music.FrameTime {
			t.Errorf("got %+v", got)
		}
		if got := mary.line.Restrict([]sdp.Format{other, events}); len(got.Formats) != 0 {
			t.Errorf("without a codec in common: %v", got.Formats)
		}
		mary.theirs.SetLocal(got)
		mary.agree(false, sdp.Both)
		if names := mary.at.Send; len(names) != 3 || names[0].Name != "pcmu" || names[2].PayloadType != events.PayloadType {
			t.Errorf("agreed %v", names)
		}
	})
}
