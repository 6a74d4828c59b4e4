package evaluator

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"istio.io/istio/pkg/workloadapi"
	"istio.io/istio/pkg/workloadapi/security"
)

// A ztunnel, and where it sends what a pod of its own connects to.
//
//  1. An address of a service, and of no workload, is that service's. Of several services the client's own namespace has it first,
//     then one marked canonical, then the one that was there first; without any, services of which a range holds the address, the
//     narrower before the wider. One that is visible in its namespace only is none for clients of others.
//  2. A service with a waypoint: HBONE to an endpoint of the waypoint, for the address the client asked for. Without such an
//     endpoint the connection ends.
//  3. Else one of the service's endpoints that has the port: see endpoints. Without one the
//     connection ends; services that pass through (resolution NONE) have none, and are connected to as the client asked.
//  4. The address of a workload with a waypoint: as 2, unless the client is that waypoint.
//  5. To the endpoint, or the workload: HBONE if it takes that, else TCP. What has no workload is connected to as the client asked.
//
// Source: https://github.com/istio/ztunnel, src/proxy/outbound.rs build_request; src/state.rs find_address, load_balance,
// fetch_waypoint, finalize_upstream; src/state/service.rs get_best_by_vip.

// hbonePort is where HBONE arrives.
const hbonePort = 15008

// Ztunnel is what the control plane sends to every ztunnel.
type Ztunnel struct {
	Workloads []*workloadapi.Workload
	Services  []*workloadapi.Service
	Policies  []*security.Authorization
}

// Sort puts what came in any order into one.
func (z *Ztunnel) Sort() {
	slices.SortFunc(z.Workloads, func(a, b *workloadapi.Workload) int { return cmp.Compare(a.GetUid(), b.GetUid()) })
	slices.SortFunc(z.Services, func(a, b *workloadapi.Service) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetHostname(), b.GetHostname()))
	})
	slices.SortFunc(z.Policies, func(a, b *security.Authorization) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
}

// way is where a share of the connections goes.
type way struct {
	part float64
	// to is the address for TCP, and authority what HBONE is asked to connect to; empty for plain TCP.
	to        netip.AddrPort
	authority string
	// accepts are the identities that the other side may have.
	accepts []string
	// name is what is resolved by another network's DNS.
	name string
	// within are the identities that whoever is behind the gateway of another network may have; nil without one.
	within []string
	// asked is set where the way is that to the address the client asked for.
	asked bool
	// failure says why there is no way.
	failure string
}

func (z *Ztunnel) byUID(uid string) *workloadapi.Workload {
	for _, w := range z.Workloads {
		if w.GetUid() == uid {
			return w
		}
	}
	return nil
}

func addressesOf(w *workloadapi.Workload) []netip.Addr {
	var out []netip.Addr
	for _, b := range w.GetAddresses() {
		if ip, ok := netip.AddrFromSlice(b); ok {
			out = append(out, ip.Unmap())
		}
	}
	return out
}

// workloadAt has the address; pods of a node's network share it, and do not count.
func (z *Ztunnel) workloadAt(network string, ip netip.Addr) *workloadapi.Workload {
	for _, w := range z.Workloads {
		if w.GetNetwork() == network && w.GetNetworkMode() != workloadapi.NetworkMode_HOST_NETWORK && slices.Contains(addressesOf(w), ip) {
			return w
		}
	}
	return nil
}

// serviceAt is step 1, for any address.
func (z *Ztunnel) serviceAt(client *workloadapi.Workload, ip netip.Addr) *workloadapi.Service {
	var best *workloadapi.Service
	bestRank := -1
	for _, s := range z.Services {
		if s.GetVisibility() == workloadapi.Service_NAMESPACE && s.GetNamespace() != client.GetNamespace() {
			continue
		}
		for _, a := range s.GetAddresses() {
			base, ok := netip.AddrFromSlice(a.GetAddress())
			if !ok || a.GetNetwork() != client.GetNetwork() {
				continue
			}
			base = base.Unmap()
			bits := base.BitLen()
			if a.Length != nil && int(a.GetLength()) != base.BitLen() {
				bits = int(a.GetLength())
			}
			if !netip.PrefixFrom(base, bits).Contains(ip) {
				continue
			}
			if rank := serviceRank(s, client, bits == base.BitLen(), bits); rank > bestRank {
				best, bestRank = s, rank
			}
		}
	}
	return best
}

