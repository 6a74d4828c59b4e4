package caserun

import (
	"slices"
	"sync/atomic"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// What a snapshot keeps for the clients of a namespace grows with the mesh, and with all namespaces it is more than a machine has. So cases run
// namespace by namespace, and what was made for one is dropped when its last case is done.

// manyNamespaces is from where on that is worth it.
const manyNamespaces = 16

// clients are the cases of one namespace that are not done yet.
type clients struct {
	namespace string
	left      atomic.Int64
}

// schedule is the order in which cases run.
type schedule struct {
	// order are indexes of jobs, and of each job the clients it is of.
	order []int
	of    []*clients
	// forgets is whether what was made for a namespace is dropped.
	forgets bool
}

// newSchedule puts the cases of a namespace behind each other, namespaces in the order in which they appear.
func newSchedule(jobs []job, namespaceOf func(job) string) schedule {
	s := schedule{of: make([]*clients, len(jobs))}
	byName := map[string]*clients{}
	rank := map[*clients]int{}
	for i, j := range jobs {
		name := namespaceOf(j)
		c := byName[name]
		if c == nil {
			c = &clients{namespace: name}
			rank[c] = len(byName)
			byName[name] = c
		}
		c.left.Add(1)
		s.of[i] = c
		s.order = append(s.order, i)
	}
	s.forgets = len(byName) > manyNamespaces
	slices.SortStableFunc(s.order, func(a, b int) int { return rank[s.of[a]] - rank[s.of[b]] })
	return s
}

// done counts a job that has run.
func (s *schedule) done(i int, snapshot *resolve.Snapshot) {
	c := s.of[i]
	if c.left.Add(-1) == 0 && s.forgets && c.namespace != "" {
		snapshot.ForgetClients(c.namespace)
	}
}

// sourceNamespace is the namespace that a case's request comes from; empty for a client outside, and for a source that can not be read.
func (r *Runner) sourceNamespace(j job) string {
	typed := j.test.Request
	from, err := trace.ParseSource(typed.From)
	switch {
	case err != nil, from.External, typed.Gateway != "":
		return ""
	case from.Namespace != "":
		return from.Namespace
	case typed.Namespace != "":
		return typed.Namespace
	}
	return r.Namespace
}
