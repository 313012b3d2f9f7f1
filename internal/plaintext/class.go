package plaintext

import "unicode"

// class says what happens to a rune.
type class int

const (
	plain    class = iota // stays
	mark                  // combines with what stands before it
	selector              // selects a variant of what stands before it
	joiner                // ZWJ and ZWNJ
	space                 // the ASCII space
	newline               // everything that begins a new line
	tab                   // becomes spaces
	bidi                  // becomes its visible name
	replaced              // becomes U+FFFD
	dropped               // goes
)

func classify(r rune) class {
	switch {
	case r == ' ':
		return space
	case r > ' ' && r <= '~':
		return plain
	case r == '\n', r == '\r', r == '\v', r == '\f', r == 0x85, r == 0x2028, r == 0x2029:
		return newline
	case r == '\t':
		return tab
	case r < ' ', r >= 0x7f && r <= 0x9f:
		return dropped
	case r == 0x200c, r == 0x200d:
		return joiner
	case r == 0x3164, r == 0xffa0: // Hangul fillers: letters that look like nothing
		return space
	case r == 0x115f, r == 0x1160: // and those that do not even take room
		return dropped
	case unicode.IsLetter(r):
		return plain
	case unicode.Is(bidiControls, r):
		return bidi
	case unicode.Is(unicode.Variation_Selector, r):
		return selector
	case unicode.Is(invisible, r):
		return dropped
	case unicode.Is(unicode.Cf, r) && !unicode.Is(visibleFormat, r):
		return dropped
	case unicode.In(r, unicode.Mn, unicode.Me):
		return mark
	case unicode.IsGraphic(r), unicode.Is(visibleFormat, r):
		return plain
	default: // private use, surrogates, noncharacters, code points that nobody has assigned
		return replaced
	}
}

// joinable reports whether a joiner beside r can mean something: scripts that join, and emoji sequences.
func joinable(r rune) bool {
	return r > '~' && unicode.In(r, unicode.L, unicode.M, unicode.So, unicode.Sk, joiningSigns)
}

func runes(ranges ...rune) *unicode.RangeTable {
	t := &unicode.RangeTable{}
	for i := 0; i < len(ranges); i += 2 {
		t.R32 = append(t.R32, unicode.Range32{Lo: uint32(ranges[i]), Hi: uint32(ranges[i+1]), Stride: 1})
	}
	return t
}

// Immutable tables, in code point order as unicode.Is needs them.
var (
	bidiControls = runes(0x061c, 0x061c, 0x200e, 0x200f, 0x202a, 0x202e, 0x2066, 0x2069)
	// invisible are characters without a glyph that are no format controls by category.
	invisible = runes(0x034f, 0x034f, 0x17b4, 0x17b5, 0x2065, 0x2065, 0xe0000, 0xe00ff,
		0xe01f0, 0xe0fff)
	// visibleFormat are format controls that draw something: Arabic and Kaithi number signs and the like.
	visibleFormat = runes(0x0600, 0x0605, 0x06dd, 0x06dd, 0x070f, 0x070f, 0x0890, 0x0891, 0x08e2, 0x08e2,
		0x110bd, 0x110bd, 0x110cd, 0x110cd)
	// joiningSigns are in emoji sequences, but symbols of another category: left-right arrow.
	joiningSigns = runes(0x2194, 0x2194)
)
