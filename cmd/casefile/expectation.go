package casefile

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Expectation is a part of the JSON document of a trace: what is in it must be in the trace, and all else is free. match.go says
// what that means for each type.
//
// It is checked against the document's own Go types as it is read, so that a field the document does not have, or a word that the
// field never holds, is found before anything is traced.
type Expectation struct {
	root want
}

// want is what is expected of one value.
type want struct {
	// text is as written, for whoever reads a failure.
	text string
	// null expects an object that is not there, or a key that a mapping does not have.
	null bool
	// fields are those of an object.
	fields []wantField
	// keys are those of a mapping of texts.
	keys []wantKey
	// items are those of a list.
	items []want
	// value is that of a number, a text or a truth value.
	value any
	// matches replaces a text by a pattern.
	matches *regexp.Regexp
}

type wantField struct {
	name  string
	index int
	want  want
}

type wantKey struct {
	name string
	want want
}

// expected are the fields of a document that may be expected; the others are its type and its name.
var expected = []string{"request", "istio", "outcomes", "hops", "warnings"}

// expectation reads what is expected of a trace; nil where that is nothing.
func (p *parser) expectation(n *yaml.Node, path string) *Expectation {
	if isNull(n) {
		return nil
	}
	document := reflect.TypeFor[render.Document]()
	e := Expectation{root: p.object(n, path, document, expected)}
	if len(e.root.fields) == 0 {
		return nil
	}
	return &e
}

// want reads what is expected of a value of that type.
func (p *parser) want(n *yaml.Node, path string, t reflect.Type) want {
	n = follow(n)
	switch t.Kind() {
	case reflect.Pointer:
		if isNull(n) {
			return want{text: "null", null: true}
		}
		return p.want(n, path, t.Elem())
	case reflect.Struct:
		return p.object(n, path, t, nil)
	case reflect.Map:
		return p.mapping(n, path, t.Elem())
	case reflect.Slice:
		list, _ := p.items(n, path)
		w := want{text: flow(n), items: []want{}}
		for i, item := range list {
			w.items = append(w.items, p.want(item, at(path, i), t.Elem()))
		}
		return w
	}
	return p.scalar(n, path, t)
}

// object reads a mapping by the fields of a struct; only names them, where not all count.
func (p *parser) object(n *yaml.Node, path string, t reflect.Type, only []string) want {
	known := jsonFields(t)
	list, _ := p.entries(n, path)
	w := want{text: flow(n)}
	for _, f := range list {
		index, ok := known[f.name]
		if !ok || only != nil && !slices.Contains(only, f.name) {
			names := only
			if names == nil {
				names = slices.Sorted(maps.Keys(known))
			}
			p.unknown(f, path, names)
			continue
		}
		field := t.Field(index)
		one := p.want(f.value, join(path, f.name), field.Type)
		p.checkWord(f.value, join(path, f.name), t, field.Name, one)
		w.fields = append(w.fields, wantField{f.name, index, one})
	}
	return w
}

// mapping reads the keys of a mapping; one without a value is expected not to be there.
func (p *parser) mapping(n *yaml.Node, path string, element reflect.Type) want {
	list, _ := p.entries(n, path)
	w := want{text: flow(n), keys: []wantKey{}}
	for _, f := range list {
		one := want{text: "null", null: true}
		if !isNull(f.value) {
			one = p.want(f.value, join(path, f.name), element)
		}
		w.keys = append(w.keys, wantKey{f.name, one})
	}
	return w
}

