package pilot_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAmbient says what istiod's ambient mode, ztunnel and waypoints do with one request, on meshes made by hand.
func TestAmbient(t *testing.T) {
	deny := func(namespace, of string) string {
		return policy("AuthorizationPolicy", namespace, "{action: DENY, rules: [{from: [{source: {namespaces: ["+of+"]}}]}]}")
	}
	strict := policy("PeerAuthentication", "shop", "{mtls: {mode: STRICT}}")
	use := "istio.io/use-waypoint: wp"
	for _, c := range []struct {
		name, mesh, from, host string
		port                   int
		path                   string
		want                   []string
	}{
		{
			name: "ambient to ambient",
			mesh: mesh("", ""),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/web`,
			},
		},
		{
			name: "port not declared",
			mesh: mesh("", ""),
			from: "shop/web", host: "cart", port: 81, path: "/",
			want: []string{
				`Unavailable 0 no healthy upstream 0`,
				`  ztunnel outbound shop/web plaintext`,
			},
		},
		{
			name: "to outside",
			mesh: mesh("", ""),
			from: "shop/web", host: "203.0.113.7", port: 81, path: "/",
			want: []string{
				`Delivered 0 203.0.113.7 81`,
				`  ztunnel outbound shop/web plaintext`,
			},
		},
		{
			name: "ambient to sidecar",
			mesh: mesh("", ""),
			from: "shop/web", host: "proxied.edge", port: 80, path: "/",
			want: []string{
				`Delivered 0 edge/proxied 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  sidecar inbound edge/proxied plaintext virtualInbound 0.0.0.0_8080 inbound|8080||`,
			},
		},
		{
			name: "ambient to strict sidecar",
			mesh: mesh("", "", policy("PeerAuthentication", "edge", "{mtls: {mode: STRICT}}")),
			from: "shop/web", host: "proxied.edge", port: 80, path: "/",
			want: []string{
				`Reset 0 NR filter_chain_not_found 0 no filter chain`,
				`  ztunnel outbound shop/web plaintext`,
				`  sidecar inbound edge/proxied plaintext virtualInbound`,
			},
		},
		{
			name: "ambient to plain",
			mesh: mesh("", ""),
			from: "shop/web", host: "plain.outer", port: 80, path: "/",
			want: []string{
				`Delivered 0 outer/plain 8080`,
				`  ztunnel outbound shop/web plaintext`,
			},
		},
		{
			name: "sidecar to ambient",
			mesh: mesh("", ""),
			from: "edge/proxied", host: "cart.shop", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  sidecar outbound edge/proxied plaintext 0.0.0.0_80 outbound|80||cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/edge/sa/proxied`,
			},
		},
		{
			name: "sidecar to ambient with waypoint",
			mesh: mesh(use, "", waypointOfShop),
			from: "edge/proxied", host: "cart.shop", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  sidecar outbound edge/proxied plaintext 0.0.0.0_80 outbound|80||cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/edge/sa/proxied`,
			},
		},
		{
			name: "plain to ambient",
			mesh: mesh("", ""),
			from: "outer/plain", host: "cart.shop", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  ztunnel inbound shop/cart plaintext`,
			},
		},
		{
			name: "plain to strict ambient",
			mesh: mesh("", "", strict),
			from: "outer/plain", host: "cart.shop", port: 80, path: "/",
			want: []string{
				`Denied 0 DENY connection closed due to policy rejection: explicitly denied by: istio-system/istio_converted_static_strict 0`,
				`  ztunnel inbound shop/cart plaintext`,
			},
		},
		{
			name: "ambient to strict ambient",
			mesh: mesh("", "", strict),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/web`,
			},
		},
		{
			name: "L4 deny",
			mesh: mesh("", "", deny("shop", "shop")),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Denied 0 DENY connection closed due to policy rejection: explicitly denied by: shop/p 0`,
				`  ztunnel outbound shop/web plaintext`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/web`,
			},
		},
		{
			name: "L4 deny of a sidecar, HTTP",
			mesh: mesh("", "", deny("shop", "edge")),
			from: "edge/proxied", host: "cart.shop", port: 80, path: "/",
			want: []string{
				`Denied 503 DENY connection closed due to policy rejection: explicitly denied by: shop/p 0`,
				`  sidecar outbound edge/proxied plaintext 0.0.0.0_80 outbound|80||cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/edge/sa/proxied`,
			},
		},
		{
			name: "L4 deny of a sidecar, TCP",
			mesh: mesh("", "", deny("shop", "edge")),
			from: "edge/proxied", host: "cart.shop", port: 90,
			want: []string{
				`Denied 0 DENY connection closed due to policy rejection: explicitly denied by: shop/p 0`,
				`  sidecar outbound edge/proxied plaintext 10.96.0.2_90 outbound|90||cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/edge/sa/proxied`,
			},
		},
		{
			name: "waypoint",
			mesh: mesh(use, "", waypointOfShop),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway shop/wp HBONE ns/shop/sa/web main_internal inbound-vip|80|http|cart.shop.svc.cluster.local inbound-vip|80|http|cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/wp`,
			},
		},
		{
			name: "waypoint, TCP",
			mesh: mesh(use, "", waypointOfShop),
			from: "shop/web", host: "cart", port: 90,
			want: []string{
				`Delivered 0 shop/cart 9090`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway shop/wp HBONE ns/shop/sa/web main_internal inbound-vip|90|tcp|cart.shop.svc.cluster.local inbound-vip|90|tcp|cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/wp`,
			},
		},
		{
			name: "waypoint, port not declared",
			mesh: mesh(use, "", waypointOfShop),
			from: "shop/web", host: "cart", port: 91, path: "/",
			want: []string{
				`Reset 0 NR filter_chain_not_found 0 no filter chain`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway shop/wp HBONE ns/shop/sa/web main_internal`,
			},
		},
		{
			name: "waypoint and a policy for it",
			mesh: mesh(use, "", waypointOfShop, policy("AuthorizationPolicy", "shop", "{targetRefs: [{kind: Service, name: cart, group: ''}], rules: [{to: [{operation: {paths: [/ok]}}]}]}")),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Denied 403 rbac_access_denied_matched_policy[none] 0`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway shop/wp HBONE ns/shop/sa/web main_internal inbound-vip|80|http|cart.shop.svc.cluster.local`,
			},
		},
		{
			name: "waypoint and a policy that names the client",
			mesh: mesh(use, "", waypointOfShop, policy("AuthorizationPolicy", "shop", "{targetRefs: [{kind: Service, name: cart, group: ''}], rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]}")),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway shop/wp HBONE ns/shop/sa/web main_internal inbound-vip|80|http|cart.shop.svc.cluster.local inbound-vip|80|http|cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/wp`,
			},
		},
		{
			name: "waypoint and a selector's policy that names the client",
			mesh: mesh(use, "", waypointOfShop, policy("AuthorizationPolicy", "shop", "{selector: {matchLabels: {app: cart}}, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]}")),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Denied 503 DENY connection closed due to policy rejection: allow policies exist, but none allowed 0`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway shop/wp HBONE ns/shop/sa/web main_internal inbound-vip|80|http|cart.shop.svc.cluster.local inbound-vip|80|http|cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/wp`,
			},
		},
		{
			name: "waypoint: none",
			mesh: mesh("istio.io/use-waypoint: none", "", waypointOfShop),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/web`,
			},
		},
		{
			name: "waypoint: no such",
			mesh: mesh("istio.io/use-waypoint: bogus", "", waypointOfShop),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/web`,
			},
		},
		{
			name: "waypoint for workloads",
			mesh: mesh(use, "istio.io/waypoint-for: workload", waypointOfShop),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/web`,
			},
		},
		{
			name: "waypoint scaled to zero",
			mesh: mesh(use, "", waypointOfShop, scaledToZero),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Unavailable 0 unknown waypoint 0`,
				`  ztunnel outbound shop/web plaintext`,
			},
		},
		{
			name: "gateway",
			mesh: mesh("", "", ingressGateway),
			from: "edge/in-istio", host: "any.example", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  gateway gateway edge/in-istio plaintext 0.0.0.0_80 outbound|80||cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/edge/sa/in-istio`,
			},
		},
		{
			name: "gateway, waypoint",
			mesh: mesh(use, "", waypointOfShop, ingressGateway),
			from: "edge/in-istio", host: "any.example", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  gateway gateway edge/in-istio plaintext 0.0.0.0_80 outbound|80||cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/edge/sa/in-istio`,
			},
		},
		{
			name: "gateway, waypoint by ingress",
			mesh: mesh(use+", istio.io/ingress-use-waypoint: 'true'", "", waypointOfShop, ingressGateway),
			from: "edge/in-istio", host: "any.example", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  gateway gateway edge/in-istio plaintext 0.0.0.0_80 outbound|80||cart.shop.svc.cluster.local`,
				`  waypoint gateway shop/wp HBONE ns/edge/sa/in-istio main_internal inbound-vip|80|http|cart.shop.svc.cluster.local inbound-vip|80|http|cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/wp`,
			},
		},
		{
			name: "gateway, waypoint by ingress, scaled to zero",
			mesh: mesh(use+", istio.io/ingress-use-waypoint: 'true'", "", waypointOfShop, ingressGateway, scaledToZero),
			from: "edge/in-istio", host: "any.example", port: 80, path: "/",
			want: []string{
				`Unavailable 503 UH no_healthy_upstream 0`,
				`  gateway gateway edge/in-istio plaintext 0.0.0.0_80 outbound|80||cart.shop.svc.cluster.local`,
			},
		},
		{
			name: "gateway, L4 deny",
			mesh: mesh("", "", ingressGateway, deny("shop", "edge")),
			from: "edge/in-istio", host: "any.example", port: 80, path: "/",
			want: []string{
				`Denied 503 DENY connection closed due to policy rejection: explicitly denied by: shop/p 0`,
				`  gateway gateway edge/in-istio plaintext 0.0.0.0_80 outbound|80||cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/edge/sa/in-istio`,
			},
		},
		{
			name: "waypoint, L4 deny of it",
			mesh: mesh(use, "", waypointOfShop, deny("shop", "shop")),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Denied 503 DENY connection closed due to policy rejection: explicitly denied by: shop/p 0`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway shop/wp HBONE ns/shop/sa/web main_internal inbound-vip|80|http|cart.shop.svc.cluster.local inbound-vip|80|http|cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/wp`,
			},
		},
		{
			name: "waypoint of another namespace, not let",
			mesh: mesh("istio.io/use-waypoint: wp, istio.io/use-waypoint-namespace: outer", "", waypointOfOuter("Same")),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/web`,
			},
		},
		{
			name: "waypoint of another namespace",
			mesh: mesh("istio.io/use-waypoint: wp, istio.io/use-waypoint-namespace: outer", "", waypointOfOuter("All")),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway outer/wp HBONE ns/shop/sa/web main_internal inbound-vip|80|http|cart.shop.svc.cluster.local inbound-vip|80|http|cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/outer/sa/wp`,
			},
		},
		{
			name: "waypoint to a sidecar",
			mesh: mesh("", "", waypointOfOuter("All"), proxiedUses),
			from: "shop/web", host: "proxied.edge", port: 80, path: "/",
			want: []string{
				`Delivered 0 edge/proxied 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway outer/wp HBONE ns/shop/sa/web main_internal inbound-vip|80|http|proxied.edge.svc.cluster.local inbound-vip|80|http|proxied.edge.svc.cluster.local`,
				`  sidecar inbound edge/proxied plaintext virtualInbound 0.0.0.0_8080 inbound|8080||`,
			},
		},
		{
			name: "waypoint for workloads, by address",
			mesh: mesh("", "istio.io/waypoint-for: workload", waypointOfShop, cartUses),
			from: "shop/web", host: cartAddress, port: 8080, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway shop/wp HBONE ns/shop/sa/web main_internal direct-http encap`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/wp`,
			},
		},
		{
			name: "waypoint for workloads, by address, of a sidecar",
			mesh: mesh("", "istio.io/waypoint-for: workload", waypointOfShop, cartUses),
			from: "edge/proxied", host: cartAddress, port: 8080, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  sidecar outbound edge/proxied plaintext virtualOutbound virtualOutbound-catchall-tcp PassthroughCluster`,
				`  ztunnel inbound shop/cart plaintext`,
			},
		},
		{
			name: "by address, no waypoint",
			mesh: mesh(use, "", waypointOfShop),
			from: "shop/web", host: cartAddress, port: 8080, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/web`,
			},
		},
		{
			name: "what the waypoint sees",
			mesh: mesh(use, "", waypointOfShop, policy("AuthorizationPolicy", "shop", "{targetRefs: [{kind: Service, name: cart, group: ''}], rules: [{from: [{source: {ipBlocks: ["+webAddress+"]}}], to: [{operation: {ports: ['80']}}]}]}")),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Delivered 0 shop/cart 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway shop/wp HBONE ns/shop/sa/web main_internal inbound-vip|80|http|cart.shop.svc.cluster.local inbound-vip|80|http|cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/wp`,
			},
		},
		{
			name: "egress",
			mesh: mesh("", "", waypointOfShop, entry),
			from: "shop/web", host: "198.51.100.1", port: 80, path: "/",
			want: []string{
				`Delivered 0 198.51.100.2 80`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway shop/wp HBONE ns/shop/sa/web main_internal inbound-vip|80|http|entry.example inbound-vip|80|http|entry.example`,
			},
		},
		{
			name: "sidecar that takes HBONE",
			mesh: mesh("", "", tunnelled, policy("PeerAuthentication", "edge", "{mtls: {mode: STRICT}}")),
			from: "shop/web", host: "proxied.edge", port: 80, path: "/",
			want: []string{
				`Delivered 0 edge/proxied 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  sidecar inbound edge/proxied HBONE ns/shop/sa/web main_internal 0.0.0.0_8080 inbound|8080||`,
			},
		},
		{
			name: "policy of a sidecar that takes HBONE",
			mesh: mesh("", "", tunnelled, policy("AuthorizationPolicy", "edge", "{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}]}")),
			from: "shop/web", host: "proxied.edge", port: 80, path: "/",
			want: []string{
				`Delivered 0 edge/proxied 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  sidecar inbound edge/proxied HBONE ns/shop/sa/web main_internal 0.0.0.0_8080 inbound|8080||`,
			},
		},
		{
			name: "default deny of the mesh",
			mesh: mesh(use, "", waypointOfShop, policy("AuthorizationPolicy", "istio-system", "{}")),
			from: "shop/web", host: "cart", port: 80, path: "/",
			want: []string{
				`Denied 503 DENY connection closed due to policy rejection: allow policies exist, but none allowed 0`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway shop/wp HBONE ns/shop/sa/web main_internal inbound-vip|80|http|cart.shop.svc.cluster.local inbound-vip|80|http|cart.shop.svc.cluster.local`,
				`  ztunnel inbound shop/cart HBONE ns/shop/sa/wp`,
			},
		},
		{
			name: "waypoint and a route",
			mesh: mesh(use, "", waypointOfShop, routeOfCart),
			from: "shop/web", host: "cart", port: 80, path: "/elsewhere",
			want: []string{
				`Delivered 0 edge/proxied 8080`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway shop/wp HBONE ns/shop/sa/web main_internal inbound-vip|80|http|cart.shop.svc.cluster.local outbound|80||proxied.edge.svc.cluster.local`,
				`  sidecar inbound edge/proxied mTLS ns/shop/sa/wp virtualInbound 0.0.0.0_8080 inbound|8080||`,
			},
		},
		{
			name: "waypoint and no route for it",
			mesh: mesh(use, "", waypointOfShop, routeOfCart),
			from: "shop/web", host: "cart", port: 80, path: "/none",
			want: []string{
				`NotRouted 404 NR route_not_found 0`,
				`  ztunnel outbound shop/web plaintext`,
				`  waypoint gateway shop/wp HBONE ns/shop/sa/web main_internal inbound-vip|80|http|cart.shop.svc.cluster.local`,
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, play(t, c.mesh, c.from, c.host, c.port, c.path)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
