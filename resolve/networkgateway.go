package resolve

import (
	"cmp"
	"encoding/json"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"istio.io/api/annotation"
	"istio.io/api/label"
	meshconfig "istio.io/api/mesh/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// The gateways of a network, by which other networks reach it:
//
//  1. Those of meshNetworks with an address.
//  2. Services with the label topology.istio.io/network that have port 15443 (or that of the label
//     networking.istio.io/gatewayPort) for Istio mTLS, or port 15008 for HBONE.
//  3. Services that meshNetworks names (registryServiceName), in a network that has this cluster (fromRegistry).
//  4. Gateways of the Gateway API with that label and spec.addresses, by their AUTO_PASSTHROUGH and HBONE listeners.
//
// A Service is reached at the addresses of its load balancer and its externalIPs; with the annotation
// traffic.istio.io/nodeSelector, at those of nodes, on the node port. In manifests a Service of type LoadBalancer of which no
// status is told is taken to be given an address.
//
// A name instead of an address is resolved by istiod; it is taken to stand for one address.
//
// Source: pilot/pkg/serviceregistry/kube/controller/network.go, getGatewayDetails, extractGatewaysInner, handleGatewayResource;
// pilot/pkg/model/network.go, reload, update; pilot/pkg/serviceregistry/kube/conversion.go, ConvertService.

// NetworkGateway is an address by which a network is reached from others.
type NetworkGateway struct {
	Network string
	// Cluster is that of the gateway; empty where it is not told.
	Cluster string
	// Address is an IP, a name that istiod resolves, or words that stand for the address that a Service of manifests is yet to get.
	Address string
	// Port takes Istio mTLS, HBONEPort HBONE; 0 where the gateway does not.
	Port, HBONEPort int
	// Ref is what makes it a gateway of the network.
	Ref Ref
	// Service is behind the address, with its own port; nil where no resource here has the address.
	Service     *Service
	ServicePort int
	// account tells those of Gateways apart from those of Services, as istiod does.
	account string
	// others are further gateways, of which istiod may tell ztunnels instead.
	others []*NetworkGateway
}

// At is ADDRESS:PORT for Istio mTLS.
func (g *NetworkGateway) At() string { return g.at(g.Port) }

func (g *NetworkGateway) at(port int) string {
	if _, err := netip.ParseAddr(g.Address); err == nil {
		return net.JoinHostPort(g.Address, strconv.Itoa(port))
	}
	return g.Address + ":" + strconv.Itoa(port)
}

// The ports of network gateways that no label moves.
const (
	networkGatewayPort      = 15443
	networkGatewayHBONEPort = 15008
)

// networkIndex is what is known of networks.
type networkIndex struct {
	// gateways are sorted by network, address and port.
	gateways []*NetworkGateway
	// scale is the least common multiple of how many gateways each network, and each cluster of a network, has.
	scale int
}

func indexNetworks(s *Snapshot) *networkIndex {
	ix := &networkIndex{scale: 1}
	add := func(g NetworkGateway) {
		same := func(o *NetworkGateway) bool {
			return o.Network == g.Network && o.Cluster == g.Cluster && o.Address == g.Address && o.Port == g.Port && o.HBONEPort == g.HBONEPort && o.account == g.account
		}
		if !slices.ContainsFunc(ix.gateways, same) {
			ix.gateways = append(ix.gateways, &g)
		}
	}
	for _, m := range s.clusters() {
		m.gatewaysOfServices(add) // 2. and 3.
	}
	for _, o := range s.KubeGateways { // 4.
		s.gatewaysOfGateway(o, add)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Networks.GetNetworks())) { // 1.
		for i, gw := range s.Networks.GetNetworks()[name].GetGateways() {
			if address, ok := gw.GetGw().(*meshconfig.Network_IstioNetworkGateway_Address); ok && address.Address != "" {
				add(NetworkGateway{Network: name, Address: address.Address, Port: int(gw.GetPort()), Ref: s.NetworksRef.At(networkField(s.NetworksRef, name, "gateways", i))})
			}
		}
	}
	slices.SortStableFunc(ix.gateways, func(a, b *NetworkGateway) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port))
	})
	for _, g := range ix.gateways {
		if g.Service == nil {
			g.Service, g.ServicePort = s.servedAt(g.Address, g.Port)
		}
		ix.scale = leastCommonMultiple(ix.scale, len(ix.in(g.Network, nil)))
		ix.scale = leastCommonMultiple(ix.scale, len(ix.in(g.Network, &g.Cluster)))
	}
	return ix
}

