package trace

import (
	"fmt"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Several clusters of one mesh:
//
//  1. A request begins in the cluster of its sender: the one that --from names; without one, the first that has the sender.
//  2. What is sent to a proxy is asked of the view of its cluster; see resolve.Snapshot.
//  3. It goes on in the cluster of the endpoint that is chosen, or of the gateway that stands for it.

// enterCluster is rule 3: the walk goes on in the cluster until back is called; back is nil where it is there already.
func (w *walk) enterCluster(p *path, id string) (back func()) {
	before := w.snapshot
	there := before.Member(id)
	if there == before {
		return nil
	}
	w.snapshot = there
	p.note(there.OwnIstiod()...)
	return func() { w.snapshot = before }
}

// beginIn is rule 1 for a cluster that --from names.
func (w *walk) beginIn(id string) error {
	if id == "" {
		return nil
	}
	there, ok := w.snapshot.MemberByID(id)
	if !ok {
		return &SourceError{Input: InputFrom, Problem: fmt.Sprintf("no cluster %s was read", id), Nearest: strings.Join(w.snapshot.Clusters(), ", ")}
	}
	w.snapshot = there
	return nil
}

// named is rule 1 for a workload of which no cluster is told.
func (w *walk) named(kind, namespace, name string, told bool) ([]*resolve.Workload, string, error) {
	found, err := w.snapshot.FindWorkload(kind, namespace, name)
	if told || len(w.snapshot.Clusters()) < 2 {
		return found, "", err
	}
	var first, others []string
	var there *resolve.Snapshot
	for i, id := range w.snapshot.Clusters() {
		m, _ := w.snapshot.MemberByID(id)
		if more, failed := m.FindWorkload(kind, namespace, name); failed == nil && runs(more) {
			if there == nil {
				there, found, err, first = m, more, nil, w.snapshot.Clusters()[i:i+1]
				continue
			}
			others = append(others, id)
		}
	}
	if there == nil {
		return found, "", err
	}
	w.snapshot = there
	if len(others) == 0 {
		return found, "", nil
	}
	return found, fmt.Sprintf("--from names no cluster: it is taken to be in %s; %s has one of that name, too (--from %s:…)", first[0], strings.Join(others, ", "), others[0]), nil
}

// runs reports whether there is more to the workloads than a name.
func runs(found []*resolve.Workload) bool {
	return len(found) > 0 && found[0].Owner.Kind != "ServiceAccount"
}
