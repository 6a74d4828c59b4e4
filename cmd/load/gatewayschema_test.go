package load

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// property is a schema of a CRD, as far as the tests read it.
type property struct {
	Type                 string              `json:"type"`
	Format               string              `json:"format"`
	Default              any                 `json:"default"`
	Enum                 []any               `json:"enum"`
	Properties           map[string]property `json:"properties"`
	Items                *property           `json:"items"`
	AdditionalProperties *property           `json:"additionalProperties"`
}

// crdSchemas are the schemas of the CRDs in the modules of the Gateway API, of the versions that are stored.
func crdSchemas(t *testing.T, files ...string) map[schema.GroupKind]property {
	t.Helper()
	out := map[schema.GroupKind]property{}
	for _, file := range files {
		module, below, _ := strings.Cut(file, ":")
		dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
		if err != nil {
			t.Fatal(err)
		}
		paths, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), below))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no CRDs at %s: %v", file, err)
		}
		for _, path := range paths {
			addSchema(t, out, path)
		}
	}
	return out
}

func addSchema(t *testing.T, out map[schema.GroupKind]property, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range strings.Split(string(data), "\n---\n") {
		var crd struct {
			Kind string
			Spec struct {
				Group    string
				Names    struct{ Kind string }
				Versions []struct {
					Storage bool
					Schema  struct{ OpenAPIV3Schema property }
				}
			}
		}
		if err := yaml.Unmarshal([]byte(text), &crd); err != nil {
			t.Fatal(err)
		}
		for _, v := range crd.Spec.Versions {
			if crd.Kind == "CustomResourceDefinition" && v.Storage {
				out[schema.GroupKind{Group: crd.Spec.Group, Kind: crd.Spec.Names.Kind}] = v.Schema.OpenAPIV3Schema
			}
		}
	}
}

const (
	gatewayModule   = "sigs.k8s.io/gateway-api:config/crd/"
	inferenceModule = "sigs.k8s.io/gateway-api-inference-extension:config/crd/bases/inference.networking.k8s.io_*.yaml"
)

// kindsWithSchema are the kinds of the table that the CRDs describe; each one that is read must be among them.
func kindsWithSchema(t *testing.T, schemas map[schema.GroupKind]property) []kind {
	t.Helper()
	var out []kind
	for _, k := range kinds {
		if !k.read() || k.group != gatewayGroup && k.group != gatewayXGroup && k.group != inferenceGroup {
			continue
		}
		if _, ok := schemas[k.groupKind()]; !ok {
			t.Errorf("no schema of %s", k.groupKind())
			continue
		}
		out = append(out, k)
	}
	return out
}

// sampler makes an object that a schema allows.
type sampler struct {
	name string
	// include says of a property that has a default whether it is written.
	include func(property) bool
}

var samplers = []sampler{
	{"all that has no default", func(property) bool { return false }},
	{"objects and lists as well", func(p property) bool { return p.Type == "object" || p.Type == "array" }},
	{"everything", func(property) bool { return true }},
}

func (s sampler) sample(p property) any {
	switch p.Type {
	case "object":
		out := map[string]any{}
		for name, sub := range p.Properties {
			if sub.Default == nil || s.include(sub) {
				out[name] = s.sample(sub)
			}
		}
		if p.AdditionalProperties != nil {
			out["key"] = s.sample(*p.AdditionalProperties)
		}
		return out
	case "array":
		return []any{s.sample(*p.Items)}
	case "integer":
		return s.other(p, 7)
	case "boolean":
		return true
	case "string":
		if p.Format == "date-time" {
			return "2026-01-01T00:00:00Z"
		}
		return s.other(p, "other")
	}
	return map[string]any{}
}

// other is a value that is not the default.
func (s sampler) other(p property, free any) any {
	for _, v := range p.Enum {
		if v != p.Default {
			return v
		}
	}
	return free
}

// withDefaults does to a value what an API server does.
// Source: k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting, Default.
func withDefaults(v any, p property) any {
	switch v := v.(type) {
	case map[string]any:
		for name, sub := range p.Properties {
			if _, written := v[name]; !written && sub.Default != nil {
				v[name] = sub.Default
			}
			if _, has := v[name]; has {
				v[name] = withDefaults(v[name], sub)
			}
		}
	case []any:
		for i := range v {
			v[i] = withDefaults(v[i], *p.Items)
		}
	}
	return v
}

// Every default in the spec of a Gateway API kind is filled in as the schemas of either channel do, and nothing
// that is written is changed.
func TestGatewayDefaultsAreThoseOfTheSchemas(t *testing.T) {
	for _, channel := range []string{"standard/*.yaml", "experimental/*.yaml"} {
		files := []string{gatewayModule + channel, inferenceModule}
		if channel == "standard/*.yaml" {
			files = append(files, gatewayModule+"experimental/gateway.networking.x-k8s.io_*.yaml")
		}
		schemas := crdSchemas(t, files...)
		for _, k := range kindsWithSchema(t, schemas) {
			for _, s := range samplers {
				t.Run(fmt.Sprintf("%s %s, %s", strings.TrimSuffix(channel, "/*.yaml"), k.kind, s.name), func(t *testing.T) {
					spec := schemas[k.groupKind()].Properties["spec"]
					got := readSpec(t, k, s.sample(spec))
					if diff := cmp.Diff(roundTrip(t, withDefaults(s.sample(spec), spec)), got); diff != "" {
						t.Errorf("(-API server +loader):\n%s", diff)
					}
				})
			}
		}
	}
}

