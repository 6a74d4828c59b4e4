package load

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

func readStub(t *testing.T, s *loadtest.Server, opts ClusterOptions) resolve.Input {
	t.Helper()
	in, err := Cluster(t.Context(), s.Config(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// names are the resources as "Kind namespace/name".
func names(in resolve.Input) []string {
	var out []string
	for _, r := range in.Resources {
		out = append(out, resolve.Ref{Kind: r.GroupKind.Kind, Namespace: r.Object.GetNamespace(), Name: r.Object.GetName()}.String())
	}
	slices.Sort(out)
	return out
}

func notes(in resolve.Input) []string {
	var out []string
	for _, n := range in.Notes {
		out = append(out, n.Message)
	}
	return out
}

// service and virtualService are the smallest objects of their kinds.
func service(namespace, name string) string {
	return fmt.Sprintf(`{metadata: {namespace: %s, name: %s}, spec: {ports: [{port: 80}]}}`, namespace, name)
}

func virtualService(namespace, name string) string {
	return fmt.Sprintf(`{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {namespace: %s, name: %s}, spec: {hosts: [%s]}}`, namespace, name, name)
}

func TestClusterAsksForNothingButDiscoveryListsTheMeshConfigAndCRDs(t *testing.T) {
	s := loadtest.New(t)
	s.MeshConfig(t, "istio-system", "istio", "")
	readStub(t, s, ClusterOptions{})
	want := []string{
		"GET /api",
		"GET /api/v1/namespaces/istio-system/configmaps/istio",
		"GET /api/v1/namespaces?limit=1000",
		"GET /api/v1/pods?labelSelector=app%3Distiod&limit=1000",
		"GET /api/v1/services?limit=1000",
		"GET /apis",
		"GET /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations?limit=1000",
		"GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions/backendtlspolicies.gateway.networking.k8s.io",
		"GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions/grpcroutes.gateway.networking.k8s.io",
		"GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions/tcproutes.gateway.networking.k8s.io",
		"GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions/tlsroutes.gateway.networking.k8s.io",
		"GET /apis/apps/v1/deployments?labelSelector=app%3Distiod&limit=1000",
		"GET /apis/extensions.istio.io/v1alpha1/trafficextensions?limit=1000",
		"GET /apis/extensions.istio.io/v1alpha1/wasmplugins?limit=1000",
		"GET /apis/gateway.networking.k8s.io/v1/backendtlspolicies?limit=1000",
		"GET /apis/gateway.networking.k8s.io/v1/gatewayclasses?limit=1000",
		"GET /apis/gateway.networking.k8s.io/v1/gateways?limit=1000",
		"GET /apis/gateway.networking.k8s.io/v1/grpcroutes?limit=1000",
		"GET /apis/gateway.networking.k8s.io/v1/httproutes?limit=1000",
		"GET /apis/gateway.networking.k8s.io/v1/listenersets?limit=1000",
		"GET /apis/gateway.networking.k8s.io/v1/tcproutes?limit=1000",
		"GET /apis/gateway.networking.k8s.io/v1/tlsroutes?limit=1000",
		"GET /apis/gateway.networking.k8s.io/v1/udproutes?limit=1000",
		"GET /apis/gateway.networking.k8s.io/v1beta1/referencegrants?limit=1000",
		"GET /apis/gateway.networking.x-k8s.io/v1alpha1/xbackendtrafficpolicies?limit=1000",
		"GET /apis/inference.networking.k8s.io/v1/inferencepools?limit=1000",
		"GET /apis/networking.istio.io/v1/destinationrules?limit=1000",
		"GET /apis/networking.istio.io/v1/gateways?limit=1000",
		"GET /apis/networking.istio.io/v1/serviceentries?limit=1000",
		"GET /apis/networking.istio.io/v1/sidecars?limit=1000",
		"GET /apis/networking.istio.io/v1/virtualservices?limit=1000",
		"GET /apis/networking.istio.io/v1/workloadentries?limit=1000",
		"GET /apis/networking.istio.io/v1/workloadgroups?limit=1000",
		"GET /apis/networking.istio.io/v1alpha3/envoyfilters?limit=1000",
		"GET /apis/networking.istio.io/v1beta1/proxyconfigs?limit=1000",
		"GET /apis/networking.k8s.io/v1/ingressclasses?limit=1000",
		"GET /apis/networking.k8s.io/v1/ingresses?limit=1000",
		"GET /apis/security.istio.io/v1/authorizationpolicies?limit=1000",
		"GET /apis/security.istio.io/v1/peerauthentications?limit=1000",
		"GET /apis/security.istio.io/v1/requestauthentications?limit=1000",
		"GET /apis/telemetry.istio.io/v1/telemetries?limit=1000",
	}
	if diff := cmp.Diff(want, s.Asked()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestClusterReadsBuiltInKindsAsProtobufAndOthersAsJSON(t *testing.T) {
	tests := []struct {
		name     string
		protobuf bool
	}{
		{"a server that speaks protobuf", true},
		{"a server that has only JSON", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := loadtest.New(t)
			s.Protobuf = tt.protobuf
			s.MeshConfig(t, "istio-system", "istio", "")
			s.Add(t, "/api/v1/services", service("shop", "reviews"), service("shop", "ratings"))
			s.Add(t, "/apis/apps/v1/namespaces/shop/deployments", `{metadata: {namespace: shop, name: web}, spec: {replicas: 3}}`)
			s.Add(t, "/apis/networking.istio.io/v1/virtualservices", virtualService("shop", "reviews"))
			s.Add(t, "/apis/networking.istio.io/v1/gateways", `{metadata: {namespace: shop, name: edge}}`)
			s.Add(t, "/apis/gateway.networking.k8s.io/v1/gateways", `{metadata: {namespace: shop, name: edge}}`)
			in := readStub(t, s, ClusterOptions{Version: "v1.2.3"})

			want := []string{
				"Gateway shop/edge", "Gateway shop/edge",
				"Service shop/ratings", "Service shop/reviews", "VirtualService shop/reviews",
			}
			if diff := cmp.Diff(want, names(in)); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
			for path, accept := range map[string]string{
				"/api/v1/services": "application/vnd.kubernetes.protobuf,application/json",
				"/apis/networking.istio.io/v1/virtualservices": "application/json",
				"/apis/gateway.networking.k8s.io/v1/gateways":  "application/json",
			} {
				if got := s.Headers[path].Get("Accept"); got != accept {
					t.Errorf("Accept of %s is %q, want %q", path, got, accept)
				}
			}
			if got := s.Headers["/api/v1/services"].Get("User-Agent"); got != "kubectl-mesh_trace/v1.2.3" {
				t.Errorf("user agent %q", got)
			}
			snapshot := resolve.NewSnapshot(in)
			if n := len(snapshot.Gateways) + len(snapshot.KubeGateways); n != 2 {
				t.Errorf("%d Gateways in the snapshot, want one of each group", n)
			}
			if got := *snapshot.RunningIn("shop").Deployments()[0].Spec.Replicas; got != 3 {
				t.Errorf("replicas %d, want 3", got)
			}
			if got := snapshot.RawVirtualServices[0].Spec.GetHosts(); !slices.Equal(got, []string{"reviews"}) {
				t.Errorf("hosts %v", got)
			}
			ref := resolve.Ref{Group: "networking.istio.io", Kind: "VirtualService", Namespace: "shop", Name: "reviews"}
			if got := snapshot.Locate(ref.At("spec.hosts[0]")); got != "cluster" {
				t.Errorf("Locate = %q, want cluster", got)
			}
			wantType := schema.GroupVersionKind{Version: "v1", Kind: "Service"}
			if got := snapshot.KubeServices[0].GroupVersionKind(); got != wantType {
				t.Errorf("type %v, want %v", got, wantType)
			}
			if len(in.Gaps) > 0 || len(in.Notes) > 0 || in.Offline {
				t.Errorf("gaps %v, notes %v, offline %v, want none", in.Gaps, in.Notes, in.Offline)
			}
		})
	}
}

func TestClusterStripsWhatNoTraceReads(t *testing.T) {
	s := loadtest.New(t)
	s.Add(t, "/api/v1/services", `
metadata:
  namespace: shop
  name: reviews
  managedFields: [{manager: kubectl, operation: Update}]
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}", networking.istio.io/exportTo: "."}
`)
	in := readStub(t, s, ClusterOptions{})
	o := in.Resources[0].Object
	if got := o.GetManagedFields(); got != nil {
		t.Errorf("managed fields %v", got)
	}
	if diff := cmp.Diff(map[string]string{"networking.istio.io/exportTo": "."}, o.GetAnnotations()); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestClusterKindsThatCannotBeListed(t *testing.T) {
	const virtualServices = "/apis/networking.istio.io/v1/virtualservices"
	gk := schema.GroupKind{Group: "networking.istio.io", Kind: "VirtualService"}
	tests := []struct {
		name    string
		prepare func(*loadtest.Server)
		opts    ClusterOptions
		gaps    []resolve.Gap
		read    []string
	}{
		{
			name: "forbidden everywhere",
			prepare: func(s *loadtest.Server) {
				s.Refuse(virtualServices, http.StatusForbidden)
				s.Refuse("/apis/networking.istio.io/v1/namespaces/istio-system/virtualservices", http.StatusForbidden)
			},
			gaps: []resolve.Gap{{GroupKind: gk, Reason: resolve.GapForbidden, Detail: "the server says Forbidden"}},
			read: []string{"Service shop/reviews"},
		},
		{
			name: "forbidden but in the namespaces at hand",
			prepare: func(s *loadtest.Server) {
				s.Refuse(virtualServices, http.StatusForbidden)
				s.Refuse("/apis/networking.istio.io/v1/namespaces/istio-system/virtualservices", http.StatusForbidden)
				s.Items["/apis/networking.istio.io/v1/namespaces/shop/virtualservices"] = []string{`{"metadata":{"namespace":"shop","name":"a"}}`}
			},
			opts: ClusterOptions{Namespaces: []string{"shop", "shop", ""}},
			gaps: []resolve.Gap{{GroupKind: gk, Except: []string{"shop"}, Reason: resolve.GapForbidden, Detail: "the server says Forbidden"}},
			read: []string{"Service shop/reviews", "VirtualService shop/a"},
		},
		{
			name: "forbidden, and one namespace fails",
			prepare: func(s *loadtest.Server) {
				s.Refuse(virtualServices, http.StatusForbidden)
				s.Refuse("/apis/networking.istio.io/v1/namespaces/shop/virtualservices", http.StatusInternalServerError)
			},
			opts: ClusterOptions{Namespaces: []string{"shop"}},
			gaps: []resolve.Gap{
				{GroupKind: gk, Except: []string{"shop", "istio-system"}, Reason: resolve.GapForbidden, Detail: "the server says Forbidden"},
				{GroupKind: gk, Namespace: "shop", Reason: resolve.GapFailed, Detail: "the server says Internal Server Error"},
			},
			read: []string{"Service shop/reviews"},
		},
		{
			name:    "forbidden kind without namespaces",
			prepare: func(s *loadtest.Server) { s.Refuse("/apis/networking.k8s.io/v1/ingressclasses", http.StatusForbidden) },
			opts:    ClusterOptions{Namespaces: []string{"shop"}},
			gaps:    []resolve.Gap{{GroupKind: schema.GroupKind{Group: "networking.k8s.io", Kind: "IngressClass"}, Reason: resolve.GapForbidden, Detail: "the server says Forbidden"}},
			read:    []string{"Service shop/reviews"},
		},
		{
			name:    "broken",
			prepare: func(s *loadtest.Server) { s.Refuse(virtualServices, http.StatusInternalServerError) },
			gaps:    []resolve.Gap{{GroupKind: gk, Reason: resolve.GapFailed, Detail: "the server says Internal Server Error"}},
			read:    []string{"Service shop/reviews"},
		},
		{
			name:    "gone since discovery",
			prepare: func(s *loadtest.Server) { s.Refuse(virtualServices, http.StatusNotFound) },
			read:    []string{"Service shop/reviews"},
		},
		{
			name: "objects that do not fit their type",
			prepare: func(s *loadtest.Server) {
				s.Items[virtualServices] = []string{
					`{"metadata":{"namespace":"shop","name":"bad"},"spec":{"hosts":"reviews"}}`,
					`{"metadata":{"namespace":"shop","name":"good"}}`,
				}
			},
			gaps: []resolve.Gap{{
				GroupKind: gk, Namespace: "shop", Name: "bad", Reason: resolve.GapUnreadable,
				Detail: `json: cannot unmarshal string into Go struct field VirtualService.spec of type []json.RawMessage`,
			}},
			read: []string{"Service shop/reviews", "VirtualService shop/good"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := loadtest.New(t)
			s.MeshConfig(t, "istio-system", "istio", "")
			s.Add(t, "/api/v1/services", service("shop", "reviews"))
			tt.prepare(s)
			in := readStub(t, s, tt.opts)
			if diff := cmp.Diff(tt.gaps, in.Gaps); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.read, names(in)); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClientConfig(t *testing.T) {
	type pace struct {
		QPS   float32
		Burst int
	}
	tests := []struct {
		name  string
		given rest.Config
		want  pace
	}{
		{"client-go's default is raised", rest.Config{}, pace{50, 300}},
		{"a slow pace is raised", rest.Config{QPS: 5, Burst: 10}, pace{50, 300}},
		{"a faster pace stays", rest.Config{QPS: 100, Burst: 500}, pace{100, 500}},
		{"no limit stays", rest.Config{QPS: -1}, pace{-1, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			given := tt.given
			got := clientConfig(&given, ClusterOptions{})
			if diff := cmp.Diff(tt.want, pace{got.QPS, got.Burst}); diff != "" {
				t.Errorf("pace (-want +got):\n%s", diff)
			}
			if got.UserAgent != "kubectl-mesh_trace/devel" {
				t.Errorf("user agent %q", got.UserAgent)
			}
			if given.QPS != tt.given.QPS || given.Burst != tt.given.Burst || given.UserAgent != "" || given.WarningHandlerWithContext != nil {
				t.Errorf("the caller's config changed: %+v", &given)
			}
		})
	}
}

func TestClusterRetriesAServerThatIsBusy(t *testing.T) {
	s := loadtest.New(t)
	s.Add(t, "/api/v1/services", service("shop", "reviews"))
	refused := make(chan bool, 1)
	s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/api/v1/services" {
			return false
		}
		select {
		case refused <- true:
			w.Header().Set("Retry-After", "0")
			loadtest.WriteStatus(w, http.StatusTooManyRequests, "later")
			return true
		default:
			return false
		}
	}
	in := readStub(t, s, ClusterOptions{})
	if diff := cmp.Diff([]string{"Service shop/reviews"}, names(in)); diff != "" || len(in.Gaps) > 0 || len(refused) != 1 {
		t.Errorf("resources (-want +got):\n%s\ngaps %v, refused %d", diff, in.Gaps, len(refused))
	}
}

func TestClusterPassesOnWarningsOnce(t *testing.T) {
	s := loadtest.New(t)
	s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/apis/security.istio.io/") {
			w.Header().Set("Warning", `299 - "security is old"`)
		}
		return false
	}
	var told []string
	readStub(t, s, ClusterOptions{Warn: func(text string) { told = append(told, text) }})
	if diff := cmp.Diff([]string{"security is old"}, told); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	readStub(t, s, ClusterOptions{})
}

func TestClusterStopsWithItsContext(t *testing.T) {
	for _, path := range []string{"/apis", "/api/v1/pods", "/api/v1/namespaces/istio-system/configmaps/istio"} {
		t.Run(path, func(t *testing.T) {
			s := loadtest.New(t)
			ctx, cancel := context.WithCancel(t.Context())
			s.Answer = func(_ http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != path {
					return false
				}
				cancel()
				<-r.Context().Done()
				return true
			}
			_, err := Cluster(ctx, s.Config(), ClusterOptions{})
			if want := "read the cluster " + s.URL + ": context canceled"; err == nil || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
		})
	}
}

// Objects come back in the table's order of kinds whatever the order of the answers.
func TestClusterIsDeterministic(t *testing.T) {
	s := loadtest.New(t)
	for i := range 20 {
		s.Add(t, "/api/v1/services", service("shop", fmt.Sprintf("s%d", i)))
		s.Add(t, "/apis/networking.istio.io/v1/virtualservices", virtualService("shop", fmt.Sprintf("v%d", i)))
	}
	order := func() []string {
		var out []string
		for _, r := range readStub(t, s, ClusterOptions{}).Resources {
			out = append(out, r.GroupKind.Kind+r.Object.GetName())
		}
		return out
	}
	first := order()
	for range 5 {
		if diff := cmp.Diff(first, order()); diff != "" {
			t.Fatalf("two reads differ:\n%s", diff)
		}
	}
}

// TestServerHasTheLoadersKinds holds that the tests' API server serves what the loader asks for.
func TestServerHasTheLoadersKinds(t *testing.T) {
	var want, got []string
	for _, k := range clusterKinds(true) {
		want = append(want, fmt.Sprint(k.group, "/", k.listed()[0], " ", k.kind, " ", k.plural))
	}
	for _, k := range loadtest.Kinds() {
		got = append(got, fmt.Sprint(k.Group, "/", k.Version, " ", k.Kind, " ", k.Plural))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
