package ui

import (
	"fmt"
	"testing"
	"time"

	"offhook/internal/testkit/golden"
	"offhook/park"
	"offhook/session"
)

// lot is what is parked in the mock-ups when the clock of a stage says 09:59:00: two calls of this user's, one of Ann's.
func lot() parkView {
	party := func(number, name string) park.Party { return park.Party{URI: uri(number), Display: name} }
	me := park.Party{URI: uri("desk")}
	at := morning("09:59:00")
	v := parkView{service: session.ParkService{
		Server: "sip:park@example.com", Strategy: "rfc5359", Orbits: "1340-1399", Available: true, Safe: true,
	}}
	own := func(orbit string, caller park.Party, age time.Duration, note string, sent ...park.Recipient) {
		o := park.CallParkOrbit{
			FriendlyOrbit: orbit, SafeRetrieveURI: "sip:pk-secret@example.com", Parked: at.Add(-age), RingBack: at.Add(90*time.Second - age),
		}
		v.records = append(v.records, park.Record{ID: orbit, Orbit: o, Caller: caller, ParkedBy: me, Note: note, Sent: sent})
		v.rows = append(v.rows, park.Row{
			Orbit: orbit, State: park.RowParked, Caller: caller, ParkedBy: me, Mine: true, Since: o.Parked, RingBack: o.RingBack, Note: note,
		})
	}
	own("1347", party("+14255550100", "Contoso"), 32*time.Second, "order 77-1180",
		park.Recipient{URI: uri("bob"), Status: "displayed"}, park.Recipient{URI: uri("eva"), Status: "delivered"})
	own("1349", party("+442079460111", "Fabrikam"), 5*time.Second, "RMA, for Bob")
	v.rows = append(v.rows, park.Row{
		Orbit: "1351", State: park.RowParked, Caller: party("+12065550199", ""), ParkedBy: park.Party{URI: uri("ann")},
		AnnouncedBy: park.Party{URI: uri("ann")}, Since: at.Add(-80 * time.Second), RingBack: at.Add(10 * time.Second), Estimated: true,
	})
	ended := func(orbit, clock string, reason park.UnparkReason, target string, waited time.Duration) {
		r := park.Record{
			ID: orbit, Caller: party("+12065550142", "Northwind"), ParkedBy: me, Ended: morning(clock), Reason: reason,
			Orbit: park.CallParkOrbit{FriendlyOrbit: orbit, Parked: morning(clock).Add(-waited)},
		}
		if target != "" {
			r.Target = park.Party{URI: uri(target)}
		}
		v.records = append(v.records, r)
	}
	ended("1346", "09:51:00", park.Retrieved, "dev", 44*time.Second)
	ended("1345", "09:44:00", park.Abandoned, "", 72*time.Second)
	ended("1344", "09:30:00", park.Ringback, "desk", 90*time.Second)
	ended("1343", "09:12:00", park.Fallback, "ops", 90*time.Second)
	return v
}

// crowded is a board with so many calls.
func crowded(n int) parkView {
	v := lot()
	for i := range n - len(v.rows) {
		r := park.Row{
			Orbit: fmt.Sprint(1360 + i), State: park.RowParked, Caller: park.Party{URI: uri(fmt.Sprint("caller", i)), Display: fmt.Sprint("Caller ", i)},
			ParkedBy: park.Party{URI: uri("carol")}, Since: morning("09:58:00").Add(time.Duration(i) * time.Second), RingBack: morning("09:59:30").Add(time.Duration(i) * time.Second),
		}
		if i == 1 {
			r.State = park.RowRecalling
		}
		v.rows = append(v.rows, r)
	}
	return v
}

// setPark has the session say what is parked.
func (s *stage) setPark(v parkView) {
	s.f.mu.Lock()
	s.f.parked = v
	s.f.mu.Unlock()
	s.events(session.BoardChanged{})
}

// parked is mock-up A with something parked.
func parked(t *testing.T, w, h int, v parkView, calls ...session.CallInfo) *stage {
	t.Helper()
	s := calling(t, w, h, calls...)
	s.setPark(v)
	return s
}

var errStale = &session.Error{Op: "pick up", Kind: session.KindStaleOrbit, Err: park.ErrStaleOrbit}

func errStranger() error {
	return &session.Error{Op: "pick up", Kind: session.KindStranger, Err: &session.StrangerError{
		Orbit: "1351", Expected: park.Party{URI: uri("+12065550199")}, AnnouncedBy: park.Party{URI: uri("ann")},
		Present: park.Party{URI: uri("+12025550177"), Display: "Wingtip"},
	}}
}

