package ui

import (
	"slices"
	"strconv"

	tea "charm.land/bubbletea/v2"
)

// where a key works.
type where int

const (
	everywhere where = iota // also while a box is open
	inLine                  // in the input line of a conversation
	inEditor                // in any line that is being written, a box's too
)

// binding is a key, or a command, with what it does. The handler, the hint row, F1 and docs/keys.md read the same table.
type binding struct {
	keys    []string // as Bubble Tea names them
	shown   string   // as people write them; "" if there is none
	twin    string   // what follows Ctrl-X, as Bubble Tea names it; "" if there is none
	command string   // as typed; "" if there is none
	group   string   // heading in the help
	help    string
	hint    string              // word in the hint row and after Ctrl-X; "" if it does not stand there
	shows   func(*model) string // the word in the hint row now, "" for none; nil: hint
	where   where
	do      func(*model) tea.Cmd
	why     func(*model) string // why it cannot be done now; nil: it always can
}

// Headings of the help.
const (
	groupCalls   = "CALLS"
	groupPark    = "PARKING"
	groupWindows = "WINDOWS"
	groupTyping  = "TYPING"
	groupProgram = "PROGRAM"
)

// bindings is the table.
func bindings() []binding {
	table := []binding{
		{
			keys: []string{"f1"}, shown: "F1", twin: "?", command: "/help", group: groupProgram, hint: "Help",
			help: "keys and commands; type to filter, Enter runs the line", do: (*model).openHelp,
		},
		{
			keys: []string{"esc"}, shown: "Esc", group: groupProgram,
			help: "close the top box; dismiss the toast, which answers nothing", do: (*model).escape,
		},
	}
	table = append(table, callBindings()...)
	table = append(table, windowBindings()...)
	table = append(table, lineBindings()...)
	return append(table, editBindings()...)
}

func windowBindings() []binding {
	table := []binding{
		{shown: "Alt-1..0", keys: altDigits(), twin: "g", command: "/win n", group: groupWindows, help: "window 1 to 10 (Ctrl-X g n)"},
		{
			keys: []string{"alt+a"}, shown: "Alt-a", twin: "j", command: "/win next", group: groupWindows, hint: "next unread", shows: idleHint("next unread"),
			help: "next window with something new, the most urgent first", do: (*model).nextActive,
		},
		{
			keys: []string{"ctrl+n", "alt+right"}, shown: "Ctrl-N", command: "/win +1", group: groupWindows,
			help: "next window", do: func(m *model) tea.Cmd { return m.show(m.windows.next(1)) },
		},
		{
			keys: []string{"ctrl+p", "alt+left"}, shown: "Ctrl-P", command: "/win -1", group: groupWindows,
			help: "previous window", do: func(m *model) tea.Cmd { return m.show(m.windows.next(-1)) },
		},
		{
			keys: []string{"ctrl+k"}, shown: "Ctrl-K", twin: "l", command: "/win name", group: groupWindows, where: inLine, hint: "jump", shows: idleHint("jump"),
			help: "jump by name, if the line is empty; else cut to its end", do: (*model).jumpOrKill,
		},
		{
			keys: []string{"pgup"}, shown: "PgUp", twin: "pgup", group: groupWindows,
			help: "scroll up", do: func(m *model) tea.Cmd { return m.page(-1) },
		},
		{
			keys: []string{"pgdown"}, shown: "PgDn", twin: "pgdown", group: groupWindows,
			help: "scroll down", do: func(m *model) tea.Cmd { return m.page(1) },
		},
		{
			keys: []string{"alt+end"}, shown: "Alt-End", twin: "end", group: groupWindows,
			help: "newest line; End does it too if the line is empty", do: (*model).newest,
		},
		{
			keys: []string{"alt+u"}, shown: "Alt-u", twin: "f", command: "/unread", group: groupWindows,
			help: "first unread line", do: (*model).firstUnread, why: (*model).unreadWhy,
		},
		{
			keys: []string{"ctrl+s"}, shown: "Ctrl-S", twin: "/", command: "/search text", group: groupWindows, where: inLine,
			help: "search in this conversation; /search -all everywhere", do: func(m *model) tea.Cmd { return m.prefill("/search ") },
		},
	}
	for i, key := range altDigits() {
		n := (i + 1)
		table = append(table, binding{keys: []string{key}, do: func(m *model) tea.Cmd { return m.showNumber(n) }})
	}
	table[0].keys = nil // its digits are bound one by one above
	return table
}

func altDigits() []string {
	var keys []string
	for n := 1; n <= 10; n++ {
		keys = append(keys, "alt+"+strconv.Itoa(n%10))
	}
	return keys
}

