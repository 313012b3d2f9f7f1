package body

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Marshal writes the document with all its parts, in the order of the schemas: tuples, then what is not of PIDF.
func (p PIDF) Marshal() []byte {
	var w writer
	w.raw(xmlHeader, "<presence")
	w.attr("xmlns", nsPIDF)
	w.attr("xmlns:dm", nsModel)
	w.attr("xmlns:rpid", nsRPID)
	w.attr("xmlns:x", nsMachine)
	w.attr("entity", p.Entity)
	w.raw(">\n")
	taken := map[string]bool{}
	for _, t := range p.Tuples {
		t.ID = unique(taken, xmlID(t.ID))
		t.write(&w)
	}
	if !p.Person.Empty() {
		p.Person.write(&w, unique(taken, "p1"))
	}
	for _, d := range p.Devices {
		d.ID = unique(taken, xmlID(d.ID))
		d.write(&w)
	}
	w.raw(p.Extra...)
	w.raw("</presence>\n")
	return []byte(w.String())
}

func (t Tuple) write(w *writer) {
	w.raw("<tuple")
	w.attr("id", t.ID)
	w.raw("><status>")
	if t.Open {
		w.leaf("basic", "open")
	} else {
		w.leaf("basic", "closed")
	}
	w.raw("</status>")
	// RFC 3863 §4.1: extensions stand between status and contact.
	w.raw(t.Extra...)
	w.leaf("dm:deviceID", t.DeviceID)
	w.leaf("contact", t.Contact)
	w.leaf("note", t.Note)
	w.leaf("timestamp", formatTime(t.Timestamp))
	w.raw("</tuple>\n")
}

func (d Device) write(w *writer) {
	w.raw("<dm:device")
	w.attr("id", d.ID)
	w.raw(">")
	if d.UserInput != "" {
		w.raw("<rpid:user-input")
		if d.Threshold >= time.Second {
			w.attr("idle-threshold", seconds(d.Threshold))
		}
		if last := formatTime(d.LastInput); last != "" {
			w.attr("last-input", last)
		}
		w.raw(">")
		w.text(d.UserInput)
		w.raw("</rpid:user-input>")
	}
	if d.Class != "" || d.Idle >= 0 {
		w.raw("<x:machine")
		if d.Class != "" {
			w.attr("class", d.Class)
		}
		if d.Idle >= 0 {
			w.attr("idle", seconds(d.Idle))
		}
		w.raw("/>")
	}
	w.raw(d.Extra...)
	w.leaf("dm:deviceID", d.DeviceID)
	w.leaf("dm:note", d.Name)
	w.leaf("dm:timestamp", formatTime(d.Timestamp))
	w.raw("</dm:device>\n")
}

func (p Person) write(w *writer, id string) {
	w.raw("<dm:person")
	w.attr("id", id)
	w.raw(">")
	if len(p.Activities) > 0 {
		w.raw("<rpid:activities>")
		for _, a := range p.Activities {
			if slices.Contains(activities, a) {
				w.raw("<rpid:", a, "/>")
			} else {
				w.leaf("rpid:other", a)
			}
		}
		w.raw("</rpid:activities>")
	}
	if p.DND {
		w.raw("<x:dnd/>")
	}
	w.leaf("x:wish", p.Wish)
	w.raw(p.Extra...)
	w.leaf("dm:note", p.Note)
	w.leaf("dm:timestamp", formatTime(p.Timestamp))
	w.raw("</dm:person>\n")
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// xmlID makes a value fit for an attribute of type xs:ID: a letter first, then letters, digits and a few signs.
func xmlID(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		default:
			return '_'
		}
	}, s)
	if s != "" && (s[0] >= '0' && s[0] <= '9' || s[0] == '-' || s[0] == '.') {
		s = "i" + s
	}
	return s
}
