package malgo

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"offhook/internal/plaintext"
)

// prefixHex marks an id that is not text: a number, or two bytes a character.
const prefixHex = "hex:"

// idText is what an id is called outside of this package. Most backends use names, which are stable and say something to
// people ("alsa_input.usb-Jabra…"); others are given in hexadecimal digits.
func idText(id []byte) string {
	text := strings.TrimRight(string(id), "\x00")
	if text != "" && utf8.ValidString(text) && plaintext.Line(text, len(id)) == text && !strings.HasPrefix(text, prefixHex) {
		return text
	}
	return prefixHex + hex.EncodeToString([]byte(text))
}

// idBytes is the inverse of idText. It reports false for what can be no id.
func idBytes(id []byte, text string) bool {
	raw := []byte(text)
	if digits, ok := strings.CutPrefix(text, prefixHex); ok {
		var err error
		if raw, err = hex.DecodeString(digits); err != nil {
			return false
		}
	}
	if len(raw) >= len(id) {
		return false
	}
	clear(id)
	copy(id, raw)
	return true
}

// pseudo are what ALSA lists besides cards: plugins that convert, mix or lose sound. Cards have ids like ":0,0".
var pseudo = []string{
	"null", "lavrate", "samplerate", "samplerate_best", "speexrate", "speexrate_best", "jack", "oss", "upmix", "vdownmix",
	"a52", "dca", "speex", "usbstream",
}

// isPseudo reports whether an ALSA device is none that anybody would choose.
func isPseudo(id string) bool {
	word, _, _ := strings.Cut(id, ":")
	return slices.Contains(pseudo, word)
}
