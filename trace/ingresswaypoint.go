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
		w.withoutWaypoint(p, svc, port.Number, binding)
		return false
	}
	label, uses := w.snapshot.IngressUsesWaypoint(svc)
	switch {
	case !r.gateway:
		w.pastWaypoint(p, svc, port.Number, binding, binding.By, "a sidecar", "no sidecar sends through a waypoint")
		return false
	case !uses:
		why := label.String() + " is not true"
		if label.IsZero() {
			label, why = svc.Ref.Object().At("metadata.labels[istio.io/ingress-use-waypoint]"), "istio.io/ingress-use-waypoint is not set"
		}
		w.pastWaypoint(p, svc, port.Number, binding, label, "a gateway", why)
		return false
	case len(svc.Addresses) == 0 && !svc.Headless():
		w.pastWaypoint(p, svc, port.Number, binding, svc.Ref, "a gateway", svc.Hostname+" has no address of its own")
		return false
	}
	p.note(binding.Steps...)
	p.note(resolve.NewStep(resolve.RuleWaypointFromIngress, resolve.Applied, label, binding.Waypoint.Name()))
	p.note(resolve.NewStep(resolve.RuleZtunnelToWaypoint, resolve.Applied, binding.Waypoint.Ref, binding.Waypoint.Name(), tunnelled{service: svc, port: port.Number}.String()))
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
