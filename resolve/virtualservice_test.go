package resolve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// routeStepLines is each step as "verdict rule REF: reason [expected | actual]".
func routeStepLines(t testing.TB, steps []Step) []string {
	t.Helper()
	var out []string
	for _, s := range steps {
		if LookupRule(s.Rule).Stage == "" || strings.Contains(s.Reason(), "%!") {
			t.Errorf("step of rule %q is not listed or does not fit its template: %s", s.Rule, s.Reason())
		}
		line := fmt.Sprintf("%s %s", s.Verdict, s.Rule)
		if !s.Ref.IsZero() {
			line += " " + s.Ref.QualifiedName() + " " + s.Ref.Field
		}
		line += ": " + s.Reason()
		if s.Expected+s.Actual != "" {
			line += " [" + s.Expected + " | " + s.Actual + "]"
		}
		out = append(out, line)
	}
	return out
}

func TestVirtualServicesExpandsNames(t *testing.T) {
	s := snapshotOf(t, `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all, namespace: shop}
spec:
  hosts: [Reviews, reviews.shop, "*", 10.1.2.3, "2001:db8::1", "*.Example.com"]
  gateways: [mesh, gw, ./gw, other/gw, gw.other, gw.other.svc.cluster.local]
  http:
  - match: [{gateways: [gw, mesh]}]
    route: [{destination: {host: reviews}}, {destination: {host: reviews.shop}}]
    mirror: {host: shadow}
    mirrors: [{destination: {host: shadow2}}]
  tcp:
  - match: [{gateways: [gw]}]
    route: [{destination: {host: db}}]
  tls:
  - match: [{gateways: [gw], sniHosts: [a.com]}]
    route: [{destination: {host: secure}}]
`)
	vs := s.VirtualServices()[0]
	http, tcp, tls := vs.Spec.Http[0], vs.Spec.Tcp[0], vs.Spec.Tls[0]
	for _, c := range []struct {
		name      string
		want, got any
	}{
		{"hosts", []string{"Reviews.shop.svc.cluster.local", "reviews.shop", "*", "10.1.2.3", "2001:db8::1", "*.Example.com"}, vs.Spec.Hosts},
		{"gateways", []string{"mesh", "shop/gw", "shop/gw", "other/gw", "other/gw", "other/gw"}, vs.Gateways},
		{"http gateways", []string{"shop/gw", "mesh"}, http.Match[0].Gateways},
		{"tcp gateways", []string{"shop/gw"}, tcp.Match[0].Gateways},
		{"tls gateways", []string{"shop/gw"}, tls.Match[0].Gateways},
		{"short destination", "reviews.shop.svc.cluster.local", http.Route[0].Destination.Host},
		{"dotted destination", "reviews.shop", http.Route[1].Destination.Host},
		{"mirror", "shadow.shop.svc.cluster.local", http.Mirror.Host},
		{"mirrors", "shadow2.shop.svc.cluster.local", http.Mirrors[0].Destination.Host},
		{"tcp destination", "db.shop.svc.cluster.local", tcp.Route[0].Destination.Host},
		{"tls destination", "secure.shop.svc.cluster.local", tls.Route[0].Destination.Host},
		{"http refs", []string{"spec.http[0]"}, []string{vs.HTTPRefs[0].Field}},
		{"steps", []string{
			`applied virtualservice/legacy-gateway-name shop/all spec.gateways[4]: gateway "gw.other" is read as other/gw`,
			`applied virtualservice/legacy-gateway-name shop/all spec.gateways[5]: gateway "gw.other.svc.cluster.local" is read as other/gw`,
		}, routeStepLines(t, vs.Steps)},
		{"the resource itself is as it was", "Reviews", s.RawVirtualServices[0].Spec.Hosts[0]},
		{"the resource's match is as it was", "gw", s.RawVirtualServices[0].Spec.Http[0].Match[0].Gateways[0]},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVirtualServicesListsThemByAgeWithoutDelegates(t *testing.T) {
	s := snapshotOf(t, `
kind: MeshConfig
defaultVirtualServiceExportTo: ["."]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b, namespace: shop}
spec: {hosts: [b.com], exportTo: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: shop}
spec: {hosts: [a.com]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: delegate, namespace: shop}
spec: {http: [{route: [{destination: {host: x}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: oldest, namespace: shop, creationTimestamp: "2020-01-01T00:00:00Z"}
spec: {hosts: [c.com], exportTo: [other]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: made-of-route
  namespace: shop
  annotations: {internal.istio.io/route-semantics: gateway}
spec: {hosts: [short]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: made-of-ingress
  namespace: shop
  annotations: {internal.istio.io/route-semantics: ingress}
spec: {hosts: [short]}
`)
	var got []string
	for _, vs := range s.VirtualServices() {
		got = append(got, fmt.Sprintf("%s %s public=%t shop=%t other=%t %v %q",
			vs.Ref.Name, vs.Spec.Hosts[0], vs.ExportTo.Public(), vs.ExportTo.VisibleIn("shop"), vs.ExportTo.VisibleIn("other"), vs.Gateways, vs.Semantics))
	}
	want := []string{
		`a a.com public=false shop=true other=false [mesh] ""`,
		`b b.com public=true shop=true other=true [mesh] ""`,
		`made-of-ingress short.shop.svc.cluster.local public=false shop=true other=false [mesh] "ingress"`,
		`made-of-route short public=false shop=true other=false [mesh] "gateway"`,
		`oldest c.com public=false shop=false other=true [mesh] ""`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
