package pilot

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/serviceregistry/ambient"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/activenotifier"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/mesh/meshwatcher"
	"istio.io/istio/pkg/config/schema/gvr"
	"istio.io/istio/pkg/kube"
	"istio.io/istio/pkg/kube/kclient/clienttest"
	"istio.io/istio/pkg/kube/krt"
	"istio.io/istio/pkg/kube/multicluster"
	"istio.io/istio/pkg/util/sets"

	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/apiserver"
	"github.com/mesh-trace/kubectl-mesh-trace/testdata/conformance/evaluator"
)

// Ambient mode over several networks (AMBIENT_ENABLE_MULTI_NETWORK).
//
//  1. Each cluster has a control plane of its own, which reads its own cluster as the first, and all others as remote ones. The
//     configuration is the first cluster's for all, but for Gateways: waypoints and east-west gateways are each cluster's own.
//  2. The fake server gives its index of ambient mode no remote clusters. This one gets them as istiod does, by Secrets.
//  3. The index is brought up to date in the background. It is taken to be done when it has changed nothing for a while.
//
// Source: pilot/test/xds/fake.go, NewFakeDiscoveryServer; pilot/pkg/bootstrap/servicecontroller.go; pkg/kube/multicluster/secretcontroller.go.

// plane is the control plane of one cluster.
type plane struct {
	server *xds.FakeDiscoveryServer
	index  ambient.Index
	shared *evaluator.Ztunnel
}

// apart reports whether each cluster has a control plane of its own.
func apart(c *apiserver.Cluster) bool {
	return len(c.Remotes()) > 0 && c.MultiNetwork()
}

// everyCluster are all clusters by their ids.
func everyCluster(c *apiserver.Cluster) map[cluster.ID]*apiserver.Cluster {
	out := map[cluster.ID]*apiserver.Cluster{ownCluster: c}
	for _, r := range c.Remotes() {
		out[cluster.ID(r.ID())] = r
	}
	return out
}

// objectsFor are those that the control plane of a cluster reads of it: rule 1.
func objectsFor(c, one *apiserver.Cluster) []runtime.Object {
	out := slices.Clone(one.Objects)
	if one != c {
		for _, o := range c.Objects {
			if _, gateway := o.(*k8sgateway.Gateway); !gateway && !apiserver.ReadRemotely(o) {
				out = append(out, o)
			}
		}
	}
	return slices.Concat(out, serviceEntries(c), ambientObjects(c))
}

// startPlanes starts one for each cluster.
func (w *World) startPlanes(t testing.TB, watcher mesh.NetworksWatcher) error {
	w.planes = map[cluster.ID]*plane{}
	all := everyCluster(w.cluster)
	for id, one := range all {
		remotes := map[cluster.ID][]runtime.Object{}
		for other, x := range all {
			if other != id {
				remotes[other] = x.Objects
			}
		}
		index := ambientIndex(t, id, objectsFor(w.cluster, one), remotes, w.mesh)
		w.planes[id] = &plane{index: index, server: xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
			DefaultClusterName: id, NetworksWatcher: watcher, AmbientIndex: index,
			KubernetesObjects: objectsFor(w.cluster, one), Configs: w.known, MeshConfig: w.mesh, KubeClientModifier: addCRDs(t),
			DisableSecretAuthorization: true, KubernetesObjectsByCluster: remotes,
		})}
		w.server = w.planes[id].server
		w.orderRegistries()
	}
	w.server = w.planes[ownCluster].server
	return nil
}

var ambientKinds = []schema.GroupVersionResource{
	gvr.AuthorizationPolicy, gvr.PeerAuthentication, gvr.WorkloadEntry, gvr.ServiceEntry, gvr.GatewayClass, gvr.KubernetesGateway,
	gvr.HTTPRoute, gvr.GRPCRoute, gvr.TCPRoute, gvr.TLSRoute, gvr.ReferenceGrant,
}

func fakeClient(t testing.TB, objects []runtime.Object) kube.Client {
	client := kube.NewFakeClient(objects...)
	for _, kind := range ambientKinds {
		clienttest.MakeCRD(t, client, kind)
	}
	addCRDs(t)(client)
	return client
}

