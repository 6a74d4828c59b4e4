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
		object, err := cutObject(decoder, text)
		if err != nil {
			return docs, errors.Is(err, io.EOF)
		}
		d := document{source: s, line: lines.at(object.start), text: text[object.start:object.end], json: true}
		var list *cutList
		if len(object.items) > 0 {
			list = d.listOf(text[object.start:object.array.start] + "null" + text[object.array.end:object.end])
		}
		if list == nil {
			docs = append(docs, d)
			continue
		}
		for _, item := range object.items {
			docs = append(docs, document{source: s, line: lines.at(item.start), text: text[item.start:item.end], json: true, list: list})
		}
	}
}

// extent is a part of a text.
type extent struct{ start, end int }

// jsonObject is where an object stands.
type jsonObject struct {
	extent
	// array is the value of its last key items that has an array, and items are the elements.
	array extent
	items []extent
}

// errNotObjects says that a source is no stream of JSON objects.
var errNotObjects = errors.New("not a stream of JSON objects")

// cutObject goes behind the next object; io.EOF says that there is none.
func cutObject(decoder *json.Decoder, text string) (object jsonObject, err error) {
	open, err := decoder.Token()
	switch {
	case errors.Is(err, io.EOF):
		return object, io.EOF
	case err != nil || open != json.Delim('{'):
		return object, errNotObjects
	}
	object.start = int(decoder.InputOffset()) - 1
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return object, errNotObjects
		}
		value := strings.TrimLeft(text[decoder.InputOffset():], " \t\r\n:")
		if key == "items" && strings.HasPrefix(value, "[") {
			object.array.start = len(text) - len(value)
			object.items, err = cutArray(decoder)
			object.array.end = int(decoder.InputOffset())
		} else {
			_, err = cutValue(decoder)
		}
		if err != nil {
			return object, errNotObjects
		}
	}
	if _, err = decoder.Token(); err != nil {
		return object, errNotObjects
	}
	object.end = int(decoder.InputOffset())
	return object, nil
}

// cutArray goes behind the array that comes next.
func cutArray(decoder *json.Decoder) (elements []extent, err error) {
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	for decoder.More() {
		element, err := cutValue(decoder)
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	_, err = decoder.Token()
	return elements, err
}

// cutValue goes behind the value that comes next.
func cutValue(decoder *json.Decoder) (extent, error) {
	var raw json.RawMessage
	err := decoder.Decode(&raw)
	end := int(decoder.InputOffset())
	return extent{end - len(raw), end}, err
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
