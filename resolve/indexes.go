package resolve

import (
	"net/netip"
	"sync"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// indexes are made on first use, one function a concept, and are then shared
// by concurrent readers.
type indexes struct {
	addresses           memo[netip.Addr, *Workload]
	entries             func() map[string][]*Workload
	services            func() *serviceIndex
	virtualServices     func() []*VirtualService
	virtualServiceHosts func() *virtualServiceHostIndex
	scopes              scopeCache
	sidecars            func() map[string][]*networking.Sidecar
	gateways            gatewayCache
	destinationRules    func() *destinationRuleIndex
	endpoints           func() *endpointIndex
	istiod              func() *appsv1.Deployment
	policies            func() *policyIndex
	namespaceMTLS       memo[string, MTLS]
	kube                func() *kubeIndex
	nodes               func() map[string]*corev1.Node
	found               memo[Sought, foundIn]
	ingresses           func() *ingressIndex
	meshNetworks        func() *meshNetworks
	networks            func() *networkIndex
	clients             func() *clientQuestions
}

// prepareIndexes has every index made on first use.
func (s *Snapshot) prepareIndexes() {
	s.index.entries = sync.OnceValue(func() map[string][]*Workload { return indexWorkloadEntries(s) })
	s.index.services = sync.OnceValue(func() *serviceIndex { return indexServices(s) })
	s.index.sidecars = sync.OnceValue(func() map[string][]*networking.Sidecar { return indexSidecars(s) })
	s.index.virtualServices = sync.OnceValue(func() []*VirtualService { return prepareVirtualServices(s) })
	s.index.virtualServiceHosts = sync.OnceValue(func() *virtualServiceHostIndex { return indexVirtualServiceHosts(s) })
	s.index.destinationRules = sync.OnceValue(func() *destinationRuleIndex { return indexDestinationRules(s) })
	s.index.endpoints = sync.OnceValue(func() *endpointIndex { return indexEndpoints(s) })
	s.index.nodes = sync.OnceValue(func() map[string]*corev1.Node { return indexNodes(s) })
	s.index.kube = sync.OnceValue(func() *kubeIndex { return indexKube(s) })
	s.index.meshNetworks = sync.OnceValue(func() *meshNetworks { return readMeshNetworks(s) })
	s.index.networks = sync.OnceValue(func() *networkIndex { return indexNetworks(s) })
	s.index.ingresses = sync.OnceValue(func() *ingressIndex { return indexIngresses(s) })
	s.index.policies = sync.OnceValue(func() *policyIndex { return indexPolicies(s) })
	s.index.clients = sync.OnceValue(func() *clientQuestions { return newClientQuestions(s) })
}