// ambientIndex is rules 2 and 3.
func ambientIndex(t testing.TB, id cluster.ID, objects []runtime.Object, remotes map[cluster.ID][]runtime.Object, m *meshconfig.MeshConfig) ambient.Index {
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "remotes", Namespace: "istio-system", Labels: map[string]string{multicluster.MultiClusterSecretLabel: "true"}},
		Data:       map[string][]byte{},
	}
	for other := range remotes {
		secret.Data[string(other)] = []byte(other)
	}
	client := fakeClient(t, append(slices.Clone(objects), secret))
	watcher := meshwatcher.NewTestWatcher(m)
	clusters := multicluster.NewController(multicluster.ControllerOptions{
		Client: client, ClusterID: id, SystemNamespace: "istio-system", MeshConfig: watcher, Debugger: krt.GlobalDebugHandler,
		ClientBuilder: func(_ []byte, other cluster.ID, _ ...func(*rest.Config)) (kube.Client, error) {
			return fakeClient(t, remotes[other]), nil
		},
	})
	index := ambient.New(ambient.Options{
		SystemNamespace: "istio-system", DomainSuffix: "cluster.local", ClusterID: id, XDSUpdater: quiet{}, MeshConfig: watcher,
		StatusNotifier: activenotifier.New(false), Debugger: krt.GlobalDebugHandler, MultiClusterController: clusters,
		Flags: ambient.FeatureFlags{DefaultAllowFromWaypoint: features.DefaultAllowFromWaypoint, EnableK8SServiceSelectWorkloadEntries: features.EnableK8SServiceSelectWorkloadEntries},
	})
	if err := clusters.Run(stop); err != nil {
		t.Fatal(err)
	}
	client.RunAndWait(stop)
	go index.Run(stop)
	settle(index)
	return index
}

// quiet is nobody to tell of changes: what is asked is asked once all is there.
type quiet struct{}

func (quiet) EDSUpdate(model.ShardKey, string, string, []*model.IstioEndpoint)      {}
func (quiet) EDSCacheUpdate(model.ShardKey, string, string, []*model.IstioEndpoint) {}
func (quiet) SvcUpdate(model.ShardKey, string, string, model.Event)                 {}
func (quiet) ConfigUpdate(*model.PushRequest)                                       {}
func (quiet) ProxyUpdate(cluster.ID, string)                                        {}
func (quiet) RemoveShard(model.ShardKey)                                            {}
func (quiet) PruneShard(model.ShardKey, map[string]sets.String)                     {}

// settle is rule 3.
func settle(index ambient.Index) {
	last, still := "", 0
	for range 400 {
		time.Sleep(10 * time.Millisecond)
		now := ""
		if index.HasSynced() {
			all, _ := index.AddressInformation(nil)
			var lines []string
			for _, a := range all {
				lines = append(lines, a.ResourceName(), a.Address.String())
			}
			slices.Sort(lines)
			now = fmt.Sprint(lines)
		}
		if still++; now != last || now == "" {
			last, still = now, 0
		}
		if still > 12 {
			return
		}
	}
}

// planeOf is the control plane of a pod's cluster; nil where there is one for all.
func (w *World) planeOf(id cluster.ID) *plane { return w.planes[cmp.Or(id, ownCluster)] }

// eastWestAt are the pods behind an address in the status of a Gateway of class istio-east-west.
func eastWestAt(c *apiserver.Cluster, address string) (pods []*apiserver.Pod, ok bool) {
	for _, one := range everyCluster(c) {
		for _, o := range one.Objects {
			gw, is := o.(*k8sgateway.Gateway)
			if !is || gw.Spec.GatewayClassName != "istio-east-west" || !slices.ContainsFunc(gw.Status.Addresses, func(a k8sgateway.GatewayStatusAddress) bool { return a.Value == address }) {
				continue
			}
			ok = true
			for _, p := range c.Pods {
				if p.Cluster == one.ID() && p.Namespace == gw.Namespace && p.Labels["gateway.networking.k8s.io/gateway-name"] == gw.Name {
					pods = append(pods, p)
				}
			}
		}
	}
	return pods, ok
}
