package resolve

import (
	"strings"

	apisecurity "istio.io/api/security/v1beta1"
)

// Where a jwtRule reads tokens. A rule that names fromHeaders, fromParams or
// fromCookies reads only those; else Envoy reads "Authorization: Bearer" and the
// query parameter access_token.
// Source: pilot/pkg/security/authn/policy_applier.go, convertToEnvoyJwtConfig;
// Envoy: source/extensions/filters/http/jwt_authn/extractor.cc.

// readsAuthorization reports whether a rule reads "Authorization: Bearer", and
// whether it takes the whole value, "Bearer" included, for the token.
func readsAuthorization(rule *apisecurity.JWTRule) (reads, whole bool) {
	if len(tokenPlaces(rule)) == 0 {
		return true, false
	}
	for _, h := range rule.GetFromHeaders() {
		if !strings.EqualFold(h.GetName(), "authorization") {
			continue
		}
		if strings.TrimRight(h.GetPrefix(), " ") == "Bearer" {
			return true, false
		}
		whole = whole || h.GetPrefix() == ""
	}
	return whole, whole
}

// tokenPlaces are the places a rule names; none means Envoy's defaults.
func tokenPlaces(rule *apisecurity.JWTRule) []string {
	var places []string
	for _, h := range rule.GetFromHeaders() {
		places = append(places, "header "+h.GetName())
	}
	for _, p := range rule.GetFromParams() {
		places = append(places, "parameter "+p)
	}
	for _, c := range rule.GetFromCookies() {
		places = append(places, "cookie "+c)
	}
	return places
}

// unreadTokens are the places a rule reads where the request holds something that is not the given token.
func unreadTokens(rule *apisecurity.JWTRule, q *HTTPRequest, token *Token) []string {
	headers, params := []string{}, rule.GetFromParams()
	for _, h := range rule.GetFromHeaders() {
		headers = append(headers, h.GetName())
	}
	if len(tokenPlaces(rule)) == 0 {
		headers, params = []string{"Authorization"}, []string{"access_token"}
	}
	var out []string
	for _, h := range headers {
		given := token != nil && strings.EqualFold(h, "authorization")
		if v, ok := q.Header(h); ok && v != "" && !given {
			out = append(out, "header "+h)
		}
	}
	for _, p := range params {
		if strings.Contains("&"+q.Query, "&"+p+"=") {
			out = append(out, "parameter "+p)
		}
	}
	cookies, _ := q.Header("cookie")
	for _, c := range rule.GetFromCookies() {
		if strings.Contains("; "+cookies, "; "+c+"=") {
			out = append(out, "cookie "+c)
		}
	}
	return out
}
