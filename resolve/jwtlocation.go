package resolve

import (
	"encoding/base64"
	"encoding/json"
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

// placedToken is a token that stands where a rule reads, and what its form makes of it.
type placedToken struct {
	// place is for people, header the one it stands in; empty for parameters and cookies.
	place, header string
	token         *Token
	status        jwtStatus
}

// placedTokens are the tokens that a request has at the places a rule reads, but for the one behind
// "Authorization: Bearer", which is known already where known is set.
func placedTokens(rule *apisecurity.JWTRule, q *HTTPRequest, known bool) []placedToken {
	headers, params := rule.GetFromHeaders(), rule.GetFromParams()
	if len(tokenPlaces(rule)) == 0 {
		headers = []*apisecurity.JWTHeader{{Name: "Authorization", Prefix: "Bearer "}}
		params = []string{"access_token"}
	}
	var out []placedToken
	for _, h := range headers {
		v, ok := q.Header(h.GetName())
		_, v, prefixed := strings.Cut(v, h.GetPrefix())
		if ok && prefixed && !(known && strings.EqualFold(h.GetName(), "authorization")) {
			out = append(out, placed("header "+h.GetName(), strings.ToLower(h.GetName()), strings.TrimLeft(v, " ")))
		}
	}
	for _, p := range params {
		if v, ok := firstQueryParam(q.Query, p); ok {
			out = append(out, placed("parameter "+p, "", v))
		}
	}
	cookies, _ := q.Header("cookie")
	for _, c := range rule.GetFromCookies() {
		for pair := range strings.SplitSeq(cookies, ";") {
			if name, v, ok := strings.Cut(strings.TrimSpace(pair), "="); ok && name == c {
				out = append(out, placed("cookie "+c, "", v))
			}
		}
	}
	return out
}

func placed(place, header, raw string) placedToken {
	token, status := parseToken(raw)
	return placedToken{place: place, header: header, token: token, status: status}
}

// parseToken reads the claims of a token, and looks at nothing else than its form.
// Source: google/jwt_verify_lib, Jwt::parseFromString.
func parseToken(raw string) (*Token, jwtStatus) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, jwtNoToken
	}
	var claims map[string]any
	for i, malformed := range [][2]jwtStatus{{jwtHeaderUnparsed, jwtHeaderNoJSON}, {jwtPayloadUnparsed, jwtPayloadNoJSON}} {
		text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[i], "="))
		if err != nil {
			return nil, malformed[0]
		}
		claims = nil
		if json.Unmarshal(text, &claims) != nil || claims == nil {
			return nil, malformed[1]
		}
	}
	return &Token{Claims: claims}, jwtOK
}
