package load

import (
	"fmt"
	"reflect"
	"slices"
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
	// object is what problems name the document by.
	object header
	path   []step
	// pairStack is where the pairs of the mappings above are; types what was learnt about Go types.
	pairStack []pair
	types     typeCache
	// unknown collects fields that the type does not have, where these are no problem; nil where they are.
	unknown *[]string
	// loose reads numbers and enums as protobuf's JSON does, not as a CRD's schema would.
	loose    bool
	status   bool
	nodes    int
	problems Problems
	notes    []string
}

// start makes the decoder ready for another object, with the memory of the last one.
func (d *decoder) start(doc *document, object header) {
	*d = decoder{doc: doc, object: object, path: d.path[:0], pairStack: d.pairStack[:0], types: d.types}
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
		File: d.doc.source.name, Line: line, Object: d.object.String(),
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

// step is one segment of a field's path. Its text is made only for a problem.
type step struct {
	name  string
	index int
	kind  stepKind
}

type stepKind int8

const (
	fieldStep stepKind = iota
	keyStep
	indexStep
	mergeStep
)

// String is the segment as a path has it.
func (s step) String() string {
	switch s.kind {
	case fieldStep:
		return "." + s.name
	case keyStep:
		return "[" + s.name + "]"
	case indexStep:
		return "[" + strconv.Itoa(s.index) + "]"
	case mergeStep:
	}
	return ""
}

// field is the path of the node the decoder is at.
func (d *decoder) field() string {
	path, rest := d.path, ""
	if len(path) > longestPath {
		path, rest = path[:longestPath], "..."
	}
	var b strings.Builder
	for _, s := range path {
		b.WriteString(s.String())
	}
	return strings.TrimPrefix(b.String(), ".") + rest
}

// enter goes down to a field and reports whether that is still allowed.
func (d *decoder) enter(n *yaml.Node, field string) bool {
	return d.enterStep(n, step{name: field})
}

// enterKey goes down to the value of a key of a map.
func (d *decoder) enterKey(n *yaml.Node, key string) bool {
	return d.enterStep(n, step{name: key, kind: keyStep})
}

// enterIndex goes down to an element of a list.
func (d *decoder) enterIndex(n *yaml.Node, i int) bool {
	return d.enterStep(n, step{index: i, kind: indexStep})
}

func (d *decoder) enterStep(n *yaml.Node, s step) bool {
	d.path = append(d.path, s)
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

// manyPairs is how many pairs are searched one by one for a key that is written twice.
const manyPairs = 16

// pairs returns the entries of a mapping, merged ones ("<<") last, and reports keys written twice.
// The caller gives them back with release.
func (d *decoder) pairs(n *yaml.Node) []pair {
	first := len(d.pairStack)
	var seen map[string]int
	if len(n.Content)/2 > manyPairs {
		seen = make(map[string]int, len(n.Content)/2)
	}
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
		if at := d.pairNamed(name, first, seen); at >= 0 {
			d.fail(key, "%q is written twice; the first is on line %d", name, d.doc.at(d.pairStack[at].key))
			continue
		}
		d.push(pair{name: name, key: key, value: follow(value)}, seen)
	}
	for _, m := range merged {
		for _, p := range d.mergedPairs(m) {
			if d.pairNamed(p.name, first, seen) < 0 {
				d.push(p, seen)
			}
		}
	}
	return d.pairStack[first:len(d.pairStack):len(d.pairStack)]
}

// release gives the last pairs back.
func (d *decoder) release(pairs []pair) {
	d.pairStack = d.pairStack[:len(d.pairStack)-len(pairs)]
}

func (d *decoder) push(p pair, seen map[string]int) {
	if seen != nil {
		seen[p.name] = len(d.pairStack)
	}
	d.pairStack = append(d.pairStack, p)
}

// pairNamed returns where the pair of that name is, from the first on; -1 where there is none.
func (d *decoder) pairNamed(name string, first int, seen map[string]int) int {
	if seen != nil {
		if at, ok := seen[name]; ok {
			return at
		}
		return -1
	}
	for at := first; at < len(d.pairStack); at++ {
		if d.pairStack[at].name == name {
			return at
		}
	}
	return -1
}

// mergedPairs are the entries a "<<" key brings.
func (d *decoder) mergedPairs(n *yaml.Node) []pair {
	d.path = append(d.path, step{kind: mergeStep})
	defer d.leave()
	if d.nodes++; len(d.path) > maxDepth || d.nodes > maxNodes {
		return nil
	}
	n = follow(n)
	switch {
	case n != nil && n.Kind == yaml.MappingNode:
		pairs := d.pairs(n)
		d.release(pairs)
		return slices.Clone(pairs)
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
	objectMeta = reflect.TypeFor[metav1.ObjectMeta]()
	byteSlice  = reflect.TypeFor[[]byte]()
)

func (d *decoder) value(n *yaml.Node, v reflect.Value) {
	n = follow(n)
	if isNull(n) {
		return
	}
	t := d.types.of(v.Type())
	switch {
	case t.proto:
		d.message(n, v.Addr().Interface().(protoreflect.ProtoMessage).ProtoReflect())
		return
	case t.ownJSON:
		d.ownJSON(n, v)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		element := reflect.New(v.Type().Elem())
		d.value(n, element.Elem())
		v.Set(element)
	case reflect.Struct:
		d.structure(n, v, t.fields)
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

func (d *decoder) structure(n *yaml.Node, v reflect.Value, fields *structFields) {
	if n.Kind != yaml.MappingNode {
		d.expected(n, "an object")
		return
	}
	meta := v.Type() == objectMeta
	pairs := d.pairs(n)
	defer d.release(pairs)
	for _, p := range pairs {
		if meta && p.name == "managedFields" {
			continue
		}
		index, known := fields.index[p.name]
		status := len(d.path) == 0 && p.name == "status"
		d.status = d.status || status
		if d.enter(p.key, p.name) {
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
	if strings, ok := v.Addr().Interface().(*map[string]string); ok {
		d.stringMap(n, strings)
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.Content)/2))
	pairs := d.pairs(n)
	defer d.release(pairs)
	for _, p := range pairs {
		element := reflect.New(v.Type().Elem()).Elem()
		if d.enterKey(p.key, p.name) {
			d.value(p.value, element)
			v.SetMapIndex(reflect.ValueOf(p.name).Convert(v.Type().Key()), element)
		}
		d.leave()
	}
}

// stringMap is mapping for the map that is met most.
func (d *decoder) stringMap(n *yaml.Node, m *map[string]string) {
	pairs := d.pairs(n)
	defer d.release(pairs)
	*m = make(map[string]string, len(pairs))
	for _, p := range pairs {
		if d.enterKey(p.key, p.name) {
			text := ""
			switch {
			case isNull(p.value):
			case p.value.Kind == yaml.ScalarNode && scalarOf(p.value) == scalarString:
				text = p.value.Value
			default:
				d.expected(p.value, "a string")
			}
			(*m)[p.name] = text
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
		if d.enterIndex(element, i) {
			if isNull(follow(element)) {
				d.fail(element, "expected an element of the list, got nothing")
			}
			d.value(element, v.Index(i))
		}
		d.leave()
	}
}
