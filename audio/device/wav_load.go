package device

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"offhook/audio/resample"
)

// ReadWAV reads a WAV file whole, as this package plays it: mono, 48 kHz, 16 bits. One that comes to more than limit samples is
// refused.
func ReadWAV(path string, limit int) ([]int16, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	defer func() { _ = f.Close() }()
	samples, err := decodeWAV(f, limit)
	if err != nil {
		return nil, fmt.Errorf("device: %s: %w", path, err)
	}
	return samples, nil
}

func decodeWAV(r io.Reader, limit int) ([]int16, error) {
	w, err := NewWAVReader(bufio.NewReaderSize(r, 1<<16))
	if err != nil {
		return nil, err
	}
	ratio := resample.NewRatio(w.Rate(), Rate)
	var samples []int16
	block := make([]int16, 4096)
	for {
		n, err := w.Read(block)
		samples = ratio.Process(samples, block[:n])
		if errors.Is(err, io.EOF) {
			samples, err = ratio.Flush(samples), nil
			block = nil
		}
		switch {
		case err != nil:
			return nil, err
		case len(samples) > limit:
			return nil, fmt.Errorf("longer than %d s", limit/Rate)
		case block == nil:
			return samples, nil
		}
	}
}
