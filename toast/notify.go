package toast

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Notifier tells a person who does not see the program of a toast.
type Notifier interface {
	Notify(Toast) error
}

// Method is a way to make a terminal notify.
type Method string

// Methods.
const (
	Silent Method = "none"
	Bell   Method = "bell"
	OSC9   Method = "osc9"   // ESC ] 9 ; text ST
	OSC777 Method = "osc777" // ESC ] 777 ; notify ; title ; text ST
	OSC99  Method = "osc99"  // the kitty desktop notification protocol
)

// ParseMethod reads a Method from a configuration. "" and "auto" give Silent and false: ask Detect.
func ParseMethod(s string) (m Method, chosen bool, err error) {
	switch m = Method(strings.ToLower(strings.TrimSpace(s))); m {
	case "", "auto":
		return Silent, false, nil
	case Silent, Bell, OSC9, OSC777, OSC99:
		return m, true, nil
	}
	return Silent, false, fmt.Errorf("no notification method %q: use auto, none, bell, osc9, osc777 or osc99", s)
}

// Mux is a terminal multiplexer between the program and the terminal.
type Mux string

// Multiplexers. tmux passes wrapped sequences on if allow-passthrough is set; its bell needs no wrapping.
const (
	NoMux  Mux = ""
	Tmux   Mux = "tmux"
	Screen Mux = "screen"
)

// Detect reads from the environment what the terminal understands. What it does not know rings the bell.
func Detect(getenv func(string) string) (Method, Mux) {
	mux := NoMux
	switch {
	case getenv("TMUX") != "":
		mux = Tmux
	case getenv("STY") != "":
		mux = Screen
	}
	term, program := getenv("TERM"), getenv("TERM_PROGRAM")
	switch {
	case getenv("KITTY_WINDOW_ID") != "" || term == "xterm-kitty":
		return OSC99, mux
	case program == "iTerm.app" || getenv("LC_TERMINAL") == "iTerm2":
		return OSC9, mux
	case program == "WezTerm" || program == "ghostty" || getenv("GHOSTTY_RESOURCES_DIR") != "":
		return OSC777, mux
	case strings.HasPrefix(term, "foot") || strings.HasPrefix(term, "rxvt-unicode") || term == "xterm-ghostty":
		return OSC777, mux
	case term == "dumb" || term == "":
		return Silent, mux
	}
	return Bell, mux
}

// Terminal notifies through the escape sequences of the terminal behind Out.
type Terminal struct {
	Out    io.Writer
	Method Method
	Mux    Mux
}

// Notify writes one notification.
func (n Terminal) Notify(t Toast) error {
	_, err := io.WriteString(n.Out, n.sequence(t))
	return err
}

// Bounds of what enters a sequence, in runes. Terminals cut or drop longer ones.
const (
	maxTitle = 80
	maxBody  = 240
)

func (n Terminal) sequence(t Toast) string {
	title, body := clean(title(t), maxTitle), clean(t.Text, maxBody)
	switch n.Method {
	case Bell:
		return "\a"
	case OSC9:
		// The text must not begin with a number and a semicolon, which other terminals take as a command; the title
		// in front sees to that.
		return n.wrap("\x1b]9;"+title+": "+body+"\x1b\\") + n.bell()
	case OSC777:
		// A semicolon would end the title.
		return n.wrap("\x1b]777;notify;"+strings.ReplaceAll(title, ";", ",")+";"+body+"\x1b\\") + n.bell()
	case OSC99:
		// Base64 (e=1) keeps every byte of the text out of the terminal's grammar. d=0 says that more follows.
		id, b64 := identifier(t.ID), base64.StdEncoding
		return n.wrap("\x1b]99;i="+id+":d=0:e=1:p=title;"+b64.EncodeToString([]byte(title))+"\x1b\\") +
			n.wrap("\x1b]99;i="+id+":d=1:e=1:p=body;"+b64.EncodeToString([]byte(body))+"\x1b\\") + n.bell()
	default:
		return ""
	}
}

// Withdraw takes the notification of a toast back where the terminal can do that.
func (n Terminal) Withdraw(id string) error {
	if n.Method != OSC99 {
		return nil
	}
	_, err := io.WriteString(n.Out, n.wrap("\x1b]99;i="+identifier(id)+":p=close;\x1b\\"))
	return err
}

// bell makes a multiplexer mark the window, whatever becomes of the wrapped sequence.
func (n Terminal) bell() string {
	if n.Mux == NoMux {
		return ""
	}
	return "\a"
}

// screenChunk is what GNU screen accepts in one string.
const screenChunk = 512

func (n Terminal) wrap(seq string) string {
	switch n.Mux {
	case Tmux:
		return "\x1bPtmux;" + strings.ReplaceAll(seq, "\x1b", "\x1b\x1b") + "\x1b\\"
	case Screen:
		// The first ESC \ inside would end the wrapper, so it is split between two of them.
		var b strings.Builder
		for part := range strings.SplitSeq(strings.ReplaceAll(seq, "\x1b\\", "\x1b\x00\\"), "\x00") {
			for len(part) > 0 {
				cut := min(screenChunk, len(part))
				for cut < len(part) && cut > 0 && !utf8.RuneStart(part[cut]) {
					cut--
				}
				b.WriteString("\x1bP" + part[:cut] + "\x1b\\")
				part = part[cut:]
			}
		}
		return b.String()
	default:
		return seq
	}
}

func title(t Toast) string {
	switch t.Kind {
	case Call:
		return "Call from " + t.From
	case Ringback:
		return "Back from park: " + t.From
	case Missed:
		return "Missed: " + t.From
	default:
		return "IM from " + t.From
	}
}

// clean makes s fit for one line inside an escape sequence: no control characters of either set, no direction marks,
// valid UTF-8, at most limit runes.
func clean(s string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			r = ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
			continue
		}
		if n == limit-1 {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r) // an invalid byte has become U+FFFD
		n++
	}
	return strings.TrimSpace(b.String())
}

// identifier keeps of s what the kitty protocol allows in an identifier.
func identifier(s string) string {
	id := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("-_+.", r)) {
			return r
		}
		return -1
	}, s)
	return "offhook-" + id[:min(40, len(id))]
}

// Limited passes at most burst notifications at once, and one more per interval, to its Notifier. What it holds back is
// counted in the next one, so a flood of messages rings a few times and not a thousand.
type Limited struct {
	to       Notifier
	interval time.Duration
	burst    int

	// Owned by the caller's goroutine, as the Queue is.
	tokens float64
	last   time.Time
	held   int
}

// NewLimited wraps to.
func NewLimited(to Notifier, interval time.Duration, burst int) *Limited {
	return &Limited{to: to, interval: interval, burst: burst, tokens: float64(burst)}
}

// Notify passes t on, or counts it. The time is t.Shown.
func (l *Limited) Notify(t Toast) error {
	if !l.last.IsZero() {
		l.tokens = min(float64(l.burst), l.tokens+float64(t.Shown.Sub(l.last))/float64(l.interval))
	}
	l.last = t.Shown
	if l.tokens < 1 {
		l.held++
		return nil
	}
	l.tokens--
	if l.held > 0 {
		t.Text = fmt.Sprintf("(and %d more) %s", l.held, t.Text)
		l.held = 0
	}
	return l.to.Notify(t)
}
