package cmd

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// TestHintsHold makes the changes that each hint names: the refusal is gone.
func TestHintsHold(t *testing.T) {
	held := 0
	for _, c := range tracedScenarios(t) {
		whole, err := c.walk(c.input.Resources)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for _, o := range whole.Outcomes {
			if len(o.Hint) == 0 {
				continue
			}
			changed := c
			changed.request.Headers = maps.Clone(c.request.Headers)
			resources := slices.Clone(c.input.Resources)
			for _, h := range o.Hint {
				if h.Op == resolve.ChangeSend {
					name, value, _ := strings.Cut(h.Value, ": ")
					changed.request.Headers[name] = value
					continue
				}
				if resources, err = apply(resources, h); err != nil {
					t.Errorf("%s: %s: %v", c.name, h, err)
				}
			}
			after, err := changed.walk(resources)
			if err != nil {
				t.Errorf("%s: after %v: %v", c.name, o.Hint, err)
				continue
			}
			if before, now := refusedShare(whole, o), refusedShare(after, o); now >= before {
				t.Errorf("%s: after %v still %g%% %s %s: %s", c.name, o.Hint, now, o.Decision, o.By, after.Outcomes[0].Reason)
			}
			held++
		}
	}
	if held < 50 {
		t.Errorf("only %d hints were tried", held)
	}
}

// refusedShare is the share of requests that end as the outcome does, by the same resource.
func refusedShare(t *trace.Trace, o trace.Outcome) float64 {
	share := 0.0
	for _, other := range t.Outcomes {
		if other.Decision == o.Decision && other.Code == o.Code && other.By.Object() == o.By.Object() {
			share += other.Weight
		}
	}
	return share
}

// apply makes one change.
func apply(resources []resolve.Sourced, c resolve.Change) ([]resolve.Sourced, error) {
	if c.Op == resolve.ChangeCreate && c.Ref.Kind == "Secret" {
		return append(slices.Clone(resources), resolve.Sourced{
			Object: resolve.NewSecret(c.Ref.Namespace, c.Ref.Name, "kubernetes.io/tls"), GroupKind: schema.GroupKind{Kind: c.Ref.Kind},
		}), nil
	}
	i := slices.IndexFunc(resources, func(r resolve.Sourced) bool {
		return r.GroupKind.Kind == c.Ref.Kind && r.Object.GetNamespace() == c.Ref.Namespace && r.Object.GetName() == c.Ref.Name
	})
	if i < 0 {
		return nil, fmt.Errorf("no %s", c.Ref.Object())
	}
	if c.Op == resolve.ChangeDelete && c.Ref.Field == "" {
		return slices.Delete(slices.Clone(resources), i, i+1), nil
	}
	data, err := json.Marshal(resources[i].Object)
	if err != nil {
		return nil, err
	}
	var fields any
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	var value any
	if err := yaml.Unmarshal([]byte(c.Value), &value); err != nil {
		return nil, err
	}
	if data, err = json.Marshal(edit(fields, keys(c.Ref.Field), c.Op, value)); err != nil {
		return nil, err
	}
	object := reflect.New(reflect.TypeOf(resources[i].Object).Elem()).Interface().(resolve.Object)
	if err := json.Unmarshal(data, object); err != nil {
		return nil, err
	}
	resources = slices.Clone(resources)
	resources[i].Object = object
	return resources, nil
}

var keyPattern = regexp.MustCompile(`\["([^"]+)"\]|\[(\w+)\]|([^.\[\]]+)`)

// keys are the parts of a field path; numbers are indexes.
func keys(field string) []any {
	var out []any
	for _, m := range keyPattern.FindAllStringSubmatch(field, -1) {
		if n, err := strconv.Atoi(m[2]); err == nil {
			out = append(out, n)
			continue
		}
		out = append(out, m[1]+m[2]+m[3])
	}
	return out
}

// edit returns the value with the change made at the path; what is missing on the way is made.
func edit(at any, path []any, op resolve.ChangeOp, value any) any {
	if len(path) == 0 {
		list, _ := at.([]any)
		switch op {
		case resolve.ChangeAdd:
			return append(list, value)
		case resolve.ChangeRemove:
			return slices.DeleteFunc(list, func(v any) bool { return v == value })
		case resolve.ChangeSet, resolve.ChangeDelete, resolve.ChangeCreate, resolve.ChangeSend:
		}
		return value
	}
	gone := op == resolve.ChangeDelete && len(path) == 1
	switch key := path[0].(type) {
	case int:
		list, isMap := at.([]any)
		if m, ok := at.(map[string]any); ok && !isMap { // a map with numbers for keys, as portLevelMtls
			m[strconv.Itoa(key)] = edit(m[strconv.Itoa(key)], path[1:], op, value)
			return m
		}
		if gone {
			return slices.Delete(list, key, key+1)
		}
		for len(list) <= key {
			list = append(list, map[string]any{})
		}
		list[key] = edit(list[key], path[1:], op, value)
		return list
	case string:
		m, ok := at.(map[string]any)
		if !ok {
			m = map[string]any{}
		}
		if gone {
			delete(m, key)
			return m
		}
		m[key] = edit(m[key], path[1:], op, value)
		if list, isList := m[key].([]any); isList && len(list) == 0 {
			delete(m, key)
		}
		return m
	}
	return at
}
