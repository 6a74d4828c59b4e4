package load

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// The plain part of YAML, in which kubectl, Helm and most people write manifests, is read here, ten times as fast
// as by the library. Everything else is left to the library: what is read here gives the very nodes that
// the library gives (block_test.go holds that), and what has a mistake is never read here.
//
//  1. The text is ASCII without tabs and carriage returns, directives and document ends.
//  2. Collections are blocks, or flow collections on one line (blockflow.go).
//  3. Keys are plain or quoted, and on the line of their colon.
//  4. Scalars are plain or quoted, on one line, without escapes in double quotes; or literal ("|", "|-", "|+").
//  5. There are no anchors, aliases, tags, merge keys and explicit keys ("? ").
//
// Source: YAML 1.2, chapters 7 and 8; https://yaml.org/spec/1.2.2.
type blockReader struct {
	text string
	// line is the number of the current line from 1, at where it begins, and end where it ends.
	line, at, end int
	// column is where the content of the current line begins; it is moved within the line for "- a: b".
	column int
	// done is set at the end of the text.
	done  bool
	depth int
	// nodes and children are kept from document to document.
	nodes    nodeSlab
	children []*yaml.Node
	lists    listSlab
}

// deepestBlock is how deep blocks are read here.
const deepestBlock = 64

// longestKey is how long a key may be; the library looks no further for its colon.
const longestKey = 1000

// read returns the root node of the text, which holds until the next call; ok is
// false where the text is for the library.
func (b *blockReader) read(text string) (root *yaml.Node, ok bool) {
	if !plainText(text) {
		return nil, false
	}
	b.nodes.reset()
	b.lists.reset()
	b.text, b.line, b.at, b.end, b.done, b.depth, b.children = text, 0, 0, -1, false, 0, b.children[:0]
	if b.next(); b.done {
		return nil, false
	}
	root, ok = b.block()
	return root, ok && b.done
}

// plainText reports whether all bytes are printable ASCII or line feeds, and no line can be a directive or the end of a document.
func plainText(text string) bool {
	for i := range len(text) {
		if c := text[i]; c-' ' > '~'-' ' && c != '\n' {
			return false
		}
	}
	return text != "" && text[0] != '%' && !strings.HasPrefix(text, "...") &&
		!strings.Contains(text, "\n...") && !strings.Contains(text, "\n%")
}

// next goes to the next line that is neither empty nor a comment.
func (b *blockReader) next() {
	for {
		b.at = b.end + 1
		if b.at >= len(b.text) {
			b.done, b.column = true, -1
			return
		}
		b.line++
		b.end = len(b.text)
		if i := strings.IndexByte(b.text[b.at:], '\n'); i >= 0 {
			b.end = b.at + i
		}
		for i := b.at; i < b.end; i++ {
			if c := b.text[i]; c != ' ' {
				if c == '#' {
					break
				}
				b.column = i - b.at
				return
			}
		}
	}
}

// rest is what the current line has from the current column.
func (b *blockReader) rest() string { return b.text[b.at+b.column : b.end] }

// isEntry reports whether the current line goes on with an entry of a list.
func isEntry(rest string) bool {
	return rest[0] == '-' && (len(rest) == 1 || rest[1] == ' ')
}

// block reads the collection that begins at the current line and column.
func (b *blockReader) block() (*yaml.Node, bool) {
	if b.depth++; b.depth > deepestBlock {
		return nil, false
	}
	defer func() { b.depth-- }()
	if isEntry(b.rest()) {
		return b.sequence()
	}
	return b.mapping()
}

// sequence reads the entries at the current column.
func (b *blockReader) sequence() (*yaml.Node, bool) {
	n := b.nodes.new(yaml.SequenceNode, "!!seq", b.line)
	column, first := b.column, len(b.children)
	for b.column == column && isEntry(b.rest()) {
		line := b.line
		after := strings.TrimLeft(b.rest()[1:], " ")
		var entry *yaml.Node
		var ok bool
		switch {
		case after == "" || after[0] == '#':
			if b.next(); b.column > column {
				entry, ok = b.block()
			} else {
				entry, ok = b.scalar("", "!!null", 0, line), true
			}
		case b.startsBlock(after):
			b.column = b.end - b.at - len(after)
			entry, ok = b.block()
		default:
			entry, ok = b.value(after, column)
		}
		if !ok {
			return nil, false
		}
		b.children = append(b.children, entry)
	}
	n.Content = b.take(first)
	return n, b.column < column || b.column == column && !b.done
}

// take makes a list of the children from the first on.
func (b *blockReader) take(first int) []*yaml.Node {
	content := b.lists.copyOf(b.children[first:])
	b.children = b.children[:first]
	return content
}

