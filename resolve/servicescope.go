package resolve

import (
	"cmp"
	"slices"

	meshconfig "istio.io/api/mesh/v1alpha1"
)

// The scope of Services, where istiod runs ambient over several networks (AMBIENT_ENABLE_MULTI_NETWORK):
//
//  1. A Service is GLOBAL where an entry of the mesh config's serviceScopeConfigs with that scope matches its labels and those of its
//     namespace, and LOCAL otherwise. An entry of scope LOCAL changes nothing. Each cluster has Service and namespace of its own.
//  2. Of a Service that the proxy's own cluster has, that one's scope counts. Of others the GLOBAL ones alone are known to ambient mode.
//  3. Envoys get the endpoints of other clusters of a GLOBAL Service, whatever its scope there, and of a Service that is unknown to
//     ambient mode.
//  4. A ztunnel gets the workloads of other clusters that have the Service as GLOBAL. On its own network they count even if its own
//     cluster has it as LOCAL.
//
// Source: pilot/pkg/serviceregistry/ambient/services.go, matchServiceScope, serviceServiceBuilder; multicluster.go,
// mergeServiceInfosWithCluster; pilot/pkg/xds/endpoints/endpoint_builder.go, filterIstioEndpoint.

// Rules of the scope of Services.
const (
	RuleScopeGlobal    RuleID = "ambientnetwork/global"
	RuleScopeLocal     RuleID = "ambientnetwork/local"
	RuleScopeElsewhere RuleID = "ambientnetwork/local-elsewhere"
	RuleScopeSame      RuleID = "ambientnetwork/local-one-network"
	RuleScopeNetwork   RuleID = "ambientnetwork/network-of-cluster"
)

var serviceScopeRules = []Rule{
	{
		ID: RuleScopeGlobal, Stage: StageLoadBalance,
		Says:     "With AMBIENT_ENABLE_MULTI_NETWORK a Service is GLOBAL where serviceScopeConfigs of the mesh config say so of its labels and its namespace's: endpoints of other clusters count.",
		Template: "Service %s is of scope GLOBAL in cluster %s: endpoints of other clusters count",
		Source:   "pilot/pkg/serviceregistry/ambient/services.go, matchServiceScope",
	},
	{
		ID: RuleScopeLocal, Stage: StageLoadBalance,
		Says:     "With AMBIENT_ENABLE_MULTI_NETWORK a Service that no entry of serviceScopeConfigs makes GLOBAL has the endpoints of the client's own cluster alone, for sidecars and gateways as for ztunnels.",
		Template: "%s is not of scope GLOBAL in cluster %s (serviceScopeConfigs): %d of it in other clusters do not count",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, filterIstioEndpoint; pilot/pkg/serviceregistry/ambient/multicluster.go, mergeServiceInfosWithCluster",
	},
	{
		ID: RuleScopeElsewhere, Stage: StageLoadBalance,
		Says:     "A ztunnel is told of the workloads behind a Service of another cluster only where the Service is GLOBAL there.",
		Template: "%s is not of scope GLOBAL in cluster %s (serviceScopeConfigs): the %d there do not count for ztunnels of other clusters",
		Source:   "pilot/pkg/serviceregistry/ambient/services.go, serviceServiceBuilder",
	},
	{
		ID: RuleScopeSame, Stage: StageLoadBalance,
		Says:     "Workloads of another cluster on the client's own network count for ztunnels where the Service is GLOBAL there, even if it is not in the client's cluster.",
		Template: "%s is not of scope GLOBAL in cluster %s, and is in cluster %s, which is on the same network: the %d there count for ztunnels all the same",
		Source:   "pilot/pkg/serviceregistry/ambient/multicluster.go, buildGlobalCollections (networkLocalWorkloads)",
	},
	{
		ID: RuleScopeNetwork, Stage: StageLoadBalance, Detail: true,
		Says:     "For ztunnels a whole cluster is on the network of the label topology.istio.io/network of its namespace of istiod; labels of pods and meshNetworks do not count.",
		Template: "cluster %s is on network %s",
		Source:   "pilot/pkg/serviceregistry/ambient/networks.go, buildGlobalNetworkCollections",
	},
}

// AmbientNetworks reports whether istiod runs ambient over several networks.
//
// Source: pilot/pkg/features/ambient.go, registerAmbient.
func (s *Snapshot) AmbientNetworks() bool {
	if !s.feature(featureAmbientNetworks).on {
		return false
	}
	_, off := s.AmbientOff()
	return !off
}

// scopeEntry is step 1: the entry that makes the cluster's own Service GLOBAL.
func (s *Snapshot) scopeEntry(svc *Service) (Ref, bool) {
	if _, there := s.Namespaces[svc.Namespace]; !there && !s.Offline { // an entry is not asked about Services without a namespace
		return Ref{}, false
	}
	for i, c := range s.Mesh.GetServiceScopeConfigs() {
		if c.GetScope() == meshconfig.MeshConfig_ServiceScopeConfigs_GLOBAL &&
			(empty(c.GetNamespaceSelector()) || selects(c.GetNamespaceSelector(), s.namespaceLabels(svc.Namespace))) &&
			(empty(c.GetServicesSelector()) || selects(c.GetServicesSelector(), svc.Labels)) {
			return s.Mesh.Ref.At(pathIndex("serviceScopeConfigs", i)), true
		}
	}
	return Ref{}, false
}

// empty reports whether a selector of the mesh config names nothing, which then takes everything.
func empty(sel *meshconfig.LabelSelector) bool {
	return len(sel.GetMatchLabels()) == 0 && len(sel.GetMatchExpressions()) == 0
}

