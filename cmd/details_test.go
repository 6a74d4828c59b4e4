package cmd

import (
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// TestDetailsAreListed holds the list of what access logs say against every scenario: what a trace gives is of one kind
// in the list, and each kind is given by a scenario.
func TestDetailsAreListed(t *testing.T) {
	met := make([]bool, len(trace.Details()))
	check := func(name, flags, details string) {
		kinds := 0
		for i, d := range trace.Details() {
			if d.Matches(flags, details) {
				met[i] = true
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("%s: %q %q is of %d kinds in the list", name, flags, details, kinds)
		}
	}
	for c := range tracedScenarios(t) {
		whole, err := c.walk(c.input.Resources)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for _, o := range whole.Outcomes {
			if o.ResponseFlags != "" || o.ResponseCodeDetails != "" {
				check(c.name, o.ResponseFlags, o.ResponseCodeDetails)
			}
			for _, a := range o.Otherwise {
				if a.ResponseFlags != "" || a.ResponseCodeDetails != "" {
					check(c.name, a.ResponseFlags, a.ResponseCodeDetails)
				}
			}
		}
	}
	for i, d := range trace.Details() {
		if !met[i] {
			t.Errorf("no scenario has %v %s", d.Flags, d.Details)
		}
	}
}
