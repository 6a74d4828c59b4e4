package load

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// Flow collections of the plain part of YAML (block.go): on one line, of plain and quoted scalars without
// spaces in the plain ones, each key with a value.

// flow reads the collection at the text's beginning and returns what follows it.
func (b *blockReader) flow(text string) (n *yaml.Node, after string, ok bool) {
	if b.depth++; b.depth > deepestBlock {
		return nil, "", false
	}
	defer func() { b.depth-- }()
	mapping, first := text[0] == '{', len(b.children)
	closing := byte(']')
	n = b.nodes.new(yaml.SequenceNode, "!!seq", b.line)
	if mapping {
		n.Kind, n.Tag, closing = yaml.MappingNode, "!!map", '}'
	}
	n.Style = yaml.FlowStyle
	text = strings.TrimLeft(text[1:], " ")
	for text != "" && text[0] != closing {
		if len(b.children) > first {
			if text, ok = strings.CutPrefix(text, ","); !ok {
				return nil, "", false
			}
			text = strings.TrimLeft(text, " ")
		}
		if mapping {
			if text, ok = b.flowKey(text); !ok {
				return nil, "", false
			}
		}
		child, rest, ok := b.flowValue(text)
		if !ok {
			return nil, "", false
		}
		b.children = append(b.children, child)
		text = strings.TrimLeft(rest, " ")
	}
	if text == "" {
		return nil, "", false
	}
	n.Content = b.take(first)
	return n, text[1:], true
}

// flowKey reads a key and its colon.
func (b *blockReader) flowKey(text string) (after string, ok bool) {
	key, after, ok := b.flowScalar(text)
	if !ok {
		return "", false
	}
	if after, ok = strings.CutPrefix(after, ": "); !ok {
		return "", false
	}
	b.children = append(b.children, key)
	return strings.TrimLeft(after, " "), true
}

func (b *blockReader) flowValue(text string) (n *yaml.Node, after string, ok bool) {
	if text != "" && (text[0] == '{' || text[0] == '[') {
		return b.flow(text)
	}
	n, after, ok = b.flowScalar(text)
	if !ok || after != "" && strings.IndexByte(" ,]}", after[0]) < 0 {
		return nil, "", false
	}
	return n, after, true
}

func (b *blockReader) flowScalar(text string) (n *yaml.Node, after string, ok bool) {
	switch {
	case text == "":
		return nil, "", false
	case text[0] == '"' || text[0] == '\'':
		value, style, after, ok := quoted(text)
		return b.scalar(value, "!!str", style, b.line), after, ok && len(value) <= longestKey
	case !flowPlain[text[0]] || !plainStart[text[0]]:
		return nil, "", false
	}
	end := 1
	for end < len(text) && flowPlain[text[end]] {
		end++
	}
	return b.scalar(text[:end], plainTag(text[:end]), 0, b.line), text[end:], end <= longestKey
}

// flowPlain are the characters of plain scalars that are read in flow collections.
var flowPlain = func() (table [256]bool) {
	for c := '!'; c <= '~'; c++ {
		table[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-./*+$%@;()^", c)
	}
	return table
}()
