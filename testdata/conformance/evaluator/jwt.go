package evaluator

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	jwt "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
)

// authenticate runs the token filter. A token is taken as well signed; what remains is whether the
// provider knows its issuer and audience. Status 0 lets the request go on.
func (x *exchange) authenticate(c *jwt.JwtAuthentication) (int, string) {
	for _, p := range c.GetProviders() {
		for _, h := range outputHeaders(p) {
			delete(x.q.Headers, h) // what a client sends under such a name is never believed (https://github.com/envoyproxy/envoy/pull/46586)
		}
	}
	if c.GetBypassCorsPreflight() && x.q.Method == http.MethodOptions && x.q.Headers["origin"] != "" && x.q.Headers["access-control-request-method"] != "" {
		return 0, ""
	}
	for _, rule := range c.GetRules() {
		if rule.GetMatch() != nil && !routeMatches(rule.GetMatch(), x) {
			continue
		}
		return x.require(c, rule.GetRequires())
	}
	return 0, ""
}

// tokenState is what a requirement found.
type tokenState int

const (
	tokenMissing tokenState = iota
	tokenBad
	tokenForbidden
	tokenGood
)

func (x *exchange) require(c *jwt.JwtAuthentication, r *jwt.JwtRequirement) (int, string) {
	if r == nil {
		return 0, ""
	}
	switch state, details := x.requirement(c, r); state {
	case tokenGood:
		return 0, ""
	case tokenForbidden:
		return http.StatusForbidden, details
	default:
		return http.StatusUnauthorized, details
	}
}

func (x *exchange) requirement(c *jwt.JwtAuthentication, r *jwt.JwtRequirement) (tokenState, string) {
	switch q := r.GetRequiresType().(type) {
	case *jwt.JwtRequirement_ProviderName:
		return x.provider(c.GetProviders()[q.ProviderName], nil)
	case *jwt.JwtRequirement_ProviderAndAudiences:
		return x.provider(c.GetProviders()[q.ProviderAndAudiences.GetProviderName()], q.ProviderAndAudiences.GetAudiences())
	case *jwt.JwtRequirement_RequiresAny:
		return x.any(c, q.RequiresAny.GetRequirements())
	case *jwt.JwtRequirement_RequiresAll:
		for _, one := range q.RequiresAll.GetRequirements() {
			if state, details := x.requirement(c, one); state != tokenGood {
				return state, details
			}
		}
		return tokenGood, ""
	case *jwt.JwtRequirement_AllowMissingOrFailed:
		return tokenGood, ""
	case *jwt.JwtRequirement_AllowMissing:
		return tokenMissing, ""
	}
	return tokenGood, ""
}

// any: one that is good is enough. Else an error says more than an unknown issuer, and that more than a missing token;
// of several errors the last counts. A missing token passes where that is allowed.
// Source: Envoy, source/extensions/filters/http/jwt_authn/verifier.cc, AnyVerifierImpl.
func (x *exchange) any(c *jwt.JwtAuthentication, all []*jwt.JwtRequirement) (tokenState, string) {
	state, details, missingAllowed := tokenMissing, denied(missing), false
	for _, one := range all {
		if _, ok := one.GetRequiresType().(*jwt.JwtRequirement_AllowMissing); ok {
			missingAllowed = true
			continue
		}
		s, d := x.requirement(c, one)
		if s == tokenGood {
			return tokenGood, ""
		}
		if s != tokenMissing && d != denied(unknownIssuer) || state == tokenMissing {
			state, details = s, d
		}
	}
	if state == tokenMissing && missingAllowed {
		return tokenGood, ""
	}
	return state, details
}

// provider verifies every token that the request has for the provider: all of them have to be good.
// Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/http/jwt_authn/v3/config.proto,
// JwtProvider.
func (x *exchange) provider(p *jwt.JwtProvider, audiences []string) (tokenState, string) {
	for _, h := range outputHeaders(p) {
		delete(x.q.Headers, h) // what another has written (jwt_authn/extractor.h, sanitizeHeaders)
	}
	found := x.tokens(p)
	if len(found) == 0 {
		return tokenMissing, denied(missing)
	}
	if len(audiences) == 0 {
		audiences = p.GetAudiences()
	}
	for _, t := range slices.Backward(found) {
		claims, why := parseToken(t.raw)
		switch {
		case why != "":
			return tokenBad, denied(why)
		case p.GetIssuer() != "" && claims["iss"] != p.GetIssuer():
			return tokenBad, denied(unknownIssuer)
		case neverValid(claims):
			return tokenBad, denied("Jwt is expired")
		case len(audiences) > 0 && !audienceOf(claims["aud"], audiences):
			return tokenForbidden, denied("Audiences in Jwt are not allowed")
		}
		x.verified(p, t, claims)
	}
	return tokenGood, ""
}

