package trace

import (
	"cmp"
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Detail is how much of what was considered a view keeps. It is a closed list.
type Detail string

// The details, from the least to the most.
const (
	// DetailNone keeps the way only: what was chosen, applied, decided or not known.
	DetailNone Detail = "none"
	// DetailFails keeps also why the nearest other candidates failed. It is the default.
	DetailFails Detail = "fails"
	// DetailFull keeps every candidate.
	DetailFull Detail = "full"
)

// nearestMisses is how many skipped candidates of one stage DetailFails keeps.
const nearestMisses = 5

// View returns a copy of the trace that keeps only the steps of that detail. No
// view adds a step, changes one or changes their order, and none touches the outcomes.
//
//  1. full keeps every step.
//  2. A step of a rule marked Detail goes, unless it denies or warns: what
//     decides or is not known is never hidden.
//  3. none keeps no skipped step.
//  4. fails keeps, of the skipped steps of one stage, the five nearest to the
//     choice: the last ones before it, then the first ones after it. The hop
//     counts the others in Omitted.
//
// A Detail outside the list counts as fails.
func (t *Trace) View(d Detail) *Trace {
	return t.view(d, minor)
}

// minor reports whether the step's rule is marked Detail.
func minor(s *resolve.Step) bool { return resolve.LookupRule(s.Rule).Detail }

// keeps reports whether a view of the detail may keep the step; minor tells of the marked rules.
func (d Detail) keeps(s *resolve.Step, minor func(*resolve.Step) bool) bool {
	switch {
	case d == DetailFull, s.Verdict == resolve.DeniedBy, s.Verdict == resolve.Warned:
		return true
	case d == DetailNone && s.Verdict == resolve.Skipped:
		return false
	case s.Meant && d == DetailFails:
		return true
	}
	return !minor(s)
}

// keep copies the steps that the detail keeps.
func (d Detail) keep(steps []resolve.Step, minor func(*resolve.Step) bool) []resolve.Step {
	if steps == nil {
		return nil
	}
	kept := make([]bool, len(steps))
	count := 0
	for i := range steps {
		if kept[i] = d.keeps(&steps[i], minor); kept[i] {
			count++
		}
	}
	out := make([]resolve.Step, 0, count)
	for i := range steps {
		if kept[i] {
			out = append(out, steps[i])
		}
	}
	return out
}

func (t *Trace) view(d Detail, minor func(*resolve.Step) bool) *Trace {
	if t == nil {
		return nil
	}
	v := *t
	v.Outcomes = slices.Clone(t.Outcomes)
	v.Warnings = slices.Clone(t.Warnings)
	v.Hops = slices.Clone(t.Hops)
	for i := range v.Hops {
		h := &v.Hops[i]
		h.Steps, h.Omitted = d.keep(h.Steps, minor), slices.Clone(h.Omitted)
		if d != DetailFull {
			h.keepNearest()
		}
	}
	return &v
}

// keepNearest leaves the nearest skipped steps of each stage and counts the others.
func (h *Hop) keepNearest() {
	far := map[int]bool{}
	for _, stage := range stagesOf(h.Steps) {
		for _, i := range furthest(h.Steps, stage) {
			far[i] = true
		}
	}
	if len(far) == 0 {
		return
	}
	var kept []resolve.Step
	h.Omitted = nil
	pending := map[resolve.Stage]int{}
	settle := func(stage resolve.Stage) {
		if n := pending[stage]; n > 0 {
			h.Omitted = append(h.Omitted, Omission{Stage: stage, Before: len(kept), Count: n})
			delete(pending, stage)
		}
	}
	for i, s := range h.Steps {
		if far[i] {
			pending[s.Stage]++
			continue
		}
		settle(s.Stage)
		kept = append(kept, s)
	}
	for _, stage := range stagesOf(h.Steps) {
		settle(stage)
	}
	h.Steps = kept
}

// stagesOf returns the stages of the steps, each once, in the order met.
func stagesOf(steps []resolve.Step) []resolve.Stage {
	var out []resolve.Stage
	for _, s := range steps {
		if !slices.Contains(out, s.Stage) {
			out = append(out, s.Stage)
		}
	}
	return out
}

// furthest returns the indexes of a stage's skipped steps beyond the nearest ones.
// The choice is the last step of the stage that was not skipped; without one it
// lies behind them all. What was meant for such requests is never far.
func furthest(steps []resolve.Step, stage resolve.Stage) []int {
	choice := len(steps)
	var skipped []int
	for i, s := range steps {
		switch {
		case s.Stage != stage:
		case s.Verdict == resolve.Skipped && s.Meant:
		case s.Verdict == resolve.Skipped:
			skipped = append(skipped, i)
		default:
			choice = i
		}
	}
	if len(skipped) <= nearestMisses {
		return nil
	}
	distance := func(i int) int {
		if i < choice {
			return choice - i
		}
		return i // More than for any step before the choice.
	}
	slices.SortFunc(skipped, func(a, b int) int { return cmp.Compare(distance(a), distance(b)) })
	return skipped[nearestMisses:]
}
