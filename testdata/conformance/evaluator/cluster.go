package evaluator

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	rawbuffer "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpoptions "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// cluster sends what is on the wire to one of the cluster's endpoints. x is nil for a TCP proxy.
func (k *walk) cluster(p *path, v *visit, name string, x *exchange) {
	p.hop().Cluster = name
	c := v.proxy.Clusters[name]
	if c == nil || rejectedCluster(c) {
		k.missing(p, x)
		return
	}
	if v.inbound {
		k.local(p, v, c)
		return
	}
	targets, unknown := k.targets(v, c)
	named := false
	if dynamicForward(c) {
		targets, named = k.forwardTo(v, c, x)
	}
	if unknown != "" {
		k.unknown(p, unknown)
		return
	}
	if len(targets) == 0 && named {
		k.unavailable(p, "DF", "dns_resolution_failure")
		return
	}
	if len(targets) == 0 {
		k.unavailable(p, "UH", "no_healthy_upstream")
		return
	}
	for _, t := range targets {
		branch := p.fork(t.part)
		branch.peer, branch.sent, branch.tunnel, branch.endpoint = v.machine.Address, true, false, ""
		if c.GetType() != cluster.Cluster_ORIGINAL_DST && !dynamicForward(c) {
			branch.endpoint = fmt.Sprint(t.name, t.address)
			if t.again > 0 {
				branch.endpoint += fmt.Sprint(" again ", t.again)
			}
		}
		if !k.seal(branch, v, c, t, x) {
			continue
		}
		if t.internal != "" {
			k.originate(branch, v, t)
			continue
		}
		k.connect(branch, t)
	}
}

// rejectedCluster reports whether Envoy does not take the cluster: one of type LOGICAL_DNS has exactly one endpoint
// (see Envoy's documentation, service discovery, logical DNS; logical_dns_cluster.cc).
func rejectedCluster(c *cluster.Cluster) bool {
	n := 0
	for _, l := range c.GetLoadAssignment().GetEndpoints() {
		n += len(l.GetLbEndpoints())
	}
	return c.GetType() == cluster.Cluster_LOGICAL_DNS && n != 1
}

// missing is the answer where there is no such cluster: 503, or what the route says.
// See envoy/api-v3/config/route/v3/route_components.proto, cluster_not_found_response_code.
func (k *walk) missing(p *path, x *exchange) {
	if x != nil {
		status := map[route.RouteAction_ClusterNotFoundResponseCode]int{
			route.RouteAction_NOT_FOUND: 404, route.RouteAction_INTERNAL_SERVER_ERROR: 500,
		}[x.route.GetRoute().GetClusterNotFoundResponseCode()]
		if status != 0 {
			k.end(p, Outcome{Decision: Responded, Status: status, Flag: "NC", Details: "cluster_not_found"})
			return
		}
	}
	k.unavailable(p, "NC", "cluster_not_found")
}

// unavailable is a cluster without anyone to send to. A TCP proxy logs no details.
func (k *walk) unavailable(p *path, flag, details string) {
	o := Outcome{Decision: Unavailable, Flag: flag}
	if !p.stream {
		o.Details = details
	}
	if p.http {
		o.Status = 503
	}
	k.end(p, o)
}

// nothingBehind is a proxy that closes the connection it has taken, since its cluster has no endpoint.
func (k *walk) nothingBehind(p *path) {
	switch {
	case p.wrapped():
		k.broken(p, Reset, noHandshake, "the cluster has no endpoint, and opens no TLS")
	case p.sent:
		k.broken(p, Unavailable, closed, "the cluster has no endpoint")
	default:
		k.end(p, Outcome{Decision: Unavailable, Flag: "UH"}) // a TCP proxy logs no details
	}
}

// local is the application behind the proxy: at the port of the connection, or where the cluster says.
func (k *walk) local(p *path, v *visit, c *cluster.Cluster) {
	if c.GetType() == cluster.Cluster_STATIC && len(c.GetLoadAssignment().GetEndpoints()) == 0 {
		k.nothingBehind(p)
		return
	}
	to := v.destination
	for _, l := range c.GetLoadAssignment().GetEndpoints() {
		for _, e := range l.GetLbEndpoints() {
			if port := e.GetEndpoint().GetAddress().GetSocketAddress().GetPortValue(); port != 0 {
				to = netip.AddrPortFrom(to.Addr(), uint16(port))
			}
		}
	}
	if o := c.GetOriginalDstLbConfig().GetUpstreamPortOverride().GetValue(); o != 0 {
		to = netip.AddrPortFrom(to.Addr(), uint16(o))
	}
	k.application(p, v.machine.Name, to)
}

