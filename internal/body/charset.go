package body

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// decodeCharset converts text of the character sets met in the wild to UTF-8. Invalid UTF-8 is left as it is.
func decodeCharset(charset string, b []byte) (string, error) {
	switch strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return string(b), nil
	case "iso-8859-1", "latin1":
		out := make([]rune, len(b))
		for i, c := range b {
			out[i] = rune(c)
		}
		return string(out), nil
	case "utf-16", "utf-16le", "utf-16be":
		return decodeUTF16(charset, b), nil
	default:
		return "", fmt.Errorf("%w: character set %q is not supported", ErrMalformed, charset)
	}
}

// decodeUTF16 reads UTF-16, by its byte order mark if it has one, otherwise little-endian unless the name says not.
func decodeUTF16(charset string, b []byte) string {
	var order binary.ByteOrder = binary.LittleEndian
	if strings.EqualFold(charset, "utf-16be") {
		order = binary.BigEndian
	}
	if len(b) >= 2 {
		switch {
		case b[0] == 0xff && b[1] == 0xfe:
			order, b = binary.LittleEndian, b[2:]
		case b[0] == 0xfe && b[1] == 0xff:
			order, b = binary.BigEndian, b[2:]
		}
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}
