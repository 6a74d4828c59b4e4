package resolve

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Several clusters of one mesh.
//
//  1. istiod reads its configuration (Istio's kinds, the Gateway API, Ingresses, Secrets) of one cluster, the first. Of the remote ones
//     it reads Services, EndpointSlices, Pods, Nodes, Namespaces and WorkloadEntries, and for ambient mode over several networks their
//     Gateways, which are their waypoints and east-west gateways (eastwest.go).
//  2. Each cluster has a view of its own: the configuration of the first, the Services of all, and what runs in itself. What a proxy
//     is sent is asked of the view of its cluster.
//  3. A Service of one name and namespace in several clusters is one. Its ports, labels and selector are those of the first cluster that
//     has it, its address is that of the proxy's own cluster, else of the first.
//  4. Its endpoints are those of all clusters; see instances.
//
// The ids of remote clusters order them: istiod takes them in the order in which it came to know them, which no resource tells.
//
// Source: pilot/pkg/serviceregistry/kube/controller/multicluster.go, initializeCluster;
// pilot/pkg/serviceregistry/aggregate/controller.go, Services, mergeService, GetProxyServiceTargets;
// pilot/pkg/model/service.go, GetAddressForProxy.

// ClusterAnnotation is how manifests tell that an object is of a remote cluster of the mesh.
const ClusterAnnotation = "mesh-trace/cluster"

// Remote is what is known of a remote cluster beside its Resources.
type Remote struct {
	// Cluster is its id.
	Cluster string
	// Unread is why nothing of it could be read; empty where something was.
	Unread string
	// Deferred is what runs in it, as far as it is not among Resources; nil where it all is. Its objects are marked by [SetCluster].
	Deferred Deferred
}

// ClusterOf is the id of the remote cluster that has the object; empty for the cluster whose configuration istiod reads.
func ClusterOf(o metav1.Object) string { return o.GetAnnotations()[ClusterAnnotation] }

