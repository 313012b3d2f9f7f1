package ui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/toast"
)

// At most notifyBurst notifications at once, and one more each notifyEvery.
const (
	notifyBurst = 3
	notifyEvery = 5 * time.Second
)

// notifications tells a person who looks elsewhere, through the terminal. Escape sequences must not cross those of the
// frame being drawn, so they go out by Bubble Tea's own writer. A nil *notifications is silent.
type notifications struct {
	terminal toast.Terminal
	limited  *toast.Limited
	out      strings.Builder // what the last call wrote
}

func newNotifications(method toast.Method, mux toast.Mux) *notifications {
	n := &notifications{}
	n.terminal = toast.Terminal{Out: &n.out, Method: method, Mux: mux}
	n.limited = toast.NewLimited(n.terminal, notifyEvery, notifyBurst)
	return n
}

func (n *notifications) show(t toast.Toast) tea.Cmd {
	if n == nil {
		return nil
	}
	_ = n.limited.Notify(t) // a strings.Builder does not fail
	return n.flush()
}

// ring tells of a call, unless the person looks. No flood of messages may use up what a call needs.
func (n *notifications) ring(t toast.Toast, looking bool) tea.Cmd {
	if n == nil || looking {
		return nil
	}
	_ = n.terminal.Notify(t)
	return n.flush()
}

func (n *notifications) withdraw(id string) tea.Cmd {
	if n == nil {
		return nil
	}
	_ = n.terminal.Withdraw(id)
	return n.flush()
}

func (n *notifications) flush() tea.Cmd {
	text := n.out.String()
	n.out.Reset()
	if text == "" {
		return nil
	}
	return tea.Raw(text)
}