// startsBlock reports whether an entry of a list goes on with a collection of its own on the same line.
func (b *blockReader) startsBlock(text string) bool {
	if isEntry(text) {
		return true
	}
	_, _, _, ok := readKey(text)
	return ok
}

// mapping reads the entries at the current column.
func (b *blockReader) mapping() (*yaml.Node, bool) {
	n := b.nodes.new(yaml.MappingNode, "!!map", b.line)
	column, first := b.column, len(b.children)
	for b.column == column {
		name, style, after, ok := readKey(b.rest())
		if !ok {
			return nil, false
		}
		line := b.line
		key := b.scalar(name, "!!str", style, line)
		if style == 0 {
			key.Tag = plainTag(name)
		}
		var value *yaml.Node
		if after == "" || after[0] == '#' {
			value, ok = b.below(column, line)
		} else {
			value, ok = b.value(after, column)
		}
		if !ok {
			return nil, false
		}
		b.children = append(b.children, key, value)
	}
	n.Content = b.take(first)
	return n, b.column < column
}

// below reads the value of a key that has nothing after its colon: the block below it, which a list may
// begin at the column of the key; else it is null.
func (b *blockReader) below(column, line int) (*yaml.Node, bool) {
	b.next()
	if b.column > column || b.column == column && isEntry(b.rest()) {
		return b.block()
	}
	return b.scalar("", "!!null", 0, line), true
}

// value reads a value that begins on the current line, in a collection at the column, and goes on to the next line.
func (b *blockReader) value(text string, column int) (*yaml.Node, bool) {
	line := b.line
	switch text[0] {
	case '|':
		return b.literal(text, column)
	case '"', '\'':
		value, style, after, ok := quoted(text)
		if !ok || !nothing(after) {
			return nil, false
		}
		b.next()
		return b.scalar(value, "!!str", style, line), b.column <= column
	case '{', '[':
		return b.flowLine(text, column)
	}
	value, ok := plainScalar(text)
	if !ok {
		return nil, false
	}
	b.next()
	// A line that is deeper belongs to the scalar.
	return b.scalar(value, plainTag(value), 0, line), b.column <= column
}

func (b *blockReader) flowLine(text string, column int) (*yaml.Node, bool) {
	n, after, ok := b.flow(text)
	if !ok || !nothing(after) {
		return nil, false
	}
	b.next()
	return n, b.column <= column
}

// literal reads the lines of a literal scalar: those deeper than the column, of which the first says how deep.
func (b *blockReader) literal(text string, column int) (*yaml.Node, bool) {
	chomp := byte(0)
	if len(text) > 1 && (text[1] == '-' || text[1] == '+') {
		chomp = text[1]
		text = text[1:]
	}
	if strings.TrimRight(text[1:], " ") != "" || b.text[len(b.text)-1] != '\n' || b.end+1 >= len(b.text) {
		return nil, false
	}
	line := b.line
	start := b.end + 1
	indent := 0
	for start+indent < len(b.text) && b.text[start+indent] == ' ' {
		indent++
	}
	if indent <= column || b.text[start+indent] == '\n' {
		return nil, false
	}
	lines, stop := literalLines(b.text[start:], indent)
	b.line += lines
	b.end = start + stop - 1
	value := unindented(b.text[start:start+stop], indent)
	body := strings.TrimRight(value, "\n")
	switch chomp {
	case 0:
		value = value[:len(body)+1]
	case '-':
		value = body
	}
	b.next()
	return b.scalar(value, "!!str", yaml.LiteralStyle, line), b.column <= column
}

// literalLines returns how many lines at the text's beginning are of that indentation, or empty, and where they end.
func literalLines(text string, indent int) (lines, stop int) {
	for stop < len(text) {
		end := stop + strings.IndexByte(text[stop:], '\n')
		content := stop
		for content < end && content-stop < indent && text[content] == ' ' {
			content++
		}
		if content < end && content-stop < indent {
			break
		}
		lines, stop = lines+1, end+1
	}
	return lines, stop
}

// unindented takes the indentation off each line.
func unindented(text string, indent int) string {
	var b strings.Builder
	b.Grow(len(text))
	for line := range strings.Lines(text) {
		if len(line) <= indent {
			b.WriteByte('\n')
			continue
		}
		b.WriteString(line[indent:])
	}
	return b.String()
}

func (b *blockReader) scalar(value, tag string, style yaml.Style, line int) *yaml.Node {
	n := b.nodes.new(yaml.ScalarNode, tag, line)
	n.Value, n.Style = value, style
	return n
}
