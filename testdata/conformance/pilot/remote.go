package pilot

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"

	meshconfig "istio.io/api/mesh/v1alpha1"
	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/serviceregistry"
	"istio.io/istio/pilot/pkg/serviceregistry/aggregate"
	"istio.io/istio/pilot/pkg/serviceregistry/provider"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/mesh/meshwatcher"
	dnsserver "istio.io/istio/pkg/dns/server"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
)

// Several clusters of one mesh in the fake server.
//
//  1. The first is its default cluster, the one with configuration; the others are registries of Services.
//  2. It takes its registries in any order. They are put in the order that the tracer tells of: the first cluster, then the others by
//     their ids.
//  3. Which network a cluster is on is written into MeshNetworks, as for one cluster.
//
// Source: pilot/test/xds/fake.go; pilot/pkg/serviceregistry/aggregate/controller.go.

func idOf(p *apiserver.Pod) cluster.ID { return cluster.ID(cmp.Or(p.Cluster, ownCluster)) }

// remoteObjects are those of the remote clusters by their ids.
func remoteObjects(c *apiserver.Cluster) map[cluster.ID][]runtime.Object {
	out := map[cluster.ID][]runtime.Object{}
	for _, r := range c.Remotes() {
		out[cluster.ID(r.ID())] = r.Objects
	}
	return out
}

// severalUnjudged is what the fake server does not do of several clusters.
func severalUnjudged(c *apiserver.Cluster) error {
	if len(c.Remotes()) == 0 {
		return nil
	}
	for _, cfg := range c.Configs {
		if se, ok := cfg.Spec.(*networking.ServiceEntry); ok && se.GetWorkloadSelector() != nil {
			return apiserver.Unjudged{Reason: "the fake istiod tells its ServiceEntry controller of no pods of remote clusters"}
		}
	}
	return nil
}

// orderRegistries is step 2.
func (w *World) orderRegistries() {
	if len(w.cluster.Remotes()) == 0 {
		return
	}
	all, ok := w.server.Registry.(*aggregate.Controller)
	if !ok {
		return
	}
	clusters := slices.DeleteFunc(all.GetRegistries(), func(r serviceregistry.Instance) bool { return r.Provider() != provider.Kubernetes })
	rank := func(r serviceregistry.Instance) int {
		if r.Cluster() == ownCluster {
			return 0
		}
		return 1
	}
	slices.SortFunc(clusters, func(a, b serviceregistry.Instance) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Cluster(), b.Cluster()))
	})
	for _, r := range clusters {
		all.DeleteRegistry(r.Cluster(), provider.Kubernetes)
		all.AddRegistry(r)
	}
	push := model.NewPushContext()
	push.InitContext(w.server.Env(), nil, nil)
	w.server.Env().SetPushContext(push)
}

// severalNetworks is step 3.
func severalNetworks(c *apiserver.Cluster, m *meshconfig.MeshNetworks) (mesh.NetworksWatcher, error) {
	told := slices.ContainsFunc(slices.Collect(maps.Values(m.Networks)), func(n *meshconfig.Network) bool { return len(n.Endpoints) > 0 })
	for _, one := range append([]*apiserver.Cluster{c}, c.Remotes()...) {
		name := one.SystemNetwork()
		if name == "" {
			continue
		}
		if told {
			return nil, apiserver.Unjudged{Reason: "the namespace of istiod and MeshNetworks tell networks, and the fake istiod sees no namespace of its own"}
		}
		if m.Networks[name] == nil {
			m.Networks[name] = &meshconfig.Network{}
		}
		from := &meshconfig.Network_NetworkEndpoints_FromRegistry{FromRegistry: cmp.Or(one.ID(), ownCluster)}
		m.Networks[name].Endpoints = append(m.Networks[name].Endpoints, &meshconfig.Network_NetworkEndpoints{Ne: from})
	}
	return meshwatcher.NewFixedNetworksWatcher(m), nil
}

// NameTable is what the proxy of a pod answers to a DNS query for the host, as istiod tells it; nil where it does not know the host.
func (w *World) NameTable(p *apiserver.Pod, host string) []netip.Addr {
	if w.server == nil || p.Proxy == "" || !w.CapturesDNS(p) {
		return nil
	}
	node := w.server.SetupProxy(w.node(p))
	table := dnsserver.BuildNameTable(dnsserver.Config{Node: node, Push: w.server.PushContext(), MulticlusterHeadlessEnabled: features.MulticlusterHeadlessEnabled}).GetTable()
	for _, suffix := range []string{"", "." + p.Namespace + ".svc.cluster.local", ".svc.cluster.local", ".cluster.local"} {
		if info := table[host+suffix]; info != nil {
			var out []netip.Addr
			for _, text := range info.GetIps() {
				if ip, err := netip.ParseAddr(text); err == nil {
					out = append(out, ip)
				}
			}
			return out
		}
	}
	return nil
}
