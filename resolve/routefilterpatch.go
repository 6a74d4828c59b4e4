package resolve

import (
	"slices"

	api "istio.io/api/networking/v1alpha3"
)

// What patches configure of HTTP filters for a route, a virtual host or a route configuration (typed_per_filter_config).

// perFilter reads configurations of filters for a route or virtual host.
func (b *hostPatching) perFilter(into *routePatches, p *envoyPatch, value *envoyValue) {
	all := value.object("typed_per_filter_config")
	for _, name := range all.names() {
		config, kind := all.typedConfig(name)
		at := p.field("patch.value.typed_per_filter_config[" + name + "]")
		switch {
		case !b.filters.has(name) && name != FilterFault && name != FilterCORS:
			if !slices.Contains(filtersBeforeRoutes, name) { // told already
				into.result.Steps = append(into.result.Steps, p.nothing("HTTP filter "+name, b.place.chainInWords(), ""))
			}
		case kind == typeLocalRateLimit:
			if off := limitOff(config); off != "" {
				into.result.Steps = append(into.result.Steps, NewStep(RuleLocalRateLimitOff, Skipped, at, name, off))
				continue
			}
			into.result.Steps = append(into.result.Steps,
				NewStep(RuleLocalRateLimit, Warned, at, name, "for this route", limitStatus(config), limitInWords(config)))
			into.result.Suppositions = append(into.result.Suppositions, limited(config, p.ref))
		default:
			into.result.Steps = append(into.result.Steps, p.open("configures HTTP filter "+name+" for the route"))
		}
	}
	all.done()
}

// filtersBeforeRoutes are istiod's filters that have run when a route is taken, though its configuration may be for them.
var filtersBeforeRoutes = []string{FilterRBAC, FilterExtAuthz, FilterJWT}

// perFilterBefore tells of patches with configurations of routes for filters that run before the route is taken.
func (s *Snapshot) perFilterBefore(l *PatchPlace) []Step {
	var steps []Step
	for _, kind := range []api.EnvoyFilter_ApplyTo{api.EnvoyFilter_ROUTE_CONFIGURATION, api.EnvoyFilter_VIRTUAL_HOST, api.EnvoyFilter_HTTP_ROUTE} {
		for _, p := range s.patchesAt(l, kind) {
			if l.RouteConfig != "" && l.routes(p).is == False {
				continue
			}
			for _, name := range p.value().object("typed_per_filter_config").names() {
				if slices.Contains(filtersBeforeRoutes, name) {
					steps = append(steps, p.open("configures HTTP filter "+name+" for routes"))
				}
			}
		}
	}
	return steps
}
