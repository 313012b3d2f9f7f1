package ui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/internal/plaintext"
	"offhook/park"
	"offhook/session"
)

// This file knows what is parked, and parks. As with calls, the board is read from the session as a whole whenever an event
// was about it. Parking waits for the park service; meanwhile the call goes on, and nobody is put on hold.

// bannerTime is how long the outcome of parking stands at the call bar. The parked call is in the list from then on.
const bannerTime = 8 * time.Second

// parkView is what the session says about parking.
type parkView struct {
	rows    []park.Row    // the board, by orbit
	records []park.Record // of the calls that this user parked, newest first
	service session.ParkService
}

// parking is what the screen knows about it besides.
type parking struct {
	parkView
	asked   map[string]bool             // conversations whose call the user parks here
	banner  *parkBanner                 // nil: none; see model.parkBanner
	last    string                      // the orbit that was parked or heard of last
	told    map[string][]park.Recipient // by orbit: who was told of it from here
	orbits  map[string]string           // of toasts, by toast
	backs   map[string]string           // calls that came back, by call: from which orbit
	wrong   map[string]string           // calls at whose other end somebody else is than expected, by call: who
	picking string                      // what is being picked up
	awaited string                      // a conversation to show as soon as it has a window
}

func newParking() parking {
	return parking{asked: map[string]bool{}, told: map[string][]park.Recipient{}, orbits: map[string]string{}, backs: map[string]string{}, wrong: map[string]string{}}
}

// parkBanner is what became of parking a call.
type parkBanner struct {
	conversation string
	name         string
	address      string // "" unless it is a number
	orbit        string
	failure      string // why it could not be parked; "" if it is
	copied       string // what can be said about the clipboard
	ringBack     time.Time
	until        time.Time
}

// parkedMsg is the answer of the park service to a key pressed here.
type parkedMsg struct {
	conversation string
	err          error
}

// parkOf reads what is parked if events were about it; nil if they were not.
func parkOf(events []session.Event, from account) *parkView {
	for _, ev := range events {
		switch ev := ev.(type) {
		case session.ParkDone, session.Unparked, session.BoardChanged, session.BroadcastChanged:
		case session.RegistrationChanged: // then it is asked for the park service
		case session.ActionAvailability:
			if ev.Action != "park" {
				continue
			}
		default:
			continue
		}
		return readPark(from)
	}
	return nil
}

// readPark takes what the session says. Its words are cleaned once more, as everything is that enters the screen.
func readPark(from account) *parkView {
	v := &parkView{rows: slices.Clone(from.Board()), records: slices.Clone(from.ParkHistory()), service: from.ParkService()}
	for i := range v.rows {
		r := &v.rows[i]
		r.Orbit, r.Note = plaintext.Line(r.Orbit, maxName), plaintext.Line(r.Note, maxName)
	}
	for i := range v.records {
		r := &v.records[i]
		r.Orbit.FriendlyOrbit, r.Note = plaintext.Line(r.Orbit.FriendlyOrbit, maxName), plaintext.Line(r.Note, maxName)
	}
	return v
}

// parkCall parks a call, at an orbit of the user's choice or at any, with a note for who picks it up.
func (m *model) parkCall(c *phoneCall, orbit, note string) tea.Cmd {
	if m.parks.asked[c.Conversation] {
		m.message = c.name() + " is being parked"
		return nil
	}
	m.parks.asked[c.Conversation] = true
	params := map[string]any{"call": c.Call}
	if orbit != "" {
		params["orbit"] = orbit
	}
	if note != "" {
		params["note"] = note
	}
	c.parking = true
	done := parkedMsg{conversation: c.Conversation}
	return func() tea.Msg {
		_, done.err = m.commands.Call(m.ctx, "park.park", params)
		return done
	}
}

// park is F5.
func (m *model) park() tea.Cmd {
	return m.withSubject("park", func(c *phoneCall) tea.Cmd { return m.parkCall(c, "", "") })
}