// serviceRank: an exact address before any range; then the client's namespace; then, of ranges, the narrower; then canonical ones.
func serviceRank(s *workloadapi.Service, client *workloadapi.Workload, exact bool, bits int) int {
	rank := 0
	if exact {
		rank, bits = 1<<20, 0
	}
	if s.GetNamespace() == client.GetNamespace() {
		rank += 1 << 16
	}
	rank += bits << 4
	if s.GetCanonical() {
		rank++
	}
	return rank
}

// outbound are the ways of a connection of the client's.
func (z *Ztunnel) outbound(client *workloadapi.Workload, to netip.AddrPort, dns resolver) []way {
	service := z.serviceAt(client, to.Addr())
	if z.workloadAt(client.GetNetwork(), to.Addr()) == nil && service != nil {
		if ways := z.serviceWaypoint(client, service, to, dns); ways != nil {
			return ways
		}
	}
	if service != nil {
		if service.GetLoadBalancing().GetMode() == workloadapi.LoadBalancing_PASSTHROUGH {
			return []way{{part: 1, to: to, asked: true}}
		}
		return z.ways(client, service, uint32(to.Port()), false, to, dns)
	}
	w := z.workloadAt(client.GetNetwork(), to.Addr())
	if w == nil {
		return []way{{part: 1, to: to, asked: true}}
	}
	if w.GetWaypoint() != nil && !z.isWaypoint(client, w.GetWaypoint()) {
		return z.toWaypoint(client, w.GetWaypoint(), to, dns)
	}
	return z.direct(client, w, nil, to.Port(), 1, to, dns)
}

// serviceWaypoint is step 2; nil without a waypoint. Of several waypoints each gets its weight.
func (z *Ztunnel) serviceWaypoint(client *workloadapi.Workload, s *workloadapi.Service, to netip.AddrPort, dns resolver) []way {
	total := uint32(0)
	for _, w := range s.GetWeightedWaypoints() {
		total += w.GetWeight()
	}
	if total == 0 {
		if s.GetWaypoint() == nil {
			return nil
		}
		return forService(s, z.toWaypoint(client, s.GetWaypoint(), to, dns), to)
	}
	var out []way
	for _, w := range s.GetWeightedWaypoints() {
		for _, x := range forService(s, z.toWaypoint(client, w.GetDestination(), to, dns), to) {
			if x.part *= float64(w.GetWeight()) / float64(total); x.part > 0 {
				out = append(out, x)
			}
		}
	}
	return out
}

// forService has what goes to another network ask for the service.
func forService(s *workloadapi.Service, ways []way, to netip.AddrPort) []way {
	for i := range ways {
		if ways[i].within != nil {
			ways[i].authority = fmt.Sprintf("%s:%d", s.GetHostname(), to.Port())
		}
	}
	return ways
}

// isWaypoint reports whether the client is a pod of the waypoint.
func (z *Ztunnel) isWaypoint(client *workloadapi.Workload, waypoint *workloadapi.GatewayAddress) bool {
	s := z.gatewayService(client, waypoint)
	return s != nil && client.GetServices()[serviceKey(s)] != nil
}

func (z *Ztunnel) gatewayService(client *workloadapi.Workload, g *workloadapi.GatewayAddress) *workloadapi.Service {
	if a := g.GetAddress(); a != nil {
		if ip, ok := netip.AddrFromSlice(a.GetAddress()); ok {
			return z.serviceAt(client, ip.Unmap())
		}
		return nil
	}
	for _, s := range z.Services {
		if s.GetNamespace() == g.GetHostname().GetNamespace() && s.GetHostname() == g.GetHostname().GetHostname() {
			return s
		}
	}
	return nil
}

func serviceKey(s *workloadapi.Service) string { return s.GetNamespace() + "/" + s.GetHostname() }

