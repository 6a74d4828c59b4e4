package resolve

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// What the HTTP filters do that EnvoyFilters insert. Their typed_config says which filter they are, whatever their name.
//
//  1. RBAC, local rate limits and header mutations are read and done.
//  2. Filters that compress, count, or write metadata for others let every request pass as it is.
//  3. All others may do anything: they are told, and taken to let the request pass.
//  4. The route was looked up before the filters, by the headers as they came: what a filter writes changes no route.
//
// Source: Envoy, docs, HTTP filters; source/common/http/conn_manager_impl.cc, ActiveStream::decodeHeaders.

// Rules of HTTP filters that EnvoyFilters insert or take out.
const (
	RuleHTTPFilterTaken     RuleID = "envoyfilter/filter-taken-out"
	RuleHTTPFilterPasses    RuleID = "envoyfilter/filter-passes"
	RuleHTTPFilterUnknown   RuleID = "envoyfilter/filter-not-modelled"
	RuleHTTPFilterDisabled  RuleID = "envoyfilter/filter-disabled"
	RuleHTTPFilterRBACAllow RuleID = "envoyfilter/rbac-allows"
	RuleHTTPFilterRBACDeny  RuleID = "envoyfilter/rbac-denies"
	RuleHTTPFilterRBACOpen  RuleID = "envoyfilter/rbac-open"
	RuleLocalRateLimit      RuleID = "envoyfilter/local-ratelimit"
	RuleLocalRateLimitOff   RuleID = "envoyfilter/local-ratelimit-off"
	RuleExternalAuthorizer  RuleID = "envoyfilter/ext-authz"
	RulePatchRequestHeader  RuleID = "envoyfilter/request-header"
	RulePatchResponseHeader RuleID = "envoyfilter/response-header"
	RulePatchHeaderComputed RuleID = "envoyfilter/header-computed"
	RuleHTTPFilterFault     RuleID = "envoyfilter/fault"
	RuleHTTPFilterNoFault   RuleID = "envoyfilter/no-fault"
)

