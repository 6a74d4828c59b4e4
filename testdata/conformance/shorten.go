package conformance

import (
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
	"github.com/mesh-trace/kubectl-mesh-trace/trace"
	"github.com/mesh-trace/kubectl-mesh-trace/trace/render"
)

// Two kinds of traces end before the request does, and say so. They are compared as far as they go.
//
//  1. Routes that lead in a circle: a loop has no end. Both sides are cut after its second hop.
//  2. An east-west gateway (AUTO_PASSTHROUGH) hands the client's TLS on to what the trace takes for another
//     cluster. Both sides are cut behind the gateway.

// circleHops are those of a circle that are compared: the first, and the one that is like it.
const circleHops = 2

func circle(o render.Outcome) bool { return o.Code == string(trace.CodeTooManyHops) }

func eastWest(d *render.Document, o render.Outcome) bool {
	if o.Code != string(trace.CodePassthrough) || len(o.Hops) == 0 {
		return false
	}
	last := d.Hops[o.Hops[len(o.Hops)-1]]
	return last.Proxy == "gateway" && strings.HasPrefix(last.Envoy.Cluster, "outbound_.")
}

// shorten cuts the trace.
func shorten(d *render.Document) {
	for i, o := range d.Outcomes {
		if circle(o) {
			d.Outcomes[i].Hops = o.Hops[:min(circleHops, len(o.Hops))]
		}
	}
}

// shortened cuts what was played where the trace, which is cut already, ends early.
func shortened(outcomes []evaluator.Outcome, d *render.Document) []evaluator.Outcome {
	for _, o := range d.Outcomes {
		for i, p := range outcomes {
			switch {
			case circle(o) && p.Why == evaluator.Loop:
				outcomes[i].Hops = p.Hops[:min(circleHops, len(p.Hops))]
			case eastWest(d, o) && len(p.Hops) >= len(o.Hops) && p.Hops[len(o.Hops)-1].Cluster == d.Hops[o.Hops[len(o.Hops)-1]].Envoy.Cluster:
				outcomes[i] = evaluator.Outcome{Share: p.Share, Decision: evaluator.Delivered, Hops: p.Hops[:len(o.Hops)]}
			}
		}
	}
	return outcomes
}
