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
	roots := " /configmaps " + resolve.RootConfigMap
	read, watched := []string{"Role get /configmaps", "ClusterRole get" + roots}, []string{"Role watch /configmaps", "ClusterRole watch" + roots}
	for _, k := range clusterKinds(true) {
		read = append(read, "ClusterRole list "+k.group+"/"+k.plural)
		if k.kind != "Node" && k.kind != "Lease" {
			watched = append(watched, "ClusterRole watch "+k.group+"/"+k.plural)
		}
		if needs, ok := resolve.NeedsBundle(k.groupKind()); ok {
			read = append(read, "ClusterRole get apiextensions.k8s.io/customresourcedefinitions "+needs.CRD)
		}
	}
	for file, want := range map[string][]string{"../../docs/rbac.yaml": read, "../../docs/rbac-watch.yaml": watched} {
		got := allowedBy(t, file)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-loader +file):\n%s", file, diff)
		}
	}
}

// allowedBy is what the roles of a file allow, sorted.
func allowedBy(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
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
	slices.Sort(got)
	return got
}
