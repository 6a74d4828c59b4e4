package resolve

import (
	"cmp"
	"net/netip"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	endpointSliceKind = schema.GroupKind{Group: "discovery.k8s.io", Kind: "EndpointSlice"}
	podKind           = schema.GroupKind{Kind: "Pod"}
	workloadEntryKind = schema.GroupKind{Group: istioNetworking, Kind: "WorkloadEntry"}
)

// kubernetesInstances adds the endpoints of a Kubernetes Service, as the cluster itself has it.
//
//  1. EndpointSlices labelled for the Service decide; type FQDN is ignored. Workloads that an overlay adds to a cluster
//     are yet to be written into them.
//  2. Without any, and with a selector, the matching pods and templates stand in
//     for what the EndpointSlice controller would have written.
func (s *Snapshot) kubernetesInstances(set *instanceSet, svc *Service, port Port) {
	running := s.endpointsIn(svc.Namespace)
	set.sayIdle(running.idle, svc.Selector)
	s.sayUnregistered(set, svc.Namespace, svc.Selector)
	// 1.
	slices := running.slices[svc.Name]
	seen := map[string]bool{}
	for _, slice := range slices {
		s.sliceInstances(set, svc, port, slice, seen)
	}
	if len(svc.Selector) == 0 {
		return
	}
	if len(slices) > 0 {
		for _, w := range s.WorkloadsIn(svc.Namespace) {
			if w.FromTemplate && s.planned[w.Owner] && Selects(svc.Selector, w.Labels) {
				set.addPod(svc, port, w)
			}
		}
		return
	}
	// 2.
	if s.yetToBe(svc.Ref) {
		set.say(NewStep(RuleEndpointAssumed, Applied, svc.Ref, labelsText(svc.Selector)))
	} else {
		why := ""
		if gaps := s.GapsOf(endpointSliceKind, svc.Namespace); len(gaps) > 0 {
			why = " (" + string(gaps[0].Reason) + ")"
		}
		set.say(NewStep(RuleEndpointSlicesMissing, Warned, svc.Ref, svc.Hostname, why, labelsText(svc.Selector)))
	}
	for _, w := range s.WorkloadsIn(svc.Namespace) {
		if Selects(svc.Selector, w.Labels) {
			set.addPod(svc, port, w)
		}
	}
}

// sliceInstances adds the endpoints of one EndpointSlice.
//
//  1. The port is matched by name.
//  2. An endpoint whose targetRef is a pod needs that pod; one without targetRef is
//     used as it is, with the labels of a pod of that IP if the namespace has one.
//  3. Ready (or not said) is healthy; not ready is terminating if it says so or
//     does not say, and is then not sent; else it is sent as unhealthy.
//
// Source: pilot/pkg/serviceregistry/kube/controller/endpointslice.go, updateEndpointCacheForSlice, endpointHealthStatus.
func (s *Snapshot) sliceInstances(set *instanceSet, svc *Service, port Port, slice *discoveryv1.EndpointSlice, seen map[string]bool) {
	ref := refOf("discovery.k8s.io", "EndpointSlice", slice)
	if slice.AddressType == discoveryv1.AddressTypeFQDN {
		set.skip(RuleEndpointFQDNSlice, ref.At("addressType"))
		return
	}
	// 1.
	number, ok := slicePort(slice, port.Name)
	if !ok {
		if len(slice.Endpoints) > 0 {
			set.skip(RuleEndpointSlicePort, ref.At("ports"), "EndpointSlice "+slice.Name, port.Name, port.Number)
		}
		return
	}
	for i := range slice.Endpoints {
		e := &slice.Endpoints[i]
		at := ref.At(pathIndex("endpoints", i))
		for _, address := range e.Addresses {
			// 2.
			pod, keep := s.podOf(set, slice.Namespace, address, e.TargetRef, at)
			if !keep {
				continue
			}
			if id := sliceEndpointID(pod, address); seen[id] { // a pod in the slices of both IP families
				continue
			} else {
				seen[id] = true
			}
			ep := endpointOf(pod, address, number, at)
			if pod == nil {
				ip, _ := netip.ParseAddr(address)
				ep.Network = s.networkOfPod(nil, at, ip).name
			}
			// 3.
			switch c := e.Conditions; {
			case c.Ready == nil || *c.Ready:
			case c.Terminating == nil || *c.Terminating:
				set.skip(RuleEndpointTerminating, at, ep.name())
				if pod != nil {
					set.say(NewStep(RuleEndpointBehind, Applied, workloadRef(pod), ep.name(), svc.Hostname))
				}
				continue
			default:
				ep.Health = Unhealthy
			}
			set.add(ep)
		}
	}
}

