package cmd

import (
	"slices"
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// The rules that codes name are those that decide: every outcome of every scenario has one of its code's, and
// every rule that a code names decides in a scenario.
func TestCodesNameTheRulesThatDecide(t *testing.T) {
	t.Parallel()
	known := map[trace.Code]trace.CodeInfo{}
	for _, c := range trace.Codes() {
		known[c.Code] = c
		if c.Check == "" || len(c.Rules) == 0 {
			t.Errorf("%s says not what to look at, or names no rule", c.Code)
		}
	}
	type pair struct {
		code trace.Code
		rule resolve.RuleID
	}
	decided := map[pair]bool{}
	for c := range tracedScenarios(t) {
		got, err := trace.Walk(resolve.NewSnapshot(c.input), c.request)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range got.Outcomes {
			rule := deciding(got, o)
			if o.Code != "" && !slices.Contains(known[o.Code].Rules, rule) {
				t.Errorf("%s: %s is decided by %q, which the code does not name", c.name, o.Code, rule)
			}
			decided[pair{o.Code, rule}] = true
			for _, a := range o.Otherwise {
				decided[pair{a.Code, resolve.RuleAuthorizationCustom}] = true
				for _, h := range got.Hops {
					for _, s := range h.Steps {
						if s.Verdict == resolve.Warned && s.Ref.Object() == a.By.Object() {
							decided[pair{a.Code, s.Rule}] = true
						}
					}
				}
			}
		}
	}
	for _, c := range known {
		for _, rule := range c.Rules {
			if !decided[pair{c.Code, rule}] {
				t.Errorf("%s names rule %s, by which no scenario comes to it", c.Code, rule)
			}
		}
	}
}

// deciding is the rule of the last step that gives the outcome its reason.
func deciding(t *trace.Trace, o trace.Outcome) (rule resolve.RuleID) {
	for _, h := range o.Hops {
		for _, s := range t.Hops[h].Steps {
			says := s.Reason()
			if strings.HasPrefix(o.Reason, says) || s.Verdict != resolve.Warned && strings.Contains(o.Reason, says) {
				rule = s.Rule
			}
		}
	}
	return rule
}

func TestCodesOfOne(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"a code", []string{"codes", "POLICY_NO_ALLOW"}, 0, []string{"POLICY_NO_ALLOW  Denied\n", "\nlook at  ", "authorizationpolicy/no-allow-matched"}},
		{"in other letters", []string{"codes", "policy-no-allow"}, 0, []string{"POLICY_NO_ALLOW  Denied\n"}},
		{"a rule", []string{"codes", "route/match-uri"}, 0, []string{"route/match-uri  Route\n", "\nsource   pilot/pkg/networking/core/route/route.go, TranslateRouteMatch\n"}},
		{"a rule that decides codes", []string{"codes", "service/port-missing"}, 0, []string{"\ncodes    PORT_NOT_IN_SERVICE\n"}},
		{"a slip", []string{"codes", "POLICY_NO_ALOW"}, 2, []string{`"POLICY_NO_ALOW" is no code and no rule; the nearest are POLICY_NO_ALLOW, `}},
		{"all rules", []string{"codes", "--rules"}, 0, []string{"RULE ", "\nroute/match-uri "}},
		{"a document of one", []string{"codes", "SUBSET_UNDEFINED", "-o", "json"}, 0, []string{`"kind": "CodeList"`, `"check": "Which`, `"id": "subset/undefined"`}},
		{"a document of rules", []string{"codes", "--rules", "-o", "yaml"}, 0, []string{"kind: RuleList\n"}},
		{"both", []string{"codes", "--rules", "REDIRECT"}, 2, []string{"--rules"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := runWith(t, Deps{}, tc.args...)
			if got.Code != tc.code {
				t.Errorf("exit code %d, want %d", got.Code, tc.code)
			}
			for _, want := range tc.want {
				if !strings.Contains(got.Out+got.ErrOut, want) {
					t.Errorf("no %q in:\n%s%s", want, got.Out, got.ErrOut)
				}
			}
		})
	}
}