// The two errors that say the least.
const (
	missing       = "Jwt is missing"
	unknownIssuer = "Jwt issuer is not configured"
)

func denied(why string) string {
	return "jwt_authn_access_denied{" + strings.ReplaceAll(why, " ", "_") + "}"
}

// verified does what the provider wants done with a good token, be another of its tokens good or not.
// Source: Envoy, source/extensions/filters/http/jwt_authn/authenticator.cc, handleGoodJwt, addJWTClaimToHeader.
func (x *exchange) verified(p *jwt.JwtProvider, t token, claims map[string]any) {
	add := func(name, value string) {
		name = strings.ToLower(name)
		if had, ok := x.q.Headers[name]; ok {
			value = had + "," + value
		}
		x.q.Headers[name] = value
	}
	if p.GetForwardPayloadHeader() != "" {
		add(p.GetForwardPayloadHeader(), strings.Split(t.raw, ".")[1])
	}
	for _, h := range p.GetClaimToHeaders() {
		if v := written(nested(claims, h.GetClaimName())); v != "" {
			add(h.GetHeaderName(), v)
		}
	}
	switch {
	case p.GetForward():
	case t.header != "":
		delete(x.q.Headers, t.header)
	case t.param != "":
		x.q.Path = withoutParameter(x.q.Path, t.param)
	}
	x.claims = withLists(claims, p.GetNormalizePayloadInMetadata().GetSpaceDelimitedClaims())
}

// written is a claim as a header has it: lists and objects are JSON in base64.
func written(claim any) string {
	switch v := claim.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		if v >= 0 && v < math.MaxUint64 && v == math.Trunc(v) {
			return strconv.FormatUint(uint64(v), 10)
		}
		return strconv.FormatFloat(v, 'f', 6, 64)
	case nil:
		return ""
	}
	text, err := json.Marshal(claim)
	if err != nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(text)
}

// withLists are the claims as later filters see them: some strings are lists of words
// (envoy.extensions.filters.http.jwt_authn.v3.JwtProvider.NormalizePayload).
func withLists(claims map[string]any, names []string) map[string]any {
	out := maps.Clone(claims)
	for _, name := range names {
		s, ok := claims[name].(string)
		if !ok {
			continue
		}
		var words []any
		for _, w := range strings.Fields(s) {
			words = append(words, w)
		}
		out[name] = words
	}
	return out
}

// nested is a claim by its name, in which dots lead into claims that are objects
// (envoy.extensions.filters.http.jwt_authn.v3.JwtClaimToHeader).
func nested(claims map[string]any, name string) any {
	var at any = claims
	for key := range strings.SplitSeq(name, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = object[key]
	}
	return at
}

// outputHeaders are those that the provider sets from a token.
func outputHeaders(p *jwt.JwtProvider) []string {
	var out []string
	for _, h := range p.GetClaimToHeaders() {
		out = append(out, strings.ToLower(h.GetHeaderName()))
	}
	return append(out, strings.ToLower(p.GetForwardPayloadHeader()))
}

// neverValid: tokens are taken as valid now, but for those that no moment suits.
func neverValid(claims map[string]any) bool {
	exp, ok := claims["exp"].(float64)
	begin, _ := claims["nbf"].(float64)
	made, _ := claims["iat"].(float64)
	return ok && exp != 0 && (exp+120 < begin || exp+60 < made)
}

// withoutParameter is a path whose query has lost a parameter; the others come out sorted and decoded.
func withoutParameter(path, name string) string {
	path, query, _ := strings.Cut(path, "?")
	values := decodedQuery(query)
	delete(values, name)
	sep := "?"
	for _, k := range slices.Sorted(maps.Keys(values)) {
		for _, v := range values[k] {
			path += sep + k + "=" + v
			sep = "&"
		}
	}
	return path
}

