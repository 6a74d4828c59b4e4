package load

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Scalars of the plain part of YAML (block.go), and the memory of its nodes.

// readKey reads the key at the beginning of a line's content, and what follows its colon and the spaces after it.
func readKey(text string) (name string, style yaml.Style, after string, ok bool) {
	if text[0] == '"' || text[0] == '\'' {
		if name, style, after, ok = quoted(text); !ok {
			return "", 0, "", false
		}
		after, ok = strings.CutPrefix(after, ":")
		if !ok || after != "" && after[0] != ' ' || len(name) > longestKey {
			return "", 0, "", false
		}
		return name, style, strings.TrimLeft(after, " "), true
	}
	if !plainStart[text[0]] {
		return "", 0, "", false
	}
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == ' ': // spaces in a key, or before its colon, or a comment
			return "", 0, "", false
		case text[i] == ':' && i+1 == len(text):
			return text[:i], 0, "", i <= longestKey
		case text[i] == ':' && text[i+1] == ' ':
			return text[:i], 0, strings.TrimLeft(text[i+1:], " "), i <= longestKey
		}
	}
	return "", 0, "", false
}

// plainStart are the characters a plain scalar begins with here. All but those that mean something
// to YAML in that place; "-" and "." begin a scalar as well, but "- " does not.
var plainStart = func() (table [256]bool) {
	for c := '!'; c <= '~'; c++ {
		table[c] = !strings.ContainsRune("-?:,[]{}#&*!|>'\"%@`=<", c)
	}
	return table
}()

// plainScalar reads a plain scalar to the end of the line or a comment.
func plainScalar(text string) (string, bool) {
	if !plainStart[text[0]] && (text[0] != '-' || len(text) == 1 || text[1] < '0' || text[1] > '9') {
		return "", false
	}
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == ':' && (i+1 == len(text) || text[i+1] == ' '):
			return "", false // a key where none can be
		case text[i] == '#' && text[i-1] == ' ':
			text = text[:i]
		}
	}
	return strings.TrimRight(text, " "), true
}

// quoted reads a scalar in quotes that ends on its line and has no escapes but the doubled quote.
func quoted(text string) (value string, style yaml.Style, after string, ok bool) {
	quote, inner := text[0], text[1:]
	if quote == '"' {
		i := strings.IndexByte(inner, '"')
		if i < 0 || strings.IndexByte(inner[:i], '\\') >= 0 {
			return "", 0, "", false
		}
		return inner[:i], yaml.DoubleQuotedStyle, inner[i+1:], true
	}
	doubled := false
	for i := 0; i < len(inner); i++ {
		if inner[i] != '\'' {
			continue
		}
		if i+1 < len(inner) && inner[i+1] == '\'' {
			doubled = true
			i++
			continue
		}
		value = inner[:i]
		if doubled {
			value = strings.ReplaceAll(value, "''", "'")
		}
		return value, yaml.SingleQuotedStyle, inner[i+1:], true
	}
	return "", 0, "", false
}

// nothing reports whether what follows a value is spaces or a comment.
func nothing(after string) bool {
	rest := strings.TrimLeft(after, " ")
	return rest == "" || rest[0] == '#' && len(rest) < len(after)
}

// plainTag is what the library takes a plain scalar for. What can be nothing but a string, or is a plain number, is
// found without it.
func plainTag(value string) string {
	switch c := value[0]; {
	case c >= '1' && c <= '9' && len(value) < 18:
		for i := 1; i < len(value); i++ {
			if value[i] < '0' || value[i] > '9' {
				return libraryTag(value)
			}
		}
		return "!!int"
	case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		// Words that mean something else begin with these letters, and are short.
		if len(value) > len("false") || strings.IndexByte("yYnNtTfFoO", c) < 0 {
			return "!!str"
		}
	case c == '/':
		return "!!str"
	}
	return libraryTag(value)
}

// libraryTag asks the library.
func libraryTag(value string) string {
	n := yaml.Node{Kind: yaml.ScalarNode, Value: value}
	return n.ShortTag()
}

// slabSize is how many nodes are made at a time.
const slabSize = 512

// nodeSlab makes nodes that live until the next reset.
type nodeSlab struct {
	slabs      [][]yaml.Node
	slab, used int
}

// keptSlabs is how many slabs are kept for the next document.
const keptSlabs = 64

func (s *nodeSlab) reset() {
	for i := range min(s.slab, len(s.slabs)) {
		clear(s.slabs[i])
	}
	if s.slab < len(s.slabs) {
		clear(s.slabs[s.slab][:s.used])
	}
	if len(s.slabs) > keptSlabs {
		s.slabs = nil
	}
	s.slab, s.used = 0, 0
}

func (s *nodeSlab) new(kind yaml.Kind, tag string, line int) *yaml.Node {
	if s.used == slabSize {
		s.slab, s.used = s.slab+1, 0
	}
	if s.slab == len(s.slabs) {
		s.slabs = append(s.slabs, make([]yaml.Node, slabSize))
	}
	n := &s.slabs[s.slab][s.used]
	s.used++
	n.Kind, n.Tag, n.Line = kind, tag, line
	return n
}

// listSlab makes lists of nodes that live until the next reset.
type listSlab struct{ free []*yaml.Node }

func (s *listSlab) reset() { s.free = s.free[:0] }

func (s *listSlab) copyOf(list []*yaml.Node) []*yaml.Node {
	if len(list) == 0 {
		return nil
	}
	if cap(s.free)-len(s.free) < len(list) {
		s.free = make([]*yaml.Node, 0, max(slabSize, len(list)))
	}
	start := len(s.free)
	s.free = append(s.free, list...)
	return s.free[start:len(s.free):len(s.free)]
}
