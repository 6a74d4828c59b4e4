package resolve

import (
	"cmp"
	"net/netip"
	"slices"

	api "istio.io/api/networking/v1alpha3"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// ServiceTarget is a service port that leads to a workload.
type ServiceTarget struct {
	Service *Service
	Port    Port
	// TargetPort is the workload's port.
	TargetPort int
	// Slice is the EndpointSlice that has the workload's address, for a Service without a selector.
	Slice Ref
}

// ServiceTargets are the service ports that lead to the workload, as its own proxy has to know them:
//
//  1. ServiceEntries of its namespace: those that select it (a pod while it is ready), and those with an
//     endpoint of its address.
//  2. Services of its namespace whose selector selects it; for a WorkloadEntry those with a ClusterIP, at the
//     ports that it maps. Without any: Services without a selector that have an EndpointSlice with its address.
//  3. Of several ports of one Service with the same target port and protocol only the first counts. A
//     port whose target's name no container declares does not count.
//  4. The oldest service is first, of equal age that whose host name sorts first.
//
// Source: pilot/pkg/serviceregistry/serviceentry/controller.go, GetProxyServiceTargets (1);
// serviceregistry/kube/controller/controller.go, GetProxyServiceTargets, GetProxyServiceTargetsByPod,
// serviceTargetsFromWorkloadInstance, and
// endpointslice.go, GetProxyServiceTargets (2, 3); model/context.go, SetServiceTargets (4).
func (s *Snapshot) ServiceTargets(w *Workload) []ServiceTarget {
	var out []ServiceTarget
	selected := false
	for _, svc := range s.ServicesOf(w) {
		if svc.Registry == RegistryKubernetes {
			selected = true
			if w.Entry != nil && svc.Resolution != ClientSideLB {
				continue // headless
			}
			out = append(out, selectedTargets(svc, w)...)
			continue
		}
		if w.Entry == nil && (!w.Ready || w.Terminating) {
			continue
		}
		out = append(out, s.entryTargets(svc, w)...)
	}
	out = append(out, s.inlineTargets(w)...)
	if !selected && w.Entry == nil {
		out = append(out, s.sliceTargets(w)...)
	}
	slices.SortStableFunc(out, func(a, b ServiceTarget) int { // 4.
		return cmp.Or(compareTimes(a.Service.Created, b.Service.Created), cmp.Compare(a.Service.Hostname, b.Service.Hostname))
	})
	return out
}

// selectedTargets is step 3, for a Service that selects the workload.
func selectedTargets(svc *Service, w *Workload) []ServiceTarget {
	type target struct {
		port     int
		protocol Protocol
	}
	var out []ServiceTarget
	seen := map[target]bool{}
	for _, p := range svc.Ports {
		n, ok := workloadPort(w, p)
		t := target{n, p.Protocol}
		if !ok || seen[t] {
			continue
		}
		seen[t] = true
		out = append(out, ServiceTarget{Service: svc, Port: p, TargetPort: n})
	}
	return out
}

// workloadPort is the workload's port behind a Service port. An assumed workload has no containers
// among which a name could be looked up.
func workloadPort(w *Workload, p Port) (int, bool) {
	if len(w.Containers) == 0 && w.Entry == nil {
		p.TargetName = ""
	}
	if w.Entry != nil {
		n, ok := entryTargetPort(p, w)
		return n, ok && p.Protocol != ProtocolUDP
	}
	return p.TargetOn(w)
}

// entryTargets are the ports of a ServiceEntry whose workloadSelector selects the workload.
func (s *Snapshot) entryTargets(svc *Service, w *Workload) []ServiceTarget {
	var out []ServiceTarget
	for _, p := range s.entryPorts(svc) {
		own, address := 0, ""
		if w.Entry != nil {
			own, address = int(w.Entry.Spec.GetPorts()[p.GetName()]), w.Entry.Spec.GetAddress()
		} else {
			own, _ = namedPort(w, p.GetName(), false)
		}
		port, ok := svc.PortByNumber(int(p.GetNumber()))
		if n := instancePort(p, uint32(own), address); ok && n != 0 {
			out = append(out, ServiceTarget{Service: svc, Port: port, TargetPort: n})
		}
	}
	return out
}

// inlineTargets are the ports of the ServiceEntries that have the workload's address among their endpoints.
func (s *Snapshot) inlineTargets(w *Workload) []ServiceTarget {
	var out []ServiceTarget
	for _, ip := range w.Addresses {
		for _, at := range s.index.endpoints().inline[addressKey{w.Namespace, ip}] {
			for _, p := range at.entry.Spec.GetPorts() {
				port, ok := at.service.PortByNumber(int(p.GetNumber()))
				if n := instancePort(p, at.endpoint.GetPorts()[p.GetName()], at.endpoint.GetAddress()); ok && n != 0 {
					out = append(out, ServiceTarget{Service: at.service, Port: port, TargetPort: n})
				}
			}
		}
	}
	return out
}

// sliceTargets are the ports of Services without a selector whose EndpointSlices have the workload's first address.
func (s *Snapshot) sliceTargets(w *Workload) []ServiceTarget {
	if len(w.Addresses) == 0 {
		return nil
	}
	var out []ServiceTarget
	for _, svc := range s.index.services().unselected[w.Namespace] {
		for _, slice := range s.endpointsIn(w.Namespace).slices[svc.Name] {
			if !slices.ContainsFunc(slice.Endpoints, func(e discoveryv1.Endpoint) bool {
				return len(e.Addresses) > 0 && e.Addresses[0] == firstAddress(w)
			}) {
				continue
			}
			for _, p := range slice.Ports {
				i := slices.IndexFunc(svc.Ports, func(port Port) bool { return p.Name == nil && port.Name == "" || p.Name != nil && port.Name == *p.Name })
				if i >= 0 && p.Port != nil {
					ref := refOf("discovery.k8s.io", "EndpointSlice", slice)
					out = append(out, ServiceTarget{Service: svc, Port: svc.Ports[i], TargetPort: int(*p.Port), Slice: ref})
				}
			}
		}
	}
	return out
}

// namedByAddress reports whether a service leads to the workload by its address: workloads of the same
// labels may then have different targets.
func (s *Snapshot) namedByAddress(w *Workload) bool {
	return len(s.inlineTargets(w))+len(s.sliceTargets(w)) > 0
}

// slicesPassedBy tells why a Service without a selector, which would lead to the port, does not count.
func (s *Snapshot) slicesPassedBy(w *Workload, port int) []Step {
	i := slices.IndexFunc(s.ServicesOf(w), func(svc *Service) bool { return svc.Registry == RegistryKubernetes })
	if i < 0 || w.Entry != nil {
		return nil
	}
	var steps []Step
	for _, t := range s.sliceTargets(w) {
		if t.TargetPort == port {
			steps = append(steps, NewStep(RuleInboundNoSlice, Skipped, s.ServicesOf(w)[i].Ref, w.Owner, t.Service.Ref.QualifiedName()))
		}
	}
	return steps
}

func (s *Snapshot) entryPorts(svc *Service) []*api.ServicePort {
	return s.index.endpoints().serviceEntry[destinationKey{svc.Namespace, svc.Ref.Name}].Spec.GetPorts()
}

// addressKey is an address as a namespace's services name it.
type addressKey struct {
	namespace string
	ip        netip.Addr
}

// inlineEndpoint is an endpoint written in a ServiceEntry.
type inlineEndpoint struct {
	service  *Service
	entry    *networking.ServiceEntry
	endpoint *api.WorkloadEntry
}

// indexInline finds the endpoints written in ServiceEntries by their addresses.
func (ix *endpointIndex) indexInline(all []*Service) {
	ix.inline = map[addressKey][]inlineEndpoint{}
	for _, svc := range all {
		if svc.Registry != RegistryExternal || len(svc.Selector) > 0 {
			continue
		}
		se := ix.serviceEntry[destinationKey{svc.Namespace, svc.Ref.Name}]
		for _, e := range se.Spec.GetEndpoints() {
			if ip, err := netip.ParseAddr(e.GetAddress()); err == nil {
				key := addressKey{svc.Namespace, ip}
				ix.inline[key] = append(ix.inline[key], inlineEndpoint{svc, se, e})
			}
		}
	}
}

// workloadBehind is the pod that has the address of an endpoint; most are of the namespace that has the endpoint.
func (s *Snapshot) workloadBehind(namespace string, ip netip.Addr) *Workload {
	if w := s.endpointsIn(namespace).podByIP[ip]; w != nil && !w.HostNetwork {
		return w
	}
	return s.WorkloadAt(ip)
}
