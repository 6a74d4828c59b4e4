package resolve

import (
	"cmp"
	"net/netip"
	"strconv"
)

// What a waypoint makes of a connection that it takes out of HBONE.
//
//  1. The target of the CONNECT request is a service's address and port, or that of a workload. The port of a service must be
//     declared, and not UDP; a workload may have any. Everything else is closed.
//  2. The protocol of the service's port decides between the HTTP and the TCP filter chain. An undeclared protocol is
//     detected; so is that of every port of a workload.
//  3. A ServiceEntry of resolution DYNAMIC_DNS is taken if it is MESH_EXTERNAL.
//
// Source: pilot/pkg/networking/core/listener_waypoint.go, buildWaypointInternal; core/waypoint.go, findWaypointResources.

// Rules of a waypoint's listener.
const (
	RuleWaypointPort        RuleID = "waypointport/service-port"
	RuleWaypointPortClosed  RuleID = "waypointport/no-such-port"
	RuleWaypointNotOwn      RuleID = "waypointport/not-its-own"
	RuleWaypointNotHTTP     RuleID = "waypointport/not-http"
	RuleWaypointTunnel      RuleID = "waypointport/tunnel"
	RuleWaypointWildcardTLS RuleID = "waypointport/wildcard-tls"
	RuleWaypointSentBack    RuleID = "waypointport/no-hbone"
)

var waypointPortRules = []Rule{
	{
		ID: RuleWaypointPort, Stage: StageListener,
		Says:     "A waypoint has a filter chain for each TCP port that a service of its own declares: HTTP or TCP as its protocol says, or both where that is detected.",
		Template: "port %d of %s is %s: read as %s",
		Source:   "pilot/pkg/networking/core/listener_waypoint.go, buildWaypointInternal",
	},
	{
		ID: RuleWaypointPortClosed, Stage: StageListener,
		Says:     "A waypoint closes connections to a port that the service does not declare, or declares as UDP.",
		Template: "%s has no TCP port %d, only %s: the waypoint closes the connection",
		Source:   "pilot/pkg/networking/core/listener_waypoint.go, buildWaypointInternal",
	},
	{
		ID: RuleWaypointNotOwn, Stage: StageListener,
		Says:     "A waypoint leaves out a ServiceEntry of resolution DYNAMIC_DNS that is not MESH_EXTERNAL, and closes connections to it.",
		Template: "resolution DYNAMIC_DNS needs location MESH_EXTERNAL: the waypoint does not know %s, and closes the connection",
		Source:   "pilot/pkg/networking/core/waypoint.go, findWaypointResources",
	},
	{
		ID: RuleWaypointNotHTTP, Stage: StageListener,
		Says:     "A waypoint closes a connection to a port declared as HTTP that is not HTTP.",
		Template: "port %d of %s is declared %s, and the connection is %s: the waypoint closes it",
		Source:   "Envoy, source/common/http/conn_manager_impl.cc, codec errors",
	},
	{
		ID: RuleWaypointWildcardTLS, Stage: StageListener,
		Says:     "A waypoint has no filter chain for TLS ports of a wildcard host of resolution DYNAMIC_DNS, unless istiod has ENABLE_WILDCARD_HOST_SERVICE_ENTRIES_FOR_TLS.",
		Template: "port %d of %s is TLS of a wildcard host, for which the waypoint has no filter chain: istiod is without %s",
		Source:   "pilot/pkg/networking/core/listener_waypoint.go, buildWaypointInternal",
	},
	{
		ID: RuleWaypointTunnel, Stage: StageTLS,
		Says:     "A waypoint takes HBONE alone, and sees the identity of the client in it.",
		Template: "HBONE for %s from %s",
		Source:   "pilot/pkg/networking/core/listener_waypoint.go, buildConnectTerminateListener",
		Detail:   true,
	},
	{
		ID: RuleWaypointSentBack, Stage: StageTLS,
		Says:     "What is addressed to a workload leaves its waypoint as HBONE, whether the workload takes that or not.",
		Template: "%s takes no HBONE, and its waypoint sends nothing else to an address of a workload: the connection fails",
		Source:   "pilot/pkg/networking/core/listener_waypoint.go, buildWaypointInternal (cluster encap)",
	},
}