func lineBindings() []binding {
	return []binding{
		{keys: []string{"enter"}, shown: "Enter", group: groupTyping, where: inLine, help: "send the line, or run the command", do: (*model).enter},
		{
			keys: []string{"alt+enter", "ctrl+j", "shift+enter"}, shown: "Alt-Enter", group: groupTyping, where: inLine,
			help: "new line; Ctrl-J does it too", do: func(m *model) tea.Cmd { return m.insert("\n") },
		},
		{
			keys: []string{"tab"}, shown: "Tab", group: groupTyping, where: inLine,
			help: "complete a command, a contact, a window; again for the next", do: func(m *model) tea.Cmd { return m.completeNext(1) },
		},
		{keys: []string{"shift+tab"}, group: groupTyping, where: inLine, do: func(m *model) tea.Cmd { return m.completeNext(-1) }},
		{
			keys: []string{"up"}, shown: "Up", group: groupTyping, where: inLine,
			help: "earlier line of the input history; Down goes back", do: (*model).lineUp,
		},
		{keys: []string{"down"}, group: groupTyping, where: inLine, do: (*model).lineDown},
		{
			keys: []string{"ctrl+r"}, shown: "Ctrl-R", group: groupTyping, where: inLine,
			help: "search the input history", do: (*model).openFind,
		},
		{command: "//text", group: groupTyping, help: "send text that begins with a slash"},
		{
			keys: []string{"alt+m"}, shown: "Alt-m", twin: "m", group: groupProgram,
			help: "mouse on or off; Shift selects text while it is on", do: (*model).toggleMouse,
		},
		{
			keys: []string{"ctrl+l"}, shown: "Ctrl-L", command: "/redraw", group: groupProgram,
			help: "redraw the screen", do: func(*model) tea.Cmd { return tea.ClearScreen },
		},
		{
			keys: []string{"ctrl+c"}, shown: "Ctrl-C", command: "/quit", group: groupProgram,
			help: "clear the line; on an empty line ask whether to quit", do: (*model).interrupt,
		},
	}
}

// editBindings are the keys of readline.
func editBindings() []binding {
	edit := func(keys []string, shown, help string, do func(*editor)) binding {
		return binding{
			keys: keys, shown: shown, group: groupTyping, help: help, where: inEditor,
			do: func(m *model) tea.Cmd {
				_, e := m.prompt()
				do(e)
				return m.edited()
			},
		}
	}
	return []binding{
		edit([]string{"ctrl+a", "home"}, "Ctrl-A", "start of the line", (*editor).home),
		edit([]string{"ctrl+e"}, "Ctrl-E", "end of the line", (*editor).end),
		{keys: []string{"end"}, where: inEditor, do: (*model).endKey},
		edit([]string{"ctrl+b", "left"}, "Ctrl-B", "one character left", (*editor).left),
		edit([]string{"ctrl+f", "right"}, "Ctrl-F", "one character right", (*editor).right),
		edit([]string{"alt+b", "ctrl+left"}, "Alt-b", "one word left", (*editor).wordLeft),
		edit([]string{"alt+f", "ctrl+right"}, "Alt-f", "one word right", (*editor).wordRight),
		edit([]string{"backspace", "ctrl+h"}, "", "", (*editor).backspace),
		edit([]string{"delete", "ctrl+d"}, "Ctrl-D", "delete the character under the cursor", (*editor).delete),
		edit([]string{"ctrl+w"}, "Ctrl-W", "cut the word to the left", (*editor).killSpacedLeft),
		edit([]string{"alt+backspace", "ctrl+backspace"}, "", "", (*editor).killWordLeft),
		edit([]string{"alt+d", "ctrl+delete"}, "Alt-d", "cut the word to the right", (*editor).killWordRight),
		edit([]string{"ctrl+u"}, "Ctrl-U", "cut to the start of the line", (*editor).killToStart),
		edit([]string{"ctrl+y"}, "Ctrl-Y", "paste what was cut", (*editor).yank),
		edit([]string{"ctrl+t"}, "Ctrl-T", "exchange two characters", (*editor).transpose),
		{keys: []string{"ctrl+_", "ctrl+/", "ctrl+z"}, shown: "Ctrl-_", group: groupTyping, help: "undo", where: inEditor, do: (*model).undo},
	}
}

// keymap is the table with an index by key and by twin.
type keymap struct {
	table []binding
	byKey map[string]*binding
	twins map[string]*binding
}

func newKeymap() keymap {
	km := keymap{table: bindings(), byKey: map[string]*binding{}, twins: map[string]*binding{}}
	for i := range km.table {
		b := &km.table[i]
		for _, k := range b.keys {
			km.byKey[k] = b
		}
		if b.twin != "" {
			km.twins[b.twin] = b
		}
	}
	return km
}

// onKey routes a key press: a begun pair, then keys that work everywhere, then the open box, then the line.
func (m *model) onKey(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	m.message = ""
	if m.prefix != "" {
		return m.onPair(name)
	}
	if name == "ctrl+x" {
		m.prefix = name
		return nil
	}
	if name != "tab" && name != "shift+tab" {
		m.complete = completion{}
	}
	b := m.keys.byKey[name]
	if m.overlay != nil && (b == nil || b.where != everywhere || slices.Contains(boxKeys, name)) {
		if cmd, done := m.overlay.key(m, name); done {
			return cmd
		}
		if b != nil && b.where == inLine {
			b = nil
		}
	}
	switch {
	case b != nil:
		return b.do(m)
	case k.Text != "":
		return m.insert(k.Text)
	}
	return nil
}

// boxKeys work everywhere, but an open box comes first.
var boxKeys = []string{"esc", "ctrl+c", "ctrl+n", "ctrl+p", "pgup", "pgdown"}

// onPair takes the key after Ctrl-X.
func (m *model) onPair(name string) tea.Cmd {
	before := m.prefix
	m.prefix = ""
	if name == "esc" || name == "ctrl+c" {
		return nil
	}
	if before == "ctrl+x g" {
		n, err := strconv.Atoi(name)
		if err != nil {
			m.message = "Ctrl-X g wants the number of a window"
			return nil
		}
		if n == 0 {
			n = 10
		}
		return m.showNumber(n)
	}
	b := m.keys.twins[name]
	switch {
	case b == nil && isDigit(name):
		return m.sendDigit(name)
	case b == nil:
		m.message = "no pair Ctrl-X " + name + ": Ctrl-X ? lists the keys"
		return nil
	case name == "g":
		m.prefix = "ctrl+x g"
		return nil
	}
	if b.where == inLine {
		m.overlay = nil
	}
	return b.do(m)
}
