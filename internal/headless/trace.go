package headless

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"

	"offhook/internal/sipua"
)

// Trace returns a function that writes every SIP message to w as a paragraph with a heading. Credentials have been taken
// out of the messages by then. A write that fails is given up: a full disk must not stop calls.
func Trace(w io.Writer) func(sipua.TraceEvent) {
	var mu sync.Mutex
	return func(e sipua.TraceEvent) {
		arrow := "<-"
		if e.Out {
			arrow = "->"
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "%s %s %s %s %s\n", time.Now().UTC().Format(timeFormat), e.Network, e.Local, arrow, e.Remote)
		b.Write(bytes.ReplaceAll(e.Raw, []byte("\r\n"), []byte("\n")))
		b.WriteString("\n\n")
		mu.Lock()
		defer mu.Unlock()
		_, _ = w.Write(b.Bytes())
	}
}
