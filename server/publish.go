package server

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
)

// maxDocument bounds a published document in bytes.
const maxDocument = 16 << 10

// servePublish is the event state compositor (RFC 3903 §6) of package presence.
func (s *Server) servePublish(req *sipua.Request) {
	if !s.requires(req) {
		return
	}
	sender, ok := s.identify(req, false)
	if !ok {
		return
	}
	user := userOf(&req.Recipient)
	event, _ := eventOf(req.Request)
	switch {
	case user == "":
		s.respond(req, 404, "Whose State Is This")
		return
	case event != eventPresence:
		s.respond(req, 489, "Bad Event", sip.NewHeader("Allow-Events", userEvents))
		return
	case sender != user:
		s.respond(req, 403, "Only The User Publishes Its State")
		return
	}
	lifetime, ok := s.lifetime(req)
	if !ok {
		return
	}
	document, bad := readDocument(req.Request)
	if bad != nil {
		var accept []sip.Header
		if bad.code == 415 {
			accept = append(accept, sip.NewHeader("Accept", body.TypePIDF))
		}
		s.respond(req, bad.code, bad.reason, accept...)
		return
	}
	etag, bad := s.publish(req.Request, user, document, lifetime)
	if bad != nil {
		s.respond(req, bad.code, bad.reason)
		return
	}
	s.respond(req, 200, "OK", sip.NewHeader("SIP-ETag", etag), sip.NewHeader("Expires", wholeSeconds(lifetime)))
	s.notifier.changed(user, eventPresence)
}

// publish does what the request's condition and body ask for (RFC 3903 §4.1, table 1) and returns the new entity-tag.
func (s *Server) publish(req *sip.Request, user string, document *body.PIDF, lifetime time.Duration) (string, *refusal) {
	now, next := time.Now(), strings.ToLower(rand.Text())
	condition := req.GetHeader("SIP-If-Match")
	switch {
	case condition == nil && document == nil:
		return "", &refusal{400, "Nothing To Publish"}
	case condition == nil && lifetime == 0:
		return next, nil // published and gone at once
	case condition == nil:
		pub := &publication{etag: next, document: *document, device: deviceOf(document), expires: now.Add(lifetime)}
		return next, s.presence.add(user, pub, now)
	case lifetime == 0:
		return next, s.presence.remove(user, strings.TrimSpace(condition.Value()))
	}
	return next, s.presence.change(user, strings.TrimSpace(condition.Value()), next, document, now.Add(lifetime), now)
}

// readDocument parses the body; nil if there is none.
func readDocument(req *sip.Request) (*body.PIDF, *refusal) {
	if len(req.Body()) == 0 {
		return nil, nil
	}
	kind := req.ContentType()
	if kind == nil || mediaType(kind.Value()) != body.TypePIDF {
		return nil, &refusal{415, "Unsupported Media Type"}
	}
	if len(req.Body()) > maxDocument {
		return nil, &refusal{413, "Request Entity Too Large"}
	}
	document, err := body.ParsePIDF(req.Body())
	if err != nil {
		return nil, &refusal{400, "Malformed Presence Document"}
	}
	return &document, nil
}

// mediaType is a content type without its parameters.
func mediaType(v string) string {
	v, _, _ = strings.Cut(v, ";")
	return strings.ToLower(strings.TrimSpace(v))
}