// in are the gateways of a network; of one cluster of it, if that is given.
func (ix *networkIndex) in(name string, cluster *string) []*NetworkGateway {
	var out []*NetworkGateway
	for _, g := range ix.gateways {
		if g.Network == name && (cluster == nil || g.Cluster == *cluster) {
			out = append(out, g)
		}
	}
	return out
}

// leading are the gateways that lead to an endpoint of the network and cluster: those of the cluster, else all, as far as they take
// what the proxy sends.
//
// Source: pilot/pkg/xds/endpoints/ep_filters.go, selectNetworkGateways.
func (ix *networkIndex) leading(name, cluster string, takes func(*NetworkGateway) bool) []*NetworkGateway {
	out := ix.in(name, &cluster)
	if len(out) == 0 {
		out = ix.in(name, nil)
	}
	return slices.DeleteFunc(out, func(g *NetworkGateway) bool { return !takes(g) })
}

func leastCommonMultiple(a, b int) int {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / max(x, 1) * b
}

// gatewaysOfServices is steps 2 and 3.
func (s *Snapshot) gatewaysOfServices(add func(NetworkGateway)) {
	cluster := ""
	for _, svc := range s.index.services().ownList {
		o := s.serviceObject(svc)
		if o == nil {
			continue
		}
		gateways := labelledGateway(svc)
		if svc.Labels[labelNetwork] == "" {
			gateways = s.registryGateways(svc)
		}
		for _, g := range gateways {
			if cluster == "" {
				cluster = s.ClusterID()
			}
			g.Cluster, g.Service, g.ServicePort = cluster, svc, cmp.Or(g.Port, g.HBONEPort)
			for _, at := range s.externalAddresses(o) {
				g.Address = at.address
				if at.ports != nil && at.ports[g.ServicePort] != 0 {
					g.Port = at.ports[g.ServicePort]
				}
				add(g)
			}
		}
	}
}

// labelledGateway is step 2.
func labelledGateway(svc *Service) []NetworkGateway {
	g := NetworkGateway{Network: svc.Labels[labelNetwork], Port: networkGatewayPort, HBONEPort: networkGatewayHBONEPort}
	if g.Network == "" {
		return nil
	}
	g.Ref = svc.Ref.Object().At("metadata.labels[" + labelNetwork + "]")
	if port, err := strconv.Atoi(svc.Labels[label.NetworkingGatewayPort.Name]); err == nil {
		g.Port = port
	}
	has := func(number int) bool {
		return slices.ContainsFunc(svc.Ports, func(p Port) bool { return p.Number == number })
	}
	if !has(g.Port) {
		g.Port = 0
	}
	if !has(g.HBONEPort) {
		g.HBONEPort = 0
	}
	if g.Port == 0 && g.HBONEPort == 0 {
		return nil
	}
	return []NetworkGateway{g}
}

// registryGateways is step 3.
func (s *Snapshot) registryGateways(svc *Service) []NetworkGateway {
	all := s.Networks.GetNetworks()
	if len(all) == 0 {
		return nil
	}
	var out []NetworkGateway
	for _, name := range slices.Sorted(maps.Keys(all)) {
		n := all[name]
		here := slices.ContainsFunc(n.GetEndpoints(), func(e *meshconfig.Network_NetworkEndpoints) bool {
			return e.GetFromRegistry() != "" && e.GetFromRegistry() == s.ClusterID()
		})
		for i, gw := range n.GetGateways() {
			if here && gw.GetRegistryServiceName() == svc.Hostname {
				out = append(out, NetworkGateway{Network: name, Port: int(gw.GetPort()), Ref: s.NetworksRef.At(networkField(s.NetworksRef, name, "gateways", i))})
			}
		}
	}
	return out
}

