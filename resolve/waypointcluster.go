package resolve

import (
	"slices"
	"strconv"
	"strings"

	"istio.io/api/label"
	networking "istio.io/api/networking/v1alpha3"
)

// What a waypoint sends to.
//
//  1. A service that is bound to the waypoint itself has clusters inbound-vip|PORT|PROTOCOL[/SUBSET]|HOST, where PROTOCOL is
//     http for ports that are HTTP or auto-detected, else tcp.
//  2. Any other has the cluster outbound|PORT|SUBSET|HOST of any proxy, and only if a VirtualService or route for the very
//     hostname of one of the waypoint's services leads there. That service's own waypoint is not asked.
//  3. The DestinationRule is the one that a client in the waypoint's namespace has; in clusters of 1 workloadSelector does
//     not count.
//  4. In clusters of 1 tls SIMPLE and MUTUAL are originated, inside HBONE where the endpoint takes that; ISTIO_MUTUAL and
//     DISABLE are not looked at. An endpoint gets HBONE, or else plaintext: never Istio mTLS.
//  5. In clusters of 1 without a subset, a subset of the DestinationRule that is called http or tcp, as the cluster's PROTOCOL,
//     chooses the endpoints.
//  6. A service of 1 that is not exported to the waypoint's namespace has a cluster, and no endpoints and no DestinationRule.
//  7. A cluster of 1 that is headless, of resolution NONE or of load balancer PASSTHROUGH has no endpoints to tell apart, and no
//     HBONE: it connects to the address that the client dialled, in plaintext or the TLS of 4.
//
// Source: pilot/pkg/networking/core/listener_waypoint.go, getWaypointDestinationCluster; core/waypoint.go, findWaypointResources,
// filterWaypointOutboundServices; core/cluster_waypoint.go, buildWaypointInboundVIP, buildWaypointTLSContext;
// pilot/pkg/xds/endpoints/endpoint_builder.go, buildEnvoyLbEndpoint.

// Rules of a waypoint's clusters.
const (
	RuleWaypointOwnCluster    RuleID = "waypointcluster/of-own-service"
	RuleWaypointOtherCluster  RuleID = "waypointcluster/of-another-service"
	RuleWaypointNoCluster     RuleID = "waypointcluster/no-route-leads-there"
	RuleWaypointTLSIgnored    RuleID = "waypointcluster/tls-mode"
	RuleWaypointNotExported   RuleID = "waypointcluster/service-not-exported"
	RuleWaypointOriginalDst   RuleID = "waypointcluster/original-destination"
	RuleWaypointNoAddress     RuleID = "waypointcluster/no-address"
	RuleWaypointSubsetName    RuleID = "waypointcluster/subset-of-that-name"
	RuleWaypointSelector      RuleID = "waypointcluster/workload-selector"
	RuleWaypointDynamicDNSTLS RuleID = "waypointcluster/dynamic-dns"
)