var httpFilterRules = []Rule{
	{
		ID: RuleHTTPFilterTaken, Stage: StageExtension,
		Says:     "Where a patch takes one of istiod's HTTP filters out, what that filter does is not done: without RBAC no AuthorizationPolicy counts.",
		Template: "takes HTTP filter %s out: %s",
		Source:   "pilot/pkg/networking/core/envoyfilter/listener_patch.go, patchHTTPFilters",
	},
	{
		ID: RuleHTTPFilterPasses, Stage: StageExtension,
		Says:     "Filters that compress bodies, count, or write metadata let every request pass, and change nothing that a route or policy asks for.",
		Template: "puts HTTP filter %s (%s) %s: it lets every request pass",
		Source:   "Envoy, docs, HTTP filters",
	},
	{
		ID: RuleHTTPFilterUnknown, Stage: StageExtension,
		Says:     "What Lua, Wasm, an external processor or any other filter that is not modelled decides is not known; what stands before it is.",
		Template: "puts HTTP filter %s (%s) %s; what it decides is not known, the trace takes it to let the request pass",
		Source:   "Envoy, docs, HTTP filters",
	},
	{
		ID: RuleHTTPFilterDisabled, Stage: StageExtension,
		Says:     "A filter with disabled: true runs only where a route or virtual host has a configuration of its own for it.",
		Template: "HTTP filter %s is disabled",
		Source:   "Envoy, http_connection_manager.v3.HttpFilter, disabled",
	},
	{
		ID: RuleHTTPFilterRBACAllow, Stage: StageExtension,
		Says:     "An RBAC filter allows where a policy of action ALLOW matches, or none of action DENY. A policy matches where any of its permissions and any of its principals do.",
		Template: "HTTP filter %s, %s, allows the request: %s",
		Source:   "Envoy, source/extensions/filters/common/rbac/engine_impl.cc",
	},
	{
		ID: RuleHTTPFilterRBACDeny, Stage: StageExtension,
		Says:     "An RBAC filter answers 403 where no policy of action ALLOW matches, or one of action DENY does.",
		Template: "HTTP filter %s, %s, denies the request: %s",
		Source:   "Envoy, source/extensions/filters/common/rbac/engine_impl.cc",
	},
	{
		ID: RuleHTTPFilterRBACOpen, Stage: StageExtension,
		Says:     "Whether a policy of an RBAC filter matches can hang on what is not known from resources, or on a matcher that is not modelled.",
		Template: "whether HTTP filter %s, %s, denies the request is open: %s; the trace takes it to pass",
		Source:   "Envoy, config.rbac.v3",
	},
	{
		ID: RuleLocalRateLimit, Stage: StageExtension,
		Says:     "A local rate limit answers 429 to requests beyond those that its bucket has tokens for; each proxy has a bucket of its own.",
		Template: "HTTP filter %s, %s, answers %d to more than %s in each proxy: the trace takes a token to be left",
		Source:   "Envoy, source/extensions/filters/http/local_ratelimit/local_ratelimit.cc",
	},
	{
		ID: RuleLocalRateLimitOff, Stage: StageExtension,
		Says:     "A local rate limit is not enabled and not enforced unless filter_enabled and filter_enforced say so: both are 0 percent without. Without a token bucket it counts nothing.",
		Template: "HTTP filter %s limits nothing: %s",
		Source:   "Envoy, local_ratelimit.v3.LocalRateLimit",
	},
	{
		ID: RuleExternalAuthorizer, Stage: StageExtension,
		Says:     "An external authorizer that an EnvoyFilter inserts is asked about every request that gets there.",
		Template: "puts HTTP filter %s (an external authorizer) %s: what it answers is not known",
		Source:   "Envoy, source/extensions/filters/http/ext_authz/ext_authz.cc",
	},
	{
		ID: RuleHTTPFilterFault, Stage: StageExtension,
		Says:     "A fault filter ends its share of the requests that have its headers; delays only hold them back.",
		Template: "HTTP filter %s, %s, aborts %s percent of the requests with status %d",
		Source:   "Envoy, source/extensions/filters/http/fault/fault_filter.cc",
	},
	{
		ID: RuleHTTPFilterNoFault, Stage: StageExtension,
		Says:     "A fault filter lets requests pass that do not have all of its headers, and all of them where it aborts none.",
		Template: "HTTP filter %s, %s, lets the request pass: %s",
		Source:   "Envoy, source/extensions/filters/http/fault/fault_filter.cc",
	},
	{
		ID: RulePatchRequestHeader, Stage: StageExtension,
		Says:     "Headers of requests are taken away, then added: appended to what is there unless append_action says otherwise. Those of the route count first, then the virtual host's, then the route configuration's.",
		Template: "%s",
		Source:   "Envoy, config.core.v3.HeaderValueOption; source/common/router/config_impl.cc, finalizeRequestHeaders",
	},
	{
		ID: RulePatchResponseHeader, Stage: StageExtension,
		Says:     "Headers of answers are told as operations: what the application answers is not known.",
		Template: "of the answer it %s",
		Source:   "Envoy, config.core.v3.HeaderValueOption",
	},
	{
		ID: RulePatchHeaderComputed, Stage: StageExtension,
		Says:     "A value with %COMMANDS% is computed by Envoy for each request; it is shown as written.",
		Template: "header %s is computed by Envoy from %q",
		Source:   "Envoy, docs, HTTP header manipulation, custom request/response headers",
	},
}

// FilterAnswer is how a filter ends a request.
type FilterAnswer struct {
	Status         int
	Flags, Details string
	// Denied is set for a refusal by who asks, and not set for an answer that has nothing to do with that.
	Denied bool
	By     Ref
	Reason string
}

// FilterAbort is a share of the requests that a filter ends.
type FilterAbort struct {
	Percent float64
	Answer  FilterAnswer
}

// Supposition is what has to hold for a request to pass a filter, and how it ends otherwise.
type Supposition struct {
	Holds     string
	Otherwise FilterAnswer
	// Undetermined is set where nothing speaks for either.
	Undetermined bool
}

// FilterResult is what the filters of one place do with a request.
type FilterResult struct {
	Steps []Step
	// Answer is set where one of them ends the request.
	Answer *FilterAnswer
	// Suppositions are in the order of the filters.
	Suppositions []Supposition
	// Aborts are what filters end of a share of the requests, before the answer if there is one.
	Aborts []FilterAbort
	// AsksClient is set where one of them looked at who the client is, or where: another client may not end alike.
	AsksClient bool
}

// Run has the filters of one place look at a request, which they may change. q is nil where there is no request to look at: the
// steps then tell what stands there.
// configured are the configurations for the route that was looked up; nil where there is none.
func (f *HTTPFilters) Run(place FilterPlace, q *HTTPRequest, c *Connection, configured RouteFilters) FilterResult {
	var r FilterResult
	if f == nil {
		return r
	}
	for _, added := range f.added {
		if added.place == place && r.Answer == nil {
			f.run(&r, added, q, c, configured)
		}
	}
	return r
}

