package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// splitJSON cuts a source that is a stream of JSON objects; ok is false where it is not one.
func splitJSON(s source, text string) (docs []document, ok bool) {
	if trimmed := strings.TrimSpace(text); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, false
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	lines := lineCounter{text: text}
	for {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return docs, true
		}
		if err != nil {
			return nil, false
		}
		start := int(decoder.InputOffset()) - len(raw)
		docs = append(docs, document{source: s, line: lines.at(start), text: text[start : start+len(raw)], json: true})
	}
}

// lineCounter turns growing byte offsets into line numbers.
type lineCounter struct {
	text         string
	offset, line int
}

func (c *lineCounter) at(offset int) int {
	offset = min(offset, len(c.text))
	if offset > c.offset {
		c.line += strings.Count(c.text[c.offset:offset], "\n")
		c.offset = offset
	}
	return c.line + 1
}

// parseJSON reads one JSON value into the nodes that YAML is read into, so that
// everything after it knows one shape only. (YAML's own reader would do for most
// JSON; it refuses tabs and surrogate pairs.)
func parseJSON(text string) (*yaml.Node, error) {
	p := jsonParser{decoder: json.NewDecoder(strings.NewReader(text)), lines: lineCounter{text: text}}
	p.decoder.UseNumber()
	n, err := p.value(0)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends before it is complete")
	}
	if err != nil {
		return nil, syntaxError{line: p.lines.at(int(p.decoder.InputOffset())), message: "malformed JSON: " + err.Error()}
	}
	return n, nil
}

type jsonParser struct {
	decoder *json.Decoder
	lines   lineCounter
}

func (p *jsonParser) value(depth int) (*yaml.Node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	token, err := p.decoder.Token()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Line: p.lines.at(int(p.decoder.InputOffset()) - 1), Column: 1}
	switch t := token.(type) {
	case json.Delim:
		n.Kind, n.Tag, n.Style = yaml.MappingNode, "!!map", yaml.FlowStyle
		if t == '[' {
			n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		}
		for p.decoder.More() {
			child, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		_, err = p.decoder.Token()
		return n, err
	case string:
		n.Kind, n.Tag, n.Value, n.Style = yaml.ScalarNode, "!!str", t, yaml.DoubleQuotedStyle
	case json.Number:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!int", t.String()
		if _, err := t.Int64(); err != nil {
			n.Tag = "!!float"
		}
	case bool:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!bool", fmt.Sprint(t)
	case nil:
		n.Kind, n.Tag, n.Value = yaml.ScalarNode, "!!null", "null"
	}
	return n, nil
}
