package cmd

import (
	"errors"
	"slices"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/derive"
)

// TestDerivedRequestsAreTraced makes requests of the mesh of every scenario. Each can be traced, and the same ones are made twice.
func TestDerivedRequestsAreTraced(t *testing.T) {
	t.Parallel()
	total := 0
	for c := range tracedScenarios(t) {
		snapshot := resolve.NewSnapshot(c.input)
		made, err := derive.Requests(derive.Options{Limit: 60}, snapshot)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		again, err := derive.Requests(derive.Options{Limit: 60}, resolve.NewSnapshot(c.input))
		if err != nil || !slices.EqualFunc(made.Requests, again.Requests, func(a, b derive.Request) bool { return a.URL == b.URL && a.From == b.From && a.Of == b.Of }) {
			t.Errorf("%s: another time other requests are made: %v", c.name, err)
		}
		for _, r := range made.Requests {
			q, err := trace.NewRequest(r.Typed)
			if err != nil {
				t.Fatalf("%s: %+v: %v", c.name, r, err)
			}
			q.From.DefaultNamespace = r.Namespace
			total++
			_, err = trace.WalkView(snapshot, q, trace.DetailNone)
			var named *trace.SourceError
			if err != nil && !(errors.As(err, &named) && named.Input == trace.InputGateway) { // one of which no workload runs
				t.Errorf("%s: %+v: %v", c.name, r, err)
			}
		}
	}
	if total < 5_000 {
		t.Errorf("only %d requests were made of all scenarios", total)
	}
}
