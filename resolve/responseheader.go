package resolve

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// What a proxy does to the headers of an answer on its way back.
//
//  1. A route's and a destination's headers.response are done as those of the request are (rewrite.go): with one
//     destination all are removed, then set, then added; with several the destination's are done first.
//  2. An answer to a request with an allowed Origin gets that origin, whether credentials are allowed, and the exposed
//     headers; the answer to a preflight the allowed methods and headers and its maximal age as well.
//     Where any method or header is allowed ("*"), those that the preflight asks for are named.
//  3. CORS comes last: it replaces what is there.
//
// What is there is the application's affair, so these are told as operations.
//
// Source: pilot/pkg/networking/core/route/route.go, TranslateHeadersOperations, TranslateCORSPolicy;
// Envoy, source/common/router/config_impl.cc, finalizeResponseHeaders; source/extensions/filters/http/cors/cors_filter.cc
// (that "*" is answered with what is asked for: envoyproxy/envoy issue 36066).

// Rules of the headers of an answer.
const (
	RuleResponseHeaderSet      RuleID = "route/response-header-set"
	RuleResponseHeaderAdd      RuleID = "route/response-header-add"
	RuleResponseHeaderRemove   RuleID = "route/response-header-remove"
	RuleResponseHeaderComputed RuleID = "route/response-header-computed"
	RuleCORSHeader             RuleID = "cors/response-header"
)

var responseHeaderRules = []Rule{
	{
		ID: RuleResponseHeaderSet, Stage: StageRoute,
		Says:     "headers.response.set replaces a header's values in the answer.",
		Template: "sets header %s of the answer to %q",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateHeadersOperations",
	},
	{
		ID: RuleResponseHeaderAdd, Stage: StageRoute,
		Says:     "headers.response.add adds a value to a header of the answer.",
		Template: "adds %[2]q to header %[1]s of the answer",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateHeadersOperations",
	},
	{
		ID: RuleResponseHeaderRemove, Stage: StageRoute,
		Says:     "headers.response.remove takes a header away from the answer, before anything is set or added.",
		Template: "removes header %s of the answer",
		Source:   "Envoy, source/common/router/header_parser.cc, evaluateHeaders",
	},
	{
		ID: RuleResponseHeaderComputed, Stage: StageRoute,
		Says:     "A value with %COMMANDS% is computed by Envoy for each answer; it is shown as written.",
		Template: "header %s of the answer is computed by Envoy from %q",
		Source:   "Envoy, docs, HTTP header manipulation, custom request/response headers",
	},
	{
		ID: RuleCORSHeader, Stage: StageFilter,
		Says:     "An answer to an allowed origin gets the headers of CORS, in place of any that are there.",
		Template: "the answer has header %s: %s",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateCORSPolicy; Envoy, source/extensions/filters/http/cors/cors_filter.cc",
	},
}

// ResponseHeaders are steps 1, in the order in which they are done.
func ResponseHeaders(r *Route, d WeightedDestination) []Step {
	route := headerOps{r.HTTP.GetHeaders().GetResponse(), r.FieldRef("headers.response")}
	dest := headerOps{d.Headers.GetResponse(), d.Ref.At(d.Ref.Field + ".headers.response")}
	if len(r.HTTP.GetRoute()) > 1 {
		return append(responseSteps(dest), responseSteps(route)...)
	}
	return responseSteps(route, dest)
}

func responseSteps(lists ...headerOps) []Step {
	var steps []Step
	for _, o := range lists {
		for _, key := range o.GetRemove() {
			if name := strings.ToLower(key); !isPseudoHeader(name) {
				steps = append(steps, NewStep(RuleResponseHeaderRemove, Applied, o.ref.At(o.ref.Field+".remove"), name))
			}
		}
	}
	for _, op := range []struct {
		name string
		rule RuleID
		of   func(*networking.Headers_HeaderOperations) map[string]string
	}{
		{"set", RuleResponseHeaderSet, (*networking.Headers_HeaderOperations).GetSet},
		{"add", RuleResponseHeaderAdd, (*networking.Headers_HeaderOperations).GetAdd},
	} {
		for _, o := range lists {
			headers := op.of(o.Headers_HeaderOperations)
			for _, key := range slices.Sorted(maps.Keys(headers)) {
				name := strings.ToLower(key)
				if headers[key] == "" || isPseudoHeader(name) {
					continue
				}
				if literal, computed := headerValue(headers[key]); computed {
					steps = append(steps, NewStep(RuleResponseHeaderComputed, Applied, o.at(op.name, key), name, literal))
				} else {
					steps = append(steps, NewStep(op.rule, Applied, o.at(op.name, key), name, literal))
				}
			}
		}
	}
	return steps
}

// echoes are the headers of a preflight that are named back where all is allowed.
var echoes = map[string]string{"allow-methods": "access-control-request-method", "allow-headers": "access-control-request-headers"}

// CORSHeaders is step 2.
func CORSHeaders(r *Route, q *HTTPRequest) []Step {
	policy := r.HTTP.GetCorsPolicy()
	origin, _ := q.Header("origin")
	if policy == nil || origin == "" {
		return nil
	}
	if allowed, _ := originAllowed(policy, origin); allowed != True {
		return nil
	}
	asked, _ := q.Header("access-control-request-method")
	preflight := q.Method == "OPTIONS" && asked != ""
	var steps []Step
	set := func(field, name, value string, there bool) {
		if there {
			steps = append(steps, NewStep(RuleCORSHeader, Applied, r.FieldRef("corsPolicy."+field), "access-control-"+name, value))
		}
	}
	list := func(field, name string, values []string, there bool) {
		value := strings.Join(values, ",")
		if header, echoed := echoes[name]; echoed && value == "*" {
			value, _ = q.Header(header)
		}
		set(field, name, value, there && value != "")
	}
	set("allowOrigins", "allow-origin", origin, true)
	set("allowCredentials", "allow-credentials", "true", policy.GetAllowCredentials().GetValue())
	list("allowMethods", "allow-methods", policy.GetAllowMethods(), preflight)
	list("allowHeaders", "allow-headers", policy.GetAllowHeaders(), preflight)
	set("maxAge", "max-age", strconv.FormatInt(policy.GetMaxAge().GetSeconds(), 10), preflight && policy.GetMaxAge() != nil)
	list("exposeHeaders", "expose-headers", policy.GetExposeHeaders(), true)
	return steps
}
