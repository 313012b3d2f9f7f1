package device

import "sync"

// recorder is a speaker that is a file. A disk may take its time and a block may not, so a goroutine of its own writes.
type recorder struct {
	// Immutable.
	ring *ring
	file *WAVWriter
	more chan struct{} // capacity 1
	stop chan struct{}
	done sync.WaitGroup

	err error // Owned by write, then by Close.
}

// recorderRing is how long the disk may take: 5.4 s.
const recorderRing = 1 << 18

func newRecorder(path string) (*recorder, error) {
	f, err := openOver(path)
	if err != nil {
		return nil, err
	}
	w, err := NewWAVWriter(f, Rate, 1)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	r := &recorder{ring: newRing(recorderRing), file: w, more: make(chan struct{}, 1), stop: make(chan struct{})}
	r.done.Go(r.write)
	return r, nil
}

// Write takes a block. What does not fit any more is missing in the file.
func (r *recorder) Write(block []int16) {
	r.ring.Write(block)
	if r.ring.Len() < Rate/10 {
		return
	}
	select {
	case r.more <- struct{}{}:
	default:
	}
}

func (r *recorder) write() {
	block := make([]int16, Rate/10)
	for stopping := false; !stopping; {
		select {
		case <-r.more:
		case <-r.stop:
			stopping = true
		}
		for n := r.ring.Read(block); n > 0; n = r.ring.Read(block) {
			if r.err == nil {
				r.err = r.file.Write(block[:n])
			}
		}
		if r.err == nil {
			r.err = r.file.Flush()
		}
	}
}

// Close writes the rest and says what went wrong first. Write is not called any more.
func (r *recorder) Close() error {
	close(r.stop)
	r.done.Wait()
	if err := r.file.Close(); r.err == nil {
		r.err = err
	}
	return r.err
}
