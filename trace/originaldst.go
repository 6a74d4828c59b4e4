package trace

import (
	"slices"

	"github.com/mesh-trace/kubectl-mesh-trace/resolve"
)

// A cluster of type ORIGINAL_DST has no endpoints of its own: it opens its connection to where the
// application connected to, with the cluster's TLS and the cluster's word on whom to accept.
//
//  1. The application dialled the cluster's own service, which is headless or of resolution NONE: one of its
//     endpoints is meant.
//  2. It dialled something else (a Host header or a route led here), or the service is another one, whose load
//     balancer is PASSTHROUGH: kube-proxy, the workload that has the address, or a host outside gets what was
//     meant for the service. Only the targetPort of a ServiceEntry of resolution NONE changes the port.
//  3. At a waypoint it is the address that HBONE is asked for: that of the service which the client dialled, wherever the route
//     leads. The connection goes there past HBONE, in plaintext or in TLS of a DestinationRule.
//  4. Gateways ask HBONE for a service without an address, headless or of an allocated one, as 0.0.0.0: the waypoint then connects
//     to its own pod.
//
// Source: pilot/pkg/networking/core/cluster.go, convertResolution; cluster_builder.go, buildCluster; cluster_waypoint.go,
// buildWaypointInboundVIPCluster; pilot/pkg/xds/endpoints/endpoint_builder.go, buildEnvoyLbEndpoint;
// Envoy, Original destination service discovery; source/extensions/clusters/original_dst/original_dst_cluster.cc, chooseHost;
// source/extensions/transport_sockets/internal_upstream/internal_upstream.cc.

// dialsOther reports whether the application dialled something else than the service.
func dialsOther(d resolve.Dialled, svc *resolve.Service, endpoints []*resolve.Endpoint) bool {
	if d.Service != nil {
		return d.Service.Hostname != svc.Hostname || d.Service.Registry != svc.Registry
	}
	if svc.Registry != resolve.RegistryKubernetes {
		return !d.Address.Prefix.IsValid() // an address is one that the ServiceEntry's listener took
	}
	return !slices.ContainsFunc(endpoints, func(e *resolve.Endpoint) bool { return e.Address != "" && e.Address == d.Address.String() })
}

// toDialled is rule 2; endpoints are those that the service would have.
func (w *walk) toDialled(p *path, r *router, cluster *resolve.Cluster, endpoints []*resolve.Endpoint) {
	d, svc := r.dialled, cluster.Service
	p.note(resolve.NewStep(resolve.RuleOriginalDestination, resolve.Applied, svc.Ref, svc.Hostname, hostOf(d, w.request.Host)))
	if svc.Registry != resolve.RegistryKubernetes && svc.Resolution == resolve.Passthrough && cluster.Port.TargetPort != 0 {
		d = d.OnPort(cluster.Port.TargetPort)
	}
	p.dest = Destination{Host: hostOf(d, w.request.Host), Port: d.Port, Subset: p.dest.Subset, EnvoyCluster: p.dest.EnvoyCluster}
	_, steps := w.snapshot.SubsetEndpoints(cluster, endpoints)
	p.note(steps...)
	p.note(resolve.Behind(svc, endpoints)...) // they decide about mTLS
	tls := p.named(w.snapshot.ClientTLSFor(r.workload, cluster, &resolve.Endpoint{Ref: svc.Ref}))
	p.note(tls.Step)
	if r.nameless {
		w.endAt(p, w.refused(p, CodeNoGatewayPort), resolve.NewStep(resolve.RuleWaypointNoAddress, resolve.Warned, d.Service.Ref, d.Service.Hostname, d.Port))
		return
	}
	if w.originates(p, w.snapshot.ClientCertificates(r.workload, cluster, tls)) {
		w.connect(p, d, tls)
	}
}

// connect opens a connection to where the application dialled.
func (w *walk) connect(p *path, d resolve.Dialled, tls resolve.ClientTLS) {
	p.dest.TargetPort = d.Port
	if d.Unseen {
		p.lower(Undetermined) // its pods are not known from here either
	}
	switch {
	case d.Service != nil && d.Service.Registry == resolve.RegistryKubernetes:
		w.dialService(p, d, tls)
	case w.known(p, d.Address.Prefix.Addr(), d.Port, tls):
	case w.snapshot.MachineAt(d.Address.Prefix.Addr()) != nil:
		there := w.snapshot.MachineAt(d.Address.Prefix.Addr())
		p.dest.Workloads, p.dest.Endpoints = []resolve.Ref{there.Owner}, 1
		w.receive(p, arrival{workload: there, port: d.Port, tls: tls})
	default:
		w.outside(p, &resolve.Endpoint{Address: p.dest.Host, Port: d.Port}, tls)
	}
}
