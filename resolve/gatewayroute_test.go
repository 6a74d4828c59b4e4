package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tableOf is the route table that a connection to the pod port has.
func tableOf(t testing.TB, s *Snapshot, podPort int, tls bool, sni string) *GatewayRouteTable {
	t.Helper()
	g := s.MergedGateway(ingressOf(t, s))
	l, _ := g.Listener(podPort)
	if l == nil {
		t.Fatalf("nothing listens on %d", podPort)
	}
	c, steps := l.FilterChain(tls, sni)
	if c == nil {
		t.Fatal(gatewayStepLines(t, steps))
	}
	return s.GatewayVirtualHosts(g, c)
}

// virtualHostLines are the virtual hosts of a table with their domains and routes, in order.
func virtualHostLines(table *GatewayRouteTable) []string {
	var out []string
	for _, vh := range table.VirtualHosts {
		line := fmt.Sprint(vh.Name, " ", vh.Domains, ":")
		for _, r := range vh.Routes {
			line += " " + r.VirtualService.Ref.Name + strings.TrimPrefix(r.Ref.Field, "spec.http")
		}
		if !vh.RequireTLS.IsZero() {
			line += " https by " + vh.RequireTLS.Name
		}
		out = append(out, line)
	}
	return out
}

func TestGatewayVirtualHosts(t *testing.T) {
	http := func(name string, port int, hosts string) string {
		return gatewayYAML(name, server(port, "HTTP", "hosts: ["+hosts+"]"))
	}
	to := `route: [{destination: {host: b}}]`
	all := func(name, hosts, gateways string) string {
		return virtualServiceYAML(name, `{hosts: [`+hosts+`], gateways: [`+gateways+`], http: [{`+to+`}]}`)
	}
	prefix := func(name, hosts, gateways, path string) string {
		return virtualServiceYAML(name, `{hosts: [`+hosts+`], gateways: [`+gateways+`], http: [{match: [{uri: {prefix: `+path+`}}], `+to+`}]}`)
	}
	tests := []struct {
		name, manifests string
		want            []string
	}{
		{
			"server for any host: hosts stay apart",
			http("default/g", 80, `"*"`) + all("default/a", `"*"`, "g") + prefix("default/b", "foo.com", "g", "/b"),
			[]string{"*:80 [*]: a[0]", "foo.com:80 [foo.com]: b[0].match[0]"},
		},
		{
			"server for one host: both narrow to it, the catch-all comes last",
			http("default/g", 80, "foo.com") + all("default/a", `"*"`, "g") + prefix("default/b", "foo.com", "g", "/b"),
			[]string{"foo.com:80 [foo.com]: b[0].match[0] a[0]"},
		},
		{
			"catch-all of the older one moves behind",
			http("default/g", 80, `"*.com"`) + prefix("default/a", "foo.com", "g", "/") + prefix("default/b", "foo.com", "g", "/api"),
			[]string{"foo.com:80 [foo.com]: b[0].match[0] a[0].match[0]"},
		},
		{
			"no order by specificity",
			http("default/g", 80, `"*.com"`) + prefix("default/a", "foo.com", "g", "/a") + prefix("default/b", "foo.com", "g", "/a/b"),
			[]string{"foo.com:80 [foo.com]: a[0].match[0] b[0].match[0]"},
		},
		{
			"server hosts of another namespace",
			http("default/g", 80, "ns1/*") + all("ns2/a", "x.com", "default/g"),
			[]string{"blackhole:80 [*]:"},
		},
		{
			"server hosts of its own namespace, written with a dot",
			http("default/g", 80, "./*") + all("default/a", "x.com", "g") + all("ns2/b", "y.com", "default/g"),
			[]string{"x.com:80 [x.com]: a[0]"},
		},
		{
			"two Gateways with one host, in the order of the Gateways",
			http("default/g", 80, "foo.com") + http("default/h", 80, "foo.com") + prefix("default/b", "foo.com", "g", "/g") + prefix("default/a", "foo.com", "h", "/h"),
			[]string{"foo.com:80 [foo.com]: b[0].match[0] a[0].match[0]"},
		},
		{
			"two Gateways tell hosts of namespaces apart",
			http("default/alpha", 80, `"ns-1/*.example.com"`) + http("default/beta", 80, `"ns-2/*.example.com"`) +
				all("ns-1/a", "one.example.com", "default/alpha") + all("ns-2/b", "two.example.com", "default/beta"),
			[]string{"one.example.com:80 [one.example.com]: a[0]", "two.example.com:80 [two.example.com]: b[0]"},
		},
		{
			"one VirtualService for several hosts, others for one each",
			http("default/g", 80, "foo.example.com, bar.example.com") + prefix("default/a", "foo.example.com, bar.example.com", "g", "/1") +
				prefix("default/b", "foo.example.com", "g", "/foo") + prefix("default/c", "bar.example.com", "g", "/bar"),
			[]string{
				"bar.example.com:80 [bar.example.com]: a[0].match[0] c[0].match[0]",
				"foo.example.com:80 [foo.example.com]: a[0].match[0] b[0].match[0]",
			},
		},
		{
			"the same routes are joined under the most specific name",
			http("default/g", 80, `"*"`) + all("default/a", `b.com, "*.net", aa.com, "*"`, "g"),
			[]string{"aa.com:80 [aa.com b.com *.net *]: a[0]"},
		},
		{
			"the port of the first server counts for a VirtualService of both",
			gatewayYAML("default/g", server(80, "HTTP", `hosts: ["*"]`), server(8080, "HTTP", `hosts: ["*"]`)) +
				virtualServiceYAML("default/a", `{hosts: [a.com], gateways: [g], http: [{match: [{port: 8080}], `+to+`}, {match: [{port: 80}], `+to+`}]}`),
			[]string{"a.com:80 [a.com]: a[1].match[0] a[1].match[0]"},
		},
		{
			"unless no route is for that port",
			gatewayYAML("default/g", server(80, "HTTP", `hosts: ["*"]`), server(8080, "HTTP", `hosts: ["*"]`)) +
				virtualServiceYAML("default/a", `{hosts: [a.com], gateways: [g], http: [{match: [{port: 8080}], `+to+`}]}`),
			[]string{"a.com:8080 [a.com]: a[0].match[0]"},
		},
		{
			"and two Gateways each have their own",
			http("default/g", 80, `"*"`) + http("default/h", 8080, `"*"`) +
				virtualServiceYAML("default/a", `{hosts: [a.com], gateways: [g, h], http: [{match: [{port: 8080}], `+to+`}, {match: [{port: 80}], `+to+`}]}`),
			[]string{"a.com:80 [a.com]: a[1].match[0] a[0].match[0]"},
		},
		{
			"hosts are compared as they are written, domains are lower case",
			http("default/g", 80, "Foo.com") + all("default/a", "Foo.com", "g") + all("default/b", "foo.com", "g"),
			[]string{"foo.com:80 [foo.com]: a[0]"},
		},
		{
			"one redirecting server marks the host of both",
			gatewayYAML("default/g", server(80, "HTTP", `tls: {httpsRedirect: true}, hosts: [a.com]`)) + http("default/h", 80, "a.com") +
				all("default/a", "a.com", "h"),
			[]string{"a.com:80 [a.com]: a[0] https by g"},
		},
		{
			"a redirect without a VirtualService",
			gatewayYAML("default/g", server(80, "HTTP", `tls: {httpsRedirect: true}, hosts: [a.com, b.com]`)) + all("default/a", "a.com", "g"),
			[]string{"a.com:80 [a.com]: a[0] https by g", "b.com:80 [b.com]: https by g"},
		},
		{
			"a redirect of a host with a namespace is for nobody",
			gatewayYAML("default/g", server(80, "HTTP", `tls: {httpsRedirect: true}, hosts: [ns1/a.com]`)),
			[]string{"ns1/a.com:80 [ns1/a.com]: https by g"},
		},
		{
			"not exported to the gateway's namespace",
			http("default/g", 80, `"*"`) + virtualServiceYAML("default/a", `{hosts: [a.com], exportTo: ["."], gateways: [g], http: [{`+to+`}]}`),
			[]string{"blackhole:80 [*]:"},
		},
		{
			"exported to it by name",
			http("default/g", 80, `"*"`) + virtualServiceYAML("default/a", `{hosts: [a.com], exportTo: [istio-system], gateways: [g], http: [{`+to+`}]}`),
			[]string{"a.com:80 [a.com]: a[0]"},
		},
		{
			"gateways of a match alone do not bind",
			http("default/g", 80, `"*"`) + virtualServiceYAML("default/a", `{hosts: [a.com], http: [{match: [{gateways: [default/g]}], `+to+`}]}`),
			[]string{"blackhole:80 [*]:"},
		},
		{
			"private and exported ones come before public ones",
			http("default/g", 80, `"*"`) + prefix("default/a", "a.com", "g", "/public") +
				virtualServiceYAML("default/b", `{hosts: [a.com], exportTo: [istio-system], gateways: [g], http: [{match: [{uri: {prefix: /exported}}], `+to+`}]}`) +
				virtualServiceYAML("istio-system/c", `{hosts: [a.com], exportTo: ["."], gateways: [default/g], http: [{match: [{uri: {prefix: /private}}], `+to+`}]}`),
			[]string{"a.com:80 [a.com]: c[0].match[0] b[0].match[0] a[0].match[0]"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, ingressGateway+tt.manifests)
			table := tableOf(t, s, 8080, false, "")
			if diff := cmp.Diff(tt.want, virtualHostLines(table)); diff != "" {
				t.Error(diff)
			}
			if table.Name != "http.8080" {
				t.Errorf("name %s", table.Name)
			}
			for _, vh := range table.VirtualHosts {
				gatewayStepLines(t, vh.Steps)
			}
			if again := tableOf(t, s, 8080, false, ""); again != table {
				t.Error("the table was built twice")
			}
		})
	}
}

