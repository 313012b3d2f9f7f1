package session

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
)

// acceptTypes is what a session here takes, for SDP and for the Accept header of a 415.
var acceptTypes = []string{body.TypeText, "multipart/alternative", body.TypeIsComposing}

// errUnsupportedType is answered with 415.
var errUnsupportedType = errors.New("content type is not supported")

// maxParts bounds the parts of a multipart body that are looked at.
const maxParts = 16

// content is a body that has been understood: a text, or the news that somebody types.
type content struct {
	text      string // decoded, not yet cleaned
	composing *body.IsComposing
}

// readContent reads the body of a MESSAGE. Only plain text is ever rendered; of several renderings of the same text the
// plain one is taken (RFC 2046 §5.1.4).
func readContent(req *sip.Request) (content, error) {
	contentType := body.TypeText // RFC 3428 §4 leaves it to the sender; text is what there is without it
	if h := req.ContentType(); h != nil {
		contentType = h.Value()
	}
	return readPart(contentType, req.Body(), 0)
}

func readPart(contentType string, b []byte, depth int) (content, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return content{}, errUnsupportedType
	}
	switch {
	case kind == body.TypeText:
		text, err := decodeText(params["charset"], b)
		return content{text: text}, err
	case kind == body.TypeIsComposing:
		c, err := body.ParseIsComposing(b)
		return content{composing: &c}, err
	case strings.HasPrefix(kind, "multipart/") && depth == 0:
		part, ok := findPart(b, params["boundary"], body.TypeText)
		if !ok {
			return content{}, errUnsupportedType
		}
		return readPart(part.contentType, part.body, depth+1)
	default:
		return content{}, errUnsupportedType
	}
}

// decodeText makes UTF-8 of the character sets that are met. Invalid UTF-8 is left to the cleaning.
func decodeText(charset string, b []byte) (string, error) {
	switch strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii":
		return string(b), nil
	case "iso-8859-1":
		runes := make([]rune, len(b))
		for i, c := range b {
			runes[i] = rune(c)
		}
		return string(runes), nil
	default:
		return "", errUnsupportedType
	}
}

type part struct {
	contentType string
	body        []byte
}

// findPart returns the first part of a multipart body that has the type kind.
func findPart(b []byte, boundary, kind string) (part, bool) {
	if boundary == "" {
		return part{}, false
	}
	parts := multipart.NewReader(bytes.NewReader(b), boundary)
	for range maxParts {
		p, err := parts.NextRawPart()
		if err != nil {
			return part{}, false
		}
		contentType := p.Header.Get("Content-Type")
		if contentType == "" {
			contentType = body.TypeText // RFC 2046 §5.1
		}
		if got, _, err := mime.ParseMediaType(contentType); err != nil || got != kind {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(p, body.MaxSize))
		return part{contentType, data}, err == nil
	}
	return part{}, false
}
