// Package jitter is the adaptive play-out buffer of one call: packets go in when the network brings them, 10 ms of sound
// come out each time the device asks, whatever happened in between.
//
// The network delays every packet by a different time. Whoever plays each packet as it comes plays gaps; whoever waits
// long enough for the slowest makes people talk at the same time. The buffer measures, and does the least that works:
//
//  1. Push orders packets by sequence number (RFC 3550 §5.1), drops duplicates, and maps timestamps to one time line that
//     never jumps, even where the sender's does (push.go).
//  2. The least delay within the last seconds is taken for the bare path; what packets take longer goes into a histogram
//     that forgets. A high quantile of it, or recurring spikes above, or for a while a stall that there was too little
//     for, is the target delay (arrivals.go).
//  3. Pull decodes the next packet when its sound is needed (pull.go). One that is not there may be late or lost. Until a
//     later packet tells, sound goes on with the pitch of what was heard last, fading to background noise (conceal.go),
//     and the decoder hears nothing of it: if the packet turns up it is played, that much later, from where the two swing
//     alike. What is lost is taken from the forward error correction in the packet after it, or made up by the codec.
//  4. Too much delay is removed, and too little added, one pitch period at a time where nobody hears it (stretch.go). That
//     also makes up for the difference of the two sides' clocks. Between talk spurts the delay is set anew for free.
//
// A gap in the timestamps with no gap in the sequence numbers is silence that the sender did not send (discontinuous
// transmission, RFC 3551 §4.1): it is filled with comfort noise (RFC 3389) and is no loss. Push therefore wants all
// packets of the stream, telephone events too.
//
// Time is counted in ticks of 1/48000 s, of which the clock rates of all codecs are whole fractions. The delay of a sample
// is counted from the moment it was spoken, taking the fastest packet's path as nothing: a stream of 20 ms packets without
// any jitter has a delay of 20 ms plus what the buffer adds.
package jitter
