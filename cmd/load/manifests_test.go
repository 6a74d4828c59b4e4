package load

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// files writes files, by path below a new directory, and makes it the working directory.
func files(t testing.TB, texts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

// loaded is what Manifests returned, as a test writes it: a line for each resource, note and problem.
func loaded(in resolve.Input, err error) []string {
	out := []string{}
	for _, r := range in.Resources {
		out = append(out, fmt.Sprintf("%s %s/%s @ %s", r.GroupKind, r.Object.GetNamespace(), r.Object.GetName(), r.Origin.Locate("")))
	}
	for _, n := range in.Notes {
		out = append(out, "note: "+strings.TrimPrefix(n.Ref.String()+": "+n.Message, ": "))
	}
	if err != nil {
		out = append(out, strings.Split(err.Error(), "\n")...)
	}
	return out
}

func fromText(text string) (resolve.Input, error) {
	return Manifests(ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(text)})
}

const (
	serviceManifest = "apiVersion: v1\nkind: Service\nmetadata: {name: %s}\n"
	anyRoute        = "  http: [{redirect: {uri: /}}]\n"
	virtual         = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\nspec:\n"
)

func named(name string) string { return fmt.Sprintf(serviceManifest, name) }

func TestSources(t *testing.T) {
	manifests := map[string]string{
		"a.yaml": named("a"), "dir/b.yml": named("b"), "dir/c.json": `{"apiVersion":"v1","kind":"Service","metadata":{"name":"c"}}`,
		"dir/notes.txt": "not read", "dir/values.yaml": "replicas: 1\n", "dir/empty.yaml": "# nothing\n---\n",
		"dir/kustomization.yaml": "resources: [b.yml]\n", "dir/deep/d.yaml": named("d"), "outer/inner/e.yaml": named("e"),
		"chart/Chart.yaml": "apiVersion: v2\nname: c\n", "chart/templates/f.yaml": "metadata:\n  name: {{ .Release.Name }}\n",
	}
	kustomizationNote := "note: dir/kustomization.yaml: skipped: a kustomization is built with -k dir"
	valuesNote := "note: dir/values.yaml:1: skipped: not a manifest: neither apiVersion nor kind"
	tests := []struct {
		name string
		opts ManifestOptions
		want []string
	}{
		{"file", ManifestOptions{Paths: []string{"a.yaml"}}, []string{"Service default/a @ a.yaml:1"}},
		{"relative path stays", ManifestOptions{Paths: []string{"./a.yaml"}}, []string{"Service default/a @ ./a.yaml:1"}},
		{"default namespace", ManifestOptions{Paths: []string{"a.yaml"}, DefaultNamespace: "shop"}, []string{"Service shop/a @ a.yaml:1"}},
		{"several, in order", ManifestOptions{Paths: []string{"dir/b.yml", "a.yaml"}}, []string{"Service default/b @ dir/b.yml:1", "Service default/a @ a.yaml:1"}},
		{"directory", ManifestOptions{Paths: []string{"dir"}}, []string{"Service default/b @ dir/b.yml:1", "Service default/c @ dir/c.json:1", kustomizationNote, valuesNote}},
		{"recursive", ManifestOptions{Paths: []string{"dir"}, Recursive: true}, []string{"Service default/b @ dir/b.yml:1", "Service default/c @ dir/c.json:1", "Service default/d @ dir/deep/d.yaml:1", kustomizationNote, valuesNote}},
		{"pattern", ManifestOptions{Paths: []string{"dir/[bc].*"}}, []string{"Service default/b @ dir/b.yml:1", "Service default/c @ dir/c.json:1"}},
		{"stdin", ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(named("s"))}, []string{"Service default/s @ <stdin>:1"}},
		{"stdin twice", ManifestOptions{Paths: []string{"-", "-"}, Stdin: strings.NewReader(named("s"))}, []string{"Service default/s @ <stdin>:1", "<stdin>: can be read only once"}},
		{"kustomize", ManifestOptions{Kustomize: "dir"}, []string{"Service default/b @ dir/b.yml:1"}},
		{"missing file", ManifestOptions{Paths: []string{"none.yaml"}}, []string{"none.yaml: no such file or directory"}},
		{"directory without manifests", ManifestOptions{Paths: []string{"outer"}}, []string{"outer: no .json, .yaml or .yml file in this directory; -R reads the directories below it"}},
		{"named file without kind", ManifestOptions{Paths: []string{"dir/values.yaml"}}, []string{"dir/values.yaml:1: not a manifest: neither apiVersion nor kind"}},
		{"chart", ManifestOptions{Paths: []string{"chart"}, Recursive: true}, []string{
			"note: chart/Chart.yaml: skipped: a Helm chart is rendered first: helm template chart | kubectl mesh-trace -f -",
			"chart/templates/f.yaml:1: a Helm template, not a manifest; render it first: helm template CHART | kubectl mesh-trace -f -",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files(t, manifests)
			if diff := gocmp.Diff(tt.want, loaded(Manifests(tt.opts))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHalfBrokenDirectory(t *testing.T) {
	files(t, map[string]string{
		"d/a.yaml": named("a"), "d/b.yaml": "a: [\n", "d/c.yaml": virtual + "  hsts: []\n---\n" + named("c"), "d/d.json": "{", "d/e.yaml": "title: no manifest\n",
	})
	want := []string{
		"Service default/a @ d/a.yaml:1", "Service default/c @ d/c.yaml:7", "note: d/e.yaml:1: skipped: not a manifest: neither apiVersion nor kind",
		"d/b.yaml:2: malformed YAML: did not find expected node content",
		`d/c.yaml:5: VirtualService default/v: spec.hsts: unknown field; did you mean "hosts"?`,
		"d/d.json:1: malformed JSON: it ends before it is complete",
	}
	if diff := gocmp.Diff(want, loaded(Manifests(ManifestOptions{Paths: []string{"d"}}))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMalformedJSONFile(t *testing.T) {
	files(t, map[string]string{"a.json": "{\n\"kind\": \"Service\"\n\"metadata\": {}}"})
	want := []string{"a.json:3: malformed JSON: invalid character '\"' after object key:value pair"}
	if diff := gocmp.Diff(want, loaded(Manifests(ManifestOptions{Paths: []string{"a.json"}}))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAliasBomb(t *testing.T) {
	bomb := "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: e}\nspec:\n  configPatches:\n  - patch:\n      value:\n        a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := range 20 {
		bomb += fmt.Sprintf("        a%d: &a%d [%s*a%d]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 8), i)
	}
	_, err := fromText(bomb)
	if err == nil || !strings.HasSuffix(err.Error(), "nested too deeply, or aliases that never end") {
		t.Error(err)
	}
	_, err = fromText("apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: e}\nspec: {configPatches: [{patch: {value: &a {b: *a}}}]}\n")
	if err == nil || !strings.HasSuffix(err.Error(), "nested too deeply, or aliases that never end") || len(err.Error()) > 300 {
		t.Error(err)
	}
}

func TestURL(t *testing.T) {
	tries := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries++
		if r.URL.Path == "/none" || r.URL.Path == "/flaky" && tries < 2 {
			w.WriteHeader(map[string]int{"/none": 404, "/flaky": 503}[r.URL.Path])
			return
		}
		_, _ = fmt.Fprint(w, named("u"))
	}))
	defer server.Close()
	for path, want := range map[string]string{
		"/a":     "Service default/u @ " + server.URL + "/a:1",
		"/none":  server.URL + "/none: fetch: the server answered 404 Not Found",
		"/flaky": "Service default/u @ " + server.URL + "/flaky:1",
	} {
		tries = 0
		if diff := gocmp.Diff([]string{want}, loaded(Manifests(ManifestOptions{Paths: []string{server.URL + path}}))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestDocuments(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"several documents", "---\n" + named("a") + "--- # next\n" + named("b") + "---\n", []string{"Service default/a @ <stdin>:2", "Service default/b @ <stdin>:6"}},
		{"content on the separator line", "--- {apiVersion: v1, kind: Service, metadata: {name: a}}\n", []string{"Service default/a @ <stdin>:1"}},
		{"ended by dots", named("a") + "...\n---\n" + named("b") + "...\n", []string{"Service default/a @ <stdin>:1", "Service default/b @ <stdin>:6"}},
		{"after the dots", named("a") + "...\n" + named("b"), []string{"<stdin>:5: Service: malformed YAML: did not find expected <document start>"}},
		{"directive", "%YAML 1.1\n---\n" + named("a"), []string{"Service default/a @ <stdin>:3"}},
		{"byte order mark and carriage returns", "\xef\xbb\xbf" + strings.ReplaceAll(named("a")+"---\n"+named("b"), "\n", "\r\n"), []string{"Service default/a @ <stdin>:1", "Service default/b @ <stdin>:5"}},
		{"dashes in a block", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: |\n    ---\n    b\n", []string{"ConfigMap default/c @ <stdin>:1"}},
		{"JSON stream", "{\"apiVersion\":\"v1\",\n\"kind\":\"Service\",\"metadata\":{\"name\":\"a\"}}\n{\n\t\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"b\"}}", []string{"Service default/a @ <stdin>:1", "Service default/b @ <stdin>:3"}},
		{"flow style is not JSON", "{apiVersion: v1, kind: Service, metadata: {name: a}}", []string{"Service default/a @ <stdin>:1"}},
		{"list", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: a}}\n- {apiVersion: v1, kind: Service, metadata: {name: b}}\n", []string{"Service default/a @ <stdin>:4", "Service default/b @ <stdin>:5"}},
		{"typed list", "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: a}\n", []string{"Service default/a @ <stdin>:4"}},
		{"list of lists", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: Service, metadata: {name: a}}\n", []string{"Service default/a @ <stdin>:7"}},
		{"empty list", "apiVersion: v1\nkind: List\nitems: []\n", []string{}},
		{"list of wrong type", "apiVersion: v1\nkind: List\nitems: 3\n", []string{`<stdin>:3: List: items: expected a list, got the number 3`}},
		{"not an object", "- a\n", []string{"<stdin>:1: expected an object with apiVersion and kind, got a list"}},
		{"no kind", "apiVersion: v1\n", []string{"<stdin>:1: kind is missing"}},
		{"no apiVersion", "kind: Service\n", []string{"<stdin>:1: Service: apiVersion is missing"}},
		{"kind of wrong type", "apiVersion: v1\nkind: [a]\n", []string{"<stdin>:2: kind: expected a string, got a list"}},
		{"no name", "apiVersion: v1\nkind: Service\nmetadata: {}\n", []string{"<stdin>:3: Service: metadata.name: missing"}},
		{"cluster scoped", "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns, namespace: odd}\n", []string{"Namespace /ns @ <stdin>:1"}},
		{"unknown group is counted", "apiVersion: example.com/v1\nkind: Foo\nmetadata: {name: f, namespace: ns}\nspec: {any: thing}\n", []string{"Foo.example.com ns/f @ <stdin>:1"}},
		{"kustomization", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n", []string{"<stdin>:1: Kustomization: a kustomization is built with -k, not read with -f"}},
		{
			"twice", named("a") + "---\n" + named("a"),
			[]string{"Service default/a @ <stdin>:5", "note: Service default/a: defined twice, at <stdin>:1 and <stdin>:5; the latter stands, as after kubectl apply"},
		},
		{
			"twice in two versions", strings.ReplaceAll(virtual, "/v1", "/v1beta1") + anyRoute + "---\n" + virtual + anyRoute,
			[]string{"VirtualService.networking.istio.io default/v @ <stdin>:7", "note: VirtualService default/v: defined twice, at <stdin>:1 and <stdin>:7; the latter stands, as after kubectl apply"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := gocmp.Diff(tt.want, loaded(fromText(tt.text))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"unknown field", virtual + "  http:\n  - mach: []\n", []string{`<stdin>:6: VirtualService default/v: spec.http[0].mach: unknown field; did you mean "match"?`}},
		{"unknown field, none near", virtual + "  http:\n  - zzzzzz: []\n", []string{`<stdin>:6: VirtualService default/v: spec.http[0].zzzzzz: unknown field`}},
		{"unknown field, few known", virtual + "  http:\n  - route:\n    - destination: {qqq: a}\n", []string{`<stdin>:7: VirtualService default/v: spec.http[0].route[0].destination.qqq: unknown field; known here: host, port, subset`}},
		{"unknown field at the top", named("a") + "spce: {}\n", []string{`<stdin>:4: Service default/a: spce: unknown field; did you mean "spec"?`}},
		{"number", virtual + "  http:\n  - route:\n    - weight: ten\n", []string{`<stdin>:7: VirtualService default/v: spec.http[0].route[0].weight: expected a number, got "ten"`}},
		{"quoted number", virtual + "  http:\n  - route:\n    - weight: \"10\"\n", []string{`<stdin>:7: VirtualService default/v: spec.http[0].route[0].weight: expected a number, got "10"`}},
		{"fraction", virtual + "  http:\n  - route:\n    - weight: 1.5\n", []string{`<stdin>:7: VirtualService default/v: spec.http[0].route[0].weight: expected a whole number, got the number 1.5`}},
		{"range", virtual + "  http:\n  - route:\n    - weight: 4294967296\n", []string{`<stdin>:7: VirtualService default/v: spec.http[0].route[0].weight: 4294967296 is out of range`}},
		{"string", virtual + "  hosts: [1]\n", []string{`<stdin>:5: VirtualService default/v: spec.hosts[0]: expected a string, got the number 1 (put it in quotes)`}},
		{"yes is a boolean", named("a") + "spec: {selector: {on: yes}}\n", []string{`<stdin>:4: Service default/a: spec.selector[true]: expected a string, got the boolean yes (put it in quotes)`}},
		{"list", virtual + "  hosts: reviews\n", []string{`<stdin>:5: VirtualService default/v: spec.hosts: expected a list, got "reviews"`}},
		{"object", virtual + "  http: [a]\n", []string{`<stdin>:5: VirtualService default/v: spec.http[0]: expected an object, got "a"`}},
		{"nothing in a list", virtual + "  http:\n  -\n", []string{`<stdin>:6: VirtualService default/v: spec.http[0]: expected an element of the list, got nothing`}},
		{"boolean", named("a") + "spec: {publishNotReadyAddresses: \"true\"}\n", []string{`<stdin>:4: Service default/a: spec.publishNotReadyAddresses: expected true or false, got "true"`}},
		{"duration", virtual + "  http:\n  - timeout: 10\n", []string{`<stdin>:6: VirtualService default/v: spec.http[0].timeout: expected a duration like 1.5s or 2m, got the number 10`}},
		{"proto enum", "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p}\nspec: {mtls: {mode: strict}}\n", []string{
			`<stdin>:4: PeerAuthentication default/p: spec.mtls.mode: expected one of UNSET, DISABLE, PERMISSIVE, STRICT, got "strict"; did you mean "STRICT"?`,
		}},
		{"key of a map", "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p}\nspec: {portLevelMtls: {http: {}}}\n", []string{
			`<stdin>:4: PeerAuthentication default/p: spec.portLevelMtls[http]: expected a number as the key, got "http"`,
		}},
		{"built-in enum", named("a") + "spec: {type: LoadBalancr}\n", []string{
			`<stdin>:4: Service default/a: spec.type: expected one of ClusterIP, NodePort, LoadBalancer, ExternalName, got "LoadBalancr"; did you mean "LoadBalancer"?`,
		}},
		{"one of", virtual + "  http:\n  - match:\n    - uri:\n        exact: /a\n        prefix: /b\n", []string{
			`<stdin>:9: VirtualService default/v: spec.http[0].match[0].uri.prefix: "exact" and "prefix" exclude each other; "exact" is on line 8`,
		}},
		{"key twice", virtual + "  hosts: [a]\n  hosts: [b]\n", []string{`<stdin>:6: VirtualService default/v: spec: "hosts" is written twice; the first is on line 5`}},
		{"time", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, creationTimestamp: yesterday}\n", []string{`<stdin>:3: Pod default/p: metadata.creationTimestamp: expected a time like 2006-01-02T15:04:05Z, got "yesterday"`}},
		{"port name or number", named("a") + "spec: {ports: [{port: 80, targetPort: [1]}]}\n", []string{`<stdin>:4: Service default/a: spec.ports[0].targetPort: expected a number or a name, got a list`}},
		{"JSON", "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\n\"metadata\":{\"name\":\"a\"},\n\"spec\":{\"ports\":[{\"prt\":1}]}}", []string{`<stdin>:3: Service default/a: spec.ports[0].prt: unknown field; did you mean "port"?`}},
		{"in a list", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n  spec: {prts: []}\n", []string{`<stdin>:7: Service default/a: spec.prts: unknown field; did you mean "ports"?`}},
		{"kind misspelled", "apiVersion: networking.istio.io/v1\nkind: VirtualServce\nmetadata: {name: v}\n", []string{`<stdin>:1: VirtualServce v: unknown kind "VirtualServce" in networking.istio.io/v1; did you mean "VirtualService"?`}},
		{"built-in kind misspelled", "apiVersion: v1\nkind: Servise\nmetadata: {name: v}\n", []string{`<stdin>:1: Servise v: unknown kind "Servise" in v1; did you mean "Service"?`}},
		{"Gateway API kind misspelled", "apiVersion: gateway.networking.k8s.io/v1\nkind: HttpRoute\nmetadata: {name: v}\n", []string{`<stdin>:1: HttpRoute v: unknown kind "HttpRoute" in gateway.networking.k8s.io/v1; did you mean "HTTPRoute"?`}},
		{"group of another kind", "apiVersion: networking.istio.io/v1\nkind: HTTPRoute\nmetadata: {name: v}\n", []string{`<stdin>:1: HTTPRoute v: HTTPRoute is no kind of networking.istio.io/v1; it is one of gateway.networking.k8s.io/v1`}},
		{"group misspelled", "apiVersion: networking.istoi.io/v1\nkind: Sidecar\nmetadata: {name: v}\n", []string{`<stdin>:1: Sidecar v: unknown group in apiVersion networking.istoi.io/v1; did you mean "networking.istio.io/v1"?`}},
		{"removed version", "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: v}\n", []string{`<stdin>:1: Ingress v: Ingress is no kind of extensions/v1beta1; it is one of networking.k8s.io/v1`}},
		{"version", "apiVersion: security.istio.io/v2\nkind: PeerAuthentication\nmetadata: {name: v}\n", []string{`<stdin>:1: PeerAuthentication default/v: apiVersion security.istio.io/v2 is not known for PeerAuthentication; known are security.istio.io/v1, security.istio.io/v1beta1`}},
		{"apiVersion malformed", "apiVersion: a/b/c\nkind: Service\n", []string{`<stdin>:1: Service: apiVersion: expected group/version, got "a/b/c"`}},
		{"malformed YAML", named("a") + "---\na: b\n c: d\n", []string{"Service default/a @ <stdin>:1", "<stdin>:6: malformed YAML: mapping values are not allowed in this context"}},
		{"tab", "apiVersion: v1\nkind: Service\nmetadata:\n\tname: a\n", []string{"<stdin>:4: Service: malformed YAML: a tab in the indentation; YAML allows only spaces there"}},
		{"malformed, of a kind not read", "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: b\n c: d\n", []string{"note: <stdin>:5: ConfigMap skipped: malformed YAML: did not find expected key"}},
		{"braces are not Helm", "apiVersion: v1\nkind: Service\nmetadata: {name: '{{ $labels.pod }}'\n", []string{"<stdin>:3: Service: malformed YAML: did not find expected ',' or '}'"}},
		{"Helm, malformed", "{{- if .Values.on }}\n" + named("a") + "{{- end }}\n", []string{"<stdin>:1: a Helm template, not a manifest; render it first: helm template CHART | kubectl mesh-trace -f -"}},
		{"Helm, well-formed", "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  type: {{ .Values.type }}\n---\n" + virtual + "  zzzzzzz: 1\n", []string{"<stdin>:1: a Helm template, not a manifest; render it first: helm template CHART | kubectl mesh-trace -f -"}},
		{"Helm, in a name", "apiVersion: v1\nkind: Service\nmetadata: {name: '{{ .Release.Name }}-a'}\n", []string{"<stdin>:1: a Helm template, not a manifest; render it first: helm template CHART | kubectl mesh-trace -f -"}},
		{"an alias to itself", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: &a {b: *a}}\n", []string{"<stdin>:4: Service default/a: spec.selector[b]: expected a string, got an object"}},
		{"several documents, several mistakes", named("a") + "spec: {prts: [], selectr: {}}\n---\n" + virtual + "  hsts: []\n---\n" + named("good"), []string{
			"Service default/good @ <stdin>:12",
			`<stdin>:4: Service default/a: spec.prts: unknown field; did you mean "ports"?`,
			`<stdin>:4: Service default/a: spec.selectr: unknown field; did you mean "selector"?`,
			`<stdin>:10: VirtualService default/v: spec.hsts: unknown field; did you mean "hosts"?`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := gocmp.Diff(tt.want, loaded(fromText(tt.text))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestProblemsAreTyped(t *testing.T) {
	in, err := fromText(virtual + "  mach: []\n")
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("%T", err)
	}
	want := Problems{{File: "<stdin>", Line: 5, Object: "VirtualService default/v", Field: "spec.mach", Message: "unknown field; known here: exportTo, gateways, hosts, http, tcp, tls"}}
	if diff := gocmp.Diff(want, problems, gocmp.AllowUnexported(Problem{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	gaps := []resolve.Gap{{GroupKind: in.Gaps[0].GroupKind, Namespace: "default", Name: "v", Reason: resolve.GapUnreadable, Detail: want[0].Message}}
	if diff := gocmp.Diff(gaps, in.Gaps); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if in.Gaps[0].GroupKind.String() != "VirtualService.networking.istio.io" {
		t.Error(in.Gaps[0].GroupKind)
	}
}

func TestTaken(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"status of another release", named("a") + "status: {future: 1}\n", nil},
		{"managed fields", "apiVersion: v1\nkind: Service\nmetadata: {name: a, managedFields: [{any: thing}]}\n", nil},
		{"null", named("a") + "spec: {selector: null, ports: ~}\n", nil},
		{"minutes", virtual + "  http: [{timeout: 1m30s, redirect: {uri: /}}]\n", nil},
		{"merge key and alias", "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  labels: &l {app: a}\nspec:\n  selector: {<<: *l, b: c}\n", nil},
		{"proto name, with a note", virtual + "  http: [{match: [{ignore_uri_case: true}], redirect: {uri: /}}]\n", []string{"note: VirtualService default/v: spec.http[0].match[0].ignore_uri_case is read as ignoreUriCase; an API server would drop it"}},
		{"anything in a struct", "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: e}\nspec: {configPatches: [{patch: {value: {a: [1, {b: null}], c: 1.5, d: yes}}}]}\n", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in, err := fromText(tt.text)
			if len(in.Resources) != 1 {
				t.Errorf("%d resources", len(in.Resources))
			}
			if diff := gocmp.Diff(append([]string{}, tt.want...), loaded(in, err)[len(in.Resources):]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func only[T resolve.Object](t *testing.T, text string) T {
	t.Helper()
	in, err := fromText(text)
	if err != nil {
		t.Fatal(err)
	}
	o, ok := in.Resources[0].Object.(T)
	if !ok {
		t.Fatalf("%T", in.Resources[0].Object)
	}
	return o
}

func TestDecodedValues(t *testing.T) {
	vs := only[*networking.VirtualService](t, `
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: v
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}", keep: "1"}
spec:
  hosts: &hosts [reviews, "*.shop"]
  gateways: *hosts
  http:
  - match: [{headers: {end-user: {exact: ""}}, port: 0x50}]
    fault: {abort: {percentage: {value: 12.5}, httpStatus: 418}}
    timeout: 1m0.5s
    retries: {attempts: 3, retryRemoteLocalities: true}
    route: [{destination: {host: reviews}, weight: 80}]
`)
	want := `hosts:"reviews" hosts:"*.shop" gateways:"reviews" gateways:"*.shop" http:{match:{headers:{key:"end-user" value:{exact:""}} port:80} route:{destination:{host:"reviews"} weight:80} timeout:{seconds:60 nanos:500000000} retries:{attempts:3 retry_remote_localities:{value:true}} fault:{abort:{http_status:418 percentage:{value:12.5}}}}`
	got := strings.Join(strings.Fields(vs.Spec.String()), " ")
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(map[string]string{"keep": "1"}, vs.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestDefaults(t *testing.T) {
	svc := only[*corev1.Service](t, named("a")+"spec: {ports: [{port: 80}, {port: 81, targetPort: http, protocol: UDP}]}\n")
	if got := fmt.Sprint(svc.Spec.Type, svc.Spec.Ports[0].Protocol, svc.Spec.Ports[0].TargetPort.String(), svc.Spec.Ports[1].Protocol, svc.Spec.Ports[1].TargetPort.String(), *svc.Spec.InternalTrafficPolicy); got != "ClusterIPTCP80UDPhttpCluster" && got != "ClusterIP TCP 80 UDP http Cluster" {
		t.Error(got)
	}
	d := only[*appsv1.Deployment](t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {containers: [{ports: [{containerPort: 80}]}]}}}\n")
	if *d.Spec.Replicas != 1 || d.Spec.Template.Spec.ServiceAccountName != "default" || d.Spec.Template.Spec.Containers[0].Ports[0].Protocol != corev1.ProtocolTCP {
		t.Error(d.Spec)
	}
	if ns := only[*corev1.Namespace](t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns}\n"); ns.Labels["kubernetes.io/metadata.name"] != "ns" {
		t.Error(ns.Labels)
	}
	route := only[*k8sgateway.HTTPRoute](t, "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: HTTPRoute\nmetadata: {name: r}\nspec: {parentRefs: [{name: g}], rules: [{backendRefs: [{name: s}]}, {matches: [{headers: [{name: a, value: b}]}], filters: [{type: RequestRedirect, requestRedirect: {}}]}]}\n")
	parent, backend, rules := route.Spec.ParentRefs[0], route.Spec.Rules[0].BackendRefs[0], route.Spec.Rules
	if got := fmt.Sprintf("%s %s %s %d %s %s %s %d", *parent.Group, *parent.Kind, *backend.Kind, *backend.Weight, *rules[0].Matches[0].Path.Type, *rules[1].Matches[0].Path.Value, *rules[1].Matches[0].Headers[0].Type, *rules[1].Filters[0].RequestRedirect.StatusCode); got != "gateway.networking.k8s.io Gateway Service 1 PathPrefix / Exact 302" {
		t.Error(got)
	}
	if empty := only[*k8sgateway.HTTPRoute](t, "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec: {rules: []}\n"); len(empty.Spec.Rules) != 0 {
		t.Error("an empty list of rules is not an absent one")
	}
	gateway := only[*k8sgateway.Gateway](t, "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec: {listeners: [{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c}]}}]}\n")
	l := gateway.Spec.Listeners[0]
	if got := fmt.Sprintf("%s %s %s", *l.AllowedRoutes.Namespaces.From, *l.TLS.Mode, *l.TLS.CertificateRefs[0].Kind); got != "Same Terminate Secret" {
		t.Error(got)
	}
	grpc := only[*k8sgateway.GRPCRoute](t, "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: GRPCRoute\nmetadata: {name: g}\nspec: {rules: [{matches: [{method: {service: a}}], backendRefs: [{name: b}]}]}\n")
	if got := fmt.Sprintf("%s %d", *grpc.Spec.Rules[0].Matches[0].Method.Type, *grpc.Spec.Rules[0].BackendRefs[0].Weight); got != "Exact 1" {
		t.Error(got)
	}
}

func TestSecretsKeepNoData(t *testing.T) {
	in, err := fromText("apiVersion: v1\nkind: Secret\nmetadata: {name: s, annotations: {a: hunter2}}\nstringData: {password: hunter2}\ntype: Opaque\n")
	if err != nil || len(in.Resources) != 1 {
		t.Fatal(in, err)
	}
	if text := fmt.Sprintf("%+v", in.Resources[0].Object); strings.Contains(text, "hunter2") {
		t.Error(text)
	}
}

func TestLocate(t *testing.T) {
	in, err := fromText(`
# a comment
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: v
  annotations:
    networking.istio.io/exportTo: "."
spec:
  hosts:
  - a
  - b
  http:
  - match:
    - headers:
        x-user: {exact: a}
      uri:
        prefix: /
    route:
    - destination:
        host: a
`)
	if err != nil {
		t.Fatal(err)
	}
	for field, line := range map[string]int{
		"": 3, "kind": 4, "metadata.annotations[networking.istio.io/exportTo]": 8,
		"spec": 9, "spec.hosts[1]": 12, "spec.http[0]": 14, "spec.http[0].match[0].headers[x-user]": 16,
		"spec.http[0].match[0].uri": 17, "spec.http[0].match[0].uri.prefix": 18,
		"spec.http[0].route[0].destination.subset": 20, "spec.http[7].match[1]": 13, "spec.tcp": 9, "nonsense": 3, "[[": 3, "spec..hosts": 10,
	} {
		if got, want := in.Resources[0].Origin.Locate(field), fmt.Sprintf("<stdin>:%d", line); got != want {
			t.Errorf("%q: want %s, got %s", field, want, got)
		}
	}
	in, err = fromText("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: a}}\n- apiVersion: v1\n  kind: Service\n  metadata:\n    name: b\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := in.Resources[1].Origin.Locate("metadata.name"); got != "<stdin>:8" {
		t.Error(got)
	}
}

func TestKustomizeOrigins(t *testing.T) {
	files(t, map[string]string{
		"base/kustomization.yaml": "resources: [all.yaml]\n",
		"base/all.yaml":           named("a") + "---\n" + named("b") + "spec:\n  selector:\n    app: b\n",
		"prod/kustomization.yaml": "resources: [../base, bad.yaml]\nnamePrefix: prod-\nnamespace: shop\nconfigMapGenerator: [{name: c, literals: [a=b]}]\n",
		"prod/bad.yaml":           named("bad") + "spec:\n  prts: []\n",
	})
	in, err := Manifests(ManifestOptions{Kustomize: "prod"})
	got := loaded(in, err)
	slices.SortFunc(got, cmp.Compare[string])
	got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "ConfigMap") })
	want := []string{
		"Service shop/prod-a @ base/all.yaml:1", "Service shop/prod-b @ base/all.yaml:5",
		`prod/bad.yaml:5: Service shop/prod-bad: spec.prts: unknown field; did you mean "ports"?`,
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, r := range in.Resources {
		if r.Object.GetName() == "prod-b" && r.Origin.Locate("spec.selector[app]") != "base/all.yaml:10" {
			t.Error(r.Origin.Locate("spec.selector[app]"))
		}
		if a := r.Object.GetAnnotations(); len(a) > 0 {
			t.Errorf("kustomize's own annotations stayed: %v", a)
		}
	}
	if _, err := Manifests(ManifestOptions{Kustomize: "base/none"}); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("want one line, got %v", err)
	}
}