// toWaypoint is HBONE to an endpoint of the waypoint's Service, for the address that was asked for.
func (z *Ztunnel) toWaypoint(client *workloadapi.Workload, g *workloadapi.GatewayAddress, to netip.AddrPort, dns resolver) []way {
	s := z.gatewayService(client, g)
	if s == nil {
		return []way{{part: 1, failure: "unknown waypoint"}}
	}
	out := z.ways(client, s, g.GetHboneMtlsPort(), true, to, dns)
	for i := range out {
		if out[i].failure != "" {
			out[i].failure = "unknown waypoint"
			continue
		}
		if out[i].within != nil {
			continue
		}
		if out[i].authority != "" { // the port that the waypoint is reached at, not that of a tunnel to it
			at := netip.MustParseAddrPort(out[i].authority)
			out[i].to = at
		}
		out[i].authority = to.String()
	}
	return out
}

// ways is step 3: each endpoint by its capacity, of those that are best for the client.
func (z *Ztunnel) ways(client *workloadapi.Workload, s *workloadapi.Service, port uint32, waypoint bool, to netip.AddrPort, dns resolver) []way {
	target, has := uint32(0), false
	for _, p := range s.GetPorts() {
		if p.GetServicePort() == port {
			target, has = p.GetTargetPort(), true
		}
	}
	if !has {
		return []way{{part: 1, failure: "no healthy upstream"}}
	}
	chosen := z.endpoints(client, s, port, target, waypoint)
	total := 0.0
	for _, w := range chosen {
		total += capacity(w)
	}
	if total == 0 {
		return []way{{part: 1, failure: "no healthy upstream"}}
	}
	var out []way
	for _, w := range chosen {
		at := target
		if own := endpointPort(w, s, port); own != 0 {
			at = own
		}
		if at == 0 && w.GetNetwork() == client.GetNetwork() {
			out = append(out, way{part: capacity(w) / total, failure: "no healthy upstream"})
			continue
		}
		out = append(out, z.direct(client, w, s, uint16(at), capacity(w)/total, to, dns)...)
	}
	return slices.DeleteFunc(out, func(x way) bool { return x.part == 0 })
}

func capacity(w *workloadapi.Workload) float64 {
	if c := w.GetCapacity(); c != nil {
		return float64(c.GetValue())
	}
	return 1
}

func endpointPort(w *workloadapi.Workload, s *workloadapi.Service, port uint32) uint32 {
	for _, p := range w.GetServices()[serviceKey(s)].GetPorts() {
		if p.GetServicePort() == port {
			return p.GetTargetPort()
		}
	}
	return 0
}

// endpoints are the healthy workloads of the service, all of them where its policy says so; where it prefers some, those that have most
// of what it prefers, and where it insists, those that have all.
func (z *Ztunnel) endpoints(client *workloadapi.Workload, s *workloadapi.Service, port, target uint32, waypoint bool) []*workloadapi.Workload {
	lb := s.GetLoadBalancing()
	var out []*workloadapi.Workload
	best := 0
	for _, w := range z.Workloads {
		_, of := w.GetServices()[serviceKey(s)]
		healthy := w.GetStatus() == workloadapi.WorkloadStatus_HEALTHY || lb.GetHealthPolicy() == workloadapi.LoadBalancing_ALLOW_ALL
		reachable := len(w.GetAddresses()) > 0 || w.GetHostname() != "" || w.GetNetworkGateway() != nil && w.GetNetwork() != client.GetNetwork()
		if !of || !healthy || !reachable || !waypoint && target == 0 && endpointPort(w, s, port) == 0 {
			continue
		}
		rank := 0
		if mode := lb.GetMode(); mode == workloadapi.LoadBalancing_STRICT || mode == workloadapi.LoadBalancing_FAILOVER {
			rank = preference(client, w, lb.GetRoutingPreference())
			if mode == workloadapi.LoadBalancing_STRICT && rank < len(lb.GetRoutingPreference()) {
				continue
			}
		}
		if rank > best {
			out, best = nil, rank
		}
		if rank == best {
			out = append(out, w)
		}
	}
	return out
}

