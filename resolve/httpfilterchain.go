package resolve

import (
	"slices"
	"strconv"

	api "istio.io/api/networking/v1alpha3"
	apisecurity "istio.io/api/security/v1beta1"
)

// The HTTP filters of a filter chain, in Envoy's order, and what EnvoyFilters, WasmPlugins and TrafficExtensions put among them.
//
//  1. istiod's own: metadata exchange; CUSTOM policies; tokens; AUDIT, DENY and ALLOW policies; statistics of gRPC; ALPN; fault;
//     CORS; statistics; the router. Those of policies and tokens are there where such a resource applies, and never on the way out; those of
//     statistics where metrics are counted.
//  2. Extensions of phase AUTHN stand before tokens, AUTHZ before policies, STATS and those without a phase behind them; at a
//     waypoint the latter two stand before the router.
//  3. Patches are done on that list one after the other: each sees what those before it have put there. All but MERGE come first.
//  4. INSERT_BEFORE and INSERT_AFTER count from the first filter of the name; without a name they mean the begin and the end.
//     INSERT_FIRST is the begin. Where no filter has the name, nothing is put anywhere.
//  5. REMOVE takes all filters of the name, REPLACE the first. Without a name they do nothing.
//  6. Nothing may stand behind the router.
//
// Source: pilot/pkg/networking/core/listener_builder.go, buildHTTPConnectionManager; listener_waypoint.go,
// buildWaypointHTTPFilters; envoyfilter/listener_patch.go, patchHTTPFilters.

// FilterPlace is where in the chain a filter stands, by what follows it.
type FilterPlace int

// The places, in the order in which a request passes them.
const (
	BeforeCustom FilterPlace = iota
	BeforeTokens
	BeforePolicies
	BeforeFault
	BeforeCORS
	BeforeRouter
	behindRouter
)

func (p FilterPlace) String() string {
	switch p {
	case BeforeCustom:
		return "before all policies and tokens"
	case BeforeTokens:
		return "before tokens are looked at"
	case BeforePolicies:
		return "before AuthorizationPolicies"
	case BeforeFault:
		return "behind AuthorizationPolicies"
	case BeforeCORS:
		return "behind fault injection"
	case BeforeRouter:
		return "before the router"
	}
	return "behind the router"
}

// Names of istiod's own HTTP filters that the trace evaluates.
const (
	FilterRBAC     = "envoy.filters.http.rbac"
	FilterExtAuthz = "envoy.filters.http.ext_authz"
	FilterJWT      = "envoy.filters.http.jwt_authn"
	FilterFault    = "envoy.filters.http.fault"
	FilterCORS     = "envoy.filters.http.cors"
	filterRouter   = "envoy.filters.http.router"
)

// chainFilter is one filter of a chain.
type chainFilter struct {
	name string
	// behind is the place of what stands behind one of istiod's own. within is set where the next one belongs to it.
	behind FilterPlace
	within bool
	// added is what a patch or extension put there; nil for istiod's own.
	added *addedFilter
}

// addedFilter is an HTTP filter that a patch or an extension brought.
type addedFilter struct {
	name  string
	place FilterPlace
	// within is set where it stands between two filters that the trace evaluates as one.
	within bool
	// patch and value are set for one of an EnvoyFilter, step for an extension.
	patch *envoyPatch
	value *envoyValue
	step  Step
	// forRoute is where the configuration of a route stands with which it runs; zero where it runs with its own.
	forRoute Ref
}

// config is a place in the configuration with which the filter runs.
func (a *addedFilter) config(below string) Ref {
	ref := a.forRoute
	if ref.IsZero() {
		ref = a.patch.field("patch.value.typed_config")
	}
	if below == "" {
		return ref
	}
	return ref.At(ref.Field + "." + below)
}

// HTTPFilters is what was put among, and taken from, istiod's HTTP filters on one chain.
type HTTPFilters struct {
	added []*addedFilter
	// taken are istiod's filters that are not there, and what took them.
	taken map[string]Step
	steps []Step
	place *PatchPlace
	// Rejected is set where Envoy does not accept the chain.
	Rejected bool
}

