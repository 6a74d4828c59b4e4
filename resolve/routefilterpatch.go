package resolve

import (
	"slices"

	api "istio.io/api/networking/v1alpha3"
)

// What patches configure of HTTP filters for a route, a virtual host or a route configuration (typed_per_filter_config).
//
//  1. It counts for the filters of that name that the chain has, istiod's own among them. The configuration of the route counts before
//     that of its virtual host, and that before the one of the route configuration; a later patch replaces that of an earlier one
//     in the same place. The faults and CORS policy of a VirtualService stand in the route.
//  2. A FilterConfig with disabled: true, or a configuration of the filter's own kind for routes that says so, takes the filter away
//     for these requests; any other one brings back a filter that is disabled where it stands.
//  3. RBACPerRoute, HTTPFault and LocalRateLimit replace the configuration of their filter. RBACPerRoute without rules is an RBAC
//     filter that lets everything pass.
//  4. Every other configuration is told, and not known.
//
// The route is the one that was looked up before the filters; a request that no route takes has none.
//
// Source: Envoy, source/common/http/filter_manager.cc, createFilterChain; source/common/router/config_impl.cc, filterDisabled,
// mostSpecificPerFilterConfig; source/common/router/per_filter_config.cc.

// RuleHTTPFilterOffForRoute is a filter that does not run for a route.
const RuleHTTPFilterOffForRoute RuleID = "envoyfilter/filter-off-for-route"

var routeFilterRules = []Rule{{
	ID: RuleHTTPFilterOffForRoute, Stage: StageExtension,
	Says:     "typed_per_filter_config of a route, else of its virtual host, can disable an HTTP filter for the requests of the route, istiod's own among them.",
	Template: "HTTP filter %s does not run for %s: %s",
	Source:   "Envoy, source/common/http/filter_manager.cc, createFilterChain; source/common/router/config_impl.cc, filterDisabled",
}}

// routeFilter is the configuration of an HTTP filter for a route.
type routeFilter struct {
	patch *envoyPatch
	// ref is where the configuration stands, at where the part that a filter runs with does.
	ref, at Ref
	// of is what it is for: a route, a virtual host, a route configuration.
	of     string
	kind   string
	config *envoyValue
	// off is set where the filter does not run.
	off bool
}

// RouteFilters are the configurations of HTTP filters for one route, by the name of the filter.
type RouteFilters map[string]routeFilter

const (
	typeFilterConfig = "envoy.config.route.v3.FilterConfig"
	typeRBACPerRoute = httpFilterType + "rbac.v3.RBACPerRoute"

	typeExtAuthzPerRoute = httpFilterType + "ext_authz.v3.ExtAuthzPerRoute"
)

// perFilter reads configurations of filters for what the patch is for.
func (b *hostPatching) perFilter(into map[string]routeFilter, p *envoyPatch, value *envoyValue, at Ref, of string) {
	all := value.object("typed_per_filter_config")
	for _, name := range all.names() {
		if !b.present(name) {
			b.steps = append(b.steps, p.nothing("HTTP filter "+name, b.place.chainInWords(), missingFilter(name)))
			continue
		}
		f := routeFilter{patch: p, ref: at.At(at.Field + ".typed_per_filter_config[" + name + "]"), of: of}
		f.at = f.ref
		f.config, f.kind = all.typedConfig(name)
		if f.kind == typeFilterConfig {
			if off, _ := f.config.flag("disabled"); off {
				f.off = true
			} else {
				f.config, f.kind = f.config.typedConfig("config")
				f.at = f.ref.At(f.ref.Field + ".config")
			}
		}
		if off, _ := f.config.flag("disabled"); off && f.kind != typeRBACPerRoute {
			f.off = true
		}
		into[name] = f
	}
	all.done()
}

// present reports whether the chain has a filter of the name.
func (b *hostPatching) present(name string) bool {
	if b.filters.has(name) {
		return true
	}
	if _, taken := b.filters.Without(name); taken {
		return false
	}
	own := b.snapshot.ownHTTPFilters(b.place, nil)
	return slices.ContainsFunc(own, func(c chainFilter) bool { return c.name == name })
}