func sliceEndpointID(pod *Workload, address string) string {
	if pod != nil {
		return "pod " + pod.Pod
	}
	return address
}

func slicePort(slice *discoveryv1.EndpointSlice, name string) (int, bool) {
	for _, p := range slice.Ports {
		if (p.Name == nil && name == "") || (p.Name != nil && *p.Name == name) {
			if p.Port == nil {
				return 0, true
			}
			return int(*p.Port), true
		}
	}
	return 0, false
}

// podOf finds the pod behind a slice's address; keep is false where the endpoint does not count.
//
// Source: pilot/pkg/serviceregistry/kube/controller/endpointslice.go, getPod; pod.go, onEvent.
func (s *Snapshot) podOf(set *instanceSet, namespace, address string, target *corev1.ObjectReference, at Ref) (pod *Workload, keep bool) {
	if target != nil && target.Kind == "Pod" {
		ns := target.Namespace
		if ns == "" {
			ns = namespace
		}
		if pod := s.endpointsIn(ns).podByName[target.Name]; pod != nil {
			return pod, true
		}
		if gaps := s.GapsOf(podKind, ns); len(gaps) > 0 {
			set.say(NewStep(RuleEndpointPodsUnreadable, Warned, at, ns+"/"+target.Name, string(gaps[0].Reason)))
			return nil, true
		}
		set.skip(RuleEndpointPodMissing, at, address, ns+"/"+target.Name)
		return nil, false
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return nil, true
	}
	if pod := s.endpointsIn(namespace).podByIP[ip]; pod != nil && pod.Ready && !pod.Terminating {
		return pod, true
	}
	return nil, true // istiod finds pods by address while they are ready
}

// endpointOf is a healthy endpoint of a pod; of a bare address where pod is nil.
func endpointOf(pod *Workload, address string, port int, ref Ref) *Endpoint {
	e := &Endpoint{Address: address, Port: port, Health: Healthy, TLSMode: endpointTLSDisabled, Weight: 1, Count: 1, Ref: ref}
	if pod != nil {
		e.Workload, e.Labels, e.TLSMode = pod, pod.Labels, tlsModeOf(pod.Labels)
		e.Locality, e.Network = pod.Locality, pod.Network
	}
	return e
}

// addPod adds a pod or template that the Service's selector matches, as the
// EndpointSlice controller would.
func (i *instanceSet) addPod(svc *Service, port Port, w *Workload) {
	ref := workloadRef(w)
	number, ok := port.TargetOn(w)
	if !ok {
		i.say(NewStep(RuleEndpointNoNamedPort, Skipped, ref, endpointOf(w, "", 0, ref).name(), port.TargetName).
			Unlike(port.TargetName, containerPorts(w)))
		return
	}
	e := endpointOf(w, firstAddress(w), number, ref)
	e.Count = w.Replicas
	switch {
	case svc.PublishNotReady:
	case w.Terminating:
		i.skip(RuleEndpointTerminating, ref, e.name())
		return
	case !w.Ready:
		e.Health = Unhealthy
	}
	i.add(e)
}

// sayIdle tells of the workloads that the selector would match if they had pods.
func (i *instanceSet) sayIdle(idle []idleTemplate, selector map[string]string) {
	for _, t := range idle {
		if len(selector) > 0 && Selects(selector, t.labels) {
			i.skip(RuleEndpointScaledToZero, t.ref.At("spec.replicas"), t.ref.String(), labelsText(t.labels))
		}
	}
}

// workloadRef is the pod, or the owner whose template stands for pods.
func workloadRef(w *Workload) Ref {
	if w.Pod == "" {
		return w.Owner
	}
	return Ref{Kind: "Pod", Cluster: w.Owner.Cluster, Namespace: w.Namespace, Name: w.Pod}
}

