package park

import (
	"strings"
	"time"

	"offhook/internal/body"
	"offhook/internal/plaintext"
	"offhook/internal/sipua"
)

// lamp is what the dialog state of an orbit tells (RFC 4235). Services other than ours tell no more than that it is
// occupied.
type lamp struct {
	entity          string // who has told
	occupied        bool
	caller, by      Party
	since, ringBack time.Time
	note            string
	recalling       bool
}

// Apply takes a notification about the dialogs of entity: an orbit, or a lot whose dialogs have the orbits as their local
// identities. full says that it names all dialogs of the entity, and that what it does not name is over.
func (b *Board) Apply(entity string, d body.DialogInfo, full bool) []string {
	own := userOfURI(entity)
	list := strings.Trim(own, "0123456789") != "" // an orbit is a number
	lit := map[string]lamp{}
	for _, s := range d.Dialogs {
		orbit := own
		if local := userOfURI(s.Local.URI); list && local != "" {
			orbit = local
		}
		if orbit == "" || list && orbit == own || lit[orbit].occupied {
			continue
		}
		lit[orbit] = lampOf(entity, s)
	}
	if full && !list && len(d.Dialogs) == 0 && own != "" {
		lit[own] = lamp{entity: entity}
	}
	return b.change(func() {
		if list && full && len(b.lists) < maxLists {
			b.lists[entity] = true
		}
		for orbit, l := range lit {
			if p := b.placeLocked(orbit); p != nil {
				p.lamp = &l
			}
		}
		for orbit, p := range b.places {
			_, named := lit[orbit]
			if full && !named && p.lamp != nil && p.lamp.entity == entity {
				p.lamp = &lamp{entity: entity}
			}
			dark := p.lamp == nil || !p.lamp.occupied
			if p.told != nil && dark && (named || full && list) {
				p.told.shown = false
			}
		}
	})
}

// Dark forgets what lamps of an entity have told, for nobody hears of them any more.
func (b *Board) Dark(entity string) []string {
	return b.change(func() {
		delete(b.lists, entity)
		for _, p := range b.places {
			if p.lamp != nil && p.lamp.entity == entity {
				p.lamp = nil
			}
		}
	})
}

func lampOf(entity string, s body.DialogState) lamp {
	l := lamp{entity: entity, occupied: s.State == "confirmed" || s.State == "early"} // early: FreeSWITCH has it so
	if !l.occupied {
		return l
	}
	l.caller = Party{URI: s.Remote.URI, Display: s.Remote.Display}.clean()
	if p := s.Parked; p != nil {
		l.by = Party{URI: p.By, Display: p.ByDisplay}.clean()
		l.since, l.ringBack, l.recalling = p.Since, p.RingBack, p.Recalling
		l.note = plaintext.Line(p.Note, maxNoteText)
	}
	return l
}

// userOfURI is the user part as an orbit's number, "" if it has none.
func userOfURI(s string) string {
	uri, err := sipua.ParseURI(s)
	if err != nil {
		return ""
	}
	return orbitText(uri.User)
}

// rowLocked makes the line of an orbit of what its sources say.
func (b *Board) rowLocked(orbit string, p *place) (Row, bool) {
	var r Row
	own := p.own
	if own != nil && !own.Ended.IsZero() {
		own = nil
	}
	switch {
	case p.lamp != nil && p.lamp.occupied:
		r = b.lampRow(p.lamp, own)
	case own != nil:
		r = ownRow(own)
	case p.told != nil && p.told.shown:
		r = Row{Estimated: true}
	default:
		return Row{}, false
	}
	r.Orbit = orbit
	if p.told != nil {
		r.tell(p.told)
	}
	if r.State == "" {
		r.State = RowParked
	}
	return r, true
}

// lampRow is the line of an occupied orbit. Where the lamp has no identity, the user's own record tells who it is.
func (b *Board) lampRow(l *lamp, own *Record) Row {
	r := Row{Caller: l.caller, ParkedBy: l.by, Since: l.since, RingBack: l.ringBack, Note: l.note}
	if l.recalling {
		r.State = RowRecalling
	}
	r.Mine = SameParty(l.by, b.self)
	if own == nil || l.caller.URI != "" && !SameParty(l.caller, own.Caller) {
		return r
	}
	o := ownRow(own)
	r.Mine, r.Note = true, o.Note // the user may have written another one since
	if r.Caller.URI == "" {
		r.Caller = o.Caller
	}
	if r.Caller.Display == "" {
		r.Caller.Display = o.Caller.Display
	}
	if r.ParkedBy.URI == "" {
		r.ParkedBy = o.ParkedBy
	}
	if r.Since.IsZero() {
		r.Since = o.Since
	}
	if r.RingBack.IsZero() && !l.recalling {
		r.RingBack = o.RingBack
	}
	return r
}

func ownRow(own *Record) Row {
	return Row{
		Caller: own.Caller, ParkedBy: own.ParkedBy, Since: own.Orbit.Parked, RingBack: own.Orbit.RingBack, Mine: true,
		Note: plaintext.Line(own.Note, maxNoteText),
	}
}

// tell adds what an announcement says: all of it where nothing else is known, else who has made it and, if somebody else
// is there, whom it named.
func (r *Row) tell(t *told) {
	r.AnnouncedBy = t.by
	switch {
	case r.Caller.URI == "" && t.shown:
		r.Estimated = true
		r.Caller, r.Note = t.Caller, t.Note
		if r.ParkedBy.URI == "" {
			r.ParkedBy = t.by
		}
		if r.Since.IsZero() {
			r.Since = t.at
		}
		if r.RingBack.IsZero() && t.Within > 0 {
			r.RingBack = t.at.Add(t.Within)
		}
	case t.Caller.URI == "" || SameParty(t.Caller, r.Caller):
	default:
		r.Announced = t.Caller
	}
}
