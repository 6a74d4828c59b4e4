package load

import (
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// scalarKind is what a scalar means to Kubernetes, which reads YAML 1.1.
type scalarKind int8

const (
	scalarNull scalarKind = iota
	scalarBool
	scalarInt
	scalarFloat
	scalarString
)

// yaml11 are the plain words that YAML 1.1, and so kubectl, reads as booleans
// and the library, which reads YAML 1.2, as strings.
var yaml11 = map[string]bool{
	"y": true, "Y": true, "yes": true, "Yes": true, "YES": true, "on": true, "On": true, "ON": true,
	"n": false, "N": false, "no": false, "No": false, "NO": false, "off": false, "Off": false, "OFF": false,
}

// scalarOf returns the kind of a scalar node.
func scalarOf(n *yaml.Node) scalarKind {
	if n.Style != 0 && n.Tag == "!!str" { // in quotes, or a block
		return scalarString
	}
	switch n.ShortTag() {
	case "!!null":
		return scalarNull
	case "!!bool":
		return scalarBool
	case "!!int":
		return scalarInt
	case "!!float":
		return scalarFloat
	}
	if n.Style == 0 && len(n.Value) <= len("false") {
		if _, ok := yaml11[n.Value]; ok {
			return scalarBool
		}
	}
	return scalarString
}

// isNull reports whether a node is absent or null.
func isNull(n *yaml.Node) bool {
	return n == nil || n.Kind == 0 || n.Kind == yaml.ScalarNode && scalarOf(n) == scalarNull
}

// boolOf returns the value of a boolean scalar.
func boolOf(n *yaml.Node) bool {
	if v, ok := yaml11[n.Value]; ok {
		return v
	}
	return strings.EqualFold(n.Value, "true")
}

// intOf returns the value of an integer scalar, or of a float without a fraction.
func intOf(n *yaml.Node) (int64, bool) {
	if i, err := strconv.ParseInt(n.Value, 10, 64); err == nil && (n.Value == "0" || !strings.HasPrefix(n.Value, "0")) {
		return i, true
	}
	var f float64
	if scalarOf(n) == scalarFloat {
		// The library would cut a fraction off.
		ok := n.Decode(&f) == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53
		return int64(f), ok
	}
	var i int64
	ok := n.Decode(&i) == nil
	return i, ok
}

// uintOf is intOf for the numbers that only an unsigned one holds.
func uintOf(n *yaml.Node) (uint64, bool) {
	if i, ok := intOf(n); ok {
		return uint64(i), i >= 0
	}
	var u uint64
	ok := n.Decode(&u) == nil
	return u, ok
}

// describe says what stands at a node, for "expected X, got Y".
func describe(n *yaml.Node) string {
	switch {
	case isNull(n):
		return "nothing"
	case n.Kind == yaml.MappingNode:
		return "an object"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind != yaml.ScalarNode:
		return "something else"
	}
	value := n.Value
	if len(value) > 60 {
		value = strings.ToValidUTF8(value[:57], "") + "..."
	}
	switch scalarOf(n) {
	case scalarBool:
		return "the boolean " + value
	case scalarInt, scalarFloat:
		return "the number " + value
	case scalarNull, scalarString:
	}
	return strconv.Quote(value)
}

// follow returns the node that an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	for i := 0; n != nil && n.Kind == yaml.AliasNode && i < maxDepth; i++ {
		n = n.Alias
	}
	return n
}

// keyText is a mapping's key as the JSON that Kubernetes makes of it has it.
func keyText(n *yaml.Node) (string, bool) {
	n = follow(n)
	if n == nil || n.Kind != yaml.ScalarNode {
		return "", false
	}
	if scalarOf(n) == scalarBool {
		return strconv.FormatBool(boolOf(n)), true
	}
	return n.Value, true
}

// child returns the value and the key node of a mapping's key; the last one, as
// the one that counts where a key is written twice.
func child(n *yaml.Node, name string) (value, key *yaml.Node) {
	n = follow(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if text, ok := keyText(n.Content[i]); ok && text == name {
			value, key = n.Content[i+1], n.Content[i]
		}
	}
	return follow(value), key
}

// textOf is the value of a mapping's string; empty where it is not one.
func textOf(n *yaml.Node, name string) string {
	v, _ := child(n, name)
	if v == nil || v.Kind != yaml.ScalarNode || scalarOf(v) != scalarString {
		return ""
	}
	return v.Value
}
