package load

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// An excerpt has lines of the resource that is cited and of no other, whatever stands beside it.
func TestExcerpt(t *testing.T) {
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\nspec:\n  ports:\n  - {name: http, port: 80}\n"
	const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\n"
	item := "- " + strings.ReplaceAll(strings.TrimSuffix(service, "\n"), "\n", "\n  ") + "\n"
	other := "- " + strings.ReplaceAll(strings.TrimSuffix(secret, "\n"), "\n", "\n  ") + "\n"
	ref := resolve.Ref{Kind: "Service", Namespace: "shop", Name: "a", Field: "spec.ports[0]"}
	for _, tc := range []struct {
		name, text string
		around     int
		want       resolve.Excerpt
	}{
		{"within a document", secret + "---\n" + service + "---\n" + secret, 1, resolve.Excerpt{
			File: "<stdin>", First: 9, Cited: 10, Lines: []string{"  ports:", "  - {name: http, port: 80}"},
		}},
		{"a whole document", secret + "---\n" + service + "---\n" + secret, 50, resolve.Excerpt{
			File: "<stdin>", First: 5, Cited: 10, Lines: strings.Split(strings.TrimSuffix(service, "\n"), "\n"),
		}},
		{"an item of a list", "apiVersion: v1\nkind: List\nitems:\n" + other + item + other, 50, resolve.Excerpt{
			File: "<stdin>", First: 7, Cited: 12, Lines: strings.Split(strings.TrimSuffix(item, "\n"), "\n"),
		}},
		{"JSON", `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}}`, 1, resolve.Excerpt{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in, err := Manifests(ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(tc.text), DefaultNamespace: "shop"})
			if err != nil {
				t.Fatal(err)
			}
			snapshot := resolve.NewSnapshot(in)
			if d := cmp.Diff(tc.want, snapshot.Excerpt(ref, tc.around)); d != "" {
				t.Error(d)
			}
			if e := snapshot.Excerpt(resolve.Ref{Kind: "Secret", Namespace: "shop", Name: "s"}, 1); e.Lines != nil {
				t.Errorf("lines of a Secret: %v", e)
			}
		})
	}
}
