package resolve

import (
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// The rules by which routes are built and ordered.
const (
	RuleRouteShadowed     RuleID = "route/behind-catch-all"
	RuleRouteNoneApplies  RuleID = "route/none-applies"
	RuleRouteCatchAllLast RuleID = "route/catch-all-last"
)

var routeRules = slices.Concat(routeBuildingRules, sourceMatchRules, routeChoiceRules, httpMatchRules, l4RouteRules, listenerRejectedRules)

var routeBuildingRules = []Rule{
	{
		ID: RuleRouteShadowed, Stage: StageRoute,
		Says:     "What a VirtualService writes after a rule that takes every request is left out.",
		Template: "it stands after %s, which takes every request",
		Source:   "pilot/pkg/networking/core/route/route.go, BuildHTTPRoutesForVirtualService",
	},
	{
		ID: RuleRouteNoneApplies, Stage: StageRoute,
		Says:     "A VirtualService of which no http rule applies to a proxy and port has no effect there.",
		Template: "no http rule of it applies to this proxy on port %d",
		Source:   "pilot/pkg/networking/core/route/route.go, BuildHTTPRoutesForVirtualService",
	},
	{
		ID: RuleRouteCatchAllLast, Stage: StageRoute,
		Says:     "In a gateway's virtual host the rules that take every request are moved behind all others.",
		Template: "it takes every request, so it was moved from place %d to place %d of %d",
		Source:   "pilot/pkg/networking/core/route/route.go, SortVHostRoutes",
	},
}

// BuildRoutes makes of a VirtualService the routes that one proxy has on one port.
//
// 1. For each http entry in order, each match in order makes one route; an entry
// without matches makes one that takes every request.
// 2. A match with another port makes none.
// 3. A match that names gateways makes one for these; sourceLabels and
// sourceNamespace are then not looked at.
// 4. Else sourceLabels must be on the proxy's pod and sourceNamespace be its namespace.
// 5. After a route that takes every request nothing more is made.
//
// The steps begin with what was made of the VirtualService before: names expanded,
// delegates merged or left out.
//
// gateways are the names the routes are made for: "mesh" on a sidecar, else the
// gateway's namespace/name. No route at all means that the VirtualService has no
// effect: a gateway then skips it, a sidecar routes to the service itself.
//
// Source: pilot/pkg/networking/core/route/route.go, BuildHTTPRoutesForVirtualService.
func BuildRoutes(vs *VirtualService, listenPort int, gateways map[string]bool, proxy *Workload) (routes []*Route, steps []Step) {
	steps = slices.Clone(vs.Steps)
	var last *Route
	for i, entry := range vs.Spec.GetHttp() {
		if last != nil {
			steps = append(steps, NewStep(RuleRouteShadowed, Skipped, vs.entryRef(i), last.Ref))
			continue
		}
		if len(entry.GetMatch()) == 0 {
			last = newRoute(vs, i, -1, listenPort)
			routes = append(routes, last)
			continue
		}
		for j, match := range entry.GetMatch() {
			if last != nil {
				steps = append(steps, NewStep(RuleRouteShadowed, Skipped, vs.matchRef(i, j), last.Ref))
				continue
			}
			applies, found := staticMatch(httpSource{match}, vs.matchRef(i, j), listenPort, gateways, proxy)
			steps = append(steps, found...)
			if !applies {
				continue
			}
			r := newRoute(vs, i, j, listenPort)
			routes = append(routes, r)
			if r.CatchAll {
				last = r
			}
		}
	}
	if len(routes) == 0 {
		steps = append(steps, NewStep(RuleRouteNoneApplies, Skipped, vs.Ref, listenPort))
	}
	return routes, steps
}

// newRoute is the route of entry i and its match j; j is -1 for an entry without match.
// Source: pilot/pkg/networking/core/route/route.go, TranslateRoute.
func newRoute(vs *VirtualService, i, j, listenPort int) *Route {
	entry := vs.Spec.GetHttp()[i]
	r := &Route{
		Name: entry.GetName(), Ref: vs.entryRef(i), Entry: vs.entryRef(i),
		HTTP: entry, ListenPort: listenPort, VirtualService: vs,
	}
	if i < len(vs.origins) {
		r.origin = vs.origins[i]
	}
	if j >= 0 {
		r.Match = entry.GetMatch()[j]
		r.Ref = vs.matchRef(i, j)
		if j < len(r.origin.matches) {
			r.match = r.origin.matches[j]
		}
		if r.Match.GetName() != "" {
			r.Name += "." + r.Match.GetName()
		}
	}
	r.CatchAll = r.takesAll()
	return r
}

// takesAll reports whether the route is what Istio calls a catch-all: the uri is
// unset, the prefix "/" or the regex ".*", and nothing else is asked for. The
// regex "/.*" is none, although it matches every path.
// Source: pilot/pkg/networking/core/route/route.go, IsCatchAllRoute.
func (r *Route) takesAll() bool {
	m := r.Match
	if len(m.GetHeaders())+len(m.GetWithoutHeaders())+len(m.GetQueryParams()) > 0 ||
		m.GetMethod() != nil || m.GetAuthority() != nil || m.GetScheme() != nil {
		return false
	}
	switch p := m.GetUri().GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return false
	case *networking.StringMatch_Prefix:
		return p.Prefix == "/"
	case *networking.StringMatch_Regex:
		return p.Regex == ".*"
	}
	return true
}

