package caserun

import (
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/cmd/casefile"
	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// Evidence is one step of a trace.
type Evidence struct {
	Stage   resolve.Stage
	Verdict resolve.Verdict
	Rule    resolve.RuleID
	// Ref is zero where a default of Istio decided; Place is then empty, and else FILE:LINE or "cluster".
	Ref    resolve.Ref
	Place  string
	Reason string
}

// Decision is a step that decided, and the candidates that its stage passed over on that hop.
type Decision struct {
	Evidence
	Considered []Evidence
}

// explain says what decided the outcome that differs from what was expected:
//
//  1. The outcome is that of the first mismatch that is of one in particular, else the first of the trace.
//  2. Where the destination differs, or the rule that takes the request, it is the last route that was chosen on the way.
//  3. Where anything else differs, or no route was chosen, it is the last step on the way that is about the field that the outcome names, or gives
//     its reason; the outcome itself where there is none.
//  4. What the first line of a trace leads to was considered, too, wherever it was passed over.
func explain(s *resolve.Snapshot, t *trace.Trace, mismatches []casefile.Mismatch) []Decision {
	o := &t.Outcomes[0]
	for _, m := range mismatches {
		if m.Outcome >= 0 && m.Outcome < len(t.Outcomes) {
			o = &t.Outcomes[m.Outcome]
			break
		}
	}
	var out []Decision
	byRoute, byOutcome := false, false
	for _, m := range mismatches {
		if m.Rule || strings.Contains(m.Path, ".destination.") {
			byRoute = true
		} else {
			byOutcome = true
		}
	}
	if byRoute {
		d, ok := lastStep(s, t, o, func(step *resolve.Step) bool {
			return step.Stage == resolve.StageRoute && step.Verdict == resolve.Matched
		})
		if ok {
			out = append(out, d)
		}
	}
	if byOutcome || len(out) == 0 {
		d, ok := lastStep(s, t, o, func(step *resolve.Step) bool {
			return step.Verdict != resolve.Skipped && (!o.By.IsZero() && step.Ref == o.By || step.Reason() == o.Reason)
		})
		if !ok {
			d = Decision{Evidence: Evidence{Ref: o.By, Reason: o.Reason}}
			if !o.By.IsZero() {
				d.Place = s.Locate(o.By)
			}
		}
		if len(out) == 0 || out[0].Evidence != d.Evidence {
			out = append(out, d)
		}
	}
	if seen := t.Overlooked(); len(seen) > 0 {
		last, e := &out[len(out)-1], evidenceOf(s, &seen[0])
		if !slices.Contains(last.Considered, e) {
			last.Considered = append(last.Considered, e)
		}
	}
	return out
}

// lastStep is the last step on the way of an outcome that is one of those.
func lastStep(s *resolve.Snapshot, t *trace.Trace, o *trace.Outcome, is func(*resolve.Step) bool) (d Decision, ok bool) {
	for i := len(o.Hops) - 1; i >= 0; i-- {
		steps := t.Hops[o.Hops[i]].Steps
		for j := len(steps) - 1; j >= 0; j-- {
			if is(&steps[j]) {
				return Decision{evidenceOf(s, &steps[j]), passedOver(s, steps, steps[j].Stage)}, true
			}
		}
	}
	return Decision{}, false
}

func evidenceOf(s *resolve.Snapshot, step *resolve.Step) Evidence {
	e := Evidence{Stage: step.Stage, Verdict: step.Verdict, Rule: step.Rule, Ref: step.Ref, Reason: step.Reason()}
	if !step.Ref.IsZero() {
		e.Place = s.Locate(step.Ref)
	}
	return e
}

// passedOver are the candidates of a stage that were not chosen.
func passedOver(s *resolve.Snapshot, steps []resolve.Step, stage resolve.Stage) []Evidence {
	var out []Evidence
	for i := range steps {
		if steps[i].Stage == stage && steps[i].Verdict == resolve.Skipped {
			out = append(out, evidenceOf(s, &steps[i]))
		}
	}
	return out
}
