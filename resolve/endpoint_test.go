package resolve

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// endpointLines are endpoints as "address:port count×name tlsMode health".
func endpointLines(eps []*Endpoint) []string {
	var out []string
	for _, e := range eps {
		out = append(out, fmt.Sprintf("%s:%d %d×%s %s %s w%d", e.Address, e.Port, e.Count, e.name(), e.TLSMode, e.Health, e.Weight))
	}
	return out
}

func podManifest(name, ip, labels, spec, status string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: shop, labels: %s}\nspec: %s\nstatus: {podIP: %s, conditions: [{type: Ready, status: %q}]}\n", name, labels, spec, ip, status)
}

func sliceManifest(name, addressType, ports, endpoints string) string {
	return "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " + name + ", namespace: shop, labels: {kubernetes.io/service-name: reviews}}\naddressType: " +
		addressType + "\nports: " + ports + "\nendpoints: " + endpoints + "\n"
}

func deploymentReplicas(name string, replicas int, labels string) string {
	return fmt.Sprintf("---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s, namespace: shop}\nspec: {replicas: %d, selector: {matchLabels: %s}, template: {metadata: {labels: %s}, spec: {containers: [{name: app, ports: [{name: web, containerPort: 8080}]}]}}}\n", name, replicas, labels, labels)
}

func workloadEntry(name, annotations, spec, status string) string {
	return "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: " + name + ", namespace: shop, annotations: " + annotations + "}\nspec: " + spec + "\nstatus: " + status + "\n"
}

