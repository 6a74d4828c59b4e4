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

	"google.golang.org/protobuf/encoding/protojson"
	meshconfig "istio.io/api/mesh/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// TestHintsHold makes the changes that each hint names: the refusal is gone.
func TestHintsHold(t *testing.T) {
	t.Parallel()
	held := 0
	for c := range tracedScenarios(t) {
		whole, err := c.walk(c.input.Resources)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for _, o := range whole.Outcomes {
			if len(o.Hint) == 0 {
				continue
			}
			changed, err := c.with(o.Hint)
			if err != nil {
				t.Errorf("%s: after %v: %v", c.name, o.Hint, err)
				continue
			}
			after, err := changed.walk(changed.input.Resources)
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

// with is the scenario after changes.
func (c traced) with(changes []resolve.Change) (traced, error) {
	c.request.Headers = maps.Clone(c.request.Headers)
	c.input.Resources = slices.Clone(c.input.Resources)
	token := findToken(&c.request)
	for _, h := range changes {
		switch h.Op {
		case resolve.ChangeSend:
			name, value, _ := strings.Cut(h.Value, ": ")
			c.request.Headers[name] = value
		case resolve.ChangeOmit:
			if err := leaveOut(&c.request, h.Value); err != nil {
				return c, err
			}
		case resolve.ChangeToken:
			text, err := otherClaims(token, h.Value)
			if err != nil {
				return c, err
			}
			if token == "" {
				token, c.request.Headers["authorization"] = text, "Bearer "+text
				continue
			}
			for k, v := range c.request.Headers {
				c.request.Headers[k] = strings.ReplaceAll(v, token, text)
			}
			c.request.Query = strings.ReplaceAll(c.request.Query, token, text)
			token = text
		case resolve.ChangePlace:
			place(&c.request, strings.ReplaceAll(h.Value, "TOKEN", token))
		case resolve.ChangeAdd, resolve.ChangeRemove, resolve.ChangeSet, resolve.ChangeDelete, resolve.ChangeCreate, resolve.ChangeRestart:
			var err error
			if h.Ref.Kind == "MeshConfig" {
				c.input.MeshConfig, err = applyToMesh(c.input.MeshConfig, h)
			} else {
				c.input.Resources, err = apply(c.input.Resources, h)
			}
			if err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

// applyToMesh makes one change of the mesh config.
func applyToMesh(m *meshconfig.MeshConfig, c resolve.Change) (*meshconfig.MeshConfig, error) {
	data, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	if data, err = change(data, c); err != nil {
		return nil, err
	}
	out := &meshconfig.MeshConfig{}
	return out, protojson.Unmarshal(data, out)
}

// change makes one change of a JSON object.
func change(data []byte, c resolve.Change) ([]byte, error) {
	var fields, value any
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal([]byte(c.Value), &value); err != nil {
		return nil, err
	}
	return json.Marshal(edit(fields, keys(c.Ref.Field), c.Op, value))
}

var tokenPattern = regexp.MustCompile(`[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.`)

// findToken is the first token of a request.
func findToken(q *trace.Request) string {
	for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
		if token := tokenPattern.FindString(q.Headers[name]); token != "" {
			if _, err := trace.ParseJWT(token); err == nil {
				return token
			}
		}
	}
	return tokenPattern.FindString(q.Query)
}

// otherClaims is a token with some claims changed.
func otherClaims(token, claims string) (string, error) {
	all := map[string]any{}
	if token != "" {
		parsed, err := trace.ParseJWT(token)
		if err != nil {
			return "", err
		}
		all = parsed.Claims
	}
	if err := yaml.Unmarshal([]byte(claims), &all); err != nil {
		return "", err
	}
	return (&resolve.Token{Claims: all}).Encode()
}

// leaveOut takes a header, parameter or cookie off a request.
func leaveOut(q *trace.Request, where string) error {
	kind, name, _ := strings.Cut(where, " ")
	switch kind {
	case "header":
		delete(q.Headers, name)
	case "parameter":
		q.Query = regexp.MustCompile(`(^|&)`+regexp.QuoteMeta(name)+`=[^&]*`).ReplaceAllString(q.Query, "")
	case "cookie":
		q.Headers["cookie"] = regexp.MustCompile(`(^|; *)`+regexp.QuoteMeta(name)+`=[^;]*`).ReplaceAllString(q.Headers["cookie"], "")
	default:
		return fmt.Errorf("no such place: %s", where)
	}
	return nil
}

// place puts a token where the text says: "name: value" or "?name=value".
func place(q *trace.Request, text string) {
	if parameter, ok := strings.CutPrefix(text, "?"); ok {
		q.Query = strings.TrimPrefix(q.Query+"&"+parameter, "&")
		return
	}
	name, value, _ := strings.Cut(text, ": ")
	q.Headers[strings.ToLower(name)] = value
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
	if pod, ok := resources[i].Object.(*corev1.Pod); ok && c.Op == resolve.ChangeRestart {
		pod = pod.DeepCopy()
		pod.Status = corev1.PodStatus{} // no kubelet has seen it yet
		resources = slices.Clone(resources)
		resources[i].Object = pod
		return resources, nil
	}
	data, err := json.Marshal(resources[i].Object)
	if err != nil {
		return nil, err
	}
	if data, err = change(data, c); err != nil {
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
		case resolve.ChangeSet, resolve.ChangeDelete, resolve.ChangeCreate, resolve.ChangeRestart, resolve.ChangeSend, resolve.ChangeOmit, resolve.ChangeToken, resolve.ChangePlace:
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
