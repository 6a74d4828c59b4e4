package evaluator

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
)

// target is an endpoint and its share.
type target struct {
	address netip.AddrPort
	name    string
	// internal is the listener of the proxy itself that leads there; empty for an endpoint of the network.
	internal string
	part     float64
	// again counts the targets with the same address before it.
	again    int
	metadata *core.Metadata
}

// host is an endpoint of an assignment.
type host struct {
	target
	healthy bool
	weight  float64
}

// locality is a group of hosts; level is what has one priority.
type (
	locality struct {
		weight float64
		hosts  []host
	}
	level []locality
)

// targets are the endpoints that get requests.
//
//  1. Of hosts with one address a cluster with EDS keeps the first; one that resolves DNS keeps all (issue 23445 of
//     github.com/envoyproxy/envoy; source/extensions/clusters/eds/eds.cc, strict_dns_cluster.cc).
//  2. Each priority has a load: see priorityLoads.
//  3. A priority in panic gives its load to all its hosts, whatever their health: see panics.
//  4. Else the healthy ones get it, by their weights; where localities have weights, by those first, and a locality of
//     which too few are healthy counts for less.
//
// Sources, below https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/: priority,
// panic_threshold, locality_weight.
func (k *walk) targets(v *visit, c *cluster.Cluster) ([]target, string) {
	if c.GetType() == cluster.Cluster_ORIGINAL_DST {
		if v.dialled { // https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/service_discovery, original destination
			return nil, ""
		}
		to := v.destination
		if o := c.GetOriginalDstLbConfig().GetUpstreamPortOverride().GetValue(); o != 0 {
			to = netip.AddrPortFrom(to.Addr(), uint16(o))
		}
		return []target{{address: to, part: 1}}, ""
	}
	assignment := c.GetLoadAssignment()
	if c.GetType() == cluster.Cluster_EDS {
		assignment = v.proxy.Endpoints[c.GetName()]
	}
	levels, unknown := levelsOf(assignment, c.GetType() == cluster.Cluster_EDS, k.lookUp(v))
	if unknown != "" || len(levels) == 0 {
		return nil, unknown
	}
	factor, threshold := 140.0, 50.0
	if f := assignment.GetPolicy().GetOverprovisioningFactor(); f != nil {
		factor = float64(f.GetValue())
	}
	if p := c.GetCommonLbConfig().GetHealthyPanicThreshold(); p != nil {
		threshold = p.GetValue()
	}
	panicking := panics(levels, factor, threshold)
	loads := priorityLoads(levels, factor, panicking)
	var out []target
	for i, l := range levels {
		hosts := l.healthy()
		switch {
		case panicking[i]:
			hosts = l.hosts()
		case c.GetCommonLbConfig().GetLocalityWeightedLbConfig() != nil:
			hosts = l.byLocality(factor)
		}
		out = append(out, shared(hosts, float64(loads[i])/100)...)
	}
	return out, ""
}

// lookUp are the addresses that the proxy's DNS has for an endpoint's name: nothing for one of the cluster's domain that
// is not there. known is false for names that are another network's.
func (k *walk) lookUp(v *visit) func(name string) (ips []netip.Addr, known bool) {
	return func(name string) ([]netip.Addr, bool) {
		ips, own := k.world.Resolve(v.machine.Address, name)
		domain := strings.HasSuffix(name, ".svc") || strings.HasSuffix(name, ".svc.cluster.local")
		return ips, own && (len(ips) > 0 || domain)
	}
}

// levelsOf are the priorities of an assignment, the best first. once leaves out what has an address again. Each
// address that a name resolves to is a host with the weight of the name's endpoint; see Envoy's documentation, service
// discovery, strict DNS. Of logical DNS, which takes one of them for each connection, all are shown.
func levelsOf(assignment *endpoint.ClusterLoadAssignment, once bool, lookUp func(string) ([]netip.Addr, bool)) ([]level, string) {
	byPriority, times := map[uint32]level{}, map[string]int{}
	for _, l := range assignment.GetEndpoints() {
		group := locality{weight: float64(l.GetLoadBalancingWeight().GetValue())}
		for _, e := range l.GetLbEndpoints() {
			a, inner := e.GetEndpoint().GetAddress().GetSocketAddress(), e.GetEndpoint().GetAddress().GetEnvoyInternalAddress()
			if inner != nil {
				a = socketOf(inner)
			}
			if a == nil {
				return nil, "endpoint without a socket address"
			}
			if a.GetAddress() == "" && inner == nil { // https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/address.proto: at least one character
				return nil, "an endpoint without address: the assignment is refused"
			}
			h := host{healthy: healthy(e), weight: weightOf(e)}
			h.metadata, h.internal = e.GetMetadata(), inner.GetServerListenerName()
			ips := []netip.Addr{{}}
			if ip, err := netip.ParseAddr(a.GetAddress()); err == nil {
				ips[0] = ip
			} else if found, known := lookUp(a.GetAddress()); known {
				ips = found
			} else {
				h.name = a.GetAddress() // nothing for an internal address: the connection goes on to where it was headed
			}
			for _, ip := range ips {
				h.address = netip.AddrPortFrom(ip, uint16(a.GetPortValue()))
				at := fmt.Sprint(h.name, h.address)
				h.again = times[at]
				if times[at]++; once && h.again > 0 {
					continue
				}
				group.hosts = append(group.hosts, h)
			}
		}
		byPriority[l.GetPriority()] = append(byPriority[l.GetPriority()], group)
	}
	var out []level
	for _, priority := range slices.Sorted(maps.Keys(byPriority)) {
		out = append(out, byPriority[priority])
	}
	return out, ""
}

