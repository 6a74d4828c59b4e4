package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	apisecurity "istio.io/api/security/v1beta1"
)

// JWTResult is what the JWT filter of a proxy makes of a request.
type JWTResult struct {
	// Status is 0 where the request passes, else 401 or 403.
	Status int
	// Details are the response code details, and Message the body of the refusal.
	Details, Message string
	// Rule is the jwtRule that accepted the token or whose refusal is answered; zero without one.
	Rule Ref
	// Token holds the claims that this proxy knows from now on; nil if none.
	Token *Token
	// Forwarded is whether the token in Authorization goes on to the next hop.
	Forwarded bool
	// Consumed are the other headers whose token goes no further.
	Consumed []string
	// Headers are those that outputClaimToHeaders sets, by lower-case name.
	Headers map[string]string
	Steps   []Step
	// Gaps are what could not be read and might change the answer.
	Gaps []Gap
}

// jwtRule is one rule of the RequestAuthentications that apply.
type jwtRule struct {
	ref  Ref
	spec *apisecurity.JWTRule
}

// jwtStatus is Envoy's status of one rule for the token.
type jwtStatus struct {
	code    int
	message string
}

var (
	jwtOK              = jwtStatus{}
	jwtMissed          = jwtStatus{401, "Jwt is missing"}
	jwtUnknownIssuer   = jwtStatus{401, "Jwt issuer is not configured"}
	jwtWrongAudience   = jwtStatus{403, "Audiences in Jwt are not allowed"}
	jwtNoToken         = jwtStatus{401, "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"}
	jwtHeaderUnparsed  = jwtStatus{401, "Jwt header is an invalid Base64url encoded"}
	jwtHeaderNoJSON    = jwtStatus{401, "Jwt header is an invalid JSON"}
	jwtPayloadUnparsed = jwtStatus{401, "Jwt payload is an invalid Base64url encoded"}
	jwtPayloadNoJSON   = jwtStatus{401, "Jwt payload is an invalid JSON"}
)

// RequestAuthentication tells what the JWT filter of the workload's proxy makes
// of a request whose end-user token is sent as "Authorization: Bearer", token, and of those that it has
// elsewhere. A token is taken as correctly signed and as valid now; token is nil without one.
//
//  1. The rules of all RequestAuthentications that attach (workload, namespace and
//     mesh alike) are put together, ordered by issuer.
//  2. No rule: the token is not looked at. A CORS preflight is not looked at either.
//  3. A rule sees the tokens at the places that it reads (jwtlocation.go).
//  4. A rule accepts a token of its issuer and, if it lists audiences, for one of them. It has to
//     accept all that it sees.
//  5. One rule that accepts is enough; its claims are known from here on, and the
//     token goes no further unless forwardOriginalToken is set.
//  6. If every rule sees no token the request passes without claims.
//  7. Else it is refused. A wrong audience or a token that does not parse is reported
//     before an unknown issuer.
//
// Source: pilot/pkg/security/authn/policy_applier.go, newPolicyApplier, convertToEnvoyJwtConfig;
// Envoy: source/extensions/filters/http/jwt_authn, AnyVerifierImpl.
func (s *Snapshot) RequestAuthentication(w *Workload, q *HTTPRequest, token *Token) JWTResult {
	r := JWTResult{Forwarded: token != nil}
	// 1. Rules that apply.
	rules := s.jwtRules(w, &r)
	// 2. Nothing to do.
	if len(rules) == 0 {
		r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationNone, None, Ref{}, w.Owner.String()))
		return r
	}
	if q == nil {
		return r
	}
	if isPreflight(q) {
		r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationPreflight, Allowed, Ref{}))
		return r
	}
	// 3 and 4. What each rule makes of its tokens.
	refused, refusedBy := jwtMissed, Ref{}
	first, firstBy := jwtMissed, Ref{}
	for _, rule := range rules {
		found, status := r.check(rule, q, token)
		if status == jwtOK {
			// 5. The first that accepts.
			r.accept(rule, found)
			return r
		}
		if first == jwtMissed {
			first, firstBy = status, rule.ref
		}
		if status != jwtMissed && (status != jwtUnknownIssuer || refused == jwtMissed) {
			refused, refusedBy = status, rule.ref
		}
	}
	// 6. No token.
	if refused == jwtMissed {
		r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationNoToken, None, Ref{}))
		return r
	}
	// 7. Refused. Envoy asks last for all rules at once, which fails as the first of them does.
	if first != jwtUnknownIssuer {
		refused, refusedBy = first, firstBy
	}
	r.Status, r.Message, r.Rule, r.Forwarded = refused.code, refused.message, refusedBy, false
	r.Details = "jwt_authn_access_denied{" + strings.ReplaceAll(refused.message, " ", "_") + "}"
	r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationRefused, DeniedBy, refusedBy, r.Status, r.Message))
	return r
}

// jwtRules are the rules that apply to the workload's proxy, in Envoy's order.
func (s *Snapshot) jwtRules(w *Workload, r *JWTResult) []jwtRule {
	target, who := s.policyTarget(w), w.Owner.String()
	r.Gaps = s.GapsOf(requestAuthenticationKind, target.namespaces()...)
	for _, g := range r.Gaps {
		r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationUnreadable, Warned, g.ref(), string(g.Reason)))
	}
	r.Steps = append(r.Steps, s.hiddenRequestAuthentications(w)...)
	var rules []jwtRule
	namespaces := target.namespaces()
	slices.Reverse(namespaces) // the workload's namespace first, as getConfigsForWorkload
	for _, ns := range namespaces {
		for _, p := range s.index.policies().request[ns] {
			if a := target.attach(ns, p.spec, p.selector); a != attached {
				r.Steps = append(r.Steps, target.passedOver(a, p.ref, p.spec, p.selector, attachmentRules{
					otherLabels: RuleRequestAuthenticationOtherLabels, targetRefs: RuleRequestAuthenticationTargetRefs,
					waypoint: RuleRequestAuthenticationWaypoint,
				}, who))
				continue
			}
			for i, spec := range p.spec.GetJwtRules() {
				if spec != nil {
					rules = append(rules, jwtRule{p.ref.At(fmt.Sprintf("spec.jwtRules[%d]", i)), spec})
				}
			}
		}
	}
	slices.SortStableFunc(rules, func(a, b jwtRule) int { return cmp.Compare(a.spec.GetIssuer(), b.spec.GetIssuer()) })
	return rules
}

