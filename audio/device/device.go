package device

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"offhook/internal/media"
)

// The format of all samples: mono, 16 bits, 48 kHz, in blocks of 10 ms.
const (
	Rate      = 48000
	BlockSize = Rate / 100
	BlockTime = 10 * time.Millisecond
)

// ErrClosed is what Exchange returns after Close, and nothing else ever makes it fail.
var ErrClosed = errors.New("device: closed")

// Duplex is a full-duplex sound device whose clock is the engine's clock.
type Duplex interface {
	// Exchange gives out to the speaker, fills in from the microphone, and returns when the next block is due. It fails
	// only after Close. Both slices have BlockSize samples.
	Exchange(in, out []int16) error
	Close() error
}

// Need says which devices have to be open.
type Need uint8

// What may be needed.
const (
	Microphone Need = 1 << iota
	Speaker
	Ringers
)

// Backend is a way to the sound cards of this machine. Package audio/device/malgo has those of the platform.
type Backend interface {
	// Name is what media.Device.Backend says: pulse, alsa, coreaudio, wasapi.
	Name() string
	// Devices lists the cards. Names come from outside and need not be clean.
	Devices(ctx context.Context) ([]media.Device, error)
	// Open starts a card; id "" is the system's default. data is called by a thread of the card with samples to take
	// (capture) or to fill in, about period of them: it does not block. An error means that nothing was opened. When ctx
	// ends, Open returns.
	Open(ctx context.Context, id string, capture bool, period int, data func(samples []int16)) (Card, error)
}

// Card is one direction of a sound card that runs.
type Card interface {
	io.Closer // data is not called any more when it returns
	// Latency is what device and driver hold, apart from what data was given or gave.
	Latency() time.Duration
	// Stopped tells, once, that the card has stopped by itself. Not every card does.
	Stopped() <-chan struct{}
}

// Options of a Hub.
type Options struct {
	Logger *slog.Logger
	// Told is called for what happens to devices, from goroutines of the Hub. It must not block and must not call the Hub.
	Told func(Trouble)
	// Backends in order of preference. Without any there are virtual devices only.
	Backends []Backend
	// Clock is the beat while no card leads. Nil takes the most exact one of the platform; a test in a bubble of
	// testing/synctest needs TimerClock.
	Clock Clock
}

// TroubleKind says what a Trouble tells.
type TroubleKind int

// The kinds of Trouble.
const (
	Lost  TroubleKind = iota // a device is gone, and there is nothing in its place: silence
	Moved                    // a device is gone or not there, and another one stands in for it
	Back                     // the device that was selected works again
)

// Trouble is what happened to a device.
type Trouble struct {
	Kind   TroubleKind
	Device media.Device // which one; with Moved the one that is used now
	Text   string       // a sentence that is safe to show
	Err    error        // why, for the log; may be nil
}
