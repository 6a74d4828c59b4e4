package render

import (
	"fmt"
	"strconv"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// way writes the hops of all outcomes as a tree: what several outcomes share
// stands once, in front of the fork, each branch indented behind it under a line
// that names its outcomes.
func (r *renderer) way() {
	if len(r.trace.Outcomes) == 0 {
		return
	}
	r.blank()
	r.follow(r.stretches(), make([]opened, len(r.trace.Outcomes)), 0)
}

// opened is how far the way of one outcome is written.
type opened struct {
	// hop is the last hop whose heading was written, and named how many of its
	// Envoy names that heading had.
	hop   *trace.Hop
	named int
	hops  int
}

// stretch is a part of the way that the paths of its outcomes go alike, and the branches that go on behind it.
type stretch struct {
	paths    []path
	branches []*stretch
}

// path is the way of one outcome, or a part of it.
type path struct {
	outcome int
	marks   []mark
}

// stretches is the way of all outcomes as a tree. It compares what the hops say and not their indexes,
// for a hop in which the way forks stands in the trace once for each branch.
func (r *renderer) stretches() *stretch {
	var paths []path
	for i, o := range r.trace.Outcomes {
		paths = append(paths, path{outcome: i, marks: r.marks(o)})
	}
	return newStretch(paths)
}

func newStretch(paths []path) *stretch {
	s := &stretch{}
	if len(paths) == 0 {
		return s
	}
	n := 0
	for n < len(paths[0].marks) && same(paths, n) {
		n++
	}
	rest := make([]path, len(paths))
	for i, p := range paths {
		s.paths = append(s.paths, path{outcome: p.outcome, marks: p.marks[:n]})
		rest[i] = path{outcome: p.outcome, marks: p.marks[n:]}
	}
	if len(paths) > 1 {
		for _, branch := range branches(rest) {
			s.branches = append(s.branches, newStretch(branch))
		}
	}
	return s
}

// mark is one thing on the way: the heading of a hop, a step, a number of steps
// left out, or, with none of them, the end of a hop, where its Envoy names must agree.
type mark struct {
	heading *trace.Hop
	step    *resolve.Step
	omitted *trace.Omission
	// key is the same for marks that say the same.
	key string
}

// marks are all the things on the way of an outcome, in the order met.
func (r *renderer) marks(o trace.Outcome) []mark {
	var out []mark
	for _, i := range o.Hops {
		if i < 0 || i >= len(r.trace.Hops) {
			continue
		}
		h := &r.trace.Hops[i]
		out = append(out, mark{heading: h, key: fmt.Sprintf("hop %q %q %v %q %q", h.Proxy, h.Direction, h.Workload, h.TLS, h.Peer)})
		omitted := h.Omitted
		leaveOut := func(before int) {
			for len(omitted) > 0 && omitted[0].Before <= before {
				out = append(out, mark{omitted: &omitted[0], key: fmt.Sprintf("omitted %q %d", omitted[0].Stage, omitted[0].Count)})
				omitted = omitted[1:]
			}
		}
		for j := range h.Steps {
			leaveOut(j)
			s := &h.Steps[j]
			out = append(out, mark{step: s, key: fmt.Sprintf("step %q %q %q %v %q %q %q", s.Stage, s.Verdict, s.Rule, s.Ref, s.Expected, s.Actual, r.reason(*s))})
		}
		leaveOut(len(h.Steps))
		for _, s := range r.facts(h) {
			out = append(out, mark{step: s, key: fmt.Sprintf("fact %q %q %v %q", s.Verdict, s.Rule, s.Ref, r.reason(*s))})
		}
		out = append(out, mark{key: fmt.Sprintf("leave %q", h.Envoy)})
	}
	return out
}

// facts are those of a hop that are shown: all of them in wide and on a page, else what explains an outcome.
func (r *renderer) facts(h *trace.Hop) []*resolve.Step {
	var out []*resolve.Step
	for i := range h.Facts {
		if s := &h.Facts[i]; r.opts.Wide || r.allFacts || s.Verdict == resolve.Warned {
			out = append(out, s)
		}
	}
	return out
}

// follow writes what the paths share, and then each branch.
func (r *renderer) follow(s *stretch, at []opened, indent int) {
	r.shared(s, at, indent)
	for _, branch := range s.branches {
		r.put(r.label(branch, at, indent), indent+4)
		r.follow(branch, at, indent+2)
	}
}

// shared writes the marks of a stretch.
func (r *renderer) shared(s *stretch, at []opened, indent int) {
	var rows []mark
	first := s.paths[0]
	for i, m := range first.marks {
		if m.step != nil || m.omitted != nil {
			rows = append(rows, m)
		}
		if m.heading == nil {
			continue
		}
		r.rows(rows, indent)
		rows = nil
		var hops []*trace.Hop
		for _, p := range s.paths {
			hops = append(hops, p.marks[i].heading)
		}
		named := sharedNames(hops)
		for j, p := range s.paths {
			at[p.outcome] = opened{hop: hops[j], named: named, hops: at[p.outcome].hops + 1}
		}
		r.heading(at[first.outcome], indent)
	}
	r.rows(rows, indent)
}

func same(paths []path, n int) bool {
	for _, p := range paths {
		if n >= len(p.marks) || p.marks[n].key != paths[0].marks[n].key {
			return false
		}
	}
	return true
}

// branches puts together the paths that go on alike, in the order of the outcomes.
// A path that ends here is a branch of its own.
func branches(paths []path) [][]path {
	var out [][]path
	at := map[string]int{}
	for _, p := range paths {
		key := "end " + strconv.Itoa(p.outcome)
		if len(p.marks) > 0 {
			key = p.marks[0].key
		}
		i, found := at[key]
		if !found {
			i = len(out)
			at[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], p)
	}
	return out
}

// label is the line over a branch: its share, its end where it has but one, and
// those Envoy names of the open hop that the branches do not share.
func (r *renderer) label(branch *stretch, at []opened, indent int) line {
	l := line{}.text(asPlain, spaces(indent)).add(r.shareOf(branch.outcomes()))
	first := at[branch.paths[0].outcome]
	if first.hop == nil {
		return l
	}
	var hops []*trace.Hop
	for _, p := range branch.paths {
		hops = append(hops, at[p.outcome].hop)
	}
	n := sharedNames(hops)
	if names := namesOf(first.hop); n > first.named {
		l = l.then("   ", r.chain(names[first.named:n], first.hop))
	}
	for _, p := range branch.paths {
		at[p.outcome].named = n
	}
	return l
}

// outcomes are those whose ways go through the stretch.
func (s *stretch) outcomes() []int {
	var out []int
	for _, p := range s.paths {
		out = append(out, p.outcome)
	}
	return out
}

// shareOf is "80%  Delivered → shop/reviews-v1 (subset v1, 2 endpoints)" for one outcome, "90%  2 outcomes" for several.
func (r *renderer) shareOf(outcomes []int) line {
	if len(outcomes) == 1 {
		o := r.trace.Outcomes[outcomes[0]]
		l := line{}.text(asPlain, r.percent(outcomes[0])+"  ").add(r.verdict(o))
		if o.Decision == trace.Delivered {
			l = l.text(asPlain, " → ").add(r.whereTo(o.Destination))
		}
		return l
	}
	return line{}.text(asPlain, r.percentOf(outcomes)+"  "+count(len(outcomes), "outcome"))
}

// percentOf is the share of several outcomes together.
func (r *renderer) percentOf(outcomes []int) string {
	var exact, rounded float64
	for _, i := range outcomes {
		exact += r.trace.Outcomes[i].Weight
		rounded += r.percents[i]
	}
	return percentText(exact, twoDecimals(rounded))
}
