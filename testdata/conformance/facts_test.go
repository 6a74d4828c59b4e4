package conformance

import "testing"

// TestFacts holds the facts of each hop of each scenario's requests against what pilot generates for its proxy.
func TestFacts(t *testing.T) {
	compared := overScenarios(t, func(b *bench, args []string) (string, int, error) {
		if holds(b.manifests, "XBackendTrafficPolicy") {
			return "", 0, skipped{"the fake server of Istio does not read alpha kinds of the Gateway API"}
		}
		return b.facts(args)
	})
	if whole := *scenarios == "../scenarios"; whole && compared < 1500 {
		t.Errorf("the facts of only %d hops were compared", compared)
	}
	t.Logf("the facts of %d hops compared", compared)
}
