package cmd

import (
	"slices"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Why a rule has no scenario.
const (
	needsRefusal = "needs an API server that refuses a kind: cmd/clusterpath_test.go, trace/gap_test.go and the concept's own tests follow it"
	needsCluster = "is followed on a live cluster only: the concept's own tests follow it"
	needsRelease = "needs --istio-version, which is no part of the input: kubeinert/release.txtar follows it"
	noTrace      = "ends the command before there is a trace"
	neverStored  = "an API server refuses such an object"
	tableOnly    = "only the concept's table test follows it so far"
)

// withoutScenario are the rules that no scenario follows, each with the reason.
var withoutScenario = map[resolve.RuleID]string{
	"authorizationpolicy/custom-provider-not-read": needsRefusal,
	"authorizationpolicy/unreadable":               needsRefusal,
	"delegate/unknown":                             needsRefusal,
	"destinationrule/unreadable":                   needsRefusal,
	"endpoint/pods-unreadable":                     needsRefusal,
	"gap/mesh-config":                              needsRefusal,
	"gap/namespaces":                               needsRefusal,
	"gap/not-read":                                 needsRefusal,
	"peerauthentication/unreadable":                needsRefusal,
	"requestauthentication/unreadable":             needsRefusal,
	"replicas/not-read":                            needsRefusal,
	"telemetry/not-read":                           needsRefusal,

	"credential/kept":           needsCluster,
	"credential/not-read":       needsCluster,
	"configmap/not-read":        needsCluster,
	"endpoint/no-endpointslice": needsCluster,

	"gatewayentry/unknown-name": noTrace,

	"kubeinert/release": needsRelease,

	"credential/for-gateways": tableOnly,
	"kubelistener/port":       neverStored,
	"kuberoute/match-type":    neverStored,

	"clienttls/passthrough-no-endpoints":        tableOnly,
	"cluster/alias":                             tableOnly,
	"cluster/dynamic-dns-no-subsets":            tableOnly,
	"destination/host-not-imported":             tableOnly,
	"destinationrule/export-lost":               tableOnly,
	"destinationrule/no-fallback":               tableOnly,
	"destinationrule/workload-selector-private": tableOnly,
	"destinationrule/workload-selector-unknown": tableOnly,
	"endpoint/fqdn-slice":                       tableOnly,
	"endpoint/not-an-ip":                        tableOnly,
	"endpoint/pod-missing":                      tableOnly,
	"endpoint/workloadentry-health":             tableOnly,
	"loadbalance/gateway-passthrough":           tableOnly,
	"loadbalance/no-locality-left":              tableOnly,
	"locality/zone-aware":                       tableOnly,
	"route/header-computed":                     tableOnly,
	"route/source-labels-unknown":               tableOnly,
	"subset/cluster-label":                      tableOnly,
}

// TestEveryRuleHasAScenario: a rule that no scenario follows is a rule nobody can
// read about; and a reason for having none ends when there is one.
func TestEveryRuleHasAScenario(t *testing.T) {
	t.Parallel()
	followed := map[resolve.RuleID]bool{}
	for c := range tracedScenarios(t) {
		got, err := c.walk(c.input.Resources)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for _, h := range got.Hops {
			for _, s := range h.Steps {
				followed[s.Rule] = true
			}
			for _, s := range h.Facts {
				followed[s.Rule] = true
			}
		}
	}
	var known []resolve.RuleID
	for _, r := range resolve.Rules() {
		known = append(known, r.ID)
		switch _, excused := withoutScenario[r.ID]; {
		case !followed[r.ID] && !excused:
			t.Errorf("no scenario follows %s", r.ID)
		case followed[r.ID] && excused:
			t.Errorf("%s has a scenario: take it off the list of those without", r.ID)
		}
	}
	for id := range withoutScenario {
		if !slices.Contains(known, id) {
			t.Errorf("%s is no rule", id)
		}
	}
}
