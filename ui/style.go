package ui

import (
	"charm.land/lipgloss/v2"
)

// theme is the few styles in use. Only the sixteen colours that a terminal's own palette defines appear, so a person's
// light, dark or high-contrast scheme applies here as well. NO_COLOR takes the colours and leaves bold and reverse
// (Bubble Tea's output does that), so nothing may be told by colour alone.
type theme struct {
	plain    lipgloss.Style
	bar      lipgloss.Style // title and status rows
	heading  lipgloss.Style // section headings of the list, date lines
	dim      lipgloss.Style // times, delivery status, hints
	me       lipgloss.Style
	peer     lipgloss.Style
	notice   lipgloss.Style // "--" lines
	marker   lipgloss.Style // the "new" line
	current  lipgloss.Style // the row of the current window
	active   lipgloss.Style // rows with something unread
	alert    lipgloss.Style // failures, lost registration, what must be seen of a call
	call     lipgloss.Style // the call bar
	toast    lipgloss.Style // box of a toast
	match    lipgloss.Style // found text, selected line
	presence map[byte]lipgloss.Style
}

func newTheme(dark bool) theme {
	ink := func(colour string) lipgloss.Style { return lipgloss.NewStyle().Foreground(lipgloss.Color(colour)) }
	// Bright black is unreadable on many light schemes; there the faint attribute does it.
	dim := lipgloss.NewStyle().Faint(true)
	if dark {
		dim = ink("8")
	}
	bold := lipgloss.NewStyle().Bold(true)
	return theme{
		plain:   lipgloss.NewStyle(),
		bar:     lipgloss.NewStyle().Reverse(true),
		heading: bold,
		dim:     dim,
		me:      ink("6"),
		peer:    ink("2").Bold(true),
		notice:  dim,
		marker:  ink("1").Bold(true),
		current: bold.Reverse(true),
		active:  ink("3").Bold(true),
		alert:   ink("1").Bold(true),
		call:    ink("2").Bold(true),
		toast:   ink("3").Bold(true),
		match:   lipgloss.NewStyle().Reverse(true),
		presence: map[byte]lipgloss.Style{
			'A': ink("2"), 'B': ink("1"), 'D': ink("1").Bold(true), 'W': ink("3"), 'C': ink("5"), '-': dim, '?': dim,
		},
	}
}

// presenceLetter is how an availability is shown everywhere.
func presenceLetter(availability string) byte {
	switch availability {
	case "available":
		return 'A'
	case "busy":
		return 'B'
	case "dnd":
		return 'D'
	case "away":
		return 'W'
	case "offline":
		return '-'
	default:
		return '?'
	}
}

// presenceWord is an availability for people.
func presenceWord(availability string) string {
	switch availability {
	case "available":
		return "Available"
	case "busy":
		return "Busy"
	case "dnd":
		return "Do not disturb"
	case "away":
		return "Away"
	case "offline":
		return "Offline"
	default:
		return "Unknown"
	}
}
