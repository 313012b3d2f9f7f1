// Package echo makes a microphone fit to be heard: it cancels the echo of the loudspeaker, suppresses noise, levels
// the voice and limits peaks. It works on blocks of 10 ms at 48 kHz, in place, in plain Go, and allocates nothing.
//
//	mic ─┬─ delay ─────────────────────────────── × ── + ── gain ── limiter ──►
//	     │                                        │    │
//	     │                    gain of upper band ─┘    │
//	     └─ down ── - ── spectral gains ────────────── up
//	                │
//	far ─── down ── delay ── filters
//
// The far end's voice leaves the speaker, crosses the room and comes back through the microphone, 5 to 500 ms after
// it was handed to the device. Three things happen to it, in the band below 7 kHz, at a third of the rate.
//
// First the delay is looked for (delay.go): a whitened correlation of both signals, over half a second, finds where
// the echo begins, also after a device has been restarted.
//
// Then an adaptive filter (filter.go) learns the room: 160 ms of impulse response in partitions of 20 ms, in the
// frequency domain, with the step size of a Kalman filter. The step size is what makes or breaks a canceller: when
// the near end speaks too, its voice is an error the filter must not learn from. The Kalman filter knows how sure it
// is of each bin and how much of the error it cannot explain, and needs no detector. A second, bolder filter beside
// it learns quickly when the room has changed (canceller.go).
//
// Then gains per bin hide what is left (suppress.go, residual.go, reverb.go): the filter's errors, distortion, and
// the reverberation after its last tap. Where they take away the room's own noise too, comfort noise of the same
// spectrum takes its place. The band above has no filter; it follows the gain of the band from 3 to 7 kHz.
//
// The noise suppressor (noise.go) shares these frames. Gain control and limiter (gain.go, limiter.go) work on all of
// the band.
//
// The microphone's path gets 8.25 ms longer: 1.25 for the band split, 6 for the overlap of the frames, and 1 for the
// limiter to look ahead; the adaptive filters add none. What no stage has a reason to change is only delayed, since
// the upper band is defined as what the lower one is not. With all stages off, samples pass bit by bit and at once.
package echo
