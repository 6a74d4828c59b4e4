package trace

import "github.com/mesh-trace/kubectl-mesh-trace/resolve"

// A gateway goes past the waypoint of a service, unless the service or its namespace says istio.io/ingress-use-waypoint: true.
//
//  1. Then every cluster of the service, those of subsets too, leads to the pods of the waypoint, which routes again. The
//     service needs an address of its own; a headless Service counts as having one.
//  2. Without a pod of the waypoint that is ready the cluster is empty: nothing falls back to the service's own pods.
//  3. Sidecars always go past it, as do clients without a proxy.
//
// Source: pilot/pkg/xds/endpoints/endpoint_builder.go, findServiceWaypoint.

// ingressToWaypoint is steps 1 and 2; it reports whether the waypoint takes the request.
func (w *walk) ingressToWaypoint(p *path, r *router, svc *resolve.Service, port resolve.Port) bool {
	binding := w.snapshot.ServiceWaypoint(svc)
	if binding.Waypoint == nil {
		return false
	}
	label, uses := w.snapshot.IngressUsesWaypoint(svc)
	switch {
	case !r.gateway:
		p.note(binding.Steps...)
		p.note(resolve.NewStep(resolve.RuleWaypointPassedBy, resolve.Skipped, binding.By, "a sidecar", binding.Waypoint.Name(), "no sidecar sends through a waypoint"))
		return false
	case !uses:
		p.note(binding.Steps...)
		why := "istio.io/ingress-use-waypoint is not set"
		if !label.IsZero() {
			why = label.String() + " is not true"
		}
		p.note(resolve.NewStep(resolve.RuleWaypointPassedBy, resolve.Skipped, binding.By, "a gateway", binding.Waypoint.Name(), why))
		return false
	case len(svc.Addresses) == 0 && !svc.Headless():
		p.note(binding.Steps...)
		p.note(resolve.NewStep(resolve.RuleWaypointPassedBy, resolve.Skipped, binding.By, "a gateway", binding.Waypoint.Name(), svc.Hostname+" has no address of its own"))
		return false
	}
	p.note(binding.Steps...)
	p.note(resolve.NewStep(resolve.RuleWaypointFromIngress, resolve.Applied, label, binding.Waypoint.Name()))
	pods, steps := w.snapshot.WaypointEndpoints(r.workload, binding.Waypoint)
	p.note(steps...)
	if len(pods) == 0 {
		step := resolve.NewStep(resolve.RuleWaypointIngressNone, resolve.None, binding.Waypoint.Ref, binding.Waypoint.Name())
		p.note(step)
		w.unavailableBy(p, CodeNoWaypoint, "UH", "no_healthy_upstream", step, binding.Waypoint.Ref)
		return true
	}
	for _, g := range w.groupEndpoints(pods) {
		w.throughWaypoint(p.branch(g.part), arrival{workload: g.first.Workload, port: g.first.Port, tls: w.snapshot.ZtunnelSends(g.first)}, tunnelled{service: svc, port: port.Number})
	}
	return true
}
