package evaluator

import (
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
)

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
