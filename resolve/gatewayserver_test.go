package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listenerLines are the listeners of a gateway with their filter chains, in order.
func listenerLines(t testing.TB, g *MergedGateway) []string {
	t.Helper()
	var out []string
	for _, l := range g.Listeners() {
		for _, c := range l.Chains {
			line := l.Name + " " + string(c.Kind)
			if c.RouteConfig != "" {
				line += " " + c.RouteConfig
			}
			if len(c.ServerNames) > 0 {
				line += fmt.Sprint(" ", c.ServerNames)
			}
			for _, s := range c.Servers {
				line += " " + s.Gateway.FullName() + strings.TrimPrefix(s.Ref.Field, "spec.servers")
			}
			out = append(out, line)
		}
		if l.Rejected != nil {
			out = append(out, l.Name+" rejected")
			gatewayStepLines(t, []Step{*l.Rejected})
		}
	}
	return out
}

func server(port int, protocol, rest string) string {
	return fmt.Sprintf(`{port: {number: %d, name: %s-%d, protocol: %s}, %s}`, port, strings.ToLower(protocol), port, protocol, rest)
}

func TestMergeServers(t *testing.T) {
	const simple = `tls: {mode: SIMPLE, credentialName: c}, `
	tcpVS := virtualServiceYAML("default/tcp", `{hosts: ["*"], gateways: [default/a, default/b, istio-system/g], tcp: [{route: [{destination: {host: db}}]}]}`)
	tests := []struct {
		name, manifests string
		listeners       []string
		dropped         []string
	}{
		{
			name: "two server ports with one target port merge",
			manifests: gatewayYAML("default/a", server(80, "HTTP", `hosts: ["*"]`)) +
				gatewayYAML("default/b", server(8080, "HTTP", `hosts: ["*"]`)),
			listeners: []string{"0.0.0.0_8080 HTTP http.8080 default/a[0] default/b[0]"},
		},
		{
			name: "HTTP2 and GRPC are HTTP",
			manifests: gatewayYAML("default/a", server(80, "HTTP2", `hosts: ["a.com"]`)) +
				gatewayYAML("default/b", server(80, "GRPC", `hosts: ["b.com"]`)),
			listeners: []string{"0.0.0.0_8080 HTTP http.8080 default/a[0] default/b[0]"},
		},
		{
			name: "TCP after HTTP",
			manifests: gatewayYAML("default/a", server(80, "HTTP", `hosts: ["a.com"]`)) +
				gatewayYAML("default/b", server(80, "TCP", `hosts: ["*"]`)) + tcpVS,
			listeners: []string{"0.0.0.0_8080 HTTP http.8080 default/a[0]"},
			dropped:   []string{"gateway/port-conflict default/b spec.servers[0].port"},
		},
		{
			name: "HTTP after TCP",
			manifests: gatewayYAML("default/a", server(80, "TCP", `hosts: ["*"]`)) +
				gatewayYAML("default/b", server(80, "HTTP", `hosts: ["a.com"]`)) + tcpVS,
			listeners: []string{"0.0.0.0_8080 TCP default/a[0]"},
			dropped:   []string{"gateway/port-conflict default/b spec.servers[0].port"},
		},
		{
			name: "TCP after TCP, the first without a route",
			manifests: gatewayYAML("alpha/g", server(80, "TCP", `hosts: [foo.bar]`)) +
				gatewayYAML("istio-system/g", server(80, "TCP", `hosts: [foo.bar]`)) + tcpVS,
			dropped: []string{"gateway/port-conflict istio-system/g spec.servers[0].port"},
		},
		{
			name: "TCP after TCP, the first with the route",
			manifests: gatewayYAML("istio-system/g", server(80, "TCP", `hosts: [foo.bar]`)) +
				gatewayYAML("zeta/g", server(80, "TCP", `hosts: [foo.bar]`)) + tcpVS,
			listeners: []string{"0.0.0.0_8080 TCP istio-system/g[0]"},
			dropped:   []string{"gateway/port-conflict zeta/g spec.servers[0].port"},
		},
		{
			name: "HTTPS for different hosts",
			manifests: gatewayYAML("default/a", server(443, "HTTPS", simple+`hosts: [a.com]`)) +
				gatewayYAML("default/b", server(443, "HTTPS", simple+`hosts: [b.com]`)),
			listeners: []string{
				"0.0.0.0_8443 HTTPS https.443.https-443.a.default [a.com] default/a[0]",
				"0.0.0.0_8443 HTTPS https.443.https-443.b.default [b.com] default/b[0]",
			},
		},
		{
			name: "HTTPS with one host taken is dropped as a whole",
			manifests: gatewayYAML("default/a", server(443, "HTTPS", simple+`hosts: [a.com]`)) +
				gatewayYAML("default/b", server(443, "HTTPS", simple+`hosts: [b.com, a.com]`)),
			listeners: []string{"0.0.0.0_8443 HTTPS https.443.https-443.a.default [a.com] default/a[0]"},
			dropped:   []string{"gateway/tls-host-taken default/b spec.servers[0].hosts[1]"},
		},
		{
			name: "a narrower host is no duplicate",
			manifests: gatewayYAML("default/a", server(443, "HTTPS", simple+`hosts: ["*.com"]`)) +
				gatewayYAML("default/b", server(443, "HTTPS", simple+`hosts: [a.com]`)),
			listeners: []string{
				"0.0.0.0_8443 HTTPS https.443.https-443.a.default [*.com] default/a[0]",
				"0.0.0.0_8443 HTTPS https.443.https-443.b.default [a.com] default/b[0]",
			},
		},
		{
			name: "hosts of different namespaces pass the check and Envoy rejects the listener",
			manifests: gatewayYAML("default/a", server(443, "HTTPS", simple+`hosts: [ns1/a.com]`)) +
				gatewayYAML("default/b", server(443, "HTTPS", simple+`hosts: [a.com]`)),
			listeners: []string{
				"0.0.0.0_8443 HTTPS https.443.https-443.a.default [a.com] default/a[0]",
				"0.0.0.0_8443 HTTPS https.443.https-443.b.default [a.com] default/b[0]",
				"0.0.0.0_8443 rejected",
			},
		},
		{
			name: "the same ./* in two namespaces",
			manifests: gatewayYAML("default/a", server(443, "HTTPS", simple+`hosts: ["./*"]`)) +
				gatewayYAML("istio-system/a", server(443, "HTTPS", simple+`hosts: ["./*"]`)),
			listeners: []string{
				"0.0.0.0_8443 HTTPS https.443.https-443.a.default default/a[0]",
				"0.0.0.0_8443 HTTPS https.443.https-443.a.istio-system istio-system/a[0]",
				"0.0.0.0_8443 rejected",
			},
		},
		{
			name: "plaintext after TLS is accepted",
			manifests: gatewayYAML("default/a", server(443, "HTTPS", simple+`hosts: [a.com]`)) +
				gatewayYAML("default/b", server(443, "HTTP", `hosts: [a.com]`)),
			listeners: []string{
				"0.0.0.0_8443 HTTPS https.443.https-443.a.default [a.com] default/a[0]",
				"0.0.0.0_8443 HTTP http.8443 default/b[0]",
			},
		},
		{
			name: "plaintext beside TLS for any name is rejected by Envoy",
			manifests: gatewayYAML("default/a", server(443, "HTTPS", simple+`hosts: ["*"]`)) +
				gatewayYAML("default/b", server(443, "HTTP", `hosts: [a.com]`)),
			listeners: []string{
				"0.0.0.0_8443 HTTPS https.443.https-443.a.default default/a[0]",
				"0.0.0.0_8443 HTTP http.8443 default/b[0]",
				"0.0.0.0_8443 rejected",
			},
		},
		{
			name: "TLS after plaintext is dropped",
			manifests: gatewayYAML("default/a", server(443, "HTTP", `hosts: [a.com]`)) +
				gatewayYAML("default/b", server(443, "HTTPS", simple+`hosts: [a.com]`)),
			listeners: []string{"0.0.0.0_8443 HTTP http.8443 default/a[0]"},
			dropped:   []string{"gateway/port-conflict default/b spec.servers[0].port"},
		},
		{
			name: "the claim of a dropped server stays",
			manifests: gatewayYAML("default/a", server(443, "HTTP", `hosts: [a.com]`)) +
				gatewayYAML("default/b", server(443, "HTTPS", simple+`hosts: [b.com]`)) +
				gatewayYAML("default/c", server(443, "HTTP", `tls: {httpsRedirect: true}, hosts: [b.com]`)),
			listeners: []string{"0.0.0.0_8443 HTTP http.8443 default/a[0]"},
			dropped: []string{
				"gateway/port-conflict default/b spec.servers[0].port",
				"gateway/tls-host-taken default/c spec.servers[0].hosts[0]",
			},
		},
		{
			name: "httpsRedirect beside plain HTTP",
			manifests: gatewayYAML("default/a", server(80, "HTTP", `tls: {httpsRedirect: true}, hosts: [a.com]`)) +
				gatewayYAML("default/b", server(80, "HTTP", `hosts: [a.com]`)),
			listeners: []string{"0.0.0.0_8080 HTTP http.8080 default/a[0] default/b[0]"},
		},
		{
			name: "httpsRedirect twice for one host",
			manifests: gatewayYAML("default/a", server(80, "HTTP", `tls: {httpsRedirect: true}, hosts: [a.com]`)) +
				gatewayYAML("default/b", server(80, "HTTP", `tls: {httpsRedirect: true}, hosts: [a.com, b.com]`)),
			listeners: []string{"0.0.0.0_8080 HTTP http.8080 default/a[0]"},
			dropped:   []string{"gateway/tls-host-taken default/b spec.servers[0].hosts[0]"},
		},
		{
			name:      "a port that no Service has",
			manifests: gatewayYAML("default/a", server(9999, "HTTP", `hosts: ["*"]`)),
			listeners: []string{"0.0.0.0_9999 HTTP http.9999 default/a[0]"},
		},
		{
			name: "PASSTHROUGH takes part in the duplicate check",
			manifests: gatewayYAML("default/a", server(443, "HTTPS", simple+`hosts: ["*"]`)) +
				gatewayYAML("default/b", server(443, "TLS", `tls: {mode: PASSTHROUGH}, hosts: ["*"]`)),
			listeners: []string{"0.0.0.0_8443 HTTPS https.443.https-443.a.default default/a[0]"},
			dropped:   []string{"gateway/tls-host-taken default/b spec.servers[0].hosts[0]"},
		},
		{
			name: "one port name twice in a Gateway",
			manifests: gatewayYAML("default/a", server(443, "HTTPS", simple+`hosts: [a.com]`),
				server(443, "HTTPS", simple+`hosts: [b.com]`)),
			listeners: []string{"0.0.0.0_8443 HTTPS https.443.https-443.a.default [a.com] default/a[0]"},
			dropped:   []string{"gateway/port-name-taken default/a spec.servers[1].port.name"},
		},
		{
			name: "HTTPS without tls is plain TCP, and the second is dropped",
			manifests: gatewayYAML("default/a", server(443, "HTTPS", `hosts: [a.com]`)) +
				gatewayYAML("default/b", server(443, "HTTPS", `hosts: [b.com]`)) + tcpVS,
			listeners: []string{"0.0.0.0_8443 TCP default/a[0]"},
			dropped:   []string{"gateway/port-conflict default/b spec.servers[0].port"},
		},
		{
			name: "another bind address is another listener",
			manifests: gatewayYAML("default/a", server(80, "HTTP", `bind: 10.0.0.1, hosts: [a.com]`)) +
				gatewayYAML("default/b", server(80, "TCP", `hosts: [a.com]`)) + tcpVS,
			listeners: []string{
				"10.0.0.1_8080 HTTP http.8080.10.0.0.1 default/a[0]",
				"0.0.0.0_8080 TCP default/b[0]",
			},
		},
		{
			name: "a bind address that comes back joins its own",
			manifests: gatewayYAML("default/a", server(80, "HTTP", `hosts: [a.com]`)) +
				gatewayYAML("default/b", server(80, "HTTP", `bind: 10.0.0.1, hosts: [a.com]`)) +
				gatewayYAML("default/c", server(80, "HTTP", `hosts: [c.com]`)),
			listeners: []string{
				"0.0.0.0_8080 HTTP http.8080 default/a[0] default/c[0]",
				"10.0.0.1_8080 HTTP http.8080.10.0.0.1 default/b[0]",
			},
		},
		{
			name: "the same tls host on another bind address is no duplicate",
			manifests: gatewayYAML("default/a", server(443, "HTTPS", simple+`bind: 10.0.0.1, hosts: [a.com]`)) +
				gatewayYAML("default/b", server(443, "HTTPS", simple+`hosts: [a.com]`)),
			listeners: []string{
				"10.0.0.1_8443 HTTPS https.443.https-443.a.default.10.0.0.1 [a.com] default/a[0]",
				"0.0.0.0_8443 HTTPS https.443.https-443.b.default [a.com] default/b[0]",
			},
		},
		{
			name: "tls on TCP is replaced by plaintext TCP, twice over",
			manifests: gatewayYAML("default/a", server(9000, "TCP", simple+`hosts: [a.com]`)) +
				gatewayYAML("default/b", server(9000, "TCP", `hosts: [b.com]`)) + tcpVS,
			listeners: []string{"0.0.0.0_9000 TCP default/b[0]", "0.0.0.0_9000 TCP default/b[0]", "0.0.0.0_9000 rejected"},
			dropped:   []string{"gateway/server-replaced default/a spec.servers[0]"},
		},
		{
			name:      "a server without port",
			manifests: gatewayYAML("default/a", `{hosts: ["*"]}`, server(80, "HTTP", `hosts: ["*"]`)),
			listeners: []string{"0.0.0.0_8080 HTTP http.8080 default/a[1]"},
			dropped:   []string{"gateway/server-without-port default/a spec.servers[0]"},
		},
		{
			name: "terminated TLS that is not HTTPS, and an open TCP server, on one port",
			manifests: gatewayYAML("default/a", server(443, "TLS", simple+`hosts: [a.com]`)) +
				gatewayYAML("default/b", server(443, "TCP", `hosts: [b.com]`)) + tcpVS,
			listeners: []string{"0.0.0.0_8443 TLS terminated [a.com] default/a[0]", "0.0.0.0_8443 TCP default/b[0]"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, ingressGateway+tt.manifests)
			g := s.MergedGateway(ingressOf(t, s))
			if diff := cmp.Diff(tt.listeners, listenerLines(t, g)); diff != "" {
				t.Errorf("listeners: %s", diff)
			}
			if diff := cmp.Diff(tt.dropped, gatewayStepLines(t, g.Steps, Skipped)); diff != "" {
				t.Errorf("dropped: %s", diff)
			}
		})
	}
}