// preference counts how many of the scopes, from the first, client and workload share.
func preference(client, w *workloadapi.Workload, scopes []workloadapi.LoadBalancing_Scope) int {
	for i, scope := range scopes {
		var same bool
		a, b := client.GetLocality(), w.GetLocality()
		switch scope {
		case workloadapi.LoadBalancing_REGION:
			same = a.GetRegion() == b.GetRegion()
		case workloadapi.LoadBalancing_ZONE:
			same = a.GetZone() == b.GetZone()
		case workloadapi.LoadBalancing_SUBZONE:
			same = a.GetSubzone() == b.GetSubzone()
		case workloadapi.LoadBalancing_NODE:
			same = client.GetNode() == w.GetNode()
		case workloadapi.LoadBalancing_CLUSTER:
			same = client.GetClusterId() == w.GetClusterId()
		case workloadapi.LoadBalancing_NETWORK:
			same = client.GetNetwork() == w.GetNetwork()
		case workloadapi.LoadBalancing_UNSPECIFIED_SCOPE:
		}
		if !same {
			return i
		}
	}
	return len(scopes)
}

// direct is step 5: to the address the client asked for if the workload has it, else to the workload's first of that family.
func (z *Ztunnel) direct(client, w *workloadapi.Workload, s *workloadapi.Service, port uint16, part float64, asked netip.AddrPort, dns resolver) []way {
	if w.GetNetwork() != client.GetNetwork() {
		return z.across(w, s, part, asked)
	}
	x := way{part: part, accepts: append(slices.Clone(s.GetSubjectAltNames()), identityOf(w))}
	ips := addressesOf(w)
	if i := slices.Index(ips, asked.Addr()); i >= 0 {
		ips = ips[i : i+1]
	}
	slices.SortStableFunc(ips, func(a, b netip.Addr) int {
		return cmp.Compare(boolRank(a.Is6() != asked.Addr().Is6()), boolRank(b.Is6() != asked.Addr().Is6()))
	})
	if len(ips) > 0 {
		return []way{x.at(w, netip.AddrPortFrom(ips[0], port))}
	}
	found, known := dns(w.GetHostname())
	if wildcard := strings.HasPrefix(w.GetHostname(), "*"); !known && !wildcard { // no server answers for a wildcard itself
		x.name = w.GetHostname()
		return []way{x.at(w, netip.AddrPortFrom(netip.Addr{}, port))}
	}
	if len(found) == 0 {
		return []way{{part: part, failure: "no ip addresses were resolved for workload"}}
	}
	var out []way
	for _, ip := range found {
		y := x.at(w, netip.AddrPortFrom(ip, port))
		y.part /= float64(len(found))
		out = append(out, y)
	}
	return out
}

// across is the way to another network: HBONE to its gateway, and HBONE within that for the service.
//
// Source: https://github.com/istio/ztunnel, src/proxy/outbound.rs build_request_through_gateway; src/state.rs fetch_network_gateway.
func (z *Ztunnel) across(w *workloadapi.Workload, s *workloadapi.Service, part float64, asked netip.AddrPort) []way {
	g := w.GetNetworkGateway().GetAddress()
	if s == nil || g == nil {
		return []way{{part: part, failure: "another network"}}
	}
	ip, ok := netip.AddrFromSlice(g.GetAddress())
	gateway := z.workloadAt(g.GetNetwork(), ip.Unmap())
	if !ok || gateway == nil {
		return []way{{part: part, failure: "unknown network gateway"}}
	}
	return []way{{
		part: part, to: netip.AddrPortFrom(ip.Unmap(), uint16(w.GetNetworkGateway().GetHboneMtlsPort())),
		authority: fmt.Sprintf("%s:%d", s.GetHostname(), asked.Port()), accepts: []string{identityOf(gateway)},
		within: append([]string{}, s.GetSubjectAltNames()...),
	}}
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (x way) at(w *workloadapi.Workload, to netip.AddrPort) way {
	x.to = to
	if w.GetTunnelProtocol() == workloadapi.TunnelProtocol_HBONE {
		x.to, x.authority = netip.AddrPortFrom(to.Addr(), hbonePort), to.String()
	}
	return x
}

// identityOf is the URI in a workload's certificate.
func identityOf(w *workloadapi.Workload) string {
	return fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", cmp.Or(w.GetTrustDomain(), "cluster.local"), w.GetNamespace(), cmp.Or(w.GetServiceAccount(), "default"))
}

// trustDomain is that of an identity.
func trustDomain(identity string) string {
	domain, _, _ := strings.Cut(strings.TrimPrefix(identity, "spiffe://"), "/ns/")
	return domain
}