// externalAddress is where a Service is reached from outside; ports are the node ports by the Service's, nil where ports stay.
type externalAddress struct {
	address string
	ports   map[int]int
}

// externalAddresses are those of a Service.
func (s *Snapshot) externalAddresses(o *corev1.Service) []externalAddress {
	var out []externalAddress
	switch o.Spec.Type {
	case corev1.ServiceTypeLoadBalancer:
		for _, in := range o.Status.LoadBalancer.Ingress {
			if at := cmp.Or(in.IP, in.Hostname); at != "" {
				out = append(out, externalAddress{address: at})
			}
		}
		if ref := refOf("", "Service", o); len(out) == 0 && s.yetToBe(ref) {
			out = append(out, externalAddress{address: assumedAddress(ref)})
		}
	case corev1.ServiceTypeNodePort:
		out = s.nodeAddresses(o)
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName:
	}
	for _, ip := range o.Spec.ExternalIPs {
		out = append(out, externalAddress{address: ip})
	}
	return out
}

// nodeAddresses are those of the nodes that the Service's annotation selects.
// Source: pilot/pkg/serviceregistry/kube/controller/controller.go, onNodeEvent; network.go, updateServiceNodePortAddresses.
func (s *Snapshot) nodeAddresses(o *corev1.Service) []externalAddress {
	text, ok := o.Annotations[annotation.TrafficNodeSelector.Name]
	selector := map[string]string{}
	if !ok || json.Unmarshal([]byte(text), &selector) != nil {
		return nil
	}
	ports := map[int]int{}
	for _, p := range o.Spec.Ports {
		ports[int(p.Port)] = int(p.NodePort)
	}
	nodes := s.index.nodes()
	var out []externalAddress
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		if !Selects(selector, nodes[name].Labels) && len(selector) > 0 {
			continue
		}
		for _, a := range nodes[name].Status.Addresses {
			if a.Type == corev1.NodeExternalIP && a.Address != "" {
				out = append(out, externalAddress{a.Address, ports})
				break
			}
		}
	}
	return out
}

// gatewaysOfGateway is step 4.
func (s *Snapshot) gatewaysOfGateway(o *k8sgateway.Gateway, add func(NetworkGateway)) {
	name := o.Labels[labelNetwork]
	if name == "" || len(o.Spec.Addresses) == 0 {
		return
	}
	ref := refOf(k8sgateway.GroupName, "Gateway", o)
	for i, a := range o.Spec.Addresses {
		if a.Type == nil || *a.Type != k8sgateway.IPAddressType && *a.Type != k8sgateway.HostnameAddressType {
			continue
		}
		g := NetworkGateway{Network: name, Cluster: s.ClusterID(), Address: a.Value, Ref: ref.At(pathIndex("spec.addresses", i)), account: o.Namespace + "/" + gatewayAccount(o)}
		for _, l := range o.Spec.Listeners {
			g.Port, g.HBONEPort = int(l.Port), 0
			switch {
			case l.TLS != nil && (&kubeListener{spec: l, labels: o.Labels}).autoPassthrough():
				add(g)
			case l.Protocol == "HBONE":
				g.HBONEPort = g.Port
				add(g)
			}
		}
	}
}

const remoteGatewayClass = "istio-remote"

// servedAt is the Service that is reached from outside at the address and port; nil if none here is.
func (s *Snapshot) servedAt(address string, port int) (*Service, int) {
	if address == "" {
		return nil, 0
	}
	for _, m := range s.clusters() {
		for _, svc := range m.index.services().ownList {
			for _, at := range m.externalAddresses(m.serviceObject(svc)) {
				for _, p := range svc.Ports {
					if at.address == address && (p.Number == port && at.ports[p.Number] == 0 || at.ports[p.Number] == port && port != 0) {
						return svc, p.Number
					}
				}
			}
		}
	}
	return nil, 0
}