// HTTPFilters are the HTTP filters that EnvoyFilters and extensions add to a chain, or take from it.
func (s *Snapshot) HTTPFilters(l *PatchPlace) *HTTPFilters {
	if len(s.EnvoyFilters)+len(s.WasmPlugins)+len(s.TrafficExtensions) == 0 {
		return nil
	}
	f := &HTTPFilters{taken: map[string]Step{}, place: l}
	extensions, steps := s.extensionsOn(l)
	f.steps = steps
	patches := s.patchesAt(l, api.EnvoyFilter_HTTP_FILTER)
	if len(patches)+len(extensions) == 0 {
		return f
	}
	list := s.ownHTTPFilters(l, extensions)
	for _, p := range patches {
		if p.operation() == api.EnvoyFilter_Patch_MERGE {
			continue
		}
		if f.onThisChain(l, p) {
			list = f.patch(list, p)
		}
	}
	for _, p := range patches {
		if p.operation() == api.EnvoyFilter_Patch_MERGE && f.onThisChain(l, p) {
			f.merge(list, p)
		}
	}
	f.settle(list)
	return f
}

// onThisChain reports whether the patch is for the connection manager of the chain.
func (f *HTTPFilters) onThisChain(l *PatchPlace, p *envoyPatch) bool {
	where := l.chain(p)
	network, named, _, _ := p.filterNames()
	if where.is == True && named && network != connectionManager {
		f.steps = append(f.steps, p.nothing("network filter "+strconv.Quote(network), l.chainInWords(), olderName(network, connectionManager)))
		return false
	}
	step, counts := p.counts(where)
	if !counts {
		f.steps = append(f.steps, step)
	}
	return counts
}

// ownHTTPFilters is rules 1 and 2.
func (s *Snapshot) ownHTTPFilters(l *PatchPlace, extensions map[phase][]*addedFilter) []chainFilter {
	waypoint := l.Proxy.Dataplane == DataplaneWaypoint
	var list []chainFilter
	own := func(name string, behind FilterPlace, within bool) {
		list = append(list, chainFilter{name: name, behind: behind, within: within})
	}
	extend := func(phases ...phase) {
		for _, p := range phases {
			for _, added := range extensions[p] {
				list = append(list, chainFilter{name: added.name, added: added})
			}
		}
	}
	if !waypoint {
		own("istio.metadata_exchange", BeforeCustom, false)
	}
	guarded := l.Side != SideOutbound
	if guarded && len(providersOf(s.policiesOn(l.Proxy, true).byAction[apisecurity.AuthorizationPolicy_CUSTOM])) > 0 {
		own(FilterRBAC, BeforeCustom, true)
		own(FilterExtAuthz, BeforeTokens, false)
	}
	extend(phaseAuthn)
	if guarded && len(s.jwtRulesOf(l.Proxy)) > 0 {
		own(FilterJWT, BeforePolicies, false)
	}
	extend(phaseAuthz)
	if guarded {
		list = append(list, s.ownPolicyFilters(l.Proxy)...)
	}
	if !waypoint {
		extend(phaseStats, phaseNone)
	}
	own("envoy.filters.http.grpc_stats", BeforeFault, false)
	if l.Side != SideInbound {
		own("istio.alpn", BeforeFault, false)
	}
	own(FilterFault, BeforeCORS, false)
	own(FilterCORS, BeforeRouter, false)
	if waypoint {
		extend(phaseStats, phaseNone)
		own("waypoint_upstream_peer_metadata", BeforeRouter, false)
	}
	if s.countsMetrics(l.Proxy, l.Side) {
		own("istio.stats", BeforeRouter, false)
	}
	if l.Side != SideInbound {
		own("envoy.filters.http.stateful_session", BeforeRouter, false)
	}
	own(filterRouter, behindRouter, false)
	return list
}

