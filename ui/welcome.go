package ui

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	tea "charm.land/bubbletea/v2"
)

// Welcome shows the lines of cfg.Welcome where there is no account yet, until a key is pressed. Where the output is no
// terminal it prints them.
func Welcome(ctx context.Context, cfg Config) error {
	out := cfg.Output
	if out == nil {
		out = os.Stdout
	}
	if !isTerminal(out) {
		_, err := io.WriteString(out, strings.Join(cfg.Welcome, "\n")+"\n")
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP, syscall.SIGTERM, os.Interrupt)
	defer stop()
	if _, err := tea.NewProgram(newWelcome(cfg.Welcome), append(programOptions(cfg), tea.WithContext(ctx))...).Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("terminal UI: %w", err)
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// welcome is the screen without an account.
type welcome struct {
	lines         []string
	width, height int
	theme         theme
}

func newWelcome(lines []string) *welcome {
	return &welcome{lines: lines, width: 80, height: 24, theme: newTheme(true)}
}

func (w *welcome) Init() tea.Cmd { return tea.RequestBackgroundColor }

func (w *welcome) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		w.width, w.height = msg.Width, msg.Height
	case tea.BackgroundColorMsg:
		w.theme = newTheme(msg.IsDark())
	case tea.KeyPressMsg:
		return w, tea.Quit
	}
	return w, nil
}

func (w *welcome) View() tea.View {
	v := tea.NewView(strings.Join(w.screen(), "\n"))
	v.AltScreen = true
	v.WindowTitle = "offhook"
	return v
}

func (w *welcome) screen() []string {
	rows := []string{w.theme.bar.Render(fit(" offhook", w.width))}
	for _, line := range w.lines {
		wrapped, _ := wrap(line, w.width-4, w.height)
		for _, row := range wrapped {
			rows = append(rows, fit("  "+row, w.width))
		}
	}
	for len(rows) < w.height-1 {
		rows = append(rows, strings.Repeat(" ", w.width))
	}
	return append(rows[:max(0, w.height-1)], w.theme.dim.Render(fit(" any key leaves", w.width)))
}
