package conformance

import (
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// TestRandomAmbient holds random requests against Istio where sidecars, ztunnels, waypoints and pods without any of them meet. It
// fails as well where they do not: each way through them is to be met, and ends that only ambient mode has.
func TestRandomAmbient(t *testing.T) {
	c := newCensus(travelled)
	judgeRandom(t, "random requests in ambient mode", 2**meshes, *requestsEach, func(seed uint64) source { return mixedGenerator(seed) }, c.add)
	c.check(t, wantedWays)
}

// travelled is who has the request, one after the other, and how it ends at the last of them.
func travelled(d *render.Document) map[string]bool {
	met := map[string]bool{}
	for _, o := range d.Outcomes {
		way, last := "", "nowhere"
		for _, n := range o.Hops {
			if h := d.Hops[n]; h.Proxy == "ztunnel" || h.Envoy.Listener != "" {
				way, last = way+h.Proxy+" ", h.Proxy
			}
		}
		met[way], met[o.Decision+" at "+last] = true, true
	}
	return met
}

var wantedWays = map[string]float64{
	"ztunnel ztunnel ": 0.3, "ztunnel waypoint ztunnel ": 0.3, "ztunnel sidecar ": 0.3, "sidecar ztunnel ": 0.3, "gateway ztunnel ": 0.3, "gateway waypoint ztunnel ": 0.3,
	string(trace.Denied) + " at ztunnel": 0.3, string(trace.Denied) + " at waypoint": 0.3, string(trace.Unavailable) + " at ztunnel": 0.3, string(trace.Unavailable) + " at waypoint": 0.3,
}
