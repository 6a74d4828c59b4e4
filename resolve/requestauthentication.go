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
	jwtHeaderAlg     = jwtStatus{401, "Jwt header [alg] field is required and must be a string"}
	jwtPayloadBase64 = jwtStatus{401, "Jwt payload is an invalid Base64url encoded"}
	jwtPayloadJSON   = jwtStatus{401, "Jwt payload is an invalid JSON"}
	jwtAudienceType  = jwtStatus{401, "Jwt payload [aud] field is not a string or string list"}
	jwtSignature     = jwtStatus{401, "Jwt signature is an invalid Base64url encoded"}
)

// RequestAuthentication tells what the JWT filter of the workload's proxy makes
// of a request and the end-user tokens in it. Tokens are taken as correctly signed
// and as valid now.
//
//  1. The rules of all RequestAuthentications that attach (workload, namespace and
//     mesh alike) are put together, ordered by issuer.
//  2. No rule: tokens are not looked at. Headers that rules write to are taken off every request. A CORS preflight is
//     not looked at beyond that.
//  3. A rule looks at its own places only (tokensFor), the last first, and stops at a token that is not good.
//  4. A token is good if it can be decoded, is of the rule's issuer, can be valid at
//     all, and is for one of the rule's audiences, in that order.
//  5. A good token's claims take the place of those of tokens before; it writes its headers, and goes no
//     further unless forwardOriginalToken is set: whatever the rule's other tokens are, and before the
//     next rule looks.
//  6. One rule whose tokens are all good is enough. Else all rules look again: the request
//     passes if each has good tokens or none.
//  7. Else it is refused. A wrong audience or a token that does not parse is reported
//     before an unknown issuer.
//
// Source: pilot/pkg/security/authn/policy_applier.go, newPolicyApplier, convertToEnvoyJwtConfig;
// Envoy: source/extensions/filters/http/jwt_authn, authenticator.cc; verifier.cc, AnyVerifierImpl, AllVerifierImpl.
func (s *Snapshot) RequestAuthentication(w *Workload, q *HTTPRequest) JWTResult {
	// 1. Rules that apply.
	known := s.known(w).jwt.of(struct{}{}, func() jwtRules { return s.findJWTRules(w) })
	r := JWTResult{Gaps: known.gaps, Steps: known.steps}
	// 2. Nothing to do.
	if len(known.rules) == 0 || q == nil {
		return r
	}
	f := jwtFilter{JWTResult: r, q: q.Clone()}
	if q.IsPreflight() {
		f.Steps = append(f.Steps, NewStep(RuleRequestAuthenticationPreflight, Allowed, known.rules[0].ref))
		f.sanitize(known.rules)
		return f.JWTResult
	}
	f.sanitize(known.rules)
	f.run(known.rules)
	return f.JWTResult
}

// jwtFilter is one run of the filter; q is the request as the tokens so far have left it.
type jwtFilter struct {
	JWTResult
	q *HTTPRequest
	// partly tells of good tokens that were taken beside one that is not.
	partly []Step
}

// run has the rules look at the request.
func (f *jwtFilter) run(rules []jwtRule) {
	refused, refusedBy := jwtMissed, Ref{}
	weigh := func(status jwtStatus, by Ref) {
		if status != jwtMissed && status != jwtUnknownIssuer || refused == jwtMissed {
			refused, refusedBy = status, by
		}
	}
	// 6. The first whose tokens are all good.
	for _, rule := range rules {
		status := f.check(rule)
		if status == jwtOK {
			f.Steps = append(f.Steps, f.partly...)
			f.accepted(rule)
			return
		}
		weigh(status, rule.ref)
	}
	if refused != jwtMissed && len(rules) > 1 {
		weigh(f.again(rules))
	}
	switch refused {
	case jwtOK:
		f.Steps = append(f.Steps, f.partly...)
		return
	case jwtMissed:
		f.Steps = append(f.Steps, NewStep(RuleRequestAuthenticationNoToken, None, rules[0].ref))
		return
	}
	// 7. Refused.
	f.Status, f.Message, f.Rule, f.Token = refused.code, refused.message, refusedBy, nil
	f.Headers, f.Consumed = nil, nil
	f.Details = "jwt_authn_access_denied{" + strings.ReplaceAll(refused.message, " ", "_") + "}"
	f.Steps = append(f.Steps, NewStep(RuleRequestAuthenticationRefused, DeniedBy, refusedBy, f.Status, f.Message))
}

