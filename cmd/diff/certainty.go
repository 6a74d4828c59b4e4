package diff

import (
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
)

// What is decided alike, and maybe is not: the certainty of a request.
//
//  1. An EnvoyFilter, a WasmPlugin or a TrafficExtension is taken to change nothing, so that a change of one changes no outcome
//     of a trace. Where one stands before what decides on a side, and is not the same on the other, the request is not unchanged.
//  2. Which one it is, is said in place of what decides.

// unmodelled are the objects of rule 1 that have changed and that an outcome of a side depends on, the side after first.
func unmodelled(changed func(resolve.Ref) bool, sides ...side) []resolve.Ref {
	if changed == nil {
		return nil
	}
	var out []resolve.Ref
	for _, s := range sides {
		for _, ref := range assumed(s.trace) {
			same := func(have resolve.Ref) bool { return have.Object() == ref.Object() }
			if changed(ref) && !slices.ContainsFunc(out, same) {
				out = append(out, ref)
			}
		}
	}
	return out
}

// assumed are the objects of which a trace does not know what they do, at the hops of outcomes that are not certain.
func assumed(t *trace.Trace) []resolve.Ref {
	if t == nil {
		return nil
	}
	var out []resolve.Ref
	for _, o := range t.Outcomes {
		if o.Certainty == trace.Certain {
			continue
		}
		for _, i := range o.Hops {
			for _, s := range t.Hops[i].Steps {
				if s.Stage == resolve.StageExtension && s.Verdict == resolve.Warned && !s.Ref.IsZero() {
					out = append(out, s.Ref)
				}
			}
		}
	}
	return out
}

// alike reports whether nothing but the certainty of outcomes is another.
func alike(before, after *trace.Trace) bool {
	return slices.Equal(decided(before), decided(after))
}

// decided are the ends of a trace, however sure.
func decided(t *trace.Trace) []string {
	surely := slices.Clone(t.Outcomes)
	for i := range surely {
		surely[i].Certainty = trace.Certain
	}
	return ends(&trace.Trace{Outcomes: surely})
}
