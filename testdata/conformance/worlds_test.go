//go:build integ

package conformance

import (
	"maps"
	"slices"
	"testing"
)

// worlds keeps the last benches: neighbouring tests ask about the same manifests.
type worlds struct {
	t    *testing.T
	kept []*world
}

type world struct {
	manifests map[string]string
	bench     *bench
	err       error
	life      *lifetime
}

// lifetime is a test that ends before its Go test does.
type lifetime struct {
	testing.TB
	ends []func()
}

// Cleanup is called when the lifetime ends.
func (l *lifetime) Cleanup(f func()) { l.ends = append(l.ends, f) }

func (l *lifetime) end() {
	for _, f := range slices.Backward(l.ends) {
		f()
	}
}

func (w *worlds) of(manifests map[string]string) (*bench, error) {
	for i, k := range w.kept {
		if maps.Equal(k.manifests, manifests) {
			w.kept = append(slices.Delete(w.kept, i, i+1), k)
			return k.bench, k.err
		}
	}
	const most = 16
	if len(w.kept) == most {
		w.kept[0].life.end()
		w.kept = slices.Delete(w.kept, 0, 1)
	}
	k := &world{manifests: manifests, life: &lifetime{TB: w.t}}
	k.bench, k.err = newBench(k.life, w.t.TempDir(), manifests, "default")
	w.kept = append(w.kept, k)
	return k.bench, k.err
}

func (w *worlds) close() {
	for _, k := range w.kept {
		k.life.end()
	}
}
