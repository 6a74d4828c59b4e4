package load

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// origin is where a resource stands in a source. The nodes are not kept after
// decoding: the few documents that a trace cites are parsed again when a field is first asked for.
type origin struct {
	doc *document
	// within are the steps from the document's root to the resource in a List.
	within []string
	// line is where the resource begins.
	line int

	once sync.Once
	node *yaml.Node
}

// Locate returns file:line of the field; of the nearest written parent where
// the field is not there. It is safe for concurrent use.
func (o *origin) Locate(field string) string {
	line := o.line
	if field != "" {
		o.once.Do(o.parse)
		if found := locate(o.node, fieldSteps(field)); found > 0 {
			line = o.doc.lineOf(found)
		}
	}
	return o.doc.source.name + ":" + strconv.Itoa(line)
}

// Excerpt returns the lines around the field, where the resource is a document of its own, or an item of a list that has
// lines of its own: no line is of another resource.
func (o *origin) Excerpt(field string, around int) resolve.Excerpt {
	if o.doc.flat || o.doc.json || len(o.within) > 0 {
		return resolve.Excerpt{}
	}
	at := strings.LastIndexByte(o.Locate(field), ':')
	cited, err := strconv.Atoi(o.Locate(field)[at+1:])
	if err != nil {
		return resolve.Excerpt{}
	}
	lines := strings.Split(strings.TrimRight(o.doc.text, "\n"), "\n")
	// Indexes of the text, from the line on which the resource begins.
	here := cited - o.doc.line
	from, to := max(here-around, o.line-o.doc.line, 0), min(here+around+1, len(lines))
	if from >= to {
		return resolve.Excerpt{}
	}
	return resolve.Excerpt{File: o.doc.source.name, First: o.doc.line + from, Cited: cited, Lines: slices.Clone(lines[from:to])}
}

func (o *origin) parse() {
	n, _ := o.doc.parse(&blockReader{})
	for _, step := range o.within {
		n, _ = stepDown(n, step)
	}
	o.node = n
}

// locate returns the line of the last step that is written; 0 if none is.
func locate(n *yaml.Node, steps []string) int {
	line := 0
	for _, step := range steps {
		next, at := stepDown(n, step)
		if at == nil {
			break
		}
		n, line = next, at.Line
	}
	return line
}

// stepDown goes from a node to its field or element; at is the node that shows
// where that is: the key, or the element.
func stepDown(n *yaml.Node, step string) (next, at *yaml.Node) {
	n = follow(n)
	if n == nil {
		return nil, nil
	}
	switch n.Kind {
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
			return follow(n.Content[i]), n.Content[i]
		}
	case yaml.MappingNode:
		if value, key := child(n, step); key != nil {
			return value, key
		}
		// Istio's reader takes proto's names too.
		for i := 0; i+1 < len(n.Content); i += 2 {
			if name, ok := keyText(n.Content[i]); ok && fold(name) == fold(step) {
				return follow(n.Content[i+1]), n.Content[i]
			}
		}
	}
	return nil, nil
}

// fieldSteps splits spec.http[1].headers[x-user].exact into its names and
// indexes. What is in brackets is one step, dots included.
func fieldSteps(field string) []string {
	var steps []string
	for field != "" {
		switch field[0] {
		case '.':
			field = field[1:]
		case '[':
			inside, rest, _ := strings.Cut(field[1:], "]")
			steps = append(steps, strings.Trim(inside, `"'`))
			field = rest
		default:
			end := strings.IndexAny(field, ".[")
			if end < 0 {
				end = len(field)
			}
			steps = append(steps, field[:end])
			field = field[end:]
		}
	}
	return steps
}
