package snapshot

import (
	"encoding/json"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Two traces are the same where nothing that can be printed of them tells them apart but the places of their resources:
// the document with every candidate, and the text. Every lesser detail is a view of these.

// traceOf is what can be printed of a trace; the error where there is none.
func traceOf(s *resolve.Snapshot, q trace.Request) []byte {
	t, err := trace.WalkView(s, q, trace.DetailFull)
	if err != nil {
		return []byte(err.Error())
	}
	t.AddFacts(s, trace.FactsOfAll)
	return printed(t)
}

func printed(t *trace.Trace) []byte {
	document, err := json.Marshal(render.NewDocument(t, nil))
	if err != nil {
		return []byte(err.Error())
	}
	return append(document, render.Text(t, render.Options{Wide: true})...)
}

func tracesOf(s *resolve.Snapshot, requests []trace.Request) [][]byte {
	out := make([][]byte, len(requests))
	for i, q := range requests {
		out[i] = traceOf(s, q)
	}
	return out
}

// citedBy adds the objects that a trace names anywhere.
func citedBy(t *trace.Trace, cited map[resolve.Ref]bool) {
	for _, h := range t.Hops {
		cited[h.Workload.Object()] = true
		for _, s := range h.Steps {
			cited[s.Ref.Object()] = true
		}
		for _, s := range h.Facts {
			cited[s.Ref.Object()] = true
		}
	}
	for _, o := range t.Outcomes {
		cited[o.By.Object()] = true
		for _, a := range o.Otherwise {
			cited[a.By.Object()] = true
		}
		for _, c := range o.Hint {
			cited[c.Ref.Object()] = true
		}
		for _, w := range o.Destination.Workloads {
			cited[w.Object()] = true
		}
	}
	for _, w := range t.Warnings {
		cited[w.Ref.Object()] = true
	}
}
