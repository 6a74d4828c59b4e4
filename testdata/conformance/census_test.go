package conformance

import (
	"maps"
	"slices"
	"testing"

	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// census counts, of the requests that were judged, those that have each of some properties: a random test that hardly meets
// what it is for says nothing.
type census struct {
	requests int
	met      map[string]int
	// of are the properties of one trace.
	of func(*render.Document) map[string]bool
}

func newCensus(of func(*render.Document) map[string]bool) *census {
	return &census{met: map[string]int{}, of: of}
}

func (c *census) add(b *bench, args []string) {
	q, err := parse(args)
	if err != nil {
		return
	}
	d, err := traced(b.snapshot, q)
	if err != nil {
		return
	}
	c.requests++
	for name, has := range c.of(d) {
		if has {
			c.met[name]++
		}
	}
}

// share is the percentage of the requests that have the property.
func (c *census) share(name string) float64 {
	return 100 * float64(c.met[name]) / float64(max(1, c.requests))
}

// check prints the shares, and fails where one of those wanted, by property, is not reached.
func (c *census) check(t *testing.T, wanted map[string]float64) {
	t.Helper()
	t.Logf("%6d  requests judged", c.requests)
	for _, name := range slices.Sorted(maps.Keys(c.met)) {
		t.Logf("%6d  %5.1f%%  %s", c.met[name], c.share(name), name)
	}
	if !whole() && c.requests < 1000 {
		return // too few to tell
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if c.share(name) < wanted[name] {
			t.Errorf("too few requests have: %s: %.2f%%, wanted %.2f%%", name, c.share(name), wanted[name])
		}
	}
}
