package conformance

import (
	"strings"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// TestRandomEnvoyFilter holds random requests against Istio where EnvoyFilters patch the proxies on the way. It fails as well where
// they hardly do: each kind of patch is to be met by some.
func TestRandomEnvoyFilter(t *testing.T) {
	c := newCensus(patched)
	judgeRandom(t, "random requests through EnvoyFilters", *meshes, *requestsEach, func(seed uint64) source { return filteredGenerator(seed) }, c.add)
	c.check(t, wantedPatches)
}

// patched are the rules of EnvoyFilters that are followed on the way.
func patched(d *render.Document) map[string]bool {
	met := map[string]bool{}
	for _, h := range d.Hops {
		for _, s := range h.Steps {
			if strings.HasPrefix(s.Rule, "envoyfilter/") || s.Rule == string(resolve.RuleEnvoyFilter) {
				met[s.Rule] = true
			}
		}
	}
	return met
}

var wantedPatches = map[string]float64{
	string(resolve.RulePatchRequestHeader): 1.5, string(resolve.RuleHTTPFilterRBACDeny): 1, string(resolve.RuleHTTPFilterRBACAllow): 0.7,
	string(resolve.RuleRouteInserted): 1, string(resolve.RuleRouteActionMade): 1.5, string(resolve.RuleRouteSetting): 0.7, string(resolve.RuleRouteTakenOut): 0.2,
	string(resolve.RuleVirtualHostAdded): 0.4, string(resolve.RuleVirtualHostTakenOut): 0.1, string(resolve.RuleClusterTakenOut): 0.2,
	string(resolve.RuleEnvoyFilterNothing): 8, string(resolve.RuleEnvoyFilterElsewhere): 12,
}
