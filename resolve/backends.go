package resolve

import (
	"strconv"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// What the cluster itself, without a proxy, sends connections for a Kubernetes Service to.
//
//  1. kube-proxy sends a connection to a ClusterIP to the ready endpoints of the port in the
//     EndpointSlices (or to what would be in them). WorkloadEntries and ServiceEntries are istiod's
//     alone. internalTrafficPolicy Local keeps those on the client's node.
//  2. The name of a headless Service resolves to the addresses of all its ready endpoints,
//     whatever their ports.
//  3. POD.SERVICE resolves to the endpoint with that host name: a StatefulSet's pod under the
//     Service that spec.serviceName names, or a pod with hostname and subdomain.
//
// Source: Kubernetes, Virtual IPs and Service Proxies; DNS for Services and Pods, "Pod's hostname and
// subdomain fields"; DNS-based service discovery specification, 2.4.

// Backends is rule 1.
func (s *Snapshot) Backends(client *Workload, svc *Service, port Port) ([]*Endpoint, []Step) {
	set := &instanceSet{}
	svc, port = s.ownPort(svc, port)
	if svc == nil {
		return nil, nil
	}
	s.kubernetesInstances(set, svc, port)
	s.endpointGaps(set, svc)
	eps, steps := healthyOf(set.endpoints), set.steps
	if svc.InternalTrafficLocal && client != nil {
		var more []Step
		eps, more = onNode(client, svc, eps)
		steps = append(steps, more...)
	}
	return s.counted(svc, port, eps, steps)
}

// ownPort is the Service as this cluster has it, with the port of that number.
func (s *Snapshot) ownPort(svc *Service, port Port) (*Service, Port) {
	own := s.own(svc)
	if own == nil || own == svc {
		return own, port
	}
	if p, ok := own.PortByNumber(port.Number); ok {
		port = p
	}
	return own, port
}

// counted ends the steps with how many endpoints there are.
func (s *Snapshot) counted(svc *Service, port Port, eps []*Endpoint, steps []Step) ([]*Endpoint, []Step) {
	n := podCount(eps)
	if n == 0 {
		return nil, append(steps, NewStep(RuleEndpointsNone, None, svc.Ref, svc.Hostname, port.Number, s.whyNone(svc, steps)))
	}
	return eps, append(steps, NewStep(RuleEndpoints, Applied, svc.Ref, n, svc.Hostname, port.Number))
}

// NamedEndpoints are rules 2 and 3: the endpoints behind the name of a headless Service, each with
// the port that the application dials. hostname is empty for the Service's own name.
func (s *Snapshot) NamedEndpoints(svc *Service, hostname string, port int) []*Endpoint {
	set := &instanceSet{}
	if svc = s.own(svc); svc == nil {
		return nil
	}
	slices := s.endpointsIn(svc.Namespace).slices[svc.Name]
	for _, slice := range slices {
		s.namedInSlice(set, slice, hostname, port)
	}
	if len(slices) > 0 || len(svc.Selector) == 0 {
		return set.endpoints
	}
	for _, w := range s.WorkloadsIn(svc.Namespace) {
		ready := w.Ready && !w.Terminating || svc.PublishNotReady
		if !ready || !Selects(svc.Selector, w.Labels) {
			continue
		}
		e := endpointOf(w, firstAddress(w), port, workloadRef(w))
		e.Count = w.Replicas
		if hostname != "" {
			if !w.hasHostname(hostname, svc.Name) {
				continue
			}
			e.Count = 1
		}
		set.add(e)
	}
	return set.endpoints
}

func (s *Snapshot) namedInSlice(set *instanceSet, slice *discoveryv1.EndpointSlice, hostname string, port int) {
	if slice.AddressType == discoveryv1.AddressTypeFQDN {
		return
	}
	for i := range slice.Endpoints {
		e := &slice.Endpoints[i]
		if e.Conditions.Ready != nil && !*e.Conditions.Ready || hostname != "" && (e.Hostname == nil || *e.Hostname != hostname) {
			continue
		}
		at := refOf("discovery.k8s.io", "EndpointSlice", slice).At(pathIndex("endpoints", i))
		for _, address := range e.Addresses {
			if pod, keep := s.podOf(set, slice.Namespace, address, e.TargetRef, at); keep {
				set.add(endpointOf(pod, address, port, at))
			}
		}
	}
}

// hasHostname reports whether the workload's pod has the name under the Service.
func (w *Workload) hasHostname(hostname, service string) bool {
	if w.Subdomain != service {
		return false
	}
	if w.Owner.Kind != "StatefulSet" || !w.FromTemplate {
		return w.Hostname == hostname
	}
	ordinal, ok := strings.CutPrefix(hostname, w.Owner.Name+"-")
	n, err := strconv.Atoi(ordinal)
	return ok && err == nil && n >= 0 && n < w.Replicas && strconv.Itoa(n) == ordinal
}
