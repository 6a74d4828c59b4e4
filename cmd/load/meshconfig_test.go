package load

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const meshMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME, namespace: NS}\ndata:\n  mesh: |-\n    rootNamespace: NAME-NS\n    outboundTrafficPolicy:\n      mode: REGISTRY_ONLY\n    futureField: 1\n---\n"

func meshConfigMapText(name, namespace string) string {
	return strings.NewReplacer("NAME", name, "NS", namespace).Replace(meshMap)
}

func TestMeshConfigMap(t *testing.T) {
	text := meshConfigMapText("istio-canary", "istio-system") + meshConfigMapText("istio", "elsewhere") + meshConfigMapText("istio", "istio-system") +
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-ca-root-cert, namespace: istio-system}\ndata: {root-cert.pem: x}\n"
	in, err := fromText(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := in.MeshConfig.GetRootNamespace(); got != "istio-istio-system" {
		t.Error(got)
	}
	if got := in.MeshConfigRef.String(); got != "ConfigMap istio-system/istio" {
		t.Error(got)
	}
	for field, want := range map[string]string{
		"": "<stdin>:21", "data.mesh": "<stdin>:25", "rootNamespace": "<stdin>:26", "outboundTrafficPolicy.mode": "<stdin>:28", "trustDomain": "<stdin>:25",
	} {
		if got := in.MeshOrigin.Locate(field); got != want {
			t.Errorf("%q: want %s, got %s", field, want, got)
		}
	}
	var notes []string
	for _, n := range in.Notes {
		notes = append(notes, n.Ref.String()+": "+n.Message)
	}
	want := []string{
		"ConfigMap istio-system/istio: data.mesh: futureField: unknown field",
		"ConfigMap istio-system/istio-canary: not followed: the mesh config is that of ConfigMap istio-system/istio",
		"ConfigMap elsewhere/istio: not followed: the mesh config is that of ConfigMap istio-system/istio",
	}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMeshConfigMapProblems(t *testing.T) {
	tests := []struct {
		name, text, want string
	}{
		{"block", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n    enableAutoMtls: true\n    accessLogEncoding: XML\n", `<stdin>:7: ConfigMap istio-system/istio: data.mesh: accessLogEncoding: expected one of TEXT, JSON, got "XML"`},
		{"one line", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: \"accessLogEncoding: XML\"\n", `<stdin>:5: ConfigMap istio-system/istio: data.mesh: accessLogEncoding: expected one of TEXT, JSON, got "XML"`},
		{"malformed", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n    a: b\n     c: d\n", `<stdin>:7: ConfigMap istio-system/istio: data.mesh: malformed YAML: mapping values are not allowed in this context`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := fromText(tt.text)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMeshConfig(t *testing.T) {
	config, warnings, err := MeshConfig([]byte("trustDomain: td\nenable_auto_mtls: false\nprotocolDetectionTimeout: 100ms\nproxyListenPort: \"15001\"\ndefualtConfig: {}\n"), "mesh.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if config.GetTrustDomain() != "td" || config.GetEnableAutoMtls().GetValue() || config.GetProtocolDetectionTimeout().GetNanos() != 100_000_000 || config.GetProxyListenPort() != 15001 {
		t.Error(config)
	}
	if diff := cmp.Diff([]string{`defualtConfig: unknown field; did you mean "defaultConfig"?`}, warnings); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for text, want := range map[string]string{
		"trustDomain: [a]\n":          `mesh.yaml:1: trustDomain: expected a string, got a list`,
		"- a\n":                       `mesh.yaml:1: expected an object, got a list`,
		"kind: ConfigMap\n":           `mesh.yaml:1: expected the fields of a MeshConfig, got a ConfigMap; of the ConfigMap istio, it is what the key mesh holds`,
		"trustDomain: a\n---\nb: c\n": `mesh.yaml:2: a second document; a MeshConfig is one`,
	} {
		if _, _, err := MeshConfig([]byte(text), "mesh.yaml"); err == nil || err.Error() != want {
			t.Errorf("%q: want %s, got %v", text, want, err)
		}
	}
	if config, _, err := MeshConfig(nil, "empty.yaml"); err != nil || config == nil {
		t.Error(config, err)
	}
}
