package conformance

import "testing"

// TestRandomAmbient holds random requests against Istio where sidecars, ztunnels, waypoints and pods without any of them meet.
func TestRandomAmbient(t *testing.T) {
	judgeRandom(t, "random requests in ambient mode", 2**meshes, *requestsEach, func(seed uint64) source { return mixedGenerator(seed) }, nil)
}