// socketOf is the address that istiod writes into the identifier of an internal one; empty without an identifier.
func socketOf(a *core.EnvoyInternalAddress) *core.SocketAddress {
	at, err := netip.ParseAddrPort(a.GetEndpointId())
	if err != nil {
		return &core.SocketAddress{}
	}
	return &core.SocketAddress{Address: at.Addr().String(), PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(at.Port())}}
}

func (l level) hosts() []host {
	var out []host
	for _, group := range l {
		out = append(out, group.hosts...)
	}
	return out
}

func (l level) healthy() []host { return healthyOf(l.hosts()) }

// byLocality are the healthy hosts, with the weights of their localities. A locality without a weight gets nothing.
func (l level) byLocality(factor float64) []host {
	var out []host
	for _, group := range l {
		hosts, sum := healthyOf(group.hosts), 0.0
		for _, h := range hosts {
			sum += h.weight
		}
		for _, h := range hosts {
			h.weight *= group.weight * min(100, availability(group.hosts, factor)) / sum
			out = append(out, h)
		}
	}
	return out
}

// panics are the priorities of which less than the threshold is healthy, as long as the priorities together have
// too few healthy hosts for all requests.
func panics(levels []level, factor, threshold float64) []bool {
	out, total := make([]bool, len(levels)), 0
	for _, l := range levels {
		total += health(l, factor)
	}
	for i, l := range levels {
		out[i] = total < 100 && availability(l.hosts(), 100) < threshold
	}
	return out
}

// priorityLoads are the percentages of the requests that each priority gets: as much as its health, and all of them
// together 100. Where all are in panic, the number of their hosts counts.
func priorityLoads(levels []level, factor float64, panicking []bool) []int {
	scores, total := make([]int, len(levels)), 0
	for i, l := range levels {
		scores[i] = health(l, factor)
		if !slices.Contains(panicking, false) {
			scores[i] = len(l.hosts())
		}
		total += scores[i]
	}
	if slices.Contains(panicking, false) {
		total = min(total, 100)
	}
	loads, left := make([]int, len(levels)), 100
	if total == 0 {
		loads[0] = left
		return loads
	}
	for i := range scores {
		loads[i] = min(left, scores[i]*100/total)
		left -= loads[i]
	}
	loads[slices.IndexFunc(scores, func(n int) bool { return n > 0 })] += left // what whole percents leave over
	return loads
}

// health is the integer score of a priority, 0 to 100.
func health(l level, factor float64) int { return int(min(100, availability(l.hosts(), factor))) }

// availability is the healthy part of hosts, times a factor.
func availability(hosts []host, factor float64) float64 {
	if len(hosts) == 0 {
		return 0
	}
	return factor * float64(len(healthyOf(hosts))) / float64(len(hosts))
}

func healthyOf(hosts []host) []host {
	var out []host
	for _, h := range hosts {
		if h.healthy {
			out = append(out, h)
		}
	}
	return out
}

// shared are the hosts that get something of the share.
func shared(hosts []host, share float64) []target {
	total := 0.0
	for _, h := range hosts {
		total += h.weight
	}
	var out []target
	for _, h := range hosts {
		if h.part = share * h.weight / total; h.part > 0 {
			out = append(out, h.target)
		}
	}
	return out
}

func healthy(e *endpoint.LbEndpoint) bool {
	return e.GetHealthStatus() == core.HealthStatus_UNKNOWN || e.GetHealthStatus() == core.HealthStatus_HEALTHY
}

func weightOf(e *endpoint.LbEndpoint) float64 {
	if w := e.GetLoadBalancingWeight().GetValue(); w > 0 {
		return float64(w)
	}
	return 1
}
