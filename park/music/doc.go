// Package music is what a parked caller hears: music, or the number of the orbit, spoken.
//
// A Source plays a loop to any number of listeners. It is one goroutine, which runs while somebody listens and hands out a
// frame of 20 ms when it is due. A frame is encoded once for each codec in use, whether one caller hears it or five
// hundred: the callers of one codec get the same bytes, each in packets of its own stream. They join in the middle of a
// coded stream for that, which decoders take as a packet lost: G.711 has no memory, G.722 and Opus find in within a few
// frames.
//
// Frames follow the clock and not each other, so a loop of hours does not drift. When the program has stood still, what
// should have been sent meanwhile is not made up by a burst, which would only fill the callers' buffers: the music goes on
// where it was, and the listeners are told that there was a pause.
//
// The default music (default.go) is computed and belongs to nobody: slow chords with a soft melody of broken ones, everything
// between 120 and 3,000 Hz, so that a telephone band takes nothing away. It is as loud as speech usually is in a call, -20
// dBov, and its end goes over into its beginning. Digits (spell.go) are spoken by recordings; how they were made is said in
// digits/README.md.
//
// Sound is mono with 16 bits at 48 kHz, as everywhere in this program.
package music