// The golden screens of parking.
func TestParkScreens(t *testing.T) {
	type size struct{ w, h int }
	all := []size{{80, 24}, {120, 40}, {40, 15}, {200, 50}}
	states := []struct {
		name  string
		sizes []size
		stage func(t *testing.T, w, h int) *stage
	}{
		{"park-list", all, func(t *testing.T, w, h int) *stage { return parked(t, w, h, lot()) }},
		{"park-in-call", all, func(t *testing.T, w, h int) *stage { return parked(t, w, h, lot(), northwind()) }},
		{"e-parked", all, func(t *testing.T, w, h int) *stage {
			s := parked(t, w, h, lot())
			s.m.clipboard.obeys = true
			s.m.parks.asked["c5"] = true
			s.events(session.ParkDone{
				Conversation: "c5", Caller: session.Party{URI: uri("+12065550142"), Display: "Northwind"},
				Orbit: park.CallParkOrbit{FriendlyOrbit: "1348", Parked: s.clock, RingBack: s.clock.Add(90 * time.Second)},
			})
			return s
		}},
		{"e-parking", all[:1], func(t *testing.T, w, h int) *stage {
			s := parked(t, w, h, lot(), northwind())
			s.m.parks.asked["c5"] = true
			s.setCalls(northwind())
			return s
		}},
		{"e-failed", all, func(t *testing.T, w, h int) *stage {
			s := parked(t, w, h, lot(), northwind())
			s.f.fail["park.park"] = &session.Error{Op: "park", Kind: session.KindNoOrbit, Code: 486, Err: park.ErrNoOrbit}
			s.press("f5")
			return s
		}},
		{"f-board", append(all, size{100, 30}, size{160, 48}), func(t *testing.T, w, h int) *stage {
			s := parked(t, w, h, lot())
			s.press("f9")
			return s
		}},
		{"f-crowded", append(all, size{100, 30}, size{160, 48}), func(t *testing.T, w, h int) *stage {
			s := parked(t, w, h, crowded(40))
			s.press("f9")
			for range 25 {
				s.press("j")
			}
			return s
		}},
		{"f-empty", all[:1], func(t *testing.T, w, h int) *stage {
			s := parked(t, w, h, parkView{service: session.ParkService{Server: "sip:park@example.com", Why: "the server has no park service (404)"}})
			s.press("f9")
			return s
		}},
		{"park-crowded", all, func(t *testing.T, w, h int) *stage { return parked(t, w, h, crowded(40)) }},
		{"g-broadcast", all, func(t *testing.T, w, h int) *stage {
			s := parked(t, w, h, lot())
			s.press("f9", "b", "support", "space")
			return s
		}},
		{"g-one", all, func(t *testing.T, w, h int) *stage {
			s := parked(t, w, h, lot())
			s.press("ctrl+u", "ctrl+x", "B", "tab", "tab")
			return s
		}},
		{"h-pickup", all, func(t *testing.T, w, h int) *stage {
			s := parked(t, w, h, lot())
			s.m.parks.last = "1351"
			s.press("f6", "13")
			return s
		}},
		{"h2-stale", all, func(t *testing.T, w, h int) *stage {
			s := parked(t, w, h, lot())
			s.f.fail["park.retrieve"] = errStale
			s.press("f6", "1347", "enter")
			return s
		}},
		{"h3-stranger", all, func(t *testing.T, w, h int) *stage {
			s := parked(t, w, h, lot())
			s.f.fail["park.retrieve"] = errStranger()
			s.press("f6", "1351", "enter")
			return s
		}},
		{"ringback", all, func(t *testing.T, w, h int) *stage {
			back := northwind()
			back.State, back.Began = session.Incoming, morning("09:58:57")
			s := parked(t, w, h, lot(), back)
			s.events(session.ToastShown{
				Toast: "t5", Kind: "ringback", Conversation: "c5", Call: back.Call, From: back.Peer, Text: "BACK from park 1349, waited 1:30", Orbit: "1349",
			})
			return s
		}},
		{"orbit-toast", all, func(t *testing.T, w, h int) *stage {
			s := parked(t, w, h, lot())
			s.events(session.ToastShown{
				Toast: "t6", Kind: "orbit", Conversation: "c7", From: session.Party{URI: uri("ann")}, Orbit: "1351",
				Text: "Call for you on 1351: +1 206 555 0199. Dial 1351 or press F6 1351 within 0:10.",
			})
			return s
		}},
		{"parked-conversation", all, func(t *testing.T, w, h int) *stage {
			v := lot()
			v.records[0].Conversation = "c2"
			s := parked(t, w, h, v)
			s.events(session.ConversationChanged{Conversation: "c2", Peer: session.Party{URI: uri("carol")}, State: session.ConversationParked})
			s.press("alt+3")
			return s
		}},
		{"party", all[:1], func(t *testing.T, w, h int) *stage {
			c := northwind()
			c.Parked, c.ParkedBy, c.Orbit = true, session.Party{URI: uri("bob")}, "1350"
			return parked(t, w, h, lot(), c)
		}},
		{"stranger-answers", all[:1], func(t *testing.T, w, h int) *stage {
			c := northwind()
			c.Party, c.Muted = session.Party{URI: uri("+12025550177"), Display: "Wingtip"}, true
			s := parked(t, w, h, lot(), c)
			s.events(session.CallTrouble{Call: c.Call, Conversation: "c5", Kind: session.KindStranger, Text: "this is Wingtip, not Northwind: unmute to talk"})
			return s
		}},
	}
	for _, state := range states {
		for _, size := range state.sizes {
			name := fmt.Sprintf("%s-%dx%d.txt", state.name, size.w, size.h)
			t.Run(name, func(t *testing.T) {
				t.Parallel() // most of the time it waits for ticks that do not come
				golden.Check(t, name, []byte(state.stage(t, size.w, size.h).screen()))
			})
		}
	}
}
