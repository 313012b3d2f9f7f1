//go:build cgo

package codec

import (
	"fmt"

	// Its archive of libopus 1.3.1 is put on the link line; the binding below is ours, since that one only encodes.
	_ "github.com/pion/mediadevices/pkg/codec/opus"
)

/*
#include <stdint.h>

// The interface of libopus, by hand: the header is beside the archive, in a directory of another package.
typedef struct OpusEncoder OpusEncoder;
typedef struct OpusDecoder OpusDecoder;
extern OpusEncoder *opus_encoder_create(int32_t rate, int channels, int application, int *err);
extern void opus_encoder_destroy(OpusEncoder *e);
extern int opus_encoder_ctl(OpusEncoder *e, int request, ...);
extern int32_t opus_encode(OpusEncoder *e, const int16_t *pcm, int samples, unsigned char *data, int32_t room);
extern OpusDecoder *opus_decoder_create(int32_t rate, int channels, int *err);
extern void opus_decoder_destroy(OpusDecoder *d);
extern int opus_decode(OpusDecoder *d, const unsigned char *data, int32_t length, int16_t *pcm, int samples, int fec);
extern const char *opus_strerror(int err);

enum {
	application_voip = 2048, application_lowdelay = 2051,
	set_bitrate = 4002, set_max_bandwidth = 4004, set_vbr = 4006, set_bandwidth = 4008, set_complexity = 4010,
	set_fec = 4012, set_loss = 4014, set_dtx = 4016,
	bandwidth_narrow = 1101,
};

// cgo calls no variadic functions.
static int offhook_encoder_set(OpusEncoder *e, int request, int32_t value) { return opus_encoder_ctl(e, request, value); }

#cgo noescape opus_encode
#cgo nocallback opus_encode
#cgo noescape opus_decode
#cgo nocallback opus_decode
#cgo nocallback offhook_encoder_set
*/
import "C"

// opusParams is what we say in an offer: one channel both ways, and copies of lost packets are of use.
const opusParams = "minptime=10;useinbandfec=1;stereo=0;sprop-stereo=0"

// opusComplexity is what an encoder spends, 0 to 10. Measured on 10 s of speech at 40 kb/s, in µs per packet of 20 ms and
// in log spectral distance from the original: 5: 120, 2.71 dB; 6: 157, 2.46; 7: 175, 2.46; 8: 226, 2.50; 10: 230, 2.50.
const opusComplexity = 6

func opusError(code C.int) error {
	return fmt.Errorf("codec: opus: %s", C.GoString(C.opus_strerror(code)))
}

// opusEncoder holds the C state, so nothing of it moves or is collected; Close frees it.
type opusEncoder struct {
	state   *C.OpusEncoder
	fec     bool
	loss    int // percent, as it was last set
	samples int // of a packet
	frame   int // of a frame; a packet is one or several
	frames  []byte
}

func newOpusEncoder(cfg EncoderConfig) (Encoder, error) {
	n, err := samples(cfg.Ptime, opusRate)
	if err != nil {
		return nil, err
	}
	s := opusConfigure(cfg)
	e := &opusEncoder{fec: s.fec, samples: n, frame: n}
	application := C.int(C.application_voip)
	if n == 12*opusUnit || n == 20*opusUnit {
		// 30 and 50 ms are no length of a frame. Frames of 10 ms share a packet if their first bytes agree, and those of the
		// music layer alone always do.
		e.frame, application = 4*opusUnit, C.application_lowdelay
		e.frames = make([]byte, 0, n/e.frame*MaxPayload)
	}
	var code C.int
	e.state = C.opus_encoder_create(opusRate, 1, application, &code)
	if e.state == nil {
		return nil, opusError(code)
	}
	settings := [...]struct{ request, value C.int }{
		{C.set_bitrate, C.int(s.bitrate)},
		{C.set_max_bandwidth, C.bandwidth_narrow + C.int(s.bandwidth)},
		{C.set_vbr, toInt(!s.cbr)},
		{C.set_dtx, toInt(s.dtx)},
		{C.set_complexity, opusComplexity},
	}
	for _, set := range settings {
		if code := e.set(set.request, set.value); code != 0 {
			e.Close()
			return nil, opusError(code)
		}
	}
	if e.frame != n {
		e.set(C.set_bandwidth, C.bandwidth_narrow+C.int(s.bandwidth))
	}
	return e, nil
}

