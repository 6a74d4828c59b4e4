package trace

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// finish merges equal outcomes, gives the hops their numbers, and collects the warnings.
func (w *walk) finish() *Trace {
	t := &Trace{Request: w.request, Source: w.source, Istio: w.snapshot.Version}
	var hops hopList
	outcomes := mergeOutcomes(w.outcomes)
	t.Outcomes = make([]Outcome, 0, len(outcomes))
	for _, f := range outcomes {
		o := f.Outcome
		o.Weight = f.share * 100
		o.Hops = slices.Grow(o.Hops, len(f.hops))
		for _, h := range f.hops {
			o.Hops = append(o.Hops, hops.add(h))
		}
		t.Outcomes = append(t.Outcomes, o)
		for _, h := range f.alternates {
			hops.add(h)
		}
	}
	t.Warnings = w.collectWarnings(hops)
	t.Hops = hops.keep(w.detail)
	return t
}

// hopList are the hops of a trace, as walked.
type hopList []*Hop

// add returns the index of an equal hop, or adds it.
func (l *hopList) add(h *Hop) int {
	for i, other := range *l {
		if other == h || sameHop(other, h) {
			return i
		}
	}
	*l = append(*l, h)
	return len(*l) - 1
}

// keep copies the hops, with the steps of that detail.
func (l hopList) keep(d Detail) []Hop {
	if len(l) == 0 {
		return nil
	}
	out := make([]Hop, len(l))
	for i, h := range l {
		out[i] = *h
		out[i].Steps = d.keep(h.Steps, minor)
	}
	return out
}

func sameHop(a, b *Hop) bool {
	return a.sameProxy(b) && slices.EqualFunc(a.Steps, b.Steps, sameStep)
}

// sameProxy reports whether both are the same proxy, passed in the same way.
func (h *Hop) sameProxy(o *Hop) bool {
	return h.Proxy == o.Proxy && h.Direction == o.Direction && h.Workload == o.Workload && h.TLS == o.TLS && h.Peer == o.Peer && h.Envoy == o.Envoy
}

func sameStep(x, y resolve.Step) bool {
	return x.Rule == y.Rule && x.Verdict == y.Verdict && x.Ref == y.Ref && x.Expected == y.Expected && x.Actual == y.Actual &&
		(sameArgs(x.Args, y.Args) || x.Reason() == y.Reason())
}

// sameArgs reports whether two steps have the very same facts, as those of paths that forked later have.
func sameArgs(x, y []any) bool {
	return len(x) == len(y) && (len(x) == 0 || &x[0] == &y[0])
}

// mergeOutcomes puts outcomes together that differ in nothing but the endpoint
// picked, in the order in which they were found.
func mergeOutcomes(all []finished) []finished {
	var out []finished
	index := map[string]int{}
	counted := map[string]bool{} // a group that two routes of one rule lead to is counted once
	for _, f := range all {
		if f.share <= 0 {
			continue
		}
		key := ""
		if len(all) > 1 {
			key = outcomeKey(f)
		}
		group := key + " " + f.endpoints
		again := f.endpoints != "" && counted[group]
		counted[group] = true
		i, ok := index[key]
		if !ok {
			index[key] = len(out)
			out = append(out, f)
			continue
		}
		out[i].share += f.share
		if !again {
			out[i].Destination.Endpoints += f.Destination.Endpoints
		}
		for _, ref := range f.Destination.Workloads {
			if !slices.Contains(out[i].Destination.Workloads, ref) {
				out[i].Destination.Workloads = append(out[i].Destination.Workloads, ref)
			}
		}
		slices.SortFunc(out[i].Destination.Workloads, resolve.CompareRefs)
		out[i].alternates = append(out[i].alternates, f.hops...)
	}
	for i := range out {
		out[i].sayOthers()
	}
	return out
}

// sayOthers adds to the reason of a delivery that its workload is not the only one.
func (f *finished) sayOthers() {
	if f.Decision != Delivered {
		return
	}
	switch others := f.Destination.Workloads; len(others) {
	case 0, 1:
	case 2:
		f.Reason += "; so does " + others[1].String()
	default:
		f.Reason += fmt.Sprintf("; so do %d others", len(others)-1)
	}
}

// outcomeKey is everything about an outcome but which workload answered.
func outcomeKey(f finished) string {
	o := f.Outcome
	reason := o.Reason
	by := o.By.String()
	if o.Decision == Delivered {
		reason = ""
	}
	d := o.Destination
	key := fmt.Sprint(o.Decision, "|", o.HTTPStatus, "|", o.ResponseFlags, "|", o.ResponseCodeDetails, "|", o.Code, "|", o.Certainty, "|", reason, "|", o.Location, "|",
		by, "|", d.Host, "|", d.Port, "|", d.Subset, "|", d.EnvoyCluster, "|", d.TargetPort)
	for _, a := range o.Otherwise {
		key += fmt.Sprint("|", a)
	}
	if o.Forwarded != nil {
		key += fmt.Sprint("|", o.Forwarded.Method, o.Forwarded.Host, o.Forwarded.Path, o.Forwarded.Headers, o.Forwarded.Removed)
	}
	for _, h := range f.hops {
		key += fmt.Sprint("|", h.Proxy, h.Direction, h.TLS)
	}
	return key
}

// collectWarnings turns every warning step into a warning of the trace, once,
// and adds what the loader noted.
func (w *walk) collectWarnings(hops []*Hop) []Warning {
	var out []Warning
	add := func(warning Warning) {
		if !slices.Contains(out, warning) {
			out = append(out, warning)
		}
	}
	for _, h := range hops {
		for i := range h.Steps {
			if s := &h.Steps[i]; s.Verdict == resolve.Warned {
				add(Warning{Ref: s.Ref, Message: s.Reason()})
			}
		}
	}
	for _, n := range w.snapshot.Notes {
		add(Warning{Ref: n.Ref, Message: n.Message})
	}
	slices.SortStableFunc(out, func(a, b Warning) int {
		return cmp.Or(resolve.CompareRefs(a.Ref, b.Ref), cmp.Compare(a.Message, b.Message))
	})
	return out
}
