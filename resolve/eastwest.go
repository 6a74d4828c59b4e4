package resolve

import (
	"cmp"
	"maps"
	"slices"

	"istio.io/api/annotation"
	"istio.io/api/label"
	"k8s.io/utils/ptr"
	k8sgateway "sigs.k8s.io/gateway-api/apis/v1"
)

// Ambient mode over several networks (AMBIENT_ENABLE_MULTI_NETWORK), as the istiod of a cluster has it:
//
//  1. Other networks are reached by their east-west gateways. Of its own cluster istiod reads Gateways of class istio-remote, which stand for
//     gateways elsewhere; of other clusters those of class istio-east-west. Both need the label topology.istio.io/network, a
//     listener of protocol HBONE, and an address in the status.
//  2. Whatever a GLOBAL Service has on another network is one endpoint for ztunnels, behind the first gateway of that network, with the
//     weight of all of it. Who is ready there is not told. Without a gateway it is left out.
//  3. trafficDistribution puts the client's network before all others.
//  4. A ztunnel sends HBONE to the gateway, and within that HBONE to whoever has the service there, for HOST:PORT of the service. It wants the
//     gateway to have the identity that the Gateway says (annotation gateway.istio.io/service-account, else its name, with
//     -istio-remote for that class), and whoever is behind it one of those that the workloads of the service on other networks have.
//  5. The gateway does not open what is within. It takes hosts of GLOBAL Services alone, and sends to the Service's waypoint in its own
//     cluster, else to endpoints on its own network. What comes from a waypoint goes past that, and so does what comes from an
//     ingress gateway without istio.io/ingress-use-waypoint.
//
// Source: pilot/pkg/serviceregistry/ambient/networks.go; multicluster.go, buildGlobalCollections, createSplitHorizonWorkload;
// ztunnel, src/proxy/outbound.rs, build_request_through_gateway; src/state.rs, load_balance, fetch_network_gateway;
// pilot/pkg/networking/core/listener_waypoint.go, buildWaypointInternal; cluster_waypoint.go.

// Rules of east-west gateways.
const (
	RuleEastWestGateway   RuleID = "ambientnetwork/by-gateway"
	RuleEastWestNoGateway RuleID = "ambientnetwork/no-gateway"
	RuleEastWestUnready   RuleID = "ambientnetwork/not-ready"
	RuleEastWestSeveral   RuleID = "ambientnetwork/several-gateways"
	RuleEastWestNear      RuleID = "ambientnetwork/near-first"
	RuleEastWestRuns      RuleID = "ambientnetwork/runs-gateway"
	RuleEastWestDouble    RuleID = "ambientnetwork/double-hbone"
	RuleEastWestBeyond    RuleID = "ambientnetwork/beyond"
	RuleEastWestTakes     RuleID = "ambientnetwork/gateway-takes"
	RuleEastWestUnknown   RuleID = "ambientnetwork/gateway-does-not-know"
	RuleEastWestWaypoint  RuleID = "ambientnetwork/gateway-to-waypoint"
	RuleEastWestPast      RuleID = "ambientnetwork/past-waypoint"
	RuleEastWestNone      RuleID = "ambientnetwork/none-behind-gateway"
	RuleEastWestPlain     RuleID = "ambientnetwork/not-captured"
	RuleEastWestIdentity  RuleID = "ambientnetwork/other-identity"
	RuleEastWestAccount   RuleID = "ambientnetwork/gateway-identity"
	RuleEastWestOther     RuleID = "ambientnetwork/other-gateway"
	RuleEastWestOff       RuleID = "ambientnetwork/switched-off"
)

const (
	eastWestListener = "pilot/pkg/networking/core/listener_waypoint.go, buildWaypointInternal"
	throughGateway   = "ztunnel, src/proxy/outbound.rs, build_request_through_gateway"
	splitHorizon     = "pilot/pkg/serviceregistry/ambient/multicluster.go, buildGlobalCollections"
)

