package body

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// TextFormat is the toast header of an IM INVITE: `text/plain; charset=UTF-8; ms-body=<base64>`. Clients of the Lync
// family send it as Ms-Text-Format, and other renderings of the same text as ms-im-format.
type TextFormat struct {
	ContentType string // text/plain
	Text        string // decoded, not yet cleaned
}

// ParseTextFormat reads an Ms-Text-Format or ms-im-format value; bodies over limit bytes are refused. Parameters besides
// charset and ms-body are ignored, among them msgr, which holds a font.
func ParseTextFormat(v string, limit int) (TextFormat, error) {
	kind, rest, _ := strings.Cut(v, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	major, minor, ok := strings.Cut(kind, "/")
	if !ok || !isToken(major) || !isToken(minor) {
		return TextFormat{}, fmt.Errorf("%w: text format %.40q has no content type", ErrMalformed, v)
	}
	charset, encoded, found := "", "", false
	for param := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(param, "=")
		value = unquote(strings.TrimSpace(value))
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "charset":
			charset = value
		case "ms-body":
			encoded, found = value, true
		}
	}
	if !found {
		return TextFormat{}, fmt.Errorf("%w: text format without ms-body", ErrMalformed)
	}
	raw, err := decodeBase64(encoded, limit)
	if err != nil {
		return TextFormat{}, err
	}
	text, err := decodeCharset(charset, raw)
	if err != nil {
		return TextFormat{}, err
	}
	return TextFormat{ContentType: kind, Text: text}, nil
}

// decodeBase64 takes base64 with or without padding.
func decodeBase64(s string, limit int) ([]byte, error) {
	s = strings.TrimRight(s, "=")
	if base64.RawStdEncoding.DecodedLen(len(s)) > limit {
		return nil, fmt.Errorf("%w: text over %d bytes in a header", ErrTooLarge, limit)
	}
	b, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: ms-body: %w", ErrMalformed, err)
	}
	return b, nil
}

// String writes the header value.
func (f TextFormat) String() string {
	kind := f.ContentType
	if major, minor, _ := strings.Cut(kind, "/"); !isToken(major) || !isToken(minor) {
		kind = TypeText
	}
	return kind + "; charset=UTF-8; ms-body=" + base64.StdEncoding.EncodeToString([]byte(f.Text))
}
