package resolve

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Which endpoints of a cluster a proxy reaches across networks, and how:
//
//  1. A proxy that asks for certain networks (ISTIO_META_REQUESTED_NETWORK_VIEW) gets the endpoints of these, and of none.
//  2. Where no network has a gateway, the others by their own addresses, whatever their networks.
//  3. Where any has one: those on the proxy's network by their own addresses, and so those on a network without a gateway. An
//     endpoint or a proxy on no network is on everyone's; but a proxy on none goes to what is on a network by its gateway.
//  4. Each of the others is replaced by the gateways of its network: those in its cluster, else all. They share its weight. A
//     gateway stands in the locality of what it replaces, healthy, even if that is not.
//  5. Only what the proxy sends Istio mTLS to is reached so: a gateway tells services apart by the server name. Others are left
//     out. So is what has a gateway of another family of addresses than the proxy.
//  6. An endpoint without address that has no gateway is left out.
//
// Source: pilot/pkg/xds/endpoints/ep_filters.go, EndpointsByNetworkFilter, filterGatewaysByIPFamily; endpoint_builder.go,
// filterIstioEndpoint; pilot/pkg/model/proxy_view.go.

// Rules of reaching other networks.
const (
	RuleNetworkView       RuleID = "network/not-asked-for"
	RuleNetworkSame       RuleID = "network/same"
	RuleNetworkNoGateway  RuleID = "network/without-gateway"
	RuleNetworkGateway    RuleID = "network/by-gateway"
	RuleNetworkNameless   RuleID = "network/proxy-on-none"
	RuleNetworkPlaintext  RuleID = "network/plaintext"
	RuleNetworkFamily     RuleID = "network/gateway-of-other-family"
	RuleNetworkFamilies   RuleID = "network/family-of-unknown-address"
	RuleNetworkAddress    RuleID = "network/without-address"
	RuleNetworkUnready    RuleID = "network/not-ready-behind-gateway"
	RuleNetworkNone       RuleID = "network/none-reached"
	RuleNetworkMTLS       RuleID = "network/mtls-to-gateway"
	RuleNetworkResolved   RuleID = "network/gateway-by-name"
	RuleNetworkDNS        RuleID = "network/service-by-dns"
	RuleNetworkTurns      RuleID = "network/turns-back"
	RuleNetworkBeyond     RuleID = "network/beyond"
	RuleNetworkBeyondOpen RuleID = "network/beyond-not-mtls"
)

const networkFilter = "pilot/pkg/xds/endpoints/ep_filters.go, EndpointsByNetworkFilter"

