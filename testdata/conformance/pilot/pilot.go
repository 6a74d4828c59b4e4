package pilot

import (
	"fmt"
	"net/netip"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/model"
	configgen "istio.io/istio/pilot/pkg/networking/core"
	"istio.io/istio/pilot/pkg/networking/util"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config/mesh"
	proxymodel "istio.io/istio/pkg/model"
	"istio.io/istio/pkg/util/sets"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// World is a cluster with its control plane. It makes the proxies as they are asked for.
type World struct {
	cluster *apiserver.Cluster
	server  *xds.FakeDiscoveryServer
	mesh    *meshconfig.MeshConfig
	byIP    map[netip.Addr]*evaluator.Machine
}

// New starts the control plane; it stops when the test ends.
func New(t testing.TB, c *apiserver.Cluster) (*World, error) {
	m := mesh.DefaultMeshConfig()
	if c.MeshConfig != "" {
		var err error
		if m, err = mesh.ApplyMeshConfig(c.MeshConfig, m); err != nil {
			return nil, apiserver.Unjudged{Reason: "istiod does not take the mesh config: " + err.Error()}
		}
	}
	w := &World{cluster: c, mesh: m, byIP: map[netip.Addr]*evaluator.Machine{}}
	w.server = xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
		KubernetesObjects: c.Objects, Configs: c.Configs, MeshConfig: m,
	})
	return w, nil
}

// Machine is a pod as the evaluator knows it.
func (w *World) Machine(p *apiserver.Pod) *evaluator.Machine {
	if m := w.byIP[p.Address]; m != nil {
		return m
	}
	m := &evaluator.Machine{Name: p.Owner, Address: p.Address}
	w.byIP[p.Address] = m
	if p.Proxy != "" {
		m.Proxy = w.proxy(p)
	}
	return m
}

// At is the machine at an address.
func (w *World) At(ip netip.Addr) *evaluator.Machine {
	for _, p := range w.cluster.Pods {
		if p.Address == ip && !p.Spec.HostNetwork {
			return w.Machine(p)
		}
	}
	return nil
}

// Service are the addresses behind a ClusterIP.
func (w *World) Service(to netip.AddrPort) ([]netip.AddrPort, bool) { return w.cluster.Backends(to) }

func (w *World) proxy(p *apiserver.Pod) *evaluator.Proxy {
	node := &model.Proxy{
		Type: model.SidecarProxy, ID: p.Name + "." + p.Namespace, IPAddresses: []string{p.Address.String()},
		ConfigNamespace: p.Namespace, DNSDomain: p.Namespace + ".svc.cluster.local", Labels: p.Labels,
		Locality: w.locality(p),
		Metadata: &model.NodeMetadata{
			Namespace: p.Namespace, Labels: p.Labels, Annotations: p.Annotations, ServiceAccount: p.Spec.ServiceAccountName,
			ClusterID: "Kubernetes", IstioVersion: "1.31.0", InterceptionMode: model.InterceptionRedirect, NodeName: p.Spec.NodeName,
		},
	}
	if p.Proxy == "gateway" {
		node.Type = model.Router
		node.Metadata.InterceptionMode = ""
	}
	trust := w.mesh.GetTrustDomain()
	identity := fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", trust, p.Namespace, p.Spec.ServiceAccountName)
	node = w.server.SetupProxy(node)
	out := &evaluator.Proxy{
		Kind: p.Proxy, Identity: identity,
		Listeners: w.server.Listeners(node),
		Routes:    map[string]*route.RouteConfiguration{}, Clusters: map[string]*cluster.Cluster{}, Endpoints: map[string]*endpoint.ClusterLoadAssignment{},
	}
	// An Envoy asks for each name once.
	names := sets.SortedList(sets.New(configgen.ExtractRoutesFromListeners(out.Listeners)...))
	resources, _ := w.server.ConfigGen.BuildHTTPRoutes(node, &model.PushRequest{Push: w.server.PushContext()}, names)
	for _, r := range resources {
		c := &route.RouteConfiguration{}
		if err := r.GetResource().UnmarshalTo(c); err == nil {
			out.Routes[c.GetName()] = c
		}
	}
	for _, c := range w.server.Clusters(node) {
		out.Clusters[c.GetName()] = c
	}
	for _, e := range w.server.Endpoints(node) {
		out.Endpoints[e.GetClusterName()] = e
	}
	return out
}

// locality is the node's, as its agent reads it from the labels.
func (w *World) locality(p *apiserver.Pod) *core.Locality {
	l := w.cluster.Node(p.Spec.NodeName)
	out := &core.Locality{Region: l["topology.kubernetes.io/region"], Zone: l["topology.kubernetes.io/zone"], SubZone: l["topology.istio.io/subzone"]}
	if label := proxymodel.GetLocalityLabel(p.Labels); label != "" {
		out = util.ConvertLocality(label)
	}
	return out
}