var waypointClusterRules = []Rule{
	{
		ID: RuleWaypointOwnCluster, Stage: StageDestinationRule,
		Says:     "A waypoint sends to the services that are bound to it in clusters inbound-vip|…, with HBONE or plaintext to each endpoint.",
		Template: "%s is bound to this waypoint: cluster %s",
		Source:   waypointRouteSource + "getWaypointDestinationCluster",
		Detail:   true,
	},
	{
		ID: RuleWaypointOtherCluster, Stage: StageDestinationRule,
		Says:     "A waypoint sends to a service of another waypoint, or of none, as any proxy does: straight to its pods, past the waypoint that the service may have.",
		Template: "%s is not bound to this waypoint: it sends to the pods themselves, and no other waypoint is asked",
		Source:   waypointRouteSource + "getWaypointDestinationCluster",
	},
	{
		ID: RuleWaypointNoCluster, Stage: StageDestinationRule,
		Says:     "A waypoint has a cluster for a service that is not bound to it only if a route for the very hostname of one of its services leads there; a wildcard host does not count.",
		Template: "no route with the very hostname of one of the waypoint's services leads to %s: Envoy has no cluster %s",
		Source:   "pilot/pkg/networking/core/waypoint.go, filterWaypointOutboundServices",
	},
	{
		ID: RuleWaypointSubsetName, Stage: StageDestinationRule,
		Says:     "A subset called http or tcp chooses the endpoints of a waypoint's cluster of that protocol, though no route names it.",
		Template: "subset %s has the name by which the waypoint tells cluster %s from others: its labels choose the endpoints, though no route names it",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, populateSubsetInfo",
	},
	{
		ID: RuleWaypointSelector, Stage: StageDestinationRule,
		Says:     "A DestinationRule with a workloadSelector does not count in a waypoint's clusters of its own services, whatever it selects.",
		Template: "has a workloadSelector, which does not count for %s at its own waypoint",
		Source:   "pilot/pkg/model/sidecar.go, SidecarScope.DestinationRule",
	},
	{
		ID: RuleWaypointTLSIgnored, Stage: StageTLS,
		Says:     "For a service of its own a waypoint does not look at tls modes ISTIO_MUTUAL and DISABLE of a DestinationRule.",
		Template: "tls.mode %s has no effect at the waypoint of the service itself",
		Source:   "pilot/pkg/networking/core/cluster_waypoint.go, buildWaypointTLSContext",
	},
	{
		ID: RuleWaypointNotExported, Stage: StageLoadBalance,
		Says:     "A service that is bound to a waypoint in a namespace to which it is not exported has no endpoints there.",
		Template: "%s is not exported to namespace %s, which its waypoint is of: the waypoint has no endpoint of it",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, BuildClusterLoadAssignment",
	},
	{
		ID: RuleWaypointOriginalDst, Stage: StageTLS,
		Says:     "A waypoint's cluster of its own that is headless, of resolution NONE or of load balancer PASSTHROUGH connects to the address that the client dialled, past HBONE: captured pods there get plaintext, without an identity.",
		Template: "%s keeps the address dialled, and has no endpoint to send HBONE to: plaintext",
		Source:   "pilot/pkg/networking/core/cluster_waypoint.go, buildWaypointInboundVIPCluster; Envoy, source/extensions/clusters/original_dst/original_dst_cluster.cc, chooseHost",
	},
	{
		ID: RuleWaypointNoAddress, Stage: StageListener,
		Says:     "Gateways ask a waypoint for a service without an address of its own, headless or of one that istiod allocated, as 0.0.0.0. That leads nowhere.",
		Template: "gateways ask waypoints for %s port %d as 0.0.0.0, as it has no address of its own: nothing takes the connection there",
		Source:   "pilot/pkg/xds/endpoints/endpoint_builder.go, buildEnvoyLbEndpoint (serviceVIPs)",
	},
	{
		ID: RuleWaypointDynamicDNSTLS, Stage: StageDestinationRule,
		Says:     "At a waypoint a ServiceEntry of resolution DYNAMIC_DNS has clusters for HTTP ports, and for TLS ports where istiod's ENABLE_WILDCARD_HOST_SERVICE_ENTRIES_FOR_TLS is set; for no other protocol.",
		Template: "port %d of %s is %s: with resolution DYNAMIC_DNS a waypoint has no cluster for it",
		Source:   "pilot/pkg/networking/core/cluster_waypoint.go, buildWaypointInboundVIP",
	},
}

// ServedBy reports whether the service is bound to the waypoint that the workload runs.
//
// Source: pilot/pkg/serviceregistry/ambient/ambientindex.go, ServicesForWaypoint.
func (s *Snapshot) ServedBy(waypoint *Workload, svc *Service) bool {
	if waypoint == nil || svc == nil || waypoint.Dataplane != DataplaneWaypoint || unknownToWaypoints(svc) {
		return false
	}
	b := s.ServiceWaypoint(svc)
	for _, w := range []*Waypoint{b.Waypoint, b.Canary} {
		if w != nil && s.runsWaypoint(waypoint, w) {
			return true
		}
	}
	return false
}

// runsWaypoint reports whether the workload is behind the Service that is the waypoint's address.
func (s *Snapshot) runsWaypoint(workload *Workload, w *Waypoint) bool {
	svc := s.WaypointService(w)
	if svc == nil {
		return workload.Namespace == w.Ref.Namespace && workload.Labels[label.IoK8sNetworkingGatewayGatewayName.Name] == w.Ref.Name
	}
	return workload.Namespace == svc.Namespace && len(svc.Selector) > 0 && Selects(svc.Selector, workload.Labels)
}

// OwnClusterName is the name of rule 1. known is false for a service that the waypoint does not know.
//
// Source: pilot/pkg/networking/core/listener_waypoint.go, portToSubset; pilot/pkg/model/service.go, BuildSubsetKey.
func OwnClusterName(port int, protocol Protocol, known bool, subset, host string) string {
	if host == "" {
		return "UnknownService"
	}
	kind := "tcp"
	if !known || protocol.IsHTTP() || protocol.IsAuto() {
		kind = "http"
	}
	if subset != "" {
		kind += "/" + subset
	}
	return inboundVIP(port, kind, host)
}

// WaypointClusterName is the name of the cluster that a waypoint's route leads to; svc is nil for a host that it does not know.
func (s *Snapshot) WaypointClusterName(waypoint *Workload, svc *Service, port int, subset, host string) string {
	if svc != nil && !s.ServedBy(waypoint, svc) {
		return ClusterName(port, subset, host)
	}
	var p Port
	known := false
	if svc != nil {
		p, known = svc.PortByNumber(port)
	}
	return OwnClusterName(port, p.Protocol, known, subset, host)
}

