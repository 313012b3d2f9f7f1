package body

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// IsComposing is RFC 3994's document.
type IsComposing struct {
	Active      bool
	ContentType string
	Refresh     time.Duration // 0 absent; whole seconds
}

const nsIsComposing = "urn:ietf:params:xml:ns:im-iscomposing"

// ParseIsComposing reads it; an unknown state is idle (RFC 3994 §3.3).
func ParseIsComposing(b []byte) (IsComposing, error) {
	root, err := parseXML(b, "isComposing")
	if err != nil {
		return IsComposing{}, err
	}
	if root.child("state") == nil {
		return IsComposing{}, fmt.Errorf("%w: isComposing without a state", ErrMalformed)
	}
	return IsComposing{
		Active:      root.content("state") == "active",
		ContentType: root.content("contenttype"),
		Refresh:     readSeconds(root.content("refresh"), 0),
	}, nil
}

// Marshal writes it.
func (c IsComposing) Marshal() []byte {
	var w writer
	w.raw(xmlHeader, "<isComposing")
	w.attr("xmlns", nsIsComposing)
	w.raw(">")
	w.leaf("state", map[bool]string{true: "active", false: "idle"}[c.Active])
	w.leaf("contenttype", c.ContentType)
	if c.Refresh >= time.Second {
		w.leaf("refresh", strconv.FormatInt(int64(c.Refresh/time.Second), 10))
	}
	w.raw("</isComposing>\n")
	return []byte(w.String())
}

// ParseKeyboardActivity reads what OCS sends by INFO while somebody types, and reports whether the peer does.
func ParseKeyboardActivity(b []byte) (typing bool, err error) {
	root, err := parseXML(b, "KeyboardActivity")
	if err != nil {
		return false, err
	}
	status := root.child("status")
	if status == nil {
		return false, fmt.Errorf("%w: KeyboardActivity without a status", ErrMalformed)
	}
	return strings.EqualFold(status.attr("status"), "type"), nil
}

// MarshalKeyboardActivity writes it.
func MarshalKeyboardActivity(typing bool) []byte {
	status := "idle"
	if typing {
		status = "type"
	}
	return []byte(`<KeyboardActivity><status status="` + status + `"/></KeyboardActivity>`)
}
