package device

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Formats of WAVE files that we read: PCM of 8 to 32 bits, and IEEE floating point.
const (
	formatPCM        = 1
	formatFloat      = 3
	formatExtensible = 0xfffe // the format is the first two bytes of a GUID
)

// Bounds of what a header may claim. A file is hostile until it is read.
const (
	maxChannels  = 64
	maxRate      = 768000
	minRate      = 1000
	maxFormatLen = 4096
)

// ErrNotWAV tells that a file is none that we can read.
var ErrNotWAV = errors.New("no WAV file with PCM or floating point samples")

// WAVReader reads the samples of a WAV file, all channels mixed into one.
type WAVReader struct {
	r        io.Reader
	rate     int
	channels int
	bits     int
	float    bool
	left     uint32 // bytes of the data chunk that have not been read; math.MaxUint32 for "until the end"
	buf      []byte
	pending  []byte // the rest of a frame that a read ended in
}

// NewWAVReader reads everything up to the samples.
func NewWAVReader(r io.Reader) (*WAVReader, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotWAV, err)
	}
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
		return nil, ErrNotWAV
	}
	w := &WAVReader{r: r}
	for {
		id, size, err := w.chunk()
		if err != nil {
			return nil, err
		}
		switch {
		case id == "data" && w.rate == 0:
			return nil, fmt.Errorf("%w: no format before the samples", ErrNotWAV)
		case id == "data":
			// A writer that was interrupted, or one that writes into a pipe, leaves no size.
			if size == 0 || size >= math.MaxUint32-1 {
				size = math.MaxUint32
			}
			w.left = size
			w.buf = make([]byte, 1024*w.frame())
			return w, nil
		case id == "fmt ":
			err = w.format(size)
		default:
			_, err = io.CopyN(io.Discard, r, padded(size))
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotWAV, err)
		}
	}
}

// padded is the room that a chunk takes: chunks begin at even offsets.
func padded(size uint32) int64 { return int64(size) + int64(size&1) }

func (w *WAVReader) chunk() (id string, size uint32, err error) {
	var head [8]byte
	if _, err := io.ReadFull(w.r, head[:]); err != nil {
		return "", 0, fmt.Errorf("%w: %w", ErrNotWAV, err)
	}
	return string(head[:4]), binary.LittleEndian.Uint32(head[4:]), nil
}

func (w *WAVReader) format(size uint32) error {
	if size < 16 || size > maxFormatLen {
		return fmt.Errorf("format of %d bytes", size)
	}
	b := make([]byte, padded(size))
	if _, err := io.ReadFull(w.r, b); err != nil {
		return err
	}
	tag := binary.LittleEndian.Uint16(b)
	if tag == formatExtensible && size >= 26 {
		tag = binary.LittleEndian.Uint16(b[24:])
	}
	w.channels = int(binary.LittleEndian.Uint16(b[2:]))
	w.bits = int(binary.LittleEndian.Uint16(b[14:]))
	w.float = tag == formatFloat
	rate := binary.LittleEndian.Uint32(b[4:])
	switch {
	case tag != formatPCM && tag != formatFloat:
		return fmt.Errorf("format %d is not supported", tag)
	case w.channels < 1 || w.channels > maxChannels:
		return fmt.Errorf("%d channels", w.channels)
	case rate < minRate || rate > maxRate:
		return fmt.Errorf("sampling rate %d", rate)
	case w.float && w.bits != 32 && w.bits != 64:
		return fmt.Errorf("floating point of %d bits", w.bits)
	case !w.float && w.bits != 8 && w.bits != 16 && w.bits != 24 && w.bits != 32:
		return fmt.Errorf("samples of %d bits", w.bits)
	}
	w.rate = int(rate)
	return nil
}

// Rate is samples a second.
func (w *WAVReader) Rate() int { return w.rate }

// Channels is how many there are in the file.
func (w *WAVReader) Channels() int { return w.channels }

func (w *WAVReader) frame() int { return w.channels * w.bits / 8 }

// Read fills pcm with the next samples, the mean of all channels, and says how many. At the end the error is io.EOF; a
// file that is shorter than it claims just ends there.
func (w *WAVReader) Read(pcm []int16) (int, error) {
	frame := w.frame()
	done := 0
	for done < len(pcm) {
		want := min((len(pcm)-done)*frame, len(w.buf)) - len(w.pending)
		if w.left != math.MaxUint32 {
			want = int(min(int64(want), int64(w.left)))
		}
		n := copy(w.buf, w.pending)
		m, err := io.ReadFull(w.r, w.buf[n:n+want])
		if w.left != math.MaxUint32 {
			w.left -= uint32(m)
		}
		n += m
		whole := n / frame * frame
		for at := 0; at < whole; at += frame {
			pcm[done] = w.mix(w.buf[at : at+frame])
			done++
		}
		w.pending = append(w.pending[:0], w.buf[whole:n]...)
		switch {
		case err == io.ErrUnexpectedEOF || err == io.EOF || m == 0:
			return done, io.EOF
		case err != nil:
			return done, err
		}
	}
	return done, nil
}

// mix makes one sample of a frame.
func (w *WAVReader) mix(frame []byte) int16 {
	var sum float64
	size := w.bits / 8
	for c := range w.channels {
		sum += w.sample(frame[c*size:])
	}
	return clamp(math.RoundToEven(sum / float64(w.channels)))
}

// sample reads one sample in units of 16 bits.
func (w *WAVReader) sample(b []byte) float64 {
	switch {
	case w.float && w.bits == 32:
		return finite(float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))) * 32768
	case w.float:
		return finite(math.Float64frombits(binary.LittleEndian.Uint64(b))) * 32768
	case w.bits == 8: // the only one without a sign
		return float64(int(b[0])-128) * 256
	case w.bits == 16:
		return float64(int16(binary.LittleEndian.Uint16(b)))
	case w.bits == 24:
		return float64(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)) / 65536
	default:
		return float64(int32(binary.LittleEndian.Uint32(b))) / 65536
	}
}

// finite bounds what a file may claim a sample to be.
func finite(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return min(max(x, -1), 1)
}

func clamp(x float64) int16 {
	return int16(min(max(x, math.MinInt16), math.MaxInt16))
}