// parseToken reads a token; why says in Envoy's words what is wrong with it.
// Source: google/jwt_verify_lib, status.h.
func parseToken(raw string) (claims map[string]any, why string) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
	}
	decode := func(part string) ([]byte, error) {
		return base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.Join(strings.Fields(part), ""), "="))
	}
	for i, name := range []string{"header", "payload"} {
		text, err := decode(parts[i])
		if err != nil {
			return nil, "Jwt " + name + " is an invalid Base64url encoded"
		}
		claims = map[string]any{}
		if json.Unmarshal(text, &claims) != nil {
			return nil, "Jwt " + name + " is an invalid JSON"
		}
		if _, ok := claims["alg"].(string); !ok && i == 0 {
			return nil, "Jwt header [alg] field is required and must be a string"
		}
	}
	switch aud := claims["aud"].(type) {
	case nil, string:
	case []any:
		if slices.ContainsFunc(aud, func(v any) bool { _, ok := v.(string); return !ok }) {
			return nil, audienceType
		}
	default:
		return nil, audienceType
	}
	if _, err := decode(parts[2]); err != nil {
		return nil, "Jwt signature is an invalid Base64url encoded"
	}
	return claims, ""
}

const audienceType = "Jwt payload [aud] field is not a string or string list"

// token is one that stands in the request, and the header or parameter it stands in.
type token struct{ raw, header, param string }

// tokens are those at the places where the provider looks: from_headers, from_params and from_cookies; without
// any of these "Authorization: Bearer" and the parameter access_token. Each kind goes by name, a header by name and
// prefix (source/extensions/filters/http/jwt_authn/extractor.cc).
func (x *exchange) tokens(p *jwt.JwtProvider) []token {
	headers, params := p.GetFromHeaders(), p.GetFromParams()
	if len(headers)+len(params)+len(p.GetFromCookies()) == 0 {
		headers = []*jwt.JwtHeader{{Name: "authorization", ValuePrefix: "Bearer "}}
		params = []string{"access_token"}
	}
	key := func(h *jwt.JwtHeader) string { return strings.ToLower(h.GetName()) + h.GetValuePrefix() }
	headers = slices.SortedFunc(slices.Values(headers), func(a, b *jwt.JwtHeader) int { return cmp.Compare(key(a), key(b)) })
	headers = slices.CompactFunc(headers, func(a, b *jwt.JwtHeader) bool { return key(a) == key(b) })
	var out []token
	for _, h := range headers {
		name := strings.ToLower(h.GetName())
		v, ok := x.q.Headers[name]
		_, after, prefixed := strings.Cut(v, h.GetValuePrefix())
		if !ok || !prefixed {
			continue
		}
		if h.GetValuePrefix() != "" {
			after = strings.TrimLeft(after, " ")
		}
		out = append(out, token{raw: after, header: name})
	}
	_, query, _ := strings.Cut(x.q.Path, "?")
	for _, name := range slices.Compact(slices.Sorted(slices.Values(params))) {
		if values := decodedQuery(query)[name]; len(values) > 0 {
			out = append(out, token{raw: values[0], param: name})
		}
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(p.GetFromCookies()))) {
		for pair := range strings.SplitSeq(x.q.Headers["cookie"], ";") {
			if k, v, ok := strings.Cut(strings.TrimSpace(pair), "="); ok && k == name {
				if len(v) > 1 && strings.HasPrefix(v, `"`) && strings.HasSuffix(v, `"`) {
					v = v[1 : len(v)-1]
				}
				out = append(out, token{raw: v})
				break // of one name the first counts (source/common/http/utility.cc, parseCookies)
			}
		}
	}
	return out
}

// decodedQuery are the parameters with what is escaped in them; a "+" is one
// (source/common/http/utility.cc, QueryParamsMulti::parseAndDecodeQueryString).
func decodedQuery(query string) map[string][]string {
	decode := func(s string) string {
		if text, err := url.PathUnescape(s); err == nil {
			return text
		}
		return s
	}
	out := map[string][]string{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair != "" {
			k, v, _ := strings.Cut(pair, "=")
			out[decode(k)] = append(out[decode(k)], decode(v))
		}
	}
	return out
}

func audienceOf(aud any, allowed []string) bool {
	trim := func(s string) string {
		s = strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://")
		return strings.TrimSuffix(s, "/")
	}
	var have []string
	switch a := aud.(type) {
	case string:
		have = []string{a}
	case []any:
		for _, v := range a {
			if s, ok := v.(string); ok {
				have = append(have, s)
			}
		}
	}
	return slices.ContainsFunc(have, func(h string) bool {
		return slices.ContainsFunc(allowed, func(a string) bool { return trim(h) == trim(a) })
	})
}
