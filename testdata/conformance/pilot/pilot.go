package pilot

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/util"
	registrylabel "istio.io/istio/pilot/pkg/serviceregistry/util/label"
	"istio.io/istio/pilot/test/xds"
	istiocluster "istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/mesh/meshwatcher"
	"istio.io/istio/pkg/kube"
	"istio.io/istio/pkg/kube/kclient"
	"istio.io/istio/pkg/kube/namespace"
	proxymodel "istio.io/istio/pkg/model"
	"istio.io/istio/pkg/spiffe"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// World is a cluster with its control plane. It makes the proxies as they are asked for.
type World struct {
	cluster *apiserver.Cluster
	// server is the control plane in this process; nil where another is asked.
	server *xds.FakeDiscoveryServer
	// configure gives a proxy what the control plane sends to it.
	configure func(*model.Proxy, *evaluator.Proxy)
	mesh      *meshconfig.MeshConfig
	// mu guards byIP: connections through real proxies ask side by side.
	mu   sync.Mutex
	byIP map[netip.Addr]*evaluator.Machine
	// shared is what every ztunnel is sent; nil before it was asked for.
	shared *evaluator.Ztunnel
	// known are the configurations that istiod discovers.
	known []config.Config
	// planes are the control planes of clusters that have one each; nil where one serves all.
	planes map[istiocluster.ID]*plane
}

// New starts the control plane; it stops when the test ends.
func New(t testing.TB, c *apiserver.Cluster) (*World, error) {
	w, err := newWorld(c)
	if err != nil {
		return nil, err
	}
	for _, policy := range w.mesh.GetServiceEntryVisibility().GetPolicies() {
		if len(policy.GetMatchingRules()) > 0 {
			return nil, apiserver.Unjudged{Reason: "the fake istiod tells its ServiceEntry controller no labels of namespaces"}
		}
	}
	if w.known, err = discovered(t, c, w.mesh); err != nil {
		return nil, err
	}
	if err := severalUnjudged(c); err != nil {
		return nil, err
	}
	watcher, err := networks(c)
	if err != nil {
		return nil, err
	}
	w.setFeatures()
	if apart(c) {
		w.configure = w.generate
		return w, w.startPlanes(t, watcher)
	}
	w.server = xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
		NetworksWatcher:   watcher,
		KubernetesObjects: slices.Concat(c.Objects, serviceEntries(c), ambientObjects(c)), Configs: w.known, MeshConfig: w.mesh, KubeClientModifier: addCRDs(t),
		DisableSecretAuthorization: true, KubernetesObjectsByCluster: remoteObjects(c),
	})
	w.orderRegistries()
	w.configure = w.generate
	return w, nil
}

