package cmd

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/coverage"
)

// Whatever decides in a scenario is a rule that coverage lists, so none that decides is counted nowhere; and what an outcome names as having decided is
// covered, so none that decides is listed as one that does not.
func TestCoverageOfScenarios(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	traces, covered := 0, 0
	for _, s := range loadScenarios(t) {
		dir := t.TempDir()
		flags := s.write(t, dir, s.files)
		for _, request := range s.requests {
			deps := join()
			deps.Trace = func(snapshot *resolve.Snapshot, q trace.Request, d trace.Detail) (*trace.Trace, error) {
				full, err := trace.WalkView(snapshot, q, trace.DetailFull)
				if err != nil {
					return nil, err
				}
				traces++
				var set coverage.Set
				set.Add(snapshot, full)
				rules := set.Rules(snapshot)
				for _, stray := range set.Stray(rules) {
					t.Errorf("%s: %s decided, and is part of no rule", s.path, stray)
				}
				for _, o := range full.Outcomes {
					if rule, ok := ruleOf(rules, o.By); ok && !rule.Covered && o.Decision != trace.NotRouted && o.Decision != trace.Reset {
						t.Errorf("%s: %s decided an outcome (%s), and %s is not covered", s.path, o.By, o.Reason, rule.Ref)
					}
				}
				covered += len(slices.DeleteFunc(rules, func(r coverage.Rule) bool { return !r.Covered }))
				return full.View(d), nil
			}
			var out bytes.Buffer
			streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &out}
			run(context.Background(), append(append([]string{"kubectl-mesh_trace"}, flags...), request...), streams, Build{}, deps)
		}
	}
	t.Logf("%d rules covered in %d traces", covered, traces)
	if traces == 0 || covered < traces/2 {
		t.Errorf("only %d rules covered in %d traces", covered, traces)
	}
}

// ruleOf is the rule that a field is a part of, where that is a whole entry.
func ruleOf(rules []coverage.Rule, field resolve.Ref) (coverage.Rule, bool) {
	for _, r := range rules {
		if r.Ref.Object() == field.Object() && (r.Ref.Field == field.Field || strings.HasPrefix(field.Field, r.Ref.Field+".") || strings.HasPrefix(field.Field, r.Ref.Field+"[")) {
			return r, true
		}
	}
	return coverage.Rule{}, false
}
