package conformance

import (
	"maps"
	"slices"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// TestRandomAmbient holds random requests against Istio where sidecars, ztunnels, waypoints and pods without any of them meet. It
// fails as well where they do not: each way through them is to be met, and ends that only ambient mode has.
func TestRandomAmbient(t *testing.T) {
	c := travelled{met: map[string]int{}}
	judgeRandom(t, "random requests in ambient mode", 2**meshes, *requestsEach, func(seed uint64) source { return mixedGenerator(seed) }, c.add)
	c.check(t)
}

// travelled counts the requests that were judged by who has them, one after the other, and by how they end there.
type travelled struct {
	requests int
	met      map[string]int
}

func (c *travelled) add(b *bench, args []string) {
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
	for _, o := range d.Outcomes {
		way, last := "", "nowhere"
		for _, n := range o.Hops {
			if h := d.Hops[n]; h.Proxy == "ztunnel" || h.Envoy.Listener != "" {
				way, last = way+h.Proxy+" ", h.Proxy
			}
		}
		once[way], once[o.Decision+" at "+last] = true, true
	}
	for name := range once {
		c.met[name]++
	}
}

// wantedWays are the ways and ends of which each 300 requests are to have one.
var wantedWays = []string{
	"ztunnel ztunnel ", "ztunnel waypoint ztunnel ", "ztunnel sidecar ", "sidecar ztunnel ", "gateway ztunnel ", "gateway waypoint ztunnel ",
	string(trace.Denied) + " at ztunnel", string(trace.Denied) + " at waypoint", string(trace.Unavailable) + " at ztunnel", string(trace.Unavailable) + " at waypoint",
}

func (c *travelled) check(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(c.met)) {
		t.Logf("%6d  %s", c.met[name], name)
	}
	if !whole() && c.requests < 1000 {
		return // too few to tell
	}
	for _, name := range wantedWays {
		if c.met[name]*300 < c.requests {
			t.Errorf("too few requests have: %s", name)
		}
	}
}
