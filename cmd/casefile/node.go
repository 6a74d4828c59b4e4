package casefile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parser reads one document of a file.
type parser struct {
	file     string
	document int
	// readFile reads the file of a token.
	readFile func(name string) ([]byte, error)
	problems Problems
	warnings []string
}

// fail notes that something is wrong with a node.
func (p *parser) fail(n *yaml.Node, field, format string, args ...any) {
	p.problems = append(p.problems, Problem{
		Source: Source{p.file, n.Line}, Document: p.document, Field: field, Message: fmt.Sprintf(format, args...),
	})
}

// follow is what an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	for range maxAliases {
		if n.Kind != yaml.AliasNode || n.Alias == nil {
			break
		}
		n = n.Alias
	}
	return n
}

// maxAliases bounds aliases of aliases, so that one of itself ends.
const maxAliases = 10

// isNull reports whether a node is written as nothing.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// entry is one field of a mapping.
type entry struct {
	name       string
	key, value *yaml.Node
}

// entries are the fields of a mapping in the order written; those merged in with << stand behind them. ok is false where the node is
// none, or a key is no text or stands twice, which is noted.
func (p *parser) entries(n *yaml.Node, path string) (fields []entry, ok bool) {
	n = follow(n)
	if n.Kind != yaml.MappingNode {
		p.fail(n, path, "expected a mapping, got %s", describe(n))
		return nil, false
	}
	return p.merged(n, path, 0)
}

func (p *parser) merged(n *yaml.Node, path string, depth int) (fields []entry, ok bool) {
	seen := map[string]bool{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := follow(n.Content[i])
		switch {
		case key.Tag == "!!merge":
			merges = append(merges, n.Content[i+1])
			continue
		case key.Kind != yaml.ScalarNode || key.Tag == "!!null":
			p.fail(key, path, "expected the name of a field, got %s", describe(key))
			return nil, false
		case seen[key.Value]:
			p.fail(key, join(path, key.Value), "stands twice")
			return nil, false
		}
		seen[key.Value] = true
		fields = append(fields, entry{key.Value, n.Content[i], follow(n.Content[i+1])})
	}
	for _, m := range merges {
		m = follow(m)
		from := []*yaml.Node{m}
		if m.Kind == yaml.SequenceNode {
			from = m.Content
		}
		for _, one := range from {
			one = follow(one)
			if one.Kind != yaml.MappingNode || depth == maxAliases {
				p.fail(m, path, "<< expects a mapping, or a list of mappings")
				return nil, false
			}
			more, ok := p.merged(one, path, depth+1)
			if !ok {
				return nil, false
			}
			for _, f := range more {
				if !seen[f.name] {
					seen[f.name] = true
					fields = append(fields, f)
				}
			}
		}
	}
	return fields, true
}

// fields reads a mapping, each field by its reader; a field that has none is refused. ok is false where the node is no mapping.
func (p *parser) fields(n *yaml.Node, path string, readers map[string]func(value *yaml.Node, path string)) (ok bool) {
	list, ok := p.entries(n, path)
	for _, f := range list {
		read, known := readers[f.name]
		if !known {
			p.unknown(f, path, slices.Sorted(maps.Keys(readers)))
			continue
		}
		read(f.value, join(path, f.name))
	}
	return ok
}

// unknown refuses a field.
func (p *parser) unknown(f entry, path string, known []string) {
	p.fail(f.key, join(path, f.name), "unknown field; expected one of %s", strings.Join(known, ", "))
}

// items are the elements of a list; ok is false where the node is none, which is noted.
func (p *parser) items(n *yaml.Node, path string) (list []*yaml.Node, ok bool) {
	n = follow(n)
	if n.Kind != yaml.SequenceNode {
		p.fail(n, path, "expected a list, got %s", describe(n))
		return nil, false
	}
	list = make([]*yaml.Node, len(n.Content))
	for i, item := range n.Content {
		list[i] = follow(item)
	}
	return list, true
}

// text is a scalar as it is written; ok is false where the node is none, which is noted.
func (p *parser) text(n *yaml.Node, path string) (text string, ok bool) {
	n = follow(n)
	if n.Kind != yaml.ScalarNode || isNull(n) {
		p.fail(n, path, "expected a text, got %s", describe(n))
		return "", false
	}
	return n.Value, true
}

// describe says what a node is, for one that should be something else.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if isNull(n) {
			return "nothing"
		}
		return strconv.Quote(n.Value)
	}
	return "an alias"
}

// join is the path of a field.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// at is the path of an element.
func at(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
