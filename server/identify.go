package server

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// identify finds out which of our users sent a request, by digest (RFC 3261 §22) or, on an open server, by what From
// says. The park service may send in any name and is itself parkUser, which nobody else can be. If ok is false the request
// has been answered. proxy selects 407 instead of 401.
func (s *Server) identify(req *sipua.Request, proxy bool) (user string, ok bool) {
	if s.fromPark(req) {
		return parkUser, true
	}
	from := req.From()
	claimed := userOf(&from.Address)
	ours := s.isOurs(&from.Address) && claimed != ""
	if ours && s.parks(claimed) {
		s.refuse(req, 403, "This Name Belongs To Call Park")
		return "", false
	}
	if s.auth == nil {
		if !ours {
			s.refuse(req, 403, "From Names No User Of This Domain")
			return "", false
		}
		return claimed, true
	}
	user, stale, err := s.auth.Verify(req.Request, proxy)
	switch {
	case err == nil && !stale:
	case errors.Is(err, sipua.ErrBadCredentials):
		s.peers.failed(req.Source().Addr.Addr())
		s.log.Info("wrong credentials", "method", req.Method, "source", req.Source())
		fallthrough
	default:
		s.challenge(req, stale, proxy)
		return "", false
	}
	s.peers.verify(req.Source().Addr.Addr(), time.Now())
	if !ours || user != claimed {
		s.refuse(req, 403, "From Is Not The Authenticated User")
		return "", false
	}
	return user, true
}

// challenge asks for credentials.
func (s *Server) challenge(req *sipua.Request, stale, proxy bool) {
	code, reason := 401, "Unauthorized"
	if proxy {
		code, reason = 407, "Proxy Authentication Required"
	}
	s.refuse(req, code, reason, s.auth.Challenge(stale, proxy)...)
}

// refuse ends a request of somebody who may be a stranger: one packet, nothing kept (RFC 3261 §8.2.7), and not even
// that where it would be more than the stranger has sent.
func (s *Server) refuse(req *sipua.Request, code int, reason string, headers ...sip.Header) {
	res := req.Response(code, reason, nil, headers...)
	may := func(length int) bool { return s.mayAnswer(req.Source(), req.Size(), length) }
	if err := req.SendOnce(res, may); err != nil {
		s.log.Debug("refusal not sent", "code", code, "source", req.Source(), "err", err)
	}
}

// respond answers a request of a user.
func (s *Server) respond(req *sipua.Request, code int, reason string, headers ...sip.Header) {
	if err := req.Respond(code, reason, headers...); err != nil {
		s.log.Debug("response not sent", "code", code, "source", req.Source(), "err", err)
	}
}

// optionTags lists the tags of all header fields with that name.
func optionTags(req *sip.Request, name string) []string {
	var tags []string
	for _, h := range req.GetHeaders(name) {
		for tag := range strings.SplitSeq(h.Value(), ",") {
			if tag = strings.TrimSpace(tag); tag != "" {
				tags = append(tags, tag)
			}
		}
	}
	return tags
}

// supports reports whether the sender knows an extension.
func supports(req *sip.Request, tag string) bool {
	return slices.ContainsFunc(optionTags(req, "Supported"), func(t string) bool { return strings.EqualFold(t, tag) })
}

// unsupported are the tags of a field, Require or Proxy-Require, that this server does not know.
func unsupported(req *sip.Request, name string, known ...string) []string {
	var unknown []string
	for _, tag := range optionTags(req, name) {
		if !slices.Contains(known, strings.ToLower(tag)) {
			unknown = append(unknown, tag)
		}
	}
	return unknown
}

// requires checks the extensions that a request to the server itself insists on (RFC 3261 §8.2.2.3); more are those known
// beside the usual ones.
func (s *Server) requires(req *sipua.Request, more ...string) bool {
	unknown := unsupported(req.Request, "Require", append(more, "gruu", "outbound")...)
	if len(unknown) == 0 {
		return true
	}
	s.refuse(req, 420, "Bad Extension", sip.NewHeader("Unsupported", strings.Join(unknown, ", ")))
	return false
}