var networkReachRules = []Rule{
	{
		ID: RuleNetworkView, Stage: StageLoadBalance,
		Says:     "A proxy with ISTIO_META_REQUESTED_NETWORK_VIEW, as east-west gateways have, gets the endpoints of those networks alone, and those of none.",
		Template: "%d of %s are on network %s, and the proxy asks for %s alone: left out",
		Source:   "pilot/pkg/model/proxy_view.go, newProxyView",
	},
	{
		ID: RuleNetworkSame, Stage: StageLoadBalance,
		Says:     "Endpoints on the proxy's own network are connected to directly.",
		Template: "%d of %s on network %s, the client's own: connected to directly",
		Source:   networkFilter,
	},
	{
		ID: RuleNetworkNoGateway, Stage: StageLoadBalance,
		Says:     "Endpoints of a network that has no gateway are connected to directly, as if they were on the proxy's own; whether there is a way is not Istio's to say.",
		Template: "%d of %s on network %s, the client on %s, and no gateway of %[3]s is known: connected to directly, as if there were a way",
		Source:   networkFilter,
	},
	{
		ID: RuleNetworkGateway, Stage: StageLoadBalance,
		Says:     "Endpoints on another network are reached by the gateways of that network, which share their weight.",
		Template: "%d of %s on network %s (%s): by gateway %s",
		Source:   networkFilter,
	},
	{
		ID: RuleNetworkNameless, Stage: StageLoadBalance,
		Says:     "A proxy that is on no network (no ISTIO_META_NETWORK) goes to all that is on a network by the gateway of that network, the one next to it included.",
		Template: "the proxy of %s is on no network: what is on network %s goes by its gateway, even if it is near",
		Source:   networkFilter,
	},
	{
		ID: RuleNetworkPlaintext, Stage: StageLoadBalance,
		Says:     "An endpoint on another network that is not sent Istio mTLS is left out: the gateway between tells services apart by the server name of mTLS.",
		Template: "%s is on network %s, behind a gateway, which takes Istio mTLS alone (%s): left out",
		Source:   networkFilter,
	},
	{
		ID: RuleNetworkFamily, Stage: StageLoadBalance,
		Says:     "An endpoint on another network is left out where the gateways of that network have no address of a family that the proxy has.",
		Template: "%s is on network %s, whose gateways have no address of a family that the client has: left out",
		Source:   "pilot/pkg/xds/endpoints/ep_filters.go, filterGatewaysByIPFamily",
	},
	{
		ID: RuleNetworkFamilies, Stage: StageLoadBalance,
		Says:     "Where a network has gateways with IPv4 and with IPv6 addresses, a client of manifests that has no address yet is taken to have an IPv4 address alone.",
		Template: "%s has no address yet: taken to reach the gateways of network %s that have an IPv4 address",
		Source:   "pilot/pkg/xds/endpoints/ep_filters.go, filterGatewaysByIPFamily",
	},
	{
		ID: RuleNetworkAddress, Stage: StageLoadBalance,
		Says:     "An endpoint without address is left out where no gateway leads to its network.",
		Template: "%s has no address, and no gateway leads to network %q: left out",
		Source:   networkFilter,
	},
	{
		ID: RuleNetworkUnready, Stage: StageLoadBalance,
		Says:     "An endpoint behind a gateway of another network counts even if it is not ready: istiod sends the gateway, which it takes to be healthy.",
		Template: "%s is not ready, and counts all the same: for the client it is gateway %s",
		Source:   networkFilter,
	},
	{
		ID: RuleNetworkNone, Stage: StageLoadBalance,
		Says:     "Where no endpoint of a cluster is on a network that can be reached, the answer is 503 with flag UH.",
		Template: "none of the %d behind %s can be reached: %s",
		Source:   networkFilter,
	},
	{
		ID: RuleNetworkMTLS, Stage: StageTLS,
		Says:     "To the gateway of another network a proxy sends Istio mTLS, with the server name that spells the cluster: outbound_.PORT_.SUBSET_.HOST.",
		Template: "Istio mTLS with server name %s, by which gateway %s of network %s knows where to send it",
		Source:   networkFilter,
	},
	{
		ID: RuleNetworkResolved, Stage: StageLoadBalance,
		Says:     "istiod resolves the name of a network gateway itself, and sends proxies its addresses; a name that does not resolve is no gateway.",
		Template: "gateway %s of network %s is a name, which istiod resolves: taken to have one address",
		Source:   "pilot/pkg/model/network.go, resolveHostnameGateways",
	},
	{
		ID: RuleNetworkDNS, Stage: StageLoadBalance,
		Says:     "For services that resolve by DNS istiod keeps a list of network gateways of its own, which it brings up to date a step late: until then their endpoints on other networks are connected to directly.",
		Template: "%s resolves by DNS, for which istiod learns of network gateways a step late: until then what is on another network is connected to directly",
		Source:   "pilot/pkg/model/network.go, reload: the second list is updated where the first has not changed",
	},
	{
		ID: RuleNetworkTurns, Stage: StageLoadBalance,
		Says:     "A gateway of a network whose own proxy is on another one, or on none, sends to its network by its gateways, that is to itself: a circle.",
		Template: "%s goes to gateway %s of network %s, which it is itself: a circle; its proxy needs ISTIO_META_NETWORK %[3]s",
		Source:   networkFilter,
	},
	{
		ID: RuleNetworkBeyond, Stage: StageApplication,
		Says:     "What is behind the gateway of another network is that network's own: where no resource here has the gateway's address, the trace ends at it.",
		Template: "goes to %s, a gateway of network %s, with server name %s; what becomes of it there is not known here",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleNetworkBeyondOpen, Stage: StageApplication,
		Says:     "The gateway of another network takes Istio mTLS; what else is sent to it reaches no service by it.",
		Template: "goes to %s, a gateway of network %s, without the mTLS by which it tells services apart; what becomes of it there is not known here",
		Source:   "pilot/pkg/networking/core/gateway.go, builtAutoPassthroughFilterChains",
	},
}

