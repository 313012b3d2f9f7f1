// Package line is the media of one leg at the park service: a socket of its own, music or a spoken orbit for whoever waits
// on it, and a way to join it with the leg of whoever picks up.
//
// A Line offers the codecs in which music can be encoded, and telephone events beside them. While it is parked it plays,
// and what arrives is counted and thrown away: the service offers sendrecv, because a caller who sends opens the way through
// firewalls and does not take himself for held, but it listens to nobody.
//
// Joined, each packet that counts on one line leaves by the other at once (rtpconn.Relay): another SSRC, other keys and
// another payload type, but the same bytes of sound, the same distances of numbers and timestamps. Nothing is decoded and
// nothing waits, so no jitter buffer adds delay and no codec takes quality away; what is lost on one side is missing on the
// other. RTCP ends here: each side is told what arrived here, for the SSRCs of the other side mean nothing to it.
//
// The same format may have different payload types on the two legs, because each dialog has numbers of its own that keep
// their meaning (RFC 3264 §8.3.2), and the first leg's were chosen before anybody knew of the second one: RFC 7088 §2.8
// tells what goes wrong when one leg's description is passed on to the other. So packets are translated by format, and what
// the other side has not agreed to is left out. Restrict makes the next offer of a line such that both have the same formats.
//
// Either side may agree anew while they are joined: the translation follows. A side that holds gets nothing, and goes on
// after it with a new stretch of timestamps and the marker.
package line
