package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGatewayEntries(t *testing.T) {
	const route = `http: [{route: [{destination: {host: b}}]}]`
	gateway := gatewayYAML("default/g", server(80, "HTTP", `hosts: ["*"]`), server(443, "HTTPS", `tls: {mode: SIMPLE, credentialName: c}, hosts: [a.com]`),
		server(9999, "HTTP", `hosts: ["*"]`)) + virtualServiceYAML("default/a", `{hosts: [a.com], gateways: [g], `+route+`}`)
	second := strings.NewReplacer("istio-ingressgateway", "second", "istio: ingressgateway", "istio: second", "istio-system", "edge").Replace(ingressGateway)
	// only the networking resources, no gateway workload
	plain := strings.ReplaceAll(gateway, "selector: {istio: ingressgateway}", "selector: {istio: my-gateway}")
	http := func(host string, port int) GatewayQuestion {
		return GatewayQuestion{Host: host, Port: port, HTTP: true}
	}
	tests := []struct {
		name, manifests string
		question        GatewayQuestion
		want            []string
	}{
		{"served", ingressGateway + gateway, http("a.com", 80), []string{
			"0 istio-system/istio-ingressgateway Service istio-system/istio-ingressgateway 8080: gatewayentry/service-port istio-system/istio-ingressgateway spec.ports[0]",
		}},
		{"served over TLS", ingressGateway + gateway, GatewayQuestion{Host: "a.com", Port: 443, HTTP: true, TLS: true, SNI: "a.com"}, []string{
			"0 istio-system/istio-ingressgateway Service istio-system/istio-ingressgateway 8443: gatewayentry/service-port istio-system/istio-ingressgateway spec.ports[1]",
		}},
		{"listens, but for other hosts", ingressGateway + gateway, http("b.com", 80), []string{
			"1 istio-system/istio-ingressgateway Service istio-system/istio-ingressgateway 8080: gatewayentry/service-port istio-system/istio-ingressgateway spec.ports[0]",
		}},
		{"reachable, nothing listens", ingressGateway + gateway, http("a.com", 9000), []string{
			"2 istio-system/istio-ingressgateway Service istio-system/istio-ingressgateway 9000: gatewayentry/service-port istio-system/istio-ingressgateway spec.ports[2]",
		}},
		{"a server port that no Service has is not reachable", ingressGateway + gateway, http("a.com", 9999), []string{
			"3 istio-system/istio-ingressgateway none 0: gatewayentry/no-service-port istio-system/istio-ingressgateway",
		}},
		{"the gateway that serves comes first", second + ingressGateway + gateway, http("a.com", 80), []string{
			"0 istio-system/istio-ingressgateway Service istio-system/istio-ingressgateway 8080: gatewayentry/service-port istio-system/istio-ingressgateway spec.ports[0]",
			"2 edge/second Service edge/second 8080: gatewayentry/service-port edge/second spec.ports[0]",
		}},
		{"by name of the workload", second + ingressGateway + gateway, GatewayQuestion{Host: "a.com", Port: 80, HTTP: true, Gateway: "edge/second"}, []string{
			"2 edge/second Service edge/second 8080: gatewayentry/service-port edge/second spec.ports[0]",
		}},
		{"by name of the Istio Gateway, without namespace", second + ingressGateway + gateway, GatewayQuestion{Host: "a.com", Port: 80, HTTP: true, Gateway: "g"}, []string{
			"0 istio-system/istio-ingressgateway Service istio-system/istio-ingressgateway 8080: gatewayentry/service-port istio-system/istio-ingressgateway spec.ports[0]",
		}},
		{"unknown name", second + ingressGateway + gateway, GatewayQuestion{Host: "a.com", Port: 80, HTTP: true, Gateway: "gg"}, []string{"gatewayentry/unknown-name"}},
		{"no gateway", "", http("a.com", 80), []string{"gatewayentry/none"}},
		{
			"host network", strings.ReplaceAll(strings.NewReplacer("      containers:", "      hostNetwork: true\n      containers:", "image: auto", "image: proxyv2, args: [proxy, router]").Replace(ingressGateway), "selector: {istio: ingressgateway}", "selector: {istio: nobody}") + gateway,
			http("a.com", 80),
			[]string{"0 istio-system/istio-ingressgateway none 80: gatewayentry/host-network istio-system/istio-ingressgateway"},
		},
		{
			"no Service", strings.Replace(ingressGateway, "spec:\n  selector: {istio: ingressgateway}", "spec:\n  selector: {istio: nobody}", 1) + gateway,
			http("a.com", 80),
			[]string{"0 istio-system/istio-ingressgateway none 80: gatewayentry/no-service istio-system/istio-ingressgateway"},
		},
		{"assumed: Istio's standard gateway", gateway, http("a.com", 80), []string{
			"0 istio-system/istio-ingressgateway Service istio-system/istio-ingressgateway 8080 assumed: gatewayentry/assumed-workload default/g spec.selector gatewayentry/service-port istio-system/istio-ingressgateway",
		}},
		{"assumed: another selector, in the Gateway's namespace", plain, http("a.com", 80), []string{
			"0 default/my-gateway Service default/my-gateway 80 assumed: gatewayentry/assumed-workload default/g spec.selector gatewayentry/service-port default/my-gateway",
		}},
		{
			"assumed behind a Service of the manifests", plain + "---\napiVersion: v1\nkind: Service\nmetadata: {name: edge, namespace: edge}\nspec: {selector: {istio: my-gateway}, ports: [{name: http, port: 80, targetPort: 1080}]}\n",
			http("a.com", 80),
			[]string{
				"0 edge/my-gateway Service edge/edge 1080 assumed: gatewayentry/assumed-workload default/g spec.selector gatewayentry/service-port edge/edge spec.ports[0]",
			},
		},
		{"assumed for a Gateway without selector", strings.Replace(gateway, "  selector: {istio: ingressgateway}\n", "", 1), http("a.com", 443), []string{
			"1 istio-system/istio-ingressgateway Service istio-system/istio-ingressgateway 8443 assumed: gatewayentry/assumed-workload default/g spec.selector gatewayentry/service-port istio-system/istio-ingressgateway",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, tt.manifests)
			entries, steps := s.GatewayEntries(tt.question)
			got := gatewayStepLines(t, steps)
			for _, e := range entries {
				line := fmt.Sprint(int(e.Fit), " ", e.Workload.Owner.QualifiedName())
				if e.Service.IsZero() {
					line += " none"
				} else {
					line += " " + e.Service.String()
				}
				line += fmt.Sprint(" ", e.PodPort)
				if e.Assumed {
					line += " assumed"
				}
				got = append(got, line+": "+strings.Join(gatewayStepLines(t, e.Steps), " "))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestServedByGateway(t *testing.T) {
	const to = `http: [{route: [{destination: {host: b}}]}]`
	service := "---\napiVersion: v1\nkind: Service\nmetadata: {name: reviews, namespace: shop}\nspec: {selector: {app: reviews}, ports: [{name: http, port: 80}]}\n"
	gateway := gatewayYAML("default/g", server(80, "HTTP", `hosts: ["*"]`))
	everything := gateway + virtualServiceYAML("default/a", `{hosts: ["*"], gateways: [g], `+to+`}`)
	tests := []struct {
		name, manifests, host string
		want                  bool
	}{
		{"by name", gateway + virtualServiceYAML("default/a", `{hosts: [a.com], gateways: [g], `+to+`}`), "A.com", true},
		{"another name", gateway + virtualServiceYAML("default/a", `{hosts: [a.com], gateways: [g], `+to+`}`), "b.com", false},
		{"no VirtualService", gateway, "a.com", false},
		{"VirtualService of the mesh", gateway + virtualServiceYAML("default/a", `{hosts: [a.com], `+to+`}`), "a.com", false},
		{"by a catch-all", everything, "a.com", true},
		{"a catch-all does not take short names", everything, "reviews", false},
		{"nor services of the mesh", everything + service, "reviews.shop", false},
		{"nor their full names", everything, "reviews.shop.svc.cluster.local", false},
		{"unless they are named", everything + virtualServiceYAML("default/b", `{hosts: [reviews.shop.svc.cluster.local], gateways: [g], `+to+`}`), "reviews.shop.svc.cluster.local", true},
		{
			"by a tls route", gatewayYAML("default/g", server(443, "TLS", `tls: {mode: PASSTHROUGH}, hosts: ["*"]`)) +
				virtualServiceYAML("default/a", `{hosts: [a.com], gateways: [g], tls: [{match: [{sniHosts: [a.com]}], route: [{destination: {host: b}}]}]}`), "a.com", true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, workload := range []string{"", ingressGateway} {
				if got := snapshotOf(t, workload+tt.manifests).ServedByGateway(tt.host); got != tt.want {
					t.Errorf("want %v, got %v", tt.want, got)
				}
			}
		})
	}
}

// Nothing that the API server could hold may stop the gateway stages.
func TestGatewayOddInput(t *testing.T) {
	s := snapshotOf(t, ingressGateway+
		gatewayYAML("default/a", `{}`, `{port: {}}`, `{port: {number: 80, protocol: HTTP}, hosts: ["", "/", "a/b/c", "*", "."]}`,
			`{port: {number: 443, protocol: HTTPS}, tls: {}, hosts: [""]}`, `{port: {number: 444, protocol: weird}, tls: {mode: SIMPLE}}`,
			`{port: {number: 445, protocol: tls}, tls: {mode: AUTO_PASSTHROUGH}}`)+
		"---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: empty, namespace: default}\n"+
		virtualServiceYAML("default/x", `{hosts: ["", "*"], gateways: [a], http: [{}], tcp: [{}], tls: [{match: [{}]}, {match: [{}], route: [{}]}]}`)+
		virtualServiceYAML("default/y", `{gateways: ["", "/", a]}`))
	g := s.MergedGateway(ingressOf(t, s))
	gatewayStepLines(t, g.Steps)
	for _, port := range []int{0, 80, 443, 444, 445, 8080, 8443} {
		l, steps := g.Listener(port)
		gatewayStepLines(t, steps)
		if l == nil {
			continue
		}
		for _, sni := range []string{"", "a.com", ".", "outbound_.", "outbound_.1_._."} {
			for _, tls := range []bool{true, false} {
				c, steps := l.FilterChain(tls, sni)
				gatewayStepLines(t, steps)
				if c == nil {
					continue
				}
				_, steps = c.Handshake(false)
				gatewayStepLines(t, steps)
				if table := s.GatewayVirtualHosts(g, c); table != nil {
					for _, host := range []string{"", "*", "a.com", "/"} {
						_, steps := table.Lookup(host)
						gatewayStepLines(t, steps)
					}
				}
			}
		}
	}
	s.ServedByGateway("")
	s.GatewayEntries(GatewayQuestion{})
}
