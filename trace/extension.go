package trace

import (
	"maps"
	"slices"
	"strings"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// EnvoyFilters, WasmPlugins and TrafficExtensions on the way: what stands in the filter chain that a request passes.
//
//  1. Patches of listener, filter chain and network filters are looked at when the chain is chosen.
//  2. HTTP filters that were added are passed at their place among istiod's. One behind whatever ends the request is never reached,
//     and lowers no certainty.
//  3. The route was looked up before the filters ran: what they write is not looked at by routes, unless a token clears the choice. What
//     patches configure of filters for that route counts for all of them.
//  4. Patches of routes and clusters count where these are taken.

// extended is what patches and extensions make of the filter chain of a hop.
type extended struct {
	place   *resolve.PatchPlace
	filters *resolve.HTTPFilters
	// next is the first place among istiod's filters that the request has not passed.
	next resolve.FilterPlace
	// connection is what filters see of the connection.
	connection *resolve.Connection
	// unwritten are headers that filters changed, as they were when the route was looked up; nil for one that was not there.
	unwritten map[string]*string
	// host is the virtual host that was taken, with its patches.
	host *resolve.VirtualHost
	// configures is set where patches configure filters for routes; ahead finds the virtual host before it is taken, and configured is
	// what counts for the route entry, once that was looked up. told is set where the patches of the virtual host were told by then.
	configures bool
	told       bool
	ahead      func() (vh *resolve.VirtualHost, all func() []*resolve.VirtualHost)
	configured resolve.RouteFilters
	entry      resolve.Ref
}

// extensions notes what patches and extensions make of the filter chain of the hop, whose names are known. It returns the number of
// trusted proxies that a patch sets, if one does.
func (w *walk) extensions(p *path, place resolve.PatchPlace) (trustedHops *int) {
	hop := p.hop()
	p.note(w.snapshot.GapSteps(resolve.StageExtension, place.Proxy.Namespace, w.snapshot.Mesh.GetRootNamespace())...)
	p.extended = extended{}
	if !w.snapshot.Extended() {
		return nil
	}
	place.Listener, place.FilterChain, place.RouteConfig = hop.Envoy.Listener, hop.Envoy.FilterChain, hop.Envoy.RouteConfig
	p.extended.place = &place
	var q *resolve.HTTPRequest
	if place.HTTP {
		q = p.http
	}
	found := w.snapshot.ListenerPatches(&place, q)
	p.noteExtension(found.Steps...)
	if place.HTTP {
		p.extended.filters = w.snapshot.HTTPFilters(&place)
		p.noteExtension(p.extended.filters.Steps()...)
		x := &p.extended
		x.configures = w.survey == nil && w.snapshot.ConfiguresFilters(&place)
		if w.survey != nil {
			p.noteExtension(w.snapshot.FilterConfigSteps(&place)...)
			for at := resolve.BeforeCustom; at <= resolve.BeforeRouter; at++ {
				p.noteExtension(p.extended.filters.Run(at, nil, nil, nil).Steps...)
			}
		}
	}
	return found.TrustedHops
}

// noteExtension notes steps. What Envoy rejects leaves open what it has, and some patches where the request goes.
func (p *path) noteExtension(steps ...resolve.Step) {
	p.note(steps...)
	if slices.ContainsFunc(steps, func(s resolve.Step) bool {
		return s.Rule == resolve.RuleEnvoyFilterRejected || s.Rule == resolve.RuleEnvoyFilterOpen
	}) {
		p.lower(Undetermined)
	}
}

// passes is rule 2: the request passes the filters that were added up to that place. It reports whether it goes on.
func (w *walk) passes(p *path, upTo resolve.FilterPlace) bool {
	x := &p.extended
	if x.filters == nil || w.survey != nil {
		return true
	}
	for x.next <= upTo {
		before := maps.Clone(p.http.Headers)
		c := x.connection
		if c == nil {
			c = &resolve.Connection{SourceIP: p.senderIP, RemoteIP: p.senderIP}
		}
		result := x.filters.Run(x.next, p.http, c, w.filterConfigs(p))
		x.next++
		if result.AsksClient {
			w.asked.filtered()
		}
		x.wrote(before, p.http.Headers)
		p.noteExtension(result.Steps...)
		w.suppose(p, result.Suppositions)
		if !w.aborts(p, result.Aborts) {
			return false
		}
		if result.Answer != nil {
			w.answers(p, *result.Answer)
			return false
		}
	}
	return true
}

// aborts ends the shares that filters end; it reports whether anything is left.
func (w *walk) aborts(p *path, all []resolve.FilterAbort) bool {
	for _, a := range all {
		part := a.Percent / 100
		if part >= 1 {
			w.answers(p, a.Answer)
			return false
		}
		w.answers(p.fork(part), a.Answer)
		p.share *= 1 - part
	}
	return true
}

// suppose notes what has to hold.
func (w *walk) suppose(p *path, all []resolve.Supposition) {
	for _, s := range all {
		p.lower(Assumed)
		if s.Undetermined {
			p.lower(Undetermined)
		}
		o := filterOutcome(s.Otherwise)
		p.suppose(s.Holds, Alternative{
			Decision: o.Decision, HTTPStatus: o.HTTPStatus, ResponseFlags: o.ResponseFlags, ResponseCodeDetails: o.ResponseCodeDetails,
			Code: o.Code, By: o.By, Reason: o.Reason,
		})
	}
}

// answers ends the request as a filter does: it goes to no cluster.
func (w *walk) answers(p *path, a resolve.FilterAnswer) {
	p.hop().Envoy.Cluster = ""
	w.end(p, filterOutcome(a))
}

func filterOutcome(a resolve.FilterAnswer) Outcome {
	o := Outcome{
		Decision: Responded, HTTPStatus: a.Status, ResponseFlags: a.Flags, ResponseCodeDetails: a.Details, Code: CodeRateLimited, By: a.By, Reason: a.Reason,
	}
	switch {
	case a.Flags == resolve.FaultFlag:
		o.Code = CodeFaultAbort
	case a.Flags == "UAEX":
		o.Decision, o.Code = Denied, CodeAuthorizerDenied
	case a.Denied:
		o.Decision, o.Code = Denied, CodeFilterDenied
	}
	return o
}

// wrote keeps headers as they were before a filter wrote them for the first time.
func (x *extended) wrote(before, after map[string]string) {
	changed := func(name string) bool {
		was, had := before[name]
		is, has := after[name]
		_, kept := x.unwritten[name]
		return !kept && (had != has || was != is)
	}
	unwritten := maps.Clone(x.unwritten)
	for _, headers := range []map[string]string{before, after} {
		for name := range headers {
			if !changed(name) {
				continue
			}
			if unwritten == nil {
				unwritten = map[string]*string{}
			}
			unwritten[name] = nil
			if was, had := before[name]; had {
				unwritten[name] = &was
			}
		}
	}
	x.unwritten = unwritten
}

// asRouted is rule 3: the request by which its route was looked up.
func (p *path) asRouted() *resolve.HTTPRequest {
	if len(p.extended.unwritten) == 0 {
		return p.http
	}
	q := p.http.Clone()
	for name, was := range p.extended.unwritten {
		delete(q.Headers, name)
		if was != nil {
			q.Headers[name] = *was
		}
	}
	return q
}

// lookAhead lets the filters that come before the route is taken know what is configured for it.
func (p *path) lookAhead(find func() (vh *resolve.VirtualHost, all func() []*resolve.VirtualHost)) {
	if p.extended.configures {
		p.extended.ahead = find
	}
}

// filterConfigs are what patches configure of filters for the route that was looked up, which is rule 3; nil before, and without one.
func (w *walk) filterConfigs(p *path) resolve.RouteFilters {
	x := &p.extended
	if x.ahead == nil {
		return x.configured
	}
	vh, all := x.ahead()
	x.ahead = nil
	if vh == nil {
		return nil
	}
	place := *x.place
	place.VirtualHosts = all
	if all == nil {
		place.VirtualHosts = func() []*resolve.VirtualHost { return []*resolve.VirtualHost{vh} }
	}
	vh, steps := w.snapshot.PatchVirtualHost(&place, x.filters, vh, p.hostOf(&place))
	p.noteExtension(steps...)
	x.told = true
	if vh == nil {
		return nil
	}
	chosen, _, certain := vh.Choose(p.asRouted())
	if certain == resolve.Unknown {
		p.lower(Undetermined)
	}
	if chosen != nil {
		x.configured, x.entry = chosen.FilterConfigs(vh), chosen.Entry
	}
	return x.configured
}

// configuredFor has what is configured for a route that is taken count for what comes. Where another one was looked up before, filters
// have run with what was configured for that.
func (p *path) configuredFor(r *resolve.Route) {
	x := &p.extended
	if !x.configures || x.host == nil {
		return
	}
	if x.configured != nil && x.entry != r.Entry {
		p.lower(Undetermined)
	}
	x.ahead, x.configured, x.entry = nil, r.FilterConfigs(x.host), r.Entry
}

// without notes that one of istiod's filters is not there, or does not run for the route; it reports whether that is so.
func (w *walk) without(p *path, names ...string) bool {
	out := false
	for _, name := range names {
		step, taken := p.extended.filters.Without(name)
		if !taken {
			var open bool
			if step, taken, open = w.filterConfigs(p).Own(name); !taken && !open {
				continue
			}
		}
		p.noteExtension(step)
		out = out || taken
	}
	return out
}

// faults is what istiod's fault filter does, with the faults that a patch gives the route in place of those of the VirtualService;
// route is nil where istiod has none. It reports whether anything is left.
func (w *walk) faults(p *path, route *resolve.Route) bool {
	if _, taken := p.extended.filters.Without(resolve.FilterFault); !taken {
		if patched, done := w.filterConfigs(p).FaultOfRoute(p.http, p.extended.connection); done {
			p.noteExtension(patched.Steps...)
			return w.aborts(p, patched.Aborts)
		}
	}
	return w.without(p, resolve.FilterFault) || route == nil || w.fault(p, route)
}

// passesOwn is passes for a route that istiod makes of itself, for which patches may configure its filters. It reports whether the
// request goes on.
func (w *walk) passesOwn(p *path, route *resolve.Route) bool {
	if p.extended.host != nil {
		p.configuredFor(route)
	}
	return w.passes(p, resolve.BeforeFault) && w.faults(p, nil) && w.passes(p, resolve.BeforeCORS) && w.preflights(p, route) && w.passes(p, resolve.BeforeRouter)
}

// preflights is what istiod's CORS filter does, whose configuration for a route decides of preflights alone. It reports whether the
// request goes on.
func (w *walk) preflights(p *path, route *resolve.Route) bool {
	if _, _, open := w.filterConfigs(p).Own(resolve.FilterCORS); open && !p.http.IsPreflight() {
		return true
	}
	return w.without(p, resolve.FilterCORS) || w.cors(p, route)
}

// hostOf is what domains of virtual hosts are compared with. On the receiving side of a sidecar that is the Host with its port.
// Source: pilot/pkg/networking/core/httproute.go, IgnorePortInHostMatching, which the inbound route configuration does not set.
func (p *path) hostOf(l *resolve.PatchPlace) string {
	if l.Side == resolve.SideInbound && l.Proxy.Dataplane == resolve.DataplaneSidecar {
		return strings.ToLower(p.http.Authority)
	}
	return p.http.Hostname()
}

// patchedHost is rule 4 for a virtual host, which may be nil where none takes the Host. all are those of the route table; nil where
// there is only this one.
func (w *walk) patchedHost(p *path, vh *resolve.VirtualHost, all func() []*resolve.VirtualHost) *resolve.VirtualHost {
	x := &p.extended
	if x.place == nil {
		return vh
	}
	x.place.VirtualHosts = all
	if all == nil {
		x.place.VirtualHosts = func() []*resolve.VirtualHost { return []*resolve.VirtualHost{vh} }
	}
	patched, steps := w.snapshot.PatchVirtualHost(x.place, x.filters, vh, p.hostOf(x.place))
	if !x.told {
		p.noteExtension(steps...)
	}
	x.host = patched
	return patched
}

// takenRoute notes what patches say of the route that is taken.
func (w *walk) takenRoute(p *path, r *resolve.Route) {
	if p.extended.host == nil {
		return
	}
	result, open := r.Patched(p.extended.host)
	p.noteExtension(result.Steps...)
	w.suppose(p, result.Suppositions)
	if open {
		p.lower(Undetermined)
	}
}

// patchedCluster is rule 4 for a cluster; the step tells of one that a patch takes away.
func (w *walk) patchedCluster(p *path, name string, hosts ...string) (step resolve.Step, removed bool) {
	if p.extended.place == nil {
		return resolve.Step{}, false
	}
	place := *p.extended.place
	if place.Proxy.Dataplane == resolve.DataplaneWaypoint {
		if len(name) < len("outbound|") || name[:len("outbound|")] != "outbound|" {
			return resolve.Step{}, false // istiod patches no other clusters of waypoints
		}
		place.Side = resolve.SideOutbound
	}
	steps, removed := w.snapshot.ClusterPatches(&place, name, hosts)
	if removed {
		step, steps = steps[len(steps)-1], steps[:len(steps)-1]
	}
	p.noteExtension(steps...)
	return step, removed
}

// inboundHost is the only virtual host of the receiving side of a sidecar.
func inboundHost(name string) *resolve.VirtualHost {
	return &resolve.VirtualHost{Name: name, Domains: []string{"*"}, Routes: []*resolve.Route{{Name: "default", CatchAll: true}}}
}

// inboundRoute is the only route of the receiving side of a sidecar, with its patches. It reports whether the request goes on to
// the application.
func (w *walk) inboundRoute(p *path, name string) bool {
	if p.extended.place == nil || w.survey != nil {
		return true
	}
	if !w.passesOwn(p, &resolve.Route{}) {
		return false
	}
	vh := w.patchedHost(p, inboundHost(name), nil)
	if vh == nil {
		w.noHost(p)
		return false
	}
	p.hop().Envoy.VirtualHost = vh.Name
	chosen, steps, certain := vh.Choose(p.asRouted())
	if certain == resolve.Unknown {
		p.lower(Undetermined)
	}
	switch {
	case chosen == nil:
		p.hop().Envoy.Route, p.hop().Envoy.Cluster = "", ""
		w.noRoute(p, vh, steps)
		return false
	case chosen.HTTP == nil:
		w.takenRoute(p, chosen)
		p.hop().Envoy.Route = chosen.Name
		p.note(chosen.PatchRemovals(p.http)...)
		p.note(chosen.PatchHeaders(vh, p.http)...)
		return true
	}
	p.note(steps...)
	w.takenRoute(p, chosen)
	p.hop().Envoy.Route, p.hop().Envoy.Cluster, p.by = chosen.Name, "", chosen.Entry
	if action, _ := resolve.ActionOf(chosen); action == resolve.RouteForwards {
		p.lower(Undetermined) // to a cluster of the other side
		return true
	}
	w.act(p, nil, chosen)
	return false
}