// seal puts the cluster's TLS around what is sent: the first transport socket whose match the
// endpoint's metadata has, else the cluster's own.
func (k *walk) seal(p *path, v *visit, c *cluster.Cluster, t target, x *exchange) bool {
	socket := c.GetTransportSocket()
	for _, m := range c.GetTransportSocketMatches() {
		ok := true
		for key, want := range m.GetMatch().GetFields() {
			got := t.metadata.GetFilterMetadata()["envoy.transport_socket_match"].GetFields()[key]
			if got.GetStringValue() != want.GetStringValue() {
				ok = false
			}
		}
		if ok {
			socket = m.GetTransportSocket()
			break
		}
	}
	socket = innermost(socket)
	if socket == nil || socket.GetTypedConfig().MessageIs(&rawbuffer.RawBuffer{}) {
		return true
	}
	ctx := &tlsv3.UpstreamTlsContext{}
	if socket.GetTypedConfig().UnmarshalTo(ctx) != nil {
		k.unknown(p, "transport socket "+socket.GetName())
		return false
	}
	if !v.proxy.supplied(ctx.GetCommonTlsContext()) {
		k.broken(p, Reset, notSupplied, "the control plane supplies no certificate")
		return false
	}
	h := &Handshake{ByProxy: true, SNI: ctx.GetSni(), ALPN: ctx.GetCommonTlsContext().GetAlpnProtocols(), Mesh: meshCertificate(ctx.GetCommonTlsContext())}
	if h.Mesh {
		h.Identity = v.proxy.Identity
	} else if len(ctx.GetCommonTlsContext().GetTlsCertificateSdsSecretConfigs()) > 0 || len(ctx.GetCommonTlsContext().GetTlsCertificates()) > 0 {
		h.Identity = ownCertificate
	}
	if h.SNI == "" && x != nil && httpProtocol(c).GetUpstreamHttpProtocolOptions().GetAutoSni() {
		h.SNI = hostName(p.bytes.HTTP.Authority)
	}
	if combined := ctx.GetCommonTlsContext().GetCombinedValidationContext(); combined != nil {
		h.Accepts = alternativeNames(ctx.GetCommonTlsContext())
		// The authorities of the operating system; a certificate for the Host, which is none that names a workload.
		h.NotOfMesh = !h.Mesh && (combined.GetValidationContextSdsSecretConfig().GetName() == "file-root:system" ||
			x != nil && httpProtocol(c).GetUpstreamHttpProtocolOptions().GetAutoSanValidation())
	}
	if x != nil && x.alpn && h.Mesh && overridesALPN(c) {
		h.ALPN = []string{"istio-http/1.1", "istio", "http/1.1"}
		if upstreamHTTP2(c, p.bytes.HTTP) {
			h.ALPN = []string{"istio-h2", "istio", "h2"}
		}
	}
	p.bytes = &Bytes{TLS: h, Inner: p.bytes}
	return true
}

func overridesALPN(c *cluster.Cluster) bool {
	f := c.GetMetadata().GetFilterMetadata()["istio"].GetFields()["alpn_override"]
	return f.GetStringValue() != "false"
}

func httpProtocol(c *cluster.Cluster) *httpoptions.HttpProtocolOptions {
	o, _ := unpack(c.GetTypedExtensionProtocolOptions()["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"], &httpoptions.HttpProtocolOptions{})
	return o
}

// hostName is the server name that auto_sni makes of the Host header as the router sends it: nothing of an address.
// Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/protocol.proto, UpstreamHttpProtocolOptions;
// https://github.com/envoyproxy/envoy/pull/35566 for a Host that the route rewrites.
func hostName(authority string) string {
	if host, _, err := net.SplitHostPort(authority); err == nil {
		authority = host
	}
	if _, err := netip.ParseAddr(strings.Trim(authority, "[]")); err == nil {
		return ""
	}
	return authority
}

func upstreamHTTP2(c *cluster.Cluster, q *Request) bool {
	o := httpProtocol(c)
	if o.GetExplicitHttpConfig().GetHttp2ProtocolOptions() != nil {
		return true
	}
	return o.GetUseDownstreamProtocolConfig() != nil && q != nil && q.HTTP2
}

// alternativeNames are the names of which the other side's certificate has to have one.
func alternativeNames(c *tlsv3.CommonTlsContext) []*matcher.StringMatcher {
	validation := c.GetCombinedValidationContext().GetDefaultValidationContext()
	if validation == nil {
		validation = c.GetValidationContext()
	}
	var out []*matcher.StringMatcher
	out = append(out, validation.GetMatchSubjectAltNames()...) //nolint:staticcheck // what istiod sends
	for _, s := range validation.GetMatchTypedSubjectAltNames() {
		out = append(out, s.GetMatcher())
	}
	return out
}

// connect opens the connection to an endpoint.
func (k *walk) connect(p *path, t target) {
	if t.name != "" {
		k.application(p, t.name, t.address)
		return
	}
	if backends, here, ok := k.world.NetworkGateway(t.address); ok {
		k.across(p, t.address, backends, here)
		return
	}
	k.dial(p, t.address)
}

// across is a connection to the gateway of another network: by its load balancer to one of its pods, or out of sight. There it is taken to
// go on, if it is the mesh's mTLS with the name of a cluster.
func (k *walk) across(p *path, to netip.AddrPort, backends []netip.AddrPort, here bool) {
	self := func(b netip.AddrPort) bool {
		m := k.world.At(b.Addr())
		return m != nil && p.hop().Kind == "gateway" && m.Name == p.hop().Machine
	}
	switch tls := p.bytes.TLS; {
	case here && slices.ContainsFunc(backends, self):
		k.broken(p, Reset, loop, Loop) // and so it goes on, for ever less of the requests
	case here && len(backends) == 0:
		k.broken(p, Unavailable, refused, "nothing behind the gateway of the network")
	case here:
		for _, b := range backends {
			k.arrive(p.fork(1/float64(len(backends))), b)
		}
	case tls == nil || !tls.Mesh || !strings.HasPrefix(tls.SNI, "outbound_."):
		k.unknown(p, "what the gateway of another network does with other bytes than mTLS")
	default:
		b := p.bytes
		for b.TLS != nil && b.Inner != nil {
			b = b.Inner
		}
		k.end(p, Outcome{Decision: Delivered, Machine: to.Addr().String(), Port: int(to.Port()), Forwarded: b.HTTP})
	}
}