// again has all rules look at what is left; each needs good tokens or none.
func (f *jwtFilter) again(rules []jwtRule) (jwtStatus, Ref) {
	steps := f.Steps
	for _, rule := range rules {
		switch status := f.check(rule); status {
		case jwtOK:
			f.accepted(rule)
		case jwtMissed:
		default:
			f.Steps = steps
			return status, rule.ref
		}
	}
	return jwtOK, Ref{}
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
	if len(namespaces) > 1 && namespaces[1] == target.namespace { // the workload's namespace first, as getConfigsForWorkload
		namespaces[0], namespaces[1] = namespaces[1], namespaces[0]
	}
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

// check is what one rule makes of its tokens, the last place first.
func (f *jwtFilter) check(rule jwtRule) jwtStatus {
	f.sanitize([]jwtRule{rule}) // what another rule has written
	tokens := tokensFor(rule.spec, f.q)
	if len(tokens) == 0 {
		if places := strings.Join(tokenPlaces(rule.spec), ", "); places != "" && strings.HasPrefix(f.q.Headers["authorization"], "Bearer ") {
			f.Steps = append(f.Steps, NewStep(RuleRequestAuthenticationLocation, Skipped, rule.ref, places).
				Unlike(places, "header Authorization: Bearer"))
		}
		return jwtMissed
	}
	var taken *foundToken
	for _, found := range slices.Backward(tokens) {
		token, status := readToken(found.text)
		if status != jwtOK {
			f.Steps = append(f.Steps, NewStep(RuleRequestAuthenticationUndecoded, Skipped, rule.ref, found.String(), withPrefix(found)))
		} else {
			status = f.verify(rule, token)
		}
		if status != jwtOK {
			if taken != nil {
				f.partly = append(f.partly, NewStep(RuleRequestAuthenticationPartly, Applied, rule.ref, taken.String()))
			}
			return status
		}
		f.take(rule.spec, found, token)
		taken = &found
	}
	return jwtOK
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
func (f *jwtFilter) verify(rule jwtRule, token *Token) jwtStatus {
	issuer, _ := token.Claims["iss"].(string)
	if want := rule.spec.GetIssuer(); want != "" && want != issuer {
		f.Steps = append(f.Steps, NewStep(RuleRequestAuthenticationIssuer, Skipped, rule.ref.At(rule.ref.Field+".issuer"), want, issuer).
			Unlike(want, issuer))
		return jwtUnknownIssuer
	}
	if why := neverValid(token.Claims); why != "" {
		f.Steps = append(f.Steps, NewStep(RuleRequestAuthenticationExpired, Skipped, rule.ref, why))
		return jwtExpired
	}
	if want := rule.spec.GetAudiences(); len(want) > 0 {
		audiences := stringsOf(token.Claims["aud"])
		if !slices.ContainsFunc(audiences, func(a string) bool { return slices.ContainsFunc(want, sameAudience(a)) }) {
			expected, actual := strings.Join(want, ", "), cmp.Or(strings.Join(audiences, ", "), "none")
			f.Steps = append(f.Steps, NewStep(RuleRequestAuthenticationAudience, Skipped, rule.ref.At(rule.ref.Field+".audiences"), actual, expected).
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

// take records what becomes of a good token, and of the headers.
// Source: Envoy: source/extensions/filters/http/jwt_authn/authenticator.cc, handleGoodJwt.
func (f *jwtFilter) take(rule *apisecurity.JWTRule, found foundToken, token *Token) {
	if name := rule.GetOutputPayloadToHeader(); name != "" {
		_, rest, _ := strings.Cut(found.text, ".")
		payload, _, _ := strings.Cut(rest, ".")
		f.write(name, payload)
	}
	for _, out := range rule.GetOutputClaimToHeaders() {
		if value, ok := claimText(token.Claims, strings.Split(out.GetClaim(), ".")); ok && out.GetHeader() != "" {
			f.write(out.GetHeader(), value)
		}
	}
	if !rule.GetForwardOriginalToken() {
		f.Consumed = append([]TokenPlace{found.TokenPlace}, f.Consumed...)
		f.q.DropToken(found.TokenPlace)
	}
	claims := make(map[string]any, len(token.Claims))
	split := append([]string{"scope", "permission"}, rule.GetSpaceDelimitedClaims()...)
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
	f.Token = &Token{Claims: claims}
}

// write adds a value to a header that a rule sets.
func (f *jwtFilter) write(header, value string) {
	name := strings.ToLower(header)
	if had, ok := f.q.Headers[name]; ok {
		value = had + "," + value
	}
	f.q.Headers[name] = value
	if f.Headers == nil {
		f.Headers = map[string]string{}
	}
	f.Headers[name] = value
}

// accepted records the rule that lets the request pass.
func (f *jwtFilter) accepted(rule jwtRule) {
	f.Rule = rule.ref
	issuer, _ := f.Token.Claims["iss"].(string)
	f.Steps = append(f.Steps, NewStep(RuleRequestAuthenticationAccepted, Allowed, rule.ref, issuer, requestPrincipal(f.Token)))
	if from := fetchedKeys(rule.spec); from != "" {
		f.Steps = append(f.Steps, NewStep(RuleRequestAuthenticationKeys, Warned, rule.ref, from))
	}
	for _, name := range []string{"exp", "nbf"} {
		if at, ok := f.Token.Claims[name].(float64); ok {
			f.Steps = append(f.Steps, NewStep(RuleRequestAuthenticationTime, Warned, rule.ref, name, moment(at)))
		}
	}
	if !rule.spec.GetForwardOriginalToken() {
		f.Steps = append(f.Steps, NewStep(RuleRequestAuthenticationConsumed, Applied, rule.ref.At(rule.ref.Field+".forwardOriginalToken")))
	}
}

// fetchedKeys is where istiod fetches the keys of a rule; empty where the rule holds them.
func fetchedKeys(rule *apisecurity.JWTRule) string {
	switch {
	case rule.GetJwks() != "":
		return ""
	case rule.GetJwksUri() != "":
		return rule.GetJwksUri()
	}
	return "the jwks_uri of " + strings.TrimSuffix(rule.GetIssuer(), "/") + "/.well-known/openid-configuration"
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

// sanitize takes the headers that the rules write to off the request, whichever of them will be asked: no client can forge
// them. Older releases of Envoy did so for the rules alone that were asked.
// Source: Envoy, source/extensions/filters/http/jwt_authn/filter.cc, decodeHeaders; https://github.com/envoyproxy/envoy/pull/46586.
func (f *jwtFilter) sanitize(rules []jwtRule) {
	for _, rule := range rules {
		for _, name := range outputHeaders(rule.spec) {
			if _, sent := f.q.Headers[name]; sent && !slices.Contains(f.Sanitized, name) {
				f.Steps = append(f.Steps, NewStep(RuleRequestAuthenticationCleared, Applied, rule.ref, name))
			}
			f.Sanitized = append(f.Sanitized, name)
			delete(f.q.Headers, name)
			delete(f.Headers, name)
		}
	}
}
