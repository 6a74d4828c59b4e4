package load

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// The documented roles allow what the loader does, and nothing else.
func TestRolesAreWhatTheLoaderDoes(t *testing.T) {
	data, err := os.ReadFile("../../docs/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	docs := yamlutil.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var role rbacv1.ClusterRole
		if err := yaml.UnmarshalStrict(doc, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			if len(rule.NonResourceURLs) > 0 || len(rule.APIGroups) != 1 {
				t.Errorf("rule %v is not one group's list of kinds", rule)
			}
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					what := role.Kind + " " + verb + " " + rule.APIGroups[0] + "/" + resource
					for _, name := range rule.ResourceNames {
						got = append(got, what+" "+name)
					}
					if len(rule.ResourceNames) == 0 {
						got = append(got, what)
					}
				}
			}
		}
	}
	want := []string{"Role get /configmaps"}
	for _, k := range clusterKinds() {
		want = append(want, "ClusterRole list "+k.group+"/"+k.plural)
		if needs, ok := resolve.NeedsBundle(k.groupKind()); ok {
			want = append(want, "ClusterRole get apiextensions.k8s.io/customresourcedefinitions "+needs.CRD)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/rbac.yaml (-loader +file):\n%s", diff)
	}
}