// newWorld is the cluster without a control plane.
func newWorld(c *apiserver.Cluster) (*World, error) {
	m := mesh.DefaultMeshConfig()
	if c.MeshConfig != "" {
		var err error
		if m, err = mesh.ApplyMeshConfig(c.MeshConfig, m); err != nil {
			return nil, apiserver.Unjudged{Reason: "istiod does not take the mesh config: " + err.Error()}
		}
	}
	w := &World{cluster: c, mesh: m, byIP: map[netip.Addr]*evaluator.Machine{}}
	for _, p := range c.Pods {
		if _, err := w.metadata(p); err != nil {
			return nil, err
		}
		if _, err := w.iptables(p); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// discovered are the configurations of the namespaces that istiod's own filter lets through; the fake
// server filters Kubernetes' objects only.
func discovered(t testing.TB, c *apiserver.Cluster, m *meshconfig.MeshConfig) ([]config.Config, error) {
	if len(m.GetDiscoverySelectors()) == 0 {
		return c.Configs, nil
	}
	client := kube.NewFakeClient(c.Namespaces()...)
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	namespaces := kclient.New[*corev1.Namespace](client)
	go client.RunAndWait(stop)
	filter := namespace.NewDiscoveryNamespacesFilter(namespaces, meshwatcher.NewTestWatcher(m), stop)
	var out []config.Config
	for _, cfg := range c.Configs {
		if filter.Filter(cfg.Namespace) {
			out = append(out, cfg)
		}
	}
	return out, nil
}

// Machine is a pod as the evaluator knows it.
func (w *World) Machine(p *apiserver.Pod) *evaluator.Machine {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m := w.byIP[p.Address]; m != nil {
		return m
	}
	m := &evaluator.Machine{Name: p.Owner, Address: p.Address}
	w.byIP[p.Address] = m
	if p.Captured {
		m.Ztunnel, m.UID = w.ztunnel(p), string(idOf(p))+"//Pod/"+p.Namespace+"/"+p.Name
		if p.Machine {
			m.UID = "Kubernetes/networking.istio.io/WorkloadEntry/" + p.Namespace + "/" + p.Name
		}
		m.InboundOpen = p.Annotations["ambient.istio.io/bypass-inbound-capture"] == "true"
	}
	if p.Proxy != "" {
		m.Proxy = w.proxy(p)
		m.Iptables, _ = w.iptables(p)
	}
	return m
}

// At is the machine at an address. Of pods that share a node's address, a gateway is the one that is reached.
func (w *World) At(ip netip.Addr) *evaluator.Machine {
	for _, p := range w.cluster.Pods {
		if p.Address == ip && (!p.Spec.HostNetwork || p.Proxy == "gateway") {
			return w.Machine(p)
		}
	}
	if p := apiserver.Entry(w.known, ip); p != nil {
		return w.Machine(p)
	}
	return nil
}

// Resolve is the DNS of the cluster, for the namespace of the pod that asks.
func (w *World) Resolve(from netip.Addr, host string) ([]netip.Addr, bool) {
	namespace, c := "default", w.cluster
	for _, p := range w.cluster.Pods {
		if p.Address == from {
			namespace, c = p.Namespace, w.cluster.Of(p)
		}
	}
	return c.Resolve(host, namespace)
}

// Service are the addresses behind a ClusterIP, for a client of that address.
func (w *World) Service(from netip.Addr, to netip.AddrPort) (backends []netip.AddrPort, port, ok bool) {
	return w.cluster.Backends(from, to)
}

// node is the proxy as it tells istiod of itself.
func (w *World) node(p *apiserver.Pod) *model.Proxy {
	node := &model.Proxy{
		Type: model.SidecarProxy, ID: p.Name + "." + p.Namespace, IPAddresses: []string{p.Address.String()},
		ConfigNamespace: p.Namespace, DNSDomain: p.Namespace + ".svc.cluster.local", Labels: p.Labels,
		Locality: w.locality(p),
	}
	node.Metadata, _ = w.metadata(p) // New refused pods whose metadata do not parse
	// When a proxy connects, istiod adds where it is (xds/ads.go, setTopologyLabels); the fake server does not.
	node.Labels = registrylabel.AugmentLabels(node.Labels, node.Metadata.ClusterID, util.LocalityToString(node.Locality), node.Metadata.NodeName, node.Metadata.Network)
	switch p.Proxy {
	case "gateway":
		node.Type = model.Router
	case "waypoint":
		node.Type = model.Waypoint
	}
	node.VerifiedIdentity = &spiffe.Identity{TrustDomain: w.mesh.GetTrustDomain(), Namespace: p.Namespace, ServiceAccount: p.Spec.ServiceAccountName}
	return node
}

func (w *World) proxy(p *apiserver.Pod) *evaluator.Proxy {
	node, trust := w.node(p), w.mesh.GetTrustDomain()
	identity := fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", trust, p.Namespace, p.Spec.ServiceAccountName)
	out := &evaluator.Proxy{
		Kind: kindOf(p), Identity: identity,
		Routes: map[string]*route.RouteConfiguration{}, Clusters: map[string]*cluster.Cluster{}, Endpoints: map[string]*endpoint.ClusterLoadAssignment{},
	}
	w.configure(node, out)
	return out
}

// kindOf is what the proxy of a pod is: an east-west gateway runs as a waypoint does.
func kindOf(p *apiserver.Pod) string {
	if p.Labels["gateway.istio.io/managed"] == "istio.io-eastwest-controller" {
		return "gateway"
	}
	return p.Proxy
}

// generate asks the control plane in this process.
func (w *World) generate(node *model.Proxy, out *evaluator.Proxy) {
	w.setFeatures()
	server := w.server
	if of := w.planeOf(node.Metadata.ClusterID); of != nil {
		server = of.server
	}
	node = server.SetupProxy(node)
	out.Listeners = server.Listeners(node)
	resources, _ := server.ConfigGen.BuildHTTPRoutes(node, &model.PushRequest{Push: server.PushContext()}, routeNames(out.Listeners))
	for _, r := range resources {
		c := &route.RouteConfiguration{}
		if err := r.GetResource().UnmarshalTo(c); err == nil {
			out.Routes[c.GetName()] = c
		}
	}
	for _, c := range server.Clusters(node) {
		out.Clusters[c.GetName()] = c
	}
	for _, e := range server.Endpoints(node) {
		out.Endpoints[e.GetClusterName()] = e
	}
	out.Secrets = w.secrets(node, out)
}

// locality is the node's, as its agent reads it from the labels.
func (w *World) locality(p *apiserver.Pod) *core.Locality {
	l := w.cluster.Of(p).Node(p.Spec.NodeName)
	out := &core.Locality{Region: l["topology.kubernetes.io/region"], Zone: l["topology.kubernetes.io/zone"], SubZone: l["topology.istio.io/subzone"]}
	if label := proxymodel.GetLocalityLabel(p.Labels); label != "" {
		out = util.ConvertLocality(label)
	}
	return out
}
