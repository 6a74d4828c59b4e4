package resolve

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// Whose endpoints are behind a Service of several clusters. istiod joins the endpoints that all of them have behind a Service of one
// name and namespace; a trace has those of the clusters that were read (remotecluster.go).
//
//  1. istiod reads each cluster for which its namespace has a Secret with the label istio/multiCluster: "true". The annotation
//     networking.istio.io/cluster names the cluster, else its name after istio-remote-secret-, as istioctl writes it. What the Secret
//     holds is not read. On a live cluster Secrets are not listed, so that these are known of manifests alone.
//  2. MeshNetworks name clusters, too (fromRegistry), and so does the command line, of clusters that then could not be read.
//  3. Hosts that are local to their cluster have the endpoints of the client's cluster: the mesh config's serviceSettings say so, and by
//     default those of kube-system, kubernetes.default, and istiod itself. So has a Service with internalTrafficPolicy Local.
//
// Source: pkg/kube/multicluster/secretcontroller.go, MultiClusterSecretLabel; istioctl/pkg/multicluster/remote_secret.go;
// pilot/pkg/model/endpointshards.go; pilot/pkg/model/cluster_local.go.

// Rules of other clusters.
const (
	RuleClusterUnread    RuleID = "multicluster/not-read"
	RuleClusterLocal     RuleID = "multicluster/cluster-local"
	RuleClusterEndpoints RuleID = "multicluster/endpoints"
	RuleClusterDiffers   RuleID = "multicluster/service-differs"
	RuleClusterOwnIstiod RuleID = "multicluster/istiod-of-its-own"
	RuleClusterAddress   RuleID = "multicluster/address-elsewhere"
	RuleClusterZtunnel   RuleID = "multicluster/ztunnel"
	RuleClusterService   RuleID = "multicluster/has-service"
)

var meshClusterRules = []Rule{
	{
		ID: RuleClusterUnread, Stage: StageLoadBalance,
		Says:     "istiod joins the endpoints that all clusters of the mesh have behind a Service. Those of a cluster that was not read are not considered: shares, and that there is no endpoint, are of the cluster that was read.",
		Template: "cluster %s is of the mesh and was not read: endpoints that it has of %s are not considered",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, snapshotShards",
	},
	{
		ID: RuleClusterLocal, Stage: StageLoadBalance,
		Says:     "A host that is local to its cluster (meshConfig.serviceSettings; by default those of kube-system, kubernetes.default and istiod) has the endpoints of the client's cluster alone.",
		Template: "%s is local to its cluster: endpoints of other clusters do not count",
		Source:   "pilot/pkg/model/cluster_local.go, onMeshUpdated",
	},
	{
		ID: RuleClusterEndpoints, Stage: StageLoadBalance,
		Says:     "The endpoints of a Service are those of all clusters of the mesh that have a Service of its name and namespace, each found by the Service of its own cluster.",
		Template: "%d of %s in cluster %s",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, snapshotShards",
	},
	{
		ID: RuleClusterDiffers, Stage: StageLoadBalance,
		Says:     "Of a Service that is not the same in all clusters, what the first one says counts for clients: its ports, protocols and exportTo. Endpoints of the others join where a port has the same name.",
		Template: "Service %s has other ports in cluster %s (%s): clients go by those of cluster %s (%s), and ports join by name",
		Source:   "pilot/pkg/serviceregistry/aggregate/controller.go, mergeService",
	},
	{
		ID: RuleClusterZtunnel, Stage: StageLoadBalance,
		Says:     "A ztunnel is told of the workloads of its own cluster alone, unless AMBIENT_ENABLE_MULTI_NETWORK is on.",
		Template: "the ztunnels of cluster %s are told of it alone, without AMBIENT_ENABLE_MULTI_NETWORK: %d of %s in other clusters do not count",
		Source:   "pilot/pkg/serviceregistry/ambient/ambientindex.go, New",
	},
	{
		ID: RuleClusterService, Stage: StageLoadBalance, Detail: true,
		Says:     "A Service of one name and namespace in several clusters is one, to istiod.",
		Template: "%s is a Service of cluster %s, too",
		Source:   "pilot/pkg/serviceregistry/aggregate/controller.go, Services",
	},
	{
		ID: RuleClusterAddress, Stage: StageLoadBalance,
		Says:     "The ClusterIP of a Service leads to its pods in its own cluster alone. A connection to it that no sidecar takes in another cluster is not followed any further.",
		Template: "%s is the address of %s in another cluster: no proxy takes the connection, and nothing in this cluster has the address",
		Source:   "Kubernetes, Virtual IPs and Service Proxies",
	},
	{
		ID: RuleClusterOwnIstiod, Stage: StageLoadBalance,
		Says:     "A remote cluster that runs an istiod of its own has its proxies configured by that one, with the configuration of its own cluster. That is taken to be the same as the first cluster's.",
		Template: "cluster %s has an istiod of its own (%s), which configures its proxies by its own cluster's configuration: taken to be the same as that of cluster %s",
		Source:   "Istio, Install Multi-Primary",
	},
}