// The schemas do say something: the defaults that matter most, by hand.
func TestGatewayDefaults(t *testing.T) {
	tests := []struct{ kind, written, want string }{
		{"HTTPRoute", `{}`, `{rules: [{matches: [{path: {type: PathPrefix, value: /}}]}]}`},
		{"HTTPRoute", `{rules: []}`, `{}`},
		{
			"HTTPRoute", `{parentRefs: [{name: web}], rules: [{backendRefs: [{name: a, port: 80}]}]}`,
			`{parentRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: web}], rules: [
			   {matches: [{path: {type: PathPrefix, value: /}}], backendRefs: [{group: "", kind: Service, name: a, port: 80, weight: 1}]}]}`,
		},
		{
			"HTTPRoute", `{rules: [{matches: [{headers: [{name: h, value: "1"}]}], filters: [{type: RequestRedirect, requestRedirect: {hostname: a.com}}]}]}`,
			`{rules: [{matches: [{path: {type: PathPrefix, value: /}, headers: [{type: Exact, name: h, value: "1"}]}],
			   filters: [{type: RequestRedirect, requestRedirect: {hostname: a.com, statusCode: 302}}]}]}`,
		},
		{"GRPCRoute", `{rules: [{matches: [{method: {service: s}}]}]}`, `{rules: [{matches: [{method: {type: Exact, service: s}}]}]}`},
		{
			"Gateway", `{gatewayClassName: istio, listeners: [{name: a, port: 443, protocol: TLS, tls: {certificateRefs: [{name: c}]}}]}`,
			`{gatewayClassName: istio, listeners: [{name: a, port: 443, protocol: TLS, allowedRoutes: {namespaces: {from: Same}},
			   tls: {mode: Terminate, certificateRefs: [{group: "", kind: Secret, name: c}]}}]}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.kind+" "+tt.written, func(t *testing.T) {
			k, _ := kindOf(schema.GroupKind{Group: gatewayGroup, Kind: tt.kind})
			var written, want any
			if err := yaml.Unmarshal([]byte(tt.written), &written); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, readSpec(t, k, written)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// readSpec is the spec as the loader hands it over that has read it from a file.
func readSpec(t *testing.T, k kind, spec any) any {
	t.Helper()
	object := map[string]any{
		"apiVersion": apiVersions(k)[0], "kind": k.kind, "metadata": map[string]any{"name": "sample"}, "spec": spec,
	}
	text, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sample.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := Manifests(ManifestOptions{Paths: []string{file}})
	if err != nil || len(in.Resources) != 1 {
		t.Fatalf("%v\n%s", err, text)
	}
	return roundTrip(t, in.Resources[0].Object).(map[string]any)["spec"]
}

func roundTrip(t *testing.T, v any) any {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Every closed list of values in the schemas is one of the decoder's, unless it is of a type that has no name.
func TestGatewayEnumsAreThoseOfTheSchemas(t *testing.T) {
	schemas := crdSchemas(t, gatewayModule+"experimental/*.yaml", inferenceModule)
	allowed, unnamed := map[reflect.Type][]string{}, map[string]bool{}
	for _, k := range kindsWithSchema(t, schemas) {
		collectEnums(schemas[k.groupKind()].Properties["spec"], reflect.TypeOf(k.new()).Elem(), "", allowed, unnamed)
	}
	for _, typ := range slices.SortedFunc(maps.Keys(allowed), func(a, b reflect.Type) int { return strings.Compare(a.String(), b.String()) }) {
		want, got := allowed[typ], slices.Clone(enumOf(typ))
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
			t.Errorf("%v (-schema +decoder):\n%s", typ, diff)
		}
	}
	want := []string{"rules.filters.requestRedirect.scheme", "rules.filters.requestRedirect.statusCode"}
	if got := slices.Sorted(maps.Keys(unnamed)); !slices.Equal(want, got) {
		t.Errorf("closed lists of types without a name: %v, want %v", got, want)
	}
}

// collectEnums walks a schema and the Go type of it together.
func collectEnums(p property, typ reflect.Type, path string, allowed map[reflect.Type][]string, unnamed map[string]bool) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() == reflect.Struct && path == "" {
		field, _ := typ.FieldByName("Spec")
		typ = field.Type
	}
	switch {
	case p.Items != nil:
		collectEnums(*p.Items, typ, path+".", allowed, unnamed)
	case p.Properties != nil && typ.Kind() == reflect.Struct:
		fields := fieldsOf(typ)
		for name, sub := range p.Properties {
			collectEnums(sub, typ.FieldByIndex(fields.index[name]).Type, strings.Trim(path, ".")+"."+name, allowed, unnamed)
		}
	case len(p.Enum) > 0 && typ.PkgPath() == "":
		unnamed[strings.TrimPrefix(strings.ReplaceAll(strings.ReplaceAll(path, "..", "."), "backendRefs.", ""), ".")] = true
	case len(p.Enum) > 0:
		for _, v := range p.Enum {
			allowed[typ] = append(allowed[typ], fmt.Sprint(v))
		}
	}
}
