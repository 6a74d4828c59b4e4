package evaluator

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
)

// network is a world in which each machine has an address.
type network map[string]*Machine

func (n network) At(ip netip.Addr) *Machine { return n[ip.String()] }

func (n network) Service(netip.Addr, netip.AddrPort) ([]netip.AddrPort, bool, bool) {
	return nil, false, false
}

func (n network) NetworkGateway(netip.AddrPort) ([]netip.AddrPort, bool, bool) {
	return nil, false, false
}

func (n network) Resolve(netip.Addr, string) ([]netip.Addr, bool) { return nil, false }

const (
	toHTTP  = `{name: envoy.filters.network.http_connection_manager, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, http_filters: [{name: envoy.filters.http.router}], route_config: {name: r, virtual_hosts: [%s]}}}`
	toTCP   = `{name: envoy.filters.network.tcp_proxy, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, %s}}`
	toC     = `{name: h, domains: [web], routes: [{match: {prefix: /}, route: {cluster: c}}]}`
	meshTLS = `, transport_socket: {name: tls, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, common_tls_context: {tls_certificate_sds_secret_configs: [{name: default}]}}}`
)

func capturesAll(t *testing.T, name, chain string) *listener.Listener {
	return xds(t, "{name: "+name+", address: {socket_address: {address: 0.0.0.0, port_value: 15001}}, filter_chains: ["+chain+"]}", &listener.Listener{})
}

// Sources: docs + "configuration/observability/access_log/usage", RESPONSE_FLAGS; docs +
// "configuration/http/http_conn_man/response_code_details"; docs + "configuration/http/http_filters/router_filter",
// x-envoy-retry-on; docs + "configuration/listeners/network_filters/tcp_proxy_filter".
func TestFlagsAndDetails(t *testing.T) {
	hosts := func(ip, more string) string {
		return `{name: c, type: STATIC, load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: ` + ip + `, port_value: 80}}}}]}]}` + more + `}`
	}
	// 10.0.0.2 is a program, 10.0.0.3 a gateway that does not listen, 10.0.0.4 a sidecar that takes nothing.
	const program, deaf, closes = "10.0.0.2", "10.0.0.3", "10.0.0.4"
	http := func(hosts string) string { return fmt.Sprintf("{filters: ["+toHTTP+"]}", hosts) }
	tcp := func(config string) string { return fmt.Sprintf("{filters: ["+toTCP+"]}", config) }
	retrying := `{name: h, domains: [web], retry_policy: {retry_on: "connect-failure,reset"}, routes: [{match: {prefix: /}, route: {cluster: c}}]}`
	const onceConnected = "upstream_reset_before_response_started{connection_termination}"
	const notConnected = "upstream_reset_before_response_started{remote_connection_failure}"
	const answeredInPlaintext = "upstream_reset_before_response_started{remote_connection_failure|TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end}"
	for _, row := range []struct{ says, chain, cluster, want string }{
		{"it arrives", http(toC), hosts(program, ""), "Delivered 0"},
		{"NR: no virtual host", http(""), hosts(program, ""), "NotRouted 404 NR route_not_found"},
		{"NR: no route", http(`{name: h, domains: [web]}`), hosts(program, ""), "NotRouted 404 NR route_not_found"},
		{"NR: no filter chain", `{filter_chain_match: {destination_port: 1}}`, hosts(program, ""), "Reset 0 NR filter_chain_not_found"},
		{"NC: no cluster", http(toC), `{name: other}`, "Unavailable 503 NC cluster_not_found"},
		{"NC: no cluster, and the route says with which status", http(`{name: h, domains: [web], routes: [{match: {prefix: /}, route: {cluster: c, cluster_not_found_response_code: INTERNAL_SERVER_ERROR}}]}`), `{name: other}`, "Responded 500 NC cluster_not_found"},
		{"UH: no endpoint", http(toC), `{name: c}`, "Unavailable 503 UH no_healthy_upstream"},
		{"UF: the handshake does not finish", http(toC), hosts(program, meshTLS), "Reset 503 UF " + answeredInPlaintext},
		{"UF: no one listens", http(toC), hosts(deaf, ""), "Unavailable 503 UF " + notConnected},
		{"UC: the other side closes", http(toC), hosts(closes, ""), "Reset 503 UC " + onceConnected},
		{"URX: a retry did not help", http(retrying), hosts(deaf, ""), "Unavailable 503 URX,UF " + notConnected},
		{"URX: of a reset too", http(retrying), hosts(closes, ""), "Reset 503 URX,UC " + onceConnected},
		{"a direct response", http(`{name: h, domains: [web], routes: [{match: {prefix: /}, direct_response: {status: 204}}]}`), `{name: c}`, "Responded 204 direct_response"},
		{"a redirect", http(`{name: h, domains: [web], routes: [{match: {prefix: /}, redirect: {host_redirect: b}}]}`), `{name: c}`, "Redirected 301 direct_response"},
		{"all TLS: a redirect", http(`{name: h, domains: [web], require_tls: ALL}`), `{name: c}`, "Redirected 301 direct_response"},
		{"a TCP proxy: it arrives", tcp("cluster: c"), hosts(program, ""), "Delivered 0"},
		{"a TCP proxy: no cluster", tcp("cluster: c"), `{name: other}`, "Unavailable 0 NC"},
		{"a TCP proxy: no endpoint", tcp("cluster: c"), `{name: c}`, "Unavailable 0 UH"},
		{"a TCP proxy: its one attempt fails", tcp("cluster: c"), hosts(deaf, ""), "Unavailable 0 UF,URX"},
		{"a TCP proxy: the other side closes, and says why", tcp("cluster: c"), hosts(closes, ""), "Reset 0 NR filter_chain_not_found"},
	} {
		t.Run(row.says, func(t *testing.T) {
			c := xds(t, row.cluster, &cluster.Cluster{})
			client := &Machine{Name: "client", Address: netip.MustParseAddr("10.0.0.1"), Proxy: &Proxy{
				Kind: "sidecar", Listeners: []*listener.Listener{capturesAll(t, "virtualOutbound", row.chain)}, Clusters: map[string]*cluster.Cluster{c.GetName(): c},
			}}
			world := network{
				program: {Name: "program"}, deaf: {Name: "deaf", Proxy: &Proxy{Kind: "gateway"}},
				closes: {Name: "closes", Proxy: &Proxy{Kind: "sidecar", Listeners: []*listener.Listener{capturesAll(t, "virtualInbound", `{filter_chain_match: {transport_protocol: tls}}`)}}},
			}
			q := &Request{Method: "GET", Scheme: "http", Authority: "web", Path: "/", Headers: map[string]string{}}
			outcomes := Run(world, Call{From: client, To: netip.MustParseAddrPort("10.96.0.1:80"), Bytes: &Bytes{HTTP: q}})
			if len(outcomes) != 1 {
				t.Fatal(outcomes)
			}
			o := outcomes[0]
			got := strings.Join(strings.Fields(fmt.Sprint(o.Decision, " ", o.Status, " ", o.Flag, " ", o.Details)), " ")
			if got != row.want {
				t.Errorf("%s (%s), not %s", got, o.Why, row.want)
			}
		})
	}
}

