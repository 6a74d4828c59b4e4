package render

import (
	"fmt"
	"strconv"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// way writes the hops of all outcomes as a tree: what several outcomes share
// stands once, in front of the fork, each branch indented behind it under a line
// that names its outcomes. It compares what the hops say and not their indexes,
// for a hop in which the way forks stands in the trace once for each branch.
func (r *renderer) way() {
	var paths []path
	for i, o := range r.trace.Outcomes {
		paths = append(paths, path{outcome: i, rest: r.marks(o)})
	}
	if len(paths) == 0 {
		return
	}
	r.blank()
	r.follow(paths, 0)
}

// path is the way of one outcome, as far as it is not written yet.
type path struct {
	outcome int
	rest    []mark
	// hop is the last hop whose heading was written, and named how many of its
	// Envoy names that heading had.
	hop   *trace.Hop
	named int
	hops  int
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
		out = append(out, mark{key: fmt.Sprintf("leave %q", h.Envoy)})
	}
	return out
}

// follow writes what the paths share, and then each branch.
func (r *renderer) follow(paths []path, indent int) {
	r.shared(paths, indent)
	if len(paths) == 1 {
		return
	}
	for _, branch := range branches(paths) {
		r.put(r.label(branch, indent), indent+4)
		r.follow(branch, indent+2)
	}
}

// shared writes the marks with which all paths go on, and takes them off the paths.
func (r *renderer) shared(paths []path, indent int) {
	n := 0
	for n < len(paths[0].rest) && same(paths, n) {
		n++
	}
	var rows []mark
	for i, m := range paths[0].rest[:n] {
		if m.step != nil || m.omitted != nil {
			rows = append(rows, m)
		}
		if m.heading == nil {
			continue
		}
		r.rows(rows, indent)
		rows = nil
		for j := range paths {
			paths[j].hop = paths[j].rest[i].heading
			paths[j].hops++
		}
		named := sharedNames(paths)
		for j := range paths {
			paths[j].named = named
		}
		r.heading(paths[0], indent)
	}
	r.rows(rows, indent)
	for j := range paths {
		paths[j].rest = paths[j].rest[n:]
	}
}

func same(paths []path, n int) bool {
	for _, p := range paths {
		if n >= len(p.rest) || p.rest[n].key != paths[0].rest[n].key {
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
		if len(p.rest) > 0 {
			key = p.rest[0].key
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
func (r *renderer) label(branch []path, indent int) line {
	l := line{}.text(asPlain, spaces(indent))
	if len(branch) == 1 {
		i := branch[0].outcome
		l = l.text(asPlain, r.percent(i)+"  ").add(r.verdict(r.trace.Outcomes[i]))
		if o := r.trace.Outcomes[i]; o.Decision == trace.Delivered {
			l = l.text(asPlain, " → ").add(r.whereTo(o.Destination))
		}
	} else {
		var exact, rounded float64
		for _, p := range branch {
			exact += r.trace.Outcomes[p.outcome].Weight
			rounded += r.percents[p.outcome]
		}
		l = l.text(asPlain, percentText(exact, twoDecimals(rounded))+"  "+count(len(branch), "outcome"))
	}
	if branch[0].hop == nil {
		return l
	}
	n := sharedNames(branch)
	if names := namesOf(branch[0].hop); n > branch[0].named {
		l = l.then("   ", r.chain(names[branch[0].named:n], branch[0].hop))
	}
	for j := range branch {
		branch[j].named = n
	}
	return l
}
