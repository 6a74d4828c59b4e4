package trace

import (
	"cmp"
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// Another network, which is reached by a gateway:
//
//  1. Where a Service here has the gateway's address, the request enters one of its pods, as from a load balancer.
//  2. Else it leaves what is known here: what becomes of it behind the gateway depends on that network.
//  3. A gateway whose server is AUTO_PASSTHROUGH sends the proxy's mTLS on, unopened, to an endpoint of the cluster that the server
//     name spells: of those that take Istio mTLS, and that it reaches itself.
//
// Source: pilot/pkg/networking/core/cluster.go, buildOutboundSniDnatClusters; pilot/pkg/xds/endpoints/ep_filters.go,
// EndpointsWithMTLSFilter.

// noteNetworks notes which endpoints there are or how they are reached, and that it is open where istiod may not know of gateways
// yet.
func (p *path) noteNetworks(steps []resolve.Step) {
	p.note(steps...)
	if slices.ContainsFunc(steps, func(s resolve.Step) bool { return s.Rule == resolve.RuleNetworkDNS }) {
		p.lower(Undetermined)
	}
}

// toNetwork is steps 1 and 2. HBONE goes on in eastwest.go.
func (w *walk) toNetwork(p *path, gw *resolve.NetworkGateway, tls resolve.ClientTLS) {
	if c := p.hop().met.cluster; tls.HBONE && c != nil && p.sender != nil {
		w.byEastWest(p, gw, nested{service: c.Service, port: c.Port.Number, view: w.snapshot, by: p.sender.Dataplane})
		return
	}
	p.dest.TargetPort = gw.Port
	if gw.Service != nil {
		if back := w.enterCluster(p, gw.Service.Ref.Cluster); back != nil {
			defer back()
		}
		if w.turnsBack(p, gw) {
			return
		}
		w.dialService(p, resolve.Dialled{Service: gw.Service, Port: gw.ServicePort}, tls)
		return
	}
	sent := tls
	if p.wrapper != nil && tls.Mode == resolve.ClientPlaintext {
		sent = p.wrapper.tls
	}
	step := resolve.NewStep(resolve.RuleNetworkBeyondOpen, resolve.Warned, gw.Ref, gw.At(), gw.Network)
	if sent.Mode == resolve.ClientMTLS {
		step = resolve.NewStep(resolve.RuleNetworkBeyond, resolve.Warned, gw.Ref, gw.At(), gw.Network, cmp.Or(sent.SNI, "none"))
	}
	w.endAt(p, Outcome{Decision: Delivered, Certainty: Undetermined, Code: CodeOtherNetwork, Forwarded: p.forwarded(), By: p.by}, step)
}

// turnsBack ends a request that a gateway of the network sends to the gateways of its own network again: it does so with each, for ever.
func (w *walk) turnsBack(p *path, gw *resolve.NetworkGateway) bool {
	last := p.hop()
	if last.Proxy != resolve.DataplaneGateway || p.sender == nil || p.sender.Owner != last.Workload || !resolve.Selects(gw.Service.Selector, p.sender.Labels) || p.sender.Namespace != gw.Service.Namespace {
		return false
	}
	w.endAt(p, Outcome{Decision: Reset, Code: CodeTooManyHops, By: p.by}, resolve.NewStep(resolve.RuleNetworkTurns, resolve.None, gw.Ref, last.Workload, gw.At(), gw.Network))
	return true
}

// passOn is step 3.
func (w *walk) passOn(p *path, gw *resolve.Workload, svc *resolve.Service, port resolve.Port) {
	cluster, steps := w.snapshot.Cluster(gw, svc, port, p.dest.Subset)
	p.note(steps...)
	if cluster == nil {
		w.unavailableBy(p, CodeNoCluster, "NC", "cluster_not_found", decisive(steps), svc.Ref)
		return
	}
	if cluster.Type == resolve.ClusterOriginalDst { // a gateway has no address that was dialled
		_, steps := w.snapshot.Balance(gw, cluster, nil)
		p.note(steps...)
		w.unavailableBy(p, CodeNoEndpoints, "UH", "no_healthy_upstream", decisive(steps), svc.Ref)
		return
	}
	w.asked.balances(w.snapshot, cluster)
	endpoints, steps := w.snapshot.Endpoints(gw, svc, port)
	p.noteNetworks(steps)
	p.note(w.snapshot.ElsewhereToo(svc)...)
	if len(endpoints) == 0 {
		w.unavailableBy(p, CodeNoEndpoints, "UH", "no_healthy_upstream", decisive(steps), svc.Ref)
		return
	}
	inSubset, steps := w.snapshot.SubsetEndpoints(cluster, endpoints)
	p.note(steps...)
	if len(inSubset) == 0 {
		w.unavailableBy(p, CodeSubsetEmpty, "UH", "no_healthy_upstream", decisive(steps), cluster.SubsetRef)
		return
	}
	reached, steps := w.snapshot.PassedOn(gw, cluster, inSubset)
	p.noteNetworks(steps)
	if len(reached) == 0 {
		p.note(resolve.Behind(svc, inSubset)...)
		w.unavailableBy(p, CodeNetworkUnreachable, "UH", "no_healthy_upstream", decisive(steps), svc.Ref)
		return
	}
	healthy, steps := w.snapshot.Balance(gw, cluster, reached)
	p.note(steps...)
	if len(healthy) == 0 {
		p.note(resolve.Behind(svc, inSubset)...)
		w.unavailableBy(p, CodeNoneHealthy, "UH", "no_healthy_upstream", decisive(steps), svc.Ref)
		return
	}
	for _, g := range w.groupEndpoints(healthy) {
		branch := p.branch(g.part)
		branch.dest.TargetPort = g.first.Port
		w.arrive(branch, g, resolve.ClientTLS{Mode: resolve.ClientPlaintext})
	}
}