// SetCluster marks an object as one of a remote cluster; an empty id takes the mark away.
func SetCluster(o metav1.Object, id string) {
	annotations := o.GetAnnotations()
	if annotations[ClusterAnnotation] == id {
		return
	}
	annotations = maps.Clone(annotations)
	if id == "" {
		delete(annotations, ClusterAnnotation)
		o.SetAnnotations(annotations)
		return
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[ClusterAnnotation] = id
	o.SetAnnotations(annotations)
}

// remoteResources are a remote cluster and its objects.
type remoteResources struct {
	Remote
	resources []Sourced
	gaps      []Gap
}

// byCluster are the objects of the first cluster, and the others by the id of theirs.
func byCluster(in Input) (own []Sourced, remotes []*remoteResources) {
	marked := func(r Sourced) bool { return ClusterOf(r.Object) != "" }
	if len(in.Remotes) == 0 && !slices.ContainsFunc(in.Resources, marked) {
		return in.Resources, nil
	}
	known := map[string]*remoteResources{}
	of := func(id string) *remoteResources {
		if known[id] == nil {
			known[id] = &remoteResources{Remote: Remote{Cluster: id}}
		}
		return known[id]
	}
	for _, r := range in.Remotes {
		of(r.Cluster).Remote = r
	}
	for _, r := range in.Resources {
		if id := ClusterOf(r.Object); id != "" {
			of(id).resources = append(of(id).resources, r)
			continue
		}
		own = append(own, r)
	}
	for _, g := range in.Gaps {
		if g.Cluster != "" {
			of(g.Cluster).gaps = append(of(g.Cluster).gaps, g)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		remotes = append(remotes, known[id])
	}
	return own, remotes
}

// join makes the views of the remote clusters.
func (s *Snapshot) join(remotes []*remoteResources) {
	if len(remotes) == 0 {
		return
	}
	s.Gaps = slices.DeleteFunc(slices.Clone(s.Gaps), func(g Gap) bool { return g.Cluster != "" })
	members := []*Snapshot{s}
	for _, r := range remotes {
		if r.Unread != "" {
			s.unread = append(s.unread, r.Remote)
			continue
		}
		members = append(members, s.viewOf(r))
	}
	for _, m := range members {
		m.members, m.unread = members, s.unread
	}
}

// viewOf is the view of a remote cluster: rule 2.
func (s *Snapshot) viewOf(r *remoteResources) *Snapshot {
	v := &Snapshot{
		cluster:    r.Cluster,
		Namespaces: map[string]*corev1.Namespace{},
		Others:     s.Others, bundles: s.bundles,
		Mesh: s.Mesh, Networks: s.Networks, NetworksRef: s.NetworksRef,
		Notes: s.Notes, Version: s.Version, Revision: s.Revision, Offline: s.Offline,
		origins: make(map[Ref]Origin, len(r.resources)), running: map[string]*runningCell{},
		deferred: r.Deferred, istiodSets: s.istiodSets, planned: s.planned,
		askSecret: s.askSecret, askConfigMap: s.askConfigMap,
		Secrets: s.Secrets, ConfigMaps: s.ConfigMaps,
	}
	v.copyConfiguration(s)
	for _, o := range r.resources {
		if ns, ok := o.Object.(*corev1.Namespace); ok {
			v.Namespaces[ns.Name] = ns
		}
	}
	for _, o := range r.resources {
		if !ReadOfRemotes(o.GroupKind) || v.give(o) {
			continue
		}
		v.origins[refOf(o.GroupKind.Group, o.GroupKind.Kind, o.Object)] = o.Origin
		if hidden, ok := v.visible(o); !ok {
			v.Hidden = append(v.Hidden, hidden)
			continue
		}
		if gw, ok := o.Object.(*k8sgateway.Gateway); ok {
			v.ownGateways = append(v.ownGateways, gw)
			continue
		}
		v.add(o)
	}
	slices.SortFunc(v.Hidden, func(a, b Hidden) int { return CompareRefs(a.Ref, b.Ref) })
	for _, h := range s.Hidden {
		if !ofRemotesAlone(schema.GroupKind{Group: h.Ref.Group, Kind: h.Ref.Kind}) {
			v.Hidden = append(v.Hidden, h)
		}
	}
	slices.SortStableFunc(v.KubeServices, byAge)
	slices.SortStableFunc(v.WorkloadEntries, byAge)
	for _, g := range s.Gaps {
		if !ofRemotesAlone(g.GroupKind) {
			v.Gaps = append(v.Gaps, g)
		}
	}
	v.Gaps = append(v.Gaps, r.gaps...)
	slices.SortStableFunc(v.ownGateways, byAge)
	if v.index.istiod = s.index.istiod; len(v.ownGateways) > 0 && v.Offline && v.AmbientNetworks() {
		v.deployGateways(v.ownGateways)
	}
	v.prepareIndexes()
	v.shareIndexes(s)
	return v
}

// ReadOfRemotes reports whether istiod reads the kind of remote clusters, or a trace takes it for their pods: rule 1.
func ReadOfRemotes(kind schema.GroupKind) bool {
	switch kind {
	case serviceKind, namespaceKind, workloadEntryKind, kubeGatewayKind:
		return true
	}
	return slices.Contains(RunningKinds, kind)
}

// ofRemotesAlone reports whether nothing of the kind in the first cluster counts for remote ones. Its Gateways do, which are the doors of all.
func ofRemotesAlone(kind schema.GroupKind) bool {
	return ReadOfRemotes(kind) && kind != kubeGatewayKind
}

var kubeGatewayKind = schema.GroupKind{Group: k8sgateway.GroupName, Kind: "Gateway"}

// copyConfiguration takes over what istiod reads of the first cluster alone.
func (s *Snapshot) copyConfiguration(from *Snapshot) {
	s.Gateways, s.RawVirtualServices, s.DestinationRules = from.Gateways, from.RawVirtualServices, from.DestinationRules
	s.ServiceEntries, s.WorkloadGroups, s.Sidecars = from.ServiceEntries, from.WorkloadGroups, from.Sidecars
	s.EnvoyFilters, s.ProxyConfigs = from.EnvoyFilters, from.ProxyConfigs
	s.PeerAuthentications, s.RequestAuthentications, s.AuthorizationPolicies = from.PeerAuthentications, from.RequestAuthentications, from.AuthorizationPolicies
	s.WasmPlugins, s.TrafficExtensions, s.Telemetries = from.WasmPlugins, from.TrafficExtensions, from.Telemetries
	s.Injectors, s.GatewayClasses, s.KubeGateways, s.ListenerSets = from.Injectors, from.GatewayClasses, from.KubeGateways, from.ListenerSets
	s.HTTPRoutes, s.GRPCRoutes, s.TLSRoutes, s.TCPRoutes, s.UDPRoutes = from.HTTPRoutes, from.GRPCRoutes, from.TLSRoutes, from.TCPRoutes, from.UDPRoutes
	s.ReferenceGrants, s.BackendTLSPolicies, s.BackendTrafficPolicies = from.ReferenceGrants, from.BackendTLSPolicies, from.BackendTrafficPolicies
	s.InferencePools, s.Ingresses, s.IngressClasses = from.InferencePools, from.Ingresses, from.IngressClasses
}

// shareIndexes takes over the indexes of configuration alone.
func (s *Snapshot) shareIndexes(from *Snapshot) {
	s.index.istiod = from.index.istiod
	s.index.sidecars, s.index.virtualServices, s.index.virtualServiceHosts = from.index.sidecars, from.index.virtualServices, from.index.virtualServiceHosts
	s.index.destinationRules, s.index.kube, s.index.ingresses = from.index.destinationRules, from.index.kube, from.index.ingresses
	s.index.policies, s.index.clients, s.index.networks = from.index.policies, from.index.clients, from.index.networks
}

// clusters are the views of all clusters, the first before the others.
func (s *Snapshot) clusters() []*Snapshot {
	if s.members == nil {
		return []*Snapshot{s}
	}
	return s.members
}

// several reports whether more clusters than one were read.
func (s *Snapshot) several() bool { return len(s.members) > 1 }

// first is the view of the cluster whose configuration istiod reads.
func (s *Snapshot) first() *Snapshot { return s.clusters()[0] }

// Member is the view of a cluster: the remote one of that id, or the first for an empty one or its own id. Without a cluster
// of that id it is the snapshot itself.
func (s *Snapshot) Member(id string) *Snapshot {
	if id == s.cluster {
		return s
	}
	for _, m := range s.clusters() {
		if m.cluster == id {
			return m
		}
	}
	if s.several() && id == s.first().ClusterID() {
		return s.first()
	}
	return s
}

// MemberOf is the view of the workload's cluster.
func (s *Snapshot) MemberOf(w *Workload) *Snapshot { return s.Member(w.Owner.Cluster) }

// RemoteID is the id of the remote cluster whose view this is; empty for the first.
func (s *Snapshot) RemoteID() string { return s.cluster }

// Clusters are the ids of all clusters that were read, the first before the others.
func (s *Snapshot) Clusters() []string {
	var ids []string
	for _, m := range s.clusters() {
		ids = append(ids, m.ClusterID())
	}
	return ids
}

// memberID is the view of the cluster of that id; nil for one that was not read.
func (s *Snapshot) memberID(id string) *Snapshot {
	for _, m := range s.clusters() {
		if m.ClusterID() == id {
			return m
		}
	}
	return nil
}

// MemberByID is the view of the cluster of that id, which may be the first's own; false for one that was not read.
func (s *Snapshot) MemberByID(id string) (*Snapshot, bool) {
	m := s.memberID(id)
	return m, m != nil
}

// HasCluster reports whether a cluster of that id was read.
func (s *Snapshot) HasCluster(id string) bool { return s.memberID(id) != nil }

// joined are the Services of all clusters, as proxies of this one see them: rule 3.
func (s *Snapshot) joined(own []*Service) []*Service {
	if !s.several() {
		return own
	}
	mine := make(map[string]*Service, len(own))
	for _, svc := range own {
		mine[svc.Hostname] = svc
	}
	var all []*Service
	seen := map[string]bool{}
	for _, m := range s.clusters() {
		services := own
		if m != s {
			services = m.ownServices()
		}
		for _, svc := range services {
			if seen[svc.Hostname] {
				continue
			}
			seen[svc.Hostname] = true
			if here := mine[svc.Hostname]; here == nil {
				svc.Elsewhere = true
			} else if m != s && len(here.Addresses) > 0 {
				svc.Addresses = here.Addresses
			}
			all = append(all, svc)
		}
	}
	return all
}

// ownServices are the cluster's own, in their order of age.
func (s *Snapshot) ownServices() []*Service {
	out := make([]*Service, 0, len(s.KubeServices))
	for i, svc := range s.KubeServices {
		out = append(out, convertKubeService(svc, i, s.Mesh))
	}
	return out
}

// OwnService is the Kubernetes Service as this cluster has it; nil where it has none of that name.
func (s *Snapshot) OwnService(svc *Service) *Service { return s.own(svc) }

// own is the Kubernetes Service as this cluster has it; nil where it has none of that name.
func (s *Snapshot) own(svc *Service) *Service {
	if !s.several() {
		return svc
	}
	return s.index.services().own[svc.Hostname]
}

// serviceObject is the resource that a Kubernetes Service is of; nil for others.
func (s *Snapshot) serviceObject(svc *Service) *corev1.Service {
	if svc.Registry != RegistryKubernetes {
		return nil
	}
	return s.Member(svc.Ref.Cluster).index.endpoints().services[destinationKey{svc.Namespace, svc.Name}]
}

// havingService are the clusters that have the Service, each with its own, in the order in which istiod has their endpoints.
// Source: pilot/pkg/model/endpointshards.go, Keys.
func (s *Snapshot) havingService(svc *Service) []memberService {
	if !s.several() {
		return []memberService{{s, svc}}
	}
	var out []memberService
	for _, m := range s.clusters() {
		if own := m.index.services().own[svc.Hostname]; own != nil {
			out = append(out, memberService{m, own})
		}
	}
	slices.SortFunc(out, func(a, b memberService) int { return cmp.Compare(a.ClusterID(), b.ClusterID()) })
	return out
}

// memberService is a Service as one cluster has it.
type memberService struct {
	*Snapshot
	service *Service
}

// kubeServices are those of all clusters.
func (s *Snapshot) kubeServices() []*corev1.Service {
	if !s.several() {
		return s.KubeServices
	}
	var out []*corev1.Service
	for _, m := range s.clusters() {
		out = append(out, m.KubeServices...)
	}
	return out
}