// ownPolicyFilters are the filters of AUDIT, DENY and ALLOW policies: one for each action that there is a policy of.
func (s *Snapshot) ownPolicyFilters(w *Workload) []chainFilter {
	var list []chainFilter
	policies := s.policiesOn(w, false).byAction
	for _, action := range []apisecurity.AuthorizationPolicy_Action{
		apisecurity.AuthorizationPolicy_AUDIT, apisecurity.AuthorizationPolicy_DENY, apisecurity.AuthorizationPolicy_ALLOW,
	} {
		if of := policies[action]; len(of.enforced)+len(of.dryRun) > 0 {
			list = append(list, chainFilter{name: FilterRBAC, behind: BeforePolicies, within: true})
		}
	}
	if n := len(list); n > 0 {
		list[n-1].behind, list[n-1].within = BeforeFault, false
	}
	return list
}

// patch is rules 4 and 5 for one patch.
func (f *HTTPFilters) patch(list []chainFilter, p *envoyPatch) []chainFilter {
	_, _, name, named := p.filterNames()
	at := slices.IndexFunc(list, func(c chainFilter) bool { return c.name == name })
	value := p.value()
	inserted := chainFilter{name: value.text("name"), added: &addedFilter{name: value.text("name"), patch: p, value: value}}
	operation := p.operation()
	switch operation {
	case api.EnvoyFilter_Patch_ADD:
		return append(list, inserted)
	case api.EnvoyFilter_Patch_INSERT_FIRST:
		return slices.Insert(list, 0, inserted)
	case api.EnvoyFilter_Patch_INSERT_BEFORE, api.EnvoyFilter_Patch_INSERT_AFTER:
		switch {
		case !named && operation == api.EnvoyFilter_Patch_INSERT_BEFORE:
			return slices.Insert(list, 0, inserted)
		case !named:
			return append(list, inserted)
		case at < 0:
		case operation == api.EnvoyFilter_Patch_INSERT_BEFORE:
			return slices.Insert(list, at, inserted)
		default:
			return slices.Insert(list, at+1, inserted)
		}
	case api.EnvoyFilter_Patch_REMOVE, api.EnvoyFilter_Patch_REPLACE:
		if !named {
			f.steps = append(f.steps, NewStep(RuleEnvoyFilterOperation, Skipped, p.ref, p.named(), operation.String(), " without a subFilter in its match").meantFor(true))
			return list
		}
		if at >= 0 && operation == api.EnvoyFilter_Patch_REPLACE {
			f.take(list[at], p)
			list = slices.Clone(list)
			inserted.behind, inserted.within = list[at].behind, false
			list[at] = inserted
			return list
		}
		if at >= 0 {
			return slices.DeleteFunc(list, func(c chainFilter) bool {
				if c.name == name {
					f.take(c, p)
				}
				return c.name == name
			})
		}
	default:
		f.steps = append(f.steps, NewStep(RuleEnvoyFilterOperation, Skipped, p.ref, p.named(), operation.String(), "").meantFor(true))
		return list
	}
	f.steps = append(f.steps, p.nothing("HTTP filter "+strconv.Quote(name), f.place.chainInWords(), missingFilter(name)))
	return list
}

// take notes that one of istiod's filters is not there any more. Without a router Envoy rejects the chain.
func (f *HTTPFilters) take(c chainFilter, p *envoyPatch) {
	if c.added != nil {
		return
	}
	if c.name == filterRouter {
		f.Rejected = true
		f.steps = append(f.steps, p.rejected("takes the router out of the HTTP filters"))
		return
	}
	if _, known := f.taken[c.name]; !known {
		what := "what it decides, nobody decides"
		if w, ok := takenAway[c.name]; ok {
			what = w
		}
		f.taken[c.name] = NewStep(RuleHTTPFilterTaken, Applied, p.ref, c.name, what)
	}
}