var eastWestRules = []Rule{
	{
		ID: RuleEastWestGateway, Stage: StageLoadBalance,
		Says:     "For a ztunnel all that a GLOBAL Service has on another network is one endpoint, behind the east-west gateway of that network, with the weight of all of it.",
		Template: "%d of %s on network %s (the client on %s): as one, behind east-west gateway %s",
		Source:   splitHorizon,
	},
	{
		ID: RuleEastWestNoGateway, Stage: StageLoadBalance,
		Says:     "With AMBIENT_ENABLE_MULTI_NETWORK what is on another network without a gateway that takes what the client sends (HBONE, of sidecars Istio mTLS) is left out.",
		Template: "%d of %s on network %s (the client on %s), of which no gateway that takes %s is known: left out",
		Source:   splitHorizon + "; pilot/pkg/xds/endpoints/ep_filters.go, EndpointsByNetworkFilter",
	},
	{
		ID: RuleEastWestUnready, Stage: StageLoadBalance,
		Says:     "A ztunnel is not told who is ready on another network: pods that are not count like those that are.",
		Template: "%s is not ready, and counts all the same: of network %s ztunnels are told how many there are, and not who is ready",
		Source:   "pilot/pkg/serviceregistry/ambient/multicluster.go, createSplitHorizonWorkload",
	},
	{
		ID: RuleEastWestSeveral, Stage: StageLoadBalance,
		Says:     "Of several east-west gateways of a network istiod tells ztunnels of one, whichever it has first.",
		Template: "network %s has another east-west gateway, %s, and istiod tells ztunnels of one: which one is not known, %s is taken",
		Source:   splitHorizon,
	},
	{
		ID: RuleEastWestNear, Stage: StageLoadBalance,
		Says:     "With trafficDistribution a ztunnel sends to another network only where the Service has no endpoint on its own.",
		Template: "%s: there are endpoints on network %s, the client's own, and those on network %s get nothing",
		Source:   "ztunnel, src/state.rs, load_balance; pilot/pkg/serviceregistry/ambient/services.go, constructService",
	},
	{
		ID: RuleEastWestRuns, Stage: StageListener, Detail: true,
		Says:     "The pods of an east-west gateway are those that istiod runs for its Gateway.",
		Template: "%s runs this gateway",
		Source:   "pilot/pkg/config/kube/gatewaycommon/deploymentcontroller.go, configureIstioGateway",
	},
	{
		ID: RuleEastWestDouble, Stage: StageTLS,
		Says:     "To another network goes HBONE within HBONE: the outer ends at the east-west gateway, the inner at the waypoint or the pod's ztunnel behind it. Both have the identity of who sends.",
		Template: "HBONE to east-west gateway %s of network %s, and within it HBONE for %s:%d",
		Source:   throughGateway,
	},
	{
		ID: RuleEastWestBeyond, Stage: StageApplication,
		Says:     "What is behind the east-west gateway of another network is that network's own: where no resource here has the gateway's address, the trace ends at it.",
		Template: "goes to %s, an east-west gateway of network %s, by HBONE within HBONE for %s:%d; what becomes of it there is not known here",
		Source:   "assumption of the tool",
	},
	{
		ID: RuleEastWestTakes, Stage: StageListener,
		Says:     "An east-west gateway ends the outer HBONE, whose CONNECT names host and port of a Service, and sends on what is within, unopened. Policies have no say there.",
		Template: "HBONE from %s for %s:%d: it ends here, and what is within goes on unopened, in cluster %s",
		Source:   eastWestListener,
	},
	{
		ID: RuleEastWestUnknown, Stage: StageListener,
		Says:     "An east-west gateway takes the hosts and ports of GLOBAL Services alone, and closes a connection for any other.",
		Template: "%s port %d is of no Service of scope GLOBAL in cluster %s (serviceScopeConfigs): the gateway closes the connection",
		Source:   "pilot/pkg/serviceregistry/ambient/ambientindex.go, AllLocalNetworkGlobalServices",
	},
	{
		ID: RuleEastWestWaypoint, Stage: StageWaypoint,
		Says:     "An east-west gateway sends to the waypoint that the Service uses in the gateway's own cluster.",
		Template: "%s uses waypoint %s in cluster %s: the gateway sends to that",
		Source:   eastWestListener,
	},
	{
		ID: RuleEastWestPast, Stage: StageWaypoint,
		Says:     "An east-west gateway sends past the waypoint what a waypoint sent, which has enforced policies already, and what an ingress gateway sent to a Service without istio.io/ingress-use-waypoint.",
		Template: "goes past waypoint %s: it was sent by %s",
		Source:   eastWestListener,
	},
	{
		ID: RuleEastWestNone, Stage: StageLoadBalance,
		Says:     "An east-west gateway without an endpoint that is ready on its own network closes the connection.",
		Template: "no endpoint of %s that is ready on network %s: the gateway closes the connection",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, BuildClusterLoadAssignment",
	},
	{
		ID: RuleEastWestPlain, Stage: StageTLS,
		Says:     "A pod behind an east-west gateway that no ztunnel has captured gets the inner HBONE itself, which it does not understand.",
		Template: "%s takes no HBONE, and the gateway can not open it for the pod: the connection ends",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, buildEnvoyLbEndpoint",
	},
	{
		ID: RuleEastWestIdentity, Stage: StageTLS,
		Says:     "A ztunnel wants whoever answers behind an east-west gateway to have an identity of the workloads of the service it sends to: those of the waypoint, where it sends to one, else those of the Service. So both clusters are to use a waypoint, or neither.",
		Template: "%s has identity %s, and the client's ztunnel wants one of %s on other networks (%s): it closes the connection",
		Source:   throughGateway,
	},
	{
		ID: RuleEastWestAccount, Stage: StageTLS,
		Says:     "A ztunnel wants an east-west gateway to have the identity that its Gateway says: of service account gateway.istio.io/service-account, else of the Gateway's name, with -istio-remote behind it for that class.",
		Template: "%s has identity %s, and the client's ztunnel wants %s, as the Gateway says: it closes the connection",
		Source:   "pilot/pkg/serviceregistry/kube/conversion.go, GatewaySA; ambient/workloads.go, convertGateway",
	},
	{
		ID: RuleEastWestOther, Stage: StageListener,
		Says:     "Of the gateways of Istio those of class istio-east-west alone take HBONE for other networks: another one does not listen there.",
		Template: "%s is no gateway of class istio-east-west: it does not take HBONE for another network",
		Source:   eastWestListener,
	},
	{
		ID: RuleEastWestOff, Stage: StageLoadBalance,
		Says:     "Waypoints send to other networks unless AMBIENT_ENABLE_MULTI_NETWORK_WAYPOINT is off, ingress gateways only where AMBIENT_ENABLE_MULTI_NETWORK_INGRESS is on.",
		Template: "%d of %s on network %s: %s does not send there while %s is off",
		Source:   "pilot/pkg/xds/endpoints/ep_filters.go, EndpointsByNetworkFilter",
	},
}

