package resolve

import (
	"net/netip"
	"slices"
	"strings"
	"sync"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// instances are the endpoints istiod has for the service's host, namespace and
// port, whoever asks. The result is kept: it does not depend on the client.
//
//  1. istiod keeps endpoints by host and namespace, whichever registry they and the
//     service come from (see pool). They join by port name, for services that resolve
//     by DNS by port number (see indexed).
//  2. Addresses that are no IP are left out unless the service resolves by DNS.
//
// Source: pilot/pkg/xds/endpoints/endpoint_builder.go, snapshotShards, FromServiceEndpoints.
func (s *Snapshot) instances(svc *Service, port Port) ([]*Endpoint, []Step) {
	ix := s.index.endpoints()
	key := instanceKey{svc.Namespace, svc.Hostname, port.Name, port.Number, svc.Registry}
	if got, ok := ix.cache.Load(key); ok {
		set := got.(*instanceSet)
		return slices.Clip(set.endpoints), set.steps
	}
	set := &instanceSet{}
	if svc.Resolution == DNSLB || svc.Resolution == DNSRoundRobinLB { // 1.
		*set = *s.indexed(svc, port.Number)
	} else {
		s.pool(set, svc, func(name string, _ int) bool { return name == port.Name })
	}
	s.endpointGaps(set, svc)
	set.keepDialable(svc) // 2.
	ix.cache.Store(key, set)
	return slices.Clip(set.endpoints), set.steps
}

// pool collects what has the service's host and namespace, of the ports that are wanted.
//
//  1. Every ServiceEntry: its endpoints, or what its workloadSelector matches, or, for DNS,
//     the host itself.
//  2. The Kubernetes Service: its EndpointSlices; without any, the pods and
//     templates that its selector matches.
//  3. WorkloadEntries of the namespace that a ClusterIP Service's selector matches.
//
// Of the Service of an InferencePool all ports are wanted.
//
// Source: pilot/pkg/xds/endpoints/endpoint_builder.go, FromServiceEndpoints; pilot/pkg/serviceregistry/serviceentry/conversion.go, services; kube/controller/controller.go,
// buildEndpointsForService; model/endpointshards.go, Keys.
func (s *Snapshot) pool(set *instanceSet, svc *Service, wanted func(name string, number int) bool) {
	kube := s.index.services().byHost[svc.Hostname][svc.Namespace]
	if svc.Registry == RegistryKubernetes {
		kube = svc
	}
	own := &instanceSet{}
	if kube != nil && kube.Registry == RegistryKubernetes && kube.Resolution != Alias {
		for _, m := range s.havingService(kube) {
			m.poolOwn(own, svc, m.service, wanted)
		}
	}
	set.steps = append(set.steps, own.steps...)
	s.serviceEntryInstances(set, svc, wanted) // 1.
	set.endpoints = append(set.endpoints, own.endpoints...)
}

// poolOwn is rules 2 and 3, of the Service as one cluster has it.
func (s *Snapshot) poolOwn(own *instanceSet, svc, kube *Service, wanted func(name string, number int) bool) {
	before := len(own.endpoints)
	for _, p := range kube.Ports {
		if !wanted(p.Name, 0) && kube.Labels[semanticsLabel] != semanticsInference {
			continue
		}
		if svc.Registry != RegistryKubernetes {
			own.say(NewStep(RuleEndpointPooled, Applied, kube.Ref, svc.Ref.Object().String(), p.Name))
		}
		s.kubernetesInstances(own, kube, p)     // 2.
		s.selectedWorkloadEntries(own, kube, p) // 3.
	}
	s.mark(own.endpoints[before:])
}

// markRest marks those that no cluster is told of.
func (s *Snapshot) markRest(eps []*Endpoint) {
	for i, e := range eps {
		if e.Cluster == "" {
			s.mark(eps[i : i+1])
		}
	}
}

// mark tells of endpoints which cluster has them, where there are several.
func (s *Snapshot) mark(eps []*Endpoint) {
	if !s.several() {
		return
	}
	for _, e := range eps {
		e.Cluster = s.ClusterID()
	}
}

// indexed are the endpoints of a port number, as clusters that resolve DNS have them and as istiod looks at those of
// a headless service.
//
//  1. Every service of the host and namespace that has the number looks for itself: endpoints of ServiceEntries join by
//     number, those of the Kubernetes Service by the name that the service gives the number.
//  2. What the youngest service finds counts, if it finds any.
//
// Source: pilot/pkg/model/push_context.go, initServiceRegistry, ServiceEndpointsByPort; model/endpointshards.go,
// CopyEndpoints.
func (s *Snapshot) indexed(svc *Service, number int) *instanceSet {
	ix := s.index.endpoints()
	key := numberedPort{destinationKey{svc.Namespace, svc.Hostname}, number}
	if got, ok := ix.byNumber.Load(key); ok {
		return got.(*instanceSet)
	}
	found := &instanceSet{}
	for _, same := range s.sameHost(svc) {
		names := map[string]bool{}
		for _, p := range same.Ports {
			if p.Number == number {
				names[p.Name] = true
			}
		}
		if len(names) == 0 {
			continue
		}
		set := &instanceSet{repeats: svc.Registry != RegistryKubernetes}
		s.pool(set, same, func(name string, n int) bool { return n == number || n == 0 && names[name] }) // 1.
		if len(set.endpoints) > 0 || len(found.endpoints) == 0 {
			found = set // 2.
		}
	}
	ix.byNumber.Store(key, found)
	return found
}

// numberedPort is a port of a host in a namespace.
type numberedPort struct {
	destinationKey
	number int
}

// endpointGaps tells what of the sources above could not be read. EndpointSlices
// that are missing altogether, and pods behind a slice, are told where they are missed.
func (s *Snapshot) endpointGaps(set *instanceSet, svc *Service) {
	said := func(rule RuleID) bool {
		return slices.ContainsFunc(set.steps, func(step Step) bool { return step.Rule == rule })
	}
	for _, m := range s.clusters() {
		if svc.Registry == RegistryKubernetes && !said(RuleEndpointSlicesMissing) {
			set.steps = append(set.steps, m.gapSteps(StageLoadBalance, endpointSliceKind, svc.Namespace)...)
		}
		if len(svc.Selector) == 0 {
			continue
		}
		set.steps = append(set.steps, m.gapSteps(StageLoadBalance, workloadEntryKind, svc.Namespace)...)
		if svc.Registry != RegistryKubernetes {
			set.steps = append(set.steps, m.gapSteps(StageLoadBalance, podKind, svc.Namespace)...)
		}
	}
}

type instanceKey struct {
	namespace, host, portName string
	port                      int
	registry                  Registry
}

// instanceSet collects the endpoints of one service port.
type instanceSet struct {
	endpoints []*Endpoint
	steps     []Step
	// repeats is set where an endpoint counts as often as its ServiceEntry has addresses.
	repeats bool
}

func (i *instanceSet) add(e *Endpoint) { i.endpoints = append(i.endpoints, e) }
func (i *instanceSet) say(step Step)   { i.steps = append(i.steps, step) }
func (i *instanceSet) skip(r RuleID, ref Ref, args ...any) {
	i.say(NewStep(r, Skipped, ref, args...))
}

// keepDialable is step 2 of instances.
func (i *instanceSet) keepDialable(svc *Service) {
	var kept []*Endpoint
	for _, e := range i.endpoints {
		switch {
		case svc.Resolution != DNSLB && svc.Resolution != DNSRoundRobinLB && e.Address != "" && e.Port != 0 && !isIP(e.Address):
			i.skip(RuleEndpointNotIP, e.Ref, e.Address, svc.Hostname)
			continue
		}
		kept = append(kept, e)
	}
	i.endpoints = kept
}

func isIP(address string) bool {
	_, err := netip.ParseAddr(address)
	return err == nil
}

// tlsModeOf is the endpoint's label, or disabled without one.
//
// Source: pilot/pkg/model/service.go, GetTLSModeFromEndpointLabels.
func tlsModeOf(labels map[string]string) string {
	if mode, ok := labels[endpointTLSLabel]; ok {
		return mode
	}
	return endpointTLSDisabled
}

// endpointIndex finds what brings endpoints.
type endpointIndex struct {
	// serviceEntries are by namespace and host.
	serviceEntries map[destinationKey][]*networking.ServiceEntry
	serviceEntry   map[destinationKey]*networking.ServiceEntry
	entries        map[destinationKey]*networking.WorkloadEntry
	services       map[destinationKey]*corev1.Service
	// inline are the endpoints written in ServiceEntries.
	inline map[addressKey][]inlineEndpoint
	// machines are those of them that stand for a workload with a sidecar.
	machines map[netip.Addr]*Workload
	// cache holds an *instanceSet for each instanceKey that was asked for.
	cache sync.Map
	// byNumber holds an *instanceSet for each numberedPort that was asked for.
	byNumber sync.Map
	// identities holds the names that a service's servers have, by its namespace and host.
	identities sync.Map
}

// idleTemplate is a Deployment or StatefulSet with 0 replicas, and the labels its pods would have.
type idleTemplate struct {
	ref    Ref
	labels map[string]string
}

// runningEndpoints finds what brings the endpoints of one namespace.
type runningEndpoints struct {
	// slices are by the name of their Service.
	slices map[string][]*discoveryv1.EndpointSlice
	// idle are the workloads that are scaled to zero.
	idle      []idleTemplate
	podByName map[string]*Workload
	podByIP   map[netip.Addr]*Workload
}

func indexRunningEndpoints(running *Running) *runningEndpoints {
	running.need(podKind, endpointSliceKind, deploymentKind, statefulSetKind)
	workloads := running.cell.workloads().all
	ix := &runningEndpoints{
		slices:    map[string][]*discoveryv1.EndpointSlice{},
		podByName: make(map[string]*Workload, len(workloads)),
		podByIP:   make(map[netip.Addr]*Workload, len(workloads)),
	}
	for _, d := range running.Deployments() {
		ix.addIdle("Deployment", d, d.Spec.Replicas, &d.Spec.Template)
	}
	for _, d := range running.StatefulSets() {
		ix.addIdle("StatefulSet", d, d.Spec.Replicas, &d.Spec.Template)
	}
	for _, slice := range running.EndpointSlices() {
		if name := slice.Labels[discoveryv1.LabelServiceName]; name != "" {
			ix.slices[name] = append(ix.slices[name], slice)
		}
	}
	for _, w := range workloads {
		if w.Pod == "" {
			continue
		}
		ix.podByName[w.Pod] = w
		for _, ip := range w.Addresses {
			if ix.podByIP[ip] == nil {
				ix.podByIP[ip] = w
			}
		}
	}
	return ix
}

func (ix *runningEndpoints) addIdle(kind string, o Object, replicas *int32, template *corev1.PodTemplateSpec) {
	if replicas != nil && *replicas == 0 {
		ix.idle = append(ix.idle, idleTemplate{refOf("apps", kind, o), template.Labels})
	}
}

func indexEndpoints(s *Snapshot) *endpointIndex {
	ix := &endpointIndex{
		serviceEntries: map[destinationKey][]*networking.ServiceEntry{},
		serviceEntry:   make(map[destinationKey]*networking.ServiceEntry, len(s.ServiceEntries)),
		entries:        make(map[destinationKey]*networking.WorkloadEntry, len(s.WorkloadEntries)),
		services:       make(map[destinationKey]*corev1.Service, len(s.KubeServices)),
	}
	for _, se := range s.ServiceEntries {
		ix.serviceEntry[destinationKey{se.Namespace, se.Name}] = se
		seen := map[string]bool{}
		for _, host := range se.Spec.GetHosts() {
			host = strings.ToLower(host)
			if !seen[host] {
				seen[host] = true
				ix.serviceEntries[destinationKey{se.Namespace, host}] = append(ix.serviceEntries[destinationKey{se.Namespace, host}], se)
			}
		}
	}
	for _, we := range s.WorkloadEntries {
		ix.entries[destinationKey{we.Namespace, we.Name}] = we
	}
	for _, svc := range s.KubeServices {
		ix.services[destinationKey{svc.Namespace, svc.Name}] = svc
	}
	ix.indexInline(s.Services())
	ix.indexMachines(s.ServiceEntries)
	return ix
}

// endpointsIn indexes what brings a namespace's endpoints on first use.
func (s *Snapshot) endpointsIn(namespace string) *runningEndpoints {
	return s.runningCell(namespace).endpoints()
}

// racesFirstConnect reports whether the ServiceEntry asks for LOGICAL_DNS by annotation.
//
// Source: pilot/pkg/model/service.go, GetDNSConnectStrategy.
func (s *Snapshot) racesFirstConnect(svc *Service) bool {
	se := s.index.endpoints().serviceEntry[destinationKey{svc.Ref.Namespace, svc.Ref.Name}]
	return svc.Registry == RegistryExternal && se != nil && strings.EqualFold(se.Annotations["istio.io/connect-strategy"], "RACE_FIRST_TCP_CONNECT")
}