// parkCommand is /park [ORBIT] [NOTE].
func (m *model) parkCommand(orbit, note string) tea.Cmd {
	return m.withSubject("park", func(c *phoneCall) tea.Cmd { return m.parkCall(c, orbit, note) })
}

// onParked follows a call that could not be parked. That it is parked comes as an event, with the orbit.
func (m *model) onParked(msg parkedMsg) {
	if msg.err == nil {
		return
	}
	delete(m.parks.asked, msg.conversation)
	for _, c := range m.calls {
		c.parking = m.parks.asked[c.Conversation]
	}
	if errors.Is(msg.err, context.Canceled) {
		return
	}
	m.parkFailed(msg.conversation, parkProblem(msg.err))
}

// parkProblem is what a park service says, in its own words if they are known, so that they fit into a row.
func parkProblem(err error) string {
	var failure *park.Failure
	if errors.As(err, &failure) {
		return failure.Error()
	}
	var e *session.Error
	if errors.As(err, &e) && e.Err != nil && e.Hint() != "" {
		return strings.TrimPrefix(e.Error(), e.Op+" "+e.Peer+": ")
	}
	return err.Error()
}

func (m *model) parkFailed(conversation, why string) {
	b := &parkBanner{conversation: conversation, failure: plaintext.Line(why, maxName), until: m.now().Add(bannerTime)}
	if w := m.windows.byConversation(conversation); w != nil {
		b.name = w.name
	}
	m.parks.banner = b
}

// onParkEvent takes an event over that is about parking; what is on the board is read apart from it.
func (m *model) onParkEvent(ev session.Event) tea.Cmd {
	switch ev := ev.(type) {
	case session.ParkDone:
		return m.onParkDone(ev)
	case session.ParkFailed:
		// One that was asked for here has its own answer, which says more.
		if b := m.parkBanner(); !m.parks.asked[ev.Conversation] && (b == nil || b.conversation != ev.Conversation) {
			m.parkFailed(ev.Conversation, failureText(ev))
		}
	case session.Unparked:
		if b := m.parks.banner; b != nil && b.orbit == ev.FriendlyOrbit {
			m.parks.banner = nil // it would count down to nothing
		}
		delete(m.parks.told, ev.FriendlyOrbit)
		m.parkEnded(ev)
	case session.BoardChanged:
		m.onBoardChanged(ev)
	case session.BroadcastChanged:
		m.recipient(ev.Orbit, ev.Recipient)
	case session.CallTrouble:
		if ev.Kind == session.KindStranger {
			m.parks.wrong[ev.Call] = plaintext.Line(ev.Text, maxText)
		}
	}
	return nil
}

// parkEnded tells in the hint row what became of a call that this user parked, whatever is on screen. Of a caller who is
// lost there is something to do, so that counts as a missed call.
func (m *model) parkEnded(ev session.Unparked) {
	switch ev.Reason {
	case park.Ringback:
		return
	case park.Abandoned, park.Disconnected, park.Dropped:
		m.missedCall(m.windows.byConversation(ev.Conversation))
	case park.Retrieved, park.Fallback, park.Unknown:
	}
	if address(ev.Target.URI) == address(m.me.AOR) || m.message != "" {
		return
	}
	how := m.howEnded(park.Record{Reason: ev.Reason, Target: park.Party(ev.Target)})
	waited := time.Duration(ev.Waited * float64(time.Second))
	m.message = fmt.Sprintf("%s  %s: %s, waited %s", plaintext.Line(ev.FriendlyOrbit, maxName), partyName(m.named(ev.Caller)), how, short(waited))
}

func failureText(ev session.ParkFailed) string {
	if f := park.FailureIn(ev.Message); f != nil {
		return f.Error()
	}
	return ev.Message
}

