package conformance

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// shrink drops resources, then fields of their specs, as long as a difference remains. Without one on
// the resources alone (it then came of earlier requests) the text is empty.
func shrink(t *testing.T, docs, args []string) ([]string, string) {
	last := ""
	differs := func(docs []string) bool {
		diff := ""
		t.Run("smaller", func(t *testing.T) {
			b, err := newBench(t, t.TempDir(), join(docs), "default")
			if err != nil {
				return
			}
			diff, _ = outcome(b, args)
		})
		if diff != "" {
			last = diff
		}
		return diff != ""
	}
	if !differs(docs) {
		return docs, ""
	}
	for changed := true; changed; {
		changed = false
		for i := len(docs) - 1; i >= 0; i-- {
			if strings.Contains(docs[i], "\nkind: Namespace\n") {
				continue // a cluster has them all, and which labels a namespace has is not for the tracer to guess
			}
			smaller := slices.Delete(slices.Clone(docs), i, i+1)
			if differs(smaller) {
				docs, changed = smaller, true
			}
		}
	}
	for i := range docs {
		docs = shrinkFields(docs, i, differs)
	}
	differs(docs)
	return docs, last
}

// shrinkFields drops the fields of one resource that the difference does not need.
func shrinkFields(docs []string, i int, differs func([]string) bool) []string {
	var o map[string]any
	if yaml.Unmarshal([]byte(docs[i]), &o) != nil {
		return docs
	}
	tried := map[string]bool{}
	for changed := true; changed; {
		changed = false
		for _, path := range paths(o, nil) {
			if tried[strings.Join(path, "/")] {
				continue
			}
			text, err := yaml.Marshal(without(o, path))
			if err != nil {
				return docs
			}
			smaller := slices.Clone(docs)
			smaller[i] = string(text)
			if differs(smaller) {
				docs, o, changed = smaller, without(o, path).(map[string]any), true
				break
			}
			tried[strings.Join(path, "/")] = true
		}
	}
	return docs
}

// paths lead to the fields and items within v, outer ones first.
func paths(v any, at []string) [][]string {
	var out [][]string
	add := func(key string, child any) {
		path := append(slices.Clone(at), key)
		out = append(append(out, path), paths(child, path)...)
	}
	switch x := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			if len(at) > 0 || k == "spec" {
				add(k, x[k])
			}
		}
	case []any:
		for i := len(x) - 1; i >= 0; i-- {
			add(strconv.Itoa(i), x[i])
		}
	}
	return out
}

// without is a copy of v that lacks what the path leads to.
func without(v any, path []string) any {
	switch x := v.(type) {
	case map[string]any:
		c := maps.Clone(x)
		if len(path) == 1 {
			delete(c, path[0])
		} else {
			c[path[0]] = without(c[path[0]], path[1:])
		}
		return c
	case []any:
		i, _ := strconv.Atoi(path[0])
		c := slices.Clone(x)
		if len(path) == 1 {
			return slices.Delete(c, i, i+1)
		}
		c[i] = without(c[i], path[1:])
		return c
	}
	return v
}
