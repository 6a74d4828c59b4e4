package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListener(t *testing.T) {
	http := gatewayYAML("default/a", server(80, "HTTP", `hosts: ["*"]`))
	tests := []struct {
		name, manifests string
		port            int
		want            string
		steps           []string
	}{
		{"found", ingressGateway + http, 8080, "0.0.0.0_8080", []string{"gatewaylistener/found default/a spec.servers[0]"}},
		{"the Service port is not the pod port", ingressGateway + http, 80, "", []string{"gatewaylistener/none"}},
		{"no Gateway at all", ingressGateway, 8080, "", []string{"gatewaylistener/none"}},
		{
			"dropped servers are told", ingressGateway + http + gatewayYAML("default/b", server(80, "TCP", `hosts: ["*"]`)), 8080, "0.0.0.0_8080",
			[]string{"gateway/port-conflict default/b spec.servers[0].port", "gateway/age-unknown default/b", "gatewaylistener/found default/a spec.servers[0]"},
		},
		{
			"TCP without a route", ingressGateway + gatewayYAML("default/a", server(9000, "TCP", `hosts: ["*"]`)), 9000, "",
			[]string{"gatewayl4/no-route default/a spec.servers[0]", "gatewaylistener/none"},
		},
		{
			"bound to an address", ingressGateway + gatewayYAML("default/a", server(80, "HTTP", `bind: 10.0.0.1, hosts: ["*"]`)), 8080, "10.0.0.1_8080",
			[]string{"gatewaylistener/found default/a spec.servers[0]", "gatewaylistener/bound-address default/a spec.servers[0].bind"},
		},
		{
			"an unprivileged proxy and a low port",
			strings.Replace(ingressGateway, "image: auto,", `image: auto, env: [{name: ISTIO_META_UNPRIVILEGED_POD, value: "true"}],`, 1) +
				gatewayYAML("default/a", server(81, "HTTP", `hosts: ["*"]`), server(80, "HTTP", `hosts: ["*"]`)), 81, "",
			[]string{"gatewaylistener/privileged-port default/a spec.servers[0]", "gatewaylistener/none"},
		},
		{
			"rejected by Envoy", ingressGateway + gatewayYAML("default/a", server(443, "HTTPS", `tls: {mode: SIMPLE}, hosts: ["*"]`), server(443, "HTTP", `hosts: ["*"]`)), 8443,
			"0.0.0.0_8443",
			[]string{"gatewaylistener/found default/a spec.servers[0]", "gatewaylistener/rejected-by-envoy default/a spec.servers[1]"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, tt.manifests)
			l, steps := s.MergedGateway(ingressOf(t, s)).Listener(tt.port)
			got := ""
			if l != nil {
				got = l.Name
				if l.Rejected != nil {
					steps = append(steps, *l.Rejected)
				}
			}
			if got != tt.want {
				t.Errorf("want %q, got %q", tt.want, got)
			}
			if diff := cmp.Diff(tt.steps, gatewayStepLines(t, steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFilterChain(t *testing.T) {
	https := func(gw, host string) string {
		return gatewayYAML("default/"+gw, server(443, "HTTPS", fmt.Sprintf(`tls: {mode: SIMPLE, credentialName: c}, hosts: ["%s"]`, host)))
	}
	http := func(gw string, port int) string {
		return gatewayYAML("default/"+gw, server(port, "HTTP", `hosts: ["*"]`))
	}
	passthrough := gatewayYAML("default/p", server(443, "TLS", `tls: {mode: PASSTHROUGH}, hosts: ["*"]`)) +
		virtualServiceYAML("default/p", `{hosts: ["*"], gateways: [p], tls: [{match: [{sniHosts: ["*"]}], route: [{destination: {host: b}}]}]}`)
	tests := []struct {
		name, manifests string
		port            int
		tls             bool
		sni             string
		want            string // the Gateway
		steps           []string
	}{
		{"exact beats wildcard", https("a", "a.foo.com") + https("b", "*.foo.com"), 8443, true, "a.foo.com", "a", []string{
			"gatewaylistener/wider-server-name default/b spec.servers[0]", "gatewaylistener/server-name default/a spec.servers[0].hosts",
		}},
		{"longest wildcard, any depth", https("a", "*.com") + https("b", "*.foo.com"), 8443, true, "x.y.foo.com", "b", []string{
			"gatewaylistener/wider-server-name default/a spec.servers[0]", "gatewaylistener/server-name default/b spec.servers[0].hosts",
		}},
		{"a wildcard is not the bare domain", https("b", "*.foo.com"), 8443, true, "foo.com", "", []string{"gatewaylistener/no-filter-chain default/b spec.servers[0]"}},
		{"server names have no case", https("a", "a.com"), 8443, true, "A.Com", "a", []string{"gatewaylistener/server-name default/a spec.servers[0].hosts"}},
		{"any host takes what others leave", https("a", "a.com") + https("b", "*"), 8443, true, "c.com", "b", []string{"gatewaylistener/any-connection default/b spec.servers[0]"}},
		{"any host takes clients without server name", https("b", "*"), 8443, true, "", "b", []string{"gatewaylistener/any-connection default/b spec.servers[0]"}},
		{"no server name", https("a", "a.com"), 8443, true, "", "", []string{"gatewaylistener/no-filter-chain default/a spec.servers[0]"}},
		{"plaintext to TLS with names", https("a", "a.com"), 8443, false, "a.com", "", []string{"gatewaylistener/no-filter-chain default/a spec.servers[0]"}},
		{"plaintext to TLS for any name", https("a", "*"), 8443, false, "", "", []string{
			"gatewaylistener/any-connection default/a spec.servers[0]", "gatewaylistener/plaintext-to-tls default/a spec.servers[0].tls",
		}},
		{"TLS to plaintext", http("a", 80), 8080, true, "a.com", "", []string{
			"gatewaylistener/any-connection default/a spec.servers[0]", "gatewaylistener/tls-to-plaintext default/a spec.servers[0].port.protocol",
		}},
		{"plaintext to plaintext", http("a", 80), 8080, false, "", "a", []string{"gatewaylistener/any-connection default/a spec.servers[0]"}},
		{"plaintext beside TLS", https("a", "a.com") + http("b", 443), 8443, false, "", "b", []string{"gatewaylistener/any-connection default/b spec.servers[0]"}},
		{"another server name beside plaintext", https("a", "a.com") + http("b", 443), 8443, true, "b.com", "", []string{
			"gatewaylistener/any-connection default/b spec.servers[0]", "gatewaylistener/tls-to-plaintext default/b spec.servers[0].port.protocol",
		}},
		{"passthrough takes any bytes", passthrough, 8443, false, "", "p", []string{
			"gatewaylistener/any-connection default/p spec.servers[0]",
		}},
		{"rejected listener", https("a", "*") + http("b", 443), 8443, true, "a.com", "", []string{"gatewaylistener/rejected-by-envoy default/b spec.servers[0]"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, ingressGateway+tt.manifests)
			l, _ := s.MergedGateway(ingressOf(t, s)).Listener(tt.port)
			c, steps := l.FilterChain(tt.tls, tt.sni)
			got := ""
			if c != nil {
				got = c.Server().Gateway.Name
			}
			if got != tt.want {
				t.Errorf("want %q, got %q", tt.want, got)
			}
			if diff := cmp.Diff(tt.steps, gatewayStepLines(t, steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHandshake(t *testing.T) {
	tests := []struct {
		name, tls   string
		certificate bool
		want        bool
		asks        ClientCertificate
		credentials []string
		steps       []string
	}{
		{"SIMPLE", "{mode: SIMPLE, credentialName: c}", false, true, ClientCertificateIgnored, []string{"c"}, []string{"terminates-tls", "client-certificate"}},
		{"SIMPLE with several", "{mode: SIMPLE, credentialNames: [c, d]}", false, true, ClientCertificateIgnored, []string{"c", "d"}, []string{"terminates-tls", "client-certificate"}},
		{"MUTUAL without", "{mode: MUTUAL, credentialName: c}", false, false, ClientCertificateRequired, []string{"c"}, []string{"terminates-tls", "no-client-certificate"}},
		{"MUTUAL with", "{mode: MUTUAL, credentialName: c}", true, true, ClientCertificateRequired, []string{"c"}, []string{"terminates-tls", "client-certificate"}},
		{"ISTIO_MUTUAL without", "{mode: ISTIO_MUTUAL}", false, false, ClientCertificateRequired, nil, []string{"terminates-tls", "no-client-certificate"}},
		{"OPTIONAL_MUTUAL without", "{mode: OPTIONAL_MUTUAL, serverCertificate: /c}", false, true, ClientCertificateOptional, nil, []string{"terminates-tls", "client-certificate"}},
		{"PASSTHROUGH", "{mode: PASSTHROUGH}", false, true, ClientCertificateIgnored, nil, []string{"passes-tls-through"}},
		{"no mode is PASSTHROUGH", "{}", false, true, ClientCertificateIgnored, nil, []string{"passes-tls-through"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, ingressGateway+gatewayYAML("default/a", server(443, "HTTPS", "tls: "+tt.tls+`, hosts: [a.com]`))+
				virtualServiceYAML("default/p", `{hosts: [a.com], gateways: [a], tls: [{match: [{sniHosts: [a.com]}], route: [{destination: {host: b}}]}]}`))
			l, _ := s.MergedGateway(ingressOf(t, s)).Listener(8443)
			c, _ := l.FilterChain(true, "a.com")
			ok, steps := c.Handshake(tt.certificate)
			if ok != tt.want {
				t.Errorf("want %v, got %v", tt.want, ok)
			}
			if c.ClientCertificate() != tt.asks {
				t.Errorf("want %v, got %v", tt.asks, c.ClientCertificate())
			}
			_, credentials := c.credentials()
			if diff := cmp.Diff(tt.credentials, credentials); diff != "" {
				t.Error(diff)
			}
			var want []string
			for _, r := range tt.steps {
				want = append(want, "gatewaylistener/"+r+" default/a spec.servers[0].tls.mode")
			}
			if diff := cmp.Diff(want, gatewayStepLines(t, steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
	s := snapshotOf(t, ingressGateway+gatewayYAML("default/a", server(80, "HTTP", `hosts: ["*"]`)))
	l, _ := s.MergedGateway(ingressOf(t, s)).Listener(8080)
	if ok, steps := l.Chains[0].Handshake(false); !ok || steps != nil || l.Chains[0].TLSMode() != "" {
		t.Error("a plaintext server has a handshake")
	}
}

func TestAutoPassthrough(t *testing.T) {
	manifests := ingressGateway + gatewayYAML("default/a", server(15443, "TLS", `tls: {mode: AUTO_PASSTHROUGH}, hosts: ["*.local"]`)) + `
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
`
	taken := []string{"gatewaylistener/server-name default/a spec.servers[0].hosts", "gatewaylistener/istio-alpn default/a spec.servers[0].tls.mode"}
	none := []string{"gatewaylistener/no-filter-chain default/a spec.servers[0]"}
	otherPort := append([]string{"gatewaylistener/auto-passthrough-no-port shop/reviews"}, none...)
	tests := []struct {
		name, sni string
		want      []string
	}{
		{"a service of the mesh", "outbound_.9080_._.reviews.shop.svc.cluster.local", taken},
		{"a subset", "outbound_.9080_.v1_.reviews.shop.svc.cluster.local", taken},
		{"a subset that no DestinationRule names", "outbound_.9080_.v2_.reviews.shop.svc.cluster.local", otherPort},
		{"another port", "outbound_.80_._.reviews.shop.svc.cluster.local", otherPort},
		{"no such service", "outbound_.9080_._.nope.shop.svc.cluster.local", none},
		{"a plain name", "reviews.shop.svc.cluster.local", none},
		{"no port", "outbound_.x_._.reviews.shop.svc.cluster.local", otherPort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, manifests)
			l, _ := s.MergedGateway(ingressOf(t, s)).Listener(15443)
			c, steps := l.FilterChain(true, tt.sni)
			if found := len(tt.want) == len(taken) && tt.want[0] == taken[0]; (c != nil) != found {
				t.Errorf("want %v, got %v", found, c)
			}
			if diff := cmp.Diff(tt.want, gatewayStepLines(t, steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
