package snapshot

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// The objects of a snapshot are a few of those that were read, with which every trace is the same. A trace can depend on an
// object that it does not name (a Service that makes a name short, a pod that makes two), so which these are is tried:
//
//  1. Those that the traces name, at full detail, are in.
//  2. The others are taken in by groups (a kind in a namespace), those of the namespaces of the traces first, ever more
//     of them, until the traces are the same.
//  3. Of what was taken in, groups are left out again, then halves of groups, and halves of halves, as long as the traces
//     stay the same.
//
// The work is bounded by the number of objects tried, which makes the answer the same on every machine. Where it ends
// early, more stays in than is needed.

// work is how many objects may be indexed in all trials together. A trial costs some microseconds for each.
const work = 1_000_000

// group are the objects of one kind in one namespace.
type group struct {
	namespace string
	kind      schema.GroupKind
	// near is set for a namespace of an object that the traces name, and for objects that have none.
	near    bool
	members []resolve.Sourced
}

// chooser is the search in one set of objects.
type chooser struct {
	same   func([]resolve.Sourced) bool
	always []resolve.Sourced
	left   int
}

// try reports whether what is always in and these groups give the traces; false, too, where no work is left.
func (c *chooser) try(groups []group) bool {
	set := c.with(groups)
	if c.left -= len(set) + 1; c.left < 0 {
		return false
	}
	return c.same(set)
}

func (c *chooser) with(groups []group) []resolve.Sourced {
	set := slices.Clone(c.always)
	for _, g := range groups {
		set = append(set, g.members...)
	}
	return set
}

// choose returns the objects with which the traces are the same; all of them where they are not.
func (t *taking) choose(candidates []resolve.Sourced) []resolve.Sourced {
	cited := map[resolve.Ref]bool{}
	all := t.with(candidates)
	for _, q := range t.requests {
		if walked, err := trace.WalkView(all, q, trace.DetailFull); err == nil {
			walked.AddFacts(all, trace.FactsOfAll)
			citedBy(walked, cited)
		}
	}
	c := &chooser{same: t.same, left: work}
	near := map[string]bool{"": true}
	for r := range cited {
		near[r.Namespace] = true
	}
	var others []resolve.Sourced
	for _, r := range candidates {
		if cited[refOf(r)] {
			c.always = append(c.always, r)
			continue
		}
		others = append(others, r)
	}
	groups := grouped(others, near)
	taken, ok := c.widen(groups)
	if !ok {
		return candidates
	}
	return c.with(c.shrink(taken))
}

func refOf(r resolve.Sourced) resolve.Ref {
	return resolve.Ref{Group: r.GroupKind.Group, Cluster: resolve.ClusterOf(r.Object), Kind: r.GroupKind.Kind, Namespace: r.Object.GetNamespace(), Name: r.Object.GetName()}
}

// grouped puts objects into groups, the near ones first, then by namespace and kind.
func grouped(objects []resolve.Sourced, near map[string]bool) []group {
	var groups []group
	at := map[resolve.Ref]int{}
	for _, o := range objects {
		key := refOf(o)
		key.Name = ""
		i, known := at[key]
		if !known {
			i = len(groups)
			at[key] = i
			groups = append(groups, group{namespace: key.Namespace, kind: o.GroupKind, near: near[key.Namespace]})
		}
		groups[i].members = append(groups[i].members, o)
	}
	for _, g := range groups {
		slices.SortStableFunc(g.members, func(a, b resolve.Sourced) int { return cmp.Compare(a.Object.GetName(), b.Object.GetName()) })
	}
	slices.SortFunc(groups, func(a, b group) int {
		if a.near != b.near {
			if a.near {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.kind.Group, b.kind.Group), cmp.Compare(a.kind.Kind, b.kind.Kind))
	})
	return groups
}

// widen takes in twice as many groups each time: none, one, two, four, all.
func (c *chooser) widen(groups []group) ([]group, bool) {
	for n := 0; ; n = min(max(1, 2*n), len(groups)) {
		if c.same(c.with(groups[:n])) {
			return groups[:n], true
		}
		if n == len(groups) {
			return groups, false
		}
	}
}

// shrink leaves out what is not needed: whole groups, several at a time as long as that goes well, then parts of them.
func (c *chooser) shrink(groups []group) []group {
	groups = c.without(groups)
	for {
		var parts []group
		largest := 0
		for _, g := range groups {
			largest = max(largest, len(g.members))
			parts = append(parts, g.split()...)
		}
		if largest <= 1 || c.left < 0 {
			return groups
		}
		groups = c.without(parts)
	}
}

// without leaves out runs of groups: of half of them, of a quarter, down to single ones.
func (c *chooser) without(groups []group) []group {
	for run := (len(groups) + 1) / 2; run > 0; run /= 2 {
		for at := 0; at < len(groups); {
			end := min(at+run, len(groups))
			fewer := slices.Concat(groups[:at], groups[end:])
			if c.try(fewer) {
				groups = fewer
				continue
			}
			at = end
		}
	}
	return groups
}

// split halves a group; one of a single object stays as it is.
func (g group) split() []group {
	if len(g.members) < 2 {
		return []group{g}
	}
	a, b, half := g, g, len(g.members)/2
	a.members, b.members = g.members[:half], g.members[half:]
	return []group{a, b}
}
