package apiserver

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Resolve is cluster DNS for a pod of the namespace. own is false for names of the outside, for which a
// CNAME may stand.
func (c *Cluster) Resolve(host, namespace string) (ips []netip.Addr, own bool) {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, true
	}
	for range 4 {
		s, pod := c.serviceNamed(host, namespace), ""
		if first, rest, ok := strings.Cut(host, "."); s == nil && ok {
			if of := c.serviceNamed(rest, namespace); of != nil && of.Spec.ClusterIP == corev1.ClusterIPNone {
				s, pod = of, first
			}
		}
		switch {
		case s == nil:
			_, second, dotted := strings.Cut(host, ".")
			inCluster := strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".svc.cluster.local")
			return nil, inCluster || !dotted || c.IsNamespace(second)
		case s.Spec.Type == corev1.ServiceTypeExternalName:
			host = strings.ToLower(s.Spec.ExternalName)
			continue
		case s.Spec.ClusterIP == corev1.ClusterIPNone:
			return c.PodsBehind(s, pod), true
		}
		ip, err := netip.ParseAddr(s.Spec.ClusterIP)
		if err != nil {
			return nil, true
		}
		return []netip.Addr{ip}, true
	}
	return nil, true // a loop of CNAMEs
}

func (c *Cluster) serviceNamed(host, namespace string) *corev1.Service {
	for _, suffix := range []string{"." + namespace + ".svc.cluster.local", ".svc.cluster.local", ".cluster.local", ""} {
		for _, s := range c.Services {
			if s.Name+"."+s.Namespace+".svc.cluster.local" == host+suffix {
				return s
			}
		}
	}
	return nil
}
