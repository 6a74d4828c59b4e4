package trace

import (
	"bytes"
	"regexp"
	"unicode/utf8"
)

// encoded are the parts of a text that could be a token: base64url with dots between.
var encoded = regexp.MustCompile(`[\w-]{8,}(?:\.[\w-]*)*|[\w-]+(?:\.[\w-]*)+`)

// Redact takes tokens out of what is printed, wherever they stand: in a header, in the actual value of a condition,
// in a header that a RequestAuthentication writes the payload to, in a hint. What has a JSON object in base64url
// in it is one. Single claims stay: they explain.
func Redact(text []byte) []byte {
	return encoded.ReplaceAllFunc(text, func(found []byte) []byte {
		for part := range bytes.SplitSeq(found, []byte(".")) {
			if hasObject(part) {
				return []byte("…")
			}
		}
		return found
	})
}

// hasObject reports whether a JSON object in base64url begins somewhere in the text: with "ey", or "ew" where a blank follows
// its brace. By chance such letters stand in names, but what follows is then no text, or no key of an object.
func hasObject(text []byte) bool {
	for i := range text {
		if i+8 > len(text) || text[i] != 'e' || text[i+1] != 'y' && text[i+1] != 'w' {
			continue
		}
		whole := text[i:]
		if len(whole)%4 == 1 { // no text has that length
			whole = whole[:len(whole)-1]
		}
		if object, err := decodeSegment(string(whole)); err == nil && utf8.Valid(object) && hasKey(object) {
			return true
		}
	}
	return false
}

// hasKey reports whether a text begins as an object with a key does.
func hasKey(object []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(object, []byte("{")), " \t\r\n"), []byte(`"`))
}
