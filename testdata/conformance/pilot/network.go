package pilot

import (
	"net/netip"
	"slices"

	"google.golang.org/protobuf/proto"

	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/mesh/meshwatcher"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
)

// Networks of the fake server.
//
//  1. MeshNetworks are the manifests'. With a mistake in them istiod goes without.
//  2. The fake server looks at no namespace of its own. The label of istio-system stands before MeshNetworks for every endpoint without
//     a label, and so does a network that has the whole cluster: the one is written as the other. Where MeshNetworks give the
//     cluster to another network, that can not be told.
//  3. A pod that the webhook has injected has the network of its label, or of the charts' values, which are taken to be as the
//     label of istio-system says. A machine outside has that of its WorkloadEntry.
//
// Source: pilot/pkg/serviceregistry/kube/controller/controller.go, Network; pkg/kube/inject/inject.go, extractClusterAndNetwork;
// pilot/test/xds/fake.go.

const ownCluster = "Kubernetes"

// networks is steps 1 and 2.
func networks(c *apiserver.Cluster) (mesh.NetworksWatcher, error) {
	m := &meshconfig.MeshNetworks{}
	if c.MeshNetworks != "" {
		if parsed, err := mesh.ParseMeshNetworks(c.MeshNetworks); err == nil {
			m = parsed
		}
	}
	m, _ = proto.Clone(m).(*meshconfig.MeshNetworks)
	if m.Networks == nil {
		m.Networks = map[string]*meshconfig.Network{}
	}
	if len(c.Remotes()) > 0 {
		return severalNetworks(c, m)
	}
	if name := c.SystemNetwork(); name != "" {
		for other, n := range m.Networks {
			has := slices.ContainsFunc(n.Endpoints, func(e *meshconfig.Network_NetworkEndpoints) bool { return e.GetFromRegistry() == ownCluster })
			served := slices.ContainsFunc(n.Gateways, func(gw *meshconfig.Network_IstioNetworkGateway) bool { return gw.GetRegistryServiceName() != "" })
			if other != name && has || other == name && served && !has {
				return nil, apiserver.Unjudged{Reason: "the namespace of istiod and MeshNetworks give the cluster to different networks, and the fake istiod sees no namespace of its own"}
			}
			n.Endpoints = nil
		}
		if m.Networks[name] == nil {
			m.Networks[name] = &meshconfig.Network{}
		}
		m.Networks[name].Endpoints = []*meshconfig.Network_NetworkEndpoints{{Ne: &meshconfig.Network_NetworkEndpoints_FromRegistry{FromRegistry: ownCluster}}}
	}
	return meshwatcher.NewFixedNetworksWatcher(m), nil
}

// networkOf is step 3.
func (w *World) networkOf(p *apiserver.Pod) string {
	if p.Machine || p.Injected && p.Labels[apiserver.Network] != "" {
		return w.entryNetwork(p)
	}
	if p.Injected {
		return w.cluster.Of(p).SystemNetwork()
	}
	return ""
}

func (w *World) entryNetwork(p *apiserver.Pod) string {
	if p.Injected {
		return p.Labels[apiserver.Network]
	}
	for _, cfg := range w.cluster.Configs {
		if we, ok := cfg.Spec.(*networking.WorkloadEntry); ok && cfg.Namespace == p.Namespace && cfg.Name == p.Name {
			return we.GetNetwork()
		}
	}
	return ""
}

// NetworkGateway are the addresses behind a gateway of another network, as its load balancer has them; ok is false for an
// address that istiod does not take for one.
func (w *World) NetworkGateway(to netip.AddrPort) (backends []netip.AddrPort, here, ok bool) {
	if w.server == nil {
		return nil, false, false
	}
	if backends, here := w.cluster.External(to); here && apart(w.cluster) {
		return backends, true, true
	}
	if pods, ok := eastWestAt(w.cluster, to.Addr().String()); ok && apart(w.cluster) {
		for _, p := range pods {
			backends = append(backends, netip.AddrPortFrom(p.Address, to.Port()))
		}
		return backends, true, true
	}
	for _, g := range w.server.Env().NetworkManager.AllGateways() {
		if ip, err := netip.ParseAddr(g.Addr); err == nil && ip == to.Addr() && (g.Port == uint32(to.Port()) || g.HBONEPort == uint32(to.Port())) {
			backends, here = w.cluster.External(to)
			return backends, here, true
		}
	}
	return nil, false, false
}
