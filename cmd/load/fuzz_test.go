package load

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// FuzzManifests holds that no input makes the loader, or the snapshot made of
// what it loaded, panic, that a problem is one line, that the same input gives the same answer, and that a list
// gives what it gives as a whole.
func FuzzManifests(f *testing.F) {
	for _, seed := range []string{
		named("a") + "---\n" + virtual + "  http: [{match: [{uri: {exact: a}}], route: [{destination: {host: b}}]}]\n",
		"apiVersion: v1\nkind: List\nitems: [{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {replicas: 2}}]\n",
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","ownerReferences":[{"controller":true,"kind":"ReplicaSet"}]},"spec":{"containers":[{"name":"istio-proxy"}]}}`,
		"apiVersion: v1\nkind: Service\nmetadata: &m {name: a, labels: {<<: *m}}\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata: {mesh: \"defaultConfig: {proxyMetadata: {A: b}}\"}\n",
		"apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: e}\nspec: {configPatches: [{patch: {value: [1, .inf, 0x1, 1e400, ~]}}]}\n",
		"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec: {rules: [{filters: [{cors: {}, requestMirror: {fraction: {}}}]}]}\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: {{ .Values.x }}}\n", "{{", "--- |\n a", "a: !!binary x", "? [a]\n: b\n", "\t", "{\"a\":[1,", "&a [*a]", "%YAML 1.2\n---\n",
		"apiVersion: v1\nkind: Service\nmetadata: {name: \"a\\nb\"}\n",
		snapshotText + "---\n" + virtual, strings.ReplaceAll(snapshotText, "cluster", "files"), "apiVersion: meshtrace.dev/v1alpha1\nkind: Snapshot\nmeshConfig: {config: \"{\"}\nsecrets: [~]\n",
		asList(0, named("a"), named("b")), asList(1, "a: |\n  - x\n", "b: \"c\n d\"\n"), "items:\n- &a {}\n- *a\nkind: List\napiVersion: v1\n",
		`{"kind": "ServiceList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"}}, null]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in, err := fromText(text)
		if err != nil {
			for _, p := range err.(Problems) {
				if strings.Contains(p.Error(), "\n") {
					t.Errorf("more than one line: %q", p.Error())
				}
			}
		}
		s := resolve.NewSnapshot(in)
		for _, namespace := range s.RunningNamespaces() {
			for _, w := range s.WorkloadsIn(namespace) {
				_ = w.DataplaneStep.Reason()
			}
		}
		_, _ = s.FindWorkload("deployment", "default", "d")
		for _, r := range in.Resources {
			for _, field := range []string{"", "spec.http[0].match[0]", "metadata.labels[a]"} {
				r.Origin.Locate(field)
			}
		}
		if cut, whole, _ := readLists(text); !slices.Equal(cut, whole) {
			t.Errorf("a list is not what it is as a whole:\n%s\n%s", cut, whole)
		}
		again, errAgain := fromText(text)
		if a, b := fmt.Sprint(loaded(in, err)), fmt.Sprint(loaded(again, errAgain)); a != b {
			t.Errorf("not deterministic:\n%s\n%s", a, b)
		}
	})
}
