package resolve

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networking "istio.io/api/networking/v1alpha3"
)

// routesOf builds the routes of one VirtualService whose spec.http is given.
func routesOf(t testing.TB, http string, port int, gateway string, proxy *Workload) ([]*Route, []Step) {
	t.Helper()
	s := snapshotOf(t, `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: shop}
spec:
  hosts: [reviews]
  http:
  `+strings.ReplaceAll(http, "\n", "\n  "))
	return BuildRoutes(s.VirtualServices()[0], port, map[string]bool{gateway: true}, proxy)
}

func TestBuildRoutes(t *testing.T) {
	web := &Workload{Namespace: "shop", Labels: map[string]string{"app": "b"}, Owner: Ref{Namespace: "shop", Name: "web"}}
	tests := []struct {
		name, http string
		port       int
		gateway    string
		proxy      *Workload
		// want is each route as "name field", with "*" for a catch-all.
		want  []string
		steps []string
	}{
		{
			name: "names", http: "- name: e\n  match: [{name: m, uri: {prefix: /a}}, {uri: {prefix: /b}}]\n- match: [{name: m, uri: {prefix: /c}}]\n- name: last",
			want: []string{"e.m spec.http[0].match[0]", "e spec.http[0].match[1]", ".m spec.http[1].match[0]", "last spec.http[2]*"},
		},
		{
			name: "an entry without match takes all", http: "- name: a\n- name: b\n  match: [{uri: {prefix: /v2}}]",
			want:  []string{"a spec.http[0]*"},
			steps: []string{"skipped route/behind-catch-all shop/v spec.http[1]: it stands after VirtualService shop/v spec.http[0], which takes every request"},
		},
		{
			name: "a catch-all match ends its own entry too", http: "- match: [{uri: {prefix: /a}}, {uri: {prefix: /}}, {uri: {prefix: /b}}]\n- name: b",
			want: []string{" spec.http[0].match[0]", " spec.http[0].match[1]*"},
			steps: []string{
				"skipped route/behind-catch-all shop/v spec.http[0].match[2]: it stands after VirtualService shop/v spec.http[0].match[1], which takes every request",
				"skipped route/behind-catch-all shop/v spec.http[1]: it stands after VirtualService shop/v spec.http[0].match[1], which takes every request",
			},
		},
		{
			name: "a match of another port does not end the list", http: "- match: [{port: 8080}]\n- match: [{uri: {prefix: /}}]\n  name: x",
			want:  []string{"x spec.http[1].match[0]*"},
			steps: []string{"skipped route/match-port shop/v spec.http[0].match[0].port: its match is for port 8080, and this listener's port is 80 [port 8080 | port 80]"},
		},
		{
			name: "another caller's labels leave nothing", http: "- match: [{sourceLabels: {app: a}}]",
			steps: []string{
				"skipped route/source-labels shop/v spec.http[0].match[0].sourceLabels: its match is for sources with label app=a, and shop/web has app=b [label app=a | app=b]",
				"skipped route/none-applies shop/v : no http rule of it applies to this proxy on port 80",
			},
		},
		{
			name: "a label the caller lacks", http: "- match: [{sourceLabels: {tier: a}}]\n- name: x",
			want:  []string{"x spec.http[1]*"},
			steps: []string{"skipped route/source-labels shop/v spec.http[0].match[0].sourceLabels: its match is for sources with label tier=a, and shop/web has no label tier [label tier=a | no label tier]"},
		},
		{
			name: "gateways stand instead of labels", http: "- match: [{gateways: [mesh], sourceLabels: {app: a}, sourceNamespace: other}]",
			want:  []string{" spec.http[0].match[0]*"},
			steps: []string{"applied route/gateways-instead-of-source shop/v spec.http[0].match[0].gateways: its match names gateways, so its sourceLabels and sourceNamespace are not looked at"},
		},
		{
			name: "other gateways", http: "- match: [{gateways: [gw, other/gw]}]\n- name: x",
			want:  []string{"x spec.http[1]*"},
			steps: []string{"skipped route/match-gateways shop/v spec.http[0].match[0].gateways: its match is for gateways shop/gw, other/gw, and this is a sidecar (mesh) [gateways shop/gw, other/gw | a sidecar (mesh)]"},
		},
		{
			name: "its own gateway", http: "- match: [{gateways: [gw]}]\n- match: [{gateways: [mesh]}]", gateway: "shop/gw",
			want:  []string{" spec.http[0].match[0]*"},
			steps: []string{"skipped route/behind-catch-all shop/v spec.http[1]: it stands after VirtualService shop/v spec.http[0].match[0], which takes every request"},
		},
		{
			name: "not this gateway", http: "- match: [{gateways: [mesh]}]\n- name: x", gateway: "shop/gw",
			want:  []string{"x spec.http[1]*"},
			steps: []string{"skipped route/match-gateways shop/v spec.http[0].match[0].gateways: its match is for gateways mesh, and this is gateway shop/gw [gateways mesh | gateway shop/gw]"},
		},
		{
			name: "another namespace", http: "- match: [{sourceNamespace: other}]\n- match: [{sourceNamespace: shop, sourceLabels: {app: b}}]",
			want:  []string{" spec.http[1].match[0]*"},
			steps: []string{"skipped route/source-namespace shop/v spec.http[0].match[0].sourceNamespace: its match is for sources in namespace other, and the proxy is in shop [namespace other | namespace shop]"},
		},
		{
			name: "labels of an assumed caller", http: "- match: [{sourceLabels: {v: c, app: b}}]\n- name: x", proxy: &Workload{Namespace: "shop", Anonymous: true},
			want:  []string{"x spec.http[1]*"},
			steps: []string{"warning route/source-labels-unknown shop/v spec.http[0].match[0].sourceLabels: its match is for sources with labels app=b, v=c; the labels of the assumed client are not known, so it is taken not to apply"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.proxy == nil {
				tt.proxy = web
			}
			if tt.gateway == "" {
				tt.gateway = MeshGateway
			}
			routes, steps := routesOf(t, tt.http, 80, tt.gateway, tt.proxy)
			var got []string
			for _, r := range routes {
				line := r.Name + " " + r.Ref.Field
				if r.CatchAll {
					line += "*"
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.steps, routeStepLines(t, steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRouteCatchAll(t *testing.T) {
	tests := []struct {
		name, match string
		want        bool
	}{
		{"prefix /", `{uri: {prefix: /}}`, true},
		{"regex .*", `{uri: {regex: ".*"}}`, true},
		{"regex /.* takes all but is none", `{uri: {regex: "/.*"}}`, false},
		{"no uri", `{name: a}`, true},
		{"empty uri", `{uri: {}}`, true},
		{"prefix /a", `{uri: {prefix: /a}}`, false},
		{"exact /", `{uri: {exact: /}}`, false},
		{"port alone", `{port: 80}`, true},
		{"ignoreUriCase", `{uri: {prefix: /}, ignoreUriCase: true}`, true},
		{"header", `{headers: {x: {exact: a}}}`, false},
		{"presence of a header", `{headers: {x: {}}}`, false},
		{"withoutHeaders", `{withoutHeaders: {x: {exact: a}}}`, false},
		{"claim", `{headers: {"@request.auth.claims.a": {exact: a}}}`, false},
		{"query", `{queryParams: {x: {exact: a}}}`, false},
		{"method", `{method: {exact: GET}}`, false},
		{"scheme", `{scheme: {exact: http}}`, false},
		{"authority", `{authority: {exact: a}}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			routes, _ := routesOf(t, "- match: ["+tt.match+"]", 80, MeshGateway, &Workload{})
			if got := routes[0].CatchAll; got != tt.want {
				t.Errorf("want %t, got %t", tt.want, got)
			}
		})
	}
}

func TestSortCatchAllLast(t *testing.T) {
	tests := []struct {
		name, in, want string
		steps          []string
	}{
		{name: "nothing to move", in: "a b c* d*", want: "a b c* d*"},
		{
			name: "moved behind, order kept", in: "a* b c* d", want: "b d a* c*",
			steps: []string{
				"applied route/catch-all-last  a*: it takes every request, so it was moved from place 1 to place 3 of 4",
				"applied route/catch-all-last  c*: it takes every request, so it was moved from place 3 to place 4 of 4",
			},
		},
		{name: "none", in: "", want: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var routes []*Route
			for _, name := range strings.Fields(tt.in) {
				routes = append(routes, &Route{Ref: Ref{Field: name}, CatchAll: strings.HasSuffix(name, "*")})
			}
			sorted, steps := SortCatchAllLast(routes)
			var got []string
			for _, r := range sorted {
				got = append(got, r.Ref.Field)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.steps, routeStepLines(t, steps)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRoutesOfOddInput(t *testing.T) {
	odd := &VirtualService{Spec: &networking.VirtualService{
		Http: []*networking.HTTPRoute{{Match: []*networking.HTTPMatchRequest{{Port: 1}}}, {Route: []*networking.HTTPRouteDestination{nil}, Match: []*networking.HTTPMatchRequest{nil}}, nil},
		Tcp:  []*networking.TCPRoute{nil, {Match: []*networking.L4MatchAttributes{nil}, Route: []*networking.RouteDestination{nil}}},
		Tls:  []*networking.TLSRoute{nil, {Match: []*networking.TLSMatchAttributes{nil}, Route: []*networking.RouteDestination{nil}}},
	}}
	if routes, _ := BuildRoutes(&VirtualService{}, 80, nil, nil); routes != nil {
		t.Errorf("nothing comes of nothing, got %v", routes)
	}
	routes, _ := BuildRoutes(odd, 80, nil, nil)
	q := &HTTPRequest{}
	for _, r := range append(routes, &Route{}, &Route{HTTP: &networking.HTTPRoute{}}) {
		r.Matches(q)
		ActionOf(r)
		RedirectLocation(r, q)
		Rewrite(r, q)
		Forward(r, WeightedDestination{}, q)
		Fault(r)
		CORS(r, q)
		Mirrors(r)
		Timeout(r)
		Retries(r, nil)
		DirectResponse(r)
	}
	if d := Destinations(routes[0]); len(d) != 1 || d[0].Destination.GetHost() != "" {
		t.Errorf("a destination without host stays one, got %v", d)
	}
	odd.Spec.Hosts = []string{"a.com"}
	l4 := L4Query{Hosts: []string{"a.com"}}
	if MatchTCPRoute([]*VirtualService{odd, {}}, l4).Route == nil || MatchTLSRoute([]*VirtualService{odd, {}}, l4).Route == nil {
		t.Error("a match without conditions takes everything")
	}
}
