package plaintext

import (
	"strings"
	"unicode/utf8"
)

const (
	// maxControl bounds a control sequence, maxString the payload of a string sequence, in bytes: clipboard and image
	// sequences are long. maxOpen bounds what is removed of a string that is never terminated.
	maxControl = 256
	maxString  = 64 << 10
	maxOpen    = 256
)

// sequence returns the length of the escape sequence that s begins with, or 0. It knows the 7-bit forms (ESC and a
// letter) and the 8-bit forms, both as UTF-8 and as single bytes; ECMA-48 §5.
func sequence(s string) int {
	if s[0] == 0x1b {
		return 1 + escape(s[1:])
	}
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 {
		r = rune(s[0])
	}
	switch r {
	case 0x9b: // CSI
		return n + control(s[n:])
	case 0x90, 0x98, 0x9d, 0x9e, 0x9f: // DCS, SOS, OSC, PM, APC
		return n + stringLen(s[n:])
	default:
		return 0
	}
}

// escape measures what follows ESC.
func escape(s string) int {
	if s == "" {
		return 0
	}
	switch s[0] {
	case '[':
		return 1 + control(s[1:])
	case 'P', 'X', ']', '^', '_', 'k': // k sets the title in screen and tmux
		return 1 + stringLen(s[1:])
	}
	n := 0
	for n < len(s) && n < maxControl && s[n] >= 0x20 && s[n] <= 0x2f {
		n++
	}
	if n < len(s) && s[n] >= 0x30 && s[n] <= 0x7e {
		return n + 1
	}
	return n
}

// control measures parameters, intermediates and the final byte of a control sequence.
func control(s string) int {
	n := 0
	for n < len(s) && n < maxControl && s[n] >= 0x20 && s[n] <= 0x3f {
		n++
	}
	if n < len(s) && s[n] >= 0x40 && s[n] <= 0x7e {
		return n + 1
	}
	return n
}

// stringLen measures a payload up to and with its terminator: ST in one of its forms, or BEL. Another control that a
// terminal would abort the string at ends it without being part of it; so no byte is searched twice, however
// many sequences are begun.
func stringLen(s string) int {
	search := s[:min(len(s), maxString)]
	for i := 0; i < len(search); i++ {
		switch c := search[i]; {
		case c == 0x07:
			return i + 1
		case c == 0x1b && strings.HasPrefix(search[i:], "\x1b\\"):
			return i + 2
		case c == 0xc2 && strings.HasPrefix(search[i:], "\u009c"):
			return i + 2
		case c >= 0x80 && c <= 0x9f && !continues(search, i):
			if c == 0x9c {
				return i + 1
			}
			return open(search[:i])
		case c == 0x1b, c == 0x18, c == 0x1a:
			return open(search[:i])
		case c == 0xc2 && i+1 < len(search) && search[i+1] >= 0x80 && search[i+1] <= 0x9f:
			return open(search[:i])
		}
	}
	return open(search)
}

// continues reports whether the byte at i lies inside of a UTF-8 character.
func continues(s string, i int) bool {
	for start := i; start >= max(0, i-3); start-- {
		if utf8.RuneStart(s[start]) {
			_, n := utf8.DecodeRuneInString(s[start:])
			return start+n > i && n > 1
		}
	}
	return false
}

// open measures what is removed of a string without a terminator: a line, at most maxOpen bytes, whole characters.
func open(s string) int {
	n := len(s)
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		n = i
	}
	if n > maxOpen {
		n = maxOpen
		for n > maxOpen-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n--
		}
	}
	return n
}
