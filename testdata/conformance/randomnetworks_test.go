package conformance

import (
	"maps"
	"slices"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// TestRandomNetworks holds random requests against Istio where endpoints are on several networks. It fails as well where networks do
// not matter: each way that a trace tells of them is to be met.
func TestRandomNetworks(t *testing.T) {
	c := crossed{met: map[string]int{}}
	judgeRandom(t, "random requests over several networks", *meshes, *requestsEach, func(seed uint64) source { return newNetworkGenerator(seed) }, c.add)
	c.check(t)
}

// crossed counts the requests that were judged by the rules of networks that their traces follow, and by the codes of their ends.
type crossed struct {
	requests int
	met      map[string]int
}

func (c *crossed) add(b *bench, args []string) {
	q, err := parse(args)
	if err != nil {
		return
	}
	d, err := traced(b.snapshot, q)
	if err != nil {
		return
	}
	c.requests++
	once := map[string]bool{}
	for _, h := range d.Hops {
		for _, s := range h.Steps {
			once[s.Rule] = true
		}
	}
	for _, o := range d.Outcomes {
		once[o.Code] = true
	}
	for name := range once {
		c.met[name]++
	}
}

// wantedCrossings are the rules and codes of which each 200 requests are to have one.
var wantedCrossings = []string{
	string(resolve.RuleNetworkGateway), string(resolve.RuleNetworkSame), string(resolve.RuleNetworkNoGateway), string(resolve.RuleNetworkPlaintext),
	string(resolve.RuleNetworkNameless), string(resolve.RuleGatewayPassedOn), string(trace.CodeOtherNetwork), string(trace.CodeNetworkUnreachable),
}

func (c *crossed) check(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(c.met)) {
		t.Logf("%6d  %s", c.met[name], name)
	}
	if !whole() && c.requests < 1000 {
		return // too few to tell
	}
	for _, name := range wantedCrossings {
		if c.met[name]*200 < c.requests {
			t.Errorf("too few requests have: %s", name)
		}
	}
}