// isPreflight is Envoy's notion of a CORS preflight request.
func isPreflight(q *HTTPRequest) bool {
	origin, _ := q.Header("origin")
	method, _ := q.Header("access-control-request-method")
	return q.Method == "OPTIONS" && origin != "" && method != ""
}

// check is what one rule makes of the tokens it sees, and these.
func (r *JWTResult) check(rule jwtRule, q *HTTPRequest, token *Token) ([]placedToken, jwtStatus) {
	var found []placedToken
	if token != nil {
		reads, whole := readsAuthorization(rule.spec)
		switch {
		case whole:
			r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationPrefix, Skipped, rule.ref.At(rule.ref.Field+".fromHeaders")).
				Unlike("prefix \"Bearer \"", "no prefix"))
			return nil, jwtHeaderUnparsed
		case reads:
			found = append(found, placedToken{token: token})
		}
	}
	others := placedTokens(rule.spec, q, token != nil)
	for _, o := range others {
		r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationPlace, Applied, rule.ref, o.place))
	}
	if found = append(found, others...); len(found) == 0 {
		if places := strings.Join(tokenPlaces(rule.spec), ", "); token != nil {
			r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationLocation, Skipped, rule.ref, places).
				Unlike(places, "header Authorization: Bearer"))
		}
		return nil, jwtMissed
	}
	for _, t := range found {
		status := t.status
		if status == jwtOK {
			status = r.claimsOf(rule, t.token)
		}
		if status != jwtOK {
			return nil, status
		}
	}
	return found, jwtOK
}

// claimsOf is step 4 for one token.
func (r *JWTResult) claimsOf(rule jwtRule, token *Token) jwtStatus {
	issuer, _ := token.Claims["iss"].(string)
	if want := rule.spec.GetIssuer(); want != "" && want != issuer {
		r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationIssuer, Skipped, rule.ref.At(rule.ref.Field+".issuer"), want, issuer).
			Unlike(want, issuer))
		return jwtUnknownIssuer
	}
	if want := rule.spec.GetAudiences(); len(want) > 0 {
		audiences := stringsOf(token.Claims["aud"])
		if !slices.ContainsFunc(audiences, func(a string) bool { return slices.ContainsFunc(want, sameAudience(a)) }) {
			expected, actual := strings.Join(want, ", "), cmp.Or(strings.Join(audiences, ", "), "none")
			r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationAudience, Skipped, rule.ref.At(rule.ref.Field+".audiences"), actual, expected).
				Unlike(expected, actual))
			return jwtWrongAudience
		}
	}
	return jwtOK
}

// sameAudience compares audiences as Envoy does: without scheme and trailing slash.
// Source: Envoy jwt_verify_lib, check_audience.cc, sanitizeAudience.
func sameAudience(a string) func(string) bool {
	sanitize := func(s string) string {
		s = strings.TrimSuffix(s, "/")
		if rest, ok := strings.CutPrefix(s, "https://"); ok {
			return rest
		}
		return strings.TrimPrefix(s, "http://")
	}
	a = sanitize(a)
	return func(b string) bool { return a == sanitize(b) }
}

// accept records the claims, and what becomes of the tokens and of the headers.
func (r *JWTResult) accept(rule jwtRule, found []placedToken) {
	token := found[len(found)-1].token
	claims := make(map[string]any, len(token.Claims))
	split := append([]string{"scope", "permission"}, rule.spec.GetSpaceDelimitedClaims()...)
	for name, v := range token.Claims {
		if text, ok := v.(string); ok && slices.Contains(split, name) {
			var list []any
			for word := range strings.SplitSeq(text, " ") {
				if word != "" {
					list = append(list, word)
				}
			}
			v = list
		}
		claims[name] = v
	}
	r.Rule, r.Token = rule.ref, &Token{Claims: claims}
	keeps := rule.spec.GetForwardOriginalToken()
	for _, t := range found {
		switch {
		case t.place == "":
			r.Forwarded = keeps
		case t.header != "" && !keeps:
			r.Consumed = append(r.Consumed, t.header)
		}
	}
	r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationAccepted, Allowed, rule.ref, rule.spec.GetIssuer(), requestPrincipal(r.Token)))
	for _, name := range []string{"exp", "nbf"} {
		if at, ok := token.Claims[name].(float64); ok {
			r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationTime, Warned, rule.ref, name, time.Unix(int64(at), 0).UTC().Format(time.RFC3339)))
		}
	}
	if !keeps {
		r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationConsumed, Applied, rule.ref.At(rule.ref.Field+".forwardOriginalToken")))
	}
	for _, out := range rule.spec.GetOutputClaimToHeaders() {
		value, ok := claimText(token.Claims, strings.Split(out.GetClaim(), "."))
		if !ok || out.GetHeader() == "" {
			continue
		}
		if r.Headers == nil {
			r.Headers = map[string]string{}
		}
		name := strings.ToLower(out.GetHeader())
		if had, ok := r.Headers[name]; ok {
			value = had + "," + value
		}
		r.Headers[name] = value
	}
}
