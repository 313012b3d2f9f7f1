package service

import (
	"strings"
	"testing"
	"time"

	"offhook/internal/sipua"
	"offhook/park"
)

// untimed makes a telephone that knows no session timer.
func untimed(c *sipua.AgentConfig) { c.SessionTimer = -1 }

func (w *world) asked(p *phone) int { return len(w.sentTo(p, "OPTIONS ")) }

func lasting(c *Config) { c.Lot.Timeout = 10 * time.Minute; c.Lot.Quarantine = time.Hour }

// A caller whose device knows no session timer, and has vanished, does not occupy an orbit until the ring-back.
func TestDeadCallerWithoutSessionTimer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary", untimed)
		p := w.park(bob, mary)
		w.sleep(5 * time.Minute)
		if n := w.asked(mary); n != 3 {
			t.Errorf("asked %d times in five minutes", n)
		}
		p.mary.alive()
		w.orbit("701", park.Parked)
		w.net.Cut(mary.at.Addr())
		w.sleep(2*time.Minute + 10*time.Second)
		w.orbit("701", park.Quarantine)
		w.expectUnparked(p.safe, park.Disconnected, park.Party{})
		w.net.Heal(mary.at.Addr())
		w.sleep(time.Minute)
		w.noCalls()
	}, lasting)
}

// A call that was picked up ends when either device has vanished; the other side is told why.
func TestDeadSideOfABridge(t *testing.T) {
	for _, vanishes := range []string{"mary", "carol"} {
		t.Run(vanishes, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				bob, mary, carol := w.phone("bob"), w.phone("mary", untimed), w.phone("carol", untimed)
				m := w.park(bob, mary).mary
				c := carol.mustDial("701")
				w.sleep(10 * time.Minute)
				m.alive()
				c.alive()
				gone, left := mary, c
				if vanishes == "carol" {
					gone, left = carol, m
				}
				w.net.Cut(gone.at.Addr())
				w.sleep(2*time.Minute + 10*time.Second)
				if reason := left.expectEnd(); reason.Cause != 480 {
					t.Errorf("told %v", reason)
				}
				w.net.Heal(gone.at.Addr())
				w.sleep(time.Minute)
				w.noCalls()
			})
		})
	}
}

// A device that has been started anew knows nothing of the call, and says so, or a proxy does in its place. Whatever else is
// answered comes from somebody who is there.
func TestWhatIsAnsweredWhenAsked(t *testing.T) {
	for answer, want := range map[string]park.State{
		"481 Call/Transaction Does Not Exist": park.Quarantine, "408 Request Timeout": park.Quarantine,
		"405 Method Not Allowed": park.Parked, "501 Not Implemented": park.Parked, "503 Service Unavailable": park.Parked,
	} {
		t.Run(answer, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				bob, mary := w.phone("bob"), w.phone("mary", untimed)
				p := w.park(bob, mary)
				w.net.Rewrite(func(p packet) []byte {
					status, rest, _ := strings.Cut(string(p.Data), "\r\n")
					if p.From != mary.at || !strings.HasPrefix(status, "SIP/2.0 ") || !strings.Contains(rest, " OPTIONS\r\n") {
						return p.Data
					}
					return []byte("SIP/2.0 " + answer + "\r\n" + rest)
				})
				w.sleep(89 * time.Second)
				w.orbit("701", park.Parked)
				w.sleep(2 * time.Second)
				w.orbit("701", want)
				if want == park.Quarantine {
					w.expectUnparked(p.safe, park.Disconnected, park.Party{})
				}
				if n := w.asked(mary); n != 1 {
					t.Errorf("asked %d times", n)
				}
			}, lasting)
		})
	}
}

// Whose sound comes is there, and so is whose session is refreshed: neither is asked.
func TestWhoIsHeardIsNotAsked(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, alice, carol := w.phone("bob"), w.phone("mary", untimed), w.phone("alice"), w.phone("carol")
		ear, says := mary.listen(t.Context())
		m := w.park(bob, mary).mary
		w.park(bob, alice)
		carol.mustDial("702")
		ear.mu.Lock()
		ear.from = m.media().Remote
		ear.mu.Unlock()
		for range 7 {
			says("hm", byte(m.media().Send[0].PayloadType), 1)
			w.sleep(time.Minute)
		}
		for _, p := range []*phone{mary, alice, carol} {
			if n := w.asked(p); n != 0 {
				t.Errorf("%s is asked %d times", p.name, n)
			}
		}
		w.sleep(150 * time.Second)
		if w.asked(mary) == 0 {
			t.Error("mary, who is silent now, is not asked")
		}
	}, lasting)
}