// Sources: as above; DPE is a downstream protocol error.
func TestBytesThatAreNoHTTP(t *testing.T) {
	client := &Machine{Name: "client", Address: netip.MustParseAddr("10.0.0.1"), Proxy: &Proxy{
		Kind: "sidecar", Listeners: []*listener.Listener{capturesAll(t, "virtualOutbound", fmt.Sprintf("{filters: ["+toHTTP+"]}", toC))},
	}}
	o := Run(network{}, Call{From: client, To: netip.MustParseAddrPort("10.96.0.1:80"), Bytes: &Bytes{}})[0]
	if o.Decision != Reset || o.Flag != "DPE" || o.Details != "http1.codec_error" {
		t.Error(o)
	}
}

// Source: docs + "api-v3/config/route/v3/route_components.proto", WeightedCluster; docs +
// "api-v3/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto", WeightedCluster.
func TestWeightedClusters(t *testing.T) {
	weights := `[{name: a, weight: 3}, {name: b, weight: 1}, {name: none, weight: 0}]`
	for says, chain := range map[string]string{
		"of a route": fmt.Sprintf("{filters: ["+toHTTP+"]}", `{name: h, domains: [web], routes: [{match: {prefix: /}, route: {weighted_clusters: {clusters: `+weights+`}}}]}`),
		"of TCP":     fmt.Sprintf("{filters: ["+toTCP+"]}", `weighted_clusters: {clusters: [{name: a, weight: 3}, {name: b, weight: 1}]}`),
	} {
		t.Run(says, func(t *testing.T) {
			client := &Machine{Name: "client", Address: netip.MustParseAddr("10.0.0.1"), Proxy: &Proxy{
				Kind: "sidecar", Listeners: []*listener.Listener{capturesAll(t, "virtualOutbound", chain)},
			}}
			q := &Request{Method: "GET", Scheme: "http", Authority: "web", Path: "/", Headers: map[string]string{}}
			got := map[string]float64{}
			for _, o := range Run(network{}, Call{From: client, To: netip.MustParseAddrPort("10.96.0.1:80"), Bytes: &Bytes{HTTP: q}}) {
				got[o.Hops[0].Cluster] = o.Share
			}
			if len(got) != 2 || got["a"] != 0.75 || got["b"] != 0.25 {
				t.Error(got)
			}
		})
	}
}
