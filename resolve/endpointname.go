package resolve

import (
	"net/netip"
	"strings"
)

// Endpoints that are names. A cluster that resolves DNS asks the DNS of the pod its proxy runs in:
//
//  1. The name of a Service is its ClusterIP. kube-proxy chooses the pod there: of the Service's own routing, subsets
//     and mTLS the client's proxy knows nothing.
//  2. The name of a headless Service is the addresses of its ready pods, each an endpoint.
//  3. A name in the cluster's domain that is no Service, or a headless one without ready pods, is no endpoint.
//  4. Every other name is taken to resolve outside the cluster.
//
// Source: Kubernetes, DNS for Services and Pods; Envoy, Service discovery, Strict DNS.

// Rules of endpoints that are names.
const (
	RuleEndpointServiceName RuleID = "endpoint/name-of-service"
	RuleEndpointUnknownName RuleID = "endpoint/name-unknown"
)

var endpointNameRules = []Rule{
	{
		ID: RuleEndpointServiceName, Stage: StageLoadBalance,
		Says:     "A proxy that resolves an endpoint's name to a Service connects to its ClusterIP, where kube-proxy chooses the pod: the Service's DestinationRules, subsets and mTLS do not apply.",
		Template: "endpoint %s is the name of Service %s: the proxy connects to what cluster DNS gives, without that Service's routing and mTLS",
		Source:   "Kubernetes, DNS for Services and Pods; Envoy, Service discovery, Strict DNS",
	},
	{
		ID: RuleEndpointUnknownName, Stage: StageLoadBalance,
		Says:     "An endpoint whose name cluster DNS does not know is none.",
		Template: "cluster DNS has no address for endpoint %s: it is none",
		Source:   "Envoy, Service discovery, Strict DNS",
	},
}

// NamedService is what a proxy finds that resolves an endpoint's name for itself; false for an address, and for a name
// that is not the cluster's own.
func (s *Snapshot) NamedService(client *Workload, e *Endpoint) (Resolved, []Step, bool) {
	if _, err := netip.ParseAddr(e.Address); err == nil || e.Address == "" {
		return Resolved{}, nil, false
	}
	if client == nil {
		client = &Workload{}
	}
	found, steps := s.ResolveName(client, nil, e.Address, e.Port)
	own := found.Service != nil || found.Unseen
	if !found.Found { // 3.
		own = inClusterDomain(strings.ToLower(strings.TrimSuffix(e.Address, ".")), s.Mesh.Domain)
	}
	return found, steps, own
}

// resolved are the endpoints of a cluster that resolves DNS: those with an address, counted by their addresses.
func (s *Snapshot) resolved(client *Workload, eps []*Endpoint) (kept []*Endpoint, steps []Step) {
	for _, e := range eps {
		found, _, own := s.NamedService(client, e)
		pods := 1
		switch {
		case !own:
		case found.Headless: // 2.
			pods = podCount(s.NamedEndpoints(found.Service, found.Pod, e.Port))
		case !found.Found:
			pods = 0
		}
		if pods == 0 {
			steps = append(steps, NewStep(RuleEndpointUnknownName, Skipped, e.Ref, e.Address))
			continue
		}
		if pods > 1 {
			several := *e
			several.Count = e.Count * pods
			e = &several
		}
		if own && found.Service != nil {
			steps = append(steps, NewStep(RuleEndpointServiceName, Applied, e.Ref, e.Address, found.Service.Ref.QualifiedName()))
		}
		kept = append(kept, e)
	}
	return kept, steps
}
