package render

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// escape makes a string from a resource or a request safe to show on a terminal.
//
//  1. What prints stays as it is, the ASCII space included.
//  2. What does not print shows as Go would write it: \n, \u001b, \u202e. That is control
//     characters, bidirectional overrides, zero-width characters, odd spaces, line separators.
//  3. A byte that is not UTF-8 shows as \x9b.
//
// Terminal escape sequences in untrusted text: kubernetes/kubernetes#101695.
func escape(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unprintable(r) && r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		case unprintable(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// Escape makes a text of one line safe to show on a terminal.
func Escape(s string) string { return escape(s) }

// MarshalSafe is the value as a JSON text that [EscapeJSON] made safe. A MarshalJSON that calls it hands over a type without that method.
func MarshalSafe(value any) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return EscapeJSON(data), nil
}

// EscapeJSON makes a JSON text safe to show on a terminal, without changing what it says, and takes tokens out.
func EscapeJSON(data []byte) []byte { return escapeJSON(trace.Redact(data)) }

// EscapeLines makes a text safe to show on a terminal as escape does, and leaves its line breaks: errors
// and warnings quote files, names and servers.
func EscapeLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = escape(line)
	}
	return strings.Join(lines, "\n")
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// escapeJSON writes what does not print in a JSON text as \uXXXX. The document
// stays the same: outside ASCII a JSON text has characters only in strings. encoding/json itself
// escapes the C0 controls and leaves the C1 controls and the bidirectional overrides.
func escapeJSON(data []byte) []byte {
	const del = '\x7f'
	hostile := func(r rune) bool { return r >= del && unprintable(r) }
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case !hostile(r):
			out = append(out, data[i:i+size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += size
	}
	return out
}
