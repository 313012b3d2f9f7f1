// Package malgo is the sound cards of the platform, by way of miniaudio and its binding of the same name: PulseAudio
// (which PipeWire speaks, too) and ALSA on Linux, Core Audio, WASAPI. Without cgo there are none.
//
// What the library makes one take care of:
//
//   - Libraries of the system (libpulse, libasound) are loaded when they are there. Nothing is linked.
//   - A context is a connection to a sound server. It serves one thread at a time and dies with the server, and a device
//     asks its context for things when it is opened. So each device has a context of its own, and so has each listing.
//   - A call may never return: the sound server may hang. So each one runs in a goroutine that is left behind when time is
//     up, and cleans up after itself if it returns after all.
//   - A server that dies is not reported. Callbacks cease; package device watches for that.
//   - Left to itself, the library collects samples until it has a whole period for the callback. That costs up to a
//     period of delay in each direction and is switched off; rings take any number of samples.
//   - libasound prints what it does not like on standard error, across a terminal user interface. It is told not to.
package malgo