// Account is the service account, NAMESPACE/NAME, by which ztunnels know the gateway; empty where none is told.
func (g *NetworkGateway) Account() string { return g.account }

// OneOfSeveral tells of the gateways that istiod may tell ztunnels of in this one's place.
func (g *NetworkGateway) OneOfSeveral() []Step {
	var steps []Step
	for _, o := range g.others {
		steps = append(steps, NewStep(RuleEastWestSeveral, Warned, o.Ref, g.Network, o.HBONEAt(), g.HBONEAt()))
	}
	return steps
}

// HBONEAt is ADDRESS:PORT for HBONE.
func (g *NetworkGateway) HBONEAt() string { return g.at(g.HBONEPort) }

// eastWestGateways is step 1: those of a network, the first one before the others.
func (s *Snapshot) eastWestGateways(network string) []*NetworkGateway {
	var out []*NetworkGateway
	add := func(g *NetworkGateway) {
		if g.Network == network && !slices.ContainsFunc(out, func(o *NetworkGateway) bool { return o.account == g.account && o.Address == g.Address }) {
			out = append(out, g)
		}
	}
	for _, o := range s.localGateways() {
		for _, g := range s.remoteGateways(o) {
			add(g)
		}
	}
	for _, m := range s.clusters() {
		if m == s {
			continue
		}
		for _, o := range m.localGateways() {
			for _, g := range m.ownEastWest(o) {
				add(g)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b *NetworkGateway) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.Address, b.Address))
	})
	return out
}