// WaypointPort is the filter chain of a waypoint that takes a connection.
type WaypointPort struct {
	// Port is the service's; zero for what is addressed to a workload.
	Port Port
	HTTP bool
	// FilterChain, RouteConfig and VirtualHost are Envoy's names; the last two empty on a TCP chain. Cluster is where
	// the chain leads without a route.
	FilterChain, RouteConfig, VirtualHost, Cluster string
}

// WaypointServicePort is what a waypoint makes of a connection to the port of a service; false where it closes it.
func (s *Snapshot) WaypointServicePort(svc *Service, number int, payload Payload) (WaypointPort, Step, bool) {
	if unknownToWaypoints(svc) {
		return WaypointPort{}, NewStep(RuleWaypointNotOwn, None, svc.Ref.Object().At("spec.location"), svc.Hostname), false
	}
	port, ok := svc.PortByNumber(number)
	if !ok || port.Protocol == ProtocolUDP {
		return WaypointPort{}, NewStep(RuleWaypointPortClosed, None, svc.Ref.At("spec.ports"), svc.Ref.Object(), number, svc.tcpPorts()), false
	}
	if port.Protocol.IsTLS() && IsWildcardHost(svc.Hostname) && svc.Resolution == DynamicDNS && !s.feature(featureWildcardTLS).on {
		return WaypointPort{}, NewStep(RuleWaypointWildcardTLS, None, svc.Ref.At(port.Field), number, svc.Hostname, featureWildcardTLS), false
	}
	http := port.Protocol.IsHTTP() || port.Protocol.IsAuto() && payload == PayloadHTTP
	kind, read := "tcp", "TCP"
	if http {
		kind, read = "http", "HTTP"
	}
	if port.Protocol.IsHTTP() && payload != PayloadHTTP {
		step := NewStep(RuleWaypointNotHTTP, DeniedBy, svc.Ref.At(port.Field), number, svc.Hostname, describeProtocol(port.Protocol), string(payload))
		return WaypointPort{Port: port, FilterChain: inboundVIP(number, kind, svc.Hostname)}, step, false
	}
	w := WaypointPort{Port: port, HTTP: http, FilterChain: inboundVIP(number, kind, svc.Hostname), Cluster: inboundVIP(number, kind, svc.Hostname)}
	if http {
		w.RouteConfig, w.VirtualHost = w.FilterChain, "inbound|http|"+strconv.Itoa(number)
	}
	return w, NewStep(RuleWaypointPort, Matched, svc.Ref.At(port.Field), number, svc.Hostname, describeProtocol(port.Protocol), read), true
}

// unknownToWaypoints reports whether a waypoint leaves the service out.
func unknownToWaypoints(svc *Service) bool { return svc.Resolution == DynamicDNS && !svc.MeshExternal }

// tcpPorts are the numbers of the ports that proxies see, for a person.
func (s *Service) tcpPorts() string {
	var out []string
	for _, p := range s.Ports {
		if p.Protocol != ProtocolUDP {
			out = append(out, strconv.Itoa(p.Number))
		}
	}
	return cmp.Or(joinLimited(out, 10), "none")
}

// WaypointWorkloadPort is what a waypoint makes of a connection to a workload.
func WaypointWorkloadPort(payload Payload) WaypointPort {
	if payload == PayloadHTTP {
		return WaypointPort{HTTP: true, FilterChain: "direct-http", RouteConfig: "encap", VirtualHost: "inbound|http|0", Cluster: "encap"}
	}
	return WaypointPort{FilterChain: "direct-tcp", Cluster: "encap"}
}

// DialledIP is the address of the service that a client connects to; invalid where it has none that is known.
func (s *Service) DialledIP() netip.Addr {
	for _, list := range [][]Address{s.Addresses, s.Allocated} {
		for _, a := range list {
			if a.Prefix.IsValid() && a.Prefix.IsSingleIP() {
				return a.Prefix.Addr()
			}
		}
	}
	return netip.Addr{}
}
