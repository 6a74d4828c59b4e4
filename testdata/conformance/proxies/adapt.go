package proxies

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	fileaccess "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	commonfault "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/fault/v3"
	setfilterstate "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	jwt "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	httpfilterstate "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_filter_state/v3"
	proxyprotocol "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	cares "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpoptions "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

const (
	// faultDelay is how long a delay lasts that a fault injects, and secretWait how long a secret is waited for.
	faultDelay, secretWait = time.Millisecond, 300 * time.Millisecond
	// entryPort is the first port to which the listeners of a proxy are bound; Linux gives none of them to a client.
	entryPort = 61000
)

// adaptation is one proxy's configuration made runnable.
type adaptation struct {
	proxy *evaluator.Proxy
	// entry is the address to which its listeners are bound, inner that from which it connects to its own program.
	entry, inner netip.Addr
	log, keys    string
	// dns is where names are resolved.
	dns netip.AddrPort

	// listener is the name of the one that is being rewritten, bound the entries by name.
	listener string
	bound    map[string]netip.AddrPort
}

// resources rewrites all that the proxy is sent.
func (a *adaptation) resources() (*resources, error) {
	a.bound = map[string]netip.AddrPort{}
	out := newResources()
	for _, l := range a.proxy.Listeners {
		l = proto.CloneOf(l)
		rewrite(l, a.edit)
		if err := out.add(listenerType, l.GetName(), l); err != nil {
			return nil, err
		}
	}
	for name, r := range a.proxy.Routes {
		r = proto.CloneOf(r)
		rewrite(r, a.edit)
		if err := out.add(routeType, name, r); err != nil {
			return nil, err
		}
	}
	for name, c := range a.proxy.Clusters {
		c = proto.CloneOf(c)
		rewrite(c, a.edit)
		if err := out.add(clusterType, name, c); err != nil {
			return nil, err
		}
	}
	for name, e := range a.proxy.Endpoints {
		if err := out.add(endpointType, name, e); err != nil {
			return nil, err
		}
	}
	return out, a.secrets(out)
}

// edit is what doc.go lists.
func (a *adaptation) edit(m proto.Message) {
	switch x := m.(type) {
	case *listener.Listener:
		a.listenerOf(x)
	case *listener.FilterChain:
		x.Filters = slices.DeleteFunc(x.Filters, func(f *listener.Filter) bool {
			return istioOnly(f.GetName(), f.GetTypedConfig()) || f.GetConfigDiscovery() != nil
		})
	case *hcm.HttpConnectionManager:
		a.manager(x)
	case *tcp.TcpProxy:
		x.AccessLog = a.logged("tcp", "")
	case *jwt.JwtProvider:
		x.JwksSourceSpecifier = &jwt.JwtProvider_LocalJwks{LocalJwks: &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: a.keys}}}
	case *commonfault.FaultDelay:
		if d, ok := x.GetFaultDelaySecifier().(*commonfault.FaultDelay_FixedDelay); ok {
			d.FixedDelay = durationpb.New(faultDelay)
		}
	case *cluster.Cluster:
		a.cluster(x)
	case *cares.CaresDnsResolverConfig:
		x.Resolvers = []*core.Address{socketAddress(a.dns)}
		x.DnsResolverOptions = &core.DnsResolverOptions{NoDefaultSearchDomain: true}
	case *httpoptions.HttpProtocolOptions:
		x.HttpFilters = slices.DeleteFunc(x.HttpFilters, func(f *hcm.HttpFilter) bool { return istioOnly(f.GetName(), f.GetTypedConfig()) })
	case *tlsv3.SdsSecretConfig:
		if x.GetSdsConfig().GetAds() != nil {
			x.SdsConfig.InitialFetchTimeout = durationpb.New(secretWait)
		}
	}
}

