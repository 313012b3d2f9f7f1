package body

import (
	"strconv"
	"strings"
	"time"
)

// ParsePIDF reads a presence document of any vendor.
func ParsePIDF(b []byte) (PIDF, error) {
	root, err := parseXML(b, "presence")
	if err != nil {
		return PIDF{}, err
	}
	p := PIDF{Entity: root.attr("entity")}
	r := pidfReader{extra: MaxSize}
	var inputs []Device // user input that tuples carry
	for _, e := range root.children {
		switch e.name.Local {
		case "tuple":
			t, d := r.tuple(e)
			p.Tuples = append(p.Tuples, t)
			if d.UserInput != "" && d.DeviceID != "" {
				inputs = append(inputs, d)
			}
			// RPID before RFC 4480 had activities in tuples.
			p.Person.Activities = append(p.Person.Activities, readActivities(e)...)
		case "device":
			p.Devices = append(p.Devices, r.device(e))
		case "person":
			p.Person = latestPerson(p.Person, r.person(e))
		case "note":
			if p.Person.Note == "" {
				p.Person.Note = strings.TrimSpace(e.text)
			}
		default:
			p.Extra = r.keep(p.Extra, e)
		}
	}
	for _, d := range inputs {
		p.addInput(d)
	}
	p.nameElements()
	return p, nil
}

// pidfReader reads the parts of one document.
type pidfReader struct {
	extra int // how many bytes of elements that we do not know are still kept
}

// keep appends an element that we do not know, if there is room.
func (r *pidfReader) keep(list []string, e *element) []string {
	s := e.fragment(r.extra)
	if s == "" {
		return list
	}
	r.extra -= len(s)
	return append(list, s)
}

// tuple also returns the user input that a tuple may carry (RFC 4480 §3.14), as that of its device.
func (r *pidfReader) tuple(e *element) (Tuple, Device) {
	t := Tuple{
		ID:        e.attr("id"),
		DeviceID:  e.content("deviceID"),
		Contact:   e.content("contact"),
		Note:      e.content("note"),
		Timestamp: parseTime(e.content("timestamp")),
	}
	if status := e.child("status"); status != nil {
		t.Open = strings.EqualFold(status.content("basic"), "open")
	}
	id := t.DeviceID
	if id == "" {
		id = gruuInstance(t.Contact)
	}
	d := Device{ID: "d-" + t.ID, DeviceID: id, Idle: -1, Timestamp: t.Timestamp}
	for _, c := range e.children {
		switch c.name.Local {
		case "status", "deviceID", "contact", "note", "timestamp", "activities":
		case "user-input":
			readInput(c, &d)
		default:
			t.Extra = r.keep(t.Extra, c)
		}
	}
	return t, d
}

func (r *pidfReader) device(e *element) Device {
	d := Device{
		ID:        e.attr("id"),
		DeviceID:  e.content("deviceID"),
		Name:      e.content("note"),
		Idle:      -1,
		Timestamp: parseTime(e.content("timestamp")),
	}
	for _, c := range e.children {
		switch c.name.Local {
		case "deviceID", "note", "timestamp":
		case "user-input":
			readInput(c, &d)
		case "machine":
			d.Class = c.attr("class")
			d.Idle = readSeconds(c.attr("idle"), -1)
		default:
			d.Extra = r.keep(d.Extra, c)
		}
	}
	return d
}

func readInput(e *element, d *Device) {
	switch state := strings.ToLower(strings.TrimSpace(e.text)); state {
	case "active", "idle":
		d.UserInput = state
	default:
		return
	}
	d.LastInput = parseTime(e.attr("last-input"))
	d.Threshold = readSeconds(e.attr("idle-threshold"), 0)
}

// readSeconds reads a whole number of seconds up to a century; what it cannot read is absent.
func readSeconds(s string, absent time.Duration) time.Duration {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return absent
	}
	return time.Duration(n) * time.Second
}

func (r *pidfReader) person(e *element) Person {
	p := Person{
		Activities: readActivities(e),
		Note:       e.content("note"),
		Timestamp:  parseTime(e.content("timestamp")),
	}
	for _, c := range e.children {
		switch c.name.Local {
		case "activities":
			if p.Note == "" {
				p.Note = c.content("note")
			}
		case "note", "timestamp":
		case "dnd":
			p.DND = true
		case "wish":
			p.Wish = strings.TrimSpace(c.text)
		default:
			p.Extra = r.keep(p.Extra, c)
		}
	}
	return p
}

func readActivities(e *element) []string {
	var names []string
	for _, list := range e.children {
		if list.name.Local != "activities" {
			continue
		}
		for _, a := range list.children {
			name := a.name.Local
			if name == "note" {
				continue
			}
			if text := strings.TrimSpace(a.text); name == "other" && text != "" {
				name = text
			}
			names = append(names, name)
		}
	}
	return names
}

// addInput gives a device the user input its tuple has.
func (p *PIDF) addInput(d Device) {
	for i := range p.Devices {
		if at := &p.Devices[i]; at.DeviceID == d.DeviceID {
			if at.UserInput == "" {
				at.UserInput, at.LastInput, at.Threshold = d.UserInput, d.LastInput, d.Threshold
			}
			return
		}
	}
	p.Devices = append(p.Devices, d)
}

// nameElements gives ids to elements that lack one or share one.
func (p *PIDF) nameElements() {
	taken := map[string]bool{}
	for i := range p.Tuples {
		p.Tuples[i].ID = unique(taken, p.Tuples[i].ID)
	}
	for i := range p.Devices {
		p.Devices[i].ID = unique(taken, p.Devices[i].ID)
	}
}

// gruuInstance returns the instance in a public GRUU, sip:bob@example.org;gr=urn:uuid:… (RFC 5627 §3.1.1), or "".
func gruuInstance(uri string) string {
	for param := range strings.SplitSeq(uri, ";") {
		if v, ok := strings.CutPrefix(param, "gr="); ok && strings.HasPrefix(v, "urn:") {
			return v
		}
	}
	return ""
}
