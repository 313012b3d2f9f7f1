package body

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"
)

// ResourceList is the state of many resources in the NOTIFY of one subscription (RFC 4662): a list that names them
// (application/rlmi+xml), and a document for each whose state is known, all parts of one multipart/related body.
type ResourceList struct {
	URI       string
	Version   int
	Full      bool // all resources of the list; otherwise only those that changed
	Resources []Resource
}

// Resource is one of the list.
type Resource struct {
	URI       string
	Instances []ResourceInstance // more than one only where a resource forks the subscription
}

// ResourceInstance is the virtual subscription to a resource.
type ResourceInstance struct {
	ID     string
	State  string // active, pending, terminated
	Reason string // why it is terminated
	Type   string // of the document, e.g. application/dialog-info+xml; "" there is none
	Body   []byte
}

const nsRLMI = "urn:ietf:params:xml:ns:rlmi"

// maxParts bounds the parts of a list and the resources that it names.
const maxParts = 500

// ParseResourceList reads a NOTIFY body of a list, given its Content-Type. A part that no instance refers to is left out,
// an instance whose part is missing has no body.
func ParseResourceList(contentType string, b []byte) (ResourceList, error) {
	if len(b) > MaxSize {
		return ResourceList{}, fmt.Errorf("%w: resource list of %d bytes", ErrTooLarge, len(b))
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != TypeRelated || params["boundary"] == "" {
		return ResourceList{}, fmt.Errorf("%w: resource list in %.60q", ErrMalformed, contentType)
	}
	parts, err := readParts(multipart.NewReader(bytes.NewReader(b), params["boundary"]))
	if err != nil {
		return ResourceList{}, err
	}
	// The root is the part that start names, else the first (RFC 2387 §3.2); some get start wrong, so its type decides.
	for _, p := range parts {
		if p.kind == TypeResourceList {
			return readList(p.body, parts)
		}
	}
	return ResourceList{}, fmt.Errorf("%w: no %s among %d parts", ErrMalformed, TypeResourceList, len(parts))
}

type relatedPart struct {
	id, kind string
	body     []byte
}

func readParts(r *multipart.Reader) ([]relatedPart, error) {
	var parts []relatedPart
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) && len(parts) > 0 {
			return parts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if len(parts) >= maxParts {
			return nil, fmt.Errorf("%w: more than %d parts", ErrTooLarge, maxParts)
		}
		content, err := io.ReadAll(p) // bounded by the body
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		kind, _, _ := strings.Cut(p.Header.Get("Content-Type"), ";")
		parts = append(parts, relatedPart{
			id:   contentID(p.Header.Get("Content-ID")),
			kind: strings.ToLower(strings.TrimSpace(kind)),
			body: content,
		})
	}
}

// contentID is the bare identifier: headers have it in angle brackets, some write it as a URL.
func contentID(s string) string {
	s = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s), "<"), ">")
	return strings.TrimPrefix(s, "cid:")
}

func readList(doc []byte, parts []relatedPart) (ResourceList, error) {
	root, err := parseXML(doc, "list")
	if err != nil {
		return ResourceList{}, err
	}
	byID := map[string]relatedPart{}
	for _, p := range parts {
		if p.id != "" {
			byID[p.id] = p
		}
	}
	full := root.attr("fullState")
	l := ResourceList{
		URI:     root.attr("uri"),
		Version: readCount(root.attr("version")),
		Full:    full == "true" || full == "1",
	}
	for _, e := range root.children {
		if e.name.Local != "resource" {
			continue
		}
		if len(l.Resources) >= maxParts {
			return ResourceList{}, fmt.Errorf("%w: more than %d resources", ErrTooLarge, maxParts)
		}
		r := Resource{URI: e.attr("uri")}
		for _, c := range e.children {
			if c.name.Local != "instance" {
				continue
			}
			p := byID[contentID(c.attr("cid"))]
			r.Instances = append(r.Instances, ResourceInstance{
				ID: c.attr("id"), State: strings.ToLower(c.attr("state")), Reason: c.attr("reason"),
				Type: p.kind, Body: p.body,
			})
		}
		l.Resources = append(l.Resources, r)
	}
	return l, nil
}

// Marshal writes the list and the documents of its instances as one body.
func (l ResourceList) Marshal() (contentType string, b []byte) {
	var list, docs bytes.Buffer
	boundary := l.boundary()
	l.write(&list, &docs, boundary)
	const root = "list@rlmi"
	var out bytes.Buffer
	writePart(&out, boundary, root, TypeResourceList, list.Bytes())
	out.Write(docs.Bytes())
	fmt.Fprintf(&out, "--%s--\r\n", boundary)
	return fmt.Sprintf(`%s;type="%s";start="<%s>";boundary="%s"`, TypeRelated, TypeResourceList, root, boundary), out.Bytes()
}

// write writes the list, and the parts that it refers to.
func (l ResourceList) write(list, docs *bytes.Buffer, boundary string) {
	var w writer
	w.raw(xmlHeader, "<list")
	w.attr("xmlns", nsRLMI)
	w.attr("uri", l.URI)
	w.attr("version", strconv.Itoa(l.Version))
	w.attr("fullState", strconv.FormatBool(l.Full))
	w.raw(">\n")
	n := 0
	for _, r := range l.Resources {
		w.raw("<resource")
		w.attr("uri", r.URI)
		w.raw(">")
		for i, inst := range r.Instances {
			w.raw("<instance")
			w.attr("id", idOr(inst.ID, "i", i))
			w.attr("state", inst.State)
			w.attrIf("reason", inst.Reason)
			if inst.Type != "" {
				n++
				id := fmt.Sprintf("%d@rlmi", n)
				w.attr("cid", id)
				writePart(docs, boundary, id, inst.Type, inst.Body)
			}
			w.raw("/>")
		}
		w.raw("</resource>\n")
	}
	w.raw("</list>\n")
	list.WriteString(w.String())
}

func writePart(b *bytes.Buffer, boundary, id, kind string, content []byte) {
	fmt.Fprintf(b, "--%s\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <%s>\r\nContent-Type: %s\r\n\r\n", boundary, id, kind)
	b.Write(content)
	b.WriteString("\r\n")
}

// boundary finds a line that no document has. The list itself has none that begins so: it escapes line breaks in names.
func (l ResourceList) boundary() string {
	for n := 0; ; n++ {
		boundary := fmt.Sprintf("part-%d", n)
		if !l.contains([]byte("--" + boundary)) {
			return boundary
		}
	}
}

func (l ResourceList) contains(line []byte) bool {
	for _, r := range l.Resources {
		for _, inst := range r.Instances {
			if bytes.Contains(inst.Body, line) {
				return true
			}
		}
	}
	return false
}
