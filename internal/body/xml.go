package body

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// maxDepth bounds how deep elements may nest. Real documents have six levels.
const maxDepth = 24

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// element is a parsed XML element. Text is its own character data, without that of its children.
type element struct {
	name     xml.Name
	attrs    []xml.Attr
	children []*element
	text     string
}

// parseXML reads a document whose root has the given local name. Document type declarations are refused, and with them
// entities other than the five that XML itself has.
func parseXML(b []byte, root string) (*element, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes of XML, at most %d are read", ErrTooLarge, len(b), MaxSize)
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = charsetReader
	var top *element
	var path []*element
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, fmt.Errorf("%w: XML with a document type declaration", ErrMalformed)
		case xml.StartElement:
			e := &element{name: t.Name, attrs: t.Attr}
			switch {
			case len(path) > 0:
				parent := path[len(path)-1]
				parent.children = append(parent.children, e)
			case top == nil:
				top = e
			default:
				return nil, fmt.Errorf("%w: XML with two root elements", ErrMalformed)
			}
			if path = append(path, e); len(path) > maxDepth {
				return nil, fmt.Errorf("%w: XML nests deeper than %d elements", ErrMalformed, maxDepth)
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if len(path) > 0 {
				path[len(path)-1].text += string(t)
			}
		}
	}
	if top == nil || top.name.Local != root {
		return nil, fmt.Errorf("%w: no %s element", ErrMalformed, root)
	}
	return top, nil
}

func charsetReader(charset string, in io.Reader) (io.Reader, error) {
	b, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	s, err := decodeCharset(charset, b)
	return strings.NewReader(s), err
}

// attr returns the value of an attribute, whatever its namespace.
func (e *element) attr(local string) string {
	for _, a := range e.attrs {
		if a.Name.Local == local {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// child returns the first child with a local name, or nil. Namespaces are not compared: peers get them wrong, and
// elements of one name mean one thing at their place.
func (e *element) child(local string) *element {
	for _, c := range e.children {
		if c.name.Local == local {
			return c
		}
	}
	return nil
}

// content returns the trimmed text of the first child with a local name.
func (e *element) content(local string) string {
	if c := e.child(local); c != nil {
		return strings.TrimSpace(c.text)
	}
	return ""
}

// fragment writes the element so that it means the same anywhere: namespaces are declared where they change. The result
// is empty if it would be longer than limit, for repeated declarations can make it much longer than the document was.
func (e *element) fragment(limit int) string {
	var w writer
	// No namespace has this name: the outermost element always declares its own.
	if !e.write(&w, "\x00", limit) || w.Len() > limit {
		return ""
	}
	return w.String()
}

// write reports false when it gave up.
func (e *element) write(w *writer, outer string, limit int) bool {
	if w.Len() > limit || strings.Contains(e.name.Local, ":") { // the latter is no name in namespaces
		return false
	}
	w.raw("<", e.name.Local)
	if e.name.Space != outer {
		w.attr("xmlns", e.name.Space)
	}
	// An attribute of a foreign namespace would need a prefix of its own; none that presence has means anything.
	seen := map[string]bool{"xmlns": true}
	for _, a := range e.attrs {
		if a.Name.Space == "" && !seen[a.Name.Local] && !strings.Contains(a.Name.Local, ":") {
			seen[a.Name.Local] = true
			w.attr(a.Name.Local, a.Value)
		}
	}
	text := strings.TrimSpace(e.text)
	if len(e.children) == 0 && text == "" {
		w.raw("/>")
		return true
	}
	w.raw(">")
	w.text(text)
	for _, c := range e.children {
		if !c.write(w, e.name.Space, limit) {
			return false
		}
	}
	w.raw("</", e.name.Local, ">")
	return true
}

// writer builds a document. Its text and attr escape.
type writer struct{ strings.Builder }

func (w *writer) raw(parts ...string) {
	for _, p := range parts {
		w.WriteString(p)
	}
}

func (w *writer) text(s string) {
	_ = xml.EscapeText(w, []byte(s)) // a strings.Builder does not fail
}

func (w *writer) attr(name, value string) {
	w.raw(" ", name, `="`)
	w.text(value)
	w.raw(`"`)
}

// leaf writes <name>text</name>, or nothing if text is empty.
func (w *writer) leaf(name, text string) {
	if text == "" {
		return
	}
	w.raw("<", name, ">")
	w.text(text)
	w.raw("</", name, ">")
}

// Time formats of xs:dateTime, which leaves the zone out if it likes.
var dateTimes = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"}

// parseTime reads xs:dateTime; what it cannot read is the zero time. Milliseconds are kept.
func parseTime(s string) time.Time {
	for _, layout := range dateTimes {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 0 && t.Year() < 10000 {
			return t.UTC().Truncate(time.Millisecond)
		}
	}
	return time.Time{}
}

// formatTime writes xs:dateTime in UTC, or "" for the zero time and what has no four-digit year.
func formatTime(t time.Time) string {
	if t = t.UTC(); t.IsZero() || t.Year() <= 0 || t.Year() >= 10000 {
		return ""
	}
	return t.Truncate(time.Millisecond).Format(time.RFC3339Nano)
}

// validText makes s fit for a document or a header: valid UTF-8 in one line.
func validText(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\ufffd")
	}
	return strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ", "\x00", "").Replace(s)
}