// severalNetworks reports whether any network has a gateway.
func (s *Snapshot) severalNetworks() bool { return len(s.index.networks().gateways) > 0 }

// AcrossNetworks is what becomes of a cluster's endpoints for the client: those that it reaches directly, and gateways
// in place of others. Unhealthy ones are among them; see Balance.
func (s *Snapshot) AcrossNetworks(client *Workload, c *Cluster, eps []*Endpoint) ([]*Endpoint, []Step) {
	if c == nil || c.Type == ClusterOriginalDst || c.Type == ClusterDynamicDNS || len(eps) == 0 {
		return eps, nil
	}
	if client == nil {
		client = &Workload{Anonymous: true}
	}
	x := &crossing{s: s, client: client, cluster: c, networks: s.index.networks()}
	if len(x.networks.gateways) == 0 && !slices.ContainsFunc(eps, func(e *Endpoint) bool { return e.Network != "" }) {
		return eps, nil
	}
	x.mine = s.networkOfProxy(client)
	x.tellWhere(eps)
	kept := x.visible(eps)
	if len(x.networks.gateways) > 0 || x.tunnels() {
		kept = x.cross(kept)
		if c.Type != ClusterEDS && x.crossed {
			x.say(NewStep(RuleNetworkDNS, Warned, c.Service.Ref, c.Service.Hostname))
		}
	}
	x.tellDirect(kept)
	x.tellGateways(kept)
	if len(kept) == 0 {
		x.say(NewStep(RuleNetworkNone, None, c.Service.Ref, podCount(eps), c.Service.Hostname, x.lastReason()))
	}
	return kept, x.steps
}

// crossing is one call of AcrossNetworks.
type crossing struct {
	s        *Snapshot
	client   *Workload
	cluster  *Cluster
	networks *networkIndex
	mine     network
	steps    []Step
	told     map[string]bool
	// crossed is set where the gateways make a difference.
	crossed bool
	// ambient is kept where it was asked for.
	ambient *bool
}

func (x *crossing) say(step Step) { x.steps = append(x.steps, step) }

// once says a step of a network once.
func (x *crossing) once(name string, step func() Step) {
	if x.told == nil {
		x.told = map[string]bool{}
	}
	if !x.told[name] {
		x.told[name] = true
		x.say(step())
	}
}

// lastReason is why the last of the endpoints was left out.
func (x *crossing) lastReason() string {
	for _, step := range slices.Backward(x.steps) {
		if step.Verdict == Skipped {
			return step.Reason()
		}
	}
	return ""
}

// tellWhere tells what puts the proxy and the first endpoint of each network there.
func (x *crossing) tellWhere(eps []*Endpoint) {
	if x.mine.name != "" {
		x.say(NewStep(RuleNetworkProxy, Applied, x.mine.ref, x.client.Owner, x.mine.name, x.mine.by))
	}
	for _, e := range eps {
		switch {
		case e.Network != "":
			x.once("where is "+e.Network, func() Step {
				n := x.s.networkOfEndpoint(e)
				return NewStep(RuleNetworkOf, Applied, n.ref, e.name(), e.Network, n.by)
			})
		case e.Workload != nil && e.Workload.FromTemplate && x.s.Networks != nil && len(x.s.index.meshNetworks().ranges) > 0:
			x.once("range "+e.name(), func() Step { return NewStep(RuleNetworkUnknown, Warned, e.Ref, e.name()) })
		}
	}
}

// networkOfEndpoint is what puts an endpoint on its network.
func (s *Snapshot) networkOfEndpoint(e *Endpoint) network {
	switch {
	case e.Ref.Kind == "ServiceEntry":
		return network{e.Network, "its field network", e.Ref.At(e.Ref.Field + ".network")}
	case e.Workload != nil:
		return s.MemberOf(e.Workload).networkOf(e.Workload)
	}
	s = s.Member(e.Ref.Cluster)
	ip, _ := netip.ParseAddr(e.Address)
	return s.networkOfPod(nil, e.Ref, ip)
}

