package resolve

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// requestAuth writes RequestAuthentications: "namespace/name spec", one each.
func requestAuth(lines ...string) string {
	var docs []string
	for _, l := range lines {
		id, spec, _ := strings.Cut(l, " ")
		namespace, name, _ := strings.Cut(id, "/")
		docs = append(docs, "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: \""+name+"\", namespace: "+namespace+"}\nspec: "+spec+"\n")
	}
	return strings.Join(docs, "---\n")
}

func token(claims ...any) *Token {
	t := &Token{Claims: map[string]any{"iss": "idp", "sub": "jason"}}
	for i := 0; i < len(claims); i += 2 {
		t.Claims[claims[i].(string)] = claims[i+1]
	}
	return t
}

// authorization is where --jwt puts a token.
var authorization = []TokenPlace{{TokenInHeader, "authorization"}}

// encoded is the token as it travels.
func encoded(t *testing.T, token *Token) string {
	t.Helper()
	payload, err := json.Marshal(token.Claims)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode(payload) + "."
}

func TestRequestAuthentication(t *testing.T) {
	idp := requestAuth("shop/r {jwtRules: [{issuer: idp, jwksUri: \"https://idp/keys\"}]}")
	issuers := requestAuth("shop/r {jwtRules: [{issuer: other}, {issuer: idp}]}")
	tests := []struct {
		name     string
		policies string
		request  HTTPRequest
		token    *Token
		want     JWTResult // Steps and Gaps apart
		steps    []string
	}{
		{
			name: "nothing applies", token: token(), want: JWTResult{},
			steps: []string{"none requestauthentication/none: no RequestAuthentication applies to Deployment shop/web: tokens are not looked at and no claim is known"},
		},
		{
			name: "no token", policies: idp, want: JWTResult{},
			steps: []string{"none requestauthentication/no-token shop/r spec.jwtRules[0]: no token at the places the RequestAuthentications read: passes, with no request principal"},
		},
		{
			name: "valid token", policies: idp, token: token(), want: JWTResult{Rule: jwtRef("shop", "r", 0), Token: token(), Consumed: authorization},
			steps: []string{
				"allowed requestauthentication/accepted shop/r spec.jwtRules[0]: token of issuer \"idp\" accepted; request principal idp/jason",
				"warning requestauthentication/keys-fetched shop/r spec.jwtRules[0]: the token is taken as signed by a key from https://idp/keys: should istiod not be able to fetch it, every token is answered with 401",
				"applied requestauthentication/token-removed shop/r spec.jwtRules[0].forwardOriginalToken: forwardOriginalToken is not set: the token is removed, the next hop sees none",
			},
		},
		{
			name: "forwarded", policies: requestAuth("shop/r {jwtRules: [{issuer: idp, forwardOriginalToken: true}]}"), token: token(),
			want: JWTResult{Rule: jwtRef("shop", "r", 0), Token: token()},
		},
		{
			name: "unknown issuer", policies: idp, token: token("iss", "evil"),
			want: JWTResult{Status: 401, Details: "jwt_authn_access_denied{Jwt_issuer_is_not_configured}", Message: "Jwt issuer is not configured", Rule: jwtRef("shop", "r", 0)},
			steps: []string{
				"skipped requestauthentication/issuer shop/r spec.jwtRules[0].issuer: issuer \"idp\" is not the token's \"evil\" (want idp, got evil)",
				"denied requestauthentication/refused shop/r spec.jwtRules[0]: 401: Jwt issuer is not configured",
			},
		},
		{name: "rule without issuer takes any", policies: requestAuth("shop/r {jwtRules: [{jwksUri: x}]}"), token: token("iss", "any"), want: JWTResult{Rule: jwtRef("shop", "r", 0), Token: token("iss", "any"), Consumed: authorization}},
		{
			name: "wrong audience", policies: requestAuth("shop/r {jwtRules: [{issuer: idp, audiences: [a, b]}]}"), token: token("aud", "c"),
			want: JWTResult{Status: 403, Details: "jwt_authn_access_denied{Audiences_in_Jwt_are_not_allowed}", Message: "Audiences in Jwt are not allowed", Rule: jwtRef("shop", "r", 0)},
			steps: []string{
				"skipped requestauthentication/audience shop/r spec.jwtRules[0].audiences: the token's audience c is not among a, b (want a, b, got c)",
				"denied requestauthentication/refused shop/r spec.jwtRules[0]: 403: Audiences in Jwt are not allowed",
			},
		},
		{
			name: "no audience", policies: requestAuth("shop/r {jwtRules: [{issuer: idp, audiences: [a]}]}"), token: token(),
			want: JWTResult{Status: 403, Details: "jwt_authn_access_denied{Audiences_in_Jwt_are_not_allowed}", Message: "Audiences in Jwt are not allowed", Rule: jwtRef("shop", "r", 0)},
		},
		{
			name: "one audience of several", policies: requestAuth("shop/r {jwtRules: [{issuer: idp, audiences: [\"https://a/\"]}]}"), token: token("aud", []any{"b", "a"}),
			want: JWTResult{Rule: jwtRef("shop", "r", 0), Token: token("aud", []any{"b", "a"}), Consumed: authorization},
		},
		{
			name: "one rule that accepts is enough", policies: issuers, token: token(),
			want: JWTResult{Rule: jwtRef("shop", "r", 1), Token: token(), Consumed: authorization},
		},
		{
			name: "same issuer, one rule without audiences", token: token(),
			policies: requestAuth("shop/r {jwtRules: [{issuer: idp, audiences: [a]}, {issuer: idp}]}"),
			want:     JWTResult{Rule: jwtRef("shop", "r", 1), Token: token(), Consumed: authorization},
		},
		{
			name: "audience is reported before an unknown issuer of a later rule", token: token("iss", "a"),
			policies: requestAuth("shop/r {jwtRules: [{issuer: b}, {issuer: a, audiences: [x]}]}"),
			want:     JWTResult{Status: 403, Details: "jwt_authn_access_denied{Audiences_in_Jwt_are_not_allowed}", Message: "Audiences in Jwt are not allowed", Rule: jwtRef("shop", "r", 1)},
		},
		{
			name: "and of an earlier one", token: token("iss", "b"),
			policies: requestAuth("shop/r {jwtRules: [{issuer: a}, {issuer: b, audiences: [x]}]}"),
			want:     JWTResult{Status: 403, Details: "jwt_authn_access_denied{Audiences_in_Jwt_are_not_allowed}", Message: "Audiences in Jwt are not allowed", Rule: jwtRef("shop", "r", 1)},
		},
		{
			name: "rules add up: root, namespace, workload", token: token("iss", "root"),
			policies: requestAuth("istio-system/m {jwtRules: [{issuer: root}]}", "shop/r {jwtRules: [{issuer: idp}]}", "shop/w {selector: {matchLabels: {app: web}}, jwtRules: [{issuer: w}]}"),
			want:     JWTResult{Rule: jwtRef("istio-system", "m", 0), Token: token("iss", "root"), Consumed: authorization},
		},
		{
			name: "other labels", token: token(), policies: requestAuth("shop/w {selector: {matchLabels: {app: api}}, jwtRules: [{issuer: idp}]}"),
			want: JWTResult{},
			steps: []string{
				"skipped requestauthentication/other-labels shop/w spec.selector.matchLabels: selects app=api; Deployment shop/web is another workload (want app=api, got app=web)",
				"none requestauthentication/none: no RequestAuthentication applies to Deployment shop/web: tokens are not looked at and no claim is known",
			},
		},
		{
			name: "targetRefs", token: token(), policies: requestAuth("shop/w {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw}], jwtRules: [{issuer: idp}]}"),
			want: JWTResult{},
			steps: []string{
				"skipped requestauthentication/target-refs shop/w spec.targetRefs: targets Gateway gw, which is not the proxy of Deployment shop/web (want Gateway gw, got no label gateway.networking.k8s.io/gateway-name)",
				"none requestauthentication/none: no RequestAuthentication applies to Deployment shop/web: tokens are not looked at and no claim is known",
			},
		},
		{
			name: "custom location switches Authorization off", token: token(), policies: requestAuth("shop/r {jwtRules: [{issuer: other, fromHeaders: [{name: x-jwt}], fromParams: [t], fromCookies: [c]}]}"),
			want: JWTResult{},
			steps: []string{
				"skipped requestauthentication/other-location shop/r spec.jwtRules[0]: reads tokens from header x-jwt, parameter t, cookie c only, not from Authorization: Bearer (want header x-jwt, parameter t, cookie c, got header Authorization: Bearer)",
				"none requestauthentication/no-token shop/r spec.jwtRules[0]: no token at the places the RequestAuthentications read: passes, with no request principal",
			},
		},
		{
			name: "Authorization named with its prefix", token: token(), policies: requestAuth("shop/r {jwtRules: [{issuer: idp, fromHeaders: [{name: authorization, prefix: \"Bearer \"}]}]}"),
			want: JWTResult{Rule: jwtRef("shop", "r", 0), Token: token(), Consumed: authorization},
		},
		{
			name: "Authorization without prefix", token: token(), policies: requestAuth("shop/r {jwtRules: [{issuer: idp, fromHeaders: [{name: Authorization}]}]}"),
			want: JWTResult{Status: 401, Details: "jwt_authn_access_denied{Jwt_header_is_an_invalid_Base64url_encoded}", Message: "Jwt header is an invalid Base64url encoded", Rule: jwtRef("shop", "r", 0)},
			steps: []string{
				"skipped requestauthentication/not-decoded shop/r spec.jwtRules[0]: header authorization holds no token that can be decoded: the rule names no prefix, so \"Bearer \" is taken for a part of it",
				"denied requestauthentication/refused shop/r spec.jwtRules[0]: 401: Jwt header is an invalid Base64url encoded",
			},
		},
		{
			name: "Authorization with another prefix", token: token(), policies: requestAuth("shop/r {jwtRules: [{issuer: idp, fromHeaders: [{name: Authorization, prefix: \"JWT \"}]}]}"),
			want: JWTResult{},
		},
		{
			name: "what stands in a place is taken for a token", policies: requestAuth("shop/r {jwtRules: [{issuer: idp, fromHeaders: [{name: x-jwt}]}]}"),
			request: HTTPRequest{Headers: map[string]string{"x-jwt": "abc"}},
			want:    JWTResult{Status: 401, Details: "jwt_authn_access_denied{Jwt_is_not_in_the_form_of_Header.Payload.Signature_with_two_dots_and_3_sections}", Message: "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections", Rule: jwtRef("shop", "r", 0)},
			steps: []string{
				"skipped requestauthentication/not-decoded shop/r spec.jwtRules[0]: header x-jwt holds no token that can be decoded",
				"denied requestauthentication/refused shop/r spec.jwtRules[0]: 401: Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
			},
		},
		{
			name: "a token in a header with a prefix", policies: requestAuth("shop/r {jwtRules: [{issuer: idp, fromHeaders: [{name: X-JWT, prefix: \"Token \"}]}]}"),
			request: HTTPRequest{Headers: map[string]string{"x-jwt": "Token " + encoded(t, token())}}, want: JWTResult{Rule: jwtRef("shop", "r", 0), Token: token(), Consumed: []TokenPlace{{TokenInHeader, "x-jwt"}}},
		},
		{
			name: "a token in a parameter", policies: idp, request: HTTPRequest{Query: "a=1&access_token=" + encoded(t, token())},
			want: JWTResult{Rule: jwtRef("shop", "r", 0), Token: token(), Consumed: []TokenPlace{{TokenInParameter, "access_token"}}},
		},
		{
			name: "a token in a cookie", policies: requestAuth("shop/r {jwtRules: [{issuer: idp, fromCookies: [session]}]}"),
			request: HTTPRequest{Headers: map[string]string{"cookie": "a=b; session=" + encoded(t, token())}},
			want:    JWTResult{Rule: jwtRef("shop", "r", 0), Token: token(), Consumed: []TokenPlace{{TokenInCookie, "session"}}},
		},
		{
			name: "of two tokens at places of one rule both have to be good", policies: requestAuth("shop/r {jwtRules: [{issuer: idp, fromParams: [a, b]}]}"),
			request: HTTPRequest{Query: "a=" + encoded(t, token()) + "&b=" + encoded(t, token("iss", "evil"))},
			want:    JWTResult{Status: 401, Details: "jwt_authn_access_denied{Jwt_issuer_is_not_configured}", Message: "Jwt issuer is not configured", Rule: jwtRef("shop", "r", 0)},
		},
		{
			name: "a bad token at the place of another rule is excused", policies: requestAuth("shop/r {jwtRules: [{issuer: idp}, {issuer: other, fromHeaders: [{name: x-jwt}]}]}"),
			token: token(), request: HTTPRequest{Headers: map[string]string{"x-jwt": "abc"}},
			want: JWTResult{Rule: jwtRef("shop", "r", 0), Token: token(), Consumed: []TokenPlace{{TokenInHeader, "authorization"}}},
		},
		{
			name: "expired before it was made", policies: idp, token: token("iat", 2000.0, "exp", 1000.0),
			want: JWTResult{Status: 401, Details: "jwt_authn_access_denied{Jwt_is_expired}", Message: "Jwt is expired", Rule: jwtRef("shop", "r", 0)},
			steps: []string{
				"skipped requestauthentication/never-valid shop/r spec.jwtRules[0]: the token is never valid: exp 1970-01-01T00:16:40Z is before iat 1970-01-01T00:33:20Z",
				"denied requestauthentication/refused shop/r spec.jwtRules[0]: 401: Jwt is expired",
			},
		},
		{
			name: "the payload in a header", policies: requestAuth("shop/r {jwtRules: [{issuer: idp, outputPayloadToHeader: X-Payload, forwardOriginalToken: true}]}"), token: token(),
			want: JWTResult{Rule: jwtRef("shop", "r", 0), Token: token(), Headers: map[string]string{"x-payload": "eyJpc3MiOiJpZHAiLCJzdWIiOiJqYXNvbiJ9"}},
		},
		{
			name: "CORS preflight", policies: idp, token: token("iss", "evil"), want: JWTResult{},
			request: HTTPRequest{Method: "OPTIONS", Headers: map[string]string{"origin": "o", "access-control-request-method": "GET"}},
			steps:   []string{"allowed requestauthentication/cors-preflight shop/r spec.jwtRules[0]: a CORS preflight passes without a look at its token"},
		},
		{
			name: "OPTIONS without origin is no preflight", policies: idp, token: token("iss", "evil"),
			request: HTTPRequest{Method: "OPTIONS", Headers: map[string]string{"access-control-request-method": "GET"}},
			want:    JWTResult{Status: 401, Details: "jwt_authn_access_denied{Jwt_issuer_is_not_configured}", Message: "Jwt issuer is not configured", Rule: jwtRef("shop", "r", 0)},
		},
		{
			name: "time is not checked", policies: requestAuth("shop/r {jwtRules: [{issuer: idp, forwardOriginalToken: true}]}"), token: token("exp", 4102444800.0, "nbf", 1.0),
			want: JWTResult{Rule: jwtRef("shop", "r", 0), Token: token("exp", 4102444800.0, "nbf", 1.0)},
			steps: []string{
				"allowed requestauthentication/accepted shop/r spec.jwtRules[0]: token of issuer \"idp\" accepted; request principal idp/jason",
				"warning requestauthentication/keys-fetched shop/r spec.jwtRules[0]: the token is taken as signed by a key from the jwks_uri of idp/.well-known/openid-configuration: should istiod not be able to fetch it, every token is answered with 401",
				"warning requestauthentication/time-not-checked shop/r spec.jwtRules[0]: the token's exp is 2100-01-01T00:00:00Z; it is taken as valid now",
				"warning requestauthentication/time-not-checked shop/r spec.jwtRules[0]: the token's nbf is 1970-01-01T00:00:01Z; it is taken as valid now",
			},
		},
		{
			name: "space delimited claims", policies: requestAuth("shop/r {jwtRules: [{issuer: idp, spaceDelimitedClaims: [roles]}]}"), token: token("scope", "a  b", "roles", "x y", "name", "p q"),
			want: JWTResult{Rule: jwtRef("shop", "r", 0), Token: token("scope", []any{"a", "b"}, "roles", []any{"x", "y"}, "name", "p q"), Consumed: authorization},
		},
		{
			name: "claims to headers", token: token("n", 42.0, "f", 1.5, "b", true, "m", map[string]any{"x": "y"}, "l", []any{"z"}),
			policies: requestAuth("shop/r {jwtRules: [{issuer: idp, outputClaimToHeaders: [{header: X-Sub, claim: sub}, {header: x-n, claim: \"n\"}, {header: x-f, claim: f}, {header: x-b, claim: b}, {header: x-m, claim: m.x}, {header: x-l, claim: l}, {header: x-none, claim: none}, {header: x-n, claim: b}]}]}"),
			want: JWTResult{
				Rule: jwtRef("shop", "r", 0), Token: token("n", 42.0, "f", 1.5, "b", true, "m", map[string]any{"x": "y"}, "l", []any{"z"}), Consumed: authorization,
				Headers: map[string]string{"x-sub": "jason", "x-n": "42,true", "x-f": "1.500000", "x-b": "true", "x-m": "y", "x-l": "WyJ6Il0="},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := tt.request.Clone()
			if tt.token != nil {
				q.Headers["authorization"] = "Bearer " + encoded(t, tt.token)
			}
			r := snapshotOf(t, tt.policies).RequestAuthentication(guarded(), q)
			if got := stepLines(r.Steps); tt.steps != nil {
				if diff := cmp.Diff(tt.steps, got); diff != "" {
					t.Error(diff)
				}
			}
			r.Steps, r.Gaps, r.Sanitized = nil, nil, nil
			if diff := cmp.Diff(tt.want, r); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func jwtRef(namespace, name string, rule int) Ref {
	return Ref{Group: securityGroup, Kind: "RequestAuthentication", Namespace: namespace, Name: name, Field: "spec.jwtRules[" + string(rune('0'+rule)) + "]"}
}

func TestRequestAuthenticationAtWaypoint(t *testing.T) {
	w := guarded("gateway.networking.k8s.io/gateway-name=gw")
	w.Dataplane = DataplaneWaypoint
	r := snapshotOf(t, requestAuth("shop/r {jwtRules: [{issuer: idp}]}")).RequestAuthentication(w, &HTTPRequest{})
	want := []RuleID{RuleRequestAuthenticationWaypoint, RuleRequestAuthenticationNone}
	if diff := cmp.Diff(want, ruleIDs(r.Steps)); diff != "" {
		t.Error(diff)
	}
}