// waypointGateways are the Gateways among which the cluster's objects find their waypoints: its own, where ambient mode knows several
// clusters, else the first cluster's.
//
// Source: pilot/pkg/serviceregistry/ambient/waypoints.go, GlobalWaypointsCollection.
func (s *Snapshot) waypointGateways() []*k8sgateway.Gateway {
	if s.cluster != "" && s.AmbientNetworks() {
		return s.ownGateways
	}
	return s.KubeGateways
}

// localGateways are the Gateways that the cluster itself has.
func (s *Snapshot) localGateways() []*k8sgateway.Gateway {
	if s.cluster != "" {
		return s.ownGateways
	}
	return s.KubeGateways
}

// remoteGateways are what a Gateway of class istio-remote stands for. Manifests without a status have the addresses of the spec.
func (s *Snapshot) remoteGateways(o *k8sgateway.Gateway) []*NetworkGateway {
	i := slices.IndexFunc(o.Spec.Listeners, func(l k8sgateway.Listener) bool { return l.Protocol == "HBONE" })
	if o.Spec.GatewayClassName != remoteGatewayClass || i < 0 {
		return nil
	}
	var out []*NetworkGateway
	add := func(address string, kind *k8sgateway.AddressType, field string) {
		if kind == nil || *kind != k8sgateway.IPAddressType && *kind != k8sgateway.HostnameAddressType {
			return
		}
		g := s.eastWest(o, address, int(o.Spec.Listeners[i].Port), field)
		g.Service, g.ServicePort = s.servedAt(address, g.HBONEPort)
		out = append(out, g)
	}
	for n, a := range o.Status.Addresses {
		add(a.Value, a.Type, pathIndex("status.addresses", n))
	}
	if len(o.Status.Addresses) == 0 && s.Offline {
		for n, a := range o.Spec.Addresses {
			add(a.Value, ptr.To(ptr.Deref(a.Type, k8sgateway.IPAddressType)), pathIndex("spec.addresses", n))
		}
	}
	return out
}

// ownEastWest are what a Gateway of class istio-east-west of this cluster is for others. One of manifests without a status is taken to get the
// address of its Service.
func (s *Snapshot) ownEastWest(o *k8sgateway.Gateway) []*NetworkGateway {
	terminates := func(l k8sgateway.Listener) bool {
		return l.Protocol == "HBONE" && l.TLS != nil && ptr.Deref(l.TLS.Mode, k8sgateway.TLSModeTerminate) == k8sgateway.TLSModeTerminate
	}
	if o.Spec.GatewayClassName != eastWestClass || !slices.ContainsFunc(o.Spec.Listeners, terminates) {
		return nil
	}
	svc := s.serviceOfGateway(o)
	var out []*NetworkGateway
	add := func(address, field string) {
		g := s.eastWest(o, address, networkGatewayHBONEPort, field)
		g.Service, g.ServicePort = svc, networkGatewayHBONEPort
		out = append(out, g)
	}
	for n, a := range o.Status.Addresses {
		if a.Type != nil && (*a.Type == k8sgateway.IPAddressType || *a.Type == k8sgateway.HostnameAddressType) {
			add(a.Value, pathIndex("status.addresses", n))
		}
	}
	if svc == nil || len(o.Status.Addresses) > 0 || !s.Offline {
		return out
	}
	for _, at := range s.externalAddresses(s.serviceObject(svc)) {
		add(at.address, "")
	}
	return out
}

