package resolve

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGatewayLookup(t *testing.T) {
	const to = `http: [{match: [{uri: {prefix: /x}}], route: [{destination: {host: b}}]}]`
	any80 := gatewayYAML("default/g", server(80, "HTTP", `hosts: ["*"]`))
	bound := func(name, hosts string) string {
		return virtualServiceYAML(name, `{hosts: [`+hosts+`], gateways: [default/g], `+to+`}`)
	}
	tests := []struct {
		name, manifests, host string
		want                  string
		steps                 []string
	}{
		{
			"exact, and the wider ones that are not consulted", any80 + bound("default/a", `"*"`) + bound("default/b", `"*.foo.com"`) + bound("default/c", "a.foo.com"), "a.foo.com", "a.foo.com:80",
			[]string{"gatewayhost/wider default/b spec.hosts", "gatewayhost/wider default/a spec.hosts", "gatewayhost/most-specific default/c spec.hosts"},
		},
		{
			"longest wildcard", any80 + bound("default/a", `"*.com"`) + bound("default/b", `"*.foo.com"`), "a.b.foo.com", "*.foo.com:80",
			[]string{"gatewayhost/wider default/a spec.hosts", "gatewayhost/most-specific default/b spec.hosts"},
		},
		{
			"a wildcard is not the bare domain", any80 + bound("default/b", `"*.foo.com"`), "foo.com", "",
			[]string{"gatewayhost/nearest default/b spec.hosts", "gatewayhost/none default/g spec.servers[0]"},
		},
		{
			"a wildcard that is no whole label", any80 + bound("default/b", `"*foo.com"`), "barfoo.com", "*foo.com:80",
			[]string{"gatewayhost/most-specific default/b spec.hosts"},
		},
		{
			"no host at all", any80 + bound("default/a", `"*"`), "", "*:80",
			[]string{"gatewayhost/most-specific default/a spec.hosts"},
		},
		{
			"nothing serves anything", any80, "a.com", "blackhole:80",
			[]string{"gatewayroute/no-virtual-host default/g spec.servers[0]"},
		},
		{
			"a redirect without routes", gatewayYAML("default/g", server(80, "HTTP", `tls: {httpsRedirect: true}, hosts: [a.com]`)), "a.com", "a.com:80",
			[]string{"gatewayhost/most-specific default/g spec.servers[0].tls.httpsRedirect"},
		},
		{
			"bound to the mesh only", any80 + virtualServiceYAML("default/a", `{hosts: [a.com], `+to+`}`), "a.com", "blackhole:80",
			[]string{"gatewayhost/bound-to-mesh-only default/a spec.gateways", "gatewayroute/no-virtual-host default/g spec.servers[0]"},
		},
		{
			"reference to a Gateway of another namespace", any80 + virtualServiceYAML("team-a/a", `{hosts: [a.com], gateways: [mesh, g], `+to+`}`), "a.com", "blackhole:80",
			[]string{"gatewayhost/gateway-reference team-a/a spec.gateways[1]", "gatewayroute/no-virtual-host default/g spec.servers[0]"},
		},
		{
			"bound to another Gateway", any80 + gatewayYAML("default/h", server(81, "HTTP", `hosts: ["*"]`)) + virtualServiceYAML("default/a", `{hosts: [a.com], gateways: [h], `+to+`}`), "a.com", "blackhole:80",
			[]string{"gatewayhost/bound-to-other-gateway default/a spec.gateways", "gatewayroute/no-virtual-host default/g spec.servers[0]"},
		},
		{
			"not exported", any80 + virtualServiceYAML("default/a", `{hosts: [a.com], gateways: [g], exportTo: [shop], `+to+`}`), "a.com", "blackhole:80",
			[]string{"gatewayhost/not-exported default/a spec.exportTo", "gatewayroute/no-virtual-host default/g spec.servers[0]"},
		},
		{
			"exported to nobody", any80 + virtualServiceYAML("default/a", `{hosts: [a.com], gateways: [g], exportTo: ["~"], `+to+`}`), "a.com", "blackhole:80",
			[]string{"gatewayhost/not-exported default/a spec.exportTo", "gatewayroute/no-virtual-host default/g spec.servers[0]"},
		},
		{
			"server hosts do not have it", gatewayYAML("default/g", server(80, "HTTP", `hosts: [b.com]`)) + bound("default/a", "a.com, b.com"), "a.com", "",
			[]string{"gatewayhost/other-server-hosts default/a spec.hosts", "gatewayhost/nearest default/a spec.hosts", "gatewayhost/none default/g spec.servers[0]"},
		},
		{
			"server hosts have it for another namespace", gatewayYAML("default/g", server(80, "HTTP", `hosts: [ns1/a.com]`)) + bound("default/a", "a.com"), "a.com", "blackhole:80",
			[]string{"gatewayhost/server-hosts default/a spec.hosts", "gatewayroute/no-virtual-host default/g spec.servers[0]"},
		},
		{
			"server hosts narrow a wildcard", gatewayYAML("default/g", server(80, "HTTP", `hosts: [b.com]`)) + bound("default/a", `"*.com"`), "a.com", "",
			[]string{"gatewayhost/other-server-hosts default/a spec.hosts", "gatewayhost/nearest default/a spec.hosts", "gatewayhost/none default/g spec.servers[0]"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, ingressGateway+tt.manifests)
			vh, steps := tableOf(t, s, 8080, false, "").Lookup(tt.host)
			got := ""
			if vh != nil {
				got = vh.Name
			}
			if got != tt.want {
				t.Errorf("want %q, got %q", tt.want, got)
			}
			var lines []string
			for _, s := range steps {
				if s.Rule != RuleGatewayRoutes && s.Rule != RuleGatewayRoutesAge && s.Rule != RuleGatewayHTTPSRedirect {
					lines = append(lines, gatewayStepLines(t, []Step{s})...)
				}
			}
			if diff := cmp.Diff(tt.steps, lines); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGatewayLookupWithoutRoutes(t *testing.T) {
	s := snapshotOf(t, ingressGateway+gatewayYAML("default/g", server(80, "HTTP", `hosts: ["*"]`))+
		virtualServiceYAML("default/a", `{hosts: [a.com], gateways: [g], http: [{match: [{port: 8080}], route: [{destination: {host: b}}]}]}`))
	_, steps := tableOf(t, s, 8080, false, "").Lookup("a.com")
	lines := gatewayStepLines(t, steps)
	want := []string{"gatewayhost/no-routes default/a spec.http", "gatewayroute/no-virtual-host default/g spec.servers[0]"}
	if diff := cmp.Diff(want, lines[len(lines)-2:]); diff != "" {
		t.Error(diff)
	}
}

func TestGatewayReasons(t *testing.T) {
	s := snapshotOf(t, ingressGateway+gatewayYAML("istio-system/gw", server(80, "HTTP", `hosts: ["*.com"]`))+
		virtualServiceYAML("shop/a", `{hosts: [shop.com], gateways: [gw], http: [{route: [{destination: {host: b}}]}]}`)+
		virtualServiceYAML("shop/b", `{hosts: [shops.com], gateways: [istio-system/gw], http: [{route: [{destination: {host: b}}]}]}`))
	_, steps := tableOf(t, s, 8080, false, "").Lookup("shop.com")
	var got []string
	for _, s := range steps {
		got = append(got, fmt.Sprintf("%s: %s (%s / %s)", s.Ref, s.Reason(), s.Expected, s.Actual))
	}
	want := []string{
		`VirtualService shop/a spec.gateways[0]: names the host, but its gateway "gw" means shop/gw, which does not exist; istio-system/gw does (istio-system/gw / shop/gw)`,
		`VirtualService shop/b spec.hosts: brings virtual host shops.com:80, which does not take shop.com (shop.com / shops.com)`,
		`Gateway istio-system/gw spec.servers[0]: no virtual host of route configuration http.8080 has host shop.com (shops.com / shop.com)`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNearestNames(t *testing.T) {
	got := nearestNames("api.exmaple.com", []string{"web.example.com", "api.example.com", "api.example.com", "*"}, 2)
	if diff := cmp.Diff([]string{"api.example.com", "web.example.com"}, got); diff != "" {
		t.Error(diff)
	}
	if got := nearestNames("x", nil, 3); len(got) != 0 {
		t.Error(got)
	}
}

func BenchmarkGatewayLookup(b *testing.B) {
	manifests := ingressGateway + gatewayYAML("default/g", server(80, "HTTP", `hosts: ["*"]`))
	for i := range 1000 {
		manifests += virtualServiceYAML(fmt.Sprintf("default/v%d", i), fmt.Sprintf(`{hosts: [h%d.com], gateways: [g], http: [{route: [{destination: {host: b}}]}]}`, i))
	}
	s := snapshotOf(b, manifests)
	w := ingressOf(b, s)
	b.ResetTimer()
	b.ReportAllocs()
	for b.Loop() {
		g := s.MergedGateway(w)
		l, _ := g.Listener(8080)
		c, _ := l.FilterChain(false, "")
		if vh, _ := s.GatewayVirtualHosts(g, c).Lookup("h500.com"); vh == nil {
			b.Fatal("no virtual host")
		}
	}
}