func TestMergeServersByAge(t *testing.T) {
	const simple = `tls: {mode: SIMPLE, credentialName: c}, hosts: [a.com]`
	young := strings.Replace(gatewayYAML("default/a", server(443, "HTTPS", simple)), "namespace: default",
		`namespace: default, creationTimestamp: "2024-01-01T00:00:00Z"`, 1)
	old := strings.Replace(gatewayYAML("default/b", server(443, "HTTPS", simple)), "namespace: default",
		`namespace: default, creationTimestamp: "2020-01-01T00:00:00Z"`, 1)
	tests := []struct {
		name, manifests string
		want            []string
	}{
		{"older first", ingressGateway + young + old, []string{"gateway/tls-host-taken default/a spec.servers[0].hosts[0]"}},
		{
			"ages unknown",
			ingressGateway + gatewayYAML("default/a", server(443, "HTTPS", simple)) + gatewayYAML("default/b", server(443, "HTTPS", simple)),
			[]string{"gateway/tls-host-taken default/b spec.servers[0].hosts[0]", "gateway/age-unknown default/b"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, tt.manifests)
			var got []string
			for _, l := range gatewayStepLines(t, s.MergedGateway(ingressOf(t, s)).Steps) {
				if strings.HasPrefix(l, "gateway/tls-host-taken") || strings.HasPrefix(l, "gateway/age-unknown") {
					got = append(got, l)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNormaliseServerHosts(t *testing.T) {
	tests := []struct {
		name  string
		hosts []string
		want  []string
	}{
		{"plain", []string{"a.com", "*"}, []string{"a.com", "*"}},
		{"own namespace", []string{"./a.com"}, []string{"shop/a.com"}},
		{"every namespace", []string{"*/a.com", "b.com"}, []string{"a.com", "b.com"}},
		{"everything of every namespace stands for the whole list", []string{"a.com", "*/*", "b.com"}, []string{"*"}},
		{"another namespace", []string{"ns1/a.com"}, []string{"ns1/a.com"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, normaliseServerHosts(tt.hosts, "shop")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGatewayPort(t *testing.T) {
	service := func(name, meta, ports string) string {
		return fmt.Sprintf("---\napiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: istio-system%s}\nspec: {selector: {istio: ingressgateway}, ports: [%s]}\n", name, meta, ports)
	}
	tests := []struct {
		name, services string
		number, want   int
	}{
		{"target port", "", 80, 8080},
		{"no Service has it", "", 8080, 8080},
		{"oldest Service first", service("older", `, creationTimestamp: "2001-01-01T00:00:00Z"`, "{name: http, port: 81, targetPort: 1}") +
			service("younger", `, creationTimestamp: "2002-01-01T00:00:00Z"`, "{name: http, port: 81, targetPort: 2}"), 81, 1},
		{"host name breaks ties", service("b", "", "{name: http, port: 81, targetPort: 2}") + service("a", "", "{name: http, port: 81, targetPort: 1}"), 81, 1},
		{"named target port", service("a", "", "{name: http, port: 81, targetPort: http2}"), 81, 8090},
		{"named target port that no container declares", service("a", "", "{name: http, port: 81, targetPort: nope}"), 81, 81},
		{"translation disabled", service("a", `, labels: {experimental.istio.io/disable-gateway-port-translation: "true"}`, "{name: http, port: 81, targetPort: 1}"), 81, 81},
		{"second port of a Service with the same target does not count", service("a", "", "{name: http, port: 81, targetPort: 1}, {name: http-b, port: 82, targetPort: 1}"), 82, 82},
		{"unless the protocol differs", service("a", "", "{name: http, port: 81, targetPort: 1}, {name: tcp-b, port: 82, targetPort: 1}"), 82, 1},
		{"Service of other pods", strings.Replace(service("a", "", "{name: http, port: 81, targetPort: 1}"), "ingressgateway", "egressgateway", 1), 81, 81},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, ingressGateway+tt.services+gatewayYAML("default/a", server(tt.number, "HTTP", `hosts: ["*"]`)))
			g := s.MergedGateway(ingressOf(t, s))
			if got := g.Listeners()[0].PodPort; got != tt.want {
				t.Errorf("want %d, got %d", tt.want, got)
			}
			gatewayStepLines(t, g.Steps)
		})
	}
}
