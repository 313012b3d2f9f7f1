// Package audio is the sound of calls: it joins the sound device to RTP.
//
// One goroutine, Engine.Run, owns the time of all audio. It has no clock of its own: every 10 ms the device exchanges a
// block with it, the one just captured for the one to play next, and that exchange is the tick. In between
//
//   - the voice processor takes what the speaker played out of what the microphone heard (package echo);
//   - each Stream sends: the block is brought to the rate of its codec, packets are encoded as they fill up, and RTP
//     carries them (package rtpconn) with the timing that the device gave;
//   - each Stream plays: its jitter buffer gives the next 10 ms (package jitter), whatever the network did meanwhile;
//   - the blocks are mixed for the speaker, and for each other where streams are joined in a conference.
//
// Blocks are mono at Rate, that of sound cards and of Opus; G.722 and G.711 are whole ratios away, 3 and 6 (package
// resample). What several streams need at one rate is made once: the microphone is brought down to 8 kHz once for fifty
// calls, and calls that are heard at 8 kHz are added up before they are brought up. Nothing on this path allocates, waits
// for a lock that anybody holds for long, or writes to a disk: recordings leave through a ring (record.go), events
// through a queue (watch.go).
//
// Packets arrive on a goroutine of each stream (rtpconn) and meet the engine in the jitter buffer. Apply puts an
// agreement of offer and answer into force from any goroutine: it builds encoder and decoders first and then swaps them in
// under the stream's lock. The device is open only while somebody is to hear or to be heard.
package audio