// leadsFrom is rule 2: whether a route for one of the waypoint's services leads to the service.
func (s *Snapshot) leadsFrom(waypoint *Workload, svc *Service) bool {
	for _, vs := range s.VirtualServices() {
		if !slices.Contains(vs.Gateways, MeshGateway) {
			continue
		}
		if _, leads := destinationsFor(vs.Spec, "")[svc.Hostname]; !leads {
			continue
		}
		for _, host := range vs.Spec.GetHosts() {
			if slices.ContainsFunc(s.ServicesForHost(host), func(own *Service) bool { return s.ServedBy(waypoint, own) }) {
				return true
			}
		}
	}
	return false
}

// withoutWaypointCluster says why a waypoint has no cluster for the port of a service.
func (s *Snapshot) withoutWaypointCluster(waypoint *Workload, c *Cluster) (steps []Step, none bool) {
	svc, protocol := c.Service, c.Port.Protocol
	if !c.Own {
		return []Step{NewStep(RuleWaypointNoCluster, None, svc.Ref, svc.Hostname, c.Name)}, !s.leadsFrom(waypoint, svc)
	}
	if svc.Resolution != DynamicDNS || protocol == ProtocolHTTP {
		return nil, false
	}
	f := s.feature(featureWildcardTLS)
	if protocol == ProtocolTLS && f.on {
		return f.told(), false
	}
	return append(f.told(), NewStep(RuleWaypointDynamicDNSTLS, None, svc.Ref.At(c.Port.Field), c.Port.Number, svc.Hostname, string(protocol))), true
}

// atWaypoint says whose service it is.
func (c *Cluster) atWaypoint() Step {
	if c.Own {
		return NewStep(RuleWaypointOwnCluster, Applied, c.Service.Ref, c.Service.Hostname, c.Name)
	}
	return NewStep(RuleWaypointOtherCluster, Applied, c.Service.Ref, c.Service.Hostname)
}

// namedAsProtocol is rule 5: it chooses the subset, and reports whether there is one.
func (c *Cluster) namedAsProtocol(match DestinationRuleMatch) (Step, bool) {
	if !c.Own || c.Subset != "" || c.Type != ClusterEDS {
		return Step{}, false
	}
	kind := strings.Split(c.Name, "|")[2]
	sub, ref := match.Subset(kind)
	if len(sub.GetLabels()) == 0 {
		return Step{}, false
	}
	c.SubsetLabels, c.SubsetRef = sub.GetLabels(), ref
	return NewStep(RuleWaypointSubsetName, Applied, ref, kind, c.Name).meantFor(true), true
}

// waypointTLS is rule 4.
func (s *Snapshot) waypointTLS(waypoint *Workload, c *Cluster, e *Endpoint) ClientTLS {
	tunnel := s.ZtunnelSends(e)
	if e.Gateway != nil && s.Tunnels(waypoint) {
		tunnel = s.doubleHBONE(c, e, ClientTLS{})
	}
	switch c.Type {
	case ClusterDynamicDNS:
		tunnel = ClientTLS{Mode: ClientPlaintext, Step: tunnel.Step}
	case ClusterOriginalDst:
		tunnel = ClientTLS{Mode: ClientPlaintext, Step: NewStep(RuleWaypointOriginalDst, Applied, c.Service.Ref, c.Name)}
	case ClusterEDS, ClusterStrictDNS, ClusterLogicalDNS:
	}
	switch mode := c.Policy.GetTls().GetMode(); {
	case c.Policy.GetTls() == nil:
	case mode == networking.ClientTLSSettings_SIMPLE, mode == networking.ClientTLSSettings_MUTUAL:
		tls := s.userTLS(waypoint, c)
		tls.HBONE = tunnel.HBONE
		return tls
	}
	return tunnel
}

// IgnoredTLS is the step about a tls mode that a waypoint does not look at; false where there is none.
func (c *Cluster) IgnoredTLS() (Step, bool) {
	tls := c.Policy.GetTls()
	if !c.Own || tls == nil || tls.GetMode() == networking.ClientTLSSettings_SIMPLE || tls.GetMode() == networking.ClientTLSSettings_MUTUAL {
		return Step{}, false
	}
	return NewStep(RuleWaypointTLSIgnored, Skipped, c.TLSRef.At(c.TLSRef.Field+".mode"), tls.GetMode().String()).
		meantFor(tls.GetMode() == networking.ClientTLSSettings_ISTIO_MUTUAL), true
}

// OwnNotExported tells of a service that is bound to the waypoint of a namespace which does not see it.
func (s *Snapshot) OwnNotExported(waypoint *Workload, host string) (Step, bool) {
	for _, svc := range s.ServicesForHost(host) {
		if s.ServedBy(waypoint, svc) && !svc.ExportTo.VisibleIn(waypoint.Namespace) {
			return NewStep(RuleWaypointNotExported, None, svc.Ref.At(exportField(svc)), svc.Hostname, waypoint.Namespace), true
		}
	}
	return Step{}, false
}

func inboundVIP(port int, kind, host string) string {
	return "inbound-vip|" + strconv.Itoa(port) + "|" + kind + "|" + host
}
