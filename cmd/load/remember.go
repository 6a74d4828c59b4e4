package load

import (
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Remembered is what runs in a mesh, of which each list is read and each search made once, however many snapshots ask: they
// then show the same moment. It is nil for nil.
func Remembered(below resolve.Deferred) resolve.Deferred {
	if below == nil {
		return nil
	}
	return &remembered{Deferred: below, lists: map[listIn]*resolve.Listed{}, finds: map[resolve.Sought]foundIn{}}
}

type listIn struct {
	namespace string
	kind      schema.GroupKind
}

type foundIn struct {
	namespaces []string
	gaps       []resolve.Gap
}

// remembered implements [resolve.Deferred].
type remembered struct {
	resolve.Deferred

	mu    sync.Mutex
	lists map[listIn]*resolve.Listed
	finds map[resolve.Sought]foundIn
}

// In asks for the lists that are not known yet, all at once.
func (r *remembered) In(namespace string, kinds []schema.GroupKind) []resolve.Listed {
	r.mu.Lock()
	defer r.mu.Unlock()
	var missing []schema.GroupKind
	for _, kind := range kinds {
		if r.lists[listIn{namespace, kind}] == nil {
			missing = append(missing, kind)
		}
	}
	if len(missing) > 0 {
		for i, l := range r.Deferred.In(namespace, missing) {
			r.lists[listIn{namespace, missing[i]}] = &l
		}
	}
	out := make([]resolve.Listed, len(kinds))
	for i, kind := range kinds {
		out[i] = *r.lists[listIn{namespace, kind}]
	}
	return out
}

// Find searches once.
func (r *remembered) Find(q resolve.Sought) ([]string, []resolve.Gap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, known := r.finds[q]
	if !known {
		found.namespaces, found.gaps = r.Deferred.Find(q)
		r.finds[q] = found
	}
	return found.namespaces, found.gaps
}
