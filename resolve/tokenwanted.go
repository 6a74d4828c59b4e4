package resolve

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	apisecurity "istio.io/api/security/v1beta1"
)

// Which claims policies want of a token.
//
//  1. Of an ALLOW rule: those of its clauses on the token that fail. Of a DENY rule: those of its negated clauses that
//     hold, as notRequestPrincipals does where there is no token.
//  2. The issuer is that of the jwtRule that shall accept the token. A value that is a pattern is taken without its "*";
//     what it leaves open is "anyone".
//  3. Of the values of a clause the first counts that such a token would match.

// anyone fills in for a claim of which nothing is asked but that it is there.
const anyone = "anyone"

// wantedClaims are, for each alternative of each rule, the claims that a token needs on top of what it has; token is
// nil where there is none.
func (s *Snapshot) wantedClaims(w *Workload, c *Connection, q *HTTPRequest, rule jwtRule, token *Token) []map[string]any {
	a := s.authorizer(w, c, q)
	a.in.token = token
	policies := s.policiesOn(w, false).byAction
	var out []map[string]any
	for _, action := range []apisecurity.AuthorizationPolicy_Action{apisecurity.AuthorizationPolicy_DENY, apisecurity.AuthorizationPolicy_ALLOW} {
		deny := action == apisecurity.AuthorizationPolicy_DENY
		for _, r := range a.evaluate(policies[action].enforced) {
			from := r.from
			if len(from) == 0 {
				from = []alternative{nil}
			}
			for _, one := range from {
				if claims, ok := wantedOf(slices.Concat(one, r.when), deny, &a.in, rule.spec); ok {
					out = append(out, claims)
				}
			}
		}
	}
	return out
}

// wantedOf are the claims for the clauses on the token; false where there is none to fulfil, or none that fits.
func wantedOf(clauses []clause, deny bool, in *policyInput, rule *apisecurity.JWTRule) (map[string]any, bool) {
	claims := map[string]any{}
	for _, c := range clauses {
		if c.attribute.claims == nil || c.negated != deny || c.holds(in) != TruthOf(deny) {
			continue
		}
		wanted, ok := c.claims(in, rule)
		if !ok {
			return nil, false
		}
		maps.Copy(claims, wanted)
	}
	if len(claims) == 0 {
		return nil, false
	}
	if in.token == nil {
		maps.Copy(claims, acceptable(rule))
	}
	return claims, true
}

// acceptable are the claims without which a rule accepts no token.
func acceptable(rule *apisecurity.JWTRule) map[string]any {
	claims := map[string]any{}
	if rule.GetIssuer() != "" {
		claims["iss"] = rule.GetIssuer()
	}
	if audiences := rule.GetAudiences(); len(audiences) > 0 {
		claims["aud"] = audiences[0]
	}
	return claims
}

// claims are those of a token that one of the clause's values matches.
func (c *clause) claims(in *policyInput, rule *apisecurity.JWTRule) (map[string]any, bool) {
	for i, value := range c.written {
		claims := c.attribute.claims(value)
		maps.Copy(claims, acceptable(rule))
		all := maps.Clone(claims)
		if in.token != nil {
			all = maps.Clone(in.token.Claims)
			maps.Copy(all, claims)
		}
		with := *in
		with.token = &Token{Claims: all}
		if c.predicates[i](&with) != True {
			continue
		}
		if in.token != nil {
			maps.DeleteFunc(claims, func(name string, v any) bool { return reflect.DeepEqual(in.token.Claims[name], v) })
		}
		return claims, true
	}
	return nil, false
}

// principalClaims are iss and sub as a request principal asks for them.
func principalClaims(value string) map[string]any {
	iss, sub := value, ""
	if i := strings.LastIndexByte(value, '/'); i >= 0 {
		iss, sub = value[:i], value[i+1:]
	} else if strings.HasPrefix(value, "*") {
		iss, sub = "", value
	}
	return map[string]any{"iss": literal(iss), "sub": literal(sub)}
}

// claimsAt is a claim, nested as its path says.
func claimsAt(path []string) func(value string) map[string]any {
	return func(value string) map[string]any {
		var claim any = literal(value)
		for _, name := range slices.Backward(path) {
			claim = map[string]any{name: claim}
		}
		claims, ok := claim.(map[string]any)
		if !ok {
			return map[string]any{}
		}
		return claims
	}
}

// literal is a value that a pattern matches.
func literal(pattern string) string {
	if value := strings.Trim(pattern, "*"); value != "" {
		return value
	}
	return anyone
}
