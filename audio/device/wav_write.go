package device

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
)

const (
	// headerLen is what stands before the samples in a file of ours.
	headerLen = 44
	// flushLen is how many bytes are collected before they are written without being asked to.
	flushLen = 1 << 16
)

// errFull tells that a file has reached what its header can count: twelve hours of mono at 48 kHz.
var errFull = errors.New("the file has reached 4 GiB, the most that a WAV file can hold")

// WAVWriter writes a WAV file of 16-bit samples. Its header is valid at every moment: the count of samples is written
// after the samples that it counts, so that whatever kills the program, the file can be played.
type WAVWriter struct {
	file *os.File
	size int64  // bytes of samples that are in the file
	buf  []byte // samples that are not
}

// NewWAVWriter begins a file, which has to be empty and is closed by Close. The error leaves it to the caller.
func NewWAVWriter(f *os.File, rate, channels int) (*WAVWriter, error) {
	frame := channels * 2
	h := make([]byte, 0, headerLen)
	h = append(h, "RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00"...)
	h = binary.LittleEndian.AppendUint16(h, formatPCM)
	h = binary.LittleEndian.AppendUint16(h, uint16(channels))
	h = binary.LittleEndian.AppendUint32(h, uint32(rate))
	h = binary.LittleEndian.AppendUint32(h, uint32(rate*frame))
	h = binary.LittleEndian.AppendUint16(h, uint16(frame))
	h = binary.LittleEndian.AppendUint16(h, 16)
	h = append(h, "data\x00\x00\x00\x00"...)
	if _, err := f.WriteAt(h, 0); err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	return &WAVWriter{file: f, buf: make([]byte, 0, flushLen+2*BlockSize)}, nil
}

// Write adds samples, those of all channels in turn. They are in the file after Flush at the latest.
func (w *WAVWriter) Write(samples []int16) error {
	for len(samples) > 0 {
		n := min(len(samples), BlockSize)
		for _, s := range samples[:n] {
			w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(s))
		}
		samples = samples[n:]
		if len(w.buf) < flushLen {
			continue
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// Flush writes what was collected and then counts it in the header.
func (w *WAVWriter) Flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	if w.size+int64(len(w.buf)) > math.MaxUint32-headerLen {
		return errFull
	}
	if _, err := w.file.WriteAt(w.buf, headerLen+w.size); err != nil {
		return fmt.Errorf("device: %w", err)
	}
	w.size += int64(len(w.buf))
	w.buf = w.buf[:0]
	if err := w.patch(40, w.size); err != nil {
		return err
	}
	return w.patch(4, headerLen-8+w.size)
}

func (w *WAVWriter) patch(at, n int64) error {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(n))
	if _, err := w.file.WriteAt(b[:], at); err != nil {
		return fmt.Errorf("device: %w", err)
	}
	return nil
}

// Close writes what is left and closes the file.
func (w *WAVWriter) Close() error { return errors.Join(w.Flush(), w.file.Close()) }

// openOver opens a file to write a WAV anew. What exists is replaced if it is a WAV file or empty: a name that is
// mistyped must not cost a document.
func openOver(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // what is said in a call is nobody else's business
	if err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("not a regular file")
	case info.Size() > 0:
		var head [12]byte
		if _, bad := f.ReadAt(head[:], 0); bad != nil || string(head[:4]) != "RIFF" || string(head[8:]) != "WAVE" {
			err = errors.New("exists and is no WAV file, so it is not overwritten")
			break
		}
		err = f.Truncate(0)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("device: %s: %w", path, err)
	}
	return f, nil
}
