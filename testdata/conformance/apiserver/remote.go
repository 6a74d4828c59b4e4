package apiserver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"

	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"

	"istio.io/istio/pkg/config/schema/gvk"
)

// Remote clusters of a mesh: remote-west.yaml is what the cluster west has. Each has its own API server, and addresses of its own.
//
//  1. The pods of all clusters are among those of the first, so that an address leads to any of them.
//  2. istiod reads no configuration of a remote cluster, but its WorkloadEntries, which the fake server does not.

// RemoteFile tells of which remote cluster a file of manifests is.
func RemoteFile(name string) (id string, ok bool) {
	return strings.CutPrefix(strings.TrimSuffix(name, ".yaml"), "remote-")
}

// remoteFiles are those of remote clusters, by name.
func remoteFiles(manifests map[string]string) (names []string) {
	for n := range manifests {
		if _, remote := RemoteFile(n); remote {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// newCluster is an empty one; the number tells its addresses apart from those of others.
func newCluster(number int) *Cluster {
	n := byte(number)
	return &Cluster{
		namespaces: map[string]*corev1.Namespace{}, nodes: map[string]*corev1.Node{}, endpoints: map[string]bool{}, deployments: map[string]bool{}, invented: map[netip.Addr]bool{},
		nextPod: netip.AddrFrom4([4]byte{10, 244 - n, 0, 1}), nextVIP: netip.AddrFrom4([4]byte{10, 96 + n, 0, 1}), nextBalance: netip.AddrFrom4([4]byte{203, 0, 113, 100 + 20*n}),
	}
}

// addRemotes reads the remote clusters.
func (c *Cluster) addRemotes(manifests map[string]string, names []string, gateways bool) error {
	for i, n := range names {
		r := newCluster(i + 1)
		r.id, _ = RemoteFile(n)
		r.MeshConfig, r.MeshNetworks = c.MeshConfig, c.MeshNetworks
		objects, err := r.read(manifests[n])
		if err != nil {
			return fmt.Errorf("%s: %w", n, err)
		}
		for _, cfg := range r.Configs {
			if cfg.GroupVersionKind == gvk.WorkloadEntry {
				return Unjudged{"a WorkloadEntry of a remote cluster, which the fake istiod does not read"}
			}
		}
		if err := r.complete(objects, gateways); err != nil {
			return err
		}
		if (c.Ambient || r.Ambient) && !c.MultiNetwork() {
			return Unjudged{"ambient mode in several clusters"}
		}
		r.Objects = slices.DeleteFunc(r.Objects, func(o runtime.Object) bool { return !ReadRemotely(o) && !(c.MultiNetwork() && isGateway(o)) })
		c.Pods = append(c.Pods, r.Pods...)
		for ip := range r.invented {
			c.invented[ip] = true
		}
		c.remotes = append(c.remotes, r)
	}
	return nil
}

// MultiNetwork reports whether istiod runs ambient mode over several networks: then each cluster has an istiod, and Gateways, of its own.
func (c *Cluster) MultiNetwork() bool {
	return c.Ambient && c.Flag("AMBIENT_ENABLE_MULTI_NETWORK", false)
}

func isGateway(o runtime.Object) bool {
	_, ok := o.(*k8sgateway.Gateway)
	return ok
}

// ReadRemotely reports whether istiod reads the object of a remote cluster.
func ReadRemotely(o runtime.Object) bool {
	switch o.(type) {
	case *corev1.Namespace, *corev1.Node, *corev1.Service, *corev1.Pod, *discoveryv1.EndpointSlice, *appsv1.Deployment:
		return true
	}
	return false
}

// Remotes are the other clusters of the mesh.
func (c *Cluster) Remotes() []*Cluster { return c.remotes }

// ID is that of a remote cluster; empty for the first.
func (c *Cluster) ID() string { return c.id }

// Of is the cluster of a pod.
func (c *Cluster) Of(p *Pod) *Cluster {
	for _, r := range c.remotes {
		if r.id == p.Cluster {
			return r
		}
	}
	return c
}

// at is the cluster of the pod at the address.
func (c *Cluster) at(ip netip.Addr) *Cluster {
	for _, p := range c.Pods {
		if p.Address == ip {
			return c.Of(p)
		}
	}
	return c
}

// all are the cluster and the remote ones.
func (c *Cluster) all() []*Cluster { return append([]*Cluster{c}, c.remotes...) }

// owned is an owner's name, told apart from those of other clusters.
func (c *Cluster) owned(owner string) string {
	if c.id == "" {
		return owner
	}
	kind, name, _ := strings.Cut(owner, " ")
	return kind + " " + c.id + ":" + name
}
