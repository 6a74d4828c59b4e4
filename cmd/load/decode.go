package load

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Decoding is one walk over a document's nodes that checks and fills the Go
// type together, so that every mistake has its line and field:
//
//  1. A field that the type does not have is a problem, with the nearest one it has.
//     Under status it is passed over: no person wrote it.
//  2. A key that is written twice is a problem.
//  3. null leaves the field unset, as an API server prunes it; in a list it is a problem.
//  4. A value of another type is a problem; numbers are not read from strings, nor the other way round.
//  5. A string type with a closed list of values takes only these.
//  6. Istio's specs are protobuf messages and follow decodeproto.go. A type with
//     its own JSON form (a quantity, a time) gets the JSON of its node.
//
// Source: k8s.io/apiserver's strict field validation, as kubectl apply asks for it.
type decoder struct {
	doc *document
	// object is how problems name the document: "VirtualService shop/reviews".
	object string
	path   []string
	// unknown collects fields that the type does not have, where these are no problem; nil where they are.
	unknown *[]string
	// loose reads numbers and enums as protobuf's JSON does, not as a CRD's schema would.
	loose    bool
	status   bool
	nodes    int
	problems Problems
	notes    []string
}

// decode fills the value that out points to from the node.
func (d *decoder) decode(n *yaml.Node, out any) {
	d.value(n, reflect.ValueOf(out).Elem())
}

func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	d.failAt(d.doc.at(n), format, args...)
}

func (d *decoder) failAt(line int, format string, args ...any) {
	d.problems = append(d.problems, Problem{
		File: d.doc.source.name, Line: line, Object: d.object,
		Field: d.field(), Message: fmt.Sprintf(format, args...),
	})
}

func (d *decoder) expected(n *yaml.Node, what string) {
	got := describe(n)
	if what == "a string" && n.Kind == yaml.ScalarNode && scalarOf(n) != scalarNull {
		got += " (put it in quotes)"
	}
	d.fail(n, "expected %s, got %s", what, got)
}

// longestPath is how many segments of a field path are shown.
const longestPath = 30

// field is the path of the node the decoder is at.
func (d *decoder) field() string {
	path, rest := d.path, ""
	if len(path) > longestPath {
		path, rest = path[:longestPath], "..."
	}
	return strings.TrimPrefix(strings.Join(path, ""), ".") + rest
}

// enter goes down to a field or element and reports whether that is still allowed.
func (d *decoder) enter(n *yaml.Node, segment string) bool {
	d.path = append(d.path, segment)
	d.nodes++
	if len(d.path) > maxDepth || d.nodes > maxNodes {
		if d.nodes <= maxNodes+1 {
			d.fail(n, "nested too deeply, or aliases that never end")
			d.nodes = maxNodes + 1
		}
		return false
	}
	return true
}

func (d *decoder) leave() { d.path = d.path[:len(d.path)-1] }

// pair is one entry of a mapping.
type pair struct {
	name       string
	key, value *yaml.Node
}

// pairs returns the entries of a mapping, merged ones ("<<") last, and reports keys written twice.
func (d *decoder) pairs(n *yaml.Node) []pair {
	out := make([]pair, 0, len(n.Content)/2)
	seen := make(map[string]int, len(n.Content)/2)
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			merged = append(merged, value)
			continue
		}
		name, ok := keyText(key)
		if !ok {
			d.fail(key, "expected a name as the key, got %s", describe(follow(key)))
			continue
		}
		if first, twice := seen[name]; twice {
			d.fail(key, "%q is written twice; the first is on line %d", name, first)
			continue
		}
		seen[name] = d.doc.at(key)
		out = append(out, pair{name: name, key: key, value: follow(value)})
	}
	for _, m := range merged {
		for _, p := range d.mergedPairs(m) {
			if _, own := seen[p.name]; !own {
				seen[p.name] = d.doc.at(p.key)
				out = append(out, p)
			}
		}
	}
	return out
}

// mergedPairs are the entries a "<<" key brings.
func (d *decoder) mergedPairs(n *yaml.Node) []pair {
	d.path = append(d.path, "")
	defer d.leave()
	if d.nodes++; len(d.path) > maxDepth || d.nodes > maxNodes {
		return nil
	}
	n = follow(n)
	switch {
	case n != nil && n.Kind == yaml.MappingNode:
		return d.pairs(n)
	case n != nil && n.Kind == yaml.SequenceNode:
		var out []pair
		for _, element := range n.Content {
			out = append(out, d.mergedPairs(element)...)
		}
		return out
	}
	return nil
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	protoMessage    = reflect.TypeFor[protoreflect.ProtoMessage]()
	objectMeta      = reflect.TypeFor[metav1.ObjectMeta]()
	byteSlice       = reflect.TypeFor[[]byte]()
)

func (d *decoder) value(n *yaml.Node, v reflect.Value) {
	n = follow(n)
	if isNull(n) {
		return
	}
	t := v.Type()
	if pointer := reflect.PointerTo(t); t.Kind() != reflect.Pointer {
		if pointer.Implements(protoMessage) {
			d.message(n, v.Addr().Interface().(protoreflect.ProtoMessage).ProtoReflect())
			return
		}
		if pointer.Implements(jsonUnmarshaler) {
			d.ownJSON(n, v)
			return
		}
	}
	switch t.Kind() {
	case reflect.Pointer:
		element := reflect.New(t.Elem())
		d.value(n, element.Elem())
		v.Set(element)
	case reflect.Struct:
		d.structure(n, v)
	case reflect.Map:
		d.mapping(n, v)
	case reflect.Slice:
		d.list(n, v)
	case reflect.Interface:
		v.Set(reflect.ValueOf(d.any(n)))
	default:
		d.scalar(n, v)
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.expected(n, "an object")
		return
	}
	fields := fieldsOf(v.Type())
	for _, p := range d.pairs(n) {
		if v.Type() == objectMeta && p.name == "managedFields" {
			continue
		}
		index, known := fields.index[p.name]
		status := len(d.path) == 0 && p.name == "status"
		d.status = d.status || status
		if d.enter(p.key, "."+p.name) {
			if known {
				d.value(p.value, v.FieldByIndex(index))
			} else {
				d.unknownField(p, fields.names)
			}
		}
		d.leave()
		d.status = d.status && !status
	}
}

func (d *decoder) unknownField(p pair, known []string) {
	switch {
	case d.status:
	case d.unknown != nil:
		*d.unknown = append(*d.unknown, fmt.Sprintf("%s: unknown field%s", d.field(), didYouMean(p.name, known)))
	default:
		d.fail(p.key, "unknown field%s", didYouMean(p.name, known))
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.expected(n, "an object")
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.Content)/2))
	for _, p := range d.pairs(n) {
		element := reflect.New(v.Type().Elem()).Elem()
		if d.enter(p.key, "["+p.name+"]") {
			d.value(p.value, element)
			v.SetMapIndex(reflect.ValueOf(p.name).Convert(v.Type().Key()), element)
		}
		d.leave()
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value) {
	if v.Type() == byteSlice && n.Kind == yaml.ScalarNode {
		if b, ok := d.bytes(n); ok {
			v.SetBytes(b)
		}
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.expected(n, "a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, element := range n.Content {
		if d.enter(element, "["+strconv.Itoa(i)+"]") {
			if isNull(follow(element)) {
				d.fail(element, "expected an element of the list, got nothing")
			}
			d.value(element, v.Index(i))
		}
		d.leave()
	}
}
