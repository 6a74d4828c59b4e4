package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// endpointAt is an endpoint in region/zone/subzone.
func endpointAt(name, locality string, health Health, labels map[string]string) *Endpoint {
	l := splitLocality(locality)
	w := &Workload{Owner: Ref{Kind: "Deployment", Namespace: "shop", Name: name}, Namespace: "shop", Locality: l, Labels: labels, NodeName: "node-" + name}
	return &Endpoint{Address: name, Port: 80, Health: health, Labels: labels, Locality: l, Workload: w, Weight: 1, Count: 1, Ref: w.Owner}
}

func otherPort(e *Endpoint) *Endpoint {
	e.Port++
	return e
}

func TestBalance(t *testing.T) {
	const outlier = "outlierDetection: {}"
	client := &Workload{Namespace: "app", Dataplane: DataplaneSidecar, Locality: Locality{"r1", "z1", "s1"}, NodeName: "node-a", Labels: map[string]string{"rack": "7"}}
	near := func() []*Endpoint {
		return []*Endpoint{
			endpointAt("a", "r1/z1/s1", Healthy, nil), endpointAt("b", "r1/z1/s2", Healthy, nil), endpointAt("c", "r1/z2/s1", Healthy, nil), endpointAt("d", "r2/z1/s1", Healthy, nil), endpointAt("e", "r3/z1", Healthy, nil),
		}
	}
	policy := func(p string) string { return dr("shop", "r", "{host: reviews, trafficPolicy: {"+p+"}}") }
	service := func(spec, annotations string) string {
		return "---\napiVersion: v1\nkind: Service\nmetadata: {name: reviews, namespace: shop, annotations: " + annotations + "}\nspec: " + spec + "\n"
	}
	farther := func(n int, ref string, name string) []string {
		var out []string
		for _, e := range strings.Split(name, "")[:n] {
			out = append(out, "skipped locality/lower-priority Deployment shop/"+e)
		}
		return append(out, "applied locality/failover "+ref)
	}
	tests := []struct {
		name      string
		manifests string
		client    *Workload
		eps       []*Endpoint
		want      string
		steps     []string
	}{
		{name: "nothing set: all", eps: near(), want: "a b c d e"},
		{name: "not ready gets nothing", eps: []*Endpoint{endpointAt("a", "", Healthy, nil), endpointAt("b", "", Unhealthy, nil)}, want: "a", steps: []string{"skipped endpoint/not-ready Deployment shop/b"}},
		{
			name: "none ready", eps: []*Endpoint{endpointAt("b", "", Unhealthy, nil)},
			steps: []string{"skipped endpoint/not-ready Deployment shop/b", "none loadbalance/no-healthy-endpoint Service shop/reviews"},
		},
		{name: "no endpoints", steps: []string{"none loadbalance/no-healthy-endpoint Service shop/reviews"}},
		{name: "outlierDetection switches zone-first on", manifests: policy(outlier), eps: near(), want: "a", steps: farther(4, "shop/r", "bcde")},
		{name: "same zone", manifests: policy(outlier), eps: near()[1:], want: "b", steps: farther(3, "shop/r", "cde")},
		{name: "same region", manifests: policy(outlier), eps: near()[2:], want: "c", steps: farther(2, "shop/r", "de")},
		{name: "elsewhere: all equal", manifests: policy(outlier), eps: near()[3:], want: "d e"},
		{
			name: "failover names the region", manifests: policy(outlier + ", loadBalancer: {localityLbSetting: {failover: [{from: r1, to: r3}]}}"), eps: near()[3:],
			want: "e", steps: farther(1, "shop/r", "d"),
		},
		{name: "enabled false", manifests: policy(outlier + ", loadBalancer: {localityLbSetting: {enabled: false}}"), eps: near(), want: "a b c d e"},
		{name: "mesh enabled false", manifests: "kind: MeshConfig\nlocalityLbSetting: {enabled: false}\n" + policy(outlier), eps: near(), want: "a b c d e"},
		{name: "localityLbSetting without outlierDetection", manifests: policy("loadBalancer: {localityLbSetting: {failover: [{from: r1, to: r3}]}}"), eps: near(), want: "a b c d e"},
		{
			name: "the mesh's outlierDetection does not switch EDS clusters", manifests: "kind: MeshConfig\ndefaultTrafficPolicy: {outlierDetection: {}}\n", eps: near(), want: "a b c d e",
		},
		{
			name: "an unhealthy first priority spills over", manifests: policy(outlier),
			eps:  []*Endpoint{endpointAt("a", "r1/z1/s1", Healthy, nil), endpointAt("b", "r1/z1/s1", Unhealthy, nil), endpointAt("c", "r1/z2", Healthy, nil)},
			want: "a:700000 c:300000",
			steps: []string{
				"skipped endpoint/not-ready Deployment shop/b", "applied locality/spill-over shop/r", "applied locality/spill-over shop/r", "applied locality/failover shop/r",
			},
		},
		{
			name: "minHealthPercent: unhealthy ones are not sent and do not spill", manifests: policy("outlierDetection: {minHealthPercent: 50}"),
			eps:   []*Endpoint{endpointAt("a", "r1/z1/s1", Healthy, nil), endpointAt("b", "r1/z1/s1", Unhealthy, nil), endpointAt("c", "r1/z2", Healthy, nil)},
			want:  "a",
			steps: []string{"skipped endpoint/not-ready Deployment shop/b", "skipped locality/lower-priority Deployment shop/c", "applied locality/failover shop/r"},
		},
		{
			name: "failoverPriority by label", manifests: policy(outlier + ", loadBalancer: {localityLbSetting: {failoverPriority: [rack]}}"),
			eps: []*Endpoint{endpointAt("a", "", Healthy, map[string]string{"rack": "8"}), endpointAt("b", "", Healthy, map[string]string{"rack": "7"})}, want: "b",
			steps: farther(1, "shop/r", "a"),
		},
		{
			name: "failoverPriority with a fixed value", manifests: policy(outlier + ", loadBalancer: {localityLbSetting: {failoverPriority: [rack=8]}}"),
			eps: []*Endpoint{endpointAt("a", "", Healthy, map[string]string{"rack": "8"}), endpointAt("b", "", Healthy, map[string]string{"rack": "7"})}, want: "a",
			steps: farther(1, "shop/r", "b"),
		},
		{
			name: "failoverPriority of an assumed client", client: &Workload{Namespace: "app", Anonymous: true}, manifests: policy(outlier + ", loadBalancer: {localityLbSetting: {failoverPriority: [rack]}}"),
			eps: []*Endpoint{endpointAt("a", "", Healthy, nil), endpointAt("b", "", Healthy, nil)}, want: "a b", steps: []string{"warning locality/unknown shop/r"},
		},
		{name: "trafficDistribution PreferClose", manifests: service("{trafficDistribution: PreferClose}", "{}"), eps: near(), want: "a b", steps: farther(3, "Service shop/reviews", "cde")},
		{name: "trafficDistribution PreferSameNode", manifests: service("{trafficDistribution: PreferSameNode}", "{}"), eps: near(), want: "a", steps: farther(4, "Service shop/reviews", "bcde")},
		{name: "annotation on the Service", manifests: service("{}", "{networking.istio.io/traffic-distribution: PreferClose}"), eps: near(), want: "a b", steps: farther(3, "Service shop/reviews", "cde")},
		{
			name: "annotation on the namespace", eps: near(), want: "a b", steps: farther(3, "Service shop/reviews", "cde"),
			manifests: service("{}", "{}") + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, annotations: {networking.istio.io/traffic-distribution: PreferClose}}\n",
		},
		{
			name: "an unknown annotation on the Service beats the namespace's", eps: near(), want: "a b c d e",
			manifests: service("{}", "{networking.istio.io/traffic-distribution: Any}") + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, annotations: {networking.istio.io/traffic-distribution: PreferClose}}\n",
		},
		{
			name: "a localityLbSetting replaces trafficDistribution and its force", eps: near(), want: "a b c d e",
			manifests: service("{trafficDistribution: PreferClose}", "{}") + policy("loadBalancer: {localityLbSetting: {}}"),
		},
		{
			name: "distribute", manifests: policy(`loadBalancer: {localityLbSetting: {distribute: [{from: "r9/*", to: {r1: 100}}, {from: "r1/z1/*", to: {"r1/z1/*": 80, "r2/*": 20}}]}}`), eps: near(),
			want: "a:400000 b:400000 d:200000",
			steps: []string{
				"skipped locality/not-distributed-to Deployment shop/c", "skipped locality/not-distributed-to Deployment shop/e", "applied locality/distribute shop/r",
			},
		},
		{
			name: "distribute without an entry for the client", manifests: policy(`loadBalancer: {localityLbSetting: {distribute: [{from: "r9/*", to: {r1: 100}}]}}`), eps: near(), want: "a b c d e",
		},
		{
			name: "distribute to where nobody is", manifests: policy(`loadBalancer: {localityLbSetting: {distribute: [{from: "*", to: {r9: 100}}]}}`), eps: near()[:1],
			steps: []string{
				"skipped locality/not-distributed-to Deployment shop/a", "applied locality/distribute shop/r", "none loadbalance/no-locality-left Service shop/reviews",
			},
		},
		{
			name: "localities not known, a setting applies", manifests: policy(outlier), eps: []*Endpoint{endpointAt("a", "", Healthy, nil), endpointAt("b", "", Healthy, nil)}, want: "a b",
			steps: []string{"warning locality/unknown shop/r"},
		},
		{
			name: "localities not known, one workload alone", manifests: policy(outlier), eps: []*Endpoint{endpointAt("a", "", Healthy, nil), otherPort(endpointAt("a", "", Healthy, nil))}, want: "a a",
		},
		{
			name: "one address twice: the first locality by name has it, ready or not", manifests: policy(outlier),
			eps: []*Endpoint{endpointAt("a", "r2/z1", Healthy, nil), endpointAt("a", "r1/z1", Unhealthy, nil), endpointAt("b", "r2/z1", Healthy, nil)}, want: "b",
			steps: []string{"skipped endpoint/not-ready Deployment shop/a", "skipped endpoint/duplicate Deployment shop/a", "applied locality/failover shop/r"},
		},
		{
			name: "one address twice: what is not sent does not count", manifests: policy("outlierDetection: {minHealthPercent: 50}"),
			eps: []*Endpoint{endpointAt("a", "r2/z1", Healthy, nil), endpointAt("a", "r1/z1", Unhealthy, nil)}, want: "a",
			steps: []string{"skipped endpoint/not-ready Deployment shop/a"},
		},
		{
			name: "an address without locality is known to have none", manifests: policy(`loadBalancer: {localityLbSetting: {distribute: [{from: "*", to: {r1: 100}}]}}`),
			eps:  []*Endpoint{endpointAt("a", "r1/z1", Healthy, nil), {Address: "10.9.9.9", Port: 80, Health: Healthy, Weight: 1, Count: 1, Ref: Ref{Kind: "Deployment", Namespace: "shop", Name: "x"}}},
			want: "a:1000000", steps: []string{"skipped locality/not-distributed-to Deployment shop/x", "applied locality/distribute shop/r"},
		},
		{
			name: "nodes without topology labels: all equal", manifests: policy(outlier) + "---\napiVersion: v1\nkind: Node\nmetadata: {name: node-a}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: node-b}\n",
			client: &Workload{Namespace: "app", NodeName: "node-a"}, eps: []*Endpoint{endpointAt("a", "", Healthy, nil), endpointAt("b", "", Healthy, nil)}, want: "a b",
			steps: []string{"applied locality/node Node node-a", "applied locality/node Node node-b"},
		},
		{
			name: "the client's locality is not known", client: sidecarClient, manifests: policy(outlier), eps: near(), want: "a b c d e", steps: []string{"warning locality/unknown shop/r"},
		},
		{
			name: "zone aware keeps the region", manifests: policy("loadBalancer: {zoneAwareLbSetting: {failover: [{from: r1, to: r3}]}}"), eps: near(), want: "a b c",
			steps: append(farther(2, "shop/r", "ed"), "warning locality/zone-aware shop/r"),
		},
		{
			name: "zone aware failover", manifests: policy("loadBalancer: {zoneAwareLbSetting: {failover: [{from: r1, to: r3}]}}"), eps: near()[3:], want: "e", steps: farther(1, "shop/r", "d"),
		},
		{
			name: "PASSTHROUGH on a gateway", client: gatewayClient, manifests: policy("loadBalancer: {simple: PASSTHROUGH}"), eps: near(),
			steps: []string{"none loadbalance/gateway-passthrough shop/r"},
		},
		{name: "PASSTHROUGH on a sidecar has no priorities", manifests: policy("loadBalancer: {simple: PASSTHROUGH}, " + outlier), eps: near(), want: "a b c d e"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.client
			if c == nil {
				c = client
			}
			svc := reviewsIn("shop")
			s := snapshotOf(t, tt.manifests)
			cluster, _ := s.Cluster(c, svc, svc.Ports[0], "")
			kept, steps := s.Balance(c, cluster, tt.eps)
			var got []string
			for _, e := range kept {
				name := e.Address
				if e.Weight != 1 {
					name += fmt.Sprintf(":%d", e.Weight)
				}
				got = append(got, name)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.steps, destinationSteps(t, steps), equalEmpty); diff != "" {
				t.Error(diff)
			}
			for _, e := range tt.eps {
				if e.Weight != 1 {
					t.Errorf("endpoint %s was changed", e.Address)
				}
			}
		})
	}
}