func toInt(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

func (e *opusEncoder) set(request, value C.int) C.int {
	return C.offhook_encoder_set(e.state, request, C.int32_t(value))
}

func (e *opusEncoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	switch {
	case e.state == nil:
		return dst, ErrClosed
	case len(pcm) != e.samples:
		return dst, ErrLength
	case e.frame != e.samples:
		return e.encodeFrames(dst, pcm)
	}
	at := len(dst)
	out := extend(dst, MaxPayload)
	n, err := e.encode(out[at:], pcm)
	if err != nil || n <= 2 { // libopus: two bytes or less need not be sent
		return dst, err
	}
	return out[:at+n], nil
}

// encode makes one frame in a packet of its own.
func (e *opusEncoder) encode(out []byte, pcm []int16) (int, error) {
	n := C.opus_encode(e.state, (*C.int16_t)(&pcm[0]), C.int(len(pcm)), (*C.uchar)(&out[0]), C.int32_t(len(out)))
	if n < 0 {
		return 0, opusError(C.int(n))
	}
	return int(n), nil
}

// encodeFrames makes a packet of several frames with their lengths before them (RFC 6716 §3.2.5).
func (e *opusEncoder) encodeFrames(dst []byte, pcm []int16) ([]byte, error) {
	count := e.samples / e.frame
	room := (MaxPayload - 2 - 2*count) / count
	at := len(dst)
	out := extend(dst, MaxPayload)[:at+2]
	frames, silent := e.frames, true
	for i := range count {
		begin := len(frames)
		frames = frames[:begin+room]
		n, err := e.encode(frames[begin:], pcm[i*e.frame:(i+1)*e.frame])
		if err != nil {
			return dst, err
		}
		silent = silent && n <= 2
		out[at], out[at+1] = frames[begin]|3, 0x80|byte(count)
		frames = append(frames[:begin], frames[begin+1:begin+n]...)
		if i < count-1 {
			out = opusAppendLength(out, n-1)
		}
	}
	if silent {
		return dst, nil
	}
	return append(out, frames...), nil
}

// opusAppendLength writes the length of a frame (RFC 6716 §3.2.1).
func opusAppendLength(dst []byte, n int) []byte {
	if n < 252 {
		return append(dst, byte(n))
	}
	low := 252 + n&3
	return append(dst, byte(low), byte((n-low)/4))
}

// SetLoss makes the encoder spend bits on copies for lost packets, if the peer can use them.
func (e *opusEncoder) SetLoss(share float64) {
	percent := 0
	if share > 0 { // not so for NaN
		percent = int(100*min(share, 1) + 0.5)
	}
	if e.state == nil || percent == e.loss {
		return
	}
	e.loss = percent
	e.set(C.set_loss, C.int(percent))
	e.set(C.set_fec, toInt(e.fec && percent > 0))
}

func (e *opusEncoder) Close() {
	if e.state != nil {
		C.opus_encoder_destroy(e.state)
		e.state = nil
	}
}

// opusDecoder decodes to one channel; libopus mixes stereo down.
type opusDecoder struct{ state *C.OpusDecoder }

func newOpusDecoder() (Decoder, error) {
	var code C.int
	state := C.opus_decoder_create(opusRate, 1, &code)
	if state == nil {
		return nil, opusError(code)
	}
	return &opusDecoder{state: state}, nil
}

func (d *opusDecoder) Decode(pcm []int16, payload []byte) (int, error) {
	duration := opusDuration(payload)
	switch {
	case d.state == nil:
		return 0, ErrClosed
	case duration == 0:
		return 0, ErrMalformed
	case duration > len(pcm):
		return 0, ErrLong
	}
	n := d.decode(pcm, payload, 0)
	if n < 0 {
		return 0, ErrMalformed
	}
	return n, nil
}

// decode calls libopus; no payload means concealment.
func (d *opusDecoder) decode(pcm []int16, payload []byte, fec C.int) int {
	var data *C.uchar
	if len(payload) > 0 {
		data = (*C.uchar)(&payload[0])
	}
	return int(C.opus_decode(d.state, data, C.int32_t(len(payload)), (*C.int16_t)(&pcm[0]), C.int(len(pcm)), fec))
}

func (d *opusDecoder) Conceal(pcm []int16) bool {
	if d.state == nil || len(pcm) == 0 || len(pcm)%opusUnit != 0 {
		return false
	}
	return d.decode(pcm, nil, 0) == len(pcm)
}

func (d *opusDecoder) Recover(pcm []int16, payload []byte) bool {
	if d.state == nil || len(pcm)%opusUnit != 0 || opusDuration(payload) == 0 || !opusHasCopy(payload) {
		return false
	}
	if len(pcm) < opusFrame(payload[0]) { // the copy is as long as a frame, and libopus would not cut it
		return false
	}
	return d.decode(pcm, payload, 1) == len(pcm)
}

func (*opusDecoder) Duration(payload []byte) int { return opusDuration(payload) }

func (d *opusDecoder) Close() {
	if d.state != nil {
		C.opus_decoder_destroy(d.state)
		d.state = nil
	}
}
