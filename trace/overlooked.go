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
//  3. A refusal has its own reason, and what led there is not in doubt.
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
				if s.Meant && o.tellsOf(s) && !slices.ContainsFunc(out, same) {
					out = append(out, s)
				}
			}
		}
	}
	return out
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