// run is rules 1 to 3.
func (f *HTTPFilters) run(r *FilterResult, a *addedFilter, q *HTTPRequest, c *Connection, configured RouteFilters) {
	route, forRoute := configured[a.name]
	if forRoute && route.off {
		r.Steps = append(r.Steps, route.offStep(a.name, "the request passes it by"))
		return
	}
	if a.patch == nil {
		r.Steps = append(r.Steps, a.step)
		return
	}
	value := a.patch.value()
	name := value.text("name")
	config, kind := value.typedConfig("typed_config")
	kind = cmp.Or(kind, "no typed_config")
	if off, _ := value.flag("disabled"); off && !forRoute {
		r.Steps = append(r.Steps, NewStep(RuleHTTPFilterDisabled, Skipped, a.patch.field("patch.value.disabled"), name))
		return
	}
	inserted := a.patch
	if forRoute {
		if a, config = a.asConfigured(route, kind, config); a == nil {
			r.Steps = append(r.Steps, route.patch.open("configures HTTP filter "+name+" for "+route.of))
			return
		}
	}
	// Two filters that are evaluated as one have nothing between them.
	readable := q != nil && !a.within
	ref := a.patch.field("patch.value")
	switch {
	case (kind == typeRBAC || kind == typeFault) && f.seesConnect(inserted):
		r.Steps = append(r.Steps, a.patch.open("puts HTTP filter "+name+" into the listener that ends HBONE as well, where it sees requests for tunnels"))
		return
	case slices.Contains(passingFilters, kind), kind == typeCORS:
		r.Steps = append(r.Steps, NewStep(RuleHTTPFilterPasses, Applied, ref, name, shortType(kind), a.place.String()))
		return
	case kind == typeLocalRateLimit:
		f.localRateLimit(r, a, name, config)
		return
	case kind == typeExtAuthz:
		r.Steps = append(r.Steps, NewStep(RuleExternalAuthorizer, Warned, ref, name, a.place.String()))
		r.Suppositions = append(r.Suppositions, a.authorizer())
		return
	case kind == typeRBAC && readable:
		f.rbac(r, a, name, config, q, c)
		return
	case kind == typeHeaderMutation && readable:
		ops, understood := mutationsOf(config)
		if understood {
			r.Steps = append(r.Steps, applyHeaderOps(q, ops.request, ref)...)
			r.Steps = append(r.Steps, responseOps(ops.response, ref)...)
			return
		}
	case kind == typeFault && name == FilterFault:
		r.Steps = append(r.Steps, a.patch.open("puts a second HTTP filter "+name+" "+a.place.String()+", to which the faults of routes count as well"))
		return
	case kind == typeFault && readable:
		if step, understood := f.fault(r, a, name, config, q, c); understood {
			r.Steps = append(r.Steps, step)
			return
		}
	case kind == typeRateLimit:
		r.Suppositions = append(r.Suppositions, Supposition{
			Holds: "the rate limit service lets it pass",
			Otherwise: FilterAnswer{
				Status: 429, Flags: "RL", Details: "request_rate_limited", By: a.patch.ref, Reason: "the rate limit service answers that there are too many requests",
			},
		})
	}
	r.Steps = append(r.Steps, NewStep(RuleHTTPFilterUnknown, Warned, ref, name, shortType(kind), a.place.String()))
}

// asConfigured is the filter with the configuration that a route brings, and that configuration; nil where it is not known what it does.
func (a *addedFilter) asConfigured(route routeFilter, kind string, config *envoyValue) (*addedFilter, *envoyValue) {
	switch replaced, at, understood := route.replaces(kind); {
	case understood:
		own := *a
		own.forRoute, own.patch = at, route.patch
		return &own, replaced
	case slices.Contains(passingFilters, kind), route.kind == typeExtAuthzPerRoute && route.config.has(checkSettings):
		return a, config
	}
	return nil, nil
}

// authorizer is the supposition that an external authorizer lets the request pass.
func (a *addedFilter) authorizer() Supposition {
	return Supposition{
		Holds: "the external authorizer of " + a.patch.ref.Object().String() + " allows it", Undetermined: true,
		Otherwise: FilterAnswer{
			Status: 403, Flags: "UAEX", Details: "ext_authz_denied", Denied: true, By: a.patch.ref,
			Reason: "the external authorizer of " + a.patch.ref.Object().String() + " refuses, or cannot be reached (ext_authz_error)",
		},
	}
}