const (
	multiClusterLabel   = "istio/multiCluster"
	clusterOfSecret     = "networking.istio.io/cluster"
	remoteSecretPrefix  = "istio-remote-secret-"
	defaultIstiodDomain = "istiod"
)

// otherClusters are those of rules 1 and 2, by name, and what names them.
func (s *Snapshot) otherClusters() map[string]Ref {
	out := map[string]Ref{}
	own := ""
	add := func(name string, ref Ref) {
		if own == "" {
			own = s.ClusterID()
		}
		if _, ok := out[name]; !ok && name != "" && name != own {
			out[name] = ref
		}
	}
	for _, r := range s.unread {
		add(r.Cluster, Ref{Kind: "Cluster", Name: r.Cluster})
	}
	for _, secret := range s.Secrets {
		if secret.Labels[multiClusterLabel] != "true" || secret.Namespace != s.istiodNamespace() {
			continue
		}
		name := secret.Annotations[clusterOfSecret]
		if name == "" {
			name = strings.TrimPrefix(secret.Name, remoteSecretPrefix)
		}
		add(name, refOf("", "Secret", secret))
	}
	for _, network := range slices.Sorted(maps.Keys(s.Networks.GetNetworks())) {
		for i, e := range s.Networks.GetNetworks()[network].GetEndpoints() {
			if from, ok := e.GetNe().(*meshconfig.Network_NetworkEndpoints_FromRegistry); ok {
				add(from.FromRegistry, s.NetworksRef.At(networkField(s.NetworksRef, network, "endpoints", i)))
			}
		}
	}
	return out
}

// ElsewhereToo tells of clusters that were not read and may have endpoints of the service.
func (s *Snapshot) ElsewhereToo(svc *Service) []Step {
	if svc.Registry != RegistryKubernetes {
		return nil
	}
	others := s.otherClusters()
	maps.DeleteFunc(others, func(id string, _ Ref) bool { return s.HasCluster(id) })
	if len(others) == 0 {
		return nil
	}
	if s.clusterLocal(svc.Hostname) && !s.several() {
		return []Step{NewStep(RuleClusterLocal, Applied, svc.Ref, svc.Hostname)}
	}
	var steps []Step
	for _, name := range slices.Sorted(maps.Keys(others)) {
		steps = append(steps, NewStep(RuleClusterUnread, Warned, others[name], name, svc.Hostname))
	}
	return steps
}

// ofClusters keeps the endpoints that a client of this cluster gets, and tells whose they are.
func (s *Snapshot) ofClusters(svc *Service, eps []*Endpoint) ([]*Endpoint, []Step) {
	if !s.several() {
		return eps, nil
	}
	var steps []Step
	id := s.ClusterID()
	local := s.clusterLocal(svc.Hostname)
	if local || svc.InternalTrafficLocal {
		kept := slices.DeleteFunc(slices.Clone(eps), func(e *Endpoint) bool { return e.Cluster != id })
		if local && len(kept) < len(eps) {
			steps = append(steps, NewStep(RuleClusterLocal, Applied, svc.Ref, svc.Hostname))
		}
		eps = kept
	}
	if s.AmbientNetworks() {
		kept, scoped := s.ofScope(svc, eps)
		eps, steps = kept, append(steps, scoped...)
	}
	counts := map[string]int{}
	for _, e := range eps {
		counts[e.Cluster] += e.Count
	}
	steps = append(steps, s.differing(svc)...)
	for _, m := range s.havingService(svc) {
		own := len(counts) == 1 && m.ClusterID() == id
		if n := counts[m.ClusterID()]; svc.Registry == RegistryKubernetes && n > 0 && !own {
			steps = append(steps, NewStep(RuleClusterEndpoints, Applied, m.service.Ref, n, svc.Hostname, m.ClusterID()))
		}
	}
	return eps, steps
}

