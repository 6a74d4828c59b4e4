package trace

import (
	"fmt"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// route takes the first route of the virtual host that matches and does what it
// says; where the virtual host demands TLS, plaintext is redirected before any
// route is looked at. The filters that can answer stand in Envoy's order before the router:
// fault, then CORS; then redirect, direct response, or the destinations.
func (w *walk) route(p *path, r *router, vh *resolve.VirtualHost) {
	if w.survey != nil {
		w.surveyHost(p, r, vh)
		return
	}
	if !vh.RequireTLS.IsZero() && !r.tls {
		if !w.passes(p, resolve.BeforeRouter) {
			return
		}
		w.httpsRedirect(p, vh.RequireTLS)
		return
	}
	if proto, _ := p.http.Header("x-forwarded-proto"); !vh.RequireTLS.IsZero() && proto == "https" && !p.hopEncrypted() {
		p.note(resolve.NewStep(resolve.RuleHTTPSForwarded, resolve.Applied, vh.RequireTLS, proto, w.snapshot.TrustedProxies(r.workload)))
	}
	if seen := p.hop().Steps; len(vh.Routes) == 0 && len(seen) > 0 && seen[len(seen)-1].Verdict == resolve.None {
		if !w.passes(p, resolve.BeforeRouter) {
			return
		}
		last := seen[len(seen)-1] // a virtual host that istiod makes to answer 404
		w.end(p, Outcome{
			Decision: NotRouted, HTTPStatus: 404, ResponseFlags: "NR", ResponseCodeDetails: "route_not_found", Code: CodeNoVirtualHost,
			Reason: last.Reason(), By: last.Ref,
		})
		return
	}
	chosen, steps, certain := vh.Choose(p.asRouted())
	p.note(steps...)
	if certain == resolve.Unknown {
		p.lower(Undetermined)
	}
	if p.extended.unwritten != nil { // a token may have cleared the choice, and then what filters wrote counts
		if again, _, _ := vh.Choose(p.http); again != chosen {
			p.lower(Undetermined)
		}
	}
	if chosen == nil {
		if !w.passes(p, resolve.BeforeRouter) {
			return
		}
		w.noRoute(p, vh, steps)
		return
	}
	w.take(p, r, chosen)
}

// take does what a route says.
func (w *walk) take(p *path, r *router, chosen *resolve.Route) {
	p.note(chosen.Conversion()...)
	if p.passed(resolve.RuleInferencePicker) {
		p.lower(Undetermined)
	}
	p.hop().Envoy.Route = chosen.Name
	p.by = chosen.Entry
	p.configuredFor(chosen)
	goesOn := w.passes(p, resolve.BeforeFault) && w.faults(p, chosen) && w.passes(p, resolve.BeforeCORS)
	if goesOn && w.preflights(p, chosen) && w.passes(p, resolve.BeforeRouter) {
		w.takenRoute(p, chosen)
		w.act(p, r, chosen)
	}
}

func (w *walk) noRoute(p *path, vh *resolve.VirtualHost, steps []resolve.Step) {
	o := Outcome{
		Decision: NotRouted, HTTPStatus: 404, ResponseFlags: "NR", ResponseCodeDetails: "route_not_found", Code: CodeNoRoute,
		Reason: "virtual host " + vh.Name + ": " + lastReason(steps),
	}
	if len(vh.Routes) > 0 && vh.Routes[0].VirtualService != nil {
		o.By = vh.Routes[0].VirtualService.At("spec.http")
	}
	w.end(p, o)
}

// httpsRedirect answers instead of any route. The Host stays as the client sent it, with its port.
// Source: Envoy, source/common/http/utility.cc, createSslRedirectPath.
func (w *walk) httpsRedirect(p *path, server resolve.Ref) {
	location := "https://" + p.http.Authority + p.http.PathAndQuery()
	w.endAt(p, Outcome{Decision: Redirected, HTTPStatus: 301, ResponseCodeDetails: "direct_response", Code: CodeHTTPSRedirect, Location: location},
		resolve.NewStep(resolve.RuleHTTPSRedirect, resolve.Applied, server, location))
}

// fault forks off the share that fault injection aborts; it reports whether anything is left.
func (w *walk) fault(p *path, route *resolve.Route) bool {
	faults, steps := resolve.Fault(route)
	p.note(steps...)
	if faults.DelayPercent == 100 {
		p.delayed = len(p.hops)
	}
	if faults.AbortPercent <= 0 {
		return true
	}
	part := min(faults.AbortPercent/100, 1)
	o := Outcome{
		Decision: Responded, HTTPStatus: faults.AbortStatus, ResponseFlags: resolve.FaultFlag,
		ResponseCodeDetails: resolve.FaultDetails, Code: CodeFaultAbort, By: faults.AbortRef, Reason: lastReason(steps),
	}
	if part == 1 {
		w.end(p, o)
		return false
	}
	w.end(p.fork(part), o)
	p.share *= 1 - part
	return true
}

// cors answers a preflight; it reports whether the request goes on.
func (w *walk) cors(p *path, route *resolve.Route) bool {
	answered, steps := resolve.CORS(route, p.http)
	p.note(steps...)
	switch answered {
	case resolve.True:
		p.note(resolve.CORSHeaders(route, p.http)...)
		w.end(p, Outcome{
			Decision: Responded, HTTPStatus: 200, ResponseCodeDetails: resolve.CORSDetails, Code: CodeCORSPreflight,
			By: steps[len(steps)-1].Ref, Reason: lastReason(steps),
		})
		return false
	case resolve.Unknown:
		p.lower(Undetermined)
	case resolve.False:
	}
	return true
}

// act does what the route says: redirect before direct response before destinations.
func (w *walk) act(p *path, r *router, route *resolve.Route) {
	action, steps := resolve.ActionOf(route)
	p.note(steps...)
	o := Outcome{Reason: firstReason(steps)}
	if len(steps) > 0 {
		o.By = steps[0].Ref
	}
	switch action {
	case resolve.RouteRedirects:
		o.Decision, o.Code, o.ResponseCodeDetails = Redirected, CodeRedirect, "direct_response"
		o.HTTPStatus, o.Location = resolve.RedirectLocation(route, p.http)
		w.end(p, o)
	case resolve.RouteResponds:
		o.Decision, o.Code, o.ResponseCodeDetails = Responded, CodeDirectResponse, "direct_response"
		o.HTTPStatus, _ = resolve.DirectResponse(route)
		o.Location = resolve.ResponseLocation(o.HTTPStatus, p.http)
		if steps[0].Rule == resolve.RuleKubeRouteNoBackends {
			o.Code = CodeNoBackends
		}
		w.end(p, o)
	case resolve.RouteInvalid:
		o.Decision, o.Code, o.Certainty = Unavailable, CodeRouteInvalid, Undetermined
		w.end(p, o)
	case resolve.RouteForwards:
		w.forward(p, r, route)
	}
}

// forward sends the request to the route's destinations, each with its share.
func (w *walk) forward(p *path, r *router, route *resolve.Route) {
	destinations := resolve.Destinations(route)
	p.hop().met.route = route
	if r.gateway && !route.Server.IsZero() {
		// Servers of several ports share a route table.
		own := *r
		own.port = route.ListenPort
		r = &own
	}
	retries, retriesStep := resolve.Retries(route, w.snapshot.Mesh)
	p.retries = route.PatchedRetries(retries)
	if route.HTTP != nil {
		mirrors, steps := resolve.Mirrors(route)
		for i, m := range mirrors {
			if _, known := r.scope.Service(m.Destination.GetHost()); !known {
				steps[i] = resolve.NewStep(resolve.RuleRouteMirrorUnknown, resolve.Skipped, m.Ref, m.Destination.GetHost())
			}
		}
		p.note(steps...)
		_, timeout := resolve.Timeout(route)
		p.note(timeout, retriesStep)
	}
	for _, d := range destinations {
		branch := p
		if len(destinations) > 1 {
			branch = p.fork(d.Weight / 100)
			branch.note(resolve.NewStep(resolve.RuleRouteWeight, resolve.Applied, d.Ref, formatPercent(d.Weight), d.Destination.GetHost(), subsetNote(d.Destination.GetSubset())))
		}
		if len(destinations) == 1 {
			branch.note(route.PatchRemovals(branch.http)...)
		}
		if route.HTTP != nil {
			forwarded, steps := resolve.Forward(route, d, branch.http)
			branch.note(resolve.CORSHeaders(route, branch.http)...)
			branch.http = forwarded
			branch.note(steps...)
			branch.note(resolve.ResponseHeaders(route, d)...)
		}
		if len(destinations) > 1 {
			branch.note(route.PatchRemovals(branch.http)...)
		}
		if branch.extended.host != nil {
			branch.note(route.PatchHeaders(branch.extended.host, branch.http)...)
		}
		branch.note(serverPort(r, route, d)...)
		ref := d.Ref
		backend := route.VirtualService != nil && route.VirtualService.Semantics == resolve.SemanticsGateway
		if route.HTTP != nil && !route.Made() {
			ref = d.Ref.At(d.Ref.Field + ".destination")
		}
		to := target{made: route.Made(), backend: backend, invalid: route.InvalidBackend(d.Ref), host: d.Destination.GetHost(), port: int(d.Destination.GetPort().GetNumber()), subset: d.Destination.GetSubset(), ref: ref}
		if r.gateway {
			to.named = w.snapshot.RouteService(to.host, route.VirtualService, r.workload.Namespace)
		}
		w.toHost(branch, r, to)
	}
}

// serverPort names the server of which a destination without a port gets the number.
func serverPort(r *router, route *resolve.Route, d resolve.WeightedDestination) []resolve.Step {
	if route.Server.IsZero() || d.Destination.GetPort().GetNumber() != 0 {
		return nil
	}
	if svc, known := r.scope.Service(d.Destination.GetHost()); !known || len(svc.Ports) < 2 {
		return nil
	}
	return []resolve.Step{resolve.NewStep(resolve.RuleGatewayRoutePort, resolve.Applied, route.Server, d.Destination.GetHost(), route.ListenPort)}
}

func firstReason(steps []resolve.Step) string {
	if len(steps) == 0 {
		return ""
	}
	return steps[0].Reason()
}

func lastReason(steps []resolve.Step) string {
	if len(steps) == 0 {
		return ""
	}
	return steps[len(steps)-1].Reason()
}

func subsetNote(subset string) string {
	if subset == "" {
		return ""
	}
	return ", subset " + subset
}

func formatPercent(v float64) string { return fmt.Sprintf("%.4g%%", v) }
