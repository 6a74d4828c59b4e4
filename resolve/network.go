package resolve

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// Networks: between two of them workloads do not reach each other by their own addresses.
//
// The network of a pod, or of an address in an EndpointSlice:
//  1. The pod's label topology.istio.io/network, if it is not empty.
//  2. Else that label of the namespace of istiod.
//  3. Else that of meshNetworks which has this cluster (fromRegistry), else the widest range with the address (fromCidr).
//  4. Else none: what is on no network is taken to be on everyone's.
//
// That of a WorkloadEntry, or of an endpoint written in a ServiceEntry, is what network says, and nothing else.
//
// The network of a proxy is ISTIO_META_NETWORK in its environment. The injector writes it into a new pod: the pod's label, else
// the value global.network of Istio's charts. That value is in no resource; it is taken to be the label of the namespace of
// istiod, as Istio's installation guides set both.
//
// Source: pilot/pkg/serviceregistry/kube/controller/controller.go, Network; network.go, networkFromMeshNetworks;
// pilot/pkg/serviceregistry/serviceentry/conversion.go, convertWorkloadEntryToWorkloadInstance; pilot/pkg/model/context.go,
// InNetwork; pkg/kube/inject/inject.go, extractClusterAndNetwork.

// Rules of networks.
const (
	RuleNetworkOf      RuleID = "network/of-endpoint"
	RuleNetworkUnknown RuleID = "network/range-of-unknown-address"
	RuleNetworkProxy   RuleID = "network/of-proxy"
)

const clusterNetwork = "pilot/pkg/serviceregistry/kube/controller/controller.go, Network"

var networkRules = []Rule{
	{
		ID: RuleNetworkOf, Stage: StageLoadBalance, Detail: true,
		Says:     "A pod is on the network of its label topology.istio.io/network, else of the label of istiod's namespace, else of meshNetworks: fromRegistry before fromCidr. A WorkloadEntry is on the one that its field network names.",
		Template: "%s is on network %s, by %s",
		Source:   clusterNetwork,
	},
	{
		ID: RuleNetworkUnknown, Stage: StageLoadBalance,
		Says:     "Where meshNetworks tells networks by ranges of addresses (fromCidr), a pod of manifests that has no address yet is taken to be in none of them.",
		Template: "%s has no address yet, and meshNetworks tells networks by address (fromCidr): taken to be on none",
		Source:   "pilot/pkg/serviceregistry/kube/controller/network.go, networkFromMeshNetworks",
	},
	{
		ID: RuleNetworkProxy, Stage: StageLoadBalance, Detail: true,
		Says:     "A proxy is on the network that ISTIO_META_NETWORK names. In new pods it is the pod's label topology.istio.io/network, else global.network of the charts, which is taken to be the label of istiod's namespace.",
		Template: "the proxy of %s is on network %s, by %s",
		Source:   "pkg/kube/inject/inject.go, extractClusterAndNetwork",
	},
}

// network is the name of a network, and what says so; the zero value is none.
type network struct {
	name string
	by   string
	ref  Ref
}

// The variables of a proxy that are about networks.
const (
	metaNetwork     = "ISTIO_META_NETWORK"
	metaNetworkView = "ISTIO_META_REQUESTED_NETWORK_VIEW"
)

// istiodNamespace is the namespace of istiod: that of the mesh config, else the root namespace.
func (s *Snapshot) istiodNamespace() string {
	return cmp.Or(s.Mesh.Ref.Namespace, s.Mesh.GetRootNamespace())
}

// systemNetwork is the label of the namespace of istiod.
func (s *Snapshot) systemNetwork() network {
	name := s.istiodNamespace()
	ns := s.Namespaces[name]
	if ns == nil || ns.Labels[labelNetwork] == "" {
		return network{}
	}
	ref := Ref{Kind: "Namespace", Cluster: s.cluster, Name: name}.At("metadata.labels[" + labelNetwork + "]")
	return network{ns.Labels[labelNetwork], "the label of istiod's " + ref.Object().String(), ref}
}

// networkOfPod is steps 1 to 4; ref is the pod, its workload, or the slice that has the address. The address may not be known.
func (s *Snapshot) networkOfPod(labels map[string]string, ref Ref, ip netip.Addr) network {
	if name := labels[labelNetwork]; name != "" {
		return network{name, "its label " + labelNetwork, ref}
	}
	if n := s.systemNetwork(); n.name != "" {
		return n
	}
	if s.Networks == nil {
		return network{}
	}
	return s.index.meshNetworks().of(ip)
}

// networkOf is that of a workload's endpoints.
func (s *Snapshot) networkOf(w *Workload) network {
	if w.Owner.Group == istioNetworking {
		if w.Network == "" {
			return network{}
		}
		return network{w.Network, "its field network", w.Owner.At("spec.network")}
	}
	return s.networkOfPod(w.Labels, workloadRef(w), firstIP(w))
}

