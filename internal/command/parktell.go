package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"offhook/internal/contacts"
	"offhook/park"
	"offhook/session"
)

// broadcastResult is the result of park.broadcast.
type broadcastResult struct {
	Recipients []park.Recipient `json:"recipients"`
}

func broadcast(e *Env, p struct {
	Orbit string   `json:"orbit"`
	To    []string `json:"to"`
	Text  string   `json:"text"`
},
) (any, Operation, error) {
	if len(p.To) == 0 { // typed without, a screen asks
		return nil, nil, &ParamError{Method: "park.broadcast", Problem: "to is missing", Accepts: "addresses, contacts and groups"}
	}
	orbit := p.Orbit
	if orbit == "" {
		var err error
		if orbit, err = e.lastParked(); err != nil {
			return nil, nil, err
		}
	}
	to, err := e.recipients(p.To)
	if err != nil {
		return nil, nil, err
	}
	early := broadcastResult{Recipients: []park.Recipient{}}
	for _, uri := range to {
		early.Recipients = append(early.Recipients, park.Recipient{URI: uri, Status: string(session.Sending)})
	}
	return early, func(ctx context.Context) (any, error) {
		told, err := e.Endpoint.Broadcast(ctx, orbit, to, p.Text)
		result := broadcastResult{list(told)}
		if err != nil && len(told) > 0 {
			return nil, &Reply{err, result}
		}
		return result, err
	}, nil
}

// lastParked is the orbit that this user has parked at last, of the calls that still wait.
func (e *Env) lastParked() (string, error) {
	for _, r := range e.Endpoint.ParkHistory() {
		if r.Ended.IsZero() {
			return r.Orbit.FriendlyOrbit, nil
		}
	}
	return "", &session.Error{Op: "broadcast", Kind: session.KindNotFound, Err: errors.New("you have no call parked; say which orbit")}
}

// recipients are the addresses of contacts, groups and whatever else an address may be given as, each once and without
// this user's own.
func (e *Env) recipients(to []string) ([]string, error) {
	seen := map[string]bool{addressKey(e.Endpoint.Snapshot().Account.AOR): true}
	var out, nobody []string
	for _, who := range to {
		found, err := e.everybody(who)
		switch {
		case errors.Is(err, contacts.ErrAmbiguous):
			return nil, err
		case err != nil:
			nobody = append(nobody, strconv.Quote(who)+e.perhaps(who))
		}
		for _, uri := range found {
			if key := addressKey(uri); !seen[key] {
				seen[key], out = true, append(out, uri)
			}
		}
	}
	switch {
	case len(nobody) > 0:
		return nil, &session.Error{Op: "broadcast", Kind: session.KindNotFound, Err: fmt.Errorf(
			"no contact, group or address is called %.200s; nobody has been told", strings.Join(nobody, ", "))}
	case len(out) == 0:
		return nil, &ParamError{Method: "park.broadcast", Problem: "to names nobody besides yourself", Accepts: "addresses, contacts and groups"}
	}
	return out, nil
}

// addressKey is the same for addresses of one person.
func addressKey(uri string) string {
	canonical, err := contacts.Canonical(uri)
	if err != nil {
		return uri
	}
	_, who, _ := strings.Cut(canonical, ":") // sips is no other person
	return who
}

// everybody are the addresses that a word stands for: those of a group, or the one of Address.
func (e *Env) everybody(who string) ([]string, error) {
	var members []string
	if e.Contacts != nil {
		for _, g := range e.Contacts.Groups() {
			if g.Name == "" || !strings.EqualFold(g.Name, strings.TrimSpace(who)) {
				continue
			}
			for _, c := range g.Contacts {
				members = append(members, c.URI)
			}
		}
	}
	if members == nil {
		uri, err := e.resolve(who)
		if err == nil && !e.meant(who, uri) {
			err = contacts.ErrUnknown
		}
		return []string{uri}, err
	}
	if c, err := e.Contacts.Find(who); err == nil {
		return nil, &session.Error{Op: "find contact", Kind: session.KindConfig, Peer: who, Err: fmt.Errorf(
			"%w: it is a group, too (%s)", contacts.ErrAmbiguous, c.URI)}
	}
	return members, nil
}

// groups are the names of the groups of contacts.
func (e *Env) groups() []string {
	var out []string
	if e.Contacts != nil {
		for _, g := range e.Contacts.Groups() {
			if g.Name != "" {
				out = append(out, g.Name)
			}
		}
	}
	return out
}
