package resolve

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1alpha3 "istio.io/client-go/pkg/apis/networking/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// FuzzEnvoyFilter reads configPatches as they may be written: whatever they are, they end in the same steps each time.
func FuzzEnvoyFilter(f *testing.F) {
	hcm := "listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: envoy.filters.http.router}}}}"
	for _, seed := range []string{
		"[{applyTo: HTTP_FILTER, match: {" + hcm + "}, patch: {operation: INSERT_BEFORE, value: {name: own, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC, rules: {policies: {a: {permissions: [{url_path: {path: {prefix: /}}}], principals: [{any: true}]}}}}}}}]",
		"[{applyTo: HTTP_FILTER, match: {" + hcm + "}, patch: {operation: INSERT_FIRST, value: {name: own, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, abort: {http_status: 503, percentage: {numerator: 20, denominator: MILLION}}, headers: [{name: a}]}}}}]",
		"[{applyTo: HTTP_FILTER, patch: {operation: ADD, value: {name: own, typedConfig: {'@type': type.googleapis.com/udpa.type.v1.TypedStruct, type_url: type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, value: {token_bucket: {max_tokens: 1}, filter_enabled: {default_value: {numerator: 100}}}}}}}]",
		"[{applyTo: VIRTUAL_HOST, patch: {operation: ADD, value: {name: own, domains: ['*.shop', cart.shop], routes: [{match: {prefix: /a, headers: [{name: x, string_match: {exact: a}}]}, route: {cluster: 'outbound|80||cart.shop.svc.cluster.local'}}]}}}]",
		"[{applyTo: VIRTUAL_HOST, match: {routeConfiguration: {vhost: {name: own}}}, patch: {operation: REMOVE}}, {applyTo: VIRTUAL_HOST, patch: {operation: REPLACE, value: {domains: ['*']}}}]",
		"[{applyTo: HTTP_ROUTE, match: {routeConfiguration: {vhost: {route: {name: r, action: ROUTE}}}}, patch: {operation: MERGE_AND_REPLACE_LIST, value: {request_headers_to_add: [{header: {key: a, value: b}}], direct_response: {status: 200}, route: {timeout: 1s, retry_policy: {num_retries: 2}}}}}]",
		"[{applyTo: HTTP_FILTER, match: {" + hcm + "}, patch: {operation: INSERT_BEFORE, value: {name: own, disabled: true, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC, rules: {}}}}}, {applyTo: VIRTUAL_HOST, patch: {operation: MERGE, value: {typed_per_filter_config: {own: {'@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute, rbac: {rules: {action: DENY, policies: {a: {permissions: [{any: true}], principals: [{any: true}]}}}}}, envoy.filters.http.fault: {'@type': type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true}}}}}]",
		"[{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {typed_per_filter_config: {envoy.filters.http.fault: {'@type': type.googleapis.com/envoy.config.route.v3.FilterConfig, config: {'@type': type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, abort: {http_status: 503, percentage: {numerator: 20}}}}, a: 1}}}}, {applyTo: ROUTE_CONFIGURATION, patch: {operation: MERGE, value: {typed_per_filter_config: {envoy.filters.http.cors: {}}}}}]",
		"[{applyTo: CLUSTER, match: {cluster: {service: cart.shop.svc.cluster.local}}, patch: {operation: MERGE, value: {transport_socket: {name: x}, lb_policy: RANDOM}}}]",
		"[{applyTo: NETWORK_FILTER, match: {listener: {portNumber: 8080}}, patch: {operation: MERGE, value: {name: envoy.filters.network.http_connection_manager, typed_config: {xff_num_trusted_hops: 2, local_reply_config: {mappers: [{status_code: 404}]}}}}}]",
		"[{applyTo: LISTENER_FILTER, match: {listener: {listenerFilter: a}}, patch: {operation: REMOVE}}, {applyTo: FILTER_CHAIN, patch: {operation: MERGE, value: {filter_chain_match: {}}}}]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, patches string) {
		ef := &networkingv1alpha3.EnvoyFilter{ObjectMeta: metav1.ObjectMeta{Name: "own", Namespace: "shop"}}
		if yaml.Unmarshal([]byte("spec: {configPatches: "+patches+"}"), ef) != nil {
			return
		}
		if diff := cmp.Diff(madeOf(ef), madeOf(ef)); diff != "" {
			t.Errorf("two readings differ:\n%s", diff)
		}
	})
}

// madeOf are all steps that an EnvoyFilter leads to, on each side of a proxy.
func madeOf(ef *networkingv1alpha3.EnvoyFilter) []string {
	s := NewSnapshot(Input{Offline: true, Revision: "default", Resources: []Sourced{{Object: ef.DeepCopy()}}})
	var out []string
	tell := func(steps ...Step) {
		for _, step := range steps {
			out = append(out, fmt.Sprint(step.Ref, " ", step.Verdict, " ", step.Rule, " ", step.Reason()))
		}
	}
	proxy := &Workload{Namespace: "shop", Dataplane: DataplaneSidecar, Owner: Ref{Kind: "Deployment", Namespace: "shop", Name: "cart"}}
	c := &Connection{SourceIP: netip.MustParseAddr("10.0.0.1"), DestinationPort: 8080, Peer: "cluster.local/ns/shop/sa/web"}
	for _, l := range []PatchPlace{
		{Proxy: proxy, Side: SideOutbound, Listener: "0.0.0.0_80", Port: 80, HTTP: true, RouteConfig: "80"},
		{Proxy: proxy, Side: SideInbound, Listener: "virtualInbound", FilterChain: "0.0.0.0_8080", ChainPort: 8080, Port: 8080, HTTP: true, RouteConfig: "inbound|8080||"},
		{Proxy: proxy, Side: SideGateway, Listener: "0.0.0.0_8080", Port: 8080, RouteConfig: "http.8080", ServerPorts: []int{80}},
	} {
		q := &HTTPRequest{Method: "GET", Path: "/a", Authority: "cart.shop", Headers: map[string]string{"x": "a"}}
		tell(s.ListenerPatches(&l, q).Steps...)
		filters := s.HTTPFilters(&l)
		tell(filters.Steps()...)
		for place := BeforeCustom; place <= BeforeRouter; place++ {
			tell(filters.Run(place, q, c, nil).Steps...)
		}
		vh := &VirtualHost{Name: "cart.shop.svc.cluster.local:80", Domains: []string{"cart.shop"}, Routes: []*Route{{Name: "r", CatchAll: true}}}
		patched, steps := s.PatchVirtualHost(&l, filters, vh, "cart.shop")
		tell(steps...)
		if patched != nil {
			chosen, steps, _ := patched.Choose(q)
			tell(steps...)
			if chosen != nil {
				result, _ := chosen.Patched(patched)
				tell(result.Steps...)
				tell(chosen.PatchRemovals(q)...)
				tell(chosen.PatchHeaders(patched, q)...)
				configured := chosen.FilterConfigs(patched)
				for place := BeforeCustom; place <= BeforeRouter; place++ {
					tell(filters.Run(place, q, c, configured).Steps...)
				}
				for _, own := range []string{FilterRBAC, FilterExtAuthz, FilterJWT, FilterFault, FilterCORS} {
					step, _, _ := configured.Own(own)
					tell(step)
				}
				fault, _ := configured.FaultOfRoute(q, c)
				tell(fault.Steps...)
			}
		}
		steps, _ = s.ClusterPatches(&l, "outbound|80||cart.shop.svc.cluster.local", nil)
		tell(steps...)
	}
	return out
}
