package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	sidecarClient = &Workload{Namespace: "app", Dataplane: DataplaneSidecar, Labels: map[string]string{"app": "web"}}
	gatewayClient = &Workload{Namespace: "istio-system", Dataplane: DataplaneGateway}
)

// external is a service as istiod makes one of a ServiceEntry host.
func external(namespace, name, host string, resolution Resolution, ports ...Port) *Service {
	return &Service{
		Hostname: host, Namespace: namespace, Name: host, Registry: RegistryExternal, Resolution: resolution, MeshExternal: true,
		Ref: Ref{Group: istioNetworking, Kind: "ServiceEntry", Namespace: namespace, Name: name, Field: "spec.hosts[0]"}, Ports: ports,
	}
}

func serviceEntry(namespace, name, spec string) string {
	return "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: " + spec + "\n"
}

func TestCluster(t *testing.T) {
	headless := reviewsIn("shop")
	headless.Resolution = Passthrough
	alias := reviewsIn("shop")
	alias.Resolution, alias.ExternalName = Alias, "x.example.com"
	udp := reviewsIn("shop")
	udp.Ports[0].Protocol = ProtocolUDP
	ext := func(r Resolution) *Service {
		return external("shop", "ext", "api.example.com", r, Port{Name: "http", Number: 80, Protocol: ProtocolHTTP})
	}
	wild := external("shop", "wild", "*.example.com", DynamicDNS, Port{Name: "tls", Number: 80, Protocol: ProtocolTLS})
	wildTCP := external("shop", "wild", "*.example.com", DynamicDNS, Port{Name: "tcp", Number: 80, Protocol: ProtocolTCP})
	const dns = "{hosts: [api.example.com], resolution: DNS, ports: [{name: http, number: 80, protocol: HTTP}]"
	tests := []struct {
		name      string
		manifests string
		client    *Workload
		svc       *Service
		subset    string
		want      ClusterType // empty: no cluster
		steps     []string
	}{
		{name: "plain", svc: reviewsIn("shop"), want: ClusterEDS, steps: []string{"none destinationrule/none"}},
		{name: "alias", svc: alias, steps: []string{"none cluster/alias Service shop/reviews"}},
		{name: "udp", svc: udp, steps: []string{"none cluster/protocol Service shop/reviews spec.ports[0]"}},
		{name: "headless, sidecar", svc: headless, want: ClusterOriginalDst, steps: []string{"none destinationrule/none"}},
		{name: "headless, gateway", svc: headless, client: gatewayClient, want: ClusterEDS, steps: []string{"none destinationrule/none"}},
		{
			name: "subset", svc: reviewsIn("shop"), subset: "v1", want: ClusterEDS,
			manifests: dr("shop", "reviews", `{host: reviews, subsets: [{name: v1, labels: {version: v1}}]}`),
			steps:     []string{"matched destinationrule/service-namespace shop/reviews", "matched subset/defined shop/reviews spec.subsets[0]"},
		},
		{
			name: "subset without labels", svc: reviewsIn("shop"), subset: "v1", want: ClusterEDS,
			manifests: dr("shop", "reviews", `{host: reviews, subsets: [{name: v1}]}`),
			steps:     []string{"matched destinationrule/service-namespace shop/reviews", "matched subset/defined shop/reviews spec.subsets[0]"},
		},
		{
			name: "subset that is not defined", svc: reviewsIn("shop"), subset: "v3",
			manifests: dr("shop", "reviews", `{host: reviews, subsets: [{name: v1}]}`),
			steps:     []string{"matched destinationrule/service-namespace shop/reviews", "none subset/undefined shop/reviews spec.subsets"},
		},
		{name: "subset without DestinationRule", svc: reviewsIn("shop"), subset: "v3", steps: []string{"none destinationrule/none", "none subset/undefined"}},
		{
			name: "the client's wildcard takes the subsets away", svc: reviewsIn("shop"), subset: "v1",
			manifests: dr("app", "wild", `{host: "*.local"}`) + dr("shop", "reviews", `{host: reviews, subsets: [{name: v1}]}`),
			steps: []string{
				"skipped destinationrule/search-ended shop/reviews", "matched destinationrule/client-namespace app/wild", "none subset/undefined app/wild spec.subsets",
			},
		},
		{
			name: "load balancer PASSTHROUGH", svc: reviewsIn("shop"), want: ClusterOriginalDst,
			manifests: dr("shop", "reviews", `{host: reviews, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}}`),
			steps: []string{
				"matched destinationrule/service-namespace shop/reviews", "applied trafficpolicy/destination shop/reviews spec.trafficPolicy",
				"applied cluster/load-balancer-passthrough shop/reviews",
			},
		},
		{
			name: "PASSTHROUGH stays for a subset with another load balancer", svc: reviewsIn("shop"), subset: "v1", want: ClusterOriginalDst,
			manifests: dr("shop", "reviews", `{host: reviews, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}, subsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]}`),
			steps: []string{
				"matched destinationrule/service-namespace shop/reviews", "matched subset/defined shop/reviews spec.subsets[0]",
				"applied trafficpolicy/destination shop/reviews spec.trafficPolicy", "applied trafficpolicy/subset shop/reviews spec.subsets[0].trafficPolicy",
				"applied cluster/load-balancer-passthrough shop/reviews",
			},
		},
		{name: "DNS", svc: ext(DNSLB), want: ClusterStrictDNS, manifests: serviceEntry("shop", "ext", dns+"}"), steps: []string{"none destinationrule/none"}},
		{name: "DNS_ROUND_ROBIN", svc: ext(DNSRoundRobinLB), want: ClusterLogicalDNS, manifests: serviceEntry("shop", "ext", dns+"}"), steps: []string{"none destinationrule/none"}},
		{
			name: "DNS by annotation", svc: ext(DNSLB), want: ClusterLogicalDNS,
			manifests: "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: ext, namespace: shop, annotations: {istio.io/connect-strategy: RACE_FIRST_TCP_CONNECT}}\nspec: " + dns + "}\n",
			steps:     []string{"none destinationrule/none"},
		},
		{
			name: "DNS whose selector matches nothing", svc: ext(DNSLB), manifests: serviceEntry("shop", "ext", dns+", workloadSelector: {labels: {a: b}}}"),
			steps: []string{"none destinationrule/none", "none cluster/dns-no-endpoint ServiceEntry shop/ext spec.hosts[0]"},
		},
		{
			name: "DNS subset", svc: ext(DNSLB), subset: "v1", want: ClusterStrictDNS,
			manifests: serviceEntry("shop", "ext", dns+", endpoints: [{address: a.example.com, labels: {version: v1}}]}") + dr("shop", "ext", `{host: api.example.com, subsets: [{name: v1, labels: {version: v1}}]}`),
			steps:     []string{"matched destinationrule/service-namespace shop/ext", "matched subset/defined shop/ext spec.subsets[0]"},
		},
		{
			name: "DNS subset without endpoint", svc: ext(DNSLB), subset: "v2",
			manifests: serviceEntry("shop", "ext", dns+", endpoints: [{address: a.example.com, labels: {version: v1}}]}") + dr("shop", "ext", `{host: api.example.com, subsets: [{name: v2, labels: {version: v2}}]}`),
			steps: []string{
				"matched destinationrule/service-namespace shop/ext", "matched subset/defined shop/ext spec.subsets[0]",
				"none cluster/dns-no-endpoint ServiceEntry shop/ext spec.hosts[0]",
			},
		},
		{name: "DYNAMIC_DNS", svc: wild, want: ClusterDynamicDNS, steps: []string{"none destinationrule/none"}},
		{name: "DYNAMIC_DNS on a TCP port", svc: wildTCP, steps: []string{"none cluster/protocol ServiceEntry shop/wild"}},
		{
			name: "DYNAMIC_DNS has no subsets", svc: wild, subset: "v1", manifests: dr("shop", "wild", `{host: "*.example.com", subsets: [{name: v1}]}`),
			steps: []string{"matched destinationrule/service-namespace shop/wild", "none cluster/dynamic-dns-no-subsets ServiceEntry shop/wild spec.hosts[0]"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := tt.client
			if client == nil {
				client = sidecarClient
			}
			c, steps := snapshotOf(t, tt.manifests).Cluster(client, tt.svc, tt.svc.Ports[0], tt.subset)
			var got ClusterType
			if c != nil {
				got = c.Type
				if want := ClusterName(80, tt.subset, tt.svc.Hostname); c.Name != want {
					t.Errorf("name: want %s, got %s", want, c.Name)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.steps, destinationSteps(t, steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestClusterSubsetUndefinedReason(t *testing.T) {
	svc := reviewsIn("shop")
	s := snapshotOf(t, dr("shop", "reviews", `{host: reviews, subsets: [{name: v1}, {name: v2}]}`))
	_, steps := s.Cluster(sidecarClient, svc, svc.Ports[0], "v3")
	want := "no subset v3 for this client: DestinationRule shop/reviews defines v1, v2; Envoy has no cluster outbound|80|v3|reviews.shop.svc.cluster.local"
	if diff := cmp.Diff(want, steps[len(steps)-1].Reason()); diff != "" {
		t.Error(diff)
	}
}

func TestTrafficPolicy(t *testing.T) {
	type effective struct {
		Fields, TLS, TLSField, EndpointTLS, EndpointTLSField string
		Mesh                                                 bool
	}
	const top = `loadBalancer: {simple: RANDOM}, outlierDetection: {}, tls: {mode: SIMPLE}`
	tests := []struct {
		name, manifests, subset string
		want                    effective
		steps                   []string
	}{
		{
			name: "top level", manifests: dr("shop", "r", `{host: reviews, trafficPolicy: {`+top+`}}`),
			want:  effective{Fields: "loadBalancer, outlierDetection, tls", TLS: "SIMPLE", TLSField: "spec.trafficPolicy.tls", EndpointTLS: "SIMPLE", EndpointTLSField: "spec.trafficPolicy.tls"},
			steps: []string{"applied trafficpolicy/destination shop/r spec.trafficPolicy"},
		},
		{
			name: "port level replaces as a whole", manifests: dr("shop", "r", `{host: reviews, trafficPolicy: {`+top+`, portLevelSettings: [{port: {number: 81}}, {port: {number: 80}, connectionPool: {}}]}}`),
			want: effective{Fields: "connectionPool", EndpointTLS: "SIMPLE", EndpointTLSField: "spec.trafficPolicy.tls"},
			steps: []string{
				"applied trafficpolicy/port-level shop/r spec.trafficPolicy.portLevelSettings[1]", "skipped trafficpolicy/port-level-lost shop/r spec.trafficPolicy.loadBalancer",
				"skipped trafficpolicy/port-level-lost shop/r spec.trafficPolicy.outlierDetection", "skipped trafficpolicy/port-level-lost shop/r spec.trafficPolicy.tls",
			},
		},
		{
			name: "port level with tls", manifests: dr("shop", "r", `{host: reviews, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}}`),
			want: effective{
				Fields: "tls", TLS: "DISABLE", TLSField: "spec.trafficPolicy.portLevelSettings[0].tls",
				EndpointTLS: "DISABLE", EndpointTLSField: "spec.trafficPolicy.portLevelSettings[0].tls",
			},
			steps: []string{"applied trafficpolicy/port-level shop/r spec.trafficPolicy.portLevelSettings[0]"},
		},
		{
			name: "another port", manifests: dr("shop", "r", `{host: reviews, trafficPolicy: {portLevelSettings: [{port: {number: 81}, tls: {mode: DISABLE}}, {}]}}`),
		},
		{
			name: "subset overrides field by field", subset: "v1",
			manifests: dr("shop", "r", `{host: reviews, trafficPolicy: {`+top+`}, subsets: [{name: v0}, {name: v1, trafficPolicy: {tls: {mode: DISABLE}, connectionPool: {}}}]}`),
			want: effective{
				Fields: "connectionPool, loadBalancer, outlierDetection, tls", TLS: "DISABLE", TLSField: "spec.subsets[1].trafficPolicy.tls",
				EndpointTLS: "DISABLE", EndpointTLSField: "spec.subsets[1].trafficPolicy.tls",
			},
			steps: []string{"applied trafficpolicy/destination shop/r spec.trafficPolicy", "applied trafficpolicy/subset shop/r spec.subsets[1].trafficPolicy"},
		},
		{
			name: "subset on top of the port level", subset: "v1",
			manifests: dr("shop", "r", `{host: reviews, trafficPolicy: {`+top+`, portLevelSettings: [{port: {number: 80}, connectionPool: {}, loadBalancer: {}, outlierDetection: {}, tls: {mode: MUTUAL}}]}, subsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]}`),
			want: effective{
				Fields: "connectionPool, loadBalancer, outlierDetection, tls", TLS: "MUTUAL", TLSField: "spec.trafficPolicy.portLevelSettings[0].tls",
				EndpointTLS: "MUTUAL", EndpointTLSField: "spec.trafficPolicy.portLevelSettings[0].tls",
			},
			steps: []string{"applied trafficpolicy/port-level shop/r spec.trafficPolicy.portLevelSettings[0]", "applied trafficpolicy/subset shop/r spec.subsets[0].trafficPolicy"},
		},
		{
			name: "subset port level replaces as a whole", subset: "v1",
			manifests: dr("shop", "r", `{host: reviews, trafficPolicy: {`+top+`}, subsets: [{name: v1, trafficPolicy: {portLevelSettings: [{port: {number: 80}, connectionPool: {}}]}}]}`),
			want:      effective{Fields: "connectionPool", EndpointTLS: "SIMPLE", EndpointTLSField: "spec.trafficPolicy.tls"},
			steps: []string{
				"applied trafficpolicy/destination shop/r spec.trafficPolicy", "applied trafficpolicy/port-level shop/r spec.subsets[0].trafficPolicy.portLevelSettings[0]",
				"applied trafficpolicy/subset shop/r spec.subsets[0].trafficPolicy.portLevelSettings[0]",
			},
		},
		{
			name: "mesh default", manifests: "kind: MeshConfig\ndefaultTrafficPolicy: {connectionPool: {}, outlierDetection: {}}\n" + dr("shop", "r", `{host: reviews, trafficPolicy: {connectionPool: {}}}`),
			want:  effective{Fields: "connectionPool, outlierDetection", Mesh: true},
			steps: []string{"applied trafficpolicy/destination shop/r spec.trafficPolicy", "applied trafficpolicy/mesh-default MeshConfig defaultTrafficPolicy"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			svc := reviewsIn("shop")
			c, steps := snapshotOf(t, tt.manifests).Cluster(sidecarClient, svc, svc.Ports[0], tt.subset)
			got := effective{Fields: policyFields(c.Policy), TLSField: c.TLSRef.Field, EndpointTLSField: c.EndpointTLSRef.Field, Mesh: c.MeshOutlierDetection}
			if c.Policy.GetTls() != nil {
				got.TLS = c.Policy.Tls.Mode.String()
			}
			if c.EndpointTLS != nil {
				got.EndpointTLS = c.EndpointTLS.Mode.String()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			lines := destinationSteps(t, steps)[1:]
			if tt.subset != "" {
				lines = lines[1:]
			}
			if diff := cmp.Diff(tt.steps, lines, equalEmpty); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// equalEmpty takes nil and empty lists as the same.
var equalEmpty = cmp.FilterValues(func(a, b []string) bool { return len(a) == 0 && len(b) == 0 }, cmp.Comparer(func(_, _ []string) bool { return true }))

// TestOddDestinations: whatever is left out of a resource, nothing panics.
func TestOddDestinations(t *testing.T) {
	s := snapshotOf(t, dr("shop", "a", `{}`)+dr("shop", "b", `{host: reviews, subsets: [{}, {name: v1}], trafficPolicy: {portLevelSettings: [{}], loadBalancer: {localityLbSetting: {distribute: [{}], failover: [{}]}}}}`)+
		serviceEntry("shop", "se", `{hosts: ["", reviews.shop.svc.cluster.local], ports: [{}], endpoints: [{}]}`)+
		sliceManifest("s", "", "[{}]", "[{}, {addresses: [x], targetRef: {}}]")+workloadEntry("w", "{}", "{}", "{}"))
	b := &s.DestinationRules[1].Spec
	b.Subsets = append(b.Subsets, nil)
	b.TrafficPolicy.PortLevelSettings = append(b.TrafficPolicy.PortLevelSettings, nil)
	s.ServiceEntries[0].Spec.Endpoints = append(s.ServiceEntries[0].Spec.Endpoints, nil)
	s.ServiceEntries[0].Spec.Ports = append(s.ServiceEntries[0].Spec.Ports, nil)
	for _, resolution := range []Resolution{ClientSideLB, DNSLB, DNSRoundRobinLB, Passthrough, Alias, DynamicDNS, ""} {
		for _, client := range []*Workload{nil, {}, sidecarClient, gatewayClient} {
			svc := reviewsIn("shop")
			svc.Resolution, svc.InternalTrafficLocal, svc.Selector = resolution, true, map[string]string{"a": "b"}
			for _, port := range []Port{{}, svc.Ports[0]} {
				for _, subset := range []string{"", "v1", "|"} {
					c, _ := s.Cluster(client, svc, port, subset)
					eps, _ := s.Endpoints(client, svc, port)
					eps, _ = s.SubsetEndpoints(c, append(eps, &Endpoint{}))
					s.Balance(client, c, eps)
					for _, e := range append(eps, nil) {
						s.ClientTLSFor(client, c, e)
					}
				}
			}
		}
	}
	s.DestinationRule(nil, nil)
	s.Cluster(nil, nil, Port{}, "")
	s.Endpoints(nil, nil, Port{})
}

func BenchmarkDestination(b *testing.B) {
	manifests := ""
	for i := range 1000 {
		name := fmt.Sprintf("s%d", i)
		manifests += dr("shop", name, "{host: "+name+", subsets: [{name: v1, labels: {version: v1}}]}") + strings.ReplaceAll(meshedPod, "meshed", name)
	}
	s := snapshotOf(b, manifests)
	svc := selecting(reviewsIn("shop"))
	svc.Name, svc.Hostname = "s7", "s7.shop.svc.cluster.local"
	for b.Loop() {
		c, _ := s.Cluster(sidecarClient, svc, svc.Ports[0], "v1")
		eps, _ := s.Endpoints(sidecarClient, svc, svc.Ports[0])
		eps, _ = s.SubsetEndpoints(c, eps[:1])
		s.Balance(sidecarClient, c, eps)
	}
}