func TestGatewayHTTPSTables(t *testing.T) {
	s := snapshotOf(t, ingressGateway+
		gatewayYAML("default/g", server(443, "HTTPS", `tls: {mode: SIMPLE, credentialName: c}, hosts: [a.com]`))+
		gatewayYAML("default/h", server(443, "HTTPS", `tls: {mode: SIMPLE, credentialName: c}, hosts: [b.com]`))+
		virtualServiceYAML("default/a", `{hosts: [a.com], gateways: [g], http: [{route: [{destination: {host: b}}]}]}`)+
		virtualServiceYAML("default/b", `{hosts: [b.com], gateways: [h], http: [{route: [{destination: {host: b}}]}]}`))
	table := tableOf(t, s, 8443, true, "a.com")
	if diff := cmp.Diff([]string{"a.com:443 [a.com]: a[0]"}, virtualHostLines(table)); diff != "" {
		t.Error(diff)
	}
	if table.Name != "https.443.https-443.g.default" {
		t.Errorf("name %s", table.Name)
	}
	vh, steps := table.Lookup("b.com")
	if vh != nil {
		t.Error("the table of one server has the host of the other")
	}
	want := []string{"gatewayhost/bound-to-other-gateway default/b spec.gateways", "gatewayhost/nearest default/a spec.hosts", "gatewayhost/none default/g spec.servers[0]"}
	if diff := cmp.Diff(want, gatewayStepLines(t, steps)); diff != "" {
		t.Error(diff)
	}
	if s.GatewayVirtualHosts(s.MergedGateway(ingressOf(t, s)), &GatewayFilterChain{Kind: GatewayTCP}) != nil {
		t.Error("a TCP chain has a route table")
	}
}

