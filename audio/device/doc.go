// Package device is the microphone, the speaker and the ringers, whatever stands behind them: a sound card, a WAV file, a
// tone, or nothing.
//
// The audio engine works in blocks of 10 ms, mono, 48 kHz (BlockSize samples), and its clock is the device's: Exchange
// gives one block to the speaker, takes one from the microphone and returns when the next block is due. A Hub keeps that
// beat whatever happens:
//
//  1. With a microphone that is a sound card, the card's capture clock is the beat: it leads, because a block is then
//     handed out the moment it is complete, and no delay is lost on the way to the network.
//  2. Without one, a speaker that is a sound card leads: a block is due when the card is about to run dry.
//  3. Without either, a clock leads whose deadlines are absolute, so that nothing adds up.
//
// A sound card runs in a thread that is not ours. Its callback copies between the device's buffer and a ring that needs
// no lock, and signals; everything else happens on the engine's goroutine. Two devices have two clocks, which differ by
// up to some hundred parts in a million. The player of the one that does not lead watches how little its ring held when
// a block came, over half a second, and makes blocks longer or shorter by a sample (a smooth warp of the time axis, which
// nobody hears) until that is the little that its device needs. Cutting samples out would click, and a ring that is long
// enough for an hour of drift would delay every word.
//
// A device that goes away is replaced by the next best, and taken again when it comes back. A sound server that dies
// says nothing, its callbacks just cease: after a grace period Exchange hands out silence by the clock, a watchdog
// closes the device and tries to open it again every two seconds. The call goes on meanwhile. Devices are open only
// while somebody needs them (Use): a microphone that is open all day is nobody's friend.
//
// Names: "default"; "silence", "tone:HZ", "file:PATH.wav" (",loop" for again and again) and "loop" (what is played) for a
// microphone; "discard" and "file:PATH.wav" for a speaker; "null" for both; else a device's id, its name, or a part of it.
package device
