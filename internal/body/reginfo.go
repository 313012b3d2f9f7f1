package body

import (
	"strconv"
	"strings"
)

// Reginfo is a registration document (RFC 3680, GRUU of RFC 5628). Versions are reported, not checked: servers exist
// that always send 0.
type Reginfo struct {
	Version int
	Full    bool
	Regs    []Registration
}

// Registration of one address of record.
type Registration struct {
	AOR      string
	ID       string
	State    string // init, active, terminated
	Contacts []RegContact
}

// RegContact is one binding.
type RegContact struct {
	ID       string
	State    string // active, terminated
	Event    string // registered, created, refreshed, expired, unregistered, …
	URI      string
	Expires  int    // seconds; 0 absent
	Instance string // urn:uuid:…, from unknown-param +sip.instance
	PubGRUU  string
	Methods  string
}

const (
	nsReginfo = "urn:ietf:params:xml:ns:reginfo"
	nsGRUU    = "urn:ietf:params:xml:ns:gruuinfo"
)

// ParseReginfo reads a registration document.
func ParseReginfo(b []byte) (Reginfo, error) {
	root, err := parseXML(b, "reginfo")
	if err != nil {
		return Reginfo{}, err
	}
	r := Reginfo{Version: readCount(root.attr("version")), Full: root.attr("state") != "partial"}
	for _, e := range root.children {
		if e.name.Local != "registration" {
			continue
		}
		reg := Registration{AOR: e.attr("aor"), ID: e.attr("id"), State: e.attr("state")}
		for _, c := range e.children {
			if c.name.Local == "contact" {
				reg.Contacts = append(reg.Contacts, readContact(c))
			}
		}
		r.Regs = append(r.Regs, reg)
	}
	return r, nil
}

func readContact(e *element) RegContact {
	c := RegContact{
		ID:      e.attr("id"),
		State:   e.attr("state"),
		Event:   e.attr("event"),
		URI:     e.content("uri"),
		Expires: readCount(e.attr("expires")),
	}
	for _, p := range e.children {
		switch p.name.Local {
		case "pub-gruu":
			c.PubGRUU = p.attr("uri")
		case "unknown-param":
			// The value is as in the Contact header, "<urn:uuid:…>" with its quotes; some leave them out.
			value := unquote(strings.TrimSpace(p.text))
			switch strings.ToLower(unquote(p.attr("name"))) {
			case "+sip.instance":
				c.Instance = strings.TrimSuffix(strings.TrimPrefix(value, "<"), ">")
			case "methods":
				c.Methods = value
			}
		}
	}
	if c.Instance == "" {
		c.Instance = gruuInstance(c.PubGRUU)
	}
	return c
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// readCount reads a number that is not negative; anything else is 0.
func readCount(s string) int {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}

// Marshal writes it. Registrations and contacts without an id get one.
func (r Reginfo) Marshal() []byte {
	var w writer
	w.raw(xmlHeader, "<reginfo")
	w.attr("xmlns", nsReginfo)
	w.attr("xmlns:gr", nsGRUU)
	w.attr("version", strconv.Itoa(r.Version))
	if r.Full {
		w.attr("state", "full")
	} else {
		w.attr("state", "partial")
	}
	w.raw(">\n")
	for i, reg := range r.Regs {
		w.raw("<registration")
		w.attr("aor", reg.AOR)
		w.attr("id", idOr(reg.ID, "r", i))
		w.attr("state", reg.State)
		w.raw(">\n")
		for j, c := range reg.Contacts {
			c.ID = idOr(c.ID, "c", j)
			c.write(&w)
		}
		w.raw("</registration>\n")
	}
	w.raw("</reginfo>\n")
	return []byte(w.String())
}

func idOr(id, prefix string, n int) string {
	if id != "" {
		return id
	}
	return prefix + strconv.Itoa(n+1)
}

func (c RegContact) write(w *writer) {
	w.raw("<contact")
	w.attr("id", c.ID)
	w.attr("state", c.State)
	w.attr("event", c.Event)
	if c.Expires > 0 {
		w.attr("expires", strconv.Itoa(c.Expires))
	}
	w.raw("><uri>")
	w.text(c.URI)
	w.raw("</uri>")
	w.param("methods", c.Methods)
	if c.Instance != "" {
		w.param("+sip.instance", `"<`+c.Instance+`>"`)
	}
	if c.PubGRUU != "" {
		w.raw("<gr:pub-gruu")
		w.attr("uri", c.PubGRUU)
		w.raw("/>")
	}
	w.raw("</contact>\n")
}

func (w *writer) param(name, value string) {
	if value == "" {
		return
	}
	w.raw("<unknown-param")
	w.attr("name", name)
	w.raw(">")
	w.text(value)
	w.raw("</unknown-param>")
}
