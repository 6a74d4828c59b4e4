package resolve

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	apisecurity "istio.io/api/security/v1beta1"
)

// Where a jwtRule reads tokens.
//
//  1. A rule that names fromHeaders, fromParams or fromCookies reads only those; else
//     "Authorization: Bearer" and the query parameter access_token.
//  2. A header with a prefix holds a token where the prefix is found anywhere in it: from
//     the first character behind it that a token can have. Without a prefix the whole value is the token.
//  3. Each place is looked at: headers, parameters, cookies, each by name. They are
//     verified in the opposite order.
//
// Source: pilot/pkg/security/authn/policy_applier.go, convertToEnvoyJwtConfig;
// Envoy: source/extensions/filters/http/jwt_authn/extractor.cc.

// TokenPlaceKind is the kind of place in which a token travels. It is a closed list.
type TokenPlaceKind string

// The kinds of places.
const (
	TokenInHeader    TokenPlaceKind = "header"
	TokenInParameter TokenPlaceKind = "parameter"
	TokenInCookie    TokenPlaceKind = "cookie"
)

// TokenPlace is a place in a request in which a token was found: the lower-case
// name of a header, or the name of a query parameter or cookie.
type TokenPlace struct {
	Kind TokenPlaceKind
	Name string
}

// String is "header x-token".
func (p TokenPlace) String() string { return string(p.Kind) + " " + p.Name }

// foundToken is what stands in one place.
type foundToken struct {
	TokenPlace
	text string
}

// tokensFor are the tokens that a rule finds in the request, in Envoy's order.
func tokensFor(rule *apisecurity.JWTRule, q *HTTPRequest) []foundToken {
	headers, params := rule.GetFromHeaders(), rule.GetFromParams()
	if len(tokenPlaces(rule)) == 0 {
		headers, params = []*apisecurity.JWTHeader{{Name: "authorization", Prefix: "Bearer "}}, []string{"access_token"}
	}
	headers = slices.Clone(headers)
	slices.SortFunc(headers, func(a, b *apisecurity.JWTHeader) int { return cmp.Compare(headerKey(a), headerKey(b)) })
	headers = slices.CompactFunc(headers, func(a, b *apisecurity.JWTHeader) bool { return headerKey(a) == headerKey(b) })
	var out []foundToken
	for _, h := range headers {
		if value, ok := q.Headers[strings.ToLower(h.GetName())]; ok {
			if text, ok := behindPrefix(value, h.GetPrefix()); ok {
				out = append(out, foundToken{TokenPlace{TokenInHeader, strings.ToLower(h.GetName())}, text})
			}
		}
	}
	given := queryParams(q.Query)
	for _, name := range slices.Compact(slices.Sorted(slices.Values(params))) {
		if values := given[name]; len(values) > 0 {
			out = append(out, foundToken{TokenPlace{TokenInParameter, name}, values[0]})
		}
	}
	baked := cookies(q.Headers["cookie"])
	for _, name := range slices.Compact(slices.Sorted(slices.Values(rule.GetFromCookies()))) {
		if value, ok := baked[name]; ok {
			out = append(out, foundToken{TokenPlace{TokenInCookie, name}, value})
		}
	}
	return out
}

func headerKey(h *apisecurity.JWTHeader) string { return strings.ToLower(h.GetName()) + h.GetPrefix() }

// tokenAlphabet is base64url with the dot between a token's parts.
const tokenAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

func behindPrefix(value, prefix string) (string, bool) {
	if prefix == "" {
		return value, true
	}
	i := strings.Index(value, prefix)
	if i < 0 {
		return "", false
	}
	rest := value[i+len(prefix):]
	if start := strings.IndexAny(rest, tokenAlphabet); start >= 0 {
		return rest[start:], true
	}
	return value, true
}

// queryParams are the parameters of a query string, decoded.
func queryParams(query string) map[string][]string {
	out := map[string][]string{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name = unescaped(name)
		out[name] = append(out[name], unescaped(value))
	}
	return out
}

func unescaped(s string) string {
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	return s
}

// cookies are the cookies of a Cookie header by name, without quotes around them; of two of one name the first counts.
// Source: Envoy: source/common/http/utility.cc, parseCookies.
func cookies(header string) map[string]string {
	out := map[string]string{}
	for pair := range strings.SplitSeq(header, ";") {
		name, value, ok := strings.Cut(strings.TrimLeft(pair, " \t"), "=")
		if _, had := out[name]; ok && !had {
			if len(value) > 1 && strings.HasPrefix(value, `"`) && strings.HasSuffix(value, `"`) {
				value = value[1 : len(value)-1]
			}
			out[name] = value
		}
	}
	return out
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

// DropToken takes an accepted token out of the request: a header as a whole; a
// parameter, after which the others stand decoded and by name. Cookies stay.
// Source: Envoy: source/extensions/filters/http/jwt_authn/extractor.cc, removeJwt.
func (q *HTTPRequest) DropToken(p TokenPlace) {
	switch p.Kind {
	case TokenInHeader:
		delete(q.Headers, p.Name)
	case TokenInParameter:
		params := queryParams(q.Query)
		delete(params, p.Name)
		var rest []string
		for _, name := range slices.Sorted(maps.Keys(params)) {
			for _, value := range params[name] {
				rest = append(rest, name+"="+value)
			}
		}
		q.Query = strings.Join(rest, "&")
	case TokenInCookie:
	}
}

// readToken decodes a token as far as the trace can: its signature is taken as good.
// Source: Envoy jwt_verify_lib, jwt.cc, parseFromString.
func readToken(text string) (*Token, jwtStatus) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, jwtBadFormat
	}
	decode := func(part string) ([]byte, error) {
		part = strings.Join(strings.Fields(part), "") // absl, escaping.cc, Base64UnescapeInternal, skips spaces
		return base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
	}
	header, err := decode(parts[0])
	if err != nil {
		return nil, jwtHeaderBase64
	}
	fields := map[string]any{}
	if json.Unmarshal(header, &fields) != nil {
		return nil, jwtHeaderJSON
	}
	if _, ok := fields["alg"].(string); !ok {
		return nil, jwtHeaderAlg
	}
	payload, err := decode(parts[1])
	if err != nil {
		return nil, jwtPayloadBase64
	}
	token := &Token{}
	if json.Unmarshal(payload, &token.Claims) != nil {
		return nil, jwtPayloadJSON
	}
	if aud, ok := token.Claims["aud"]; ok && !isAudience(aud) {
		return nil, jwtAudienceType
	}
	if _, err := decode(parts[2]); err != nil {
		return nil, jwtSignature
	}
	return token, jwtOK
}

// isAudience reports whether a claim is what an audience has to be: a string, or a list of strings.
func isAudience(claim any) bool {
	list, ok := claim.([]any)
	if !ok {
		_, ok = claim.(string)
		return ok
	}
	return !slices.ContainsFunc(list, func(v any) bool { _, ok := v.(string); return !ok })
}