// TestLabelPriority follows the example of failoverPriority in the API: the first
// difference decides, a different network is behind every other difference.
func TestLabelPriority(t *testing.T) {
	mine := map[string]string{topologyNetwork: "n1", topologyRegion: "r1", topologyZone: "z1"}
	labels := []string{topologyNetwork, topologyRegion, topologyZone}
	tests := []struct {
		name   string
		theirs map[string]string
		want   int
	}{
		{"all equal", map[string]string{topologyNetwork: "n1", topologyRegion: "r1", topologyZone: "z1"}, 0},
		{"other zone", map[string]string{topologyNetwork: "n1", topologyRegion: "r1", topologyZone: "z2"}, 1},
		{"other region", map[string]string{topologyNetwork: "n1", topologyRegion: "r2", topologyZone: "z1"}, 2},
		{"other network", map[string]string{topologyNetwork: "n2", topologyRegion: "r1", topologyZone: "z1"}, 3},
		{"other network and zone", map[string]string{topologyNetwork: "n2", topologyRegion: "r1", topologyZone: "z2"}, 4},
		{"other network and region", map[string]string{topologyNetwork: "n2", topologyRegion: "r2", topologyZone: "z1"}, 5},
	}
	for _, tt := range tests {
		if got := labelPriority(labels, topologyLabels{own: mine}, topologyLabels{own: tt.theirs}); got != tt.want {
			t.Errorf("%s: want %d, got %d", tt.name, tt.want, got)
		}
	}
}

