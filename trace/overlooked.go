package trace

import (
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Overlooked are the steps about what somebody wrote with such requests in mind and what does not count for this one, or not as it
// reads (resolve.Step.Meant): where a request ends well and not as was expected, a person finds these after an hour.
//
//  1. A request that arrives is told of all of them: routes that stand behind, hosts that mean another name, policies that let it pass.
//  2. One for which nothing is found is told of what would have led somewhere: hosts, routes and DestinationRules.
//  3. Of a policy that a waypoint on the way has looked at it does not matter that a ztunnel does not.
//  4. A refusal has its own reason, and what led there is not in doubt.
//
// They stand in the order met, each once. What the detail of the trace leaves out is not among them.
func (t *Trace) Overlooked() []resolve.Step {
	var out []resolve.Step
	for _, o := range t.Outcomes {
		for i, h := range t.Hops {
			if !slices.Contains(o.Hops, i) {
				continue
			}
			for _, s := range h.Steps {
				same := func(have resolve.Step) bool { return have.Ref == s.Ref && have.Rule == s.Rule }
				if s.Meant && o.tellsOf(s) && !t.lookedAt(i, s) && !slices.ContainsFunc(out, same) {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// lookedAt reports whether a step is about a policy that a ztunnel does not have, and a waypoint on the way before it had.
func (t *Trace) lookedAt(hop int, s resolve.Step) bool {
	return s.Rule == resolve.RuleZtunnelTargetRefs && slices.ContainsFunc(t.Hops[:hop], func(h Hop) bool {
		return h.Proxy == resolve.DataplaneWaypoint && slices.ContainsFunc(h.Steps, func(other resolve.Step) bool {
			return other.Ref.Object() == s.Ref.Object() && other.Rule != resolve.RuleAuthorizationTargetRefs
		})
	})
}

// tellsOf reports whether what was overlooked at a step bears on the outcome. What one proxy passed over may have decided at another.
func (o *Outcome) tellsOf(s resolve.Step) bool {
	stage := s.Stage
	if s.Ref == o.By || stage == resolve.StageHost && s.Ref.Object() == o.By.Object() {
		return false
	}
	switch o.Decision {
	case Delivered, Redirected, Responded:
		return true
	case NotRouted, Unavailable:
		return stage == resolve.StageHost || stage == resolve.StageRoute || stage == resolve.StageDestinationRule
	}
	return false
}
