// Package park is call park: a call is put aside at a numbered place of the network, the orbit, and whoever types the number
// has it.
//
// The words are those of Lync. To park is to send the other side of a call to a park service and to leave; the service
// answers with a CallParkOrbit: the FriendlyOrbit for people, which is used again by other calls, and the SafeRetrieveURI,
// which stands for this one park and is good for nothing once it is over. To retrieve is to call either.
//
// Two sides live here, and neither has a socket or a goroutine; the lot has no clock either, time is an argument.
//
//   - The service's: a Lot (lot.go) is the table of orbits (states.go). Whatever races for a parked call (retrieval,
//     ring-back, its own hanging up) asks the Lot, under one lock, and one of them wins. Package park/service is SIP around it.
//   - The client's: a Strategy (strategy.go, one file each) knows how to park with one kind of server, given a Leg, the
//     call; a Board (board.go) is what the user sees of the orbits, from lamps (RFC 4235), from what others announce in
//     messages (announce.go), and from the user's own records (record.go).
//
// Why a safe retrieval is not made of Replaces or Target-Dialog: a Replaces sent to the service would replace the caller
// (RFC 3891 §3), a Target-Dialog that does not match has to be ignored (RFC 4538 §4) and so would connect a stranger. An
// address that nobody can guess and that is never used again needs neither.
package park
