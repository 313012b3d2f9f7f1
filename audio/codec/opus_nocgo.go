//go:build !cgo

package codec

import "github.com/pion/opus"

// opusParams is what we say in an offer: without libopus, copies of lost packets cannot be read.
const opusParams = "minptime=10;useinbandfec=0;stereo=0;sprop-stereo=0"

// newOpusEncoder is nil: without cgo, Opus is for receiving.
var newOpusEncoder func(EncoderConfig) (Encoder, error)

// opusDecoder decodes to one channel by a decoder in Go, which has neither concealment nor use for copies.
type opusDecoder struct{ decoder *opus.Decoder }

func newOpusDecoder() (Decoder, error) {
	d, err := opus.NewDecoderWithOutput(opusRate, 1)
	if err != nil {
		return nil, err
	}
	return &opusDecoder{decoder: &d}, nil
}

func (d *opusDecoder) Decode(pcm []int16, payload []byte) (int, error) {
	duration := opusDuration(payload)
	switch {
	case d.decoder == nil:
		return 0, ErrClosed
	case duration == 0:
		return 0, ErrMalformed
	case duration > len(pcm):
		return 0, ErrLong
	}
	n, err := d.decoder.DecodeToInt16(payload, pcm)
	if err != nil || n != duration {
		return 0, ErrMalformed
	}
	return n, nil
}

func (*opusDecoder) Conceal([]int16) bool         { return false }
func (*opusDecoder) Recover([]int16, []byte) bool { return false }
func (*opusDecoder) Duration(payload []byte) int  { return opusDuration(payload) }
func (d *opusDecoder) Close()                     { d.decoder = nil }
