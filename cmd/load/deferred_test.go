package load

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// everything is what an input holds, deferred or not: resources with their content, notes, problems and gaps.
func everything(in resolve.Input, err error) []string {
	all := in
	if in.Deferred != nil {
		for _, namespace := range in.Deferred.Namespaces() {
			for _, listed := range in.Deferred.In(namespace, resolve.RunningKinds) {
				all.Resources = append(all.Resources, listed.Resources...)
			}
		}
	}
	lines := loaded(all, err)
	for _, r := range all.Resources {
		data, err := json.Marshal(r.Object)
		lines = append(lines, fmt.Sprint(string(data), err, r.Origin.Locate("metadata.name"), r.Origin.Locate("spec")))
	}
	for _, g := range all.Gaps {
		lines = append(lines, fmt.Sprintf("%+v", g))
	}
	slices.Sort(lines)
	return lines
}

// TestDeferringChangesNothing reads every known manifest, and damaged ones, with and without Defer.
func TestDeferringChangesNothing(t *testing.T) {
	texts := append(manifestTexts(t),
		named("a")+"---\n"+named("a"),
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: default, labels: {a: b}}\n",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containrs: []}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: P}\n",
		"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: p}}\n- {apiVersion: v1, kind: ServiceAccount, metadata: {name: p}}\n",
	)
	deferred := 0
	for _, text := range texts {
		read := func(later bool) (resolve.Input, error) {
			return Manifests(ManifestOptions{Paths: []string{"-"}, Stdin: strings.NewReader(text), Defer: later})
		}
		in, err := read(true)
		if in.Deferred != nil {
			deferred++
		}
		if diff := gocmp.Diff(everything(read(false)), everything(in, err)); diff != "" {
			t.Errorf("%s\n(-whole +deferred):\n%s", text, diff)
		}
	}
	if deferred < 100 {
		t.Errorf("only %d texts have something to defer", deferred)
	}
}
