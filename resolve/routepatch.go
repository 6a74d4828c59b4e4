package resolve

import (
	"slices"
	"strconv"
	"strings"

	api "istio.io/api/networking/v1alpha3"
)

// What patches make of a virtual host and its routes.
//
//  1. ROUTE_CONFIGURATION can be merged, VIRTUAL_HOST merged, removed, replaced and added, HTTP_ROUTE merged, removed, and inserted
//     among the routes: at the begin, at the end, or next to the first route that the match names; where no route has the name nothing is
//     inserted. Without a name for the route INSERT_BEFORE is the begin and INSERT_AFTER the end.
//  2. The virtual host is changed first; then each of its routes; then routes are inserted.
//  3. Merged headers come behind those that are there. A route's count before the virtual host's, and those before the route
//     configuration's; all of them behind what istiod wrote into the route.
//  4. A redirect or direct_response that is merged takes the place of what the route did; a route's settings that are merged into
//     a redirect leave a route without a cluster, which Envoy rejects.
//  5. What is not read of a route that the request takes is told as such.
//
// Source: pilot/pkg/networking/core/envoyfilter/rc_patch.go; Envoy, source/common/router/config_impl.cc.

// Rules of patches of routes.
const (
	RuleRouteInserted    RuleID = "envoyfilter/route-inserted"
	RuleRouteTakenOut    RuleID = "envoyfilter/route-taken-out"
	RuleRouteActionMade  RuleID = "envoyfilter/route-action"
	RuleRouteSetting     RuleID = "envoyfilter/route-setting"
	RuleVirtualHostAdded RuleID = "envoyfilter/virtual-host-added"

	RuleVirtualHostTakenOut RuleID = "envoyfilter/virtual-host-taken-out"
	RuleVirtualHostDomains  RuleID = "envoyfilter/virtual-host-domains"
)

var routePatchRules = []Rule{
	{
		ID: RuleRouteInserted, Stage: StageRoute,
		Says:     "A patch can insert a route before, behind or among those that istiod makes; the first that matches is taken, whoever wrote it.",
		Template: "adds a route to virtual host %s as number %d of %d: %s",
		Source:   "pilot/pkg/networking/core/envoyfilter/rc_patch.go, patchHTTPRoutes",
	},
	{
		ID: RuleRouteTakenOut, Stage: StageRoute,
		Says:     "A patch with REMOVE takes out every route that its match names; without a name, all of the virtual host.",
		Template: "takes route %q out of virtual host %s",
		Source:   "pilot/pkg/networking/core/envoyfilter/rc_patch.go, patchHTTPRoute",
	},
	{
		ID: RuleRouteActionMade, Stage: StageRoute,
		Says:     "A direct_response or redirect that is merged into a route takes the place of where it sent requests.",
		Template: "makes route %q answer by itself, in place of what it did",
		Source:   "pilot/pkg/networking/core/envoyfilter/rc_patch.go, patchHTTPRoute; pkg/proto/merge",
	},
	{
		ID: RuleRouteSetting, Stage: StageRoute,
		Says:     "Timeouts, retries and other settings of a route that are merged count in place of those of the VirtualService.",
		Template: "sets %s of the route",
		Source:   "pilot/pkg/networking/core/envoyfilter/rc_patch.go, patchHTTPRoute",
	},
	{
		ID: RuleVirtualHostAdded, Stage: StageHost,
		Says:     "A virtual host that a patch adds, or puts in the place of another one, takes the hosts of its domains, if no domain that is closer to the host is there.",
		Template: "%s virtual host %s, whose domain %s takes Host %s",
		Source:   "pilot/pkg/networking/core/envoyfilter/rc_patch.go, patchVirtualHosts",
	},
	{
		ID: RuleVirtualHostTakenOut, Stage: StageHost,
		Says:     "A patch with REMOVE takes every virtual host out that its match names, and all of the same name; its hosts are then those of a virtual host with a wider domain.",
		Template: "takes virtual host %s out",
		Source:   "pilot/pkg/networking/core/envoyfilter/rc_patch.go, patchVirtualHosts",
	},
	{
		ID: RuleVirtualHostDomains, Stage: StageHost,
		Says:     "MERGE_AND_REPLACE_LIST gives a virtual host other domains than istiod does; hosts that none of them takes are no longer its own.",
		Template: "gives virtual host %s the domains %s, none of which takes Host %s",
		Source:   "pilot/pkg/networking/core/envoyfilter/rc_patch.go, patchVirtualHosts",
	},
}

// headerPatch are operations on headers with where they are written.
type headerPatch struct {
	headerOpsBoth
	ref Ref
}