const eastWestClass = "istio-east-west"

// eastWest is the gateway of a Gateway at one address.
func (s *Snapshot) eastWest(o *k8sgateway.Gateway, address string, port int, field string) *NetworkGateway {
	return &NetworkGateway{
		Network: o.Labels[labelNetwork], Cluster: s.ClusterID(), Address: address, HBONEPort: port,
		Ref: refOf(k8sgateway.GroupName, "Gateway", o).At(field), account: o.Namespace + "/" + gatewayAccount(o),
	}
}

// gatewayAccount is the service account that istiod takes a Gateway's proxies to have.
//
// Source: pilot/pkg/serviceregistry/kube/conversion.go, GatewaySA.
func gatewayAccount(o *k8sgateway.Gateway) string {
	account := o.Annotations[annotation.GatewayServiceAccount.Name]
	if account == "" {
		account = o.Name
		if o.Spec.GatewayClassName == remoteGatewayClass {
			account += "-" + remoteGatewayClass
		}
	}
	return account
}

// serviceOfGateway is the Service that istiod makes for the Gateway; nil where there is none.
func (s *Snapshot) serviceOfGateway(o *k8sgateway.Gateway) *Service {
	class, ok := s.KubeGatewayClass(string(o.Spec.GatewayClassName))
	if !ok {
		return nil
	}
	g := &kubeGateway{ref: refOf(k8sgateway.GroupName, "Gateway", o), object: o, class: class}
	if g.bind(s.Mesh.Domain); len(g.services) == 0 {
		return nil
	}
	return s.index.services().own[g.services[0]]
}

// beyond is step 2: the endpoints for a ztunnel, with gateways in the place of what is on other networks.
func (s *Snapshot) beyond(svc *Service, eps []*Endpoint) ([]*Endpoint, []Step) {
	if !s.AmbientNetworks() {
		return eps, nil
	}
	mine := s.systemNetwork().name
	var kept []*Endpoint
	far := map[string][]*Endpoint{}
	for _, e := range eps {
		if n := s.ambientNetworkOf(e); n != mine {
			far[n] = append(far[n], e)
			continue
		}
		kept = append(kept, e)
	}
	var steps []Step
	for _, name := range slices.Sorted(maps.Keys(far)) {
		if _, global, _ := s.scope(svc); !global {
			continue
		}
		stand, more := s.coalesced(svc, name, mine, far[name])
		steps = append(steps, more...)
		if stand != nil {
			kept = append(kept, stand)
		}
	}
	return kept, steps
}

// coalesced is what stands for all endpoints of a network; nil without a gateway of it.
func (s *Snapshot) coalesced(svc *Service, name, mine string, eps []*Endpoint) (*Endpoint, []Step) {
	gateways := s.eastWestGateways(name)
	if len(gateways) == 0 {
		return nil, []Step{NewStep(RuleEastWestNoGateway, Skipped, eps[0].Ref, podCount(eps), svc.Hostname, orNone(name), orNone(mine), "HBONE")}
	}
	g := gateways[0]
	g.others = gateways[1:]
	var steps []Step
	stand := &Endpoint{
		Address: g.Address, Port: g.HBONEPort, Health: Healthy, Count: 1, Behind: podCount(eps), Ref: g.Ref,
		Labels:  map[string]string{topologyNetwork: name, topologyCluster: g.Cluster},
		Network: name, Cluster: g.Cluster, Gateway: g,
	}
	for _, e := range eps {
		stand.Weight += max(1, e.Weight) * max(1, e.Count)
		if e.Health == Unhealthy {
			steps = append(steps, NewStep(RuleEastWestUnready, Applied, e.Ref, e.name(), orNone(name)))
		}
	}
	steps = append(steps, NewStep(RuleEastWestGateway, Applied, g.Ref, podCount(eps), svc.Hostname, orNone(name), orNone(mine), g.HBONEAt()))
	return stand, append(steps, Behind(svc, eps)...)
}

