package ui

import (
	"io"
	"syscall"
	"testing"
	"time"

	"offhook/internal/command"
	"offhook/session"
)

// started is an output that tells when the program has begun to draw.
type started struct{ drawn chan struct{} }

func (s started) Write(p []byte) (int, error) {
	select {
	case s.drawn <- struct{}{}:
	default:
	}
	return len(p), nil
}

// A signal ends the program, every time: nothing waits for a loop that the same signal has ended.
func TestSignalEnds(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		for range 5 {
			e, err := session.New(session.Config{AOR: "sip:alice@127.0.0.1", NoRegister: true})
			if err != nil {
				t.Fatal(err)
			}
			in, typing := io.Pipe()
			out := started{make(chan struct{}, 1)}
			ended := make(chan error, 1)
			go func() {
				ended <- Run(t.Context(), Config{
					Endpoint: e, Env: &command.Env{Endpoint: e}, Notify: "none", Input: in, Output: out, Environ: []string{"TERM=xterm"},
				})
			}()
			<-out.drawn
			if err := syscall.Kill(syscall.Getpid(), sig); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("%v: %v", sig, err)
				}
			case <-time.After(20 * time.Second): // wall clock: a hang is the fault that this looks for
				t.Fatalf("%v did not end the program", sig)
			}
			typing.Close()
		}
	}
}