// FilterConfigs are the configurations that count for the route in its virtual host: rule 1.
func (r *Route) FilterConfigs(vh *VirtualHost) RouteFilters {
	out := RouteFilters{}
	if vh != nil && vh.patches != nil {
		for _, level := range []map[string]routeFilter{vh.patches.tableFilters, vh.patches.filters} {
			for name, f := range level {
				out[name] = f
			}
		}
	}
	if r.HTTP.GetFault() != nil {
		delete(out, FilterFault)
	}
	if r.HTTP.GetCorsPolicy() != nil {
		delete(out, FilterCORS)
	}
	if r.patches != nil {
		for name, f := range r.patches.filters {
			out[name] = f
		}
	}
	return out
}

// ConfiguresFilters reports whether a patch that may count at the place configures filters for routes.
func (s *Snapshot) ConfiguresFilters(l *PatchPlace) bool {
	for _, kind := range []api.EnvoyFilter_ApplyTo{api.EnvoyFilter_ROUTE_CONFIGURATION, api.EnvoyFilter_VIRTUAL_HOST, api.EnvoyFilter_HTTP_ROUTE} {
		if slices.ContainsFunc(s.patchesAt(l, kind), func(p *envoyPatch) bool { return p.configuresFilters() }) {
			return true
		}
	}
	return false
}

// configuresFilters looks into the routes of a virtual host as well.
func (p *envoyPatch) configuresFilters() bool {
	value := p.value()
	return value.has("typed_per_filter_config") ||
		slices.ContainsFunc(value.list("routes"), func(route *envoyValue) bool { return route.has("typed_per_filter_config") })
}

// FilterConfigSteps tell of patches that configure istiod's filters of policies and tokens for some routes, where no route is looked up.
func (s *Snapshot) FilterConfigSteps(l *PatchPlace) []Step {
	var steps []Step
	for _, kind := range []api.EnvoyFilter_ApplyTo{api.EnvoyFilter_ROUTE_CONFIGURATION, api.EnvoyFilter_VIRTUAL_HOST, api.EnvoyFilter_HTTP_ROUTE} {
		for _, p := range s.patchesAt(l, kind) {
			if l.RouteConfig != "" && l.routes(p).is == False {
				continue
			}
			for _, name := range p.value().object("typed_per_filter_config").names() {
				if slices.Contains([]string{FilterRBAC, FilterExtAuthz, FilterJWT}, name) {
					steps = append(steps, p.open("configures HTTP filter "+name+" for routes"))
				}
			}
		}
	}
	return steps
}

// Own is what is configured for the route of one of istiod's filters. off is set where it does not run; open where it is not known what
// it does.
func (c RouteFilters) Own(name string) (step Step, off, open bool) {
	f, ok := c[name]
	switch {
	case !ok:
		return Step{}, false, false
	case f.off:
		return f.offStep(name, takenAway[name]), true, false
	case f.kind == typeRBACPerRoute && !f.config.object("rbac").has("rules"):
		return f.offStep(name, takenAway[name]), true, false
	}
	return f.patch.open("configures HTTP filter " + name + " for " + f.of), false, true
}

func (f routeFilter) offStep(name, what string) Step {
	return NewStep(RuleHTTPFilterOffForRoute, Applied, f.ref, name, f.of, what)
}

// replaces is the configuration with which a filter runs for the route, in place of that of the chain; understood is false where
// it is not known.
func (f routeFilter) replaces(kind string) (config *envoyValue, at Ref, understood bool) {
	switch {
	case kind == typeRBAC && f.kind == typeRBACPerRoute:
		return f.config.object("rbac"), f.at.At(f.at.Field + ".rbac"), true
	case f.kind == kind && (kind == typeFault || kind == typeLocalRateLimit):
		return f.config, f.at, true
	}
	return nil, Ref{}, false
}

// FaultOfRoute is what the fault filter of istiod does where a patch gives the route faults; done is false where none does, or where they
// are not read.
func (c RouteFilters) FaultOfRoute(q *HTTPRequest, connection *Connection) (r FilterResult, done bool) {
	f, ok := c[FilterFault]
	if !ok || f.off || f.kind != typeFault {
		return FilterResult{}, false
	}
	a := &addedFilter{name: FilterFault, place: BeforeFault, patch: f.patch, forRoute: f.at}
	step, understood := (&HTTPFilters{}).fault(&r, a, FilterFault, f.config, q, connection)
	if !understood {
		return FilterResult{}, false
	}
	r.Steps = append(r.Steps, step)
	return r, true
}
