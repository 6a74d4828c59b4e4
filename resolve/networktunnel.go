package resolve

import "istio.io/api/label"

// Other networks for an Envoy, where istiod runs ambient over several (AMBIENT_ENABLE_MULTI_NETWORK):
//
//  1. Waypoints and gateways use the gateways of other networks that take HBONE, and send HBONE within HBONE, to whatever is behind them.
//     Sidecars go on as before, by Istio mTLS.
//  2. What is on another network without such a gateway is left out; for sidecars only where some network has a gateway at all.
//  3. Waypoints leave other networks out while AMBIENT_ENABLE_MULTI_NETWORK_WAYPOINT is off, ingress gateways unless
//     AMBIENT_ENABLE_MULTI_NETWORK_INGRESS is on.
//
// Source: pilot/pkg/xds/endpoints/ep_filters.go, EndpointsByNetworkFilter, selectNetworkGateways; pilot/pkg/model/context.go,
// IsIngressGateway, IsWaypointProxy, ShouldCreateDoubleHBONEResources.

// Tunnels reports whether the proxy sends HBONE within HBONE to other networks.
func (s *Snapshot) Tunnels(client *Workload) bool {
	return client != nil && (client.Dataplane == DataplaneWaypoint || client.Dataplane == DataplaneGateway) && s.AmbientNetworks()
}

// tunnels is rule 1.
func (x *crossing) tunnels() bool {
	return x.client.Dataplane != DataplaneSidecar && x.several() && x.s.Tunnels(x.client)
}

// several reports whether istiod runs ambient over several networks. It is asked where it matters alone.
func (x *crossing) several() bool {
	if x.ambient == nil {
		on := x.s.AmbientNetworks()
		x.ambient = &on
	}
	return *x.ambient
}

// takes reports of a gateway whether it takes what the proxy sends.
func (x *crossing) takes() func(*NetworkGateway) bool {
	switch {
	case x.client.Dataplane == DataplaneSidecar:
		return func(g *NetworkGateway) bool { return g.Port != 0 }
	case x.tunnels():
		return func(g *NetworkGateway) bool { return g.HBONEPort != 0 }
	}
	return func(*NetworkGateway) bool { return true }
}

// port is the one at which the proxy connects to a gateway.
func (x *crossing) port(g *NetworkGateway) int {
	if x.tunnels() {
		return g.HBONEPort
	}
	return g.Port
}

// leftOut is rules 2 and 3; all are those of which the endpoint is one.
func (x *crossing) leftOut(e *Endpoint, leading []*NetworkGateway, all []*Endpoint) bool {
	if x.inNetwork(e.Network) || !x.several() {
		return false
	}
	variable := x.s.crossingSwitch(x.client)
	if variable != "" && !x.told[variable] {
		if x.told == nil {
			x.told = map[string]bool{}
		}
		x.told[variable] = true
		x.steps = append(x.steps, x.s.feature(variable).told()...)
	}
	count := 0
	for _, o := range all {
		if o.Network == e.Network {
			count += max(1, o.Count)
		}
	}
	if variable != "" && !x.s.feature(variable).on {
		x.once("off "+e.Network, func() Step {
			return NewStep(RuleEastWestOff, Skipped, e.Ref, count, x.cluster.Service.Hostname, e.Network, x.client.Owner, variable)
		})
		return true
	}
	if len(leading) > 0 {
		return false
	}
	kind := "HBONE"
	if !x.tunnels() {
		kind = "Istio mTLS"
	}
	x.once("no gateway of "+e.Network, func() Step {
		return NewStep(RuleEastWestNoGateway, Skipped, e.Ref, count, x.cluster.Service.Hostname, e.Network, x.mine.name, kind)
	})
	return true
}

// crossingSwitch is the variable of istiod of rule 3 that is about the proxy; empty for none.
func (s *Snapshot) crossingSwitch(w *Workload) string {
	managed := w.Labels[label.GatewayManaged.Name]
	switch {
	case w.Dataplane == DataplaneWaypoint && managed == managedByWaypointController:
		return featureWaypointNetworks
	case w.Dataplane == DataplaneGateway && (managed == proxyKinds[controllerGateway].managed || w.Labels["istio"] == "ingressgateway"):
		return featureIngressNetworks
	}
	return ""
}

// doubleHBONE is what a proxy sends to the gateway of another network, around the TLS that a DestinationRule originates.
func (s *Snapshot) doubleHBONE(c *Cluster, e *Endpoint, tls ClientTLS) ClientTLS {
	if tls.Mode != ClientTLSOrigination && tls.Mode != ClientMutualTLSOrigination {
		tls = ClientTLS{Mode: ClientPlaintext}
	}
	tls.HBONE = true
	tls.Step = NewStep(RuleEastWestDouble, Applied, e.Ref, e.Gateway.HBONEAt(), e.Gateway.Network, c.Service.Hostname, c.Port.Number)
	return tls
}

// EastWestTLS is what a ztunnel sends to the gateway of another network.
func EastWestTLS(e *Endpoint, host string, port int) ClientTLS {
	return ClientTLS{Mode: ClientPlaintext, HBONE: true, Step: NewStep(RuleEastWestDouble, Applied, e.Ref, e.Gateway.HBONEAt(), e.Gateway.Network, host, port)}
}