// ofZtunnel keeps the endpoints of this cluster: istiod tells ztunnels of no other, unless AMBIENT_ENABLE_MULTI_NETWORK is on
// (servicescope.go).
func (s *Snapshot) ofZtunnel(svc *Service, eps []*Endpoint) ([]*Endpoint, []Step) {
	if !s.several() {
		return eps, nil
	}
	id := s.ClusterID()
	others := slices.DeleteFunc(slices.Clone(eps), func(e *Endpoint) bool { return e.Cluster == id })
	if len(others) == 0 {
		return eps, nil
	}
	f := s.feature(featureAmbientNetworks)
	steps := append(f.told(), Behind(svc, others)...)
	for _, m := range s.havingService(svc) {
		steps = append(steps, NewStep(RuleClusterService, Applied, m.service.Ref, svc.Hostname, m.ClusterID()))
	}
	if s.AmbientNetworks() {
		kept, scoped := s.toldOf(svc, eps)
		return kept, append(steps, scoped...)
	}
	kept := slices.DeleteFunc(slices.Clone(eps), func(e *Endpoint) bool { return e.Cluster != id })
	return kept, append(steps, NewStep(RuleClusterZtunnel, f.verdict(), svc.Ref, id, podCount(others), svc.Hostname))
}

// differing tells of clusters whose Service has other ports.
func (s *Snapshot) differing(svc *Service) []Step {
	if svc.Registry != RegistryKubernetes {
		return nil
	}
	ports := func(of *Service) string {
		var words []string
		for _, p := range of.Ports {
			words = append(words, strings.TrimSpace(p.Name+" "+strconv.Itoa(p.Number)))
		}
		if of.Headless() {
			words = append(words, "headless")
		}
		return strings.Join(words, ", ")
	}
	all := s.havingService(svc)
	first := slices.IndexFunc(all, func(m memberService) bool { return m.service.Ref == svc.Ref })
	if first < 0 {
		return nil
	}
	counts := all[first]
	var steps []Step
	for _, m := range all {
		if ports(m.service) != ports(counts.service) {
			steps = append(steps, NewStep(RuleClusterDiffers, Warned, m.service.Ref.At("spec.ports"), svc.Ref.QualifiedName(), m.ClusterID(), ports(m.service), counts.ClusterID(), ports(counts.service)))
		}
	}
	return steps
}

// OwnIstiod tells of an istiod in the remote cluster whose view this is.
func (s *Snapshot) OwnIstiod() []Step {
	if s.cluster == "" {
		return nil
	}
	d := findIstiod(s)
	if d == nil {
		return nil
	}
	ref := refOf("apps", "Deployment", d)
	return []Step{NewStep(RuleClusterOwnIstiod, Warned, ref, s.cluster, ref, s.first().ClusterID())}
}

// clusterLocal is rule 3. What the mesh config says of a host, the most specific one first, stands above the defaults that are
// not wider; a setting of false takes away the default that it names.
//
// Source: pilot/pkg/model/cluster_local.go, onMeshUpdated, IsClusterLocal.
func (s *Snapshot) clusterLocal(host string) bool {
	hosts := map[string]bool{}
	defaults := []string{"*.kube-system.svc." + s.Mesh.Domain, "kubernetes.default.svc." + s.Mesh.Domain, defaultIstiodDomain + "." + s.istiodNamespace() + ".svc." + s.Mesh.Domain}
	for _, set := range s.Mesh.GetServiceSettings() {
		local := set.GetSettings().GetClusterLocal()
		for _, h := range set.GetHosts() {
			hosts[h] = local
			defaults = slices.DeleteFunc(defaults, func(d string) bool {
				return !local && (h == d || IsWildcardHost(d) && strings.HasSuffix(h, d[1:]))
			})
		}
	}
	for _, d := range defaults {
		hosts[d] = true
	}
	best := ""
	for _, h := range slices.Sorted(maps.Keys(hosts)) {
		if (h == host || IsWildcardHost(h) && HostSubsetOf(host, h)) && (best == "" || CompareHostSpecificity(h, best) < 0) {
			best = h
		}
	}
	return hosts[best]
}

// clusterSecretOnly are the label and the annotation of a Secret that say which cluster it is of.
func clusterSecretOnly(secret *corev1.Secret) (labels, annotations map[string]string) {
	only := func(of map[string]string, key string) map[string]string {
		if value, there := of[key]; there {
			return map[string]string{key: value}
		}
		return nil
	}
	return only(secret.Labels, multiClusterLabel), only(secret.Annotations, clusterOfSecret)
}
