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
	// Consumed are the places of accepted tokens that do not go on to the next hop (HTTPRequest.DropToken).
	Consumed []TokenPlace
	// Headers are those that outputClaimToHeaders and outputPayloadToHeader set, by
	// lower-case name; what the client sent under such names (Sanitized) is dropped before.
	Headers   map[string]string
	Sanitized []string
	Steps     []Step
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
	jwtOK            = jwtStatus{}
	jwtMissed        = jwtStatus{401, "Jwt is missing"}
	jwtUnknownIssuer = jwtStatus{401, "Jwt issuer is not configured"}
	jwtExpired       = jwtStatus{401, "Jwt is expired"}
	jwtWrongAudience = jwtStatus{403, "Audiences in Jwt are not allowed"}
	jwtBadFormat     = jwtStatus{401, "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"}
	jwtHeaderBase64  = jwtStatus{401, "Jwt header is an invalid Base64url encoded"}
	jwtHeaderJSON    = jwtStatus{401, "Jwt header is an invalid JSON"}
	jwtPayloadBase64 = jwtStatus{401, "Jwt payload is an invalid Base64url encoded"}
	jwtPayloadJSON   = jwtStatus{401, "Jwt payload is an invalid JSON"}
)

// RequestAuthentication tells what the JWT filter of the workload's proxy makes
// of a request and the end-user tokens in it. Tokens are taken as correctly signed
// and as valid now.
//
//  1. The rules of all RequestAuthentications that attach (workload, namespace and
//     mesh alike) are put together, ordered by issuer.
//  2. No rule: tokens are not looked at. A CORS preflight is not looked at either.
//  3. A rule looks at its own places only (tokensFor). Every token in them has to be good.
//  4. A token is good if it can be decoded, is of the rule's issuer, can be valid at
//     all, and is for one of the rule's audiences, in that order.
//  5. One rule that accepts is enough; its claims are known from here on, and the
//     tokens go no further unless forwardOriginalToken is set. Of several tokens the claims of the first place count.
//  6. If every rule sees no token the request passes without claims.
//  7. Else it is refused. A wrong audience or a token that does not parse is reported
//     before an unknown issuer.
//
// Source: pilot/pkg/security/authn/policy_applier.go, newPolicyApplier, convertToEnvoyJwtConfig;
// Envoy: source/extensions/filters/http/jwt_authn, authenticator.cc; verifier.cc, AnyVerifierImpl.
func (s *Snapshot) RequestAuthentication(w *Workload, q *HTTPRequest) JWTResult {
	// 1. Rules that apply.
	known := s.known(w).jwt.of(struct{}{}, func() jwtRules { return s.findJWTRules(w) })
	rules, r := known.rules, JWTResult{Gaps: known.gaps, Steps: known.steps}
	// 2. Nothing to do.
	if len(rules) == 0 || q == nil {
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
		r.sanitize(rule, q)
		tokens := tokensFor(rule.spec, q)
		token, status := r.check(rule, q, tokens)
		if status == jwtOK {
			// 5. The first that accepts.
			r.accept(rule, token, tokens)
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
	r.Status, r.Message, r.Rule = refused.code, refused.message, refusedBy
	r.Details = "jwt_authn_access_denied{" + strings.ReplaceAll(refused.message, " ", "_") + "}"
	r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationRefused, DeniedBy, refusedBy, r.Status, r.Message))
	return r
}

// jwtRules are the rules that apply to a workload's proxy, in Envoy's order, and how they were found.
type jwtRules struct {
	rules []jwtRule
	steps []Step
	gaps  []Gap
}

func (s *Snapshot) findJWTRules(w *Workload) jwtRules {
	var r jwtRules
	target, who := s.policyTarget(w), w.Owner.String()
	r.gaps = s.GapsOf(requestAuthenticationKind, target.namespaces()...)
	for _, g := range r.gaps {
		r.steps = append(r.steps, NewStep(RuleRequestAuthenticationUnreadable, Warned, g.ref(), string(g.Reason)))
	}
	r.steps = append(r.steps, s.hiddenRequestAuthentications(w)...)
	namespaces := target.namespaces()
	slices.Reverse(namespaces) // the workload's namespace first, as getConfigsForWorkload
	for _, ns := range namespaces {
		for _, p := range s.index.policies().request[ns] {
			if a := target.attach(ns, p.spec, p.selector); a != attached {
				r.steps = append(r.steps, target.passedOver(a, p.ref, p.spec, p.selector, attachmentRules{
					otherLabels: RuleRequestAuthenticationOtherLabels, targetRefs: RuleRequestAuthenticationTargetRefs,
					waypoint: RuleRequestAuthenticationWaypoint,
				}, who))
				continue
			}
			for i, spec := range p.spec.GetJwtRules() {
				if spec != nil {
					r.rules = append(r.rules, jwtRule{p.ref.At(fmt.Sprintf("spec.jwtRules[%d]", i)), spec})
				}
			}
		}
	}
	slices.SortStableFunc(r.rules, func(a, b jwtRule) int { return cmp.Compare(a.spec.GetIssuer(), b.spec.GetIssuer()) })
	if len(r.rules) == 0 {
		r.steps = append(r.steps, NewStep(RuleRequestAuthenticationNone, None, Ref{}, who))
	}
	r.steps, r.gaps = slices.Clip(r.steps), slices.Clip(r.gaps)
	return r
}

