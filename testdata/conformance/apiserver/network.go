package apiserver

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Network is the label that says which network a pod, a Service or a cluster is on.
const Network = "topology.istio.io/network"

// SystemNetwork is that of istiod's namespace.
func (c *Cluster) SystemNetwork() string {
	if ns := c.namespaces["istio-system"]; ns != nil {
		return ns.Labels[Network]
	}
	return ""
}

// balance gives each Service of type LoadBalancer that is labelled as the gateway of a network, and of which no status is told, an
// address, as a cluster's load balancer would.
func (c *Cluster) balance() {
	next := c.nextBalance
	for _, s := range c.Services {
		gateway := s.Labels[Network] != "" || strings.Contains(c.MeshNetworks, s.Name+"."+s.Namespace+".")
		if !gateway || s.Spec.Type != corev1.ServiceTypeLoadBalancer || len(s.Status.LoadBalancer.Ingress) > 0 {
			continue
		}
		next = next.Next()
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: next.String()}}
	}
}

// External are the ready addresses behind an address of a Service outside the cluster, and the port there; ok is false where
// no Service has it.
func (c *Cluster) External(to netip.AddrPort) (backends []netip.AddrPort, ok bool) {
	for _, m := range c.all() {
		if backends, ok := m.external(to); ok {
			return backends, true
		}
	}
	return nil, false
}

func (c *Cluster) external(to netip.AddrPort) (backends []netip.AddrPort, ok bool) {
	for _, s := range c.Services {
		balanced := slices.ContainsFunc(s.Status.LoadBalancer.Ingress, func(in corev1.LoadBalancerIngress) bool { return in.IP == to.Addr().String() })
		node := s.Spec.Type == corev1.ServiceTypeNodePort && c.ofNode(to.Addr())
		if !balanced && !node && !slices.Contains(s.Spec.ExternalIPs, to.Addr().String()) {
			continue
		}
		for _, p := range s.Spec.Ports {
			if !node && p.Port == int32(to.Port()) || node && p.NodePort == int32(to.Port()) {
				return c.sliced(s, p.Name, ""), true
			}
		}
	}
	return nil, false
}

func (c *Cluster) ofNode(ip netip.Addr) bool {
	for _, n := range c.nodes {
		if slices.ContainsFunc(n.Status.Addresses, func(a corev1.NodeAddress) bool { return a.Address == ip.String() }) {
			return true
		}
	}
	return false
}