// scope is step 2: whether the Service is GLOBAL for proxies of this cluster, by which entry, and whether ambient mode knows it.
func (s *Snapshot) scope(svc *Service) (by Ref, global, known bool) {
	if svc.Registry != RegistryKubernetes {
		return Ref{}, false, true
	}
	if own := s.own(svc); own != nil {
		by, global = s.scopeEntry(own)
		return by, global, true
	}
	for _, m := range s.havingService(svc) {
		if by, global = m.scopeEntry(m.service); global {
			return by, true, true
		}
	}
	return Ref{}, false, false
}

// ofScope is step 3: the endpoints that an Envoy of this cluster gets.
func (s *Snapshot) ofScope(svc *Service, eps []*Endpoint) ([]*Endpoint, []Step) {
	id := s.ClusterID()
	others := func(e *Endpoint) bool { return e.Cluster != id }
	if !slices.ContainsFunc(eps, others) {
		return eps, nil
	}
	by, global, known := s.scope(svc)
	told := s.feature(featureAmbientNetworks).told()
	switch {
	case global:
		return eps, append(append(told, s.networksOf(svc)...), NewStep(RuleScopeGlobal, Applied, by, svc.Ref.QualifiedName(), s.scopedIn(svc)))
	case !known:
		return eps, told
	}
	kept := slices.DeleteFunc(slices.Clone(eps), others)
	return kept, append(told, NewStep(RuleScopeLocal, Skipped, svc.Ref, svc.Hostname, id, podCount(eps)-podCount(kept)))
}

// scopedIn is the cluster whose Service counts for the scope.
func (s *Snapshot) scopedIn(svc *Service) string {
	if s.own(svc) != nil {
		return s.ClusterID()
	}
	for _, m := range s.havingService(svc) {
		if _, global := m.scopeEntry(m.service); global {
			return m.ClusterID()
		}
	}
	return ""
}

// toldOf is step 4: the endpoints of which ztunnels of this cluster are told.
func (s *Snapshot) toldOf(svc *Service, eps []*Endpoint) ([]*Endpoint, []Step) {
	id := s.ClusterID()
	by, global, _ := s.scope(svc)
	mine := s.systemNetwork().name
	var kept []*Endpoint
	left, elsewhere, same := 0, map[string]int{}, map[string]int{}
	for _, e := range eps {
		switch {
		case e.Cluster == id:
			kept = append(kept, e)
		case svc.Registry != RegistryKubernetes, !global && s.ambientNetworkOf(e) != mine:
			left += e.Count
		case !s.globalIn(svc, e.Cluster):
			elsewhere[e.Cluster] += e.Count
		default:
			kept = append(kept, e)
			same[e.Cluster] += e.Count
		}
	}
	steps := s.networksOf(svc)
	if global && len(same) > 0 {
		steps = append(steps, NewStep(RuleScopeGlobal, Applied, by, svc.Ref.QualifiedName(), s.scopedIn(svc)))
	}
	if left > 0 {
		steps = append(steps, NewStep(RuleScopeLocal, Skipped, svc.Ref, svc.Hostname, id, left))
	}
	for _, m := range s.havingService(svc) {
		if n := elsewhere[m.ClusterID()]; n > 0 {
			steps = append(steps, NewStep(RuleScopeElsewhere, Skipped, m.service.Ref, svc.Hostname, m.ClusterID(), n))
		}
		if n := same[m.ClusterID()]; n > 0 && !global {
			steps = append(steps, NewStep(RuleScopeSame, Applied, m.service.Ref, svc.Hostname, id, m.ClusterID(), n))
		}
	}
	return kept, steps
}

// networksOf tells of the clusters that have the Service on which network they are.
func (s *Snapshot) networksOf(svc *Service) []Step {
	var steps []Step
	tell := func(m *Snapshot) {
		if n := m.systemNetwork(); n.name != "" {
			steps = append(steps, NewStep(RuleScopeNetwork, Applied, n.ref, m.ClusterID(), n.name))
		}
	}
	tell(s)
	for _, m := range s.havingService(svc) {
		if m.ClusterID() != s.ClusterID() {
			tell(m.Snapshot)
		}
	}
	return steps
}

// globalIn reports whether the cluster of that id has the Service as GLOBAL.
func (s *Snapshot) globalIn(svc *Service, id string) bool {
	for _, m := range s.havingService(svc) {
		if m.ClusterID() == id {
			_, global := m.scopeEntry(m.service)
			return global
		}
	}
	return false
}

// ambientNetworkOf is the network that ambient mode takes an endpoint to be on: that of its cluster's namespace of istiod, or what a
// WorkloadEntry says. Labels of pods and meshNetworks do not count.
//
// Source: pilot/pkg/serviceregistry/ambient/workloads.go, podWorkloadBuilder, workloadEntryWorkloadBuilder; networks.go.
func (s *Snapshot) ambientNetworkOf(e *Endpoint) string {
	if e.Workload != nil && e.Workload.Owner.Group == istioNetworking && e.Workload.Network != "" {
		return e.Workload.Network
	}
	m := s.memberID(e.Cluster)
	if m == nil {
		m = s
	}
	return m.systemNetwork().name
}

// asLabelled is the Service whose labels count for waypoints: where ambient mode knows several clusters, that of the cluster itself.
//
// Source: pilot/pkg/serviceregistry/ambient/multicluster.go, mergeServiceInfosWithCluster.
func (s *Snapshot) asLabelled(svc *Service) *Service {
	if !s.several() || svc.Registry != RegistryKubernetes || !s.AmbientNetworks() {
		return svc
	}
	return cmp.Or(s.own(svc), svc)
}
