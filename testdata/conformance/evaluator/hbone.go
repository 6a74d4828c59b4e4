package evaluator

import (
	"net/netip"
	"strings"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httprbac "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	httpstate "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_filter_state/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	networkstate "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/set_filter_state/v3"
	tcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	internalupstream "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/internal_upstream/v3"
)

// HBONE by Envoy: listeners of its own that connections reach without leaving it.
//
//  1. An endpoint whose address is that of an internal listener leads there. The original destination of the connection is what
//     the endpoint's metadata say (envoy.filters.listener.original_dst, local); without any it stays what it was.
//  2. A TCP proxy with a tunnel asks, with CONNECT, for that destination, at the address of the cluster of type ORIGINAL_DST: the one that
//     the endpoint's metadata name (metadata_key), else the destination, at the port of the override.
//  3. A listener that takes CONNECT hands what it carries to the cluster of the route, an internal listener again, as a connection to the
//     authority. There the certificate's name is in the filter state (io.istio.peer_principal), the client's address is as it was.
//  4. For the proxy that sends into a tunnel the connection stands as soon as its own listener has it. What
//     fails then is a connection that ends, unless TLS of the cluster's own is within it.
//  5. HBONE within HBONE: the first internal listener asks for what the endpoint's metadata name, and its cluster leads, by TLS, to a second one,
//     which asks for the same and connects to the destination. A listener whose TCP proxy has no tunnel passes on what it gets.
//  6. What a tunnel is asked for may be a host: then the filter state alone says so (set_filter_state), and the service's chain gives the address.
//
// Sources: https://www.envoyproxy.io/docs/envoy/latest/configuration/other_features/internal_listener;
// https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/listener_filters/original_dst_filter;
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/http/upgrades, tunneling TCP over HTTP, CONNECT;
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/cluster/v3/cluster.proto, Cluster.OriginalDstLbConfig.

const originalDestinationKey = "envoy.filters.listener.original_dst"

// internalListener is the listener of that name.
func internalListener(p *Proxy, name string) *listener.Listener {
	for _, l := range p.Listeners {
		if l.GetName() == name && l.GetInternalListener() != nil {
			return l
		}
	}
	return nil
}

// hostMetadata is a field of the endpoint's metadata that is an address.
func hostMetadata(m *core.Metadata, field string) (netip.AddrPort, bool) {
	at, err := netip.ParseAddrPort(m.GetFilterMetadata()[originalDestinationKey].GetFields()[field].GetStringValue())
	return at, err == nil
}

// originate is steps 1 and 2.
func (k *walk) originate(p *path, v *visit, t target) {
	l := internalListener(v.proxy, t.internal)
	to := v.destination
	if local, ok := hostMetadata(t.metadata, "local"); ok {
		to = local
	}
	if l == nil || len(l.GetFilterChains()) != 1 {
		k.unknown(p, "internal listener "+t.internal)
		return
	}
	for _, f := range l.GetFilterChains()[0].GetFilters() {
		proxy, ok := unpack(f.GetTypedConfig(), &tcp.TcpProxy{})
		if !ok {
			continue
		}
		c := v.proxy.Clusters[proxy.GetCluster()]
		if asks := proxy.GetTunnelingConfig().GetHostname(); strings.HasPrefix(asks, "%FILTER_STATE(istio.double_hbone.") {
			k.nest(p, v, t, proxy, c)
			return
		}
		if proxy.GetTunnelingConfig() == nil && c.GetType() == cluster.Cluster_ORIGINAL_DST {
			if port := c.GetOriginalDstLbConfig().GetUpstreamPortOverride().GetValue(); port != 0 {
				to = netip.AddrPortFrom(to.Addr(), uint16(port))
			}
			k.arrive(p, to)
			return
		}
		if proxy.GetTunnelingConfig().GetHostname() != "%DOWNSTREAM_LOCAL_ADDRESS%" || c.GetType() != cluster.Cluster_ORIGINAL_DST {
			break
		}
		at := to
		if key := c.GetOriginalDstLbConfig().GetMetadataKey(); key.GetKey() == originalDestinationKey && len(key.GetPath()) == 1 {
			if other, ok := hostMetadata(t.metadata, key.GetPath()[0].GetKey()); ok {
				at = other
			}
		}
		if port := c.GetOriginalDstLbConfig().GetUpstreamPortOverride().GetValue(); port != 0 {
			at = netip.AddrPortFrom(at.Addr(), uint16(port))
		}
		p.tunnel = true
		p.bytes = &Bytes{HTTP: &Request{Method: "CONNECT", Authority: to.String(), HTTP2: true, Headers: map[string]string{}}, Inner: p.bytes}
		if k.seal(p, v, c, target{address: at}, nil) {
			k.arrive(p, at)
		}
		return
	}
	k.unknown(p, "internal listener "+t.internal+" without a tunnel")
}

