package session_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/testkit"
	"offhook/internal/vnet"
	"offhook/session"
)

const switchHost = "127.0.8.1"

// inSwitch tells a story of an endpoint and a scripted party.
func inSwitch(t *testing.T, tell func(t *testing.T, p *phone, sound *testkit.Sound, s *scripted)) {
	t.Helper()
	inBubble(t, func(t *testing.T, n *vnet.Net) {
		sound := testkit.NewSound()
		p := newPhone(t, n, "bob", "127.0.2.1", func(cfg *session.Config) { cfg.Media = sound })
		tell(t, p, sound, newScripted(t, n, switchHost))
	})
}

func dial(t *testing.T, p *phone, to string) (*session.AudioVideoCall, <-chan error) {
	t.Helper()
	c, err := p.Conversation(to)
	if err != nil {
		t.Fatal(err)
	}
	call, done := c.NewAudio(), make(chan error, 1)
	go func() { done <- call.Establish(context.Background(), session.AudioOptions{}) }()
	return call, done
}

// Early media of two forks: the first is heard, the other not, and the one that answers is talked to.
func TestEarlyMediaOfForks(t *testing.T) {
	for _, winner := range []string{"a", "b", "c"} {
		inSwitch(t, func(t *testing.T, p *phone, sound *testkit.Sound, s *scripted) {
			call, done := dial(t, p, "sip:many@"+s.addr)
			inv := s.next(sip.INVITE)
			port := map[string]int{"a": 4000, "b": 4100, "c": 4200}
			s.answer(inv, 180, "c", "")
			time.Sleep(time.Second)
			synctest.Wait()
			if sound.Tone() != media.Ringback {
				t.Errorf("tone %v", sound.Tone())
			}
			for range 2 { // they are repeated
				s.answer(inv, 183, "a", describeAt(switchHost, port["a"]))
				s.answer(inv, 183, "b", describeAt(switchHost, port["b"]))
				time.Sleep(time.Second)
			}
			synctest.Wait()
			st := sound.Stream().State()
			if a, ok := st.Agreed(); !ok || len(st.Agreements) != 1 || a.Remote.Port() != 4000 || a.Direction != sdp.Receiving {
				t.Fatalf("early media: %+v", st.Agreements)
			}
			if info := call.Info(); !info.EarlyMedia || sound.Tone() != media.Ringback {
				t.Errorf("%+v, tone %v although nothing was heard yet", info, sound.Tone())
			}
			sound.Stream().Tell(media.Event{Kind: media.FirstAudio})
			synctest.Wait()
			if sound.Tone() != media.NoTone {
				t.Errorf("tone %v over their announcement", sound.Tone())
			}
			if n := sound.Talkers(); n != 0 {
				t.Error("the microphone is open before anybody answers")
			}
			s.answer(inv, 200, winner, describeAt(switchHost, port[winner]))
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			s.next(sip.ACK)
			a, _ := sound.Stream().State().Agreed()
			if int(a.Remote.Port()) != port[winner] || a.Direction != sdp.Both {
				t.Errorf("the call is with port %d, %v", a.Remote.Port(), a.Direction)
			}
			if call.Info().EarlyMedia {
				t.Error("still early")
			}
			told := eventsOf[session.CallMedia](p)
			if last := told[len(told)-1]; last.Early || last.Heard { // what was heard was the announcement
				t.Errorf("%+v", last)
			}
			go func() { s.answer(s.next(sip.BYE), 200, winner, "") }()
			if err := call.Terminate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// An announcement of the network, and then nobody: the announcement is all there is.
func TestAnnouncementAndRefusal(t *testing.T) {
	inSwitch(t, func(t *testing.T, p *phone, sound *testkit.Sound, s *scripted) {
		_, done := dial(t, p, "sip:nobody@"+s.addr)
		inv := s.next(sip.INVITE)
		s.answer(inv, 183, "a", describeAt(switchHost, 4000)+"a=sendonly\r\n")
		time.Sleep(5 * time.Second)
		s.answer(inv, 404, "a", "")
		if err := <-done; kindOf(err) != session.KindNotFound {
			t.Errorf("%v", err)
		}
		synctest.Wait()
		if sound.Tone() != media.Congestion {
			t.Errorf("tone %v", sound.Tone())
		}
		if open := sound.OpenStreams(); len(open) != 0 {
			t.Errorf("%d streams are open", len(open))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if sound.Tone() != media.NoTone {
			t.Errorf("tone %v", sound.Tone())
		}
	})
}

// A 200 whose answer accepts nothing is no call.
func TestAnswerThatMakesNoSense(t *testing.T) {
	inSwitch(t, func(t *testing.T, p *phone, sound *testkit.Sound, s *scripted) {
		for _, answer := range []string{"", "nonsense", "v=0\r\nm=audio 0 RTP/AVP 0\r\n", "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 18\r\n"} {
			call, done := dial(t, p, "sip:odd@"+s.addr)
			s.answer(s.next(sip.INVITE), 200, "a", answer)
			s.answer(s.next(sip.BYE), 200, "a", "")
			if err := <-done; kindOf(err) != session.KindUnsupported {
				t.Errorf("%q: %v", answer, err)
			}
			expectState(t, call, session.Terminated)
		}
		time.Sleep(time.Minute)
		if open := sound.OpenStreams(); len(open) != 0 {
			t.Errorf("%d streams are open", len(open))
		}
	})
}

// An INVITE without an offer gets ours (RFC 3261 §13.2.1), and the ACK brings the answer, or nothing of use.
func TestDelayedOffer(t *testing.T) {
	for _, answer := range []string{describeAt(switchHost, 4000), "", "nonsense"} {
		inSwitch(t, func(t *testing.T, p *phone, sound *testkit.Sound, s *scripted) {
			s.call(p, "", "")
			time.Sleep(time.Second)
			toasts := p.Snapshot().Toasts
			if len(toasts) != 1 || toasts[0].Kind != "call" {
				t.Fatalf("toasts %+v", toasts)
			}
			call, _ := p.FindAudio(toasts[0].Call)
			done := make(chan error, 1)
			go func() { done <- call.Accept(context.Background()) }()
			res := s.response()
			if !sdp.OffersAudio(res.Body()) {
				t.Fatalf("the 200 offers %q", res.Body())
			}
			if n := sound.Talkers(); n != 0 {
				t.Error("the microphone is open without an answer")
			}
			to := res.To().Value()
			s.request("ACK", 1, p.addr, to, "", answer)
			err := <-done
			if (err == nil) != strings.HasPrefix(answer, "v=0") {
				t.Errorf("%q: %v", answer, err)
			}
			if err != nil {
				s.answer(s.next(sip.BYE), 200, "s", "")
				expectState(t, call, session.Terminated)
				return
			}
			if a, _ := sound.Stream().State().Agreed(); a.Remote.Port() != 4000 || a.Direction != sdp.Both {
				t.Errorf("%+v", a)
			}
			// And so can a re-INVITE (RFC 3261 §14.2); the answer puts us on hold.
			s.request("INVITE", 2, p.addr, to, "", "")
			if res := s.response(); !sdp.OffersAudio(res.Body()) {
				t.Errorf("the 200 offers %q", res.Body())
			}
			s.request("ACK", 2, p.addr, to, "", describeAt(switchHost, 4000)+"a=sendonly\r\n")
			time.Sleep(time.Second)
			expectHold(t, call, session.HoldRemote)
			s.request("BYE", 3, p.addr, to, "", "")
			time.Sleep(time.Second)
			expectState(t, call, session.Terminated)
		})
	}
}
