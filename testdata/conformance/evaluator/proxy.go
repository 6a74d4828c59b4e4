package evaluator

import (
	"net/netip"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// Proxy is one Envoy and what it was sent.
type Proxy struct {
	// Kind is sidecar, gateway or waypoint.
	Kind string
	// Identity is the URI in its certificate.
	Identity  string
	Listeners []*listener.Listener
	Routes    map[string]*route.RouteConfiguration
	Clusters  map[string]*cluster.Cluster
	Endpoints map[string]*endpoint.ClusterLoadAssignment
	// Secrets are those that the control plane supplies, by their names in SDS.
	Secrets map[string]bool
}

// Machine is something with an address: a pod, a virtual machine.
type Machine struct {
	// Name is what it is told apart by, "Deployment shop/web".
	Name    string
	Address netip.Addr
	// Proxy is the Envoy in front of it; nil without one.
	Proxy *Proxy
	// Iptables lead connections to the proxy of a sidecar; nil for all of them.
	Iptables *Iptables
	// Ztunnel has the machine's connections, and UID is what the workload is called there; nil for one that is not captured.
	Ztunnel *Ztunnel
	UID     string
	// InboundOpen is set where only what it sends is captured, and HBONE.
	InboundOpen bool
}

// hboneListener is the listener of a sidecar for HBONE, if that is where a connection goes.
func (m *Machine) hboneListener(to netip.AddrPort) *listener.Listener {
	if m.Proxy == nil || m.Proxy.Kind != "sidecar" || to.Port() != hbonePort {
		return nil
	}
	return bound(m.Proxy.Listeners, to)
}

// World is who is where.
type World interface {
	// At is the machine with that address; nil for one outside.
	At(netip.Addr) *Machine
	// Resolve are the addresses of a host name in the network's own DNS, for a machine of that address; own is
	// false for a name that is another network's.
	Resolve(from netip.Addr, host string) (ips []netip.Addr, own bool)
	// Service are the addresses that a virtual address of the network stands for, each as likely
	// as the other. port is false where it has no such port, ok for an address that is no such thing.
	Service(from netip.Addr, to netip.AddrPort) (backends []netip.AddrPort, port, ok bool)
	// NetworkGateway are the addresses behind the gateway of another network; here is false where they are in that
	// network alone, ok for an address that is no such gateway.
	NetworkGateway(to netip.AddrPort) (backends []netip.AddrPort, here, ok bool)
}