// scalar reads a number, a truth value, a text, or {matches: REGEXP} in place of a text.
func (p *parser) scalar(n *yaml.Node, path string, t reflect.Type) want {
	w := want{text: flow(n)}
	if t.Kind() == reflect.String && n.Kind == yaml.MappingNode {
		p.fields(n, path, map[string]func(*yaml.Node, string){"matches": func(n *yaml.Node, path string) {
			text, _ := p.text(n, path)
			pattern, err := regexp.Compile(text)
			if err != nil {
				p.fail(n, path, "expected a regular expression: %v", err)
			}
			w.matches = pattern
		}})
		if w.matches == nil {
			p.fail(n, path, "expected a text, or {matches: REGEXP}")
		}
		return w
	}
	if n.Kind != yaml.ScalarNode || isNull(n) {
		p.fail(n, path, "expected %s, got %s", typeName(t), describe(n))
		return w
	}
	var err error
	switch t.Kind() {
	case reflect.String:
		w.value = n.Value
	case reflect.Bool:
		w.value, err = strconv.ParseBool(n.Value)
	case reflect.Float64:
		w.value, err = strconv.ParseFloat(n.Value, 64)
	default:
		w.value, err = strconv.Atoi(n.Value)
	}
	if err != nil {
		p.fail(n, path, "expected %s, got %s", typeName(t), describe(n))
	}
	return w
}

// typeName is a scalar type in the words of a case file.
func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// jsonFields are the fields of a struct by their names in JSON.
func jsonFields(t reflect.Type) map[string]int {
	out := map[string]int{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			out[name] = i
		}
	}
	return out
}

// checkWord refuses a word that a field of a closed list never holds: such a case could not pass, or not fail.
func (p *parser) checkWord(n *yaml.Node, path string, object reflect.Type, field string, w want) {
	text, ok := w.value.(string)
	if !ok {
		return
	}
	words, ok := closed[[2]string{object.Name(), field}]
	if ok && !slices.Contains(words(), text) {
		p.fail(n, path, "%q: expected one of %s", text, strings.Join(words(), ", "))
	}
}

// closed are the closed lists of a document, by type and field. The long ones are named by the command or the page that has them.
var closed = map[[2]string]func() []string{
	{"Outcome", "Decision"}:     decisions,
	{"Alternative", "Decision"}: decisions,
	{"Outcome", "Certainty"}: func() []string {
		return []string{string(trace.Certain), string(trace.Assumed), string(trace.Undetermined)}
	},
	{"Outcome", "Code"}:     codes,
	{"Alternative", "Code"}: codes,
	{"Step", "Verdict"}: func() []string {
		return texts(resolve.Matched, resolve.Skipped, resolve.Applied, resolve.Allowed, resolve.DeniedBy, resolve.Warned, resolve.None)
	},
	{"Step", "Rule"}: func() []string {
		var out []string
		for _, r := range resolve.Rules() {
			out = append(out, string(r.ID))
		}
		return out
	},
	{"Hop", "TLS"}: func() []string {
		return texts(trace.TLSPlaintext, trace.TLSSimple, trace.TLSMutual, trace.TLSHBONE)
	},
	{"Hop", "Direction"}: func() []string { return texts(trace.Inbound, trace.Outbound, trace.AtGateway) },
}

func decisions() []string {
	return texts(trace.Delivered, trace.Redirected, trace.Responded, trace.NotRouted, trace.Denied, trace.Unavailable, trace.Reset)
}

func codes() []string {
	out := []string{""}
	for _, c := range trace.Codes() {
		out = append(out, string(c.Code))
	}
	return out
}

func texts[T ~string](words ...T) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return out
}

// longestFlow is how much of a node is shown, in bytes.
const longestFlow = 200

// flow is a node on one line, as far as that is short.
func flow(n *yaml.Node) string {
	var b strings.Builder
	writeFlow(&b, n)
	return b.String()
}

func writeFlow(b *strings.Builder, n *yaml.Node) {
	n = follow(n)
	switch {
	case b.Len() > longestFlow:
		b.WriteString("…")
	case n.Kind == yaml.ScalarNode && n.Value == "":
		b.WriteString(`""`)
	case n.Kind == yaml.ScalarNode:
		b.WriteString(n.Value)
	case n.Kind == yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteString(", ")
			}
			if writeFlow(b, item); b.Len() > longestFlow {
				break
			}
		}
		b.WriteByte(']')
	default:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(follow(n.Content[i]).Value + ": ")
			if writeFlow(b, n.Content[i+1]); b.Len() > longestFlow {
				break
			}
		}
		b.WriteByte('}')
	}
}
