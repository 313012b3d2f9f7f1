// Package audiobench measures the sound of real programs and prints the figures: what a call costs, how evenly packets
// leave, how soon the first one does, and how long sound takes from mouth to ear. Where another phone is installed
// (Debian's baresip) it does the same work in the same run, and ratios are printed: machines differ, ratios travel.
//
//	make bench-audio
//
// A peer of our own (peer_test.go) calls the program under test over SIP and exchanges RTP with it through sockets whose
// packets the kernel stamps with their time of arrival. Processor time is read from /proc. Delay is measured in what
// programs record: through files, where microphone and speaker of one program share a clock, and through the null sinks
// of a PulseAudio of its own, with what is played and what is heard on the two channels of one sink.
//
// It runs for minutes and needs Linux, so it has a build tag, bench.
package audiobench