// routePatches is what patches add to a route, or to all routes of a virtual host.
type routePatches struct {
	headers []headerPatch
	result  FilterResult
	// attempts is how often is tried again, where a patch says it.
	attempts *int
	// open is set where the route does something that is not read.
	open bool
	// filters are configurations of HTTP filters; tableFilters those of the route configuration.
	filters, tableFilters map[string]routeFilter
}

func newRoutePatches() *routePatches {
	return &routePatches{filters: map[string]routeFilter{}, tableFilters: map[string]routeFilter{}}
}

// Patched is what the patches of the route and of its virtual host tell, once the route is taken, and what has to hold for the
// request to pass; open is set where what the route does is not known.
func (r *Route) Patched(vh *VirtualHost) (result FilterResult, open bool) {
	for _, p := range []*routePatches{r.patches, vh.patches} {
		if p != nil {
			result.Steps = append(result.Steps, p.result.Steps...)
			result.Suppositions = append(result.Suppositions, p.result.Suppositions...)
			open = open || p.open
		}
	}
	return result, open
}

// PatchRemovals takes the headers away that patches of the route itself remove: before the route adds any.
func (r *Route) PatchRemovals(q *HTTPRequest) []Step {
	if r.patches == nil {
		return nil
	}
	var steps []Step
	for _, h := range r.patches.headers {
		steps = append(steps, applyHeaderOps(q, removalsOf(h.request), h.ref)...)
	}
	return steps
}

func removalsOf(ops []headerOp) []headerOp {
	return slices.DeleteFunc(slices.Clone(ops), func(op headerOp) bool { return !op.remove })
}

// PatchHeaders does what patches of the route and of its virtual host say of headers, but for PatchRemovals.
func (r *Route) PatchHeaders(vh *VirtualHost, q *HTTPRequest) []Step {
	var steps []Step
	for _, p := range []*routePatches{r.patches, vh.patches} {
		if p == nil {
			continue
		}
		for _, h := range p.headers {
			ops := h.request
			if p == r.patches {
				ops = slices.DeleteFunc(slices.Clone(ops), func(op headerOp) bool { return op.remove })
			}
			steps = append(steps, applyHeaderOps(q, ops, h.ref)...)
			steps = append(steps, responseOps(h.response, h.ref)...)
		}
	}
	return steps
}

// PatchedRetries are the retries of the route as patches leave them.
func (r *Route) PatchedRetries(p RetryPolicy) RetryPolicy {
	if r.patches != nil && r.patches.attempts != nil {
		p.Attempts = *r.patches.attempts
	}
	return p
}

// mergeRoutes is rule 2 for the routes.
func (b *hostPatching) mergeRoutes() {
	patches := b.snapshot.patchesAt(b.place, api.EnvoyFilter_HTTP_ROUTE)
	if len(patches) == 0 {
		return
	}
	var meant []*envoyPatch
	for _, p := range patches {
		if b.note(p, b.place.virtualHost(p, b.vh)) {
			meant = append(meant, p)
		}
	}
	routes := make([]*Route, 0, len(b.vh.Routes))
	named := map[*envoyPatch]bool{}
	for _, r := range b.vh.Routes {
		if changed := b.mergeRoute(r, meant, named); changed != nil {
			routes = append(routes, changed)
		}
	}
	b.vh.Routes = routes
	for _, p := range meant {
		switch p.operation() {
		case api.EnvoyFilter_Patch_ADD, api.EnvoyFilter_Patch_INSERT_FIRST, api.EnvoyFilter_Patch_INSERT_BEFORE, api.EnvoyFilter_Patch_INSERT_AFTER:
			b.insert(p)
		case api.EnvoyFilter_Patch_REMOVE, api.EnvoyFilter_Patch_MERGE, api.EnvoyFilter_Patch_MERGE_AND_REPLACE_LIST:
			if m := p.GetMatch().GetRouteConfiguration().GetVhost().GetRoute(); !named[p] {
				b.steps = append(b.steps, p.nothing("route "+strings.TrimSpace(m.GetName()+" "+m.GetAction().String()), "virtual host "+b.vh.Name, ""))
			}
		default:
			b.steps = append(b.steps, NewStep(RuleEnvoyFilterOperation, Skipped, p.ref, p.named(), p.operation().String(), "").meantFor(true))
		}
	}
}

// mergeRoute is one route with its patches; nil where one takes it out.
func (b *hostPatching) mergeRoute(r *Route, patches []*envoyPatch, named map[*envoyPatch]bool) *Route {
	for _, p := range patches {
		if !p.merges() && p.operation() != api.EnvoyFilter_Patch_REMOVE || p.route(r).is != True {
			continue
		}
		named[p] = true
		if p.operation() == api.EnvoyFilter_Patch_REMOVE {
			b.steps = append(b.steps, NewStep(RuleRouteTakenOut, Applied, p.ref, r.Name, b.vh.Name))
			return nil
		}
		changed := *r
		if changed.patches == nil {
			changed.patches = newRoutePatches()
		}
		r = b.mergeInto(&changed, p)
	}
	return r
}

