package trace

import (
	"cmp"
	"fmt"
	"maps"
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
	if len(all) == 1 {
		all[0].sayOthers()
		return all
	}
	type group struct {
		outcome   int
		endpoints string
	}
	var out []finished
	counted := map[group]bool{} // a group that two routes of one rule lead to is counted once
	for a := range all {
		f := &all[a]
		if f.share <= 0 {
			continue
		}
		i := slices.IndexFunc(out, f.endsLike)
		if i < 0 {
			counted[group{len(out), f.endpoints}] = true
			out = append(out, *f)
			continue
		}
		same := group{i, f.endpoints}
		out[i].join(f, f.endpoints != "" && counted[same])
		counted[same] = true
	}
	for i := range out {
		out[i].sayOthers()
	}
	return out
}

// join adds an outcome that ends alike, and its endpoints if they are not counted yet.
func (f *finished) join(other *finished, counted bool) {
	f.share += other.share
	if !counted {
		f.Destination.Endpoints += other.Destination.Endpoints
	}
	for _, ref := range other.Destination.Workloads {
		if !slices.Contains(f.Destination.Workloads, ref) {
			f.Destination.Workloads = append(f.Destination.Workloads, ref)
		}
	}
	slices.SortFunc(f.Destination.Workloads, resolve.CompareRefs)
	f.alternates = append(f.alternates, other.hops...)
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

// endsLike reports whether two outcomes differ in nothing but which workload answered.
func (f *finished) endsLike(other finished) bool {
	a, b := &f.Outcome, &other.Outcome
	return a.Decision == b.Decision && a.HTTPStatus == b.HTTPStatus && a.ResponseFlags == b.ResponseFlags &&
		a.ResponseCodeDetails == b.ResponseCodeDetails && a.Code == b.Code && a.Certainty == b.Certainty &&
		(a.Decision == Delivered || a.Reason == b.Reason) && a.Location == b.Location && a.By == b.By &&
		a.Destination.sameCluster(&b.Destination) && slices.Equal(a.Otherwise, b.Otherwise) && a.Forwarded.equal(b.Forwarded) &&
		slices.EqualFunc(f.hops, other.hops, passedAlike)
}

func (d *Destination) sameCluster(o *Destination) bool {
	return d.Host == o.Host && d.Port == o.Port && d.Subset == o.Subset && d.EnvoyCluster == o.EnvoyCluster && d.TargetPort == o.TargetPort
}

func (f *Forwarded) equal(o *Forwarded) bool {
	if f == nil || o == nil {
		return f == o
	}
	return f.Method == o.Method && f.Host == o.Host && f.Path == o.Path && maps.Equal(f.Headers, o.Headers) && slices.Equal(f.Removed, o.Removed)
}

// passedAlike reports whether two hops are of the same kind.
func passedAlike(a, b *Hop) bool {
	return a.Proxy == b.Proxy && a.Direction == b.Direction && a.TLS == b.TLS
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
