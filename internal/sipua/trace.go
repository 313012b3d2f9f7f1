package sipua

import (
	"bytes"
	"net/netip"
	"regexp"
)

// TraceEvent is one message on the wire.
type TraceEvent struct {
	Out           bool
	Network       string
	Local, Remote string
	Raw           []byte // credentials and keys removed
}

// trace reports one message.
func (s *Stack) trace(out bool, network string, local, remote netip.AddrPort, data []byte) {
	if s.cfg.Trace != nil {
		s.cfg.Trace(TraceEvent{out, network, local.String(), remote.String(), redact(data)})
	}
}

// secretFields are the header fields whose value is a credential.
var secretFields = [][]byte{[]byte("authorization"), []byte("proxy-authorization")}

// capability finds addresses that are secrets themselves: whoever knows one can take the call that is parked there (package
// park).
var capability = regexp.MustCompile(`(?i)(sips?:pk-)[a-z0-9]+`)

// redact copies a message without the credentials in it: the scheme stays, everything behind it goes, also where the
// line is folded. So do the keys of a session description (RFC 4568) and the addresses of parked calls. It works
// on lines, not on parsed messages, because a malformed message may carry a credential too.
func redact(data []byte) []byte {
	out := make([]byte, 0, len(data))
	secret := false
	for line := range bytes.Lines(data) {
		if folded := line[0] == ' ' || line[0] == '\t'; folded && secret {
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		secret = ok && isSecret(name)
		if !secret {
			out = append(out, capability.ReplaceAll(withoutKeys(line), []byte("${1}[removed]"))...)
			continue
		}
		scheme, _, _ := bytes.Cut(bytes.TrimSpace(value), []byte(" "))
		if bytes.ContainsAny(scheme, "=\",") {
			scheme = nil
		}
		out = append(append(append(append(out, name...), ": "...), scheme...), " [removed]\r\n"...)
	}
	return out
}

// withoutKeys cuts the keys off an a=crypto line, and the value off k= (RFC 8866 §5.12).
func withoutKeys(line []byte) []byte {
	lower := bytes.ToLower(bytes.TrimLeft(line, " \t"))
	at := bytes.Index(line, []byte(":"))
	switch {
	case bytes.HasPrefix(lower, []byte("a=crypto")):
		if i := bytes.Index(bytes.ToLower(line), []byte("inline")); i >= 0 {
			at = i + len("inline")
		}
	case !bytes.HasPrefix(lower, []byte("k=")):
		return line
	}
	if at < 0 {
		return line
	}
	return append(bytes.Clone(line[:at]), ":[removed]\r\n"...)
}

func isSecret(name []byte) bool {
	for _, f := range secretFields {
		if bytes.EqualFold(bytes.TrimSpace(name), f) {
			return true
		}
	}
	return false
}
