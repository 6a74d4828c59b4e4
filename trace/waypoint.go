package trace

import "github.com/mesh-trace/kubectl-mesh-trace/resolve"

// throughWaypoint is a waypoint that ends HBONE and dispatches by what it was asked for.
func (w *walk) throughWaypoint(p *path, a arrival, to tunnelled) {
	p.enter(Hop{Proxy: resolve.DataplaneWaypoint, Direction: AtGateway, Workload: a.workload.Owner, TLS: TLSHBONE, Peer: p.sender.Principal(w.snapshot.Mesh.GetTrustDomain())})
	p.note(resolve.NewStep(resolve.RuleAmbientServer, resolve.Warned, a.workload.Owner, to.String()))
	p.lower(Undetermined)
	w.deliver(p, a)
}
