package trace

import (
	"istio.io/api/label"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

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
	missed := func() []resolve.Step { return w.missed(p, svc, port.Number, binding) }
	at, uses := w.snapshot.IngressUsesWaypoint(svc)
	switch {
	case !r.gateway:
		pastWaypoint(p, missed(), binding, binding.By, "a sidecar", "no sidecar sends through a waypoint")
		return false
	case !uses:
		why := at.String() + " is not true"
		if at.IsZero() {
			at = svc.Ref.Object().At("metadata.labels[" + label.IoIstioIngressUseWaypoint.Name + "]")
			why = label.IoIstioIngressUseWaypoint.Name + " is not set"
		}
		pastWaypoint(p, missed(), binding, at, "a gateway", why)
		return false
	case len(svc.Addresses) == 0 && !svc.Headless():
		pastWaypoint(p, missed(), binding, svc.Ref, "a gateway", svc.Hostname+" has no address of its own")
		return false
	}
	p.note(binding.Steps...)
	p.note(resolve.NewStep(resolve.RuleWaypointFromIngress, resolve.Applied, at, binding.Waypoint.Name()))
	if !w.toWaypoint(p, r.workload, binding.Waypoint, tunnelled{service: svc, port: port.Number}) {
		step := resolve.NewStep(resolve.RuleWaypointIngressNone, resolve.None, binding.Waypoint.Ref, binding.Waypoint.Name())
		p.note(step)
		w.unavailableBy(p, CodeNoWaypoint, "UH", "no_healthy_upstream", step, binding.Waypoint.Ref)
	}
	return true
}
