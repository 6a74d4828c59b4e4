package render

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestEscape(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"plain", "GET /a b?c=d", "GET /a b?c=d"},
		{"letters of any script", "bücher/日本/שלום", "bücher/日本/שלום"},
		{"our own marks", "✓ ✗ · ! → … –", "✓ ✗ · ! → … –"},
		{"escape sequence", "\x1b[31mred", `\u001b[31mred`},
		{"C1 control sequence introducer", "\u009b31m", `\u009b31m`},
		{"line breaks and tabs", "a\nb\r\tc", `a\nb\r\tc`},
		{"bell, backspace, delete", "\a\b\x7f", `\u0007\u0008\u007f`},
		{"bidirectional override", "a\u202egpj.exe", `a\u202egpj.exe`},
		{"bidirectional isolate", "\u2066x\u2069", `\u2066x\u2069`},
		{"zero width and odd spaces", "a\u200bb\u00a0c\ufeff", `a\u200bb\u00a0c\ufeff`},
		{"line and paragraph separators", "a\u2028b\u2029", `a\u2028b\u2029`},
		{"invisible tags", "\U000e0041", `\U000e0041`},
		{"not UTF-8", "a\x9b31m\xff", `a\x9b31m\xff`},
		{"the replacement character itself", "\ufffd", "\ufffd"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, escape(tc.in)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestEscapeJSON(t *testing.T) {
	in := "\x1b[31m \u009b \u202e \x7f \U000e0041 日本 \" \\ \n"
	data, err := json.Marshal(map[string]string{"k": in})
	if err != nil {
		t.Fatal(err)
	}
	escaped := escapeJSON(data)
	if i := strings.IndexFunc(string(escaped), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("%q does not print at %d", escaped, i)
	}
	if !strings.Contains(string(escaped), "日本") {
		t.Errorf("%q lost readable text", escaped)
	}
	var back map[string]string
	if err := json.Unmarshal(escaped, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in, back["k"]); d != "" {
		t.Error(d)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("\x1b]0;x\a")
	f.Add("a\u202eb\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := escape(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("escape(%q) = %q", s, got)
		}
		if escape(got) != got {
			t.Errorf("escape(%q) is not stable", s)
		}
	})
}
