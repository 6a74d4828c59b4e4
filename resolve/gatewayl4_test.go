package resolve

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGatewayTCPRoute(t *testing.T) {
	gateway := gatewayYAML("default/a", server(9000, "TCP", `hosts: [a.com]`))
	route := `route: [{destination: {host: db}}]`
	tests := []struct {
		name, virtualServices string
		want                  string
		steps                 []string
	}{
		{
			"first route of the first VirtualService",
			virtualServiceYAML("default/x", `{hosts: [a.com], gateways: [a], tcp: [{`+route+`}, {`+route+`}]}`) +
				virtualServiceYAML("default/y", `{hosts: [a.com], gateways: [a], tcp: [{`+route+`}]}`),
			"default/x spec.tcp[0]", nil,
		},
		{
			"hosts apart, then port, then the one that fits",
			virtualServiceYAML("default/x", `{hosts: [b.com], gateways: [a], tcp: [{`+route+`}]}`) +
				virtualServiceYAML("default/y", `{hosts: ["*"], gateways: [a], tcp: [{match: [{port: 80}], `+route+`}]}`) +
				virtualServiceYAML("default/z", `{hosts: ["*.com"], gateways: [a], tcp: [{match: [{port: 80}, {port: 9000}], `+route+`}]}`),
			"default/z spec.tcp[0]",
			[]string{"gatewayl4/hosts-apart default/x spec.hosts", "gatewayl4/match-fails default/y spec.tcp"},
		},
		{
			"match for another gateway",
			virtualServiceYAML("default/x", `{hosts: [a.com], gateways: [a], tcp: [{match: [{gateways: [default/b]}], `+route+`}, {match: [{gateways: [default/a]}], `+route+`}]}`),
			"default/x spec.tcp[1]", nil,
		},
		{
			"source and destination conditions are ignored",
			virtualServiceYAML("default/x", `{hosts: [a.com], gateways: [a], tcp: [{match: [{sourceLabels: {app: other}, sourceNamespace: other, destinationSubnets: [1.1.1.1/32]}], `+route+`}]}`),
			"default/x spec.tcp[0]", nil,
		},
		{
			"an entry without destinations is passed over",
			virtualServiceYAML("default/x", `{hosts: [a.com], gateways: [a], tcp: [{}, {`+route+`}]}`), "default/x spec.tcp[1]", nil,
		},
		{
			"http routes do not count",
			virtualServiceYAML("default/x", `{hosts: [a.com], gateways: [a], http: [{`+route+`}]}`), "",
			[]string{"gatewayl4/match-fails default/x spec.tcp", "gatewayl4/no-route default/a spec.servers[0]"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, ingressGateway+gateway+tt.virtualServices)
			l, steps := s.MergedGateway(ingressOf(t, s)).Listener(9000)
			got, want := "", tt.steps
			if l != nil {
				c, _ := l.FilterChain(false, "")
				got, steps = c.L4.Ref.QualifiedName()+" "+c.L4.Ref.Field, c.L4.Steps
				want = append(want, "gatewayl4/route "+tt.want)
				if c.L4.Port != 9000 || c.L4.Destinations[0].GetDestination().GetHost() != "db.default.svc.cluster.local" && c.L4.Destinations[0].GetDestination().GetHost() != "db" {
					t.Errorf("destination %v, port %d", c.L4.Destinations, c.L4.Port)
				}
			} else {
				steps = steps[:len(steps)-1]
			}
			if got != tt.want {
				t.Errorf("want %q, got %q", tt.want, got)
			}
			if diff := cmp.Diff(want, gatewayStepLines(t, steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGatewayPassthrough(t *testing.T) {
	gateway := gatewayYAML("default/a", server(443, "TLS", `tls: {mode: PASSTHROUGH}, hosts: ["*.com"]`))
	const to = `route: [{destination: {host: db}}]`
	tests := []struct {
		name, manifests string
		want            map[string]string // server name to route; empty: closed
		skipped         []string
	}{
		{
			"a chain for each match",
			gateway + virtualServiceYAML("default/x", `{hosts: [a.com, b.com], gateways: [a], tls: [{match: [{sniHosts: [a.com]}, {port: 443, sniHosts: [b.com]}], `+to+`}]}`),
			map[string]string{"a.com": "default/x spec.tls[0].match[0]", "b.com": "default/x spec.tls[0].match[1]", "c.com": ""},
			nil,
		},
		{
			"the same name in a second VirtualService",
			gateway + virtualServiceYAML("default/x", `{hosts: [a.com], gateways: [a], tls: [{match: [{sniHosts: [a.com]}], `+to+`}]}`) +
				virtualServiceYAML("default/y", `{hosts: [a.com], gateways: [a], tls: [{match: [{sniHosts: [a.com]}], `+to+`}]}`),
			map[string]string{"a.com": "default/x spec.tls[0].match[0]"},
			[]string{"gatewayl4/server-name-taken default/y spec.tls[0].match[0].sniHosts"},
		},
		{
			"one name taken skips the whole match",
			gateway + virtualServiceYAML("default/x", `{hosts: [a.com, b.com], gateways: [a], tls: [{match: [{sniHosts: [a.com]}], `+to+`}, {match: [{sniHosts: [a.com, b.com]}], `+to+`}]}`),
			map[string]string{"a.com": "default/x spec.tls[0].match[0]", "b.com": ""},
			[]string{"gatewayl4/server-name-taken default/x spec.tls[1].match[0].sniHosts"},
		},
		{
			"other port, other gateway, other hosts",
			gateway + virtualServiceYAML("default/x", `{hosts: [a.com], gateways: [a], tls: [{match: [{port: 80, sniHosts: [a.com]}, {gateways: [default/b], sniHosts: [a.com]}], `+to+`}]}`) +
				virtualServiceYAML("default/y", `{hosts: [a.org], gateways: [a], tls: [{match: [{sniHosts: [a.org]}], `+to+`}]}`) +
				virtualServiceYAML("default/z", `{hosts: [z.com], gateways: [a], tls: [{match: [{sniHosts: [z.com]}], `+to+`}]}`),
			map[string]string{"a.com": "", "a.org": "", "z.com": "default/z spec.tls[0].match[0]"},
			[]string{"gatewayl4/match-fails default/x spec.tls", "gatewayl4/hosts-apart default/y spec.hosts"},
		},
		{
			"a server name outside the server's hosts is taken if the VirtualService's hosts overlap",
			gateway + virtualServiceYAML("default/x", `{hosts: [a.com], gateways: [a], tls: [{match: [{sniHosts: [a.org]}], `+to+`}]}`),
			map[string]string{"a.org": "default/x spec.tls[0].match[0]", "a.com": ""},
			nil,
		},
		{
			"beside an HTTPS server of the same name the listener is rejected",
			gateway + gatewayYAML("default/b", server(443, "HTTPS", `tls: {mode: SIMPLE, credentialName: c}, hosts: [a.com]`)) +
				virtualServiceYAML("default/x", `{hosts: [a.com], gateways: [a], tls: [{match: [{sniHosts: [a.com]}], `+to+`}]}`),
			map[string]string{"a.com": ""},
			[]string{"gatewaylistener/rejected-by-envoy default/b spec.servers[0]"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, ingressGateway+tt.manifests)
			l, steps := s.MergedGateway(ingressOf(t, s)).Listener(8443)
			if l.Rejected != nil {
				steps = append(steps, *l.Rejected)
			}
			if diff := cmp.Diff(tt.skipped, gatewayStepLines(t, steps, Skipped, DeniedBy)); diff != "" {
				t.Error(diff)
			}
			got := map[string]string{}
			for sni := range tt.want {
				c, _ := l.FilterChain(true, sni)
				got[sni] = ""
				if c != nil {
					got[sni] = c.L4.Ref.QualifiedName() + " " + c.L4.Ref.Field
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
