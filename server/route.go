package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// signer makes marks that only this server can make, so that what it wrote into a message is recognised when it comes
// back and nothing else is.
type signer struct {
	key  [32]byte
	macs *sync.Pool // of hash.Hash with the key in it
}

// openSigner reads the key in dir, so that dialogs outlive a restart of the server, or makes one. Without a directory the
// key lives as long as the process.
func openSigner(dir string) (signer, error) {
	var s signer
	_, _ = rand.Read(s.key[:]) // crypto/rand.Read does not fail
	err := s.load(dir)
	s.macs = &sync.Pool{New: func() any { return hmac.New(sha256.New, s.key[:]) }}
	return s, err
}

// load reads the key in dir, or writes it there.
func (s *signer) load(dir string) error {
	if dir == "" {
		return nil
	}
	path := filepath.Join(dir, "route.key")
	key, err := os.ReadFile(path)
	switch {
	case err == nil && len(key) == len(s.key):
		copy(s.key[:], key)
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("key of routes: %w", err)
	}
	if err := os.WriteFile(path, s.key[:], 0o600); err != nil {
		return fmt.Errorf("key of routes: %w", err)
	}
	return nil
}

func (s signer) sign(purpose string, parts ...string) string {
	m := s.macs.Get().(hash.Hash)
	defer s.macs.Put(m)
	m.Reset()
	text := make([]byte, 0, 512)
	text = append(text, purpose...)
	for _, p := range parts {
		text = append(append(text, 0), p...)
	}
	m.Write(text)
	return hex.EncodeToString(m.Sum(text[:0])[:10])
}

// routeMark is the user part of our Record-Route: it makes a dialog's later requests recognisable as such. Without it
// this server would relay for anybody.
func (s *Server) routeMark(callID string) string { return "d." + s.signature.sign("route", callID) }

// recordRoute puts this server on the path of a dialog's later requests (RFC 3261 §16.6 step 4). Where a request changes
// transport on its way both sides are recorded, so that each endpoint finds an address it can reach (RFC 5658 §3).
func (s *Server) recordRoute(req *sip.Request, from, to sipua.Target) {
	mark := s.routeMark(string(*req.CallID()))
	record := func(t sipua.Target) (sip.Uri, bool) {
		u, ok := s.local(t.Network, t.Addr.Addr())
		u.User = mark
		u.UriParams = append(u.UriParams, sip.HeaderKV{K: "lr"})
		return u, ok
	}
	in, ok1 := record(from)
	out, ok2 := record(to)
	if ok1 && (!ok2 || in.String() != out.String()) {
		req.PrependHeader(&sip.RecordRouteHeader{Address: in})
	}
	if ok2 {
		req.PrependHeader(&sip.RecordRouteHeader{Address: out})
	}
}

// preprocess handles the Route information (RFC 3261 §16.4): a strict router's rearrangement is undone and our own
// entries are removed. inDialog tells that one of them carries our mark for this call.
func (s *Server) preprocess(req *sip.Request) (inDialog bool) {
	mark := s.routeMark(string(*req.CallID()))
	if strings.HasPrefix(req.Recipient.User, "d.") && req.Recipient.UriParams.Has("lr") && s.isOurs(&req.Recipient) {
		routes := req.GetHeaders("Route")
		if len(routes) > 0 {
			inDialog = hmac.Equal([]byte(req.Recipient.User), []byte(mark))
			last := routes[len(routes)-1].(*sip.RouteHeader).Address
			setRoutes(req, routes[:len(routes)-1])
			req.Recipient = last
		}
	}
	for {
		route := req.Route()
		if route == nil || !s.isOurs(&route.Address) {
			return inDialog
		}
		inDialog = inDialog || hmac.Equal([]byte(route.Address.User), []byte(mark))
		req.RemoveHeader("Route")
	}
}

func setRoutes(req *sip.Request, routes []sip.Header) {
	for req.RemoveHeader("Route") {
	}
	for _, r := range routes {
		req.AppendHeader(r)
	}
}

// loopMark identifies what decides the way of a request: if it comes back with the same mark in one of its Vias, it would
// go the same way again (RFC 5393 §4.2). The topmost Via is not part of it, since it differs each time round.
func (s *Server) loopMark(req *sip.Request) string {
	fromTag, _ := req.From().Params.Get("tag")
	toTag, _ := req.To().Params.Get("tag")
	parts := []string{req.Recipient.String(), fromTag, toTag, string(*req.CallID()), req.CSeq().Value()}
	for _, h := range req.GetHeaders("Route") {
		parts = append(parts, h.Value())
	}
	return s.signature.sign("loop", parts...)
}

// newBranch makes a branch parameter that carries the mark and our signature.
func (s *Server) newBranch(mark string) string {
	random := rand.Text()[:12]
	return sip.RFC3261BranchMagicCookie + random + "." + mark + "." + s.signature.sign("branch", random, mark)
}

// ownBranch reports whether a Via is one of ours, and the mark in it.
func (s *Server) ownBranch(via *sip.ViaHeader) (mark string, ours bool) {
	branch, _ := via.Params.Get("branch")
	parts := strings.Split(strings.TrimPrefix(branch, sip.RFC3261BranchMagicCookie), ".")
	if len(parts) != 3 || !hmac.Equal([]byte(parts[2]), []byte(s.signature.sign("branch", parts[0], parts[1]))) {
		return "", false
	}
	return parts[1], true
}

// isLoop reports whether the request was here before and would go the same way again.
func (s *Server) isLoop(req *sip.Request, mark string) bool {
	for _, h := range req.GetHeaders("Via") {
		if via, ok := h.(*sip.ViaHeader); ok {
			if m, ours := s.ownBranch(via); ours && m == mark {
				return true
			}
		}
	}
	return false
}
