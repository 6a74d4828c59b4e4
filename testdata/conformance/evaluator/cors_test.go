package evaluator

import (
	"testing"

	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
)

// Source: docs + "configuration/http/http_filters/cors_filter"; docs +
// "api-v3/extensions/filters/http/cors/v3/cors.proto", CorsPolicy.
func TestPreflight(t *testing.T) {
	const allowed = `allow_origin_string_match: [{exact: a}]`
	for _, row := range []struct {
		says, policy, method, origin, asks string
		want                               bool
	}{
		{"an origin that is allowed", allowed, "OPTIONS", "a", "GET", true},
		{"another method is no preflight", allowed, "GET", "a", "GET", false},
		{"nor a request that asks for no method", allowed, "OPTIONS", "a", "", false},
		{"nor one without an origin", allowed, "OPTIONS", "", "GET", false},
		{"another origin goes on to the application", allowed, "OPTIONS", "b", "GET", false},
		{"unless that is not wanted", allowed + `, forward_not_matching_preflights: false`, "OPTIONS", "b", "GET", true},
		{"the filter is switched off", allowed + `, filter_enabled: {default_value: {numerator: 0}}`, "OPTIONS", "a", "GET", false},
	} {
		t.Run(row.says, func(t *testing.T) {
			q := &Request{Method: row.method, Headers: map[string]string{"origin": row.origin, "access-control-request-method": row.asks}}
			if got := preflight(xds(t, "{"+row.policy+"}", &corsv3.CorsPolicy{}), q); got != row.want {
				t.Error(got)
			}
		})
	}
}
