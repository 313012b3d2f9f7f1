package server

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
)

// regDocument tells a user's endpoints which of them are registered (RFC 3680, with GRUUs as in RFC 5628). It is always
// the full state.
func (s *Server) regDocument(user string, version int) []byte {
	now := time.Now()
	reg := body.Registration{AOR: s.aor(user), ID: "a", State: "active"}
	for _, b := range s.location.bindings(user) {
		c := body.RegContact{
			ID: contactID(b), State: "active", Event: "registered", URI: b.contact.Address.String(), Instance: b.instance,
			Expires: int((b.expires.Sub(now) + time.Second - 1) / time.Second),
		}
		if b.instance != "" {
			c.PubGRUU = s.pubGRUU(user, b.instance)
		}
		if methods, ok := b.contact.Params.Get("methods"); ok {
			c.Methods = strings.Trim(methods, `"`)
		}
		reg.Contacts = append(reg.Contacts, c)
	}
	if len(reg.Contacts) == 0 {
		reg.State = "terminated"
	}
	return body.Reginfo{Version: version, Full: true, Regs: []body.Registration{reg}}.Marshal()
}

// contactID is the same for a binding in every document (RFC 3680 §5.1).
func contactID(b *binding) string {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, contactKey(&b.contact.Address), b.created.UnixNano()) // a hash's Write does not fail
	return fmt.Sprintf("c%x", h.Sum64())
}

// eventOf is the event package of a request and the id parameter of its Event field (RFC 6665 §8.2.1).
func eventOf(req *sip.Request) (name, id string) {
	h := req.GetHeader("Event")
	if h == nil {
		return "", ""
	}
	name, params, _ := strings.Cut(h.Value(), ";")
	for p := range strings.SplitSeq(params, ";") {
		if k, v, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(k, "id") {
			id = v
		}
	}
	return strings.ToLower(strings.TrimSpace(name)), id
}
