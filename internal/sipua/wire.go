package sipua

import (
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// once lists the fields that may appear only once (RFC 3261 §7.3.1 and the grammar of each).
var once = map[string]bool{
	"From": true, "To": true, "Call-ID": true, "CSeq": true, "Max-Forwards": true, "Content-Length": true,
	"Content-Type": true, "Expires": true, "Event": true, "Refer-To": true, "Replaces": true, "Subscription-State": true,
	"Session-Expires": true, "Min-SE": true, "SIP-If-Match": true,
}

// required lists the fields every message must have (RFC 3261 §8.1.1). Max-Forwards is required of senders, but old
// ones leave it out.
var required = []string{"Via", "From", "To", "Call-ID", "CSeq"}

// decode turns the bytes of one message into the library's model. It is the only door through which messages enter:
// what it lets through, the rest of the program may rely on. With a defect in a request, msg is nil and the raw message
// serves to answer it; a nil raw message means that nothing readable was there.
func decode(data []byte, stream bool) (msg sip.Message, raw *rawMessage, d *defect) {
	raw, first := scan(data, stream)
	line, isRequest, d := parseStart(raw.start)
	if line == nil {
		return nil, nil, d
	}
	if d == nil {
		d = first
	}
	if d == nil {
		d = fill(line, raw)
	}
	if d == nil && isRequest {
		d = checkRequest(line.(*sip.Request))
	}
	if d != nil {
		if !isRequest {
			raw = nil // RFC 3261 §18.3: malformed responses are dropped
		}
		return nil, raw, d
	}
	line.SetBody(raw.body)
	return line, raw, nil
}

// parseStart parses the start line. The message is nil if this is not SIP at all.
func parseStart(line string) (msg sip.Message, isRequest bool, d *defect) {
	if rest, ok := strings.CutPrefix(line, "SIP/2.0 "); ok {
		code, reason, _ := strings.Cut(rest, " ")
		if len(code) != 3 || !isDigits(code) || code < "100" || code > "699" || hasControl(reason) {
			return nil, false, bad("Malformed Status Line")
		}
		n, _ := parseLength(code)
		return sip.NewResponse(n, reason), false, nil
	}
	method, rest, _ := strings.Cut(line, " ")
	i := strings.LastIndex(rest, "SIP/")
	if !isToken(method) || i < 0 || strings.HasPrefix(method, "SIP/") {
		return nil, false, bad("Not SIP")
	}
	req := sip.NewRequest(sip.RequestMethod(method), sip.Uri{})
	uri, version := rest[:i], rest[i:]
	if !strings.EqualFold(strings.TrimSpace(version), "SIP/2.0") {
		return req, true, &defect{505, "Version Not Supported"}
	}
	// RFC 3261 §7.1: exactly one space between the three elements and none at the end.
	target, err := ParseURI(strings.TrimSuffix(uri, " "))
	if version != strings.TrimSpace(version) || !strings.HasSuffix(uri, " ") || err != nil {
		return req, true, bad("Malformed Request-Line")
	}
	req.Recipient = target
	if len(target.Headers) > 0 && !takeReplaces(req) { // RFC 3261 §19.1.1
		return req, true, bad("Request-URI With Header Fields")
	}
	return req, true, nil
}

// takeReplaces moves Replaces from the Request-URI to the header field that it is meant to be (RFC 3261 §19.1.5): there are
// telephones that call what a Refer-To says as it is, and could be transferred to nobody else. What they have garbled is
// dropped, so that they make an ordinary call. With anything beside it the request is refused.
func takeReplaces(req *sip.Request) bool {
	for _, h := range req.Recipient.Headers {
		if !strings.EqualFold(h.K, "Replaces") && !strings.EqualFold(h.K, "Require") {
			return false
		}
	}
	if req.Method != sip.INVITE && req.Method != sip.ACK && req.Method != sip.CANCEL {
		return false
	}
	if _, headers, err := Referred(req.Recipient); err == nil && len(headers) > 0 && req.Method == sip.INVITE {
		req.AppendHeader(headers[0])
	}
	req.Recipient.Headers = nil
	return true
}

// fill parses all fields into msg.
func fill(msg sip.Message, raw *rawMessage) *defect {
	for i, f := range raw.fields {
		if once[f.name] && slices.ContainsFunc(raw.fields[:i], func(g field) bool { return g.name == f.name }) {
			return bad("More Than One %s", f.name)
		}
		hs, err := f.headers()
		if err != nil {
			return bad("Malformed %s", f.name)
		}
		for _, h := range hs {
			msg.AppendHeader(h)
		}
	}
	for _, name := range required {
		if !slices.ContainsFunc(raw.fields, func(f field) bool { return f.name == name }) {
			return bad("Missing %s", name)
		}
	}
	return nil
}

// checkRequest holds what start line and fields must agree on.
func checkRequest(req *sip.Request) *defect {
	if req.CSeq().MethodName != req.Method { // RFC 3261 §8.1.1.5; methods are case-sensitive
		return bad("CSeq Method Does Not Match The Request")
	}
	if v := req.Via(); v.ProtocolVersion != "2.0" || !strings.EqualFold(v.ProtocolName, "SIP") {
		return bad("Malformed Via")
	}
	return nil
}

// refusal builds the stateless answer to a request that could not be understood, from the fields that can be read. It
// returns nil where none is due: for ACK, and without a Via to send it by.
func refusal(raw *rawMessage, d *defect) *sip.Response {
	if raw == nil || strings.HasPrefix(raw.start, "ACK ") {
		return nil
	}
	res := sip.NewResponse(d.code, d.reason)
	for _, v := range raw.values("Via") {
		hs, err := field{"Via", v}.headers()
		if err != nil && res.Via() == nil {
			// What stands before the parameters is enough to send the answer by.
			v, _, _ = strings.Cut(v, ";")
			hs, err = field{"Via", v}.headers()
		}
		if err != nil {
			break
		}
		for _, h := range hs {
			res.AppendHeader(h)
		}
	}
	if res.Via() == nil {
		return nil
	}
	for _, name := range required[1:] {
		if vs := raw.values(name); len(vs) == 1 {
			if h, err := (field{name, vs[0]}).header(); err == nil {
				res.AppendHeader(h)
			} else {
				res.AppendHeader(sip.NewHeader(name, vs[0])) // echoed as it came; scan has refused control characters
			}
		}
	}
	res.SetBody(nil)
	return res
}
