package trace

import (
	"istio.io/api/label"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// A gateway goes past the waypoint of a service, unless the service or its namespace says istio.io/ingress-use-waypoint: true.
//
//  1. Then every cluster of the service, those of subsets too, leads to the pods of the waypoint, which routes again. The
//     service needs an address, if only one that istiod allocated; a headless Service counts as having one.
//  2. Not so a cluster that is no EDS cluster: of resolution DNS, or of load balancer PASSTHROUGH.
//  3. With a canary the pods of both stand in the cluster, each lot with the weight of its waypoint: where one of them has no
//     pod that is ready, the other gets everything. (A ztunnel picks first, and fails.)
//  4. Without a pod of any the cluster is empty: nothing falls back to the service's own pods.
//  5. Sidecars always go past it, as do clients without a proxy.
//
// Source: pilot/pkg/xds/endpoints/endpoint_builder.go, findServiceWaypoint, weightedWaypointEndpoints, FromServiceEndpoints.

// ingressToWaypoint is steps 1 to 4; it reports whether a waypoint takes the request.
func (w *walk) ingressToWaypoint(p *path, r *router, c *resolve.Cluster) bool {
	svc, port := c.Service, c.Port
	binding := w.waypointOf(svc)
	if binding.Waypoint == nil {
		w.withoutWaypoint(p, svc, port.Number, binding)
		return false
	}
	missed := func() []resolve.Step { return w.missed(p, svc, port.Number, binding) }
	at, uses := w.snapshot.IngressUsesWaypoint(svc)
	nameless := len(svc.Addresses) == 0
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
	case c.Type != resolve.ClusterEDS:
		pastWaypoint(p, missed(), binding, svc.Ref, "a gateway", "its cluster "+c.Name+" is of type "+string(c.Type)+", and only those of type EDS lead to waypoints")
		return false
	case nameless && len(svc.Allocated) == 0 && !svc.Headless():
		pastWaypoint(p, missed(), binding, svc.Ref, "a gateway", svc.Hostname+" has no address of its own")
		return false
	}
	p.note(binding.Steps...)
	p.note(resolve.NewStep(resolve.RuleWaypointFromIngress, resolve.Applied, at, binding.Waypoint.Name()))
	to := tunnelled{service: svc, port: port.Number, dialled: resolve.Dialled{Service: svc, Port: port.Number}, nameless: nameless}
	if !nameless {
		to.dialled.Address = svc.Addresses[0]
	}
	shares := w.readyShares(p, r.workload, binding)
	for _, s := range shares {
		w.toWaypoint(p.branch(s.part), r.workload, s.waypoint, to)
	}
	if len(shares) == 0 {
		w.toWaypoint(p, r.workload, binding.Waypoint, to) // tells why there is no pod
		step := resolve.NewStep(resolve.RuleWaypointIngressNone, resolve.None, binding.Waypoint.Ref, binding.Waypoint.Name())
		p.note(step)
		w.unavailableBy(p, CodeNoWaypoint, "UH", "no_healthy_upstream", step, binding.Waypoint.Ref)
	}
	return true
}

// waypointShare is the part of the requests that a waypoint gets, 0 to 1.
type waypointShare struct {
	waypoint *resolve.Waypoint
	part     float64
}

// readyShares is step 3: the waypoints that have pods, and what each gets of a gateway's requests.
func (w *walk) readyShares(p *path, gateway *resolve.Workload, b resolve.WaypointBinding) []waypointShare {
	shares := []waypointShare{{b.Waypoint, 1}}
	if b.Canary != nil {
		part := float64(b.CanaryWeight) / 100
		shares = []waypointShare{{b.Waypoint, 1 - part}, {b.Canary, part}}
	}
	var ready []waypointShare
	var without *resolve.Waypoint
	var why []resolve.Step
	total := 0.0
	for _, s := range shares {
		switch pods, steps := w.snapshot.WaypointEndpoints(gateway, s.waypoint); {
		case s.part == 0:
		case len(pods) == 0:
			without, why = s.waypoint, steps
		default:
			ready, total = append(ready, s), total+s.part
		}
	}
	for i := range ready {
		ready[i].part /= total
	}
	if len(ready) > 0 && without != nil {
		p.note(why...)
		p.note(resolve.NewStep(resolve.RuleWaypointIngressOther, resolve.Applied, without.Ref, without.Name(), ready[0].waypoint.Name()))
	}
	return ready
}
