package body

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// DialogInfo is the state of the dialogs of one entity (RFC 4235): what the lamp of a telephone shows. Versions are
// reported, not checked; how to follow them is RFC 4235 §4.3 and the subscriber's work.
type DialogInfo struct {
	Version int
	Full    bool // all dialogs of the entity; otherwise only those that changed
	Entity  string
	Dialogs []DialogState
}

// DialogState is one dialog, or the virtual one of RFC 4235 §3.7.2 that stands for any number of them and has no
// identifiers: those who merely look at a lamp must not learn what an INVITE with Replaces needs.
type DialogState struct {
	ID        string
	State     string // trying, proceeding, early, confirmed, terminated
	Event     string // why it is terminated: cancelled, rejected, replaced, local-bye, remote-bye, error, timeout
	Direction string // initiator, recipient; "" not told

	CallID, LocalTag, RemoteTag string

	Local, Remote Participant
	Unpark        *Unpark
	Parked        *ParkedInfo
}

// Participant is an end of a dialog.
type Participant struct {
	URI     string // identity
	Display string
	Target  string // where it is reached, often with the parameters of its Contact
}

// Unpark tells who parked a call that the park is over. It is an element of ours, as is parked: RFC 4235 §4.4 allows them.
type Unpark struct {
	Reason  string // one of park's reasons
	Target  string // URI of who has the call now; "" nobody
	Display string
}

// ParkedInfo is what a lamp of ours tells besides RFC 4235 about a parked call.
type ParkedInfo struct {
	By, ByDisplay   string // who parked it
	Since, RingBack time.Time
	Note            string
	Recalling       bool // it rings at who parked it
}

const (
	nsDialogInfo = "urn:ietf:params:xml:ns:dialog-info"
	nsPark       = "urn:x-park:1" // ours
)

// maxDialogs bounds the dialogs of a document.
const maxDialogs = 500

// ParseDialogInfo reads a dialog-info document. It copes with what the RFCs' own examples have wrong: the attribute
// notify-state for state, a missing entity, and the address of a target as text.
func ParseDialogInfo(b []byte) (DialogInfo, error) {
	root, err := parseXML(b, "dialog-info")
	if err != nil {
		return DialogInfo{}, err
	}
	state := root.attr("state")
	if state == "" {
		state = root.attr("notify-state")
	}
	d := DialogInfo{
		Version: readCount(root.attr("version")),
		Full:    !strings.EqualFold(state, "partial"),
		Entity:  root.attr("entity"),
	}
	for _, e := range root.children {
		if e.name.Local != "dialog" {
			continue
		}
		if len(d.Dialogs) >= maxDialogs {
			return DialogInfo{}, fmt.Errorf("%w: more than %d dialogs", ErrTooLarge, maxDialogs)
		}
		d.Dialogs = append(d.Dialogs, readDialog(e))
	}
	return d, nil
}

func readDialog(e *element) DialogState {
	d := DialogState{
		ID:        e.attr("id"),
		State:     strings.ToLower(e.content("state")),
		Direction: strings.ToLower(e.attr("direction")),
		CallID:    e.attr("call-id"),
		LocalTag:  e.attr("local-tag"),
		RemoteTag: e.attr("remote-tag"),
		Local:     readParticipant(e.child("local")),
		Remote:    readParticipant(e.child("remote")),
	}
	if state := e.child("state"); state != nil {
		d.Event = strings.ToLower(state.attr("event"))
	}
	if u := e.child("unpark"); u != nil {
		d.Unpark = &Unpark{Reason: strings.ToLower(u.attr("reason")), Target: u.attr("target"), Display: u.attr("display")}
	}
	if p := e.child("parked"); p != nil {
		d.Parked = &ParkedInfo{
			By: p.attr("by"), ByDisplay: p.attr("by-display"),
			Since: parseTime(p.attr("since")), RingBack: parseTime(p.attr("ringback-at")),
			Note: p.attr("note"), Recalling: p.attr("recalling") == "true",
		}
	}
	return d
}

func readParticipant(e *element) Participant {
	if e == nil {
		return Participant{}
	}
	p := Participant{URI: e.content("identity")}
	if identity := e.child("identity"); identity != nil {
		p.Display = identity.attr("display")
	}
	if target := e.child("target"); target != nil {
		if p.Target = target.attr("uri"); p.Target == "" {
			p.Target = strings.TrimSpace(target.text)
		}
	}
	return p
}

// Marshal writes it. Dialogs without an id get one.
func (d DialogInfo) Marshal() []byte {
	var w writer
	w.raw(xmlHeader, "<dialog-info")
	w.attr("xmlns", nsDialogInfo)
	w.attr("version", strconv.Itoa(d.Version))
	if d.Full {
		w.attr("state", "full")
	} else {
		w.attr("state", "partial")
	}
	w.attr("entity", d.Entity)
	w.raw(">\n")
	for i, s := range d.Dialogs {
		s.ID = idOr(s.ID, "d", i)
		s.write(&w)
	}
	w.raw("</dialog-info>\n")
	return []byte(w.String())
}

func (d DialogState) write(w *writer) {
	w.raw("<dialog")
	w.attr("id", d.ID)
	w.attrIf("call-id", d.CallID)
	w.attrIf("local-tag", d.LocalTag)
	w.attrIf("remote-tag", d.RemoteTag)
	w.attrIf("direction", d.Direction)
	w.raw("><state")
	w.attrIf("event", d.Event)
	w.raw(">")
	w.text(d.State)
	w.raw("</state>")
	d.Local.write(w, "local")
	d.Remote.write(w, "remote")
	if u := d.Unpark; u != nil {
		w.raw("<u:unpark")
		w.attr("xmlns:u", nsPark)
		w.attr("reason", u.Reason)
		w.attrIf("target", u.Target)
		w.attrIf("display", u.Display)
		w.raw("/>")
	}
	if p := d.Parked; p != nil {
		w.raw("<u:parked")
		w.attr("xmlns:u", nsPark)
		w.attr("by", p.By)
		w.attrIf("by-display", p.ByDisplay)
		w.attrIf("since", formatTime(p.Since))
		w.attrIf("ringback-at", formatTime(p.RingBack))
		w.attrIf("note", p.Note)
		if p.Recalling {
			w.attr("recalling", "true")
		}
		w.raw("/>")
	}
	w.raw("</dialog>\n")
}

func (p Participant) write(w *writer, name string) {
	if p == (Participant{}) {
		return
	}
	w.raw("<", name, ">")
	if p.URI != "" {
		w.raw("<identity")
		w.attrIf("display", p.Display)
		w.raw(">")
		w.text(p.URI)
		w.raw("</identity>")
	}
	if p.Target != "" {
		w.raw("<target")
		w.attr("uri", p.Target)
		w.raw("/>")
	}
	w.raw("</", name, ">")
}

// attrIf writes an attribute unless it is empty.
func (w *writer) attrIf(name, value string) {
	if value != "" {
		w.attr(name, value)
	}
}