func orNone(network string) string { return cmp.Or(network, "none") }

// nearFirst is step 3.
func (s *Snapshot) nearFirst(svc *Service, eps []*Endpoint) ([]*Endpoint, []Step) {
	priority, name := s.trafficDistribution(svc)
	near := slices.DeleteFunc(slices.Clone(eps), func(e *Endpoint) bool { return e.Gateway != nil })
	if priority == nil || len(near) == 0 || len(near) == len(eps) {
		return eps, nil
	}
	var steps []Step
	for _, e := range eps {
		if e.Gateway != nil {
			steps = append(steps, NewStep(RuleEastWestNear, Skipped, svc.Ref, name, orNone(s.systemNetwork().name), orNone(e.Network)))
		}
	}
	return near, steps
}

// RemoteIdentities are the identities that a ztunnel of this cluster takes behind gateways of other networks, of those that have the Service.
// Each is NAMESPACE/ACCOUNT.
//
// Source: pilot/pkg/serviceregistry/ambient/multicluster.go, SplitHorizonServices.
func (s *Snapshot) RemoteIdentities(svc *Service) []string {
	mine := s.systemNetwork().name
	known := map[string]bool{}
	for _, port := range svc.Ports {
		all, _ := s.instances(svc, port)
		all, _ = s.toldOf(svc, all)
		for _, e := range all {
			if s.ambientNetworkOf(e) != mine && e.Workload != nil {
				known[e.Workload.Account()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(known))
}

// Account is the service account of the workload, NAMESPACE/NAME.
func (w *Workload) Account() string { return w.Namespace + "/" + cmp.Or(w.ServiceAccount, "default") }

// IsEastWest reports whether the workload is a gateway of class istio-east-west.
//
// Source: pilot/pkg/model/context.go, IsAmbientEastWestGateway.
func (w *Workload) IsEastWest() bool {
	return w.Dataplane == DataplaneWaypoint && w.Labels[label.GatewayManaged.Name] == managedByEastWestController
}

// EastWestService is step 5: the Service of which the cluster's east-west gateways take the host; false for any other host.
func (s *Snapshot) EastWestService(host string) (*Service, bool) {
	for _, svc := range s.ServicesForHost(host) {
		if svc.Registry != RegistryKubernetes {
			continue
		}
		if _, global, _ := s.scope(svc); global {
			return svc, true
		}
	}
	return nil, false
}

// EastWestCluster is the name of the cluster in which an east-west gateway sends to a Service.
func EastWestCluster(port int, host string) string { return inboundVIP(port, "tcp", host) }

// EastWestEndpoints are those of a Service that an east-west gateway sends to: the ones on its own network that are ready.
func (s *Snapshot) EastWestEndpoints(gw *Workload, svc *Service, port Port) ([]*Endpoint, []Step) {
	c := &Cluster{Name: EastWestCluster(port.Number, svc.Hostname), Service: svc, Port: port, Type: ClusterEDS, Own: true}
	eps, steps := s.Endpoints(gw, svc, port)
	steps = steps[:len(steps):len(steps)]
	if len(eps) == 0 {
		return nil, steps
	}
	eps, more := s.AcrossNetworks(gw, c, eps)
	steps = append(steps, more...)
	if len(eps) == 0 {
		return nil, steps
	}
	eps, more = s.Balance(gw, c, eps)
	return eps, append(steps, more...)
}

// NetworkName is the network of the cluster's namespace of istiod, as words.
func (s *Snapshot) NetworkName() string { return orNone(s.systemNetwork().name) }
