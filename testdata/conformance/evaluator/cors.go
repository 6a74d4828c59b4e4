package evaluator

import (
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// cors plays the filter: it leaves redirects and direct responses alone. It reports whether the request goes on.
func (k *walk) cors(p *path, x *exchange, f *hcm.HttpFilter) bool {
	c, ok := unpack(x.perRoute(f.GetName()), &corsv3.CorsPolicy{})
	if !ok || x.route.GetRoute() == nil || !preflight(c, x.q) {
		return true
	}
	k.end(p, Outcome{Decision: Responded, Status: 200, Details: "cors_response"})
	return false
}

// preflight reports whether the CORS filter answers by itself: an OPTIONS request with an Origin
// and Access-Control-Request-Method, whose origin is allowed (or whose refusal is not forwarded). A
// matcher that takes "*" allows every origin.
func preflight(c *corsv3.CorsPolicy, q *Request) bool {
	origin, ok := q.Headers["origin"]
	if !ok || origin == "" {
		return false
	}
	if c.GetFilterEnabled() != nil && fraction(c.GetFilterEnabled().GetDefaultValue()) <= 0 {
		return false
	}
	method := q.Headers["access-control-request-method"]
	if q.Method != "OPTIONS" || method == "" {
		return false
	}
	for _, m := range c.GetAllowOriginStringMatch() {
		if stringMatches(m, "*") || stringMatches(m, origin) {
			return true
		}
	}
	return c.GetForwardNotMatchingPreflights() != nil && !c.GetForwardNotMatchingPreflights().GetValue()
}
