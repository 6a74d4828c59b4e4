package casefile

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// What is expected matches a document so:
//
//  1. An object matches where every field that is given does. null matches an object that is not there.
//  2. A mapping (headers) matches where every key that is given is there and its value matches; a key whose value is null is not there.
//  3. A text matches the same text, or what {matches: REGEXP} finds in it. A number matches the same number; a weight has two decimals.
//  4. A list matches where each element that is given matches an element of its own, and others may be there as well; in a list of
//     hops or of steps they follow each other in that order. An empty list matches an empty one.
//  5. outcomes is a list of shares, and speaks of all requests unless it says of how many (share.go).

// Mismatch is one way in which a trace is not what was expected.
type Mismatch struct {
	// Path is in the expectation: outcomes[0].destination.subset.
	Path string
	// Expected and Actual are on one line each, as JSON has them.
	Expected, Actual string
	// Outcome is the index of the trace's outcome that came nearest; -1 where it is none in particular.
	Outcome int
	// Rule is set where what differs is the rule that takes the request, and not the trace's document.
	Rule bool
}

// Match compares a trace with what is expected of it. There is no mismatch where it is as expected.
func (e *Expectation) Match(d *render.Document) []Mismatch {
	if e == nil {
		return nil
	}
	m := matcher{outcome: -1}
	m.object(e.root, reflect.ValueOf(d).Elem(), "")
	return m.found
}

// Reads reports whether the expectation has a field of that name anywhere, so that what nobody looks at need not be there.
func (e *Expectation) Reads(field string) bool { return e != nil && e.root.reads(field) }

func (w want) reads(field string) bool {
	for _, f := range w.fields {
		if f.name == field || f.want.reads(field) {
			return true
		}
	}
	for _, item := range w.items {
		if item.reads(field) {
			return true
		}
	}
	return false
}

// matcher collects mismatches.
type matcher struct {
	found   []Mismatch
	outcome int
}

func (m *matcher) add(path, expected, actual string) {
	m.found = append(m.found, Mismatch{Path: path, Expected: expected, Actual: actual, Outcome: m.outcome})
}

// differences are the mismatches of one value.
func differences(w want, v reflect.Value, path string, outcome int) []Mismatch {
	m := matcher{outcome: outcome}
	m.value(w, v, path)
	return m.found
}

func (m *matcher) value(w want, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		switch {
		case v.IsNil() && !w.null:
			m.add(path, w.text, "null")
		case v.IsNil():
		case w.null:
			m.add(path, "null", show(v.Elem()))
		default:
			m.value(w, v.Elem(), path)
		}
	case reflect.Struct:
		m.object(w, v, path)
	case reflect.Map:
		m.mapping(w, v, path)
	case reflect.Slice:
		m.list(w, v, path)
	default:
		m.scalar(w, v, path)
	}
}

func (m *matcher) object(w want, v reflect.Value, path string) {
	for _, f := range w.fields {
		field, at := v.Field(f.index), join(path, f.name)
		if outcomes, ok := field.Interface().([]render.Outcome); ok {
			m.outcomes(f.want, outcomes, at)
			continue
		}
		m.value(f.want, field, at)
	}
}

func (m *matcher) mapping(w want, v reflect.Value, path string) {
	for _, k := range w.keys {
		value := v.MapIndex(reflect.ValueOf(k.name))
		at := join(path, k.name)
		switch {
		case k.want.null && value.IsValid():
			m.add(at, "absent", show(value))
		case k.want.null:
		case !value.IsValid():
			m.add(at, k.want.text, "absent")
		default:
			m.value(k.want, value, at)
		}
	}
}

func (m *matcher) scalar(w want, v reflect.Value, path string) {
	same := false
	switch expected := w.value.(type) {
	case nil:
		same = w.matches.MatchString(v.String())
	case string:
		same = expected == v.String()
	case bool:
		same = expected == v.Bool()
	case int:
		same = int64(expected) == v.Int()
	case float64:
		same = near(expected, v.Float())
	}
	if !same {
		m.add(path, w.text, show(v))
	}
}

// near compares numbers that have two decimals.
func near(a, b float64) bool { return math.Abs(a-b) < 0.011 }

// list matches elements, each with one of its own.
func (m *matcher) list(w want, v reflect.Value, path string) {
	if len(w.items) == 0 && v.Len() > 0 {
		m.add(path, "an empty list", fmt.Sprintf("a list of %d", v.Len()))
		return
	}
	fits := func(i, j int) bool { return len(differences(w.items[i], v.Index(j), "", m.outcome)) == 0 }
	var missing int
	switch v.Interface().(type) {
	case []render.Hop, []render.Step:
		missing = inOrder(len(w.items), v.Len(), fits)
	default:
		missing = inAnyOrder(len(w.items), v.Len(), fits)
	}
	if missing < 0 {
		return
	}
	m.nearest(w.items[missing], v, at(path, missing))
}

// inOrder gives each of n elements the first of those of the list that fits and stands behind that of the one before it, and returns
// the first that has none; -1 where each has one.
func inOrder(n, length int, fits func(i, j int) bool) int {
	j := 0
	for i := range n {
		for j < length && !fits(i, j) {
			j++
		}
		if j == length {
			return i
		}
		j++
	}
	return -1
}

// inAnyOrder gives each of n elements one of the list that fits, and returns the first that can have none; -1 where each has one.
// It is the matching of a bipartite graph by augmenting paths.
func inAnyOrder(n, length int, fits func(i, j int) bool) int {
	taken := make([]int, length)
	for j := range taken {
		taken[j] = -1
	}
	var give func(i int, tried []bool) bool
	give = func(i int, tried []bool) bool {
		for j := range length {
			if tried[j] || !fits(i, j) {
				continue
			}
			tried[j] = true
			if taken[j] < 0 || give(taken[j], tried) {
				taken[j] = i
				return true
			}
		}
		return false
	}
	for i := range n {
		if !give(i, make([]bool, length)) {
			return i
		}
	}
	return -1
}

// nearest adds how an element differs from the one of the list that is most like it.
func (m *matcher) nearest(w want, v reflect.Value, path string) {
	var best []Mismatch
	for j := range v.Len() {
		if d := differences(w, v.Index(j), path, m.outcome); best == nil || len(d) < len(best) {
			best = d
		}
	}
	if len(best) == 0 { // the list is empty, or all that fit are taken
		actual := "none"
		if v.Len() > 0 {
			actual = "no other of the " + strconv.Itoa(v.Len())
		}
		best = []Mismatch{{Path: path, Expected: w.text, Actual: actual, Outcome: m.outcome}}
	}
	m.found = append(m.found, best...)
}

// show is a value on one line.
func show(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "null"
		}
		return show(v.Elem())
	case reflect.String:
		if v.Len() == 0 {
			return `""`
		}
		return v.String()
	case reflect.Slice:
		return fmt.Sprintf("a list of %d", v.Len())
	case reflect.Struct:
		var parts []string
		t := v.Type()
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if field := v.Field(i); name != "" && !field.IsZero() && field.Kind() != reflect.Slice && field.Kind() != reflect.Struct {
				parts = append(parts, name+": "+show(field))
			}
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v.Interface())
}
