package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// filtered makes meshes in which EnvoyFilters patch sidecars, a gateway and a waypoint: patches of every kind with every
// operation, most of them with a match that fits something, many with one that nearly does.
//
//  1. Workloads, Services, gateway and routes are those of the meshes with policies, with fewer policies. Besides them there is a
//     namespace in ambient mode with a waypoint.
//  2. EnvoyFilters stand in each namespace, for all proxies, for those of a label, or for those of a Gateway.
//  3. Names in matches are those that istiod gives to what it makes here.
type filtered struct {
	*guarded
	// ambient is set where the namespace with the waypoint is there.
	ambient bool
}

// filteredGenerator differs from the meshes of the same seed.
func filteredGenerator(seed uint64) *filtered {
	g := &filtered{guarded: guardedGenerator(seed + 4<<32)}
	g.running = g.chance(35)
	g.ambient = !g.running && g.chance(80) // where pods have addresses of their own, those of others would meet them
	return g
}

// mesh is a list of documents.
func (g *filtered) mesh() []string {
	docs := slices.Concat(
		[]string{
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n",
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: team, labels: {istio-injection: enabled}}\n",
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n",
		},
		g.meshConfig(), g.machines(), g.ports(), g.doors(), g.routes(), g.behindWaypoint(),
		g.repeat(2, g.requestAuthentication), g.repeat(3, g.policy), g.repeat(2, g.versions), g.repeat(2, g.outside),
	)
	for i := range 3 + g.IntN(5) {
		docs = append(docs, g.envoyFilter(i))
	}
	g.tokens = strings.Contains(strings.Join(docs, ""), "kind: RequestAuthentication")
	return g.age(docs)
}

// behindWaypoint is a namespace in ambient mode, where some Services have a waypoint.
func (g *filtered) behindWaypoint() []string {
	if !g.ambient {
		return nil
	}
	docs := []string{
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: far, labels: {istio.io/dataplane-mode: ambient, istio.io/use-waypoint: wp}}\n",
		object(gatewayAPI, "Gateway", "far", "wp", "spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}"),
	}
	for _, name := range []string{"e", "f"} {
		docs = append(docs,
			object("apps/v1", "Deployment", "far", name, fmt.Sprintf("spec: {selector: {matchLabels: {app: %s}}, template: {metadata: {labels: {app: %s}}, spec: {serviceAccountName: %s, containers: [{name: app, image: app}]}}}", name, name, name)),
			object("v1", "Service", "far", name, "spec: {selector: {app: "+name+"}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 9000}]}"))
	}
	return docs
}

// versions is a DestinationRule with a subset.
func (g *filtered) versions(i int) string {
	return object("networking.istio.io/v1", "DestinationRule", "shop", fmt.Sprintf("dr%d", i),
		"spec: "+fields("host: "+g.server(), g.when(30, "trafficPolicy: {tls: {mode: "+g.one("ISTIO_MUTUAL", "DISABLE", "SIMPLE")+"}}"), "subsets: [{name: v1, labels: {version: v1}}]"))
}

// outside is a ServiceEntry.
func (g *filtered) outside(i int) string {
	return object("networking.istio.io/v1", "ServiceEntry", "shop", fmt.Sprintf("se%d", i),
		fmt.Sprintf("spec: {hosts: [out%d.example.com], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 203.0.113.8%d}]}", i, i))
}

// envoyFilter is one for some of the proxies.
func (g *filtered) envoyFilter(i int) string {
	namespace, attached := g.one("shop", "shop", "shop", "team", "istio-system", "istio-system"), ""
	switch g.IntN(8) {
	case 0, 1, 2:
		attached = "workloadSelector: {labels: {app: " + g.one("a", "a", "b", "web", "web", "c", "nobody") + "}}"
	case 3:
		namespace, attached = "istio-system", "workloadSelector: {labels: {istio: ingressgateway}}"
	case 4:
		namespace, attached = "far", "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: "+g.one("wp", "wp", "wp", "other")+"}]"
	case 5:
		if g.chance(50) {
			namespace, attached = "istio-system", "targetRefs: [{group: gateway.networking.k8s.io, kind: "+g.one("GatewayClass, name: istio-waypoint", "GatewayClass, name: istio-waypoint", "Gateway, name: ingress")+"}]"
		}
	}
	return object("networking.istio.io/v1alpha3", "EnvoyFilter", namespace, fmt.Sprintf("ef%d", i),
		"spec: "+fields(attached, g.when(25, "priority: "+g.one("-10", "5", "10")), "configPatches: "+list(g.lot(4, g.patch))))
}

