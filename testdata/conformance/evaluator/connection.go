package evaluator

import (
	"net/netip"
	"slices"
	"strings"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	networkauthz "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ext_authz/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	networkrbac "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	snidfp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3"
	tcp "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// visit is a connection at one proxy.
type visit struct {
	machine  *Machine
	proxy    *Proxy
	listener *listener.Listener
	// destination is where the connection was headed before it was captured.
	destination netip.AddrPort
	inbound     bool
	// dialled is set where the client connected to the listener itself: no filter restored another address.
	dialled bool
	// sni, peer and terminated are what the handshake gave.
	sni, peer string
	// principal is the name of whoever opened the tunnel that the connection came by; empty for another connection.
	principal string
	// state is what the request that opened the tunnel left in the filter state.
	state map[string]string
	// sniPort is where a dynamic forward proxy finds the host that sni names.
	sniPort    int
	tls        bool
	terminated bool
	// alpn is what the handshake with a proxy agreed on; empty for nothing.
	alpn string
	// shadows are what shadow rules left in the dynamic metadata, by filter.
	shadows map[string]any
}

// connection picks the filter chain, does the handshake and runs the network filters.
func (k *walk) connection(p *path, v *visit) {
	if why := rejected(v.listener); why != "" {
		how := closed
		if p.wrapped() {
			how = noHandshake
		}
		k.broken(p, Reset, how, why+": the listener is rejected")
		return
	}
	s := sniff(v.listener, p.bytes, v.destination, p.peer)
	s.state = v.state
	chain := chooseChain(v.listener, s)
	if v.listener.GetFilterChainMatcher() != nil {
		var unknown string
		if chain, unknown = chainByMatcher(v.listener, s); unknown != "" {
			k.unknown(p, unknown)
			return
		}
	}
	if chain == nil {
		k.broken(p, Reset, noChain, "no filter chain")
		return
	}
	p.hop().FilterChain = chain.GetName()
	v.sni = s.sni
	if !k.handshake(p, v, chain) {
		return
	}
	for _, f := range chain.GetFilters() {
		switch f.GetName() {
		case "envoy.filters.network.rbac":
			rules := &networkrbac.RBAC{}
			if err := f.GetTypedConfig().UnmarshalTo(rules); err != nil {
				k.unknown(p, err.Error())
				return
			}
			about := facts{visit: v, source: p.peer, remote: p.peer}
			v.shadow(f.GetName(), rules.GetShadowRules(), rules.GetShadowRulesStatPrefix(), about)
			if ok, details := allowed(rules.GetRules(), about); !ok {
				k.denied(p, details)
				return
			}
		case "envoy.filters.network.ext_authz":
			c := &networkauthz.ExtAuthz{}
			if err := f.GetTypedConfig().UnmarshalTo(c); err != nil {
				k.unknown(p, err.Error())
				return
			}
			status := 0
			if p.http {
				status = 503
			}
			k.ask(p, v, c.GetFilterEnabledMetadata(), status)
		case "envoy.filters.network.tcp_proxy":
			t := &tcp.TcpProxy{}
			if err := f.GetTypedConfig().UnmarshalTo(t); err != nil {
				k.unknown(p, err.Error())
				return
			}
			k.tcpProxy(p, v, t)
			return
		case "envoy.filters.network.http_connection_manager":
			m := &hcm.HttpConnectionManager{}
			if err := f.GetTypedConfig().UnmarshalTo(m); err != nil {
				k.unknown(p, err.Error())
				return
			}
			if p.bytes.HTTP != nil && p.bytes.Inner != nil && p.bytes.TLS == nil {
				k.terminate(p, v, m)
				return
			}
			k.http(p, v, m)
			return
		case "envoy.filters.network.local_ratelimit", "envoy.filters.network.connection_limit": // there is room for one more connection
		case "set_dst_address":
			v.atService(f)
		case "connect_authority", "istio.metadata_exchange", "envoy.filters.network.sni_cluster", "envoy.filters.network.set_filter_state",
			"istio.stats", "envoy.filters.network.peer_metadata",
			"envoy.filters.network.mongo_proxy", "envoy.filters.network.mysql_proxy": // they only listen: bytes that are not Mongo's pass all the same
		case "envoy.filters.network.sni_dynamic_forward_proxy", "envoy.extensions.filters.network.sni_dynamic_forward_proxy":
			c, ok := unpack(f.GetTypedConfig(), &snidfp.FilterConfig{})
			if !ok {
				k.unknown(p, "sni_dynamic_forward_proxy")
				return
			}
			v.lookUp(c)
		default:
			rules, ok := unpack(f.GetTypedConfig(), &networkrbac.RBAC{})
			if !ok {
				k.unknown(p, "network filter "+f.GetName())
				return
			}
			if ok, details := allowed(rules.GetRules(), facts{visit: v, source: p.peer, remote: p.peer}); !ok {
				k.denied(p, details)
				return
			}
		}
	}
	k.broken(p, Reset, closed, "no filter of the chain ends the connection")
}

// denied is a connection that the RBAC network filter closes.
func (k *walk) denied(p *path, details string) {
	o := Outcome{Decision: Denied, Details: details}
	if p.http {
		o.Status = 503
	}
	k.end(p, o)
}

// handshake is the chain's TLS; it reports whether the connection stands.
func (k *walk) handshake(p *path, v *visit, chain *listener.FilterChain) bool {
	socket := chain.GetTransportSocket()
	if socket == nil || socket.GetName() == "envoy.transport_sockets.raw_buffer" {
		return true
	}
	ctx := &tlsv3.DownstreamTlsContext{}
	if err := socket.GetTypedConfig().UnmarshalTo(ctx); err != nil {
		k.unknown(p, err.Error())
		return false
	}
	hello := p.bytes.TLS
	if hello == nil {
		k.broken(p, Reset, noHandshake, "plaintext to TLS")
		return false
	}
	mesh := meshCertificate(ctx.GetCommonTlsContext())
	switch {
	case !v.proxy.supplied(ctx.GetCommonTlsContext()):
		k.broken(p, Reset, noHandshake, "the control plane supplies no certificate")
		return false
	case mesh && hello.NotOfMesh && hello.ByProxy:
		k.broken(p, Reset, noHandshake, "the mesh's certificate is not accepted")
		return false
	case (hello.Mesh || mesh) && len(hello.Accepts) > 0 && (!mesh || !accepts(hello.Accepts, v.proxy.Identity)):
		k.broken(p, Reset, noHandshake, "server identity not accepted")
		return false
	case hello.Mesh && !mesh:
		k.broken(p, Reset, noHandshake, "server certificate is not the mesh's")
		return false
	case (ctx.GetRequireClientCertificate().GetValue() || compares(ctx.GetCommonTlsContext())) && hello.Identity == "":
		k.broken(p, Reset, noCertificate, "client certificate required")
		return false
	case asksOfMesh(ctx.GetCommonTlsContext()) && hello.Identity != "" && !hello.Mesh && !strings.HasPrefix(hello.Identity, "spiffe://"):
		k.broken(p, Reset, noCertificate, "client certificate is not the mesh's")
		return false
	}
	if names := alternativeNames(ctx.GetCommonTlsContext()); len(names) > 0 && hello.Identity != "" && !accepts(names, hello.Identity) {
		k.broken(p, Reset, noCertificate, "client certificate has none of the names")
		return false
	}
	v.tls, v.terminated, v.sni = true, true, strings.ToLower(hello.SNI)
	if hello.ByProxy { // a client of its own sends what they agree on
		v.alpn = agreed(ctx.GetCommonTlsContext().GetAlpnProtocols(), hello.ALPN)
	}
	if ctx.GetCommonTlsContext().GetValidationContextType() != nil {
		v.peer = hello.Identity
		if v.peer != "" && v.peer != ownCertificate {
			p.hop().TLS = "mTLS"
		}
	}
	p.hop().Peer = v.peer
	if p.bytes.Inner == nil {
		p.bytes = &Bytes{}
	} else {
		p.bytes = p.bytes.Inner
	}
	return true
}

// agreed is the protocol of the handshake: the first of the server's that the client has too.
// Source: https://www.rfc-editor.org/rfc/rfc7301, 3.2; Envoy's order is that of alpn_protocols, "in order of preference".
func agreed(server, client []string) string {
	for _, name := range server {
		if slices.Contains(client, name) {
			return name
		}
	}
	return ""
}

// meshCertificate reports whether a context presents the workload's own certificate.
func meshCertificate(c *tlsv3.CommonTlsContext) bool {
	for _, s := range c.GetTlsCertificateSdsSecretConfigs() {
		if s.GetName() == "default" {
			return true
		}
	}
	return false
}

// asksOfMesh reports whether a client's certificate, where it has one, has to be of the mesh's authority.
// Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/transport_sockets/tls/v3/common.proto,
// CertificateValidationContext, trusted_ca and trust_chain_verification.
func asksOfMesh(c *tlsv3.CommonTlsContext) bool {
	v := c.GetCombinedValidationContext()
	return v.GetValidationContextSdsSecretConfig().GetName() == "ROOTCA" &&
		v.GetDefaultValidationContext().GetTrustChainVerification() != tlsv3.CertificateValidationContext_ACCEPT_UNTRUSTED
}

// compares reports whether something in the client's certificate is compared, for which there has to be one.
// Source: https://github.com/envoyproxy/envoy/blob/main/source/common/tls/cert_validator/default_validator.cc, initializeSslContexts.
func compares(c *tlsv3.CommonTlsContext) bool {
	v := c.GetCombinedValidationContext().GetDefaultValidationContext()
	return v.GetTrustChainVerification() != tlsv3.CertificateValidationContext_ACCEPT_UNTRUSTED &&
		(len(alternativeNames(c)) > 0 || len(v.GetVerifyCertificateSpki()) > 0 || len(v.GetVerifyCertificateHash()) > 0)
}

func accepts(list []*matcher.StringMatcher, identity string) bool {
	for _, a := range list {
		if stringMatches(a, identity) {
			return true
		}
	}
	return false
}

func (k *walk) tcpProxy(p *path, v *visit, t *tcp.TcpProxy) {
	if !v.inbound {
		p.stream, p.retry = true, nil
	}
	total := 0.0
	for _, w := range t.GetWeightedClusters().GetClusters() {
		total += float64(w.GetWeight())
	}
	if total == 0 {
		k.cluster(p, v, t.GetCluster(), nil)
		return
	}
	for _, w := range t.GetWeightedClusters().GetClusters() {
		if w.GetWeight() > 0 {
			k.cluster(p.fork(float64(w.GetWeight())/total), v, w.GetName(), nil)
		}
	}
}

func unpack[M proto.Message](a *anypb.Any, m M) (M, bool) {
	if a == nil {
		return m, false
	}
	return m, a.UnmarshalTo(m) == nil
}
