package trace

import (
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Facts of a hop: what decides nothing about the request, and is what people look up next.
//
//  1. They are gathered after the walk, from what each hop has met: its proxy, the route taken, the cluster. They change no
//     outcome and no certainty.
//  2. A proxy that sends on tells of timeout, retries, connection, limits and outlier detection, with where each value comes from; one that
//     receives of the limits towards its own application, where there are any.
//  3. A proxy tells which access log, metrics and tracing show the request.
//  4. The last hop tells of what runs the destination: replicas, rollout, autoscaler, disruption budget; where nothing is left
//     to send to, of what would run it.
//  5. A hop that is reached by mTLS tells who signs the certificates, where that is not istiod, and whether the proxies at both ends have
//     the root certificates of the mesh.

// FactsOf is of which outcomes facts are gathered. It is a closed list.
type FactsOf string

// The choices, from the least to the most.
const (
	FactsOfNone FactsOf = "none"
	// FactsOfUnavailable explains why nothing is there to send to: what runs the destinations of the outcomes that are Unavailable.
	FactsOfUnavailable FactsOf = "unavailable"
	FactsOfAll         FactsOf = "all"
)

// met is what a hop came by, for its facts. All are nil where it did not.
type met struct {
	// proxy is whose proxy the hop is; at a waypoint as it stands before the service.
	proxy   *resolve.Workload
	route   *resolve.Route
	cluster *resolve.Cluster
	// scope and inbound are what a sidecar that receives sees, and its side of the port.
	scope   *resolve.Scope
	inbound *resolve.InboundPort
}

// AddFacts fills in Hop.Facts of a trace that was walked in the snapshot. What runs the destinations may be asked of a cluster
// only then.
func (t *Trace) AddFacts(s *resolve.Snapshot, of FactsOf) {
	if t == nil || of == FactsOfNone {
		return
	}
	for i := range t.Hops {
		h := &t.Hops[i]
		h.Facts = nil
		f := facts{snapshot: s.Member(h.Workload.Cluster), trace: t, hop: h, index: i}
		f.outcomes = f.passing()
		if h.met.proxy == nil {
			continue // no walk made it
		}
		if of == FactsOfAll {
			f.trusts()
			f.sends()
			f.shows()
			f.runs()
		}
		f.behind(of)
		h.Facts = f.steps
	}
}

// facts collects those of one hop.
type facts struct {
	snapshot *resolve.Snapshot
	trace    *Trace
	hop      *Hop
	index    int
	// outcomes are those whose way goes by the hop.
	outcomes []*Outcome
	steps    []resolve.Step
}

func (f *facts) add(steps ...resolve.Step) { f.steps = append(f.steps, steps...) }

// passing are the outcomes that come by the hop.
func (f *facts) passing() []*Outcome {
	var out []*Outcome
	for i := range f.trace.Outcomes {
		if o := &f.trace.Outcomes[i]; slices.Contains(o.Hops, f.index) {
			out = append(out, o)
		}
	}
	return out
}

// isLast reports whether the way of the outcome ends at the hop.
func (f *facts) isLast(o *Outcome) bool { return len(o.Hops) > 0 && o.Hops[len(o.Hops)-1] == f.index }

// envoy reports whether an Envoy has the request at the hop.
func (f *facts) envoy() bool {
	return f.hop.Proxy != resolve.DataplaneNone && f.hop.Proxy != resolve.DataplaneAmbient
}

// http reports whether the proxy of the hop reads the request as HTTP.
func (f *facts) http() bool { return f.envoy() && f.hop.Envoy.RouteConfig != "" }

// trusts is rule 5: what stands behind the certificates with which the request came.
func (f *facts) trusts() {
	if f.hop.TLS == TLSMutual || f.hop.TLS == TLSHBONE {
		f.add(f.snapshot.TrustFacts()...)
		f.add(f.snapshot.RootFacts(f.ends())...)
	}
}

// ends are the workloads with the proxies that connect here, the senders first. A machine mounts no ConfigMap, and a ztunnel that
// of its own namespace.
func (f *facts) ends() []resolve.Ref {
	var out []resolve.Ref
	add := func(h *Hop) {
		switch h.Proxy {
		case resolve.DataplaneSidecar, resolve.DataplaneGateway, resolve.DataplaneWaypoint:
			if h.Workload.Kind != "WorkloadEntry" && h.Workload.Kind != "WorkloadGroup" && !slices.Contains(out, h.Workload) {
				out = append(out, h.Workload)
			}
		}
	}
	for _, o := range f.outcomes {
		if i := slices.Index(o.Hops, f.index); i > 0 {
			add(&f.trace.Hops[o.Hops[i-1]])
		}
	}
	add(f.hop)
	return out
}

// sends is rule 2. What an EnvoyFilter has patched is not told again: its steps say what they set.
func (f *facts) sends() {
	if slices.ContainsFunc(f.hop.Steps, func(s resolve.Step) bool { return s.Ref.Kind == "EnvoyFilter" && s.Verdict == resolve.Applied }) {
		return
	}
	if r := f.hop.met.route; r != nil && f.http() {
		f.add(f.snapshot.RouteFacts(r)...)
	}
	if c := f.hop.met.cluster; c != nil && f.envoy() {
		f.add(f.snapshot.ClusterFacts(c, f.http())...)
	}
	if port := f.hop.met.inbound; port != nil {
		f.add(f.snapshot.InboundLimits(f.hop.met.proxy, f.hop.met.scope, *port, f.http())...)
	}
}

// shows is rule 3.
func (f *facts) shows() {
	switch {
	case f.hop.Proxy == resolve.DataplaneAmbient:
		f.add(resolve.ZtunnelTelemetry(f.hop.met.proxy))
	case f.envoy():
		f.add(f.snapshot.TelemetryFacts(f.hop.met.proxy, f.side(), f.http(), f.seen())...)
	}
}

// side is the part of the proxy that the request passes. A waypoint is, for Telemetry, the server.
func (f *facts) side() resolve.ProxySide {
	switch {
	case f.hop.Proxy == resolve.DataplaneWaypoint, f.hop.Direction == Inbound:
		return resolve.SideInbound
	case f.hop.Proxy == resolve.DataplaneGateway:
		return resolve.SideGateway
	}
	return resolve.SideOutbound
}

// runs tells what the proxy runs with.
func (f *facts) runs() {
	if f.envoy() {
		f.add(f.snapshot.ProxyFacts(f.hop.met.proxy)...)
	}
}

// behind is rule 4.
func (f *facts) behind(of FactsOf) {
	told := map[resolve.Ref]bool{}
	for _, o := range f.outcomes {
		if !f.isLast(o) || of == FactsOfUnavailable && o.Decision != Unavailable {
			continue
		}
		owners := o.Destination.Workloads
		if c := f.hop.met.cluster; o.Decision == Unavailable && c != nil && len(owners) == 0 {
			owners = f.snapshot.RunsBehind(c)
		}
		for _, owner := range owners {
			if !told[owner] {
				told[owner] = true
				f.add(f.snapshot.Member(owner.Cluster).ReplicaFacts(owner, o.Decision == Unavailable)...)
			}
		}
	}
}

// seen is what an access log of the hop would have of the request and its answer, as far as all its outcomes agree on that.
func (f *facts) seen() resolve.Logged {
	q := f.trace.Request
	l := resolve.Logged{Broken: len(f.outcomes) > 0}
	for i, o := range f.outcomes {
		code, broken := o.HTTPStatus, o.Decision == Reset && f.isLast(o)
		if broken || o.Decision == Delivered {
			code = 0
		}
		if i == 0 {
			l.Code = code
		}
		if l.Code != code {
			l.Code = 0
		}
		l.Broken = l.Broken && broken
	}
	if f.unchanged() {
		l.Request = q.HTTPRequest()
	}
	return l
}

// unchanged reports whether the proxy of the hop has the request as the client sent it, for all that is known: no outcome
// forwards another one, and what forwards none ends at the first hop.
func (f *facts) unchanged() bool {
	if !f.trace.Request.Scheme.IsHTTP() {
		return false
	}
	for _, o := range f.outcomes {
		switch sent := f.trace.Request.HTTPRequest(); {
		case o.Forwarded == nil:
			if len(o.Hops) > 1 || f.hop.met.route != nil {
				return false
			}
		case len(o.Forwarded.Headers)+len(o.Forwarded.Removed) > 0, o.Forwarded.Path != sent.PathAndQuery(), o.Forwarded.Host != sent.Authority:
			return false
		}
	}
	return len(f.outcomes) > 0
}
