package load

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// A document is one YAML or JSON document of a source, or one item of a list, with its place in it.
type document struct {
	source source
	// line is the line of the source on which the text begins, from 1.
	line int
	text string
	// json is set where the text is one JSON value.
	json bool
	// flat is set where lines of the text are not lines of the source; every
	// node is then on the document's line.
	flat bool
	// written is where a kustomized document's resource was written; nil otherwise.
	written resolve.Origin
	// list is what the item was cut out of; nil for a document of its own.
	list *cutList
}

// at is the line in the source of a node of the document.
func (d *document) at(n *yaml.Node) int {
	if n == nil {
		return d.line
	}
	return d.lineOf(n.Line)
}

// lineOf is the line in the source of a line of the document's text.
func (d *document) lineOf(line int) int {
	if line == 0 || d.flat {
		return d.line
	}
	return d.line + line - 1
}

// split cuts a source into its documents. Where one may hold a Secret, each has memory of its own (secretmanifest.go).
func split(s source, text string) []document {
	docs := cut(s, strings.TrimPrefix(text, "\xef\xbb\xbf"))
	if mayHoldSecret(text) {
		return apart(docs)
	}
	return docs
}

// cut finds where documents begin. It does not look inside them.
//
// 1. A source that is one or more JSON objects is cut where they end.
// 2. Else a line that is "---", or begins with "--- ", begins a document; what
// stands after the dashes belongs to it. ("---" at the first column can not be
// inside a block of YAML.)
// 3. Documents of comments and directives alone are dropped, and lists are cut into their items (listitems.go).
//
// Source: k8s.io/apimachinery/pkg/util/yaml, YAMLOrJSONDecoder.
func cut(s source, text string) []document {
	if docs, ok := splitJSON(s, text); ok {
		return docs
	}
	if filepath.Ext(s.name) == ".json" && strings.HasPrefix(strings.TrimSpace(text), "{") {
		return []document{{source: s, line: 1, text: text, json: true}} // whose mistake parse will tell
	}
	// So many, with a little to spare: growing the list would copy it time and again.
	docs := make([]document, 0, strings.Count(text, "\n---")+2)
	start, startLine, line := 0, 1, 0
	end := func(at int) {
		d := document{source: s, line: startLine, text: text[start:at]}
		if items, ok := d.itemsYAML(); ok {
			docs = append(docs, items...)
		} else if !blank(d.text) {
			docs = append(docs, d)
		}
	}
	for at := 0; at < len(text); {
		line++
		next := len(text)
		if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		if separator(text[at:next]) {
			end(at)
			start, startLine = at+len("---"), line
		}
		at = next
	}
	end(len(text))
	return docs
}

func separator(line string) bool {
	rest, ok := strings.CutPrefix(line, "---")
	return ok && (len(rest) == 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0)
}

// blank reports whether a text has only comments, directives and empty lines.
func blank(text string) bool {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && line[0] != '%' && line != "..." {
			return false
		}
	}
	return true
}

// A parsed document that is more than this deep, or that its aliases blow up to
// more than this many nodes, is refused.
const (
	maxDepth = 200
	maxNodes = 500_000
)

// syntaxError is malformed YAML or JSON, with its line in the document's text.
type syntaxError struct {
	line    int
	message string
}

func (e syntaxError) Error() string { return e.message }

// parse returns the root node of the document's text; nil for an empty one. It holds until the next call with the same reader.
func (d *document) parse(b *blockReader) (*yaml.Node, error) {
	if d.json {
		return parseJSON(d.text)
	}
	root, ok := b.read(d.text)
	if !ok {
		return d.parseApart()
	}
	if d.list != nil {
		return onlyItem(root)
	}
	return root, nil
}

// parseApart is parse with nodes that share no memory with the text.
func (d *document) parseApart() (*yaml.Node, error) {
	if d.json {
		return parseJSON(d.text)
	}
	root, err := parseYAML(d.text)
	if err == nil && d.list != nil {
		return onlyItem(root)
	}
	return root, err
}

// parseYAML reads any YAML.
func parseYAML(text string) (root *yaml.Node, err error) {
	defer func() {
		// The YAML library is not ours to trust with any input.
		if r := recover(); r != nil {
			root, err = nil, syntaxError{line: 1, message: fmt.Sprintf("not readable as YAML: %v", r)}
		}
	}()
	var n, rest yaml.Node
	decoder := yaml.NewDecoder(strings.NewReader(text))
	switch err := decoder.Decode(&n); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, yamlSyntaxError(err, text)
	}
	// What stands after a line of dots must not get lost.
	switch err := decoder.Decode(&rest); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, yamlSyntaxError(err, text)
	default:
		return nil, syntaxError{line: rest.Line, message: "malformed YAML: a document begins with ---"}
	}
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		return follow(n.Content[0]), nil
	}
	return nil, nil
}

var yamlErrorLine = regexp.MustCompile(`^line (\d+): `)

// yamlSyntaxError finds the line in the library's message and says the most
// usual cause in plain words.
func yamlSyntaxError(err error, text string) syntaxError {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	e := syntaxError{line: 1}
	if m := yamlErrorLine.FindStringSubmatch(message); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			e.line = n
		}
		message = message[len(m[0]):]
		// The library counts from 0 where its parser, and not its scanner, found the mistake.
		if strings.HasPrefix(message, "did not find expected") {
			e.line++
		}
	}
	e.message = "malformed YAML: " + message
	if n, what := notText(text); what != "" {
		e.line, e.message = n, "not a text file: "+what
	} else if n, found := tabIndented(text); found {
		e.line, e.message = n, "malformed YAML: a tab in the indentation; YAML allows only spaces there"
	}
	return e
}

// notText returns the first line with a byte that no YAML has, and what that is; empty where there is none.
func notText(text string) (line int, what string) {
	for l := range strings.Lines(text) {
		line++
		for i := 0; i < len(l); {
			r, size := utf8.DecodeRuneInString(l[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				return line, fmt.Sprintf("byte 0x%02x is not UTF-8", l[i])
			case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == '\x7f':
				return line, fmt.Sprintf("it has the control character 0x%02x", r)
			}
			i += size
		}
	}
	return 0, ""
}

// tabIndented returns the first line that is indented with a tab.
func tabIndented(text string) (int, bool) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		rest := strings.TrimLeft(line, " ")
		if len(rest) > 0 && rest[0] == '\t' && len(strings.TrimSpace(rest)) > 0 {
			return n, true
		}
	}
	return 0, false
}
