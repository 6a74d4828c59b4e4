package cmd

import (
	"slices"
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/coverage"
)

// Whatever decides in a scenario is a rule that coverage lists, so none that decides is counted nowhere; and what an outcome names as having decided is
// covered, so none that decides is listed as one that does not.
func TestCoverageOfScenarios(t *testing.T) {
	traces, covered := 0, 0
	for c := range tracedScenarios(t) {
		snapshot := resolve.NewSnapshot(c.input)
		full, err := trace.WalkView(snapshot, c.request, trace.DetailFull)
		if err != nil {
			t.Fatal(err)
		}
		traces++
		var set coverage.Set
		set.Add(snapshot, full)
		rules := set.Rules(snapshot)
		for _, stray := range set.Stray(rules) {
			t.Errorf("%s: %s decided, and is part of no rule", c.name, stray)
		}
		for _, o := range full.Outcomes {
			if rule, ok := ruleAt(rules, o.By); ok && !rule.Covered && o.Decision != trace.NotRouted && o.Decision != trace.Reset {
				t.Errorf("%s: %s decided an outcome (%s), and %s is not covered", c.name, o.By, o.Reason, rule.Ref)
			}
		}
		covered += len(slices.DeleteFunc(rules, func(r coverage.Rule) bool { return !r.Covered }))
	}
	t.Logf("%d rules covered in %d traces", covered, traces)
	if traces == 0 || covered < traces/2 {
		t.Errorf("only %d rules covered in %d traces", covered, traces)
	}
}

// ruleOf is the rule that a field is a part of, where that is a whole entry.
func ruleAt(rules []coverage.Rule, field resolve.Ref) (coverage.Rule, bool) {
	for _, r := range rules {
		rest, ok := strings.CutPrefix(field.Field, r.Ref.Field)
		if r.Ref.Object() == field.Object() && ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return r, true
		}
	}
	return coverage.Rule{}, false
}
