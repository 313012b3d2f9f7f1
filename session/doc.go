// Package session is what the program can do: sign in, talk, tell and be told.
//
// An Endpoint is one signed-in user agent instance. It has Conversations, each everything with one peer, and those have
// calls; an InstantMessagingCall is an SIP session whose media are MESSAGE requests in the dialog of an INVITE, an
// AudioVideoCall one whose medium is sound. The names of the types and states are those of UCMA and Lync.
//
// Sending looks like one thing and is a ladder. Send puts the text into the session; without a session the text goes with
// an INVITE that makes one, as its toast; if nobody takes it, it goes as a pager MESSAGE, which the server stores for
// later; while the server itself is away the text waits for it (outbox.go). The Message-ID is the same on every rung, and
// receivers show a Message-ID once.
//
// Receiving looks like one thing and is a race. A user may be signed in on several endpoints, and the proxy forks the INVITE
// to all. Each of them rings, records the text, and shows a toast; a click accepts. If nobody clicks within ten
// seconds the endpoint accepts that was used last, which all of them compute for themselves from the device state that all
// publish (autoaccept.go). The caller keeps the first answer. An endpoint that is certainly the only one accepts at once.
// How the user wants to be seen is published beside the device state and followed by all of the user's devices (wish.go).
// A text is on record before it is acknowledged; what cannot be recorded is shown and left to others (arrival.go).
//
// An audio call is a conversation of two people, so nobody is elected: it rings everywhere until somebody answers. What
// offer and answer agree (negotiate.go) goes to a stream of package media, and what the stream finds out comes back
// (told.go). A microphone has one listener: the call that the user dials, answers or resumes claims it, and the others are
// put on hold (hold.go), unless they are joined in a conference. Being on hold is two switches, one of each side. A transfer
// is a REFER (transfer.go); with Replaces it lets somebody take this user's place in another call (avtransfer.go), and
// who comes with a Replaces for a call here is let in without ringing (avcall_serve.go).
//
// To park a call is to have a park service take this user's place in it (park.go): the service is referred to the other side
// (parkleg.go), or the other side to the service (parkconsult.go); which of them, package park knows. Nobody is put on hold
// for it, and until the service says that it has the call, nothing has changed. The number of the orbit is for anybody who
// types it; who has parked a call takes it back by the safe URI, which no other call ever has (retrieve.go). By number there may be a
// stranger: who is there is compared with who is expected, before calling and again before the microphone opens. What
// becomes of a parked call is told by the dialog state of its safe URI (unpark.go) and by a call that comes back
// (ringback.go). Whoever is parked himself keeps his conversation (parked.go).
//
// One lock, Endpoint.mu, guards all state. Methods that end in Locked want it held; they change fields, consult the tables
// of states.go and publish events, and never wait. Everything that waits is a straight function on a goroutine of its own:
// serveInvite is an inbound call from the INVITE to the BYE, establish and run are an outbound one. The media stream is
// called without the lock. What happened leaves as Events through a hub that never waits for its readers.
package session
