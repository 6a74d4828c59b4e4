package evaluator

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	jwt "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
)

// authenticate runs the token filter. A token is taken as well signed; what remains is whether the
// provider knows its issuer and audience. Status 0 lets the request go on.
func (x *exchange) authenticate(c *jwt.JwtAuthentication) (int, string) {
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

// any: one that is good is enough. Where none is, a missing token passes if that is allowed and no
// other requirement found a bad one.
func (x *exchange) any(c *jwt.JwtAuthentication, all []*jwt.JwtRequirement) (tokenState, string) {
	state, details, missingAllowed := tokenMissing, "jwt_authn_access_denied{Jwt_is_missing}", false
	for _, one := range all {
		if _, ok := one.GetRequiresType().(*jwt.JwtRequirement_AllowMissing); ok {
			missingAllowed = true
			continue
		}
		s, d := x.requirement(c, one)
		if s == tokenGood {
			return tokenGood, ""
		}
		if s == tokenBad || s == tokenForbidden {
			state, details = s, d
		}
	}
	if state == tokenMissing && missingAllowed {
		return tokenGood, ""
	}
	return state, details
}

func (x *exchange) provider(p *jwt.JwtProvider, audiences []string) (tokenState, string) {
	raw, header := x.token(p)
	if raw == "" {
		return tokenMissing, "jwt_authn_access_denied{Jwt_is_missing}"
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return tokenBad, "jwt_authn_access_denied{Jwt_is_not_in_the_form_of_Header.Payload.Signature_with_two_dots_and_3_sections}"
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	claims := map[string]any{}
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return tokenBad, "jwt_authn_access_denied{Jwt_payload_is_an_invalid_JSON}"
	}
	if p.GetIssuer() != "" && claims["iss"] != p.GetIssuer() {
		return tokenBad, "jwt_authn_access_denied{Jwt_issuer_is_not_configured}"
	}
	if len(audiences) == 0 {
		audiences = p.GetAudiences()
	}
	if len(audiences) > 0 && !audienceOf(claims["aud"], audiences) {
		return tokenForbidden, "jwt_authn_access_denied{Audiences_in_Jwt_are_not_allowed}"
	}
	x.claims = claims
	for _, h := range p.GetClaimToHeaders() {
		if v, ok := claims[h.GetClaimName()].(string); ok {
			x.q.Headers[strings.ToLower(h.GetHeaderName())] = v
		}
	}
	if p.GetForwardPayloadHeader() != "" {
		x.q.Headers[strings.ToLower(p.GetForwardPayloadHeader())] = parts[1]
	}
	if !p.GetForward() && header != "" {
		delete(x.q.Headers, header)
	}
	return tokenGood, ""
}

// token is the token where the provider looks for one, and the header it stands in.
func (x *exchange) token(p *jwt.JwtProvider) (raw, header string) {
	if len(p.GetFromHeaders()) == 0 && len(p.GetFromParams()) == 0 {
		v, ok := x.q.Headers["authorization"]
		if ok && strings.HasPrefix(v, "Bearer ") {
			return strings.TrimPrefix(v, "Bearer "), "authorization"
		}
		_, query, _ := strings.Cut(x.q.Path, "?")
		v, _ = parameter(query, "access_token")
		return v, ""
	}
	for _, h := range p.GetFromHeaders() {
		name := strings.ToLower(h.GetName())
		if v, ok := x.q.Headers[name]; ok && strings.HasPrefix(v, h.GetValuePrefix()) {
			return strings.TrimPrefix(v, h.GetValuePrefix()), name
		}
	}
	for _, name := range p.GetFromParams() {
		_, query, _ := strings.Cut(x.q.Path, "?")
		if v, ok := parameter(query, name); ok {
			return v, ""
		}
	}
	return "", ""
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
