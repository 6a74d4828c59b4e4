package resolve

import (
	"slices"
	"strconv"

	networking "istio.io/api/networking/v1alpha3"
)

// RouteAction is what a chosen route does with a request.
type RouteAction string

// The closed list of actions.
const (
	// RouteForwards sends the request to the route's destinations.
	RouteForwards RouteAction = "forward"
	// RouteRedirects answers with a redirect.
	RouteRedirects RouteAction = "redirect"
	// RouteResponds answers with a fixed status.
	RouteResponds RouteAction = "direct response"
	// RouteInvalid is a route that Envoy refuses, and its whole route configuration with it.
	RouteInvalid RouteAction = "invalid"
)

// The rules of what a route does.
const (
	RuleActionRedirect      RuleID = "route/redirect"
	RuleActionDirect        RuleID = "route/direct-response"
	RuleActionOvershadowed  RuleID = "route/action-precedence"
	RuleActionRedirectCode  RuleID = "route/redirect-code"
	RuleActionNoDestination RuleID = "route/no-destination"
	RuleActionDirectStatus  RuleID = "route/direct-response-status"
	RuleRouteMirror         RuleID = "route/mirror"
	RuleRouteMirrorUnknown  RuleID = "route/mirror-unknown"
)

var routeActionRules = slices.Concat(actionRules, retryRules, rewriteRules, faultRules, corsRules, responseHeaderRules)

var actionRules = []Rule{
	{
		ID: RuleActionRedirect, Stage: StageRoute,
		Says:     "A route with a redirect answers by itself, with 301 unless it names another code.",
		Template: "answers with a redirect (%d)",
		Source:   "pilot/pkg/networking/core/route/route.go, ApplyRedirect",
	},
	{
		ID: RuleActionDirect, Stage: StageRoute,
		Says:     "A route with a directResponse answers by itself.",
		Template: "answers by itself with status %d",
		Source:   "pilot/pkg/networking/core/route/route.go, ApplyDirectResponse",
	},
	{
		ID: RuleActionOvershadowed, Stage: StageRoute,
		Says:     "redirect counts before directResponse, and both before route.",
		Template: "not used: the rule also has a %s",
		Source:   "pilot/pkg/networking/core/route/route.go, TranslateRoute",
	},
	{
		ID: RuleActionRedirectCode, Stage: StageRoute,
		Says:     "Only 301, 302, 303, 307 and 308 are redirects; another code leaves a route without action, for which Envoy refuses the route configuration.",
		Template: "redirect code %d is not supported: Envoy refuses the whole route configuration",
		Source:   "pilot/pkg/networking/core/route/route.go, ApplyRedirect",
	},
	{
		ID: RuleActionNoDestination, Stage: StageRoute,
		Says:     "A route without any destination that has weight is refused by Envoy, with the route configuration it stands in.",
		Template: "the rule has no destination with weight: Envoy refuses the whole route configuration",
		Source:   "pilot/pkg/networking/core/route/route.go, applyHTTPRouteDestination",
	},
	{
		ID: RuleActionDirectStatus, Stage: StageRoute,
		Says:     "A direct response whose status is not from 200 to 599 is refused by Envoy, with the route configuration it stands in.",
		Template: "status %d is not from 200 to 599: Envoy refuses the whole route configuration",
		Source:   "Envoy, config.route.v3.DirectResponseAction",
	},
	{
		ID: RuleRouteMirror, Stage: StageRoute,
		Says:     "A mirror gets a copy of all requests, or of the percentage it names; its answer is thrown away.",
		Template: "%s gets a copy of %s percent of the requests",
		Source:   "pilot/pkg/networking/core/route/route.go, MirrorPercent",
	},
	{
		ID: RuleRouteMirrorUnknown, Stage: StageRoute,
		Says:     "A mirror to a host the proxy has no cluster for is ignored.",
		Template: "mirror %s is no service this proxy knows: no copy is sent",
		Source:   "Envoy, source/common/router/router.cc, shadowing",
	},
}

// ActionOf is what the route does: redirect, else directResponse, else route.
// The steps tell of an answer the proxy gives by itself, of actions that are
// written but not used, and of a route that Envoy refuses.
// Source: pilot/pkg/networking/core/route/route.go, TranslateRoute.
func ActionOf(r *Route) (RouteAction, []Step) {
	action, steps := RouteForwards, []Step(nil)
	switch {
	case r.HTTP.GetRedirect() != nil:
		at := r.FieldRef("redirect")
		code := redirectCode(r.HTTP.Redirect)
		if code == 0 {
			at = r.FieldRef("redirect.redirectCode")
			return RouteInvalid, []Step{NewStep(RuleActionRedirectCode, Warned, at, r.HTTP.Redirect.GetRedirectCode())}
		}
		action, steps = RouteRedirects, []Step{NewStep(RuleActionRedirect, Applied, at, code)}
		if r.HTTP.GetDirectResponse() != nil {
			steps = append(steps, NewStep(RuleActionOvershadowed, Skipped, r.FieldRef("directResponse"), "redirect"))
		}
	case r.HTTP.GetDirectResponse() != nil:
		status := r.HTTP.DirectResponse.GetStatus()
		if status < 200 || status >= 600 {
			return RouteInvalid, []Step{NewStep(RuleActionDirectStatus, Warned, r.FieldRef("directResponse.status"), status)}
		}
		action, steps = RouteResponds, []Step{NewStep(RuleActionDirect, Applied, r.FieldRef("directResponse"), status)}
		if r.VirtualService != nil && r.VirtualService.Semantics == SemanticsGateway {
			steps = []Step{NewStep(RuleKubeRouteNoBackends, Applied, r.FieldRef("directResponse"), status)}
		}
	case len(Destinations(r)) == 0:
		return RouteInvalid, []Step{NewStep(RuleActionNoDestination, Warned, r.Entry)}
	}
	if action != RouteForwards && len(r.HTTP.GetRoute()) > 0 {
		word := map[RouteAction]string{RouteRedirects: "redirect", RouteResponds: "directResponse"}[action]
		steps = append(steps, NewStep(RuleActionOvershadowed, Skipped, r.FieldRef("route"), word))
	}
	return action, steps
}

