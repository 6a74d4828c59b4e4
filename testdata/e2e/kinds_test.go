package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/e2e/cluster"
)

// Clusters that do not serve all kinds, or older versions of them.

// sets are the CRDs by the ending of their group.
var sets = map[string]func() cluster.CRDs{
	".istio.io": cluster.Istio, "gateway.networking.k8s.io": cluster.GatewayAPI, "inference.networking.k8s.io": cluster.InferenceExtension,
}

func TestAKindThatIsNotInstalledHasNoObjects(t *testing.T) {
	for name, installed := range map[string][]string{
		"no kinds of Istio":           {"gateway.networking.k8s.io", "inference.networking.k8s.io"},
		"no kinds of the Gateway API": {".istio.io"},
		"neither":                     nil,
	} {
		t.Run(name, func(t *testing.T) {
			var crds []cluster.CRDs
			for _, group := range installed {
				crds = append(crds, sets[group]())
			}
			c := cluster.Start(t, cluster.WithCRDs(crds...))
			m := shop(t)
			m.objects = slices.DeleteFunc(m.objects, func(o *unstructured.Unstructured) bool {
				group := o.GroupVersionKind().Group
				for ending := range sets {
					if strings.HasSuffix(group, ending) {
						return !slices.Contains(installed, ending)
					}
				}
				return false
			})
			manifests := m.yaml(t)
			c.Apply(t, manifests)
			admin := c.Kubeconfig(t, "")
			for _, request := range append(shopRequests, shopRouteRequest) {
				files, live := traceFiles(t, manifests, words(request)), ask(t, admin, request)
				if diff := cmp.Diff(files.outcomes(t), live.outcomes(t)); diff != "" {
					t.Errorf("%s (-files +cluster):\n%s", request, diff)
				}
				noIstio := strings.Contains(live.stdout, "serves no networking.istio.io")
				if noIstio == slices.Contains(installed, ".istio.io") {
					t.Errorf("%s: that Istio is not installed is told: %v\n%s", request, noIstio, live.stdout)
				}
			}
		})
	}
}

// oldVersions are served by releases of Istio before 1.22, and of the Gateway API before 1.0.
var oldVersions = []map[string]string{
	{"networking.istio.io": "v1beta1", "security.istio.io": "v1beta1", "gateway.networking.k8s.io": "v1beta1"},
	{"networking.istio.io": "v1alpha3", "security.istio.io": "v1beta1", "gateway.networking.k8s.io": "v1beta1"},
}

// serveOnly has a kind served and stored in one version, if it has that version.
func serveOnly(crd *apiextensions.CustomResourceDefinition, version string) {
	only := slices.DeleteFunc(slices.Clone(crd.Spec.Versions), func(v apiextensions.CustomResourceDefinitionVersion) bool { return v.Name != version })
	if len(only) == 0 {
		return
	}
	only[0].Served, only[0].Storage = true, true
	crd.Spec.Versions = only
}

func TestKindsThatAreServedInAnOlderVersionAreRead(t *testing.T) {
	for _, old := range oldVersions {
		t.Run(old["networking.istio.io"], func(t *testing.T) {
			c := cluster.Start(t, cluster.WithCRDs())
			for _, set := range []cluster.CRDs{cluster.Istio(), cluster.GatewayAPI()} {
				definitions, err := set.Definitions()
				if err != nil {
					t.Fatal(err)
				}
				for _, crd := range definitions {
					if version := old[crd.Spec.Group]; version != "" {
						serveOnly(crd, version)
					}
				}
				if err := c.InstallCRDs(definitions...); err != nil {
					t.Fatal(err)
				}
			}
			m := shop(t)
			manifests := m.yaml(t)
			for _, o := range m.objects {
				if version := old[o.GroupVersionKind().Group]; version != "" {
					o.SetAPIVersion(o.GroupVersionKind().Group + "/" + version)
				}
			}
			c.Apply(t, m.yaml(t))
			admin := c.Kubeconfig(t, "")
			for _, request := range append(shopRequests, shopRouteRequest) {
				files, live := traceFiles(t, manifests, words(request)), ask(t, admin, request)
				if diff := cmp.Diff(files.outcomes(t), live.outcomes(t)); diff != "" {
					t.Errorf("%s (-files +cluster):\n%s", request, diff)
				}
				if !strings.Contains(live.stdout, "read as networking.istio.io/"+old["networking.istio.io"]) {
					t.Errorf("%s: that an older version was read is not told:\n%s", request, live.stdout)
				}
			}
		})
	}
}
