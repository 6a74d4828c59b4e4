package resolve

import (
	"strings"
	"testing"
)

func TestRulesAreComplete(t *testing.T) {
	seen := map[RuleID]bool{}
	for _, r := range Rules() {
		if seen[r.ID] {
			t.Errorf("%s stands twice", r.ID)
		}
		seen[r.ID] = true
		if r.Stage == "" || r.Says == "" || r.Template == "" || r.Source == "" {
			t.Errorf("%s lacks a stage, a sentence, a template or a source", r.ID)
		}
		if concept, rule, ok := strings.Cut(string(r.ID), "/"); !ok || concept == "" || rule == "" {
			t.Errorf("%s is not concept/rule", r.ID)
		}
	}
}
