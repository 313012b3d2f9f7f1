package codec

import (
	"strconv"
	"strings"
)

// param looks a parameter up in the value of a=fmtp, which is "name=value" pairs between semicolons.
func param(fmtp, name string) (string, bool) {
	for pair := range strings.SplitSeq(fmtp, ";") {
		key, value, _ := strings.Cut(pair, "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// flag reports whether a parameter is 1.
func flag(fmtp, name string) bool {
	value, _ := param(fmtp, name)
	return value == "1"
}

// number returns a parameter that is a positive number, or other.
func number(fmtp, name string, other int) int {
	value, _ := param(fmtp, name)
	if n, err := strconv.Atoi(value); err == nil && n > 0 {
		return n
	}
	return other
}
