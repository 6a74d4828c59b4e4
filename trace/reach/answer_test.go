package reach

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

func outcome(weight float64, d trace.Decision, c trace.Certainty) trace.Outcome {
	return trace.Outcome{Weight: weight, Decision: d, Certainty: c}
}

func TestAnswers(t *testing.T) {
	const certain, assumed, open = trace.Certain, trace.Assumed, trace.Undetermined
	v1, v2 := outcome(20, trace.Delivered, certain), outcome(80, trace.Delivered, certain)
	v1.Destination.Subset, v2.Destination.Subset = "v1", "v2"
	for _, tc := range []struct {
		name     string
		outcomes []trace.Outcome
		sign     string
		reach    Reach
		ends     []float64
	}{
		{"delivered", []trace.Outcome{outcome(100, trace.Delivered, certain)}, "D", LetThrough, []float64{100}},
		{"assumed", []trace.Outcome{outcome(100, trace.Denied, assumed)}, "A*", Stopped, []float64{100}},
		{"two subsets", []trace.Outcome{v1, v2}, "D", LetThrough, []float64{80, 20}},
		{"two of one end", []trace.Outcome{v1, v1}, "D", LetThrough, []float64{40}},
		{"split, one end open", []trace.Outcome{outcome(50, trace.Delivered, assumed), outcome(50, trace.Reset, open)}, "%?", Partly, []float64{50, 50}},
		{"one end assumed", []trace.Outcome{outcome(50, trace.Denied, assumed), outcome(50, trace.NotRouted, certain)}, "%*", Stopped, []float64{50, 50}},
		{"redirected", []trace.Outcome{outcome(100, trace.Redirected, certain)}, ">", Answered, []float64{100}},
		{"fault", []trace.Outcome{outcome(100, trace.Responded, certain)}, "=", Answered, []float64{100}},
		{"unavailable", []trace.Outcome{outcome(100, trace.Unavailable, open)}, "U?", Stopped, []float64{100}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := Sum(&trace.Trace{Outcomes: tc.outcomes})
			var ends []float64
			for _, e := range a.Ends {
				ends = append(ends, e.Weight)
			}
			if diff := cmp.Diff(tc.ends, ends); diff != "" || a.Sign() != tc.sign || a.Reach() != tc.reach {
				t.Errorf("sign %s, reach %q, ends %v", a.Sign(), a.Reach(), ends)
			}
		})
	}
}

// TestGrid: a cell of several has their sign if that is one, else the percentage of what is delivered.
func TestGrid(t *testing.T) {
	m := &Matrix{
		Sources:   []*Source{{Namespace: "a"}, {Namespace: "a"}, {Namespace: "b"}},
		Questions: []Question{{Namespace: "x"}, {Namespace: "x"}, {Namespace: "y"}},
		Answers:   []*Answer{Sum(&trace.Trace{Outcomes: []trace.Outcome{outcome(100, trace.Delivered, trace.Certain)}}), Sum(&trace.Trace{Outcomes: []trace.Outcome{outcome(100, trace.Denied, trace.Certain)}})},
		columns:   [][]int32{{0, 0, 1}, {0, 1, 1}, {1, 1, 0}},
	}
	g := m.Grid(true, true, (*Source).Name, func(int) string { return "" })
	if diff := cmp.Diff([][]string{{"~75", "A"}, {"A", "D"}}, g.Signs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Line{{"a", 2}, {"b", 1}}, g.Rows); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{4, 5}, m.Counts()); diff != "" {
		t.Error(diff)
	}
}