func TestEndpointsKubernetes(t *testing.T) {
	const app, web = "{app: reviews}", "{containers: [{name: app, ports: [{name: web, containerPort: 8080}]}]}"
	const ports = "[{name: other, port: 1}, {name: http, port: 8000}]"
	numbered := func() *Service { return selecting(reviewsIn("shop")) }
	named := func() *Service {
		svc := numbered()
		svc.Ports[0].TargetPort, svc.Ports[0].TargetName = 0, "web"
		return svc
	}
	with := func(svc *Service, change func(*Service)) *Service {
		change(svc)
		return svc
	}
	ready := podManifest("a", "10.0.0.1", app, web, "True")
	tests := []struct {
		name      string
		manifests string
		svc       *Service
		client    *Workload
		want      []string
		steps     []string
	}{
		{
			name: "pods by selector, target port number", svc: numbered(), manifests: ready + podManifest("b", "10.0.0.2", "{app: other}", web, "True"),
			want:  []string{"10.0.0.1:8000 1×pod a disabled healthy w1"},
			steps: []string{"applied endpoint/assumed-from-pods Service shop/reviews", "applied endpoint/found Service shop/reviews"},
		},
		{
			name: "named target port", svc: named(), manifests: ready + podManifest("b", "10.0.0.2", app, "{containers: [{name: app}]}", "True"),
			want: []string{"10.0.0.1:8080 1×pod a disabled healthy w1"},
			steps: []string{
				"applied endpoint/assumed-from-pods Service shop/reviews", "skipped endpoint/no-named-port Pod shop/b",
				"applied endpoint/found Service shop/reviews",
			},
		},
		{
			name: "template", svc: named(), manifests: deploymentReplicas("r", 3, app),
			want:  []string{":8080 3×Deployment shop/r disabled healthy w1"},
			steps: []string{"applied endpoint/assumed-from-pods Service shop/reviews", "applied endpoint/found Service shop/reviews"},
		},
		{
			name: "scaled to zero", svc: named(), manifests: deploymentReplicas("r", 0, app),
			steps: []string{
				"skipped endpoint/scaled-to-zero Deployment shop/r spec.replicas", "applied endpoint/assumed-from-pods Service shop/reviews", "none endpoint/none Service shop/reviews",
			},
		},
		{
			name: "not ready", svc: numbered(), manifests: podManifest("a", "10.0.0.1", app, web, "False"),
			want:  []string{"10.0.0.1:8000 1×pod a disabled unhealthy w1"},
			steps: []string{"applied endpoint/assumed-from-pods Service shop/reviews", "applied endpoint/found Service shop/reviews"},
		},
		{
			name: "publishNotReadyAddresses", svc: with(numbered(), func(s *Service) { s.PublishNotReady = true }), manifests: podManifest("a", "10.0.0.1", app, web, "False"),
			want:  []string{"10.0.0.1:8000 1×pod a disabled healthy w1"},
			steps: []string{"applied endpoint/assumed-from-pods Service shop/reviews", "applied endpoint/found Service shop/reviews"},
		},
		{
			name: "terminating", svc: numbered(), manifests: ready + `---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: shop, labels: {app: reviews}, deletionTimestamp: "2026-01-01T00:00:00Z"}
`,
			want: []string{"10.0.0.1:8000 1×pod a disabled healthy w1"},
			steps: []string{
				"applied endpoint/assumed-from-pods Service shop/reviews", "skipped endpoint/terminating Pod shop/b", "applied endpoint/found Service shop/reviews",
			},
		},
		{
			name: "selector that matches nothing", svc: numbered(), manifests: podManifest("a", "10.0.0.1", "{app: review}", web, "True"),
			steps: []string{"applied endpoint/assumed-from-pods Service shop/reviews", "none endpoint/none Service shop/reviews"},
		},
		{name: "no selector, no slice", svc: reviewsIn("shop"), steps: []string{"none endpoint/none Service shop/reviews"}},
		{
			name: "slices: readiness", svc: numbered(),
			manifests: ready + sliceManifest("s", "IPv4", ports, `[
  {addresses: [10.0.0.1], targetRef: {kind: Pod, name: a, namespace: shop}, conditions: {ready: true}},
  {addresses: [10.0.0.3]},
  {addresses: [10.0.0.4], conditions: {ready: false}},
  {addresses: [10.0.0.5], conditions: {ready: false, terminating: true}},
  {addresses: [10.0.0.6], conditions: {ready: false, terminating: false}},
  {addresses: [10.0.0.7], targetRef: {kind: Pod, name: gone, namespace: shop}}]`),
			want: []string{
				"10.0.0.1:8000 1×pod a disabled healthy w1", "10.0.0.3:8000 1×10.0.0.3 disabled healthy w1", "10.0.0.6:8000 1×10.0.0.6 disabled unhealthy w1",
			},
			steps: []string{
				"skipped endpoint/terminating EndpointSlice shop/s endpoints[2]", "skipped endpoint/terminating EndpointSlice shop/s endpoints[3]",
				"skipped endpoint/pod-missing EndpointSlice shop/s endpoints[5]", "applied endpoint/found Service shop/reviews",
			},
		},
		{
			name: "slices: a pod of that IP lends its labels", svc: reviewsIn("shop"),
			manifests: podManifest("a", "10.0.0.1", "{security.istio.io/tlsMode: istio}", web, "True") + sliceManifest("s", "IPv4", ports, `[{addresses: [10.0.0.1]}]`),
			want:      []string{"10.0.0.1:8000 1×pod a istio healthy w1"},
			steps:     []string{"applied endpoint/found Service shop/reviews"},
		},
		{
			name: "slices: port by name", svc: reviewsIn("shop"), manifests: sliceManifest("s", "IPv4", "[{name: web, port: 80}]", `[{addresses: [10.0.0.1]}]`),
			steps: []string{"skipped endpoint/slice-port EndpointSlice shop/s ports", "none endpoint/none Service shop/reviews"},
		},
		{
			name: "slices: FQDN and two families", svc: reviewsIn("shop"),
			manifests: ready + sliceManifest("f", "FQDN", ports, `[{addresses: [x.example.com]}]`) + sliceManifest("s4", "IPv4", ports, `[{addresses: [10.0.0.1], targetRef: {kind: Pod, name: a}}]`) +
				sliceManifest("s6", "IPv6", ports, `[{addresses: ["fd00::1"], targetRef: {kind: Pod, name: a}}]`),
			want:  []string{"10.0.0.1:8000 1×pod a disabled healthy w1"},
			steps: []string{"skipped endpoint/fqdn-slice EndpointSlice shop/f addressType", "applied endpoint/found Service shop/reviews"},
		},
		{
			name: "slices decide, pods are not looked at", svc: numbered(), manifests: ready + sliceManifest("s", "IPv4", ports, `[]`),
			steps: []string{"none endpoint/none Service shop/reviews"},
		},
		{
			name: "WorkloadEntries by selector", svc: named(),
			manifests: workloadEntry("a", "{}", "{address: 10.1.0.1, labels: {app: reviews}, ports: {web: 9000}, weight: 5, serviceAccount: vm}", "{}") +
				workloadEntry("b", "{}", "{address: 10.1.0.2, labels: {app: reviews}}", "{}") +
				workloadEntry("c", "{}", "{address: vm.example.com, labels: {app: reviews}, ports: {web: 9000}}", "{}") +
				workloadEntry("d", `{proxy.istio.io/health-checks-enabled: "true"}`, "{address: 10.1.0.4, labels: {app: reviews}, ports: {web: 9000}}", "{}") +
				workloadEntry("e", `{proxy.istio.io/health-checks-enabled: "true"}`, "{address: 10.1.0.5, labels: {app: reviews}, ports: {web: 9000}}", `{conditions: [{type: Healthy, status: "True"}]}`),
			want: []string{"10.1.0.1:9000 1×WorkloadEntry shop/a istio healthy w5", "10.1.0.5:9000 1×WorkloadEntry shop/e disabled healthy w1"},
			steps: []string{
				"applied endpoint/assumed-from-pods Service shop/reviews", "skipped endpoint/no-named-port WorkloadEntry shop/b spec.ports",
				"skipped endpoint/not-an-ip WorkloadEntry shop/c spec.address", "skipped endpoint/workloadentry-health WorkloadEntry shop/d",
				"applied endpoint/found Service shop/reviews",
			},
		},
		{
			name: "WorkloadEntries, numbered target port", svc: numbered(),
			manifests: workloadEntry("a", "{}", "{address: 10.1.0.1, labels: {app: reviews}, ports: {http: 9000}}", "{}") + workloadEntry("b", "{}", "{address: 10.1.0.2, labels: {app: reviews}}", "{}"),
			want:      []string{"10.1.0.1:9000 1×WorkloadEntry shop/a disabled healthy w1", "10.1.0.2:8000 1×WorkloadEntry shop/b disabled healthy w1"},
			steps:     []string{"applied endpoint/assumed-from-pods Service shop/reviews", "applied endpoint/found Service shop/reviews"},
		},
		{
			name: "a ServiceEntry of the same host joins by port name", svc: numbered(),
			manifests: ready + serviceEntry("shop", "more", "{hosts: [reviews.shop.svc.cluster.local], resolution: STATIC, ports: [{name: http, number: 90, protocol: HTTP}], endpoints: [{address: 10.2.0.1}]}") +
				serviceEntry("shop", "other", "{hosts: [reviews.shop.svc.cluster.local], resolution: STATIC, ports: [{name: web, number: 80, protocol: HTTP}], endpoints: [{address: 10.2.0.2}]}") +
				serviceEntry("app", "elsewhere", "{hosts: [reviews.shop.svc.cluster.local], resolution: STATIC, ports: [{name: http, number: 80, protocol: HTTP}], endpoints: [{address: 10.2.0.3}]}"),
			want: []string{"10.2.0.1:90 1×10.2.0.1 disabled healthy w1", "10.0.0.1:8000 1×pod a disabled healthy w1"},
			steps: []string{
				"applied endpoint/assumed-from-pods Service shop/reviews", "applied endpoint/pooled ServiceEntry shop/more", "applied endpoint/found Service shop/reviews",
			},
		},
		{
			name: "headless, sidecar: the dialled port", svc: with(numbered(), func(s *Service) { s.Resolution = Passthrough }), manifests: ready,
			want: []string{"10.0.0.1:80 1×pod a disabled healthy w1"},
			steps: []string{
				"applied endpoint/assumed-from-pods Service shop/reviews", "warning endpoint/port-as-dialled Service shop/reviews spec.ports[0]",
				"applied endpoint/found Service shop/reviews",
			},
		},
		{
			name: "headless, gateway: the target port", svc: with(numbered(), func(s *Service) { s.Resolution = Passthrough }), client: gatewayClient, manifests: ready,
			want:  []string{"10.0.0.1:8000 1×pod a disabled healthy w1"},
			steps: []string{"applied endpoint/assumed-from-pods Service shop/reviews", "applied endpoint/found Service shop/reviews"},
		},
		{
			name: "internalTrafficPolicy Local", svc: with(numbered(), func(s *Service) { s.InternalTrafficLocal = true }), client: &Workload{Namespace: "app", Dataplane: DataplaneSidecar, NodeName: "n1"},
			manifests: podManifest("a", "10.0.0.1", app, "{nodeName: n1}", "True") + podManifest("b", "10.0.0.2", app, "{nodeName: n2}", "True") + podManifest("c", "10.0.0.3", app, "{}", "True"),
			want:      []string{"10.0.0.1:8000 1×pod a disabled healthy w1", "10.0.0.3:8000 1×pod c disabled healthy w1"},
			steps: []string{
				"applied endpoint/assumed-from-pods Service shop/reviews", "skipped endpoint/other-node Service shop/reviews spec.internalTrafficPolicy",
				"warning endpoint/node-unknown Service shop/reviews spec.internalTrafficPolicy", "applied endpoint/found Service shop/reviews",
			},
		},
		{
			name: "internalTrafficPolicy Local, the client's node is not known", svc: with(numbered(), func(s *Service) { s.InternalTrafficLocal = true }), manifests: ready,
			want: []string{"10.0.0.1:8000 1×pod a disabled healthy w1"},
			steps: []string{
				"applied endpoint/assumed-from-pods Service shop/reviews", "warning endpoint/node-unknown Service shop/reviews spec.internalTrafficPolicy",
				"applied endpoint/found Service shop/reviews",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := tt.client
			if client == nil {
				client = sidecarClient
			}
			s := snapshotOf(t, tt.manifests)
			for range 2 { // the second answer comes from the cache
				eps, steps := s.Endpoints(client, tt.svc, tt.svc.Ports[0])
				if diff := cmp.Diff(tt.want, endpointLines(eps)); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(tt.steps, destinationSteps(t, steps)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestEndpointsServiceEntry(t *testing.T) {
	entry := func(resolution, rest string) string {
		return serviceEntry("shop", "ext", "{hosts: [api.example.com], location: MESH_INTERNAL, resolution: "+resolution+", ports: [{name: http, number: 80, protocol: HTTP, targetPort: 8080}, {name: tls, number: 443, protocol: TLS}]"+rest+"}")
	}
	found := "applied endpoint/found ServiceEntry shop/ext spec.hosts[0]"
	tests := []struct {
		name       string
		manifests  string
		resolution Resolution
		client     *Workload
		port       int
		want       []string
		steps      []string
	}{
		{
			name: "STATIC", resolution: ClientSideLB, steps: []string{found},
			manifests: entry("STATIC", `, endpoints: [{address: 10.0.0.1}, {address: 10.0.0.2, ports: {http: 9000}, weight: 3, serviceAccount: x}, {address: "unix:///sock"}, {address: 10.0.0.3, labels: {security.istio.io/tlsMode: istio}}]`),
			want: []string{
				"10.0.0.1:8080 1×10.0.0.1 disabled healthy w1", "10.0.0.2:9000 1×10.0.0.2 istio healthy w3", "/sock:0 1×/sock disabled healthy w1",
				"10.0.0.3:8080 1×10.0.0.3 istio healthy w1",
			},
		},
		{
			name: "number without target port", resolution: ClientSideLB, port: 1, manifests: entry("STATIC", `, endpoints: [{address: 10.0.0.1}]`),
			want: []string{"10.0.0.1:443 1×10.0.0.1 disabled healthy w1"}, steps: []string{found},
		},
		{
			name: "STATIC with a host name", resolution: ClientSideLB, manifests: entry("STATIC", `, endpoints: [{address: a.example.com}]`),
			steps: []string{"skipped endpoint/not-an-ip ServiceEntry shop/ext spec.endpoints[0]", "none endpoint/none ServiceEntry shop/ext spec.hosts[0]"},
		},
		{name: "STATIC without endpoints", resolution: ClientSideLB, manifests: entry("STATIC", ""), steps: []string{"none endpoint/none ServiceEntry shop/ext spec.hosts[0]"}},
		{
			name: "DNS", resolution: DNSLB, manifests: entry("DNS", `, endpoints: [{address: a.example.com}, {address: b.example.com}]`),
			want: []string{"a.example.com:8080 1×a.example.com disabled healthy w1", "b.example.com:8080 1×b.example.com disabled healthy w1"}, steps: []string{found},
		},
		{
			name: "DNS without endpoints: the host itself", resolution: DNSLB, manifests: entry("DNS", ""),
			want: []string{"api.example.com:8080 1×api.example.com disabled healthy w1"}, steps: []string{"applied endpoint/dns-host ServiceEntry shop/ext", found},
		},
		{
			name: "DNS_ROUND_ROBIN takes one", resolution: DNSRoundRobinLB, manifests: entry("DNS_ROUND_ROBIN", `, endpoints: [{address: a.example.com}, {address: b.example.com}]`),
			want:  []string{"a.example.com:8080 1×a.example.com disabled healthy w1"},
			steps: []string{"skipped endpoint/dns-round-robin ServiceEntry shop/ext spec.endpoints[1]", found},
		},
		{
			name: "NONE on a sidecar: as dialled", resolution: Passthrough, manifests: entry("NONE", ""),
			want:  []string{"api.example.com:8080 1×api.example.com disabled healthy w1"},
			steps: []string{"applied endpoint/as-dialled ServiceEntry shop/ext spec.hosts[0]", found},
		},
		{
			name: "NONE on a gateway has no endpoints", resolution: Passthrough, client: gatewayClient, manifests: entry("NONE", ""),
			steps: []string{"none endpoint/none ServiceEntry shop/ext spec.hosts[0]"},
		},
		{
			name: "workloadSelector: pods and entries of the namespace", resolution: ClientSideLB,
			manifests: entry("STATIC", ", workloadSelector: {labels: {app: x}}") +
				podManifest("p", "10.0.0.1", "{app: x}", "{containers: [{name: c, ports: [{name: http, containerPort: 7000}]}]}", "True") +
				podManifest("q", "10.0.0.2", "{app: x}", "{containers: [{name: c}]}", "False") +
				workloadEntry("b", "{}", "{address: 10.1.0.2, labels: {app: x}}", "{}") + workloadEntry("a", "{}", "{address: vm.example.com, labels: {app: x}}", "{}") +
				workloadEntry("n", "{}", "{address: 10.1.0.3, labels: {app: other}}", "{}"),
			want: []string{"10.0.0.1:7000 1×pod p disabled healthy w1", "10.1.0.2:8080 1×WorkloadEntry shop/b disabled healthy w1"},
			steps: []string{
				"skipped endpoint/not-ready Pod shop/q", "skipped endpoint/not-an-ip WorkloadEntry shop/a spec.address", found,
			},
		},
		{
			name: "two entries of the same host pool", resolution: ClientSideLB,
			manifests: entry("STATIC", `, endpoints: [{address: 10.0.0.1}]`) +
				serviceEntry("shop", "second", "{hosts: [api.example.com], resolution: STATIC, ports: [{name: http, number: 80, protocol: HTTP}], endpoints: [{address: 10.0.0.2}]}"),
			want:  []string{"10.0.0.1:8080 1×10.0.0.1 disabled healthy w1", "10.0.0.2:80 1×10.0.0.2 disabled healthy w1"},
			steps: []string{"applied endpoint/pooled ServiceEntry shop/second", found},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			svc := external("shop", "ext", "api.example.com", tt.resolution,
				Port{Name: "http", Number: 80, TargetPort: 8080, Protocol: ProtocolHTTP}, Port{Name: "tls", Number: 443, Protocol: ProtocolTLS})
			client := tt.client
			if client == nil {
				client = sidecarClient
			}
			eps, steps := snapshotOf(t, tt.manifests).Endpoints(client, svc, svc.Ports[tt.port])
			if diff := cmp.Diff(tt.want, endpointLines(eps)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.steps, destinationSteps(t, steps)); diff != "" {
				t.Error(diff)
			}
			for _, e := range eps {
				if e.Workload != nil && e.Workload.Owner.Field != "" {
					destinationSteps(t, []Step{e.Workload.DataplaneStep})
				}
			}
		})
	}
}

func TestEndpointsOnCluster(t *testing.T) {
	pod := snapshotOf(t, podManifest("a", "10.0.0.1", "{app: reviews}", "{}", "True")).RunningIn("shop").Pods()[0]
	svc := selecting(reviewsIn("shop"))
	t.Run("no slice was read", func(t *testing.T) {
		s := NewSnapshot(Input{
			Gaps:      []Gap{{GroupKind: endpointSliceKind, Reason: GapForbidden}},
			Resources: []Sourced{{Object: pod, GroupKind: podKind}},
		})
		eps, steps := s.Endpoints(sidecarClient, svc, svc.Ports[0])
		want := []string{"warning endpoint/no-endpointslice Service shop/reviews", "applied endpoint/found Service shop/reviews"}
		if diff := cmp.Diff(want, destinationSteps(t, steps)); diff != "" || len(eps) != 1 {
			t.Error(diff, eps)
		}
	})
	t.Run("pods could not be read", func(t *testing.T) {
		slice := snapshotOf(t, sliceManifest("s", "IPv4", "[{name: http, port: 8000}]", `[{addresses: [10.0.0.1], targetRef: {kind: Pod, name: a}}]`)).RunningIn("shop").EndpointSlices()[0]
		s := NewSnapshot(Input{
			Gaps:      []Gap{{GroupKind: podKind, Reason: GapForbidden}},
			Resources: []Sourced{{Object: slice, GroupKind: endpointSliceKind}},
		})
		eps, steps := s.Endpoints(sidecarClient, svc, svc.Ports[0])
		want := []string{"warning endpoint/pods-unreadable EndpointSlice shop/s endpoints[0]", "applied endpoint/found Service shop/reviews"}
		if diff := cmp.Diff(want, destinationSteps(t, steps)); diff != "" || len(eps) != 1 {
			t.Error(diff, eps)
		}
	})
}

func TestEndpointsNearestReason(t *testing.T) {
	svc := selecting(reviewsIn("shop"))
	svc.Selector["tier"] = "back"
	s := snapshotOf(t, podManifest("a", "10.0.0.1", "{app: reviews, tier: front}", "{}", "True"))
	_, steps := s.Endpoints(sidecarClient, svc, svc.Ports[0])
	want := "no endpoint behind reviews.shop.svc.cluster.local port 80: selector app=reviews,tier=back: the nearest is Pod shop/a, which has tier=front, not tier=back"
	if diff := cmp.Diff(want, steps[len(steps)-1].Reason()); diff != "" {
		t.Error(diff)
	}
}

func TestSubsetEndpoints(t *testing.T) {
	svc := selecting(reviewsIn("shop"))
	pods := deploymentReplicas("v1", 2, "{app: reviews, version: v1}") + deploymentReplicas("v2", 1, "{app: reviews, version: v2}")
	tests := []struct {
		name, labels, policy string
		want                 []string
		steps                []string
		reason               string
	}{
		{name: "no labels: all", labels: "{}", want: []string{"Deployment shop/v1", "Deployment shop/v2"}},
		{
			name: "one version", labels: "{version: v1}", want: []string{"Deployment shop/v1"},
			steps:  []string{"skipped subset/endpoint-differs shop/r spec.subsets[0].labels", "applied subset/endpoints shop/r spec.subsets[0].labels"},
			reason: "2 of 3 endpoints of reviews.shop.svc.cluster.local have version=v1 (subset s)",
		},
		{
			name: "no pod", labels: "{version: v3}",
			steps: []string{
				"skipped subset/label-differs shop/r spec.subsets[0].labels", "skipped subset/label-differs shop/r spec.subsets[0].labels",
				"none subset/no-endpoint shop/r spec.subsets[0].labels",
			},
			reason: "none of the 3 endpoints of reviews.shop.svc.cluster.local has version=v3 (subset s)",
		},
		{
			name: "the cluster's name is not known", labels: "{topology.istio.io/cluster: c1}", want: []string{"Deployment shop/v1", "Deployment shop/v2"},
			steps:  []string{"warning subset/cluster-label shop/r spec.subsets[0].labels", "applied subset/endpoints shop/r spec.subsets[0].labels"},
			reason: "3 of 3 endpoints of reviews.shop.svc.cluster.local have topology.istio.io/cluster=c1 (subset s)",
		},
		{
			name: "as dialled: labels are not looked at", labels: "{version: v1}", policy: ", trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}",
			want: []string{"Deployment shop/v1", "Deployment shop/v2"}, steps: []string{"warning subset/original-destination shop/r spec.subsets[0].labels"},
			reason: "labels version=v1 of subset s are not looked at: the connection goes to the address the application dialled",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, pods+dr("shop", "r", "{host: reviews, subsets: [{name: s, labels: "+tt.labels+"}]"+tt.policy+"}"))
			c, _ := s.Cluster(sidecarClient, svc, svc.Ports[0], "s")
			eps, _ := s.Endpoints(sidecarClient, svc, svc.Ports[0])
			kept, steps := s.SubsetEndpoints(c, eps)
			var got []string
			for _, e := range kept {
				got = append(got, e.name())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.steps, destinationSteps(t, steps)); diff != "" {
				t.Error(diff)
			}
			if tt.reason != "" {
				if diff := cmp.Diff(tt.reason, steps[len(steps)-1].Reason()); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestSubsetTopologyLabels(t *testing.T) {
	c := &Cluster{Service: reviewsIn("shop"), Subset: "west", SubsetLabels: map[string]string{topologyRegion: "west"}}
	eps := []*Endpoint{{Address: "10.0.0.1", Locality: Locality{Region: "west"}, Count: 1}, {Address: "10.0.0.2", Locality: Locality{Region: "east"}, Count: 1}}
	kept, _ := snapshotOf(t, "").SubsetEndpoints(c, eps)
	if len(kept) != 1 || kept[0].Address != "10.0.0.1" {
		t.Errorf("got %v", endpointLines(kept))
	}
}