// istioOnly reports whether a plain Envoy lacks a filter, which decides nothing.
func istioOnly(name string, config *anypb.Any) bool {
	for _, part := range []string{"istio.stats", "metadata_exchange", "peer_metadata", "istio_authn", "connect_authority"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return strings.Contains(config.GetTypeUrl(), "/stats.PluginConfig")
}

// binds reports whether a listener has a socket.
func binds(l *listener.Listener) bool {
	return l.GetAddress().GetSocketAddress() != nil && (l.GetBindToPort() == nil || l.GetBindToPort().GetValue())
}

func (a *adaptation) listenerOf(l *listener.Listener) {
	a.listener = l.GetName()
	l.AccessLog = a.logged("listener", "")
	if !binds(l) {
		return
	}
	at := netip.AddrPortFrom(a.entry, uint16(entryPort+len(a.bound)))
	a.bound[l.GetName()] = at
	l.Address = socketAddress(at)
	l.AdditionalAddresses, l.Transparent, l.Freebind, l.SocketOptions = nil, nil, nil, nil
	filters := []*listener.ListenerFilter{{
		Name: "envoy.filters.listener.proxy_protocol", ConfigType: &listener.ListenerFilter_TypedConfig{TypedConfig: packed(&proxyprotocol.ProxyProtocol{})},
	}}
	for _, f := range l.GetListenerFilters() {
		if f.GetName() != "envoy.filters.listener.original_dst" {
			filters = append(filters, f)
		}
	}
	l.ListenerFilters = filters
}

func (a *adaptation) manager(m *hcm.HttpConnectionManager) {
	routes := m.GetRds().GetRouteConfigName()
	if c := m.GetRouteConfig(); c != nil {
		routes = c.GetName()
	}
	m.AccessLog, m.Tracing = a.logged("http", routes), nil
	var filters []*hcm.HttpFilter
	for _, f := range m.GetHttpFilters() {
		switch {
		case f.GetName() == "istio.alpn":
			filters = append(filters, a.alpn())
		case !istioOnly(f.GetName(), f.GetTypedConfig()) && f.GetConfigDiscovery() == nil:
			filters = append(filters, f)
		}
	}
	m.HttpFilters = filters
}

// alpn does what istio.alpn does: where a cluster's connections are the mesh's mTLS, its ALPN names the HTTP version spoken in it.
// Source: github.com/istio/proxy, source/extensions/filters/http/alpn.
func (a *adaptation) alpn() *hcm.HttpFilter {
	var second, downstream, none []string
	for name, c := range a.proxy.Clusters {
		quoted := "'" + strings.ReplaceAll(name, "'", `\'`) + "'"
		o := &httpoptions.HttpProtocolOptions{}
		_ = c.GetTypedExtensionProtocolOptions()["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"].UnmarshalTo(o) // absent: HTTP/1.1
		switch {
		case c.GetMetadata().GetFilterMetadata()["istio"].GetFields()["alpn_override"].GetStringValue() == "false":
			none = append(none, quoted)
		case o.GetExplicitHttpConfig().GetHttp2ProtocolOptions() != nil:
			second = append(second, quoted)
		case o.GetUseDownstreamProtocolConfig() != nil:
			downstream = append(downstream, quoted)
		}
	}
	// A name is looked at only where it counts: after a filter that chooses the route anew it is not known, and Envoy then sets "-".
	within := func(list []string) string {
		slices.Sort(list)
		return "xds.cluster_name in [" + strings.Join(list, ",") + "]"
	}
	value := "'istio-http/1.1,istio,http/1.1'"
	if len(none) > 0 {
		value = within(none) + " ? '' : " + value
	}
	if len(downstream) > 0 {
		value = "request.protocol == 'HTTP/2' && " + within(downstream) + " ? 'istio-h2,istio,h2' : " + value
	}
	if len(second) > 0 {
		value = within(second) + " ? 'istio-h2,istio,h2' : " + value
	}
	value = "%CEL(" + value + ")%"
	return &hcm.HttpFilter{
		Name: "istio.alpn", ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: packed(&httpfilterstate.Config{
			OnRequestHeaders: []*setfilterstate.FilterStateValue{{
				Key: &setfilterstate.FilterStateValue_ObjectKey{ObjectKey: "envoy.network.application_protocols"}, SkipIfEmpty: true,
				Value: &setfilterstate.FilterStateValue_FormatString{FormatString: &core.SubstitutionFormatString{
					Format: &core.SubstitutionFormatString_TextFormatSource{
						TextFormatSource: &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: value}},
					},
				}},
			}},
		})},
	}
}