func firstAddress(w *Workload) string {
	if len(w.Addresses) == 0 {
		return ""
	}
	return w.Addresses[0].String()
}

func containerPorts(w *Workload) string {
	names := ""
	for _, c := range w.Containers {
		for _, p := range c.Ports {
			if p.Name != "" {
				if names != "" {
					names += ", "
				}
				names += p.Name
			}
		}
	}
	if names == "" {
		return "(no named ports)"
	}
	return names
}

// selectedWorkloadEntries adds the WorkloadEntries of the namespace that a
// ClusterIP Service's selector matches.
//
//  1. Only Services with a selector and a ClusterIP; only entries whose address is an IP, or is left out.
//  2. The port: see entryTargetPort. A named targetPort that the entry lacks makes it no endpoint.
//
// Source: pilot/pkg/serviceregistry/kube/controller/controller.go, serviceInstancesFromWorkloadInstances.
func (s *Snapshot) selectedWorkloadEntries(set *instanceSet, svc *Service, port Port) {
	// 1.
	if svc.Resolution != ClientSideLB || len(svc.Selector) == 0 || svc.MeshExternal {
		return
	}
	for _, w := range s.WorkloadEntriesIn(svc.Namespace) {
		if !Selects(svc.Selector, w.Labels) {
			continue
		}
		we := s.index.endpoints().entries[destinationKey{w.Namespace, w.Owner.Name}]
		if we == nil || !set.healthy(we, w) {
			continue
		}
		if address := we.Spec.GetAddress(); address != "" && !isIP(address) {
			set.skip(RuleEndpointNotIP, w.Owner.At("spec.address"), address, svc.Hostname)
			continue
		}
		// 2.
		number, ok := entryTargetPort(port, w)
		if !ok {
			set.skip(RuleEndpointNoNamedPort, w.Owner.At("spec.ports"), w.Owner.String(), port.TargetName)
			continue
		}
		set.add(entryEndpoint(we, w, number))
		set.warnUnreachable(s, we.Spec.GetAddress(), we.Spec.GetNetwork(), w.Owner, svc.Hostname)
	}
}

// warnUnreachable tells of an endpoint without address, where no network has a gateway.
func (i *instanceSet) warnUnreachable(s *Snapshot, address, network string, ref Ref, host string) {
	if address == "" && !s.severalNetworks() {
		i.say(NewStep(RuleEndpointNoAddress, Warned, ref, network, host))
	}
}

// healthy drops a WorkloadEntry whose health is checked and not known to be good.
func (i *instanceSet) healthy(we *networking.WorkloadEntry, w *Workload) bool {
	switch we.Annotations["proxy.istio.io/health-checks-enabled"] {
	case "1", "t", "T", "true", "TRUE", "True":
	default:
		return true
	}
	for _, c := range we.Status.GetConditions() {
		if c.GetType() == "Healthy" && c.GetStatus() == "True" {
			return true
		}
	}
	i.skip(RuleEndpointHealthCheck, w.Owner, w.Owner.String())
	return false
}

func entryEndpoint(we *networking.WorkloadEntry, w *Workload, port int) *Endpoint {
	e := endpointOf(w, we.Spec.GetAddress(), port, w.Owner)
	e.TLSMode = entryTLSMode(w.Labels, we.Spec.GetServiceAccount())
	if we.Spec.GetWeight() > 0 {
		e.Weight = int(we.Spec.GetWeight())
	}
	return e
}

// entryTargetPort is the WorkloadEntry's port behind a Service's: ports[] of the entry by the targetPort's name (by the Service port's name
// where targetPort is a number), else the number. A named targetPort that the entry lacks is none.
//
// Source: pilot/pkg/serviceregistry/kube/controller/controller.go, serviceInstanceFromWorkloadInstance.
func entryTargetPort(p Port, w *Workload) (int, bool) {
	name := p.TargetName
	if name == "" && p.TargetPort > 0 {
		name = p.Name
	}
	if n := int(w.Entry.Spec.GetPorts()[name]); n != 0 {
		return n, true
	}
	if p.TargetName != "" {
		return 0, false
	}
	return cmp.Or(p.TargetPort, p.Number), true
}
