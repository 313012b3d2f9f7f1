package audio

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"offhook/audio/device"
	"offhook/audio/resample"
)

const (
	// recordFactor is how much slower than Rate a recording is: 16 kHz, all that wideband telephony has, at a third of
	// the size.
	recordFactor = 3
	recordBlock  = Block / recordFactor
	// recordAhead is how many blocks a slow disk may be behind before some are dropped: 4 s.
	recordAhead = 400
)

// recorder writes both sides of a call to a WAV file, this user left and the peer right. The engine fills blocks of a
// ring, a goroutine writes them: a disk that waits does not make the call wait.
type recorder struct {
	// Immutable.
	path string
	file *device.WAVWriter
	ring [recordAhead][2 * recordBlock]int16
	more chan struct{} // capacity 1
	done chan struct{}
	wait sync.WaitGroup

	head, tail atomic.Uint64 // blocks filled and written
	dropped    atomic.Uint64

	// Owned by Run.
	left, right         *resample.Down
	leftBlock, rightNew []int16

	err error // Written by write, read after wait.
}

// Record writes both sides to a new file from now on.
func (s *Stream) Record(path string) error {
	r, err := newRecorder(path)
	if err != nil {
		return fmt.Errorf("audio: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.recorder != nil {
		refused := errClosed
		if !s.closed {
			refused = fmt.Errorf("audio: this call is being recorded already, to %s", s.recorder.path)
		}
		return errors.Join(refused, r.close(), os.Remove(path))
	}
	s.recorder = r
	return nil
}

// StopRecording ends it and returns the path.
func (s *Stream) StopRecording() (string, error) {
	s.mu.Lock()
	r := s.recorder
	s.recorder = nil
	s.mu.Unlock()
	if r == nil {
		return "", nil
	}
	return r.path, r.close()
}

func newRecorder(path string) (*recorder, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	w, err := device.NewWAVWriter(f, Rate/recordFactor, 2)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r := &recorder{
		path: path, file: w, more: make(chan struct{}, 1), done: make(chan struct{}),
		left: resample.NewDown(recordFactor), right: resample.NewDown(recordFactor),
		leftBlock: make([]int16, recordBlock), rightNew: make([]int16, recordBlock),
	}
	r.wait.Go(r.write)
	return r, nil
}

// ours takes what this user says in the current block.
func (r *recorder) ours(mic []int16, silent bool) {
	if silent {
		clear(r.leftBlock)
		return
	}
	r.left.Process(r.leftBlock, mic)
}

// theirs takes what the peer says, nil for nothing, and completes the block.
func (r *recorder) theirs(wide []int16) {
	if wide == nil {
		clear(r.rightNew)
	} else {
		r.right.Process(r.rightNew, wide)
	}
	head := r.head.Load()
	if head-r.tail.Load() == recordAhead {
		r.dropped.Add(1)
		return
	}
	out := &r.ring[head%recordAhead]
	for i := range recordBlock {
		out[2*i], out[2*i+1] = r.leftBlock[i], r.rightNew[i]
	}
	r.head.Store(head + 1)
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// flushEvery is how much is collected before it is written.
const flushEvery = 200 * time.Millisecond / blockTime

// write moves blocks to the file.
func (r *recorder) write() {
	for {
		select {
		case <-r.more:
			if r.head.Load()-r.tail.Load() >= uint64(flushEvery) {
				r.flush()
			}
		case <-r.done:
			r.flush()
			return
		}
	}
}

func (r *recorder) flush() {
	for tail := r.tail.Load(); tail < r.head.Load(); tail++ {
		if r.err == nil {
			r.err = r.file.Write(r.ring[tail%recordAhead][:])
		}
		r.tail.Store(tail + 1)
	}
	if r.err == nil {
		r.err = r.file.Flush()
	}
}

func (r *recorder) close() error {
	close(r.done)
	r.wait.Wait()
	err := errors.Join(r.err, r.file.Close())
	if n := r.dropped.Load(); n > 0 && err == nil {
		err = fmt.Errorf("audio: the disk was too slow: %v are missing in %s", time.Duration(n)*blockTime, r.path)
	}
	return err
}
