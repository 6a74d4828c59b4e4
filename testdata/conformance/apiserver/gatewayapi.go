package apiserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	sigsyaml "sigs.k8s.io/yaml"
)

// Objects of the Gateway API as the API server hands them to istiod: in the version that istiod watches,
// with what the schemas of the CRDs, experimental ones among them, fill in. What the schemas refuse is refused; what their
// rules (CEL) would refuse is let in, for istiod has an answer to it, but for filters without the settings of their type, which istiod
// does not survive.

// watched is the version of a kind of the Gateway API that istiod watches.
func watched(kind string) string {
	if kind == "ReferenceGrant" {
		return "v1beta1"
	}
	return "v1"
}

// defaulted is an object of the Gateway API in istiod's version, with its defaults.
func defaulted(raw []byte, gvk schema.GroupVersionKind) ([]byte, error) {
	if gvk.Group != "gateway.networking.k8s.io" && gvk.Group != "gateway.networking.x-k8s.io" {
		return raw, nil
	}
	if gvk.Group == "gateway.networking.k8s.io" {
		gvk.Version = watched(gvk.Kind)
	}
	schemas, err := gatewaySchemas()
	if err != nil {
		return nil, err
	}
	s := schemas[gvk]
	if s == nil {
		return nil, Unjudged{"a kind istiod does not read: " + gvk.String()}
	}
	var o map[string]any
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, Unjudged{err.Error()}
	}
	defaulting.Default(o, s.structural)
	if err := validation.ValidateCustomResource(nil, o, s.validator).ToAggregate(); err != nil {
		return nil, Unjudged{"the API server refuses " + gvk.Kind + ": " + err.Error()}
	}
	if kind := withoutSettings(o); kind != "" {
		return nil, Unjudged{"the API server refuses " + gvk.Kind + ": " + kind + " without its settings"}
	}
	o["apiVersion"] = gvk.GroupVersion().String()
	return json.Marshal(o)
}

// settingsOf are the fields that filters, and paths in them, of a type must have.
var settingsOf = map[string]string{
	"RequestHeaderModifier": "requestHeaderModifier", "ResponseHeaderModifier": "responseHeaderModifier", "RequestMirror": "requestMirror",
	"RequestRedirect": "requestRedirect", "URLRewrite": "urlRewrite", "CORS": "cors", "ExtensionRef": "extensionRef",
	"ReplaceFullPath": "replaceFullPath", "ReplacePrefixMatch": "replacePrefixMatch",
}

// withoutSettings is the type of what, anywhere in the object, lacks its settings; empty where all have them.
func withoutSettings(v any) string {
	var parts []any
	switch x := v.(type) {
	case []any:
		parts = x
	case map[string]any:
		kind, _ := x["type"].(string)
		if field := settingsOf[kind]; field != "" && x[field] == nil {
			return kind
		}
		for _, name := range slices.Sorted(maps.Keys(x)) {
			parts = append(parts, x[name])
		}
	}
	for _, part := range parts {
		if kind := withoutSettings(part); kind != "" {
			return kind
		}
	}
	return ""
}

// crdSchema is one version of a CRD.
type crdSchema struct {
	structural *structural.Structural
	validator  validation.SchemaCreateValidator
}

// gatewaySchemas are those of the CRDs that the Gateway API's module ships.
var gatewaySchemas = sync.OnceValues(func() (map[schema.GroupVersionKind]*crdSchema, error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		return nil, fmt.Errorf("where the Gateway API's module is: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "config", "crd", "experimental", "gateway.networking.*.yaml"))
	if err != nil {
		return nil, err
	}
	out := map[schema.GroupVersionKind]*crdSchema{}
	for _, file := range files {
		if err := addSchemas(file, out); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return out, nil
})

func addSchemas(file string, out map[schema.GroupVersionKind]*crdSchema) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := sigsyaml.Unmarshal(text, &crd); err != nil {
		return err
	}
	for _, v := range crd.Spec.Versions {
		if v.Schema == nil {
			continue
		}
		var internal apiextensions.JSONSchemaProps
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &internal, nil); err != nil {
			return err
		}
		s, err := structural.NewStructural(&internal)
		if err != nil {
			return err
		}
		validator, _, err := validation.NewSchemaValidator(&internal)
		if err != nil {
			return err
		}
		out[schema.GroupVersionKind{Group: crd.Spec.Group, Version: v.Name, Kind: crd.Spec.Names.Kind}] = &crdSchema{s, validator}
	}
	return nil
}