// seesConnect reports whether the patch puts its filter into the listener of a waypoint that ends HBONE as well, where it sees
// requests for tunnels.
func (f *HTTPFilters) seesConnect(p *envoyPatch) bool {
	m := p.GetMatch().GetListener()
	return f.place.Proxy.Dataplane == DataplaneWaypoint && m.GetName() == "" && m.GetFilterChain().GetName() == ""
}

// Types of the configurations of HTTP filters that are read.
const (
	httpFilterType     = "envoy.extensions.filters.http."
	typeRBAC           = httpFilterType + "rbac.v3.RBAC"
	typeLocalRateLimit = httpFilterType + "local_ratelimit.v3.LocalRateLimit"
	typeHeaderMutation = httpFilterType + "header_mutation.v3.HeaderMutation"
	typeExtAuthz       = httpFilterType + "ext_authz.v3.ExtAuthz"
	typeRateLimit      = httpFilterType + "ratelimit.v3.RateLimit"
	typeFault          = httpFilterType + "fault.v3.HTTPFault"
	typeCORS           = httpFilterType + "cors.v3.Cors"
)

// passingFilters are the types of rule 2.
var passingFilters = []string{
	httpFilterType + "compressor.v3.Compressor", httpFilterType + "decompressor.v3.Decompressor", httpFilterType + "grpc_stats.v3.FilterConfig",
	httpFilterType + "header_to_metadata.v3.Config", httpFilterType + "json_to_metadata.v3.JsonToMetadata", httpFilterType + "set_metadata.v3.Config",
	httpFilterType + "tap.v3.Tap", httpFilterType + "bandwidth_limit.v3.BandwidthLimit", "stats.PluginConfig",
}

// localRateLimit reads a local rate limit.
func (f *HTTPFilters) localRateLimit(r *FilterResult, a *addedFilter, name string, config *envoyValue) {
	ref := a.config("")
	if off := limitOff(config); off != "" {
		r.Steps = append(r.Steps, NewStep(RuleLocalRateLimitOff, Skipped, ref, name, off).meantFor(true))
		return
	}
	r.Steps = append(r.Steps, NewStep(RuleLocalRateLimit, Warned, ref, name, a.place.String(), limitStatus(config), limitInWords(config)))
	r.Suppositions = append(r.Suppositions, limited(config, a.patch.ref))
}

// shortType is the last word of a type's name.
func shortType(kind string) string { return kind[strings.LastIndexByte(kind, '.')+1:] }

// limited is the supposition that a local rate limit has a token left.
func limited(config *envoyValue, by Ref) Supposition {
	return Supposition{
		Holds: "the local rate limit of " + by.Object().String() + " has a token left",
		Otherwise: FilterAnswer{
			Status: limitStatus(config), Flags: "RL", Details: "local_rate_limited", By: by, Reason: "there were more than " + limitInWords(config),
		},
	}
}

// limitOff says why a local rate limit does nothing; "" if it does something.
func limitOff(config *envoyValue) string {
	for _, field := range []string{"filter_enabled", "filter_enforced"} {
		share := config.object(field)
		if share == nil {
			return "without " + field + " it is 0 percent"
		}
		if n, _ := share.object("default_value").number("numerator"); n == 0 {
			return field + " is 0 percent"
		}
	}
	if config.object("token_bucket") == nil && len(config.list("descriptors")) == 0 {
		return "it has no token_bucket, unless a route has one of its own"
	}
	return ""
}

func limitStatus(config *envoyValue) int {
	code, _ := config.object("status").number("code")
	if code < 400 {
		return 429
	}
	return int(code)
}

func limitInWords(config *envoyValue) string {
	bucket := config.object("token_bucket")
	if bucket == nil {
		return "its descriptors' buckets have tokens for"
	}
	most, _ := bucket.number("max_tokens")
	fill, ok := bucket.number("tokens_per_fill")
	if !ok {
		fill = 1
	}
	return strconv.Itoa(int(most)) + " requests (" + strconv.Itoa(int(fill)) + " more every " + strings.TrimSpace(bucket.text("fill_interval")) + ")"
}

// has reports whether a filter of the name was added.
func (f *HTTPFilters) has(name string) bool {
	return f != nil && slices.ContainsFunc(f.added, func(a *addedFilter) bool { return a.name == name })
}
