package conformance

import (
	"fmt"
	"maps"
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// What an external authorizer says, no one knows. The trace follows the request as if it allowed it, and tells the
// other end beside; so does the evaluator.

// onlyAsks reports whether nothing but the answers of external authorizers is missing.
func onlyAsks(o render.Outcome) bool {
	return slices.ContainsFunc(o.Otherwise, func(a render.Alternative) bool { return a.Code == string(trace.CodeAuthorizerDenied) }) &&
		!slices.ContainsFunc(o.Otherwise, func(a render.Alternative) bool {
			return a.Code != string(trace.CodeAuthorizerDenied) && a.Code != string(trace.CodeRateLimited)
		})
}

// open reports whether the trace leaves open what becomes of an outcome, other than by the answer of an authorizer
// that is sure to be asked.
func open(d *render.Document, o render.Outcome) bool {
	if o.Code == string(trace.CodeOtherNetwork) { // it is compared as far as the gateway
		return slices.ContainsFunc(o.Hops, func(n int) bool {
			return slices.ContainsFunc(d.Hops[n].Steps, func(s render.Step) bool { return s.Rule == string(resolve.RuleNetworkDNS) })
		})
	}
	if o.Certainty != string(trace.Undetermined) { // another policy may refuse before; of a rate limit both take a token to be left
		return slices.ContainsFunc(o.Otherwise, func(a render.Alternative) bool { return a.Code != string(trace.CodeRateLimited) })
	}
	return !onlyAsks(o) || slices.ContainsFunc(o.Hops, func(n int) bool {
		return slices.ContainsFunc(d.Hops[n].Steps, func(s render.Step) bool { return slices.Contains(openRules, resolve.RuleID(s.Rule)) })
	})
}

// openRules leave open what becomes of a request, whatever an authorizer answers.
var openRules = []resolve.RuleID{resolve.RuleAuthorizationUnknown, resolve.RuleEnvoyFilterOpen, resolve.RuleEnvoyFilterRejected}

// refusalsSaid are the ends that the trace tells of for the case that an authorizer refuses.
func refusalsSaid(d *render.Document) []string {
	ends := map[string]bool{}
	for _, o := range d.Outcomes {
		for _, a := range o.Otherwise {
			if a.Code == string(trace.CodeRateLimited) {
				continue
			}
			ends[fmt.Sprint(a.Decision, " ", a.HTTPStatus, " ", a.ResponseFlags, " ", a.ResponseCodeDetails)] = true
		}
	}
	return slices.Sorted(maps.Keys(ends))
}

// refusalsPlayed are the evaluator's.
func refusalsPlayed(outcomes []evaluator.Outcome) []string {
	ends := map[string]bool{}
	for _, o := range outcomes {
		if o.Refusal {
			ends[fmt.Sprint(o.Decision, " ", o.Status, " ", o.Flag, " ", o.Details)] = true
		}
	}
	return slices.Sorted(maps.Keys(ends))
}
