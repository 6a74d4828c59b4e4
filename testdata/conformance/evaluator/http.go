package evaluator

import (
	"net/netip"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httpauthz "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	jwt "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// exchange is one HTTP request at one proxy.
type exchange struct {
	*visit
	q       *Request
	manager *hcm.HttpConnectionManager
	config  *route.RouteConfiguration
	host    *route.VirtualHost
	route   *route.Route
	// claims is the payload of a verified token.
	claims map[string]any
	// alpn is set where the ALPN of mesh connections follows the HTTP version.
	alpn bool
	// source and remote are the TCP peer and the client as forwarded.
	source, remote netip.Addr
	// secure is set where the client's connection was TLS or said to be.
	secure bool
}

// http is the HTTP connection manager: it reads the request, cleans the path, finds the route,
// and runs the filters in their order; the last one routes.
func (k *walk) http(p *path, v *visit, m *hcm.HttpConnectionManager) {
	// A proxy that forwards bytes announces what its cluster is for. One that sends HTTP sends what it announces.
	if q := p.bytes.HTTP; p.stream && v.terminated && v.alpn == "h2" && m.GetCodecType() == hcm.HttpConnectionManager_AUTO && (q == nil || !q.HTTP2) {
		k.broken(p, Reset, notHTTP2, "not HTTP/2, which the handshake announced")
		return
	}
	if p.bytes.TLS != nil || p.bytes.HTTP == nil {
		k.broken(p, Reset, notHTTP, "not HTTP")
		return
	}
	p.http, p.stream = true, false
	x := &exchange{visit: v, q: p.bytes.HTTP, manager: m, source: p.peer, remote: p.peer}
	switch s := m.GetRouteSpecifier().(type) {
	case *hcm.HttpConnectionManager_Rds:
		x.config = v.proxy.Routes[s.Rds.GetRouteConfigName()]
		p.hop().RouteConfig = s.Rds.GetRouteConfigName()
	case *hcm.HttpConnectionManager_RouteConfig:
		x.config = s.RouteConfig
		p.hop().RouteConfig = s.RouteConfig.GetName()
	}
	if !k.underscores(x, p) {
		return
	}
	clean, end := cleanPath(x.q.Path, m)
	if end != nil {
		k.end(p, *end)
		return
	}
	x.q.Path = clean
	x.q.hopByHop()
	if upgradeRefused(x.q, m) {
		k.end(p, Outcome{Decision: NotRouted, Status: 403, Details: "upgrade_failed"})
		return
	}
	k.forwarded(x, p)
	x.host = chooseHost(x.config, x.q.Authority)
	if x.host != nil {
		p.hop().VirtualHost = x.host.GetName()
		if !x.redirectsToTLS() {
			x.route = chooseRoute(x.host, x)
		}
	}
	if x.route != nil {
		p.hop().Route = x.route.GetName()
	}
	for _, f := range m.GetHttpFilters() {
		if !x.runs(f) {
			continue
		}
		switch f.GetName() {
		case "envoy.filters.http.router":
			k.router(p, x)
			return
		case "istio.alpn":
			x.alpn = true
		case "envoy.filters.http.fault":
			if !k.faultFilter(p, x, f) {
				return
			}
		case "envoy.filters.http.cors":
			if !k.cors(p, x, f) {
				return
			}
		case "envoy.filters.http.jwt_authn":
			c, ok := unpack(f.GetTypedConfig(), &jwt.JwtAuthentication{})
			if !ok {
				k.unknown(p, "jwt_authn")
				return
			}
			if status, details := x.authenticate(c); status != 0 {
				k.end(p, Outcome{Decision: Denied, Status: status, Details: details})
				return
			}
			// The token may have chosen another route (claim matches are cleared then).
			if x.host != nil && !x.redirectsToTLS() {
				x.route = chooseRoute(x.host, x)
				p.hop().Route = x.route.GetName()
			}
		case "envoy.filters.http.rbac":
			if !k.rbac(p, x, f) {
				return
			}
		case "envoy.filters.http.ext_authz":
			c, ok := unpack(f.GetTypedConfig(), &httpauthz.ExtAuthz{})
			if !ok {
				k.unknown(p, "ext_authz")
				return
			}
			k.ask(p, v, c.GetFilterEnabledMetadata(), 403)
		case "envoy.filters.http.grpc_stats", "istio.stats", "istio_authn", "istio.metadata_exchange",
			"envoy.filters.http.grpc_web", "envoy.filters.http.peer_metadata", "peer_metadata", "envoy.filters.http.dynamic_forward_proxy", "envoy.filters.http.stateful_session":
		default:
			if strings.HasPrefix(f.GetName(), "istio") || strings.Contains(f.GetName(), "peer_metadata") || f.GetName() == "waypoint_downstream_peer_metadata" {
				continue
			}
			if !k.patched(p, x, f) {
				return
			}
		}
	}
	k.unknown(p, "no router")
}

// upgradeRefused: a request for an upgrade that the manager does not list is answered before the filters. h2c is none: its
// headers are taken off.
// Sources: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/http/upgrades;
// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/response_code_details, upgrade_failed.
func upgradeRefused(q *Request, m *hcm.HttpConnectionManager) bool {
	wanted := strings.ToLower(strings.TrimSpace(q.Headers["upgrade"]))
	if !upgrades(q) || wanted == "" {
		return false
	}
	for _, c := range m.GetUpgradeConfigs() {
		if strings.EqualFold(c.GetUpgradeType(), wanted) {
			return c.GetEnabled() != nil && !c.GetEnabled().GetValue()
		}
	}
	return true
}

// hopByHop takes off what no upgrade needs: the headers of h2c, which is taken for none, and those of the connection.
// Source: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/http/upgrades; RFC 9110, 7.6.1, 7.8.
func (q *Request) hopByHop() {
	if strings.EqualFold(strings.TrimSpace(q.Headers["upgrade"]), "h2c") && upgrades(q) {
		delete(q.Headers, "http2-settings")
		delete(q.Headers, "upgrade")
	}
	if !upgrades(q) || q.Headers["upgrade"] == "" {
		delete(q.Headers, "upgrade")
		delete(q.Headers, "connection")
	}
}

// upgrades reports whether the connection is to be upgraded.
func upgrades(q *Request) (asked bool) {
	for word := range strings.SplitSeq(q.Headers["connection"], ",") {
		asked = asked || strings.EqualFold(strings.TrimSpace(word), "upgrade")
	}
	return asked
}

func (x *exchange) redirectsToTLS() bool {
	return x.host.GetRequireTls() == route.VirtualHost_ALL && !x.secure
}

// forwarded sets what the manager tells of the client: x-forwarded-for, the scheme, the remote address.
func (k *walk) forwarded(x *exchange, p *path) {
	m := x.manager
	hops := int(m.GetXffNumTrustedHops())
	xff, had := x.q.Headers["x-forwarded-for"]
	entries := strings.Split(xff, ",")
	if m.GetUseRemoteAddress().GetValue() {
		if had && hops > 0 && len(entries) >= hops {
			if ip, err := netip.ParseAddr(strings.TrimSpace(entries[len(entries)-hops])); err == nil {
				x.remote = ip
			}
		}
		if !m.GetSkipXffAppend() && p.peer.IsValid() {
			list := p.peer.String()
			if had {
				list = xff + "," + list
			}
			x.q.Headers["x-forwarded-for"] = list
		}
	} else if had && len(entries) > hops {
		if ip, err := netip.ParseAddr(strings.TrimSpace(entries[len(entries)-1-hops])); err == nil {
			x.remote = ip
		}
	}
	proto, said := x.q.Headers["x-forwarded-proto"]
	if !said || m.GetUseRemoteAddress().GetValue() && hops == 0 {
		proto = "http"
		if x.tls {
			proto = "https"
		}
	}
	x.secure = proto == "https"
	x.q.Headers["x-forwarded-proto"] = proto
	connection := "http"
	if x.tls {
		connection = "https"
	}
	switch {
	case x.q.HTTP2 && x.q.Scheme != "":
	case x.q.HTTP2 || proto != "http" && proto != "https":
		x.q.Scheme = connection
	default:
		x.q.Scheme = proto
	}
}
