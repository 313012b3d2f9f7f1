//go:build interop

package interop

import (
	"testing"
)

// hears waits until this is what it has heard for the last second.
func (l *linphone) hears(what string) {
	l.t.Helper()
	waitHeard(l.t, l.name, what, l.heard)
}

// TestPhoneParksAttended: a telephone calls the service, hears the number, and transfers the other side there; and so to an
// orbit that it chooses by blind transfer: to one that is taken nothing happens, and the call goes on.
func TestPhoneParksAttended(t *testing.T) {
	s := startParkServer(t)
	mary, carol, bob := s.person(t, "mary"), s.person(t, "carol"), s.linphone(t, "bob")
	mary.do("call.dial", "to", bob.uri)
	bob.wait("Media streams established")
	mary.established()
	mary.hears("bob")
	bob.hears("mary")
	bob.do("pause 1")
	bob.wait("Call 1 with sip:mary@example.test is now paused")
	bob.do("call sip:park@example.test")
	bob.wait("Media streams established with sip:park@example.test for call 2")
	bob.hears(music) // the number
	bob.do("transfer 1 --to-call 2")
	mary.hears(music)
	carol.event("board.orbit", "orbit", "701", "state", "parked")
	bob.do("calls")
	bob.wait("No active call.")

	// The telephone picks up by number, and parks at another orbit.
	bob.do("call sip:701@example.test")
	bob.wait("Media streams established with sip:701@example.test for call 3")
	mary.hears("bob")
	bob.hears("mary")
	bob.do("transfer 3 sip:705@example.test")
	mary.hears(music)
	carol.event("board.orbit", "orbit", "705", "state", "parked")
	carol.do("park.retrieve", "orbit", "705")
	mary.hears("carol")
	carol.hears("mary")
}

// TestPhoneKeepsCall: a blind transfer to an orbit that is taken fails, and the telephone's call goes on.
func TestPhoneKeepsCall(t *testing.T) {
	s := startParkServer(t)
	mary, carol, bob, dave := s.person(t, "mary"), s.person(t, "carol"), s.linphone(t, "bob"), s.person(t, "dave")
	_, call := carol.dial(dave)
	dave.park(call, "orbit", "703")
	mary.do("call.dial", "to", bob.uri)
	bob.wait("Media streams established")
	mary.hears("bob")
	bob.do("transfer 1 sip:703@example.test")
	s.saw(t, "NOTIFY sip:bob", "SIP/2.0 486")
	mary.hears("bob")
	bob.hears("mary")
	carol.hears(music)
}

// TestPhoneIsTakenOver: a telephone that knows Replaces is parked by REFER and INVITE with Replaces.
func TestPhoneIsTakenOver(t *testing.T) {
	s := startParkServer(t)
	mary, bob, carol := s.linphone(t, "mary"), s.person(t, "bob"), s.linphone(t, "carol")
	mary.do("call " + bob.uri)
	call := bob.established()
	bob.hears("mary")
	mary.hears("bob")
	orbit := bob.park(call)
	s.saw(t, "INVITE sip:mary", "Replaces: ")
	mary.hears(music)
	carol.do("call sip:701@example.test")
	carol.wait("Media streams established")
	mary.hears("carol")
	carol.hears("mary")
	bob.event("park.unparked", "friendly_orbit", "701", "reason", "retrieved")
	bob.isRefused("StaleOrbit", "park.retrieve", "safe_retrieve_uri", orbit["safe_retrieve_uri"])
	carol.do("terminate all")
	carol.wait("ended")
}