// terminate is step 3: the connection manager that takes a CONNECT.
func (k *walk) terminate(p *path, v *visit, m *hcm.HttpConnectionManager) {
	p.hop().TLS = "HBONE"
	to, _ := netip.ParseAddrPort(p.bytes.HTTP.Authority) // 6.
	state := map[string]string{}
	for _, f := range m.GetHttpFilters() {
		if set, ok := unpack(f.GetTypedConfig(), &httpstate.Config{}); ok {
			for _, s := range set.GetOnRequestHeaders() {
				format := s.GetFormatString().GetTextFormatSource().GetInlineString()
				if name, is := strings.CutPrefix(format, "%REQ("); is {
					state[s.GetObjectKey()], _ = p.bytes.HTTP.header(strings.ToLower(strings.TrimSuffix(name, ")%")))
				}
			}
			continue
		}
		c, ok := unpack(f.GetTypedConfig(), &httprbac.RBAC{})
		if !ok {
			continue
		}
		about := facts{visit: v, request: p.bytes.HTTP, source: p.peer, remote: p.peer}
		if ok, why := allowed(c.GetRules(), about); !ok {
			k.denied(p, why)
			return
		}
	}
	l := internalListener(v.proxy, connectsTo(v.proxy, m))
	if l == nil {
		k.unknown(p, "no internal listener takes the CONNECT")
		return
	}
	p.hop().TLS, p.hop().Listener, p.hop().FilterChain = "HBONE", l.GetName(), ""
	p.bytes = p.bytes.Inner
	k.connection(p, &visit{machine: v.machine, proxy: v.proxy, listener: l, destination: to, inbound: v.inbound, principal: v.peer, state: state})
}

// nest is step 5.
func (k *walk) nest(p *path, v *visit, t target, proxy *tcp.TcpProxy, c *cluster.Cluster) {
	asked := t.metadata.GetFilterMetadata()["istio"].GetFields()["double_hbone"].GetStructValue().GetFields()["hbone_target_address"].GetStringValue()
	connect := &Request{Method: "CONNECT", Authority: asked, HTTP2: true, Headers: map[string]string{}}
	for _, h := range proxy.GetTunnelingConfig().GetHeadersToAdd() {
		connect.Headers[strings.ToLower(h.GetHeader().GetKey())] = h.GetHeader().GetValue()
	}
	p.tunnel = true
	p.bytes = &Bytes{HTTP: connect, Inner: p.bytes}
	if c.GetType() == cluster.Cluster_ORIGINAL_DST {
		at, ok := hostMetadata(t.metadata, "local")
		if !ok {
			k.unknown(p, "no gateway for the outer HBONE")
			return
		}
		if port := c.GetOriginalDstLbConfig().GetUpstreamPortOverride().GetValue(); port != 0 {
			at = netip.AddrPortFrom(at.Addr(), uint16(port))
		}
		if k.seal(p, v, c, target{address: at}, nil) {
			k.connect(p, target{address: at})
		}
		return
	}
	for _, group := range c.GetLoadAssignment().GetEndpoints() {
		for _, e := range group.GetLbEndpoints() {
			next := e.GetEndpoint().GetAddress().GetEnvoyInternalAddress().GetServerListenerName()
			if k.seal(p, v, c, target{}, nil) {
				k.originate(p, v, target{internal: next, metadata: t.metadata})
			}
			return
		}
	}
	k.unknown(p, "cluster "+c.GetName()+" without an internal listener")
}

// atService gives a connection that was asked for by a host the address of the service, as the chain's filter does.
func (v *visit) atService(f *listener.Filter) {
	set, ok := unpack(f.GetTypedConfig(), &networkstate.Config{})
	if !ok || v.destination.IsValid() {
		return
	}
	for _, s := range set.GetOnNewConnection() {
		_, text, _ := strings.Cut(s.GetFormatString().GetTextFormatSource().GetInlineString(), "r'")
		text, _, _ = strings.Cut(text, "'")
		if to, err := netip.ParseAddrPort(text); err == nil {
			v.destination = to
		}
	}
}

// connectsTo is the internal listener behind the route for CONNECT.
func connectsTo(p *Proxy, m *hcm.HttpConnectionManager) string {
	for _, host := range m.GetRouteConfig().GetVirtualHosts() {
		for _, r := range host.GetRoutes() {
			if _, ok := r.GetMatch().GetPathSpecifier().(*route.RouteMatch_ConnectMatcher_); !ok {
				continue
			}
			for _, group := range p.Clusters[r.GetRoute().GetCluster()].GetLoadAssignment().GetEndpoints() {
				for _, e := range group.GetLbEndpoints() {
					return e.GetEndpoint().GetAddress().GetEnvoyInternalAddress().GetServerListenerName()
				}
			}
		}
	}
	return ""
}

// innermost is the transport socket within those that lead to an internal listener.
func innermost(s *core.TransportSocket) *core.TransportSocket {
	for s != nil {
		c, ok := unpack(s.GetTypedConfig(), &internalupstream.InternalUpstreamTransport{})
		if !ok {
			return s
		}
		s = c.GetTransportSocket()
	}
	return nil
}
