package ui

import (
	"bytes"
	"io"
	"os"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Bubble Tea asks its renderer for a frame at a fixed rate, also when nothing happens for hours: 120 times a second, so
// that a key is seen soon, are 1.5 % of a core for a program that waits. Its rate cannot change, but it writes from the
// goroutine that counts the frames, and a ticker nobody waits for costs nothing. So a while after the last message a
// mark is sent through the program's own output; whoever brings it here is kept until the next message comes.

const (
	restMark = "\x00" // never reaches the terminal, which would ignore it
	// restAfter is how long after the last message the renderer is put to rest, longer than a frame takes to be drawn.
	restAfter = 300 * time.Millisecond
	// restSoon is that after what comes by the clock: nothing is likely to follow, as it is after a key.
	restSoon = 50 * time.Millisecond
	// restLimit bounds a rest, so that a program that is killed without a message does not wait for long.
	restLimit = 2 * time.Second
)

// quiet is an output on which the renderer rests while there is nothing to draw.
type quiet struct {
	out io.Writer // Immutable

	mu    sync.Mutex
	send  func(tea.Msg) // Guarded by mu; nil: not running
	timer *time.Timer   // Guarded by mu; sends the mark
	seen  int           // Guarded by mu; messages so far
	asked bool          // Guarded by mu; the mark is under way, and no message has come since
	rest  chan struct{} // Guarded by mu; closing it ends the rest; nil: nobody rests
}

// begin lets the renderer rest from now on. send is the program's.
func (q *quiet) begin(send func(tea.Msg)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.send = send
	q.askLocked(restAfter)
}

// restMsg asks for a rest. It carries how many messages there had been when it was decided on.
type restMsg int

// askLocked asks for a rest after a while, unless a message comes before.
func (q *quiet) askLocked(after time.Duration) {
	if q.timer != nil {
		q.timer.Stop()
	}
	send, seen := q.send, restMsg(q.seen)
	q.timer = time.AfterFunc(after, func() { send(seen) })
}

// end wakes the renderer for good.
func (q *quiet) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.timer != nil {
		q.timer.Stop()
	}
	q.send = nil
	q.wakeLocked()
}

func (q *quiet) wakeLocked() {
	q.asked = false
	if q.rest != nil {
		close(q.rest)
		q.rest = nil
	}
}

// filter sees every message before the program does, which may be about to wait for the renderer.
func (q *quiet) filter(_ tea.Model, msg tea.Msg) tea.Msg {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.send == nil {
		return msg
	}
	if ask, ok := msg.(restMsg); ok {
		// One that a message has overtaken would put the renderer to rest before it has drawn what came of that message; and
		// the program would wait with a second one for the renderer, which holds a lock of the program's while it rests.
		if int(ask) != q.seen || q.asked {
			return nil
		}
		q.asked = true
		return tea.RawMsg{Msg: restMark}
	}
	q.seen++
	q.wakeLocked()
	switch msg.(type) {
	case pulseMsg, tickMsg:
		q.askLocked(restSoon)
	default:
		q.askLocked(restAfter)
	}
	return msg
}

// Write passes everything on but the mark.
func (q *quiet) Write(p []byte) (int, error) {
	if !bytes.Contains(p, []byte(restMark)) {
		return q.out.Write(p)
	}
	if rest := bytes.ReplaceAll(p, []byte(restMark), nil); len(rest) > 0 {
		if _, err := q.out.Write(rest); err != nil {
			return 0, err
		}
	}
	q.wait()
	return len(p), nil
}

// wait rests until the next message.
func (q *quiet) wait() {
	q.mu.Lock()
	if !q.asked || q.send == nil {
		q.mu.Unlock()
		return
	}
	rest := make(chan struct{})
	q.rest = rest
	q.mu.Unlock()
	limit := time.NewTimer(restLimit)
	defer limit.Stop()
	select {
	case <-rest:
		return
	case <-limit.C:
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.rest == rest { // nothing came: rest again
		q.rest, q.asked = nil, false
		q.askLocked(0)
	}
}

// quietFile is a terminal with a quiet output.
type quietFile struct {
	*os.File
	quiet *quiet
}

func (f quietFile) Write(p []byte) (int, error)       { return f.quiet.Write(p) }
func (f quietFile) WriteString(s string) (int, error) { return f.quiet.Write([]byte(s)) }

// newQuiet makes an output quiet. The writer it returns is still a file if out is one, as Bubble Tea wants of a terminal.
func newQuiet(out io.Writer) (*quiet, io.Writer) {
	q := &quiet{out: out}
	if f, ok := out.(*os.File); ok {
		return q, quietFile{f, q}
	}
	return q, q
}
