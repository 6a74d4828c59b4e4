package resolve

import (
	"strconv"

	networking "istio.io/api/networking/v1alpha3"
)

// The rules of CORS.
const (
	RuleCORSAnswered  RuleID = "cors/preflight-answered"
	RuleCORSIgnored   RuleID = "cors/preflight-unmatched-ignored"
	RuleCORSForwarded RuleID = "cors/preflight-unmatched-forwarded"
	RuleCORSUnknown   RuleID = "cors/preflight-undecidable"
)

var corsRules = []Rule{
	{
		ID: RuleCORSAnswered, Stage: StageFilter,
		Says:     "A preflight (OPTIONS with Origin and Access-Control-Request-Method) of an allowed origin is answered 200 by the proxy.",
		Template: "the proxy answers the preflight by itself: origin %s is allowed",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateCORSPolicy; Envoy, source/extensions/filters/http/cors",
	},
	{
		ID: RuleCORSIgnored, Stage: StageFilter,
		Says:     "With unmatchedPreflights IGNORE a preflight of another origin is answered 200 without CORS headers.",
		Template: "the proxy answers the preflight without CORS headers: origin %s is not allowed, and unmatchedPreflights is IGNORE",
		Source:   "pilot/pkg/networking/core/route/route.go, forwardNotMatchingPreflights",
	},
	{
		ID: RuleCORSForwarded, Stage: StageFilter,
		Says:     "A preflight of another origin goes on to the destination.",
		Template: "origin %s is not allowed, so the preflight goes on to the destination",
		Source:   "pilot/pkg/networking/core/route/route.go, forwardNotMatchingPreflights",
	},
	{
		ID: RuleCORSUnknown, Stage: StageFilter,
		Says:     "An origin match that Envoy refuses leaves open who answers a preflight.",
		Template: "whether origin %s is allowed can not be decided: %s",
		Source:   "Envoy, type/matcher/v3/string.proto",
	},
}

// CORSDetails is what the access log shows of a preflight that the proxy answered.
const CORSDetails = "cors_response"

// IsPreflight reports whether the request is one by which a browser asks for another: step 2 of [CORS].
func (q *HTTPRequest) IsPreflight() bool {
	origin, _ := q.Header("origin")
	asked, _ := q.Header("access-control-request-method")
	return q.Method == "OPTIONS" && origin != "" && asked != ""
}

// CORS reports whether the proxy itself answers the request, with 200, as a preflight.
//
// 1. Only a route that forwards is asked; redirects and direct responses come first.
// 2. A preflight is OPTIONS with an Origin and an Access-Control-Request-Method.
// 3. allowOrigins counts before the older allowOrigin; one that matches "*" allows all.
// 4. A preflight of an allowed origin is answered. Another one is forwarded, or,
// with unmatchedPreflights IGNORE, answered without CORS headers.
//
// Source: pilot/pkg/networking/core/route/route.go, TranslateCORSPolicy; Envoy,
// source/extensions/filters/http/cors/cors_filter.cc, decodeHeaders.
func CORS(r *Route, q *HTTPRequest) (answered Truth, steps []Step) {
	policy := r.HTTP.GetCorsPolicy()
	if policy == nil || !q.IsPreflight() {
		return False, nil
	}
	origin, _ := q.Header("origin")
	if action, _ := ActionOf(r); action != RouteForwards {
		return False, nil
	}
	quoted, at := strconv.Quote(origin), r.FieldRef("corsPolicy")
	allowed, doubt := originAllowed(policy, origin)
	if policy.GetUnmatchedPreflights() == networking.CorsPolicy_IGNORE && allowed == False {
		return True, []Step{NewStep(RuleCORSIgnored, Matched, r.FieldRef("corsPolicy.unmatchedPreflights"), quoted)}
	}
	switch allowed {
	case True:
		return True, []Step{NewStep(RuleCORSAnswered, Matched, at, quoted)}
	case False:
		return False, []Step{NewStep(RuleCORSForwarded, Skipped, at, quoted)}
	case Unknown:
	}
	return Unknown, []Step{NewStep(RuleCORSUnknown, Warned, at, quoted, doubt)}
}

// originAllowed compares the origin with the policy's list.
func originAllowed(policy *networking.CorsPolicy, origin string) (allowed Truth, doubt string) {
	origins := policy.GetAllowOrigins()
	if origins == nil {
		//lint:ignore SA1019 istiod still reads the older field
		for _, exact := range policy.GetAllowOrigin() {
			origins = append(origins, &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: exact}})
		}
	}
	allowed = False
	for _, m := range origins {
		if m.GetMatchType() == nil { // istiod leaves it out
			continue
		}
		for _, value := range []string{"*", origin} {
			t, why := matchString(m, value)
			allowed = allowed.Or(t)
			if why != "" {
				doubt = why
			}
		}
	}
	return allowed, doubt
}
