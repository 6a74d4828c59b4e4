package load

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func (d *decoder) bytes(n *yaml.Node) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(n.Value), ""))
	if err != nil {
		d.fail(n, "expected base64, got %s", describe(n))
	}
	return b, err == nil
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value) {
	scalar := n.Kind == yaml.ScalarNode
	switch v.Kind() {
	case reflect.String:
		if !scalar || scalarOf(n) != scalarString {
			d.expected(n, "a string")
			return
		}
		if allowed := enumOf(v.Type()); allowed != nil && !slices.Contains(allowed, n.Value) {
			d.failEnum(n, allowed)
			return
		}
		v.SetString(n.Value)
	case reflect.Bool:
		if !scalar || scalarOf(n) != scalarBool {
			d.expected(n, "true or false")
			return
		}
		v.SetBool(boolOf(n))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if i, ok := d.number(n); ok {
			if v.OverflowInt(i) {
				d.fail(n, "%s is out of range", n.Value)
				return
			}
			v.SetInt(i)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if i, ok := d.number(n); ok {
			if i < 0 || v.OverflowUint(uint64(i)) {
				d.fail(n, "%s is out of range", n.Value)
				return
			}
			v.SetUint(uint64(i))
		}
	case reflect.Float32, reflect.Float64:
		if f, ok := d.float(n); ok {
			v.SetFloat(f)
		}
	default:
		d.fail(n, "can not be read into a %s", v.Type())
	}
}

func (d *decoder) failEnum(n *yaml.Node, allowed []string) {
	suggestion := ""
	if name, ok := nearest(n.Value, allowed); ok {
		suggestion = fmt.Sprintf("; did you mean %q?", name)
	}
	d.fail(n, "expected one of %s, got %s%s", strings.Join(allowed, ", "), describe(n), suggestion)
}

// isNumber reports whether a node may be read as a number.
func (d *decoder) isNumber(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	kind := scalarOf(n)
	return kind == scalarInt || kind == scalarFloat || d.loose && kind == scalarString
}

func (d *decoder) number(n *yaml.Node) (int64, bool) {
	if d.isNumber(n) {
		if i, ok := intOf(n); ok {
			return i, true
		}
		d.expected(n, "a whole number")
		return 0, false
	}
	d.expected(n, "a number")
	return 0, false
}

func (d *decoder) float(n *yaml.Node) (float64, bool) {
	if d.isNumber(n) {
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f, true
		}
		if i, ok := intOf(n); ok {
			return float64(i), true
		}
	}
	d.expected(n, "a number")
	return 0, false
}

// ownJSON lets a type with a JSON form of its own read its node.
func (d *decoder) ownJSON(n *yaml.Node, v reflect.Value) {
	before := len(d.problems)
	data, err := json.Marshal(d.any(n))
	if len(d.problems) > before {
		return
	}
	if err == nil {
		err = v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(data)
	}
	if err != nil {
		d.expected(n, ownJSONName(v.Type()))
		v.SetZero()
	}
}

// ownJSONName says in plain words what a type with its own JSON form takes.
func ownJSONName(t reflect.Type) string {
	switch t.Name() {
	case "Time", "MicroTime":
		return "a time like 2006-01-02T15:04:05Z"
	case "IntOrString":
		return "a number or a name"
	case "Quantity":
		return "a quantity like 100m or 128Mi"
	case "Duration":
		return "a duration like 10s"
	}
	return "a " + strings.ToLower(t.Name())
}

// any is the node as the JSON values Go has for it.
func (d *decoder) any(n *yaml.Node) any {
	n = follow(n)
	if isNull(n) {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		pairs := d.pairs(n)
		defer d.release(pairs)
		for _, p := range pairs {
			if d.enter(p.key, p.name) {
				out[p.name] = d.any(p.value)
			}
			d.leave()
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for i, element := range n.Content {
			if d.enterIndex(element, i) {
				out = append(out, d.any(element))
			}
			d.leave()
		}
		return out
	}
	return anyScalar(n)
}

func anyScalar(n *yaml.Node) any {
	switch scalarOf(n) {
	case scalarBool:
		return boolOf(n)
	case scalarInt, scalarFloat:
		if i, ok := intOf(n); ok {
			return i
		}
		if u, ok := uintOf(n); ok {
			return u
		}
		var f float64
		if n.Decode(&f) == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f
		}
	case scalarNull, scalarString:
	}
	return n.Value
}
