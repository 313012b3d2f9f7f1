package service

import (
	"fmt"
	"strings"
	"time"

	"offhook/internal/body"
	"offhook/park"
)

// States of the dialog that stands for a parked caller (RFC 4235 §3.7.1).
const (
	lampConfirmed  = "confirmed"
	lampEarly      = "early"
	lampTerminated = "terminated"
)

// Watchable reports whether a user may subscribe to the dialog state of one of this service's. Orbits and the lot are for
// everybody in the domain. A safe-retrieve URI is for who holds it, also when its park is over; a wrong one counts as a guess.
func (s *Service) Watchable(user, watcher string) bool {
	token, ok := strings.CutPrefix(user, tokenPrefix)
	if !ok {
		return user == userLot || s.isOrbit(user)
	}
	now := time.Now()
	_, there := s.lot.Find(token)
	known := s.lot.Ended(token) || there && !s.isOrbit(token)
	if s.probes.wait(now, watcher) > 0 {
		return false
	}
	if !known {
		s.probes.miss(now, watcher)
	}
	return known
}

// DialogInfo is the dialog state of one of this service's users, complete. With over nothing more will come: that park has
// ended. There is no identifier of a dialog in it, for who knows those can take a call away (RFC 4235 §3.7.2, RFC 3891 §8).
func (s *Service) DialogInfo(user string, version int) (doc body.DialogInfo, over bool) {
	entity := s.uri(user)
	doc = body.DialogInfo{Version: version, Full: true, Entity: entity.String()}
	token, secret := strings.CutPrefix(user, tokenPrefix)
	switch {
	case secret:
		s.mu.Lock()
		defer s.mu.Unlock()
		if o, ok := s.lot.Find(token); ok && o.Token == token {
			doc.Dialogs = s.lamp(o)
			return doc, false
		}
		doc.Dialogs = []body.DialogState{s.unparkedLocked(token)}
		return doc, true
	case user == userLot:
		for _, o := range s.lot.Orbits() {
			if occupied(o.State) {
				doc.Dialogs = append(doc.Dialogs, s.lamp(o)...)
			}
		}
	default:
		if o, ok := s.lot.Find(user); ok && o.Number == user {
			doc.Dialogs = s.lamp(o)
		}
	}
	return doc, false
}

// occupied reports whether a caller is on an orbit.
func occupied(state park.State) bool {
	switch state {
	case park.Parked, park.Retrieving, park.Recalling, park.Dropping:
		return true
	case park.Free, park.Reserved, park.Parking, park.Quarantine:
	}
	return false
}

// lamp is the dialog that stands for the caller on an orbit: none if there is nobody. As long as the orbit rests the dialog
// that was there is shown to have ended.
func (s *Service) lamp(o park.Orbit) []body.DialogState {
	at := s.uri(o.Number)
	d := body.DialogState{
		ID: lampID(o.ID), Direction: "recipient", State: s.cfg.Lamp, Local: body.Participant{URI: at.String(), Display: o.Number},
	}
	switch {
	case o.State == park.Quarantine:
		d.State = lampTerminated
	case occupied(o.State):
		d.Remote = body.Participant{URI: o.Caller.URI, Display: o.Caller.Display}
		d.Parked = &body.ParkedInfo{
			By: o.Parker.URI, ByDisplay: o.Parker.Display, Since: o.Since, RingBack: o.RingBack, Note: o.Note,
			Recalling: o.State == park.Recalling,
		}
	default:
		return nil
	}
	return []body.DialogState{d}
}

func lampID(park uint64) string { return fmt.Sprintf("p%d", park) }

// unparkedLocked is the end of a park, for those who hold its safe-retrieve URI.
func (s *Service) unparkedLocked(token string) body.DialogState {
	u, ok := s.unparks.find(token)
	if !ok { // longer ago than is remembered, or before this service was started
		u = unpark{reason: park.Unknown}
	}
	at := s.uri(u.orbit)
	d := body.DialogState{
		ID: lampID(u.id), State: lampTerminated, Event: u.event(),
		Unpark: &body.Unpark{Reason: string(u.reason), Target: u.target.URI, Display: u.target.Display},
	}
	if u.orbit != "" {
		d.Local = body.Participant{URI: at.String(), Display: u.orbit}
	}
	return d
}

// changed tells of whom the dialog state may be new.
func (s *Service) changed(o park.Orbit) {
	s.wakeClock()
	if s.cfg.Changed == nil {
		return
	}
	users := []string{o.Number, userLot}
	if o.Token != "" {
		users = append(users, tokenPrefix+o.Token)
	}
	s.cfg.Changed(users)
}
