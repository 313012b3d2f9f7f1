package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"offhook/toast"
)

// clipboard copies through the terminal (OSC 52), which also works over SSH. A terminal does not tell whether it has obeyed:
// many ask, or refuse unless they are told otherwise. Only of those that obey as they come is it said that something is
// copied.
type clipboard struct {
	mux    toast.Mux
	obeys  bool
	silent bool // the terminal would print the sequence, or does not know it for certain
}

// What is said of a copy.
const (
	saidCopied = "copied"
	saidSent   = "copy sent" // whether it has arrived only the terminal knows
)

func newClipboard(getenv func(string) string) clipboard {
	_, mux := toast.Detect(getenv)
	c := clipboard{mux: mux}
	term, program := getenv("TERM"), getenv("TERM_PROGRAM")
	switch {
	case mux != toast.NoMux: // the multiplexer may keep it from the terminal
	case term == "dumb" || term == "linux" || program == "Apple_Terminal":
		c.silent = true
	case getenv("KITTY_WINDOW_ID") != "" || term == "xterm-kitty", program == "WezTerm", program == "ghostty" || term == "xterm-ghostty",
		strings.HasPrefix(term, "foot"), strings.HasPrefix(term, "alacritty") || getenv("ALACRITTY_WINDOW_ID") != "", getenv("WT_SESSION") != "":
		c.obeys = true
	}
	return c
}

// copy puts a text into the clipboard, and says what can be said about it.
//
// tmux takes the sequence itself if its option set-clipboard is on, and hands a wrapped one to the terminal if
// allow-passthrough is. Both are sent, for each has people who have set only that one. GNU screen knows only the wrapped one.
func (c clipboard) copy(text string) (cmd tea.Cmd, said string) {
	if c.silent {
		return nil, ""
	}
	sequence := ansi.SetSystemClipboard(text)
	switch c.mux {
	case toast.Tmux:
		sequence += ansi.TmuxPassthrough(sequence)
	case toast.Screen:
		sequence = ansi.ScreenPassthrough(sequence, 0)
	case toast.NoMux:
	}
	if c.obeys {
		said = saidCopied
	} else {
		said = saidSent
	}
	return tea.Raw(sequence), said
}
