package conformance

import (
	"flag"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// TestRandomNetworks holds random requests against Istio where endpoints are on several networks. It fails as well where networks do
// not matter: each way that a trace tells of them is to be met.
func TestRandomNetworks(t *testing.T) {
	c := newCensus(crossings)
	judgeRandom(t, "random requests over several networks", *meshes, *requestsEach, func(seed uint64) source { return newNetworkGenerator(seed) }, c.add)
	c.check(t, wantedCrossings)
}

// TestRandomClusters holds random requests against Istio in meshes of two or three clusters.
func TestRandomClusters(t *testing.T) {
	c := newCensus(crossings)
	judgeRandom(t, "random requests over several clusters", *meshes, *requestsEach, func(seed uint64) source { return newClusterGenerator(seed) }, c.add)
	c.check(t, wantedAcross)
}

// TestRandomAmbientClusters holds random requests against Istio in meshes of two or three clusters whose istiods run ambient mode over several
// networks. Each cluster has a control plane, which takes a while: meshes are few.
func TestRandomAmbientClusters(t *testing.T) {
	c := newCensus(crossings)
	judgeRandom(t, "random requests in ambient mode over several clusters", min(*meshes, *ambientMeshes), *requestsEach, func(seed uint64) source { return newAmbientClusterGenerator(seed) }, c.add)
	if *meshes >= 20 {
		c.check(t, wantedAmbientAcross)
	}
}

var ambientMeshes = flag.Int("ambient-meshes", 20, "how many meshes of several clusters with control planes of their own to make")

// crossings are the rules that the trace follows, and the codes of its ends.
func crossings(d *render.Document) map[string]bool {
	met := map[string]bool{}
	for _, h := range d.Hops {
		for _, s := range h.Steps {
			met[s.Rule] = true
		}
	}
	for _, o := range d.Outcomes {
		met[o.Code] = true
	}
	return met
}

var wantedCrossings = map[string]float64{
	string(resolve.RuleNetworkGateway): 0.5, string(resolve.RuleNetworkSame): 0.5, string(resolve.RuleNetworkNoGateway): 0.5, string(resolve.RuleNetworkPlaintext): 0.5,
	string(resolve.RuleNetworkNameless): 0.5, string(resolve.RuleGatewayPassedOn): 0.5, string(trace.CodeOtherNetwork): 0.5, string(trace.CodeNetworkUnreachable): 0.5,
}

var wantedAmbientAcross = map[string]float64{
	string(resolve.RuleScopeGlobal): 0.5, string(resolve.RuleScopeLocal): 0.5, string(resolve.RuleEastWestGateway): 0.5, string(resolve.RuleEastWestTakes): 0.5,
}

var wantedAcross = map[string]float64{
	string(resolve.RuleClusterEndpoints): 0.5, string(resolve.RuleClusterDiffers): 0.5, string(resolve.RuleNetworkGateway): 0.5, string(resolve.RuleNetworkSame): 0.5,
	string(resolve.RuleClusterLocal): 0.5, string(resolve.RuleGatewayPassedOn): 0.5, string(resolve.RuleDNSCaptureRemote): 0.1,
}