func (m *model) onParkDone(ev session.ParkDone) tea.Cmd {
	caller := m.named(session.Party(ev.Caller))
	b := &parkBanner{
		conversation: ev.Conversation, orbit: plaintext.Line(ev.Orbit.FriendlyOrbit, maxName), name: partyName(caller), ringBack: ev.Orbit.RingBack,
		until: m.now().Add(bannerTime),
	}
	if a, number := shortAddress(caller.URI); number && a != b.name {
		b.address = a
	}
	m.parks.banner, m.parks.last = b, b.orbit
	delete(m.parks.told, b.orbit) // they were told of another call
	if !m.parks.asked[ev.Conversation] {
		return nil // parked through the control API: whoever did it does not look here
	}
	delete(m.parks.asked, ev.Conversation)
	cmd, said := m.clipboard.copy(b.orbit)
	b.copied = said
	return cmd
}

func (m *model) onBoardChanged(ev session.BoardChanged) {
	if ev.Gone {
		delete(m.parks.told, ev.Orbit)
		return
	}
	if _, known := m.parkRow(ev.Orbit); !known && !ev.Mine && ev.Estimated {
		m.parks.last = ev.Orbit // somebody has just told of it
	}
}

// recipient notes how far the word of an orbit has come.
func (m *model) recipient(orbit string, r park.Recipient) {
	all := m.parks.told[orbit]
	if at := slices.IndexFunc(all, func(o park.Recipient) bool { return o.URI == r.URI }); at >= 0 {
		all[at] = r
		return
	}
	m.parks.told[orbit] = append(all, r)
}

// setPark takes over what the session says.
func (m *model) setPark(v *parkView) { m.parks.parkView = *v }

// parkBanner is the banner that stands now, nil if none does.
func (m *model) parkBanner() *parkBanner {
	if b := m.parks.banner; b != nil && m.now().Before(b.until) {
		return b
	}
	return nil
}

// parkRow finds a line of the board.
func (m *model) parkRow(orbit string) (park.Row, bool) {
	for _, r := range m.parks.rows {
		if r.Orbit == orbit {
			return r, true
		}
	}
	return park.Row{}, false
}

// parkRecord is the record of a call of this user's that is parked now.
func (m *model) parkRecord(orbit string) (park.Record, bool) {
	for _, r := range m.parks.records {
		if r.Orbit.FriendlyOrbit == orbit && r.Ended.IsZero() {
			return r, true
		}
	}
	return park.Record{}, false
}

// parkedIn is the record of the call of a conversation that is parked now.
func (m *model) parkedIn(w *window) (park.Record, bool) {
	if w.state != session.ConversationParked {
		return park.Record{}, false
	}
	for _, r := range m.parks.records {
		if r.Ended.IsZero() && (r.Conversation == w.conversation || address(r.Caller.URI) == address(w.peer)) {
			return r, true
		}
	}
	return park.Record{}, false
}

// parkWhy is why the call that keys are about cannot be parked.
func (m *model) parkWhy() string { return m.whyNotNow("park") }

// pickUpWhy is why no parked call can be picked up.
func (m *model) pickUpWhy() string {
	switch s := m.parks.service; {
	case m.sound == nil:
		return whyNoSound
	case !s.Available && s.Why != "" && len(m.parks.rows) == 0:
		return s.Why
	}
	return ""
}

// broadcastWhy is why nobody can be told of a parked call.
func (m *model) broadcastWhy() string {
	if m.broadcastOrbit() == "" {
		return whyNothingParked
	}
	return ""
}

// broadcastOrbit is the orbit that is meant where none is named: the last one, else that of the window, else the only one.
func (m *model) broadcastOrbit() string {
	if _, there := m.parkRow(m.parks.last); there {
		return m.parks.last
	}
	if r, ok := m.parkedIn(m.windows.current); ok {
		return r.Orbit.FriendlyOrbit
	}
	for _, r := range m.parks.rows {
		if r.Mine || len(m.parks.rows) == 1 {
			return r.Orbit
		}
	}
	return ""
}

// parkedLive are the calls that this user has parked, for who wants to leave.
func (m *model) parkedLive() (orbits []string) {
	for _, r := range m.parks.rows {
		if r.Mine {
			orbits = append(orbits, r.Orbit)
		}
	}
	return orbits
}