// patch is one of any kind.
func (g *filtered) patch() string {
	context := g.one("SIDECAR_INBOUND", "SIDECAR_INBOUND", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "SIDECAR_OUTBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "GATEWAY", "ANY")
	if g.chance(3) {
		context = "WAYPOINT"
	}
	proxy := g.when(5, "proxy: "+g.one("{proxyVersion: '^1\\.31.*'}", "{proxyVersion: '^1\\.2.*'}", "{proxyVersion: '1.*'}"))
	var kind, match, operation, value string
	switch n := g.IntN(100); {
	case n < 38:
		kind = "HTTP_FILTER"
		match, operation, value = g.httpFilterPatch(context)
	case n < 56:
		kind = "HTTP_ROUTE"
		match, operation, value = g.routePatch(context)
	case n < 70:
		kind = "VIRTUAL_HOST"
		match, operation, value = g.virtualHostPatch(context)
	case n < 74:
		kind, operation, value = "ROUTE_CONFIGURATION", g.one("MERGE", "MERGE", "MERGE", "ADD", "REMOVE"), "{"+g.headersToAdd()+"}"
		match = g.routeTable(context, "")
	case n < 84:
		kind = "CLUSTER"
		match, operation, value = g.clusterPatch(context)
	case n < 94:
		kind = "NETWORK_FILTER"
		match, operation, value = g.networkFilterPatch(context)
	default:
		kind = g.one("LISTENER", "FILTER_CHAIN", "LISTENER_FILTER")
		match, operation, value = g.listenerPatch(context, kind)
	}
	if operation == "REMOVE" {
		value = ""
	} else {
		value = "value: " + value
	}
	return fields("applyTo: "+kind, "match: "+fields("context: "+context, proxy, match), "patch: "+fields("operation: "+operation, value))
}

// listenerMatch is where a filter is: in a listener, in a chain of it, and behind it the filters that are named.
func (g *filtered) listenerMatch(context, filter string) string {
	names := map[string][]string{
		"SIDECAR_INBOUND": {"virtualInbound", "virtualInbound", "main_internal"}, "SIDECAR_OUTBOUND": {"0.0.0.0_80", "0.0.0.0_80", "virtualOutbound", "0.0.0.0_9000"}, "GATEWAY": {"0.0.0.0_8080", "0.0.0.0_8443"},
	}[context]
	ports := map[string][]string{
		"SIDECAR_INBOUND": {"8080", "8080", "9000", "7000", "80"}, "SIDECAR_OUTBOUND": {"80", "80", "80", "9000", "7070"}, "GATEWAY": {"8080", "8080", "8443", "80"},
	}[context]
	name, port := "", ""
	if names != nil {
		name, port = g.when(12, "name: "+g.one(names...)), g.when(30, "portNumber: "+g.one(ports...))
	}
	chain := fields(g.when(4, "name: "+g.one("inbound-vip|80|http|f.far.svc.cluster.local", "default", "0.0.0.0_8080")), g.when(4, "sni: "+g.one("'*.example.com'", "shop.example.com")),
		g.when(3, "destinationPort: "+g.one("8080", "9000")), g.when(4, "transportProtocol: "+g.one("tls", "raw_buffer")), g.when(3, "applicationProtocols: '"+g.one("istio,istio-peer-exchange", "http/1.1,h2c")+"'"), filter)
	m := fields(name, port, "filterChain: "+chain)
	if chain == "{}" {
		m = fields(name, port)
	}
	if m == "{}" {
		return ""
	}
	return "listener: " + m
}

func (g *filtered) httpFilterPatch(context string) (match, operation, value string) {
	manager := g.one("envoy.filters.network.http_connection_manager", "envoy.filters.network.http_connection_manager", "envoy.filters.network.http_connection_manager", "envoy.filters.network.http_connection_manager", "envoy.filters.network.tcp_proxy", "envoy.http_connection_manager")
	below := ""
	if strings.HasSuffix(manager, "network.http_connection_manager") { // else istiod's webhook refuses it
		below = g.when(75, "subFilter: {name: "+g.one("envoy.filters.http.router", "envoy.filters.http.router", "envoy.filters.http.router", "envoy.filters.http.router", "envoy.filters.http.rbac", "envoy.filters.http.fault", "envoy.filters.http.cors", "envoy.filters.http.jwt_authn", "istio.stats", "own-rbac", "header-to", "envoy.router")+"}")
	}
	filter := g.when(85, "filter: "+fields("name: "+manager, below))
	operation = g.one("INSERT_BEFORE", "INSERT_BEFORE", "INSERT_BEFORE", "INSERT_BEFORE", "INSERT_FIRST", "INSERT_FIRST", "INSERT_AFTER", "REMOVE", "REPLACE", "MERGE", "MERGE_AND_REPLACE_LIST", "ADD")
	if strings.Contains(filter, "router") && (operation == "REMOVE" || operation == "REPLACE") && g.chance(80) { // Envoy rejects that
		operation = "INSERT_BEFORE"
	}
	return g.listenerMatch(context, filter), operation, g.httpFilter()
}

func (g *filtered) networkFilterPatch(context string) (match, operation, value string) {
	filter := g.when(85, "filter: {name: "+g.one("envoy.filters.network.http_connection_manager", "envoy.filters.network.http_connection_manager", "envoy.filters.network.tcp_proxy", "envoy.filters.network.tcp_proxy", "envoy.filters.network.tcp_proxy", "istio.metadata_exchange", "envoy.filters.network.rbac", "own-network")+"}")
	operation = g.one("INSERT_BEFORE", "INSERT_BEFORE", "INSERT_BEFORE", "INSERT_FIRST", "INSERT_FIRST", "INSERT_AFTER", "REMOVE", "REPLACE", "MERGE", "MERGE", "MERGE", "ADD")
	if operation == "MERGE" {
		if strings.Contains(filter, "tcp_proxy") {
			return g.listenerMatch(context, filter), operation, "{name: envoy.filters.network.tcp_proxy, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, idle_timeout: 30s}}"
		}
		return g.listenerMatch(context, "filter: {name: envoy.filters.network.http_connection_manager}"), operation,
			"{name: envoy.filters.network.http_connection_manager, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, " +
				g.one("xff_num_trusted_hops: 1", "server_name: mine", "common_http_protocol_options: {idle_timeout: 30s}", "stream_idle_timeout: 5s", "merge_slashes: true", "normalize_path: true", "path_with_escaped_slashes_action: REJECT_REQUEST", "use_remote_address: false", "upgrade_configs: [{upgrade_type: CONNECT}]") + "}}"
	}
	return g.listenerMatch(context, filter), operation, g.networkFilter()
}

func (g *filtered) listenerPatch(context, kind string) (match, operation, value string) {
	switch kind {
	case "LISTENER":
		return g.listenerMatch(context, ""), g.one("MERGE", "MERGE", "MERGE", "REMOVE"), g.one("{per_connection_buffer_limit_bytes: 32768}", "{per_connection_buffer_limit_bytes: 32768}", "{listener_filters_timeout: 1s}", "{use_original_dst: false}")
	case "FILTER_CHAIN":
		return g.listenerMatch(context, ""), g.one("MERGE", "MERGE", "MERGE", "REMOVE"), g.one("{transport_socket_connect_timeout: 3s}", "{transport_socket_connect_timeout: 3s}", "{filter_chain_match: {server_names: [x.example.com]}}")
	}
	filter := g.one("envoy.filters.listener.tls_inspector", "envoy.filters.listener.http_inspector", "envoy.filters.listener.original_dst", "none")
	return "listener: " + fields(g.when(50, "name: "+g.one("virtualInbound", "virtualOutbound", "0.0.0.0_80")), g.when(70, "listenerFilter: "+filter)), g.one("INSERT_FIRST", "INSERT_BEFORE", "ADD", "REMOVE"),
		"{name: proxy, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol}}"
}

// clusterMatch is which clusters are meant.
func (g *filtered) clusterPatch(context string) (match, operation, value string) {
	switch g.IntN(5) {
	case 0:
		match = g.one("cluster: {name: 'outbound|80||a.shop.svc.cluster.local'}", "cluster: {name: 'inbound|8080||'}", "cluster: {name: PassthroughCluster}", "cluster: {name: 'outbound|80|v1|a.shop.svc.cluster.local'}", "cluster: {name: InboundPassthroughCluster}", "cluster: {name: none}")
	case 1, 2, 3:
		match = "cluster: " + fields("service: "+g.one("a.shop", "a.shop", "b.shop", "f.far", "c.team")+".svc.cluster.local", g.when(25, "portNumber: "+g.one("80", "8080", "9000")), g.when(15, "subset: v1"))
	}
	operation = g.one("MERGE", "MERGE", "MERGE", "MERGE", "REMOVE", "ADD", "INSERT_FIRST", "MERGE_AND_REPLACE_LIST")
	if operation == "REMOVE" && match == "" {
		match = "cluster: {service: b.shop.svc.cluster.local}"
	}
	if operation == "ADD" || operation == "INSERT_FIRST" {
		return match, operation, "{name: " + g.one("own", "own", "'outbound|80||added.shop.svc.cluster.local'") + ", type: STATIC, connect_timeout: 1s}"
	}
	return match, operation, g.one("{connect_timeout: 3s}", "{lb_policy: RANDOM}", "{circuit_breakers: {thresholds: [{max_requests: 10}]}}", "{outlier_detection: {consecutive_5xx: 3}}",
		"{typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {'@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}}}",
		"{transport_socket: {name: envoy.transport_sockets.raw_buffer, typed_config: {'@type': type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer}}}",
		"{transport_socket: {name: envoy.transport_sockets.tls, typed_config: {'@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, "+g.one("sni: other.example.com", "common_tls_context: {tls_params: {tls_minimum_protocol_version: TLSv1_3}}", "sni: x, common_tls_context: {alpn_protocols: [h2]}")+"}}}")
}
