package evaluator

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	jwt "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
)

func signed(claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256"}`)) + "." + part([]byte(claims)) + "." + part([]byte("signature"))
}

// Source: docs + "api-v3/extensions/filters/http/jwt_authn/v3/config.proto", JwtProvider, JwtRequirement,
// JwtAuthentication.bypass_cors_preflight; docs + "configuration/http/http_filters/jwt_authn_filter".
func TestJWTRequirements(t *testing.T) {
	const missing, issuer, audience = "401 jwt_authn_access_denied{Jwt_is_missing}", "401 jwt_authn_access_denied{Jwt_issuer_is_not_configured}", "403 jwt_authn_access_denied{Audiences_in_Jwt_are_not_allowed}"
	const optional = `requires_any: {requirements: [{provider_name: p}, {allow_missing: {}}]}`
	bearer := func(claims string) map[string]string {
		return map[string]string{"authorization": "Bearer " + signed(claims)}
	}
	for _, row := range []struct {
		says, requires, path string
		headers              map[string]string
		want                 string
	}{
		{"a good token", `provider_name: p`, "/", bearer(`{"iss": "p", "aud": "x"}`), "0"},
		{"no token", `provider_name: p`, "/", nil, missing},
		{"no token, which is allowed", optional, "/", nil, "0"},
		{"a bad token, where none is allowed", optional, "/", bearer(`{"iss": "q", "aud": "x"}`), issuer},
		{"a bad token, where that is allowed", `requires_any: {requirements: [{provider_name: p}, {allow_missing_or_failed: {}}]}`, "/", bearer(`{"iss": "q"}`), "0"},
		{"another issuer", `provider_name: p`, "/", bearer(`{"iss": "q", "aud": "x"}`), issuer},
		{"another audience", `provider_name: p`, "/", bearer(`{"iss": "p", "aud": "y"}`), audience},
		{"one of the audiences", `provider_name: p`, "/", bearer(`{"iss": "p", "aud": ["y", "x"]}`), "0"},
		{"audiences of the requirement", `provider_and_audiences: {provider_name: p, audiences: ["y"]}`, "/", bearer(`{"iss": "p", "aud": "y"}`), "0"},
		{"one of two providers", `requires_any: {requirements: [{provider_name: p}, {provider_name: headers}]}`, "/", bearer(`{"iss": "p", "aud": "x"}`), "0"},
		{"both of two providers", `requires_all: {requirements: [{provider_name: p}, {provider_name: headers}]}`, "/", bearer(`{"iss": "p", "aud": "x"}`), missing},
		{"by default a parameter too", `provider_name: p`, "/?access_token=" + signed(`{"iss": "p", "aud": "x"}`), nil, "0"},
		{"not where places are given", `provider_name: headers`, "/?access_token=" + signed(`{"iss": "p"}`), nil, missing},
		{"a header with a prefix", `provider_name: headers`, "/", map[string]string{"x-token": "pre " + signed(`{"iss": "h"}`)}, "0"},
		{"a header without the prefix", `provider_name: headers`, "/", map[string]string{"x-token": signed(`{"iss": "h"}`)}, missing},
		{"a parameter of the provider's", `provider_name: params`, "/?t=" + signed(`{"iss": "h"}`), nil, "0"},
		{"a cookie of the provider's", `provider_name: cookies`, "/", map[string]string{"cookie": "a=b; c=" + signed(`{"iss": "h"}`)}, "0"},
		{"two tokens, of which one is bad", `provider_name: p`, "/?access_token=" + signed(`{"iss": "q"}`), bearer(`{"iss": "p", "aud": "x"}`), issuer},
		{"not three parts", `provider_name: p`, "/", map[string]string{"authorization": "Bearer a.b"}, "401 jwt_authn_access_denied{Jwt_is_not_in_the_form_of_Header.Payload.Signature_with_two_dots_and_3_sections}"},
		{"no JSON", `provider_name: p`, "/", map[string]string{"authorization": "Bearer YQ.YQ.YQ"}, "401 jwt_authn_access_denied{Jwt_header_is_an_invalid_JSON}"},
	} {
		t.Run(row.says, func(t *testing.T) {
			c := xds(t, `{providers: {p: {issuer: p, audiences: [x]}, headers: {issuer: h, from_headers: [{name: X-Token, value_prefix: "pre "}]},
				params: {issuer: h, from_params: [t]}, cookies: {issuer: h, from_cookies: [c]}},
				rules: [{match: {prefix: /}, requires: {`+row.requires+`}}]}`, &jwt.JwtAuthentication{})
			q := &Request{Method: "GET", Path: row.path, Headers: map[string]string{}}
			for k, v := range row.headers {
				q.Headers[k] = v
			}
			status, details := (&exchange{q: q}).authenticate(c)
			if got := strings.TrimSpace(fmt.Sprint(status, " ", details)); got != row.want {
				t.Errorf("%s, not %s", got, row.want)
			}
		})
	}
}

// Source: docs + "api-v3/extensions/filters/http/jwt_authn/v3/config.proto", JwtProvider.forward,
// forward_payload_header, claim_to_headers; JwtAuthentication.rules, bypass_cors_preflight.
func TestJWTLeavesTheRequest(t *testing.T) {
	token := signed(`{"iss": "p", "sub": "me"}`)
	request := func() *Request {
		return &Request{Method: "OPTIONS", Path: "/a?access_token=" + token + "&z=1", Headers: map[string]string{
			"authorization": "Bearer " + token, "x-sub": "forged", "origin": "o", "access-control-request-method": "GET",
		}}
	}
	play := func(t *testing.T, config string) *Request {
		t.Helper()
		q := request()
		if status, details := (&exchange{q: q}).authenticate(xds(t, config, &jwt.JwtAuthentication{})); status != 0 {
			t.Fatal(status, details)
		}
		return q
	}
	const rules = `rules: [{match: {prefix: /}, requires: {provider_name: p}}]`
	t.Run("the token is taken out", func(t *testing.T) {
		if q := play(t, `{providers: {p: {}}, `+rules+`}`); q.Headers["authorization"] != "" || q.Path != "/a?z=1" {
			t.Error(q)
		}
	})
	t.Run("unless it is forwarded", func(t *testing.T) {
		if q := play(t, `{providers: {p: {forward: true}}, `+rules+`}`); q.Headers["authorization"] == "" || !strings.Contains(q.Path, token) {
			t.Error(q)
		}
	})
	t.Run("claims and payload of each token become headers", func(t *testing.T) {
		payload := strings.Split(token, ".")[1]
		q := play(t, `{providers: {p: {forward_payload_header: X-Payload, claim_to_headers: [{header_name: X-Sub, claim_name: sub}]}}, `+rules+`}`)
		if q.Headers["x-sub"] != "me,me" || q.Headers["x-payload"] != payload+","+payload {
			t.Error(q.Headers)
		}
	})
	t.Run("no rule takes the request", func(t *testing.T) {
		if q := play(t, `{providers: {p: {issuer: other}}, rules: [{match: {prefix: /b}, requires: {provider_name: p}}]}`); q.Headers["authorization"] == "" {
			t.Error(q.Headers)
		}
	})
	t.Run("a preflight passes by", func(t *testing.T) {
		if q := play(t, `{bypass_cors_preflight: true, providers: {p: {issuer: other}}, `+rules+`}`); q.Headers["authorization"] == "" {
			t.Error(q.Headers)
		}
	})
}
