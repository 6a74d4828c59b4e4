package resolve

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const l4Head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {namespace: shop, name: "

// l4Line is the match as "REF host weight, ...", with what else it says.
func l4Line(m L4Match) string {
	line := "none"
	if m.Route != nil {
		line = m.Route.Ref.Name + " " + m.Route.Ref.Field
		for _, d := range m.Route.Destinations() {
			line += fmt.Sprintf(" %s %g", d.Destination.GetHost(), d.Weight)
		}
	}
	if m.Exclusive {
		line += " exclusive"
	}
	if m.Certain != True {
		line += " uncertain"
	}
	return line
}

func TestMatchTCPRoute(t *testing.T) {
	web := &Workload{Namespace: "shop", Labels: map[string]string{"app": "web"}, Owner: Ref{Namespace: "shop", Name: "web"}}
	sidecar := L4Query{Host: "db.shop.svc.cluster.local", Port: 5432, Gateways: map[string]bool{"mesh": true}, Proxy: web, DestinationIP: netip.MustParseAddr("10.1.2.3")}
	tests := []struct {
		name, manifests string
		q               L4Query
		want            string
		steps           []string
	}{
		{
			name: "none", q: sidecar, manifests: l4Head + "a}\nspec: {hosts: [other], tcp: [{route: [{destination: {host: x.y}}]}]}", want: "none",
			steps: []string{"none l4route/none-applies: no VirtualService has a tcp rule that applies here"},
		},
		{
			name: "the first without match", q: sidecar, want: "a spec.tcp[1] x.y 25 z.y 75 exclusive",
			manifests: l4Head + "a}\nspec: {hosts: [db], tcp: [{}, {route: [{destination: {host: x.y}, weight: 1}, {destination: {host: z.y}, weight: 3}]}, {route: [{destination: {host: z}}]}]}",
			steps: []string{
				"skipped l4route/no-destination shop/a spec.tcp[0]: the rule has no route",
				"skipped l4route/behind-first shop/a spec.tcp[2]: it stands after VirtualService shop/a spec.tcp[1], which takes every connection",
				"matched l4route/matched shop/a spec.tcp[1]: this rule takes the connection",
			},
		},
		{
			name: "all of a match must hold", q: sidecar, want: "a spec.tcp[0].match[4] x.y 100 exclusive",
			manifests: l4Head + "a}\nspec: {hosts: [db], tcp: [{match: [{port: 1}, {gateways: [gw]}, {gateways: [mesh], sourceLabels: {app: x}}, {sourceNamespace: x}, {gateways: [mesh], port: 5432, sourceLabels: {app: web}, sourceNamespace: shop, sourceSubnet: 10.0.0.0/8}], route: [{destination: {host: x.y}}]}]}",
			steps: []string{
				"skipped route/match-port shop/a spec.tcp[0].match[0].port: its match is for port 1, and this listener's port is 5432 [port 1 | port 5432]",
				"skipped route/match-gateways shop/a spec.tcp[0].match[1].gateways: its match is for gateways shop/gw, and this is a sidecar (mesh) [gateways shop/gw | a sidecar (mesh)]",
				"skipped route/source-labels shop/a spec.tcp[0].match[2].sourceLabels: its match is for sources with label app=x, and shop/web has app=web [label app=x | app=web]",
				"skipped route/source-namespace shop/a spec.tcp[0].match[3].sourceNamespace: its match is for sources in namespace x, and the proxy is in shop [namespace x | namespace shop]",
				"applied l4route/source-subnet-unread shop/a spec.tcp[0].match[4].sourceSubnet: sourceSubnet 10.0.0.0/8 is not read by Istio; the match applies to every source",
				"matched l4route/matched shop/a spec.tcp[0].match[4]: this rule takes the connection",
			},
		},
		{
			name: "the narrowest subnet", q: sidecar, want: "a spec.tcp[1].match[0] y.y 100 exclusive",
			manifests: l4Head + "a}\nspec: {hosts: [db], tcp: [{match: [{destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: x.y}}]}, {match: [{destinationSubnets: [10.1.0.0/16, 10.1.2.3]}], route: [{destination: {host: y.y}}]}, {route: [{destination: {host: z.y}}]}]}",
			steps: []string{
				"skipped l4route/destination-subnets shop/a spec.tcp[0].match[0].destinationSubnets: its match is for destinations 10.0.0.0/8; 10.1.2.3 goes elsewhere [destination 10.0.0.0/8 | 10.1.2.3]",
				"skipped l4route/destination-subnets shop/a spec.tcp[2]: its match is for destinations of any address; 10.1.2.3 goes elsewhere [destination of any address | 10.1.2.3]",
				"matched l4route/matched shop/a spec.tcp[1].match[0]: this rule takes the connection",
			},
		},
		{
			name: "no subnet holds it", q: sidecar, want: "none",
			manifests: l4Head + "a}\nspec: {hosts: [db], tcp: [{match: [{destinationSubnets: [11.0.0.0/8]}], route: [{destination: {host: x.y}}]}]}",
			steps: []string{
				"skipped l4route/destination-subnets shop/a spec.tcp[0].match[0].destinationSubnets: its match is for destinations 11.0.0.0/8; 10.1.2.3 goes elsewhere [destination 11.0.0.0/8 | 10.1.2.3]",
				"none l4route/none-matches: the only tcp rule that applies here does not take this connection",
			},
		},
		{
			name: "subnets that istiod leaves out", q: sidecar, want: "a spec.tcp[0].match[0] x.y 100",
			manifests: l4Head + "a}\nspec: {hosts: [db], tcp: [{match: [{destinationSubnets: [0.0.0.0/0, nonsense]}], route: [{destination: {host: x.y}}]}]}",
			steps:     []string{"matched l4route/matched shop/a spec.tcp[0].match[0]: this rule takes the connection"},
		},
		{
			name: "an unknown address", want: "a spec.tcp[1] z.y 100 exclusive uncertain",
			q:         L4Query{Host: sidecar.Host, Port: 5432, Gateways: sidecar.Gateways, Proxy: web},
			manifests: l4Head + "a}\nspec: {hosts: [db], tcp: [{match: [{destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: x.y}}]}, {route: [{destination: {host: z.y}}]}]}",
			steps: []string{
				"warning l4route/destination-subnets-unknown shop/a spec.tcp[0].match[0].destinationSubnets: its match is for destinations 10.0.0.0/8; the address of this destination is not known, so it is taken not to apply",
				"matched l4route/matched shop/a spec.tcp[1]: this rule takes the connection",
			},
		},
		{
			name: "the same subnet twice", q: sidecar, want: "a spec.tcp[0].match[0] x.y 100 uncertain",
			manifests: l4Head + "a}\nspec: {hosts: [db], tcp: [{match: [{destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: x.y}}]}, {match: [{destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: z.y}}]}]}",
			steps: []string{
				"warning l4route/listener-refused shop/a spec.tcp[1].match[0]: VirtualService shop/a spec.tcp[0].match[0] claims the same connections: Envoy refuses the listener",
				"matched l4route/matched shop/a spec.tcp[0].match[0]: this rule takes the connection",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := MatchTCPRoute(snapshotOf(t, tt.manifests).VirtualServices(), tt.q)
			if diff := cmp.Diff(tt.want, l4Line(got)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.steps, routeStepLines(t, got.Steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMatchTLSRoute(t *testing.T) {
	tls := func(rules string) string {
		return l4Head + "a}\nspec: {hosts: [a.com, b.com, \"*.c.com\"], gateways: [mesh, gw], tls: [" + rules + "]}"
	}
	rule := func(match, host string) string {
		return "{match: [" + match + "], route: [{destination: {host: " + host + "}}]}"
	}
	sidecar := func(sni string) L4Query {
		return L4Query{Host: "a.com", Port: 443, Gateways: map[string]bool{"mesh": true}, Proxy: &Workload{Namespace: "shop"}, SNI: sni, DestinationIP: netip.MustParseAddr("10.1.2.3")}
	}
	tests := []struct {
		name, manifests string
		q               L4Query
		want            string
		steps           []string
	}{
		{
			name: "exact before wildcard, in any case", q: sidecar("A.c.com"), want: "a spec.tls[1].match[0] y.y 100 exclusive",
			manifests: tls(rule(`{sniHosts: ["*.c.com"]}`, "x.y") + "," + rule(`{sniHosts: [b.com, a.C.com]}`, "y.y")),
			steps: []string{
				`skipped l4route/sni shop/a spec.tls[0].match[0]: its match is for server names *.c.com, and this connection's is "A.c.com" [server name *.c.com | "A.c.com"]`,
				"matched l4route/matched shop/a spec.tls[1].match[0]: this rule takes the connection",
			},
		},
		{
			name: "the longest wildcard", q: sidecar("x.y.c.com"), want: "a spec.tls[0].match[1] x.y 100 exclusive",
			manifests: tls(rule(`{sniHosts: ["*.com"]}, {sniHosts: ["*.c.com"]}`, "x.y")),
			steps: []string{
				`skipped l4route/sni shop/a spec.tls[0].match[0]: its match is for server names *.com, and this connection's is "x.y.c.com" [server name *.com | "x.y.c.com"]`,
				"matched l4route/matched shop/a spec.tls[0].match[1]: this rule takes the connection",
			},
		},
		{
			name: "the star is no list", q: sidecar("z"), want: "a spec.tls[0].match[0] x.y 100 exclusive",
			manifests: tls(rule(`{sniHosts: ["*"]}`, "x.y")),
			steps:     []string{"matched l4route/matched shop/a spec.tls[0].match[0]: this rule takes the connection"},
		},
		{
			name: "another server name has no chain", q: sidecar(""), want: "none exclusive",
			manifests: tls(rule(`{sniHosts: [a.com]}`, "x.y")),
			steps: []string{
				"skipped l4route/sni shop/a spec.tls[0].match[0]: its match is for server names a.com, and this connection's is absent [server name a.com | absent]",
				"none l4route/none-matches: the only tls rule that applies here does not take this connection",
			},
		},
		{
			name: "none applies: the service's own chain stays", q: sidecar("a.com"), want: "none",
			manifests: tls(rule(`{sniHosts: [a.com], port: 1}`, "x.y") + ", {match: [{sniHosts: [a.com]}]}"),
			steps: []string{
				"skipped route/match-port shop/a spec.tls[0].match[0].port: its match is for port 1, and this listener's port is 443 [port 1 | port 443]",
				"skipped l4route/no-destination shop/a spec.tls[1]: the rule has no route",
				"none l4route/none-applies: no VirtualService has a tls rule that applies here",
			},
		},
		{
			name: "an identical match is left out", q: sidecar("a.com"), want: "a spec.tls[0].match[0] x.y 100 exclusive",
			manifests: tls(rule(`{sniHosts: [a.com]}`, "x.y") + "," + rule(`{sniHosts: [a.com], sourceNamespace: shop}`, "z.y")),
			steps: []string{
				"skipped l4route/duplicate shop/a spec.tls[1].match[0]: VirtualService shop/a spec.tls[0].match[0] has the same server names and subnets and comes first",
				"matched l4route/matched shop/a spec.tls[0].match[0]: this rule takes the connection",
			},
		},
		{
			name: "an overlapping match comes behind", q: sidecar("a.com"), want: "a spec.tls[0].match[0] x.y 100 exclusive",
			manifests: tls(rule(`{sniHosts: [a.com]}`, "x.y") + "," + rule(`{sniHosts: [a.com, b.com]}`, "z.y")),
			steps:     []string{"matched l4route/matched shop/a spec.tls[0].match[0]: this rule takes the connection"},
		},
		{
			name: "subnets stay in force", q: sidecar("b.com"), want: "none exclusive",
			manifests: tls(rule(`{sniHosts: [a.com], destinationSubnets: [11.0.0.0/8]}`, "x.y") + "," + rule(`{sniHosts: [b.com]}`, "z.y")),
			steps: []string{
				"applied l4route/destination-subnets-carried-over shop/a spec.tls[1].match[0]: the destinationSubnets 11.0.0.0/8 of an earlier match stay in force here",
				"skipped l4route/destination-subnets shop/a spec.tls[0].match[0].destinationSubnets: its match is for destinations 11.0.0.0/8; 10.1.2.3 goes elsewhere [destination 11.0.0.0/8 | 10.1.2.3]",
				"skipped l4route/destination-subnets shop/a spec.tls[1].match[0].destinationSubnets: its match is for destinations 11.0.0.0/8; 10.1.2.3 goes elsewhere [destination 11.0.0.0/8 | 10.1.2.3]",
				"none l4route/none-matches: none of the 2 tls rules that apply here takes this connection",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := MatchTLSRoute(snapshotOf(t, tt.manifests).VirtualServices(), tt.q)
			if diff := cmp.Diff(tt.want, l4Line(got)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.steps, routeStepLines(t, got.Steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
