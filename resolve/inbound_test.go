package resolve

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestInbound is what the receiving sidecar of pod app=a makes of a pod port.
func TestInbound(t *testing.T) {
	service := func(name, created, port string) string {
		return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + ", namespace: shop, creationTimestamp: \"" + created + "\"}\nspec: {clusterIP: 10.96.0.1, selector: {app: a}, ports: [" + port + "]}\n---\n"
	}
	const older, younger = "2024-01-01T00:00:01Z", "2024-01-01T00:00:02Z"
	ingress := func(listener string) string {
		return "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a, namespace: shop}\nspec: {ingress: [" + listener + "]}\n---\n"
	}
	declared := func(protocol Protocol, vhost string) InboundPort {
		return InboundPort{
			Port: 8080, Protocol: protocol, Declared: true, FilterChain: "0.0.0.0_8080", RouteConfig: "inbound|8080||",
			VirtualHost: vhost, Cluster: "inbound|8080||", TargetPort: 8080,
		}
	}
	fromSidecar := func(endpoint string, target int) InboundPort {
		p := declared(ProtocolHTTP, "inbound|http|8080")
		p.FilterChain, p.Endpoint, p.TargetPort = "10.1.0.5_8080", endpoint, target
		return p
	}
	passthrough := passthroughPort(8080)
	tests := []struct {
		name, manifests string
		want            InboundPort
	}{
		{"target port of a Service", service("a", older, "{name: http, port: 80, targetPort: 8080}"), declared(ProtocolHTTP, "inbound|http|80")},
		{"port of the Service's own number", service("a", older, "{name: tcp, port: 8080}"), declared(ProtocolTCP, "inbound|http|8080")},
		{"named target port", service("a", older, "{name: http, port: 80, targetPort: web}"), declared(ProtocolHTTP, "inbound|http|80")},
		{"service port is no pod port", service("a", older, "{name: http, port: 8080, targetPort: 9000}"), passthrough},
		{"no Service", "", passthrough},
		{"udp makes a TCP chain", service("a", older, "{name: dns, port: 8080, protocol: UDP}"), declared(ProtocolUDP, "inbound|http|8080")},
		{
			"the older Service gives the protocol",
			service("a", younger, "{name: http, port: 80, targetPort: 8080}") + service("b", older, "{name: tcp, port: 81, targetPort: 8080}"),
			declared(ProtocolTCP, "inbound|http|81"),
		},
		{"ingress", ingress("{port: {number: 8080, protocol: HTTP, name: http}, defaultEndpoint: \"127.0.0.1:9000\"}"), fromSidecar("127.0.0.1:9000", 9000)},
		{"ingress to the pod's address", ingress("{port: {number: 8080, protocol: HTTP, name: http}, defaultEndpoint: \"0.0.0.0:9000\"}"), fromSidecar("the pod's port 9000", 9000)},
		{"ingress without endpoint", ingress("{port: {number: 8080, protocol: HTTP, name: http}}"), fromSidecar("the pod's port 8080", 8080)},
		{"ingress to a socket", ingress("{port: {number: 8080, protocol: HTTP, name: http}, defaultEndpoint: \"unix:///run/a.sock\"}"), fromSidecar("unix:///run/a.sock", 8080)},
		{
			"ingress takes the Service's place",
			service("a", older, "{name: http, port: 80, targetPort: 8080}") + ingress("{port: {number: 9090, protocol: HTTP, name: http}}"), passthrough,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, tt.manifests+`
apiVersion: v1
kind: Pod
metadata: {name: a-1, namespace: shop, labels: {app: a}}
spec: {containers: [{name: app, ports: [{name: web, containerPort: 8080}]}, {name: istio-proxy, args: [proxy, sidecar]}]}
status: {podIP: 10.1.0.5, podIPs: [{ip: 10.1.0.5}]}
`)
			w := s.workloadsAmong(s.RunningNamespaces())[0]
			sc, _ := s.Scope(w)
			got, steps := s.Inbound(w, sc, 8080)
			at := slices.IndexFunc(steps, func(s Step) bool { return s.Rule == RuleInboundPort || s.Rule == RuleInboundIngress })
			if got.Declared != (at >= 0) || got.Declared && got.Ref != steps[at].Ref {
				t.Errorf("declared by %s, and the steps are %v", got.Ref, stepLines(steps))
			}
			got.Ref = Ref{}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