// firstIP is the workload's first address; invalid without one.
func firstIP(w *Workload) netip.Addr {
	if len(w.Addresses) == 0 {
		return netip.Addr{}
	}
	return w.Addresses[0]
}

// networkOfProxy is that of the workload's proxy.
func (s *Snapshot) networkOfProxy(w *Workload) network {
	return s.known(w).network.of(struct{}{}, func() network { return s.findNetworkOfProxy(w) })
}

func (s *Snapshot) findNetworkOfProxy(w *Workload) network {
	if w.Owner.Group == istioNetworking {
		return s.networkOf(w)
	}
	if name, ref := s.metadata(w, metaNetwork); name != "" {
		if ref.IsZero() {
			ref = workloadRef(w)
		}
		return network{name, metaNetwork, ref}
	}
	if !s.injectedAnew(w) {
		return network{}
	}
	if name, ok := w.Labels[labelNetwork]; ok {
		return network{name, "its label " + labelNetwork, workloadRef(w)}
	}
	return s.systemNetwork()
}

// injectedAnew reports whether the workload's pods are yet to be injected, so that what the injector writes is not among
// their variables.
func (s *Snapshot) injectedAnew(w *Workload) bool {
	return !slices.ContainsFunc(w.Containers, func(c corev1.Container) bool { return c.Name == proxyContainer && !ImageChosenByWebhook(c) })
}

// inView are the endpoints that the proxy is told of, by the networks it asks for; a nil client asks for all.
func (s *Snapshot) inView(client *Workload, eps []*Endpoint) []*Endpoint {
	if client == nil {
		return eps
	}
	view := s.networkView(client)
	if view == nil {
		return eps
	}
	return slices.DeleteFunc(slices.Clone(eps), func(e *Endpoint) bool { return e.Network != "" && !slices.Contains(view, e.Network) })
}

// networkView are the networks whose endpoints a proxy asks for (ISTIO_META_REQUESTED_NETWORK_VIEW); nil for all.
//
// Source: pilot/pkg/model/proxy_view.go, newProxyView.
func (s *Snapshot) networkView(w *Workload) []string {
	text, _ := s.metadata(w, metaNetworkView)
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// ClusterID is what istiod calls its cluster: CLUSTER_ID in the environment of its Deployment, else Kubernetes.
// Source: manifests/charts/istio-control/istio-discovery/templates/deployment.yaml; pkg/config/constants, DefaultClusterName.
func (s *Snapshot) ClusterID() string {
	if s.cluster != "" {
		return s.cluster
	}
	id, _ := s.istiodVariable(clusterIDVariable)
	return cmp.Or(id, "Kubernetes")
}

const clusterIDVariable = "CLUSTER_ID"

// meshNetworks is what MeshNetworks says of addresses of this cluster.
type meshNetworks struct {
	// registry is the network that has the whole cluster; zero for none.
	registry network
	// ranges are sorted, the widest first.
	ranges []networkRange
}

type networkRange struct {
	network
	prefix netip.Prefix
}

// of is step 3.
func (m *meshNetworks) of(ip netip.Addr) network {
	if m.registry.name != "" {
		return m.registry
	}
	for _, r := range m.ranges {
		if ip.IsValid() && r.prefix.Contains(ip) {
			return r.network
		}
	}
	return network{}
}

// readMeshNetworks prepares step 3. Of several networks with the cluster, or with one range, istiod takes any; here it is
// the first by name.
func readMeshNetworks(s *Snapshot) *meshNetworks {
	out := &meshNetworks{}
	all := s.Networks.GetNetworks()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for i, e := range all[name].GetEndpoints() {
			at := s.NetworksRef.At(networkField(s.NetworksRef, name, "endpoints", i))
			switch from := e.GetNe().(type) {
			case *meshconfig.Network_NetworkEndpoints_FromCidr:
				if prefix, err := netip.ParsePrefix(from.FromCidr); err == nil {
					out.ranges = append(out.ranges, networkRange{network{name, "fromCidr " + from.FromCidr + " of meshNetworks", at}, prefix.Masked()})
				}
			case *meshconfig.Network_NetworkEndpoints_FromRegistry:
				if from.FromRegistry != "" && out.registry.name == "" && from.FromRegistry == s.ClusterID() {
					out.registry = network{name, "fromRegistry " + from.FromRegistry + " of meshNetworks", at}
				}
			}
		}
	}
	slices.SortStableFunc(out.ranges, func(a, b networkRange) int { return cmp.Compare(a.prefix.Bits(), b.prefix.Bits()) })
	return out
}

// networkField is the path of an entry of a network, within the key of the ConfigMap where that holds it.
func networkField(ref Ref, name, list string, i int) string {
	if ref.Kind == "ConfigMap" {
		return ref.Field
	}
	return pathIndex("networks."+name+"."+list, i)
}