// visible is rule 1.
func (x *crossing) visible(eps []*Endpoint) []*Endpoint {
	view := x.s.networkView(x.client)
	if view == nil {
		return eps
	}
	kept := x.s.inView(x.client, eps)
	hidden := map[string]int{}
	var order []string
	for _, e := range eps {
		if slices.Contains(kept, e) {
			continue
		}
		if hidden[e.Network] == 0 {
			order = append(order, e.Network)
		}
		hidden[e.Network] += e.Count
	}
	for _, name := range order {
		x.say(NewStep(RuleNetworkView, Skipped, x.client.Owner, hidden[name], x.cluster.Service.Hostname, name, view[0]))
	}
	return kept
}

// byLocality are the endpoints of each locality, in the order in which istiod has them.
func byLocality(eps []*Endpoint) [][]*Endpoint {
	var out [][]*Endpoint
	at := map[Locality]int{}
	for _, e := range eps {
		i, ok := at[e.Locality]
		if !ok {
			i = len(out)
			at[e.Locality] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], e)
	}
	return out
}

// cross is rules 3 to 6, for each locality.
func (x *crossing) cross(eps []*Endpoint) []*Endpoint {
	var kept []*Endpoint
	for _, group := range byLocality(eps) {
		shares := map[*NetworkGateway]*Endpoint{}
		for _, e := range group {
			leading := x.networks.leading(e.Network, x.clusterOf(e), x.takes())
			if x.leftOut(e, leading, eps) {
				continue
			}
			forced := x.mine.name == "" && e.Network != "" && len(leading) > 0
			if !forced && (x.inNetwork(e.Network) || len(leading) == 0) {
				if e.withoutAddress() {
					x.say(NewStep(RuleNetworkAddress, Skipped, e.Ref, e.name(), e.Network))
					continue
				}
				kept = append(kept, weighted(e, max(1, e.Weight)*x.networks.scale))
				continue
			}
			if forced {
				x.once("on none, to "+e.Network, func() Step {
					return NewStep(RuleNetworkNameless, Warned, workloadRef(x.client), x.client.Owner, e.Network)
				})
			}
			x.replace(e, leading, shares)
		}
		for _, g := range x.networks.gateways {
			if shares[g] != nil {
				kept = append(kept, shares[g])
			}
		}
	}
	return kept
}

// clusterOf is the cluster of an endpoint.
func (x *crossing) clusterOf(e *Endpoint) string { return cmp.Or(e.Cluster, x.s.ClusterID()) }

// inNetwork reports whether the proxy is on the network, or either on none.
func (x *crossing) inNetwork(name string) bool {
	return name == "" || x.mine.name == "" || name == x.mine.name
}

// replace is rules 4 and 5: it adds the endpoint's weight to the gateways that lead to it.
func (x *crossing) replace(e *Endpoint, leading []*NetworkGateway, shares map[*NetworkGateway]*Endpoint) {
	x.crossed = true
	reached := x.ofFamily(leading)
	if len(reached) == 0 {
		x.say(NewStep(RuleNetworkFamily, Skipped, e.Ref, e.name(), e.Network))
		return
	}
	if why, plain := x.s.endpointPlain(x.cluster, e); plain && !x.tunnels() {
		x.say(NewStep(RuleNetworkPlaintext, Skipped, e.Ref, e.name(), e.Network, why.Reason()))
		return
	}
	if e.Health == Unhealthy {
		if x.s.sendsHealthyOnly(x.cluster) {
			x.say(NewStep(RuleEndpointNotReady, Skipped, e.Ref, e.name()))
			return
		}
		x.say(NewStep(RuleNetworkUnready, Warned, e.Ref, e.name(), reached[0].at(x.port(reached[0]))))
	}
	weight := max(1, e.Weight) * max(1, e.Count) * x.networks.scale / len(reached)
	for _, g := range reached {
		if shares[g] == nil {
			shares[g] = &Endpoint{
				Address: g.Address, Port: x.port(g), Health: Healthy, TLSMode: endpointTLSIstio, Count: 1, Ref: g.Ref,
				Labels:  map[string]string{topologyNetwork: g.Network, topologyCluster: g.Cluster},
				Network: g.Network, Cluster: g.Cluster, Locality: e.Locality, Gateway: g,
			}
		}
		shares[g].Weight += weight
		shares[g].Behind += max(1, e.Count)
	}
	x.steps = append(x.steps, Behind(x.cluster.Service, []*Endpoint{e})...)
}

