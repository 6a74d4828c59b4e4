package resolve

import (
	"net/netip"
	"time"

	mesh "istio.io/api/mesh/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// Resolution is how the endpoints of a service are found.
// Source: pilot/pkg/model/service.go, Resolution.
type Resolution string

// The closed list of resolutions.
const (
	// ClientSideLB is a Kubernetes Service with a ClusterIP, or a ServiceEntry with resolution STATIC.
	ClientSideLB Resolution = "ClientSideLB"
	// DNSLB and DNSRoundRobinLB are ServiceEntries with resolution DNS and DNS_ROUND_ROBIN.
	DNSLB           Resolution = "DNSLB"
	DNSRoundRobinLB Resolution = "DNSRoundRobinLB"
	// Passthrough is a headless Service or a ServiceEntry with resolution NONE: the address the application dialled.
	Passthrough Resolution = "Passthrough"
	// Alias is a Service of type ExternalName.
	Alias Resolution = "Alias"
	// DynamicDNS is a ServiceEntry with resolution DYNAMIC_DNS.
	DynamicDNS Resolution = "DynamicDNS"
)

// Registry is which registry of istiod a service came from.
type Registry string

// The registries that matter: Kubernetes Services take precedence over ServiceEntries.
const (
	RegistryKubernetes Registry = "Kubernetes"
	RegistryExternal   Registry = "External"
)

// Service is a host that istiod knows: a Kubernetes Service, or one host of a ServiceEntry.
// Source: pilot/pkg/model/service.go, Service.
type Service struct {
	// Hostname is the fully qualified name, lower case.
	Hostname  string
	Namespace string
	Name      string
	// Ref is the resource; its Field is spec.hosts[i] for a ServiceEntry.
	Ref      Ref
	Registry Registry
	Created  time.Time
	// Addresses are the VIPs; empty for headless services and ServiceEntries
	// without addresses, which listen on the wildcard address.
	Addresses []Address
	// Allocated are those that istiod gave the host of a ServiceEntry without addresses; see Scope.addresses.
	Allocated  []Address
	Resolution Resolution
	// MeshExternal services never get auto mTLS.
	MeshExternal bool
	Ports        []Port
	// Selector is the Service's or the ServiceEntry's workloadSelector; nil if it has none.
	Selector map[string]string
	Labels   map[string]string
	ExportTo ExportTo
	// capped is the visibility by which the mesh config limits ExportTo; unspecified if it does not.
	capped mesh.ServiceEntryVisibility_Visibility
	// ExternalName is the target of an Alias.
	ExternalName string
	// Aliases are the ExternalName services that resolve to this one.
	Aliases []*Service
	// Index is the position in the ServiceEntry list or Service list of the
	// snapshot that the service was made from.
	Index int
	// InternalTrafficLocal is spec.internalTrafficPolicy Local.
	InternalTrafficLocal bool
	// PublishNotReady is spec.publishNotReadyAddresses.
	PublishNotReady bool
	// Elsewhere is set where the cluster whose view this is has no such Service, and another cluster of the mesh has.
	Elsewhere bool
	// External is spec.externalTrafficPolicy of a Service that is reached from outside the cluster; empty for others.
	External corev1.ServiceExternalTrafficPolicy
}

// Port is one port of a service.
type Port struct {
	Name string
	// Number is the service port.
	Number int
	// TargetPort is the pod port, 0 if it is the same as Number or if TargetName is set.
	TargetPort int
	// TargetName is a named target port.
	TargetName string
	Protocol   Protocol
	// UDP is set where the transport is UDP; a TCP port may be UDP by its name alone.
	UDP bool
	// NodePort is the port of each node that leads here; 0 for none.
	NodePort int
	// Field is the port's path in the resource: spec.ports[0].
	Field string
}

// PortByNumber returns the service's port with that number; of a TCP and a UDP one
// (as DNS has them) the TCP one, which is all that proxies see.
func (s *Service) PortByNumber(n int) (Port, bool) {
	var found Port
	for _, p := range s.Ports {
		switch {
		case p.Number == n && p.Protocol != ProtocolUDP:
			return p, true
		case p.Number == n:
			found = p
		}
	}
	return found, found.Number == n && n != 0
}

// Headless reports whether a Kubernetes Service has no ClusterIP.
func (s *Service) Headless() bool {
	return s.Registry == RegistryKubernetes && s.Resolution == Passthrough
}

// Address is a virtual IP, a CIDR, or, where manifests leave the address to the
// API server, a name that stands for it ("clusterIP of shop/reviews").
type Address struct {
	// Prefix is valid for a known address (a single IP is a full-length prefix).
	Prefix netip.Prefix
	// Symbol stands for an address that is not known.
	Symbol string
}

// IsCIDR reports whether the address is a range and not one IP.
func (a Address) IsCIDR() bool { return a.Prefix.IsValid() && !a.Prefix.IsSingleIP() }

// String is the IP, the CIDR, or the symbol.
func (a Address) String() string {
	switch {
	case a.Prefix.IsValid() && a.Prefix.IsSingleIP():
		return a.Prefix.Addr().String()
	case a.Prefix.IsValid():
		return a.Prefix.String()
	}
	return a.Symbol
}

// TargetOn returns the port on the workload that the service port is sent to:
// the target port's number, a named target looked up among the workload's
// container ports, or the service port itself.
// Source: pilot/pkg/serviceregistry/kube/controller/util.go, findPort and FindPort.
func (p Port) TargetOn(w *Workload) (int, bool) {
	switch {
	case p.TargetName != "":
		return namedPort(w, p.TargetName, p.UDP)
	case p.TargetPort > 0:
		return p.TargetPort, true
	}
	return p.Number, true
}

// namedPort is the container port of that name and transport.
func namedPort(w *Workload, name string, udp bool) (int, bool) {
	for _, c := range w.Containers {
		for _, p := range c.Ports {
			if p.Name == name && (p.Protocol == corev1.ProtocolUDP) == udp {
				return int(p.ContainerPort), true
			}
		}
	}
	return 0, false
}
