package sipua

import (
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// accept reads a 200: what was granted to us, who else is there, and what the registrar gives (service route, GRUU).
func (r *registration) accept(res *sip.Response) RegistrationState {
	s := RegistrationState{State: "registered", Expires: r.expires}
	if all, ok := seconds(res, "expires"); ok {
		s.Expires = all
	}
	s.Bindings = contactsOf(res)
	s.Instances = countInstances(s.Bindings)
	gruu := ""
	if own := r.ownBinding(s.Bindings); own != nil {
		if v, ok := own.Params.Get("expires"); ok {
			if d, ok := parseSeconds(unquote(v)); ok {
				s.Expires = d
			}
		}
		gruu = gruuOf(own)
	}
	var service []sip.Uri
	for _, v := range elements(res, "service-route") {
		if _, u, _, err := parseNameAddr(v); err == nil {
			service = append(service, u)
		}
	}
	a := r.agent
	a.mu.Lock()
	a.gruu, a.serviceRoute = gruu, service
	a.mu.Unlock()
	return s
}

// ownBinding finds our binding: by instance, because a registrar may rewrite the address; by address, because some drop
// the instance.
func (r *registration) ownBinding(all []sip.ContactHeader) *sip.ContactHeader {
	for i := range all {
		if id := instanceOf(&all[i]); id != "" && strings.EqualFold(id, r.agent.cfg.Instance) {
			return &all[i]
		}
	}
	for i := range all {
		if sameURI(&all[i].Address, &r.contact) {
			return &all[i]
		}
	}
	return nil
}

// contactsOf lists the bindings in a 200 to REGISTER (RFC 3261 §10.3 step 8).
func contactsOf(res *sip.Response) []sip.ContactHeader {
	var all []sip.ContactHeader
	for _, h := range res.GetHeaders("contact") {
		if c, ok := h.(*sip.ContactHeader); ok && !c.Address.Wildcard {
			all = append(all, *c.Clone())
		}
	}
	return all
}

// instanceOf is the instance id of a binding, "" without one.
func instanceOf(c *sip.ContactHeader) string {
	v, _ := c.Params.Get("+sip.instance")
	return strings.Trim(unquote(v), "<>")
}

// gruuOf is the public GRUU of a binding (RFC 5627 §4.2); gruu is what it was called before it was standard.
func gruuOf(c *sip.ContactHeader) string {
	v, ok := c.Params.Get("pub-gruu")
	if !ok {
		v, _ = c.Params.Get("gruu")
	}
	v = unquote(v)
	if _, err := ParseURI(v); err != nil {
		return ""
	}
	return v
}

// countInstances counts devices, not addresses: one device may have several flows (RFC 5626 §4.2). A binding without
// an instance counts by its address.
func countInstances(all []sip.ContactHeader) int {
	seen := map[string]bool{}
	for i := range all {
		id := instanceOf(&all[i])
		if id == "" {
			id = fmt.Sprintf("%s@%s:%d", all[i].Address.User, all[i].Address.Host, all[i].Address.Port)
		}
		seen[strings.ToLower(id)] = true
	}
	return len(seen)
}
