package evaluator

import (
	"net"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// chooseHost: an exact domain, else the longest *suffix, else the longest prefix*, else "*".
func chooseHost(c *route.RouteConfiguration, authority string) *route.VirtualHost {
	host := strings.ToLower(authority)
	if c.GetIgnorePortInHostMatching() {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
			if strings.Contains(h, ":") {
				host = "[" + h + "]"
			}
		}
	}
	var best *route.VirtualHost
	bestRank := 0
	for _, vh := range c.GetVirtualHosts() {
		for _, d := range vh.GetDomains() {
			if rank := domainRank(strings.ToLower(d), host); rank > bestRank {
				best, bestRank = vh, rank
			}
		}
	}
	return best
}

func domainRank(domain, host string) int {
	const exact, suffix, prefix = 1 << 30, 1 << 20, 1 << 10
	switch {
	case domain == host:
		return exact
	case domain == "*":
		return 1
	case strings.HasPrefix(domain, "*") && len(host) >= len(domain) && strings.HasSuffix(host, domain[1:]):
		return suffix + len(domain)
	case strings.HasSuffix(domain, "*") && len(host) >= len(domain) && strings.HasPrefix(host, domain[:len(domain)-1]):
		return prefix + len(domain)
	}
	return 0
}

// chooseRoute is the first route that matches.
func chooseRoute(vh *route.VirtualHost, x *exchange) *route.Route {
	for _, r := range vh.GetRoutes() {
		if routeMatches(r.GetMatch(), x) {
			return r
		}
	}
	return nil
}

func routeMatches(m *route.RouteMatch, x *exchange) bool {
	q := x.q
	if !pathMatches(m, q) {
		return false
	}
	for _, h := range m.GetHeaders() {
		if !headerMatches(h, q) {
			return false
		}
	}
	_, query, _ := strings.Cut(q.Path, "?")
	for _, p := range m.GetQueryParameters() {
		value, ok := parameter(query, p.GetName())
		switch s := p.GetQueryParameterMatchSpecifier().(type) {
		case *route.QueryParameterMatcher_StringMatch:
			if !ok || !stringMatches(s.StringMatch, value) {
				return false
			}
		case *route.QueryParameterMatcher_PresentMatch:
			if ok != s.PresentMatch {
				return false
			}
		default:
			if !ok {
				return false
			}
		}
	}
	for _, d := range m.GetDynamicMetadata() {
		if metadataMatches(d, x.claims) == d.GetInvert() {
			return false
		}
	}
	if m.GetGrpc() != nil && !strings.HasPrefix(q.Headers["content-type"], "application/grpc") {
		return false
	}
	return true
}

func pathMatches(m *route.RouteMatch, q *Request) bool {
	path, _, _ := strings.Cut(q.Path, "?")
	fold := func(s string) string {
		if m.GetCaseSensitive() != nil && !m.GetCaseSensitive().GetValue() {
			return strings.ToLower(s)
		}
		return s
	}
	switch s := m.GetPathSpecifier().(type) {
	case *route.RouteMatch_Prefix:
		return strings.HasPrefix(fold(path), fold(s.Prefix))
	case *route.RouteMatch_Path:
		return fold(path) == fold(s.Path)
	case *route.RouteMatch_SafeRegex:
		return regexMatches(s.SafeRegex, path)
	case *route.RouteMatch_PathSeparatedPrefix:
		p, want := fold(path), fold(s.PathSeparatedPrefix)
		return p == want || strings.HasPrefix(p, want+"/")
	case *route.RouteMatch_ConnectMatcher_:
		return q.Method == "CONNECT"
	}
	return false
}

// parameter is the first value of a query parameter.
func parameter(query, name string) (string, bool) {
	for _, pair := range strings.Split(query, "&") {
		k, v, _ := strings.Cut(pair, "=")
		if k == name && pair != "" {
			return v, true
		}
	}
	return "", false
}
