package coverage

import "github.com/mesh-trace/kubectl-mesh-trace/resolve"

// Report are the rules of one or several meshes, each once.
type Report struct {
	Rules []Rule
	index map[place]int
}

// place tells rules apart: meshes of other manifests may have objects of the same name.
type place struct {
	ref  resolve.Ref
	file string
}

// Add adds the rules of a mesh. One that stands at the same place in several has decided if it has in one.
func (r *Report) Add(rules []Rule) {
	if r.index == nil {
		r.index = map[place]int{}
	}
	for _, rule := range rules {
		key := place{rule.Ref, rule.Place}
		i, again := r.index[key]
		if !again {
			r.index[key] = len(r.Rules)
			r.Rules = append(r.Rules, rule)
			continue
		}
		r.Rules[i].Covered = r.Rules[i].Covered || rule.Covered
	}
}

// Covered is how many rules have decided.
func (r *Report) Covered() int {
	n := 0
	for _, rule := range r.Rules {
		if rule.Covered {
			n++
		}
	}
	return n
}

// Percent is the share of the rules that have decided; 100 where there are none.
func (r *Report) Percent() float64 {
	if len(r.Rules) == 0 {
		return 100
	}
	return 100 * float64(r.Covered()) / float64(len(r.Rules))
}
