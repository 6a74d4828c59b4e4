package load

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/load/loadtest"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

const noIstioNote = "this cluster serves no networking.istio.io: Istio is not installed, or its CRDs are missing"

func TestDiscoveryFindsTheVersionToList(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(*loadtest.Server)
		// paths are the lists of Istio's and the Gateway API's kinds.
		paths []string
		notes []string
	}{
		{
			name:    "no Istio and no Gateway API",
			prepare: func(s *loadtest.Server) { serveNothingOfIstio(s) },
			notes:   []string{noIstioNote},
		},
		{
			name: "an absent kind is empty",
			prepare: func(s *loadtest.Server) {
				serveNothingOfIstio(s)
				s.Serve("networking.istio.io", "VirtualService=v1")
			},
			paths: []string{"networking.istio.io/v1/virtualservices"},
		},
		{
			name: "only old versions",
			prepare: func(s *loadtest.Server) {
				serveNothingOfIstio(s)
				s.Serve("networking.istio.io", "VirtualService=v1alpha3", "EnvoyFilter=v1alpha3", "ProxyConfig=v1beta1", "Gateway=v1beta1", "Sidecar=v1beta1")
				s.Serve("security.istio.io", "PeerAuthentication=v1beta1")
				s.Serve("telemetry.istio.io", "Telemetry=v1alpha1")
				s.Serve("gateway.networking.k8s.io", "Gateway=v1beta1", "HTTPRoute=v1beta1", "UDPRoute=v1alpha2")
			},
			paths: []string{
				"gateway.networking.k8s.io/v1alpha2/udproutes",
				"gateway.networking.k8s.io/v1beta1/gateways",
				"gateway.networking.k8s.io/v1beta1/httproutes",
				"networking.istio.io/v1alpha3/envoyfilters",
				"networking.istio.io/v1alpha3/virtualservices",
				"networking.istio.io/v1beta1/gateways",
				"networking.istio.io/v1beta1/proxyconfigs",
				"networking.istio.io/v1beta1/sidecars",
				"security.istio.io/v1beta1/peerauthentications",
				"telemetry.istio.io/v1alpha1/telemetries",
			},
			notes: []string{
				"read as gateway.networking.k8s.io/v1alpha2, the newest known version this cluster serves: UDPRoute",
				"read as gateway.networking.k8s.io/v1beta1, the newest known version this cluster serves: Gateway, HTTPRoute",
				"read as networking.istio.io/v1alpha3, the newest known version this cluster serves: VirtualService",
				"read as networking.istio.io/v1beta1, the newest known version this cluster serves: Gateway, Sidecar",
				"read as security.istio.io/v1beta1, the newest known version this cluster serves: PeerAuthentication",
				"read as telemetry.istio.io/v1alpha1, the newest known version this cluster serves: Telemetry",
			},
		},
		{
			name: "kinds that istiod watches in one version",
			prepare: func(s *loadtest.Server) {
				serveNothingOfIstio(s)
				s.Serve("networking.istio.io", "VirtualService=v1")
				s.Serve("gateway.networking.k8s.io", "GRPCRoute=v1alpha2", "TLSRoute=v1alpha3", "TCPRoute=v1", "ReferenceGrant=v1beta1")
			},
			paths: []string{
				"gateway.networking.k8s.io/v1/tcproutes", "gateway.networking.k8s.io/v1beta1/referencegrants",
				"networking.istio.io/v1/virtualservices",
			},
			notes: []string{
				"GRPCRoute is served as gateway.networking.k8s.io/v1alpha2; istiod reads only v1, so that none has an effect",
				"TLSRoute is served as gateway.networking.k8s.io/v1alpha3; istiod reads only v1, so that none has an effect",
			},
		},
		{
			name: "several versions: the Go type's own",
			prepare: func(s *loadtest.Server) {
				serveNothingOfIstio(s)
				s.Serve("networking.istio.io", "VirtualService=v1alpha3")
				for _, version := range []string{"v1beta1", "v1"} {
					r := s.Served[len(s.Served)-1]
					r.Version = version
					s.Served = append(s.Served, r)
				}
			},
			paths: []string{"networking.istio.io/v1/virtualservices"},
		},
	}
	for _, tt := range tests {
		for _, legacy := range []bool{false, true} {
			name := tt.name
			if legacy {
				name += ", older server"
			}
			t.Run(name, func(t *testing.T) {
				s := loadtest.New(t)
				s.MeshConfig(t, "istio-system", "istio", "")
				s.Legacy = legacy
				tt.prepare(s)
				in := readStub(t, s, ClusterOptions{})
				if len(in.Gaps) > 0 {
					t.Errorf("gaps %v, want none", in.Gaps)
				}
				var paths []string
				for _, r := range s.Asked() {
					path, isList := strings.CutSuffix(strings.TrimPrefix(r, "GET /apis/"), "?limit=1000")
					if isList && (strings.Contains(path, "istio.io/") || strings.Contains(path, "gateway.networking")) {
						paths = append(paths, path)
					}
				}
				if diff := cmp.Diff(tt.paths, paths); diff != "" {
					t.Errorf("lists (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tt.notes, notes(in)); diff != "" {
					t.Errorf("notes (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func serveNothingOfIstio(s *loadtest.Server) {
	for _, group := range []string{
		"networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io", "gateway.networking.k8s.io", "gateway.networking.x-k8s.io",
	} {
		s.Serve(group)
	}
}

// An older version's object is held in the newest type.
func TestDiscoveryOldVersionFillsTheNewestType(t *testing.T) {
	s := loadtest.New(t)
	s.Serve("networking.istio.io", "DestinationRule=v1alpha3")
	s.Add(t, "/apis/networking.istio.io/v1alpha3/destinationrules", `
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata: {namespace: shop, name: reviews}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
`)
	rules := resolve.NewSnapshot(readStub(t, s, ClusterOptions{})).DestinationRules
	if len(rules) != 1 || rules[0].Spec.GetSubsets()[0].GetName() != "v1" || rules[0].APIVersion != "networking.istio.io/v1" {
		t.Errorf("destination rules %v", rules)
	}
}

func TestDiscoveryThatFailsInPartIsAGap(t *testing.T) {
	security := schema.GroupVersion{Group: "security.istio.io", Version: "v1"}
	gapsOf := func(detail string, kinds ...string) []resolve.Gap {
		var out []resolve.Gap
		for _, k := range kinds {
			out = append(out, resolve.Gap{
				GroupKind: schema.GroupKind{Group: security.Group, Kind: k}, Reason: resolve.GapFailed, Detail: detail,
			})
		}
		return out
	}
	all := []string{"PeerAuthentication", "RequestAuthentication", "AuthorizationPolicy"}
	tests := []struct {
		name    string
		prepare func(*loadtest.Server)
		gaps    []resolve.Gap
	}{
		{
			name:    "a stale version",
			prepare: func(s *loadtest.Server) { s.Serve("security.istio.io"); s.Stale = []schema.GroupVersion{security} },
			gaps:    gapsOf("discovery of security.istio.io/v1 failed: stale GroupVersion discovery: security.istio.io/v1", all...),
		},
		{
			name: "a version that an older server does not answer for",
			prepare: func(s *loadtest.Server) {
				s.Legacy = true
				s.Serve("security.istio.io")
				s.Stale = []schema.GroupVersion{security}
			},
			gaps: gapsOf("discovery of security.istio.io/v1 failed: backend is away", all...),
		},
		{
			name: "a stale version beside a good one",
			prepare: func(s *loadtest.Server) {
				s.Serve("security.istio.io", "AuthorizationPolicy=v1beta1", "PeerAuthentication=v1beta1", "RequestAuthentication=v1beta1")
				s.Stale = []schema.GroupVersion{security}
			},
		},
		{
			name:    "a version of the future",
			prepare: func(s *loadtest.Server) { s.Serve("security.istio.io", "PeerAuthentication=v3") },
			gaps:    gapsOf("served only as security.istio.io/v3, which is not known here (known: v1, v1beta1)", "PeerAuthentication"),
		},
		{
			name: "a group no trace reads",
			prepare: func(s *loadtest.Server) {
				s.Stale = []schema.GroupVersion{{Group: "metrics.k8s.io", Version: "v1beta1"}}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := loadtest.New(t)
			s.MeshConfig(t, "istio-system", "istio", "")
			tt.prepare(s)
			in := readStub(t, s, ClusterOptions{})
			if diff := cmp.Diff(tt.gaps, in.Gaps); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
		})
	}
}

// A user who may not see one group's APIs has a gap there, not an error.
func TestDiscoveryForbiddenForAGroup(t *testing.T) {
	s := loadtest.New(t)
	s.Legacy = true
	s.Refuse("/apis/telemetry.istio.io/v1", http.StatusForbidden)
	in := readStub(t, s, ClusterOptions{})
	telemetry := schema.GroupKind{Group: "telemetry.istio.io", Kind: "Telemetry"}
	want := resolve.Gap{
		GroupKind: telemetry, Reason: resolve.GapForbidden,
		Detail: "discovery of telemetry.istio.io/v1 failed: the server says Forbidden",
	}
	i := slices.IndexFunc(in.Gaps, func(g resolve.Gap) bool { return g.GroupKind == telemetry })
	if i < 0 {
		t.Fatalf("no gap for %s in %v", telemetry, in.Gaps)
	}
	if diff := cmp.Diff(want, in.Gaps[i]); diff != "" {
		t.Errorf("gap (-want +got):\n%s", diff)
	}
}