// ofFamily are the gateways with an address that the proxy can connect to. Where its own are not known: those with an IPv4
// address, if there are any.
func (x *crossing) ofFamily(gateways []*NetworkGateway) []*NetworkGateway {
	v4, v6 := families(x.client)
	known := v4 || v6
	if v4 && v6 {
		return gateways
	}
	var out []*NetworkGateway
	for _, g := range gateways {
		ip, err := netip.ParseAddr(g.Address)
		if ip = ip.Unmap(); err != nil || ip.Is4() != v6 {
			out = append(out, g)
		}
	}
	if known || len(out) == len(gateways) {
		return out
	}
	x.once("families of "+gateways[0].Network, func() Step {
		return NewStep(RuleNetworkFamilies, Warned, workloadRef(x.client), x.client.Owner, gateways[0].Network)
	})
	if len(out) == 0 {
		return gateways
	}
	return out
}

// families tells which families of addresses a workload has.
func families(w *Workload) (v4, v6 bool) {
	for _, ip := range w.Addresses {
		v4, v6 = v4 || ip.Unmap().Is4(), v6 || ip.Unmap().Is6()
	}
	return v4, v6
}

// withoutAddress reports whether a WorkloadEntry or ServiceEntry leaves the address out.
func (e *Endpoint) withoutAddress() bool { return e.Address == "" && e.Ref.Group == istioNetworking }

// weighted is the endpoint with another weight.
func weighted(e *Endpoint, weight int) *Endpoint {
	if e.Weight == weight {
		return e
	}
	out := *e
	out.Weight = weight
	return &out
}

// tellDirect tells of the networks whose endpoints are connected to directly.
func (x *crossing) tellDirect(kept []*Endpoint) {
	counts := map[string]int{}
	var first []*Endpoint
	for _, e := range kept {
		if e.Gateway != nil || e.Network == "" || x.mine.name == "" {
			continue
		}
		if counts[e.Network] == 0 {
			first = append(first, e)
		}
		counts[e.Network] += e.Count
	}
	for _, e := range first {
		switch {
		case e.Network != x.mine.name:
			x.say(NewStep(RuleNetworkNoGateway, Warned, e.Ref, counts[e.Network], x.cluster.Service.Hostname, e.Network, x.mine.name))
		case len(x.networks.gateways) > 0:
			x.say(NewStep(RuleNetworkSame, Applied, e.Ref, counts[e.Network], x.cluster.Service.Hostname, e.Network))
		}
	}
}

// tellGateways tells of the gateways that are used.
func (x *crossing) tellGateways(kept []*Endpoint) {
	behind := map[*NetworkGateway]int{}
	for _, e := range kept {
		if e.Gateway != nil {
			behind[e.Gateway] += e.Behind
		}
	}
	for _, g := range x.networks.gateways {
		if behind[g] == 0 {
			continue
		}
		where := "another than the client's"
		if x.mine.name != "" {
			where = "the client on " + x.mine.name
		}
		x.say(NewStep(RuleNetworkGateway, Applied, g.Ref, behind[g], x.cluster.Service.Hostname, g.Network, where, g.at(x.port(g))))
		if g.named() {
			x.say(NewStep(RuleNetworkResolved, Warned, g.Ref, g.at(x.port(g)), g.Network))
		}
	}
}

// named reports whether istiod looks the address up: it is a name, and not that of a Service of manifests.
func (g *NetworkGateway) named() bool {
	_, err := netip.ParseAddr(g.Address)
	return err != nil && (g.Service == nil || g.Address != assumedAddress(g.Service.Ref.Object()))
}

// assumedAddress stands for the address that the load balancer of a Service of manifests is yet to get.
func assumedAddress(service Ref) string {
	return fmt.Sprintf("external IP of %s", service.QualifiedName())
}

// gatewayTLS is what a proxy sends to a gateway of another network: what the cluster sends to an endpoint that speaks Istio mTLS.
func (s *Snapshot) gatewayTLS(client *Workload, c *Cluster, e *Endpoint) ClientTLS {
	tls := s.withoutTunnel(client, c, e)
	if tls.Mode == ClientMTLS {
		tls.Step = NewStep(RuleNetworkMTLS, Applied, e.Ref, tls.SNI, e.Gateway.At(), e.Gateway.Network)
	}
	return tls
}
