package load

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
)

// Each word asks for its own kinds, as metadata where that is enough, and for nothing else.
func TestNamesAsksForWhatTheWordNeeds(t *testing.T) {
	const whole, metadata = false, true
	for _, tc := range []struct {
		name  string
		query NameQuery
		as    bool
		want  []string
	}{
		{"hosts", HostNames(), whole, []string{
			"GET /api/v1/services",
			"GET /apis/gateway.networking.k8s.io/v1/grpcroutes",
			"GET /apis/gateway.networking.k8s.io/v1/httproutes",
			"GET /apis/gateway.networking.k8s.io/v1/tlsroutes",
			"GET /apis/networking.istio.io/v1/serviceentries",
			"GET /apis/networking.istio.io/v1/virtualservices",
			"GET /apis/networking.k8s.io/v1/ingresses",
		}},
		{"sources", SourceNames("shop"), metadata, []string{
			"GET /api/v1/namespaces/shop/pods",
			"GET /api/v1/namespaces/shop/serviceaccounts",
			"GET /apis/apps/v1/namespaces/shop/daemonsets",
			"GET /apis/apps/v1/namespaces/shop/deployments",
			"GET /apis/apps/v1/namespaces/shop/statefulsets",
			"GET /apis/batch/v1/namespaces/shop/cronjobs",
			"GET /apis/networking.istio.io/v1/namespaces/shop/workloadentries",
		}},
		{"gateways", GatewayNames(), metadata, []string{
			"GET /apis/gateway.networking.k8s.io/v1/gateways",
			"GET /apis/networking.istio.io/v1/gateways",
		}},
		{"namespaces", NamespaceNames(), metadata, []string{"GET /api/v1/namespaces"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := loadtest.New(t)
			if _, err := Names(t.Context(), s.Config(), ClusterOptions{}, tc.query); err != nil {
				t.Fatal(err)
			}
			for i := range tc.want {
				tc.want[i] += "?resourceVersion=0"
			}
			if diff := cmp.Diff(tc.want, s.Asked()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			for path, headers := range s.Headers {
				if got := strings.Contains(headers.Get("Accept"), "as=PartialObjectMetadataList"); got != tc.as {
					t.Errorf("%s: Accept %q", path, headers.Get("Accept"))
				}
			}
		})
	}
}

func TestNamesReads(t *testing.T) {
	const (
		inner = `{metadata: {namespace: shop, name: inner}}`
		owned = `{metadata: {namespace: shop, name: web-1, ownerReferences: [{kind: ReplicaSet, name: web, controller: true}]}}`
	)
	forbidden := func(path string) func(*loadtest.Server) {
		return func(s *loadtest.Server) { s.Refuse(path, http.StatusForbidden) }
	}
	for _, tc := range []struct {
		name  string
		query NameQuery
		with  func(*loadtest.Server)
		want  []string
	}{
		{"both kinds of gateways", GatewayNames(), nil, []string{"Gateway istio-ingress/edge", "Gateway shop/inner"}},
		{"an older version, where the server has no newer one", GatewayNames(), func(s *loadtest.Server) {
			s.Serve(networkingGroup, "Gateway=v1beta1")
			s.Add(t, "/apis/networking.istio.io/v1beta1/gateways", `{metadata: {namespace: old, name: edge}}`)
		}, []string{"Gateway old/edge", "Gateway shop/inner"}},
		{"one kind that is not installed", GatewayNames(), func(s *loadtest.Server) { s.Serve(networkingGroup) }, []string{"Gateway shop/inner"}},
		{"one kind that fails", GatewayNames(), func(s *loadtest.Server) {
			s.Refuse("/apis/networking.istio.io/v1/gateways", http.StatusInternalServerError)
		}, []string{"Gateway shop/inner"}},
		{"the namespace at hand, where all are forbidden", GatewayNames(), func(s *loadtest.Server) {
			s.Add(t, "/apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways", inner)
			s.Refuse("/apis/networking.istio.io/v1/gateways", http.StatusForbidden)
			s.Refuse("/apis/gateway.networking.k8s.io/v1/gateways", http.StatusForbidden)
		}, []string{"Gateway shop/inner"}},
		{"pods", SourceNames("shop"), nil, []string{"Pod shop/web-1"}},
		{"namespaces", NamespaceNames(), nil, []string{"Namespace shop"}},
		{"no namespace, where they are forbidden", NamespaceNames(), forbidden("/api/v1/namespaces"), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := loadtest.New(t)
			s.Add(t, "/apis/networking.istio.io/v1/gateways", `{metadata: {namespace: istio-ingress, name: edge}}`)
			s.Add(t, "/apis/gateway.networking.k8s.io/v1/gateways", inner)
			s.Add(t, "/api/v1/namespaces/shop/pods", owned)
			s.Add(t, "/api/v1/namespaces", `{metadata: {name: shop}}`)
			if tc.with != nil {
				tc.with(s)
			}
			in, err := Names(t.Context(), s.Config(), ClusterOptions{Namespaces: []string{"shop"}}, tc.query)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, names(in)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, r := range in.Resources {
				if r.Object.GetName() == "web-1" && len(r.Object.GetOwnerReferences()) != 1 {
					t.Error("the pod has lost its owner")
				}
			}
		})
	}
}
