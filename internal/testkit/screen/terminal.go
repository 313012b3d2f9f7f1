// Package screen is a terminal for tests, and a camera for documents.
//
// A Terminal understands what a full-screen program writes and keeps the cells as a real terminal would show them. The
// program gets it as its output and its Input as its input; the test types, waits until nothing happens any more
// (synctest.Wait), and reads the cells. The program's queries (device attributes, background colour) are answered, as
// a program may wait for them.
//
// SVG draws the cells as a picture for a README, with real text in it: it can be selected, searched and read aloud.
package screen

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/charmbracelet/x/vt"
)

// Terminal is a virtual terminal. Its methods may be called from several goroutines.
type Terminal struct {
	emulator *vt.SafeEmulator
	input    *queue
	answered chan struct{} // closed when answers has returned

	cells sync.RWMutex // The emulator hands out cells that it goes on writing to: who reads them keeps it from that.
}

// New makes a terminal of that many columns and rows. Close it, or its goroutine stays.
func New(columns, rows int) *Terminal {
	t := &Terminal{emulator: vt.NewSafeEmulator(columns, rows), input: newQueue(), answered: make(chan struct{})}
	go t.answers()
	return t
}

// answers moves what the emulator replies to the program's input. The emulator writes replies to a pipe while it holds
// its lock, so somebody has to take them at once.
func (t *Terminal) answers() {
	defer close(t.answered)
	buf := make([]byte, 4096)
	for {
		n, err := t.emulator.Read(buf)
		t.input.write(buf[:n])
		if err != nil {
			return
		}
	}
}

// Write shows what the program writes. A program that thinks its output is not a terminal's sends bare line feeds; they
// become what the line discipline of a terminal makes of them.
func (t *Terminal) Write(p []byte) (int, error) {
	t.cells.Lock()
	defer t.cells.Unlock()
	if _, err := t.emulator.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Input is what the program reads: what was typed, and the terminal's answers.
func (t *Terminal) Input() io.Reader { return t.input }

// Type types text or key sequences, e.g. "\r" for Enter and "\x1b[A" for Up.
func (t *Terminal) Type(keys string) { t.input.write([]byte(keys)) }

// Resize changes the size. The program has to be told by the test, as there is no signal.
func (t *Terminal) Resize(columns, rows int) {
	t.cells.Lock()
	defer t.cells.Unlock()
	t.emulator.Resize(columns, rows)
}

// Alternate reports whether the alternate screen is shown.
func (t *Terminal) Alternate() bool { return t.emulator.IsAltScreen() }

// Text is the screen without styles, one line a row, without blanks at the ends of the lines.
func (t *Terminal) Text() string {
	t.cells.RLock()
	defer t.cells.RUnlock()
	var b strings.Builder
	for y := range t.emulator.Height() {
		var line strings.Builder
		for x := range t.emulator.Width() {
			if c := t.emulator.CellAt(x, y); c == nil || c.Content == "" && c.Width != 0 {
				line.WriteByte(' ')
			} else {
				line.WriteString(c.Content)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// Cursor is where the cursor stands, from 0.
func (t *Terminal) Cursor() (column, row int) {
	at := t.emulator.CursorPosition()
	return at.X, at.Y
}

// Close ends the terminal's input: the program reads io.EOF.
func (t *Terminal) Close() {
	t.input.close()
	// The emulator's own Close sets a flag that its Read looks at without a lock. Closing the pipe ends Read as well.
	if pipe, ok := t.emulator.InputPipe().(io.Closer); ok {
		_ = pipe.Close() // a pipe's Close does not fail
	}
	<-t.answered
}

// queue is an unbounded pipe: writing never waits.
type queue struct {
	mu     sync.Mutex
	buf    bytes.Buffer  // Guarded by mu.
	closed bool          // Guarded by mu.
	ready  chan struct{} // capacity 1
}

func newQueue() *queue { return &queue{ready: make(chan struct{}, 1)} }

func (q *queue) write(p []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.buf.Write(p)
	q.wake()
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake()
}

func (q *queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// Read waits for input.
func (q *queue) Read(p []byte) (int, error) {
	for {
		q.mu.Lock()
		n, _ := q.buf.Read(p)
		closed := q.closed
		if q.buf.Len() > 0 || closed {
			q.wake()
		}
		q.mu.Unlock()
		switch {
		case n > 0:
			return n, nil
		case closed:
			return 0, io.EOF
		}
		<-q.ready
	}
}