// DefaultRoute is the route istiod makes to a service of itself on a sidecar.
// Source: pilot/pkg/networking/core/route/route.go, BuildDefaultHTTPOutboundRoute.
func DefaultRoute(svc *Service, port int) *Route {
	return &Route{
		Name: "default", Ref: svc.Ref, Entry: svc.Ref,
		Default: svc, DefaultPort: port, ListenPort: port, CatchAll: true,
	}
}

// entryRef is where entry i was written.
func (vs *VirtualService) entryRef(i int) Ref {
	if i < len(vs.HTTPRefs) {
		return vs.HTTPRefs[i]
	}
	return vs.At("spec.http[" + strconv.Itoa(i) + "]")
}

// matchRef is where match j of entry i was written.
func (vs *VirtualService) matchRef(i, j int) Ref {
	if i < len(vs.origins) && j < len(vs.origins[i].matches) {
		return vs.origins[i].matches[j].ref
	}
	ref := vs.entryRef(i)
	return ref.At(ref.Field + ".match[" + strconv.Itoa(j) + "]")
}

// FieldRef is where a field of the route's http entry ("rewrite.uri") was
// written: in the entry itself, or in the root's that delegates to it.
func (r *Route) FieldRef(field string) Ref {
	top := field
	if i := strings.IndexAny(field, ".["); i >= 0 {
		top = field[:i]
	}
	if slices.Contains(r.origin.inherited, top) {
		return r.origin.root.At(r.origin.root.Field + "." + field)
	}
	if ref, ok := r.origin.fields.at(field); ok {
		return ref
	}
	if r.HTTP == nil || r.origin.fields != nil {
		return r.Entry
	}
	return r.Entry.At(r.Entry.Field + "." + field)
}

// clauseRef is where a clause of the route's match was written.
func (r *Route) clauseRef(field string) Ref {
	ref := r.Ref
	if at, ok := r.match.clauses.at(field); ok {
		return at
	}
	if r.match.leaf != nil && !hasClause(r.match.leaf, field) {
		ref = r.match.root
	}
	return ref.At(ref.Field + "." + field)
}

// hasClause reports whether a match has the clause that a Miss names.
func hasClause(m *networking.HTTPMatchRequest, field string) bool {
	name, key, _ := strings.Cut(strings.TrimSuffix(field, "]"), "[")
	var named map[string]*networking.StringMatch
	switch name {
	case "uri":
		return m.GetUri() != nil
	case "method":
		return m.GetMethod() != nil
	case "scheme":
		return m.GetScheme() != nil
	case "authority":
		return m.GetAuthority() != nil
	case "headers":
		named = m.GetHeaders()
	case "withoutHeaders":
		named = m.GetWithoutHeaders()
	case "queryParams":
		named = m.GetQueryParams()
	}
	_, ok := named[key]
	return ok
}

// SortCatchAllLast moves the catch-alls of a gateway's virtual host behind all
// other routes; both groups keep their order. A step tells of each route moved.
// Source: pilot/pkg/networking/core/route/route.go, SortVHostRoutes.
func SortCatchAllLast(routes []*Route) (sorted []*Route, steps []Step) {
	sorted = make([]*Route, 0, len(routes))
	var from []int
	for i, r := range routes {
		if r.CatchAll {
			from = append(from, i)
		} else {
			sorted = append(sorted, r)
		}
	}
	for _, i := range from {
		if to := len(sorted); to != i {
			steps = append(steps, NewStep(RuleRouteCatchAllLast, Applied, routes[i].Ref, i+1, to+1, len(routes)))
		}
		sorted = append(sorted, routes[i])
	}
	return sorted, steps
}

// Conversion tells what was not in order in the rule of the Gateway API route that the route was made of.
func (r *Route) Conversion() []Step { return r.origin.steps }

// InvalidBackend is the step that tells why the backend written there cannot be used; zero if it can.
func (r *Route) InvalidBackend(ref Ref) Step { return stepAt(r.origin.steps, ref) }

// Made reports whether istiod made the route of something else than a VirtualService.
func (r *Route) Made() bool { return r.origin.fields != nil }

// Root is the entry of another VirtualService that delegates to the route's; zero without one.
func (r *Route) Root() Ref { return r.origin.root }