// takenAway is what does not happen without one of istiod's filters.
var takenAway = map[string]string{
	FilterRBAC:                      "no AuthorizationPolicy counts here",
	FilterExtAuthz:                  "no external authorizer is asked",
	FilterJWT:                       "no token is looked at",
	FilterFault:                     "no fault is injected",
	FilterCORS:                      "CORS preflights are forwarded",
	"istio.stats":                   "Istio's metrics are not counted",
	"istio.metadata_exchange":       "peers do not tell each other who they are for metrics",
	"istio.alpn":                    "the ALPN of mesh connections stays as it is",
	"envoy.filters.http.grpc_stats": "gRPC statistics are not counted",
}

// merge is a patch of settings into the filters of its name.
func (f *HTTPFilters) merge(list []chainFilter, p *envoyPatch) {
	_, _, name, named := p.filterNames()
	value := p.value()
	switch {
	case !named || value.text("name") != "" && value.text("name") != name:
		f.steps = append(f.steps, p.notModelled("gives filters another name"))
	case !slices.ContainsFunc(list, func(c chainFilter) bool { return c.name == name }):
		f.steps = append(f.steps, p.nothing("HTTP filter "+strconv.Quote(name), f.place.chainInWords(), missingFilter(name)))
	case name == filterRouter, name == "istio.stats", name == "envoy.filters.http.grpc_stats", name == "istio.metadata_exchange":
		f.steps = append(f.steps, p.harmless([]string{"settings of " + name}))
	default:
		f.steps = append(f.steps, p.notModelled("settings of "+name))
	}
}

// settle gives each added filter its place, which is rule 6.
func (f *HTTPFilters) settle(list []chainFilter) {
	place, within := BeforeCustom, false
	for _, c := range list {
		if c.added == nil {
			place, within = c.behind, c.within
			continue
		}
		c.added.place, c.added.within = place, within
		if place == behindRouter {
			f.Rejected = true
			f.steps = append(f.steps, c.added.patch.rejected("puts HTTP filter "+c.name+" behind the router, which has to be the last one"))
			continue
		}
		f.added = append(f.added, c.added)
		if c.behind > place { // one that was put in the place of istiod's own
			place, within = c.behind, c.within
		}
	}
}

// Steps tell of patches and extensions that do not count on the chain, and of those that Envoy rejects.
func (f *HTTPFilters) Steps() []Step {
	if f == nil {
		return nil
	}
	return f.steps
}

// Without returns the step that tells that one of istiod's filters was taken out; false where it is there.
func (f *HTTPFilters) Without(name string) (Step, bool) {
	if f == nil {
		return Step{}, false
	}
	step, ok := f.taken[name]
	return step, ok
}

// olderNames are the names of filters that Envoy once had; istiod writes the new ones, and a match compares them as written.
// Source: pkg/config/xds/deprecated.go, DeprecatedFilterNames.
var olderNames = map[string]string{
	"envoy.http_connection_manager": connectionManager, "envoy.tcp_proxy": "envoy.filters.network.tcp_proxy",
	"envoy.router": filterRouter, "envoy.cors": FilterCORS, "envoy.fault": FilterFault, "envoy.ext_authz": FilterExtAuthz,
	"envoy.lua": "envoy.filters.http.lua", "envoy.rate_limit": "envoy.filters.http.ratelimit", "envoy.buffer": "envoy.filters.http.buffer",
	"envoy.grpc_web": "envoy.filters.http.grpc_web",
}

// olderName tells that a filter's name is an older one.
func olderName(name, meant string) string {
	if olderNames[name] == meant && meant != "" {
		return "; it is called " + meant + " now"
	}
	return ""
}

// missingFilter tells why a filter may not be there.
func missingFilter(name string) string {
	if newer := olderNames[name]; newer != "" {
		return olderName(name, newer)
	}
	switch name {
	case FilterRBAC:
		return ": no AuthorizationPolicy applies"
	case FilterJWT:
		return ": no RequestAuthentication applies"
	case FilterExtAuthz:
		return ": no CUSTOM AuthorizationPolicy applies"
	case "istio.stats":
		return ": neither a Telemetry nor the mesh config has metrics counted"
	}
	return ""
}
