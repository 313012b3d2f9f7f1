package command

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"offhook/internal/contacts"
	"offhook/park"
)

// parkEntry is a line of park.history.
type parkEntry struct {
	Orbit        string            `json:"friendly_orbit"`
	Safe         string            `json:"safe_retrieve_uri,omitempty"` // while it is good for something
	Parked       time.Time         `json:"parked_at"`
	RingBack     time.Time         `json:"ringback_at,omitzero"`
	Ended        time.Time         `json:"ended_at,omitzero"`
	Waited       float64           `json:"waited_s"`
	Reason       park.UnparkReason `json:"reason,omitempty"`
	Target       *park.Party       `json:"target,omitempty"`
	Caller       park.Party        `json:"caller"`
	ParkedBy     park.Party        `json:"parked_by"`
	Note         string            `json:"note,omitempty"`
	Conversation string            `json:"conversation,omitempty"`
	Recipients   []park.Recipient  `json:"recipients,omitempty"`
}

func parkHistory(_ context.Context, e *Env, p struct {
	Limit *int `json:"limit"`
},
) (any, error) {
	limit := defaultLimit
	if p.Limit != nil {
		limit = *p.Limit
	}
	if limit < 1 || limit > maxLimit {
		return nil, &ParamError{Method: "park.history", Problem: "limit must be 1 to 1000"}
	}
	conversations := e.conversationIDs()
	out := []parkEntry{}
	for _, r := range e.Endpoint.ParkHistory() {
		if len(out) == limit {
			break
		}
		caller, _ := contacts.Canonical(r.Caller.URI)
		entry := parkEntry{
			Orbit: r.Orbit.FriendlyOrbit, Parked: r.Orbit.Parked.UTC(), Ended: r.Ended.UTC(), Reason: r.Reason, Caller: r.Caller,
			ParkedBy: r.ParkedBy, Note: r.Note, Conversation: conversations[caller], Recipients: r.Sent,
			Waited: waited(r).Round(time.Millisecond).Seconds(),
		}
		if r.Ended.IsZero() {
			entry.Safe, entry.RingBack = r.Orbit.SafeRetrieveURI, r.Orbit.RingBack.UTC()
		}
		if r.Target.URI != "" {
			entry.Target = &r.Target
		}
		out = append(out, entry)
	}
	return out, nil
}

// waited is how long a call was parked, or is by now.
func waited(r park.Record) time.Duration {
	if r.Ended.IsZero() {
		return time.Since(r.Orbit.Parked)
	}
	return r.Ended.Sub(r.Orbit.Parked)
}

func noteOrbit(_ context.Context, e *Env, p struct {
	Orbit string `json:"orbit"`
	Note  string `json:"note"`
},
) (any, error) {
	return none{}, e.Endpoint.SetParkNote(p.Orbit, p.Note)
}

// Orbit finds the call that a line means which is a number and nothing else: the one that is parked there.
func (e *Env) Orbit(line string) (row park.Row, ok bool) {
	line = strings.TrimSpace(line)
	rows := e.Endpoint.Board()
	at := slices.IndexFunc(rows, func(r park.Row) bool { return r.Orbit == line })
	if at < 0 || !isOrbit(line) {
		return park.Row{}, false
	}
	return rows[at], true
}

// orbits are where calls are parked, one's own first.
func (e *Env) orbits() []string {
	var mine, others []string
	for _, row := range e.Endpoint.Board() {
		if row.Mine {
			mine = append(mine, row.Orbit)
		} else {
			others = append(others, row.Orbit)
		}
	}
	return append(mine, others...)
}

// mostOffered bounds how many free orbits are offered for completion.
const mostOffered = 20

// freeOrbits are some where no call is parked, as far as the board tells.
func (e *Env) freeOrbits() []string {
	first, last, _ := strings.Cut(e.Endpoint.ParkService().Orbits, "-")
	low, err := strconv.Atoi(first)
	high, bad := strconv.Atoi(last)
	if err != nil || bad != nil {
		return nil
	}
	taken := e.orbits()
	var out []string
	for n := low; n <= high && len(out) < mostOffered; n++ {
		if orbit := fmt.Sprintf("%0*d", len(first), n); !slices.Contains(taken, orbit) {
			out = append(out, orbit)
		}
	}
	return out
}
