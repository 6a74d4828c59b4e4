package scale

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

//go:embed templates
var files embed.FS

// template is an object with variables.
//
//  1. A variable is $NAME within a string. A string that is nothing but one of listVariables stands for a number, a list
//     or a map, and is replaced with its quotes.
//  2. An object has the managedFields that an API server keeps of it, but for those within the fields of a container: its metadata
//     and spec were written by one manager, its status by another.
//  3. Istio's kinds have been applied by kubectl, which leaves the whole object in an annotation.
type template struct {
	apiVersion, kind, namespace, name string
	// text is JSON.
	text string
}

// templates are those of a file.
func templates(file string) ([]template, error) {
	text, err := files.ReadFile("templates/" + file)
	if err != nil {
		return nil, err
	}
	var out []template
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 1<<16)
	for {
		o := map[string]any{}
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		made, err := newTemplate(o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, made)
	}
}

func newTemplate(o map[string]any) (template, error) {
	u := unstructured.Unstructured{Object: o}
	t := template{apiVersion: u.GetAPIVersion(), kind: u.GetKind(), namespace: u.GetNamespace(), name: u.GetName()}
	if t.kind != "" {
		if strings.Contains(t.apiVersion, "istio.io/") { // 3.
			applied, err := json.Marshal(o)
			if err != nil {
				return t, err
			}
			u.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": string(applied)})
		}
		if err := manage(o, t.apiVersion); err != nil {
			return t, err
		}
	}
	text, err := json.Marshal(o)
	t.text = string(text)
	return t, err
}

// manage is step 2.
func manage(o map[string]any, apiVersion string) error {
	metadata, ok := o["metadata"].(map[string]any)
	if !ok {
		return fmt.Errorf("%v has no metadata", o["kind"])
	}
	written, status := map[string]any{}, map[string]any{}
	for name, v := range o {
		switch name {
		case "apiVersion", "kind":
		case "status":
			status["f:status"] = fieldsOf(v)
		case "metadata":
			kept := map[string]any{}
			for _, field := range []string{"labels", "annotations", "ownerReferences", "generateName"} {
				if v, ok := metadata[field]; ok {
					kept["f:"+field] = fieldsOf(v)
				}
			}
			written["f:metadata"] = kept
		default:
			written["f:"+name] = fieldsOf(v)
		}
	}
	entries := []any{managed("helm", apiVersion, "", written)}
	if len(status) > 0 {
		entries = append(entries, managed("kubelet", apiVersion, "status", status))
	}
	metadata["managedFields"] = entries
	return nil
}

func managed(manager, apiVersion, subresource string, fields map[string]any) map[string]any {
	out := map[string]any{
		"manager": manager, "operation": "Update", "apiVersion": apiVersion, "time": "$CREATED", "fieldsType": "FieldsV1", "fieldsV1": fields,
	}
	if subresource != "" {
		out["subresource"] = subresource
	}
	return out
}

// listKeys are the fields that tell the members of a list apart, of which a member has the first.
var listKeys = []string{"containerPort", "mountPath", "ip", "type", "uid", "name", "key"}

// fieldDepth is that of a container's fields within a pod's spec.
const fieldDepth = 3

// fieldsOf is the set of fields of a value, as managedFields write it.
func fieldsOf(v any) map[string]any { return fieldsWithin(v, fieldDepth) }

func fieldsWithin(v any, depth int) map[string]any {
	out := map[string]any{}
	if depth == 0 {
		return out
	}
	switch v := v.(type) {
	case map[string]any:
		for name, field := range v {
			out["f:"+name] = fieldsWithin(field, depth-1)
		}
	case []any:
		for _, member := range v {
			m, ok := member.(map[string]any)
			if !ok {
				continue
			}
			for _, key := range listKeys {
				if value, ok := m[key]; ok {
					named, _ := json.Marshal(map[string]any{key: value}) // a string or a number
					inner := fieldsWithin(m, depth-1)
					inner["."] = map[string]any{}
					out["k:"+string(named)] = inner
					break
				}
			}
		}
	}
	return out
}

// listVariables are those of which a value is not a string.
var listVariables = []string{"$COUNT", "$PORTS", "$SLICEPORTS", "$ENDPOINTS", "$IMAGES", "$WORKLOAD", "$FORMER"}

// variables replace what stands in templates: each name is followed by its value.
type variables []string

// with are these variables and more.
func (v variables) with(more ...string) variables { return slices.Concat(v, more) }

// replacer prefers the longest of the names that fit.
func (v variables) replacer() *strings.Replacer {
	pairs := slices.Collect(slices.Chunk(v, 2))
	slices.SortStableFunc(pairs, func(a, b variables) int { return cmp.Compare(len(b[0]), len(a[0])) })
	var out []string
	for _, p := range pairs {
		if slices.Contains(listVariables, p[0]) {
			out = append(out, `"`+p[0]+`"`, p[1])
		}
	}
	for _, p := range pairs {
		if !slices.Contains(listVariables, p[0]) {
			out = append(out, p[0], p[1])
		}
	}
	return strings.NewReplacer(out...)
}
