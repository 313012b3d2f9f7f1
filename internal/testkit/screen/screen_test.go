package screen

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"offhook/internal/testkit/golden"
)

func TestTerminalShowsWhatIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		term := New(20, 3)
		defer term.Close()
		io.WriteString(term, "\x1b[2J\x1b[Hone\ntwo\x1b[3;10Hdaß\x1b[31m你\x1b[0m")
		synctest.Wait()
		if got, want := term.Text(), "one\ntwo\n         daß你\n"; got != want {
			t.Errorf("screen is %q, want %q", got, want)
		}
	})
}

// A program that asks the terminal for something waits for the answer on its input; typing comes in the same way.
func TestTerminalAnswersQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		term := New(20, 3)
		defer term.Close()
		io.WriteString(term, "\x1b[6n") // cursor position
		synctest.Wait()
		term.Type("x")
		buf := make([]byte, 64)
		n, err := term.Input().Read(buf)
		if got := string(buf[:n]); err != nil || got != "\x1b[1;1Rx" {
			t.Errorf("program reads %q, %v", got, err)
		}
	})
}

func TestInputEndsWithTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		term := New(20, 3)
		term.Type("bye")
		term.Close()
		if got, err := io.ReadAll(term.Input()); err != nil || string(got) != "bye" {
			t.Errorf("program reads %q, %v", got, err)
		}
	})
}

func TestSVG(t *testing.T) {
	term := FromANSI(" \x1b[1mbold\x1b[0m \x1b[7m rev \x1b[0m\n\x1b[32m<green> & 你好\x1b[0m\n\x1b[38;2;1;2;3mtrue colour that is cut", 20, 3)
	defer term.Close()
	svg := term.SVG(`a "title" & more`)
	var any struct{}
	if err := xml.Unmarshal(svg, &any); err != nil {
		t.Errorf("not XML: %v", err)
	}
	golden.Check(t, "screen.svg", svg)
}

// TestPictures keeps the README's pictures what the captured screens say. A capture is of the running program:
//
//	tmux new-session -d -s demo -x 100 -y 26 'offhook demo'
//	tmux capture-pane -e -p -N -t demo > internal/testkit/screen/testdata/demo.ansi
func TestPictures(t *testing.T) {
	for captured, picture := range map[string]string{"demo.ansi": "screen.svg", "parking.ansi": "parking.svg"} {
		capture, err := os.ReadFile(filepath.Join("testdata", captured))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(capture), "\n"), "\n")
		term := FromANSI(string(capture), 100, len(lines))
		golden.CheckFile(t, filepath.Join("..", "..", "..", "docs", picture), term.SVG("offhook demo"))
		term.Close()
	}
}