// DirectResponse is the status and body of a route that responds by itself.
func DirectResponse(r *Route) (status int, body string) {
	d := r.HTTP.GetDirectResponse()
	body = d.GetBody().GetString_()
	if body == "" {
		body = string(d.GetBody().GetBytes())
	}
	return int(d.GetStatus()), body
}

// WeightedDestination is one destination of a route and its share.
type WeightedDestination struct {
	Destination *networking.Destination
	// Weight is in percent; the weights of a route add up to 100.
	Weight float64
	// Ref is spec.http[i].route[j]; the service for a default route.
	Ref Ref
	// Headers are the destination's own header operations.
	Headers *networking.Headers
}

// Destinations are where a route forwards to.
//
// 1. A default route goes to its service.
// 2. A single destination takes all requests, whatever its weight says.
// 3. Of several, those with weight 0 are dropped, and the others share by their sum.
//
// Source: pilot/pkg/networking/core/route/route.go, applyHTTPRouteDestination.
func Destinations(r *Route) []WeightedDestination {
	if r.Default != nil {
		return []WeightedDestination{{
			Destination: &networking.Destination{
				Host: r.Default.Hostname,
				Port: &networking.PortSelector{Number: uint32(r.DefaultPort)},
			},
			Weight: 100, Ref: r.Default.Ref,
		}}
	}
	return shareOut(r.HTTP.GetRoute(), func(j int) Ref { return r.FieldRef("route[" + strconv.Itoa(j) + "]") },
		func(d *networking.HTTPRouteDestination, w *WeightedDestination) { w.Headers = d.GetHeaders() })
}

// shareOut turns weights into percent, for http as for tls and tcp routes.
func shareOut[D interface {
	GetDestination() *networking.Destination
	GetWeight() int32
}](list []D, ref func(j int) Ref, fill func(D, *WeightedDestination),
) []WeightedDestination {
	var sum float64
	for _, d := range list {
		sum += float64(max(d.GetWeight(), 0))
	}
	var out []WeightedDestination
	for j, d := range list {
		w := WeightedDestination{Destination: d.GetDestination(), Weight: 100, Ref: ref(j)}
		if len(list) > 1 {
			if d.GetWeight() <= 0 {
				continue
			}
			w.Weight = 100 * float64(d.GetWeight()) / sum
		}
		fill(d, &w)
		out = append(out, w)
	}
	return out
}

// Mirror is a destination that gets copies of requests.
type Mirror struct {
	Destination *networking.Destination
	// Percent of the requests that are copied.
	Percent float64
	Ref     Ref
}

// Mirrors are the route's mirrors. A percentage left out is 100; 0 is no mirror.
// mirrorPercentage counts before the older mirrorPercent.
// Source: pilot/pkg/networking/core/route/route.go, MirrorPercent, MirrorPercentByPolicy.
func Mirrors(r *Route) (mirrors []Mirror, steps []Step) {
	add := func(d *networking.Destination, percent float64, field string) {
		if d == nil || percent <= 0 {
			return
		}
		m := Mirror{Destination: d, Percent: percent, Ref: r.FieldRef(field)}
		mirrors = append(mirrors, m)
		steps = append(steps, NewStep(RuleRouteMirror, Applied, m.Ref, d.GetHost(), formatPercent(percent)))
	}
	percent := 100.0
	if p := r.HTTP.GetMirrorPercentage(); p != nil {
		percent = envoyPercent(p.GetValue())
	} else {
		//lint:ignore SA1019 istiod still reads the older field
		if p := r.HTTP.GetMirrorPercent(); p != nil {
			percent = min(float64(p.GetValue()), 100)
		}
	}
	add(r.HTTP.GetMirror(), percent, "mirror")
	for i, m := range r.HTTP.GetMirrors() {
		percent = 100
		if m.GetPercentage() != nil {
			percent = envoyPercent(m.GetPercentage().GetValue())
		}
		add(m.GetDestination(), percent, "mirrors["+strconv.Itoa(i)+"]")
	}
	return mirrors, steps
}

// envoyPercent is a percentage as istiod writes it, in millionths.
// Source: pilot/pkg/networking/core/route/route.go, translatePercentToFractionalPercent.
func envoyPercent(v float64) float64 {
	if !(v > 0) {
		return 0
	}
	return float64(uint32(min(v, 100)*10000)) / 10000
}

func formatPercent(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