// harmlessOfRoutes are settings that decide nothing about where a request goes.
var harmlessOfRoutes = []string{"metadata", "decorator", "tracing", "stat_prefix"}

// settingsOfRoutes are those of a route's action that are shown, and change neither where the request goes nor how it arrives.
var settingsOfRoutes = []string{
	"timeout", "idle_timeout", "max_stream_duration", "max_grpc_timeout", "grpc_timeout_offset", "rate_limits", "hash_policy",
	"include_vh_rate_limits", "priority", "hedge_policy", "early_data_policy", "flush_timeout",
}

// mergeInto merges a patch into a copy of a route.
func (b *hostPatching) mergeInto(r *Route, p *envoyPatch) *Route {
	value := p.value()
	if name := value.text("name"); name != "" {
		r.Name = name
	}
	b.headers(r.patches, p, value)
	b.perFilter(r.patches.filters, p, value, p.field("patch.value"), "this route")
	if value.has("route") {
		if r.answers() {
			return r // broken tells of it
		}
		action := value.object("route")
		b.settings(r.patches, p, action)
		if unread := action.unread(); len(unread) > 0 {
			action.done()
			r.patches.result.Steps = append(r.patches.result.Steps, p.open("sets "+joinLimited(unread, 3)))
		}
	}
	if value.has("redirect") || value.has("direct_response") {
		http := &api.HTTPRoute{Fault: r.HTTP.GetFault(), CorsPolicy: r.HTTP.GetCorsPolicy()}
		readAnswer(http, value)
		r.patches.result.Steps = append(r.patches.result.Steps, NewStep(RuleRouteActionMade, Applied, p.field("patch.value"), r.Name))
		r.HTTP, r.Default, r.Entry, r.origin, r.VirtualService = http, nil, p.field("patch.value"), entryOrigin{}, nil
	}
	if p.operation() == api.EnvoyFilter_Patch_MERGE_AND_REPLACE_LIST && r.HTTP.GetHeaders() != nil {
		r.patches.result.Steps = append(r.patches.result.Steps, p.open("takes away what the VirtualService does with headers"))
	}
	if value.has("match") {
		value.object("match").done()
		b.steps = append(b.steps, p.open("changes which requests route "+strconv.Quote(r.Name)+" takes"))
	}
	b.rest(r.patches, p, value, harmlessOfRoutes)
	return r
}

// settings reads what a patch sets of a route's action.
func (b *hostPatching) settings(into *routePatches, p *envoyPatch, action *envoyValue) {
	var set []string
	for _, name := range settingsOfRoutes {
		if !action.has(name) {
			continue
		}
		if text := action.take(name).GetStringValue(); text != "" {
			name += " to " + text
		}
		set = append(set, name)
	}
	if retry := action.object("retry_policy"); retry != nil {
		set = append(set, "retry_policy")
		if n, ok := retry.number("num_retries"); ok {
			attempts := int(n)
			into.attempts = &attempts
		}
		retry.done()
	}
	if len(set) > 0 {
		into.result.Steps = append(into.result.Steps, NewStep(RuleRouteSetting, Applied, p.field("patch.value.route"), joinLimited(set, 4)))
	}
}

// insert is rule 1 for one route.
func (b *hostPatching) insert(p *envoyPatch) {
	m := p.GetMatch().GetRouteConfiguration().GetVhost().GetRoute()
	at := slices.IndexFunc(b.vh.Routes, func(r *Route) bool { return p.route(r).is == True })
	operation := p.operation()
	switch {
	case operation == api.EnvoyFilter_Patch_ADD, operation == api.EnvoyFilter_Patch_INSERT_AFTER && m == nil:
		at = len(b.vh.Routes)
	case m == nil:
		at = 0
	case at < 0:
		b.steps = append(b.steps, p.nothing("route "+strings.TrimSpace(m.GetName()+" "+m.GetAction().String()), "virtual host "+b.vh.Name, ""))
		return
	case operation == api.EnvoyFilter_Patch_INSERT_FIRST:
		at = 0
	case operation == api.EnvoyFilter_Patch_INSERT_AFTER:
		at++
	}
	r, readable := b.read(p, p.value(), p.field("patch.value"))
	if !readable {
		b.steps = append(b.steps, p.notModelled("a route whose match is not read"))
		return
	}
	b.vh.Routes = slices.Insert(slices.Clone(b.vh.Routes), at, r)
	b.steps = append(b.steps, NewStep(RuleRouteInserted, Applied, p.field("patch.value"), b.vh.Name, at+1, len(b.vh.Routes), r.Describe()))
}