// isPreflight is Envoy's notion of a CORS preflight request.
func isPreflight(q *HTTPRequest) bool {
	origin, _ := q.Header("origin")
	method, _ := q.Header("access-control-request-method")
	return q.Method == "OPTIONS" && origin != "" && method != ""
}

// check is what one rule makes of its tokens, the last place first, and the token of the first place.
func (r *JWTResult) check(rule jwtRule, q *HTTPRequest, tokens []foundToken) (*Token, jwtStatus) {
	if len(tokens) == 0 {
		if places := strings.Join(tokenPlaces(rule.spec), ", "); places != "" && strings.HasPrefix(q.Headers["authorization"], "Bearer ") {
			r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationLocation, Skipped, rule.ref, places).
				Unlike(places, "header Authorization: Bearer"))
		}
		return nil, jwtMissed
	}
	var token *Token
	for _, found := range slices.Backward(tokens) {
		var status jwtStatus
		if token, status = readToken(found.text); status != jwtOK {
			r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationUndecoded, Skipped, rule.ref, found.String(), withPrefix(found)))
			return nil, status
		}
		if status = r.verify(rule, token); status != jwtOK {
			return nil, status
		}
	}
	return token, jwtOK
}

// withPrefix says where a word before the token was taken for a part of it.
func withPrefix(found foundToken) string {
	word, _, ok := strings.Cut(found.text, " ")
	if !ok || found.Kind != TokenInHeader {
		return ""
	}
	return fmt.Sprintf(": the rule names no prefix, so %q is taken for a part of it", word+" ")
}

// verify is what one rule makes of a token that was decoded.
func (r *JWTResult) verify(rule jwtRule, token *Token) jwtStatus {
	issuer, _ := token.Claims["iss"].(string)
	if want := rule.spec.GetIssuer(); want != "" && want != issuer {
		r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationIssuer, Skipped, rule.ref.At(rule.ref.Field+".issuer"), want, issuer).
			Unlike(want, issuer))
		return jwtUnknownIssuer
	}
	if why := neverValid(token.Claims); why != "" {
		r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationExpired, Skipped, rule.ref, why))
		return jwtExpired
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

// clockSkew is how far Envoy lets clocks differ, in seconds.
const clockSkew = 60

// neverValid says why a token cannot be valid at any time: it expires before it
// begins, or before it was made.
// Source: Envoy jwt_verify_lib, jwt.cc, verifyTimeConstraint.
func neverValid(claims map[string]any) string {
	expires, ok := claims["exp"].(float64)
	if !ok || expires == 0 {
		return ""
	}
	if begins, ok := claims["nbf"].(float64); ok && expires+clockSkew < begins-clockSkew {
		return fmt.Sprintf("exp %s is before nbf %s", moment(expires), moment(begins))
	}
	if made, ok := claims["iat"].(float64); ok && expires+clockSkew < made {
		return fmt.Sprintf("exp %s is before iat %s", moment(expires), moment(made))
	}
	return ""
}

func moment(seconds float64) string { return time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339) }

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

// accept records the claims, and what becomes of the token and of the headers.
func (r *JWTResult) accept(rule jwtRule, token *Token, tokens []foundToken) {
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
	r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationAccepted, Allowed, rule.ref, rule.spec.GetIssuer(), requestPrincipal(r.Token)))
	for _, name := range []string{"exp", "nbf"} {
		if at, ok := token.Claims[name].(float64); ok {
			r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationTime, Warned, rule.ref, name, moment(at)))
		}
	}
	if !rule.spec.GetForwardOriginalToken() {
		for _, found := range tokens {
			r.Consumed = append(r.Consumed, found.TokenPlace)
		}
		r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationConsumed, Applied, rule.ref.At(rule.ref.Field+".forwardOriginalToken")))
	}
	if name := rule.spec.GetOutputPayloadToHeader(); name != "" {
		_, rest, _ := strings.Cut(tokens[0].text, ".")
		payload, _, _ := strings.Cut(rest, ".")
		r.Headers = map[string]string{strings.ToLower(name): payload}
	}
	r.output(rule.spec, token)
}

// outputHeaders are the headers that a rule sets, by lower-case name.
// Source: Envoy: source/extensions/filters/http/jwt_authn/extractor.cc, sanitizeHeaders.
func outputHeaders(rule *apisecurity.JWTRule) []string {
	var out []string
	if name := rule.GetOutputPayloadToHeader(); name != "" {
		out = append(out, strings.ToLower(name))
	}
	for _, h := range rule.GetOutputClaimToHeaders() {
		out = append(out, strings.ToLower(h.GetHeader()))
	}
	return out
}

// sanitize takes the headers that the rule writes to off the request: no client can forge them.
// Source: Envoy, source/extensions/filters/http/jwt_authn/extractor.h, sanitizeHeaders.
func (r *JWTResult) sanitize(rule jwtRule, q *HTTPRequest) {
	for _, name := range outputHeaders(rule.spec) {
		if _, sent := q.Headers[name]; sent && !slices.Contains(r.Sanitized, name) {
			r.Steps = append(r.Steps, NewStep(RuleRequestAuthenticationCleared, Applied, rule.ref, name))
		}
		r.Sanitized = append(r.Sanitized, name)
	}
}

// output sets the headers that a rule makes of claims.
func (r *JWTResult) output(rule *apisecurity.JWTRule, token *Token) {
	for _, out := range rule.GetOutputClaimToHeaders() {
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