func TestVirtualHostSteps(t *testing.T) {
	tests := []struct {
		name, created string
		want          []string
	}{
		{"ages unknown", "", []string{
			"gatewayroute/virtual-service default/a", "gatewayroute/https-redirect default/g spec.servers[0].tls.httpsRedirect",
			"gatewayroute/virtual-service default/b", "gatewayroute/age-unknown default/b",
		}},
		{"ages known", `, creationTimestamp: "2020-01-01T00:00:00Z"`, []string{
			"gatewayroute/virtual-service default/a", "gatewayroute/https-redirect default/g spec.servers[0].tls.httpsRedirect",
			"gatewayroute/virtual-service default/b",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := snapshotOf(t, ingressGateway+gatewayYAML("default/g", server(80, "HTTP", `tls: {httpsRedirect: true}, hosts: ["*"]`))+
				virtualServiceYAML("default/a", `{hosts: [a.com], gateways: [g], http: [{match: [{uri: {prefix: /a}}], route: [{destination: {host: b}}]}]}`)+
				strings.Replace(virtualServiceYAML("default/b", `{hosts: [a.com], gateways: [g], http: [{match: [{uri: {prefix: /b}}], route: [{destination: {host: b}}]}]}`),
					"namespace: default", "namespace: default"+tt.created, 1))
			vh, _ := tableOf(t, s, 8080, false, "").Lookup("a.com")
			if diff := cmp.Diff(tt.want, gatewayStepLines(t, vh.Steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIntersectHosts(t *testing.T) {
	tests := []struct {
		name       string
		a, b, want []string
	}{
		{"exact within wildcard", []string{"foo.com", "bar.com"}, []string{"*.com"}, []string{"foo.com", "bar.com"}},
		{"both ways", []string{"foo.com", "*.net"}, []string{"*.com", "bar.net"}, []string{"foo.com", "bar.net"}},
		{"narrower wildcard", []string{"foo.com", "*.net"}, []string{"*.bar.net"}, []string{"*.bar.net"}},
		{"apart", []string{"foo.com"}, []string{"bar.com"}, nil},
		{"empty", nil, []string{"bar.com"}, nil},
		{"once", []string{"*", "*.com"}, []string{"foo.com"}, []string{"foo.com"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, intersectHosts(tt.a, tt.b)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
