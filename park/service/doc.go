// Package service is the call park service as a SIP user agent. It lives beside the server and reaches everybody through
// the server's proxy, as any user agent does; which orbit is whose it asks package park, and what is heard is package
// park/line.
//
// A leg (leg.go) is one dialog with its media: a caller who is parked, somebody who picks up, a parker who is told a number.
// This is what arrives, and where it is served:
//
//	REFER to the service            refer.go         a parker's device asks to take its call over (RFC 5359 §2.15): the service
//	                                                 invites the caller with Replaces, and tells the orbit in the last NOTIFY
//	INVITE with Referred-By         transferred.go   a telephone was transferred here: it is parked, the parker gets a MESSAGE
//	INVITE to the service           consultation.go  a parker wants to know the orbit before it transfers: it hears the number
//	INVITE to an orbit or a token   retrieve.go      somebody picks up
//	INVITE with Replaces            replace.go       the end of an attended transfer to an orbit
//	                                move.go          somebody goes on with another device, or sends somebody else in his place
//	in a dialog                     leg_serve.go     of a bridge: relayed to the other side (bridge.go)
//	time                            recall.go        the parker is rung back, then the fallback, then the caller is sent home
//	silence                         alive.go         who may have vanished is asked
//
// A picked-up call stays a bridge of two dialogs here (RFC 7092: a B2BUA that relays media). To pick up is third party call
// control (RFC 3725): the caller is offered what the retriever can, then the retriever gets what the caller has taken; so
// both speak the same codec and nothing is transcoded. What either side is told about the other is its view (view.go): who
// is there, which codecs, who holds. Whoever changes something makes the other side's view follow.
//
// Whatever races for a call (two retrievers, the ring-back, the caller hanging up) is decided by the lot, under its lock; the
// losers are told. The service trusts its proxy alone: a request has to carry the proxy's mark, and who sent it is what the
// proxy asserts (RFC 3325).
//
// Goroutines: each leg is run by the handler of its INVITE or by a goroutine of the service; it ends with its dialog. One
// goroutine (recall.go) waits for what is due in the lot.
package service