func (a *adaptation) cluster(c *cluster.Cluster) {
	c.Filters, c.OutlierDetection = nil, nil
	once(c)
	if s := c.GetUpstreamBindConfig().GetSourceAddress(); s.GetAddress() == "127.0.0.6" || s.GetAddress() == "::6" {
		s.Address = a.inner.String()
	}
}

// once gives every request a connection of its own.
func once(c *cluster.Cluster) {
	const key = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
	o := &httpoptions.HttpProtocolOptions{UpstreamProtocolOptions: &httpoptions.HttpProtocolOptions_ExplicitHttpConfig_{
		ExplicitHttpConfig: &httpoptions.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &httpoptions.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &core.Http1ProtocolOptions{}},
		},
	}}
	switch given := c.GetTypedExtensionProtocolOptions()[key]; {
	case given != nil && given.UnmarshalTo(o) != nil:
		return
	case given == nil && c.GetClusterType().GetName() == "envoy.clusters.dynamic_forward_proxy":
		// What Envoy sets where it has no such options at all (source/extensions/clusters/dynamic_forward_proxy/cluster.cc).
		o.UpstreamHttpProtocolOptions = &core.UpstreamHttpProtocolOptions{AutoSni: true, AutoSanValidation: true}
	}
	if o.CommonHttpProtocolOptions == nil {
		o.CommonHttpProtocolOptions = &core.HttpProtocolOptions{}
	}
	o.CommonHttpProtocolOptions.MaxRequestsPerConnection = wrapperspb.UInt32(1)
	if c.TypedExtensionProtocolOptions == nil {
		c.TypedExtensionProtocolOptions = map[string]*anypb.Any{}
	}
	c.TypedExtensionProtocolOptions[key] = packed(o)
}

// logged is an access log that tells of a connection or request what a test has to know. What is no command of
// Envoy's is the test's own.
func (a *adaptation) logged(by, routes string) []*accesslog.AccessLog {
	fields := map[string]any{
		"by": by, "listener": strings.ReplaceAll(a.listener, "%", "%%"), "routes": strings.ReplaceAll(routes, "%", "%%"),
		"flags": "%RESPONSE_FLAGS%", "details": "%RESPONSE_CODE_DETAILS%", "status": "%RESPONSE_CODE%", "chain": "%FILTER_CHAIN_NAME%",
		"host": "%CEL(xds.virtual_host_name)%", "route": "%ROUTE_NAME%", "cluster": "%UPSTREAM_CLUSTER_RAW%",
		"upstream": "%UPSTREAM_HOST%", "socket": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%", "sender": "%UPSTREAM_LOCAL_ADDRESS%", "upstreamFailure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
		"peer": "%DOWNSTREAM_PEER_URI_SAN%", "peerName": "%DOWNSTREAM_PEER_DNS_SAN%", "tls": "%DOWNSTREAM_TLS_VERSION%", "sni": "%REQUESTED_SERVER_NAME%",
		"downstreamFailure": "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%", "termination": "%CONNECTION_TERMINATION_DETAILS%",
	}
	format, err := structpb.NewStruct(fields)
	if err != nil {
		return nil
	}
	return []*accesslog.AccessLog{{
		Name: "file", ConfigType: &accesslog.AccessLog_TypedConfig{TypedConfig: packed(&fileaccess.FileAccessLog{
			Path: a.log, AccessLogFormat: &fileaccess.FileAccessLog_LogFormat{
				LogFormat: &core.SubstitutionFormatString{Format: &core.SubstitutionFormatString_JsonFormat{JsonFormat: format}},
			},
		})},
	}}
}

func socketAddress(at netip.AddrPort) *core.Address {
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: at.Addr().String(), PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(at.Port())},
	}}}
}

func packed(m proto.Message) *anypb.Any {
	out, err := anypb.New(m)
	if err != nil {
		panic(err) // only for text that is no UTF-8, which none of these is
	}
	return out
}
