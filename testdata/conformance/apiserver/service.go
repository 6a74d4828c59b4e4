package apiserver

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func (c *Cluster) addService(s *corev1.Service) {
	s.TypeMeta = metav1.TypeMeta{Kind: "Service", APIVersion: "v1"}
	if s.Spec.Type == "" {
		s.Spec.Type = corev1.ServiceTypeClusterIP
	}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if p.Protocol == "" {
			p.Protocol = corev1.ProtocolTCP
		}
		if p.TargetPort == (intstr.IntOrString{}) {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
	if s.Spec.ClusterIP == "" && s.Spec.Type != corev1.ServiceTypeExternalName {
		c.nextVIP = c.nextVIP.Next()
		s.Spec.ClusterIP = c.nextVIP.String()
		c.invented[c.nextVIP] = true
	}
	if len(s.Spec.ClusterIPs) == 0 && s.Spec.ClusterIP != "" {
		s.Spec.ClusterIPs = []string{s.Spec.ClusterIP}
	}
	c.Services = append(c.Services, s)
}

// portOf is the port behind a Service's port on one pod.
func portOf(p *Pod, port corev1.ServicePort) (int32, bool) {
	if port.TargetPort.Type == intstr.Int {
		return port.TargetPort.IntVal, true
	}
	for _, x := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		for _, cp := range x.Ports {
			protocol := cp.Protocol
			if protocol == "" {
				protocol = corev1.ProtocolTCP
			}
			if cp.Name == port.TargetPort.StrVal && protocol == port.Protocol {
				return cp.ContainerPort, true
			}
		}
	}
	return 0, false
}

func (c *Cluster) selected(s *corev1.Service) []*Pod {
	var out []*Pod
	for _, p := range c.Pods {
		if p.Namespace == s.Namespace && len(s.Spec.Selector) > 0 && selects(s.Spec.Selector, p.Labels) {
			out = append(out, p)
		}
	}
	return out
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// sliceOf writes EndpointSlices as the controller does: one for each set of port numbers.
func (c *Cluster) sliceOf(s *corev1.Service) []*discoveryv1.EndpointSlice {
	var out []*discoveryv1.EndpointSlice
	for _, p := range c.selected(s) {
		var ports []discoveryv1.EndpointPort
		for _, port := range s.Spec.Ports {
			n, ok := portOf(p, port)
			if !ok {
				continue
			}
			ports = append(ports, discoveryv1.EndpointPort{Name: &port.Name, Port: &n, Protocol: &port.Protocol, AppProtocol: port.AppProtocol})
		}
		terminating := p.DeletionTimestamp != nil
		serving := p.Ready
		ready := serving && !terminating || s.Spec.PublishNotReadyAddresses
		endpoint := discoveryv1.Endpoint{
			Addresses:  []string{p.Status.PodIP},
			Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name},
		}
		if p.Spec.Hostname != "" && p.Spec.Subdomain == s.Name {
			endpoint.Hostname = &p.Spec.Hostname
		}
		if p.Spec.NodeName != "" {
			node := p.Spec.NodeName
			endpoint.NodeName = &node
		}
		out = append(out, &discoveryv1.EndpointSlice{
			TypeMeta: metav1.TypeMeta{Kind: "EndpointSlice", APIVersion: "discovery.k8s.io/v1"},
			ObjectMeta: metav1.ObjectMeta{
				Name: s.Name + "-" + p.Name, Namespace: s.Namespace, CreationTimestamp: metav1.NewTime(created),
				Labels: map[string]string{discoveryv1.LabelServiceName: s.Name},
			},
			AddressType: discoveryv1.AddressTypeIPv4, Ports: ports, Endpoints: []discoveryv1.Endpoint{endpoint},
		})
	}
	return out
}

// EndpointAddresses are those of pods and EndpointSlices.
func (c *Cluster) EndpointAddresses() map[string]bool {
	out := map[string]bool{}
	for _, p := range c.Pods {
		out[p.Address.String()] = true
	}
	for _, m := range c.all() {
		for _, slice := range m.slices {
			for _, e := range slice.Endpoints {
				for _, a := range e.Addresses {
					out[a] = true
				}
			}
		}
	}
	return out
}

// Backends are the ready addresses behind a ClusterIP and port, as kube-proxy on the client's node has them. port is false where the
// Service has no such port, ok where there is no such Service.
func (c *Cluster) Backends(from netip.Addr, to netip.AddrPort) (backends []netip.AddrPort, port, ok bool) {
	c = c.at(from)
	for _, s := range c.Services {
		if s.Spec.ClusterIP == "" || s.Spec.ClusterIP != to.Addr().String() {
			continue
		}
		for _, p := range s.Spec.Ports {
			if p.Port == int32(to.Port()) && p.Protocol == corev1.ProtocolTCP {
				backends, port = append(backends, c.sliced(s, p.Name, c.nodeOf(from))...), true
			}
		}
		return backends, port, true
	}
	return nil, false, false
}

func (c *Cluster) nodeOf(ip netip.Addr) string {
	for _, p := range c.Pods {
		if p.Address == ip {
			return p.Spec.NodeName
		}
	}
	return ""
}

func (c *Cluster) sliced(s *corev1.Service, portName, node string) []netip.AddrPort {
	local := s.Spec.InternalTrafficPolicy != nil && *s.Spec.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal
	var out []netip.AddrPort
	for _, slice := range c.slices {
		if slice.Namespace != s.Namespace || slice.Labels[discoveryv1.LabelServiceName] != s.Name {
			continue
		}
		for _, p := range slice.Ports {
			if p.Port == nil || p.Name != nil && *p.Name != portName {
				continue
			}
			for _, e := range slice.Endpoints {
				if e.Conditions.Ready != nil && !*e.Conditions.Ready {
					continue
				}
				if local && node != "" && (e.NodeName == nil || *e.NodeName != node) {
					continue
				}
				for _, a := range e.Addresses {
					if ip, err := netip.ParseAddr(a); err == nil {
						out = append(out, netip.AddrPortFrom(ip, uint16(*p.Port)))
					}
				}
			}
		}
	}
	return out
}

// PodsBehind are the ready pods of a headless Service; with a host name only the one of that name.
func (c *Cluster) PodsBehind(s *corev1.Service, hostname string) []netip.Addr {
	var out []netip.Addr
	for _, slice := range c.slices {
		if slice.Namespace != s.Namespace || slice.Labels[discoveryv1.LabelServiceName] != s.Name {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			if hostname != "" && (e.Hostname == nil || *e.Hostname != hostname) {
				continue
			}
			for _, a := range e.Addresses {
				if ip, err := netip.ParseAddr(a); err == nil && !slices.Contains(out, ip) {
					out = append(out, ip)
				}
			}
		}
	}
	return out
}