// TestBalanceDNSSubset: failoverPriority has no effect on a subset of a service that resolves by DNS.
func TestBalanceDNSSubset(t *testing.T) {
	s := snapshotOf(t, serviceEntry("shop", "ext", "{hosts: [api.example.com], resolution: DNS, ports: [{name: http, number: 80, protocol: HTTP}]}")+
		dr("shop", "r", "{host: api.example.com, subsets: [{name: s}], trafficPolicy: {outlierDetection: {}, loadBalancer: {localityLbSetting: {failoverPriority: [rack]}}}}"))
	svc := external("shop", "ext", "api.example.com", DNSLB, Port{Name: "http", Number: 80, Protocol: ProtocolHTTP})
	eps := []*Endpoint{endpointAt("a", "", Healthy, map[string]string{"rack": "8"}), endpointAt("b", "", Healthy, map[string]string{"rack": "7"})}
	client := &Workload{Namespace: "app", Dataplane: DataplaneSidecar, Labels: map[string]string{"rack": "7"}}
	for subset, want := range map[string]int{"": 1, "s": 2} {
		c, _ := s.Cluster(client, svc, svc.Ports[0], subset)
		if kept, _ := s.Balance(client, c, eps); len(kept) != want {
			t.Errorf("subset %q: want %d endpoints, got %d", subset, want, len(kept))
		}
	}
}
