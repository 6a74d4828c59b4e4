package load

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

const (
	oldCRD = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"tcproutes.gateway.networking.k8s.io","annotations":{"gateway.networking.k8s.io/bundle-version":"v1.5.1"}},"spec":{"group":"gateway.networking.k8s.io"}}`
	route  = `{apiVersion: gateway.networking.k8s.io/v1, kind: TCPRoute, metadata: {namespace: shop, name: db}, spec: {rules: [{backendRefs: [{name: db, port: 5432}]}]}}`
	crds   = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
)

// A CRD that is too old hides its kind, be it read from a file or from a cluster; one that may not be read hides nothing.
func TestCRDsTellWhatIstiodWatches(t *testing.T) {
	hidden := func(in resolve.Input) bool {
		s := resolve.NewSnapshot(in)
		if len(s.TCPRoutes)+len(s.Hidden) != 1 {
			t.Errorf("%d routes and %d hidden, want one in all", len(s.TCPRoutes), len(s.Hidden))
		}
		return len(s.Hidden) == 1
	}
	t.Run("file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "mesh.yaml")
		if err := os.WriteFile(file, []byte(route+"\n---\n"+oldCRD), 0o600); err != nil {
			t.Fatal(err)
		}
		in, err := Manifests(ManifestOptions{Paths: []string{file}})
		if err != nil || !hidden(in) {
			t.Errorf("%v; want the route hidden", err)
		}
	})
	cluster := func(t *testing.T) *loadtest.Server {
		s := loadtest.New(t)
		s.Add(t, "/apis/gateway.networking.k8s.io/v1/tcproutes", route)
		s.Objects[crds+"tcproutes.gateway.networking.k8s.io"] = oldCRD
		return s
	}
	t.Run("cluster", func(t *testing.T) {
		s := cluster(t)
		if !hidden(readStub(t, s, ClusterOptions{})) {
			t.Error("the route is not hidden")
		}
		if got := s.Headers[crds+"tcproutes.gateway.networking.k8s.io"].Get("Accept"); got != "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1" {
			t.Errorf("the schema is asked for: Accept %q", got)
		}
	})
	t.Run("forbidden", func(t *testing.T) {
		s := cluster(t)
		s.Refuse(crds+"tcproutes.gateway.networking.k8s.io", http.StatusForbidden)
		if in := readStub(t, s, ClusterOptions{}); hidden(in) || len(in.Gaps) > 0 {
			t.Errorf("hidden, or a gap: %v", in.Gaps)
		}
	})
	t.Run("not authorized", func(t *testing.T) {
		s := cluster(t)
		s.Refuse(crds+"tcproutes.gateway.networking.k8s.io", http.StatusUnauthorized)
		if _, err := Cluster(t.Context(), s.Config(), ClusterOptions{}); err == nil {
			t.Error("no error")
		}
	})
}
