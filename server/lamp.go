package server

import (
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
)

// eventDialog is the package of lamps (RFC 4235). Here only the park service's names have dialog state: an orbit, which
// shows whether somebody is parked there; the list of all orbits; a safe-retrieve URI, by which whoever parked a call
// learns how that park ends.
const eventDialog = "dialog"

// Bounds of what one NOTIFY of the list of orbits holds.
const (
	maxListed = 30       // orbits; a larger lot is told in one document of those that are occupied
	maxLamps  = 48 << 10 // bytes of that document
)

// allowEvents are the event packages that can be had of a user, for the Allow-Events field.
func (s *Server) allowEvents(user string) string {
	if s.parks(user) {
		return eventDialog
	}
	return userEvents
}

// isList reports whether a subscriber to the list of orbits gets it as a resource list (RFC 4662 §4.1), one document for
// each orbit: it must know how. Others get one document.
func (s *Server) isList(req *sip.Request, user string) bool {
	return user == parkLotUser && supports(req, "eventlist") && accepts(req, body.TypeRelated) &&
		len(s.park.List()) <= maxListed
}

// lampState is what a watcher of dialog state is to see. Nothing in it is an identifier of a dialog, so nobody can make a
// Replaces of it (RFC 4235 §3.7.2).
func (sub *subscription) lampState() report {
	s := sub.n.s
	switch {
	case sub.lost:
		return dialogReport(s.lostPark(sub.user), sub.version, true)
	case sub.list:
		return s.lampList(sub.version)
	}
	doc, over := s.park.DialogInfo(sub.user, sub.version)
	for len(doc.Dialogs) > 1 && len(doc.Marshal()) > maxLamps {
		doc.Dialogs = doc.Dialogs[:len(doc.Dialogs)*3/4]
	}
	return dialogReport(doc, sub.version, over)
}

func dialogReport(doc body.DialogInfo, version int, over bool) report {
	doc.Version = 0
	essence := doc.Marshal()
	doc.Version = version
	return report{contentType: body.TypeDialogInfo, body: doc.Marshal(), essence: essence, over: over}
}

// lostPark is the end of a park that nobody knows any more: this server was started again, and with the process before it
// the line of whoever was parked has ended.
func (s *Server) lostPark(user string) body.DialogInfo {
	return body.DialogInfo{Full: true, Entity: s.aor(user), Dialogs: []body.DialogState{{
		ID: "lost", State: "terminated", Event: "error", Unpark: &body.Unpark{Reason: "disconnected"},
	}}}
}

// lampList is the list of all orbits. Each document has the version of the list, since each is in every list.
func (s *Server) lampList(version int) report {
	list := body.ResourceList{URI: s.aor(parkLotUser), Full: true}
	var docs []body.DialogInfo
	for _, orbit := range s.park.List() {
		doc, _ := s.park.DialogInfo(orbit, version)
		docs = append(docs, doc)
		list.Resources = append(list.Resources, body.Resource{URI: s.aor(orbit), Instances: []body.ResourceInstance{{
			ID: "o" + orbit, State: "active", Type: body.TypeDialogInfo,
		}}})
	}
	marshal := func(version int) (string, []byte) {
		list.Version = version
		for i, doc := range docs {
			doc.Version = version
			list.Resources[i].Instances[0].Body = doc.Marshal()
		}
		return list.Marshal()
	}
	_, essence := marshal(0)
	kind, text := marshal(version)
	return report{contentType: kind, body: text, essence: essence, list: true}
}

// refuseLamp answers a new subscription to one of the park service's names that cannot be had.
func (s *Server) refuseLamp(req *sipua.Request, user, watcher, event string) (refused bool) {
	switch {
	case event != eventDialog:
		s.respond(req, 489, "Bad Event", sip.NewHeader("Allow-Events", eventDialog))
	case !s.park.Watchable(user, watcher):
		s.respond(req, 404, "No Such Orbit")
	default:
		return false
	}
	return true
}

// knowsEvent reports whether a SUBSCRIBE may be for an event package.
func (s *Server) knowsEvent(event string) bool {
	return slices.Contains([]string{eventPresence, eventReg}, event) || event == eventDialog && s.park != nil
}

// isSafe reports whether a subscription is to a safe-retrieve URI.
func (sub *subscription) isSafe() bool {
	return sub.event == eventDialog && strings.HasPrefix(sub.user, safePrefix)
}
