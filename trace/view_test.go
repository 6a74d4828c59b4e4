package trace

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// stepsOf reads a step a word: verdict, "/" and the stage, with a "*" behind it where the rule is a detail.
// The rule id is the position, so that order shows.
func stepsOf(words string) []resolve.Step {
	var out []resolve.Step
	for i, w := range strings.Fields(words) {
		verdict, stage, _ := strings.Cut(w, "/")
		id := fmt.Sprintf("%d", i)
		if strings.HasSuffix(stage, "*") {
			id += "*"
		}
		out = append(out, resolve.Step{Verdict: resolve.Verdict(verdict), Stage: resolve.Stage(strings.TrimSuffix(stage, "*")), Rule: resolve.RuleID(id)})
	}
	return out
}

func idsOf(steps []resolve.Step) string {
	var out []string
	for _, s := range steps {
		out = append(out, string(s.Rule))
	}
	return strings.Join(out, " ")
}

func TestView(t *testing.T) {
	skipped := func(n int) string { return strings.Repeat("skipped/Route ", n) }
	for _, tc := range []struct {
		name, steps string
		detail      Detail
		want        string
		omitted     []Omission
	}{
		{"full keeps everything", skipped(8) + "matched/Route skipped/Route*", DetailFull, "0 1 2 3 4 5 6 7 8 9*", nil},
		{"none keeps the way", "matched/Host skipped/Route applied/Filter allowed/AuthorizationPolicy denied/AuthorizationPolicy none/TLS warning/Extension", DetailNone, "0 2 3 4 5 6", nil},
		{"none counts nothing", skipped(8) + "matched/Route", DetailNone, "8", nil},
		{"none drops details of the way", "none/Sidecar* matched/Route", DetailNone, "1", nil},
		{"a detail that denies or warns stays", "denied/AuthorizationPolicy* warning/Extension*", DetailNone, "0* 1*", nil},
		{"fails drops details", "skipped/Route* none/Sidecar* skipped/Route matched/Route", DetailFails, "2 3", nil},
		{"fails keeps up to five", skipped(5) + "matched/Route", DetailFails, "0 1 2 3 4 5", nil},
		{"fails keeps the five before the match", skipped(8) + "matched/Route", DetailFails, "3 4 5 6 7 8", []Omission{{"Route", 0, 3}}},
		{"a detail is not counted as left out", "skipped/Route* " + skipped(6) + "matched/Route", DetailFails, "2 3 4 5 6 7", []Omission{{"Route", 0, 1}}},
		{"before the match first, then after it", skipped(2) + "matched/Route " + skipped(5), DetailFails, "0 1 2 3 4 5", []Omission{{"Route", 6, 2}}},
		{"without a match the last ones", "matched/Host " + skipped(7), DetailFails, "0 3 4 5 6 7", []Omission{{"Route", 1, 2}}},
		{
			"each stage has its own five", strings.Repeat("skipped/Host ", 6) + "matched/Host " + skipped(7) + "none/Route", DetailFails,
			"1 2 3 4 5 6 9 10 11 12 13 14",
			[]Omission{{"Host", 0, 1}, {"Route", 6, 2}},
		},
		{"an unknown detail is fails", skipped(6), "everything", "1 2 3 4 5", []Omission{{"Route", 0, 1}}},
		{"no steps", "", DetailFails, "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			full := &Trace{Hops: []Hop{{Steps: stepsOf(tc.steps)}}}
			got := full.view(tc.detail, func(s *resolve.Step) bool { return strings.HasSuffix(string(s.Rule), "*") })
			if d := cmp.Diff(tc.want, idsOf(got.Hops[0].Steps)); d != "" {
				t.Errorf("steps (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tc.omitted, got.Hops[0].Omitted); d != "" {
				t.Errorf("omitted (-want +got):\n%s", d)
			}
			if d := cmp.Diff(stepsOf(tc.steps), full.Hops[0].Steps); d != "" {
				t.Errorf("the trace itself changed:\n%s", d)
			}
		})
	}
}

// TestViewReadsRules holds View to the rules' own Detail mark.
func TestViewReadsRules(t *testing.T) {
	var steps []resolve.Step
	var want []resolve.RuleID
	for _, r := range resolve.Rules() {
		steps = append(steps, resolve.Step{Rule: r.ID, Stage: r.Stage, Verdict: resolve.Applied})
		if !r.Detail {
			want = append(want, r.ID)
		}
	}
	var got []resolve.RuleID
	for _, s := range (&Trace{Hops: []Hop{{Steps: steps}}}).View(DetailFails).Hops[0].Steps {
		got = append(got, s.Rule)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestViewKeepsTheAnswer(t *testing.T) {
	full := &Trace{
		Request:  Request{Host: "reviews"},
		Outcomes: []Outcome{{Weight: 100, Decision: Delivered, Hops: []int{0}}},
		Warnings: []Warning{{Message: "not read"}},
		Hops:     []Hop{{Proxy: resolve.DataplaneSidecar}},
	}
	for _, d := range []Detail{DetailNone, DetailFails, DetailFull} {
		got := full.View(d)
		if diff := cmp.Diff(full.Outcomes, got.Outcomes); diff != "" {
			t.Errorf("%s: %s", d, diff)
		}
		if diff := cmp.Diff(full.Warnings, got.Warnings); diff != "" {
			t.Errorf("%s: %s", d, diff)
		}
		got.Outcomes[0].Weight, got.Hops[0].Peer = 1, "other"
		if full.Outcomes[0].Weight != 100 || full.Hops[0].Peer != "" {
			t.Errorf("%s shares memory with the trace it was made from", d)
		}
	}
	if (*Trace)(nil).View(DetailFull) != nil {
		t.Error("a view of nothing is nothing")
	}
}
