package resolve

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// How a waypoint routes what is addressed to a Service, or to a host of a ServiceEntry.
//
//  1. Routes count whose hosts cover the service's own hostname. The Host header does not choose them: there is one virtual
//     host, and it takes every Host (with resolution DYNAMIC_DNS, those of the service).
//  2. They are those of VirtualServices for the mesh, and of Gateway API routes with the service as parent, that the
//     waypoint's namespace sees and that are of the service's namespace or the waypoint's.
//  3. The http rules of all of them stand one behind the other, in the order private, exported to the namespace, public,
//     each oldest first. What stands behind a rule that takes every request is left out of that VirtualService alone.
//  4. A match with sourceLabels is left out. sourceNamespace is compared with the waypoint's namespace, and fits no
//     tcp and tls rule.
//  5. Without any route the request goes to the service itself; with some, one that none takes is answered 404.
//  6. On a TCP port the first VirtualService with a tls rule for the port counts, then the first with a tcp rule. A tls
//     match counts if it has one server name, the service's; the connection's own is not looked at, nor are
//     destinationSubnets.
//  7. What is addressed to a workload is not routed.
//
// Source: pilot/pkg/networking/core/listener_waypoint.go, buildWaypointInboundHTTPRouteConfig, getVirtualServiceForWaypoint,
// waypointInboundRoute, getWaypointTCPRoutes.

// Rules of a waypoint's routes.
const (
	RuleWaypointRoutes       RuleID = "waypointroute/of-service"
	RuleWaypointRouteFar     RuleID = "waypointroute/other-namespace"
	RuleWaypointRouteHidden  RuleID = "waypointroute/not-exported"
	RuleWaypointRouteDefault RuleID = "waypointroute/default"
	RuleWaypointSourceLabels RuleID = "waypointroute/source-labels"
	RuleWaypointSourceL4     RuleID = "waypointroute/source-namespace-of-stream"
	RuleWaypointSNI          RuleID = "waypointroute/server-name"
	RuleWaypointOtherHost    RuleID = "waypointroute/host-of-dynamic-dns"
	RuleWaypointUnrouted     RuleID = "waypointroute/workload"
)

const waypointRouteSource = "pilot/pkg/networking/core/listener_waypoint.go, "

var waypointRouteRules = []Rule{
	{
		ID: RuleWaypointRoutes, Stage: StageHost,
		Says:     "At a waypoint the routes of all VirtualServices and Gateway API routes for the service's hostname stand one behind the other; the Host header does not choose them.",
		Template: "has routes for %s, which the waypoint follows whatever the Host is",
		Source:   waypointRouteSource + "buildWaypointInboundHTTPRouteConfig",
	},
	{
		ID: RuleWaypointRouteFar, Stage: StageHost,
		Says:     "A waypoint follows routes of the service's namespace and of its own alone.",
		Template: "is of namespace %s; the waypoint follows routes for %s of %s alone",
		Source:   waypointRouteSource + "getVirtualServiceForWaypoint",
	},
	{
		ID: RuleWaypointRouteHidden, Stage: StageHost,
		Says:     "A waypoint sees the VirtualServices that are exported to its namespace, as a gateway does.",
		Template: "is not exported to namespace %s, which the waypoint is of",
		Source:   "pilot/pkg/model/sidecar.go, DefaultSidecarScopeForGateway",
	},
	{
		ID: RuleWaypointRouteDefault, Stage: StageHost,
		Says:     "Without a VirtualService or route that has a rule for the port, the waypoint sends requests to the service itself.",
		Template: "no route for %s applies at the waypoint on port %d: requests go to the service itself",
		Source:   waypointRouteSource + "buildWaypointInboundHTTPRouteConfig",
		Detail:   true,
	},
	{
		ID: RuleWaypointSourceLabels, Stage: StageRoute,
		Says:     "At a waypoint a match with sourceLabels is left out, whoever sends.",
		Template: "asks for sourceLabels %s, which a waypoint does not know of the client: the match is left out",
		Source:   waypointRouteSource + "waypointInboundRoute",
	},
	{
		ID: RuleWaypointSourceL4, Stage: StageRoute,
		Says:     "At a waypoint a tcp or tls match with sourceNamespace fits nothing.",
		Template: "asks for sourceNamespace %s, which a waypoint does not compare with anything in tcp and tls rules: the match is left out",
		Source:   waypointRouteSource + "getTLSRouteMatch, getTCPRouteMatch",
	},
	{
		ID: RuleWaypointSNI, Stage: StageRoute,
		Says:     "At a waypoint a tls match counts only if its one server name is the service's hostname; the server name of the connection is not looked at.",
		Template: "its match is for server names %s; a waypoint takes one that is %s and no more",
		Source:   waypointRouteSource + "getTLSRouteMatch",
	},
	{
		ID: RuleWaypointOtherHost, Stage: StageHost,
		Says:     "A waypoint answers 404 to a Host that a ServiceEntry of resolution DYNAMIC_DNS does not cover.",
		Template: "the waypoint takes %s alone for it, and the Host is %s",
		Source:   waypointRouteSource + "buildRouteVHostDomains",
	},
	{
		ID: RuleWaypointUnrouted, Stage: StageHost,
		Says:     "What is addressed to a workload is not routed at its waypoint: no VirtualService, route or DestinationRule counts.",
		Template: "the request is addressed to %s: the waypoint hands it on as it is, without any route",
		Source:   waypointRouteSource + "buildWaypointInternal",
	},
}

// waypointHostKey is what WaypointVirtualHost is asked of one waypoint.
type waypointHostKey struct {
	svc  *Service
	port int
}

// WaypointVirtualHost is the one virtual host of a waypoint for the port of a service.
func (s *Snapshot) WaypointVirtualHost(waypoint *Workload, svc *Service, port Port) *VirtualHost {
	return s.known(waypoint).hosts.of(waypointHostKey{svc, port.Number}, func() *VirtualHost {
		vh := s.findWaypointHost(waypoint, svc, port)
		vh.Steps = slices.Clip(vh.Steps)
		return vh
	})
}

func (s *Snapshot) findWaypointHost(waypoint *Workload, svc *Service, port Port) *VirtualHost {
	vh := &VirtualHost{Name: "inbound|http|" + strconv.Itoa(port.Number), Domains: []string{"*"}, Service: svc}
	if svc.Resolution == DynamicDNS {
		vh.Domains = []string{svc.Hostname}
	}
	found, steps := s.waypointVirtualServices(waypoint, svc)
	vh.Steps = steps
	for _, vs := range found {
		if len(vs.Spec.GetHttp()) == 0 {
			continue
		}
		routes, more := BuildRoutes(vs, port.Number, map[string]bool{MeshGateway: true}, waypoint)
		if len(routes) > 0 {
			vh.Steps = append(vh.Steps, NewStep(RuleWaypointRoutes, Matched, vs.At(hostField(vs, svc.Hostname)), svc.Hostname))
		}
		vh.Steps = append(vh.Steps, more...)
		vh.Routes = append(vh.Routes, routes...)
	}
	if len(vh.Routes) == 0 {
		vh.Routes = []*Route{DefaultRoute(svc, port.Number)}
		vh.Steps = append(vh.Steps, NewStep(RuleWaypointRouteDefault, None, svc.Ref, svc.Hostname, port.Number))
	}
	return vh
}

// Takes reports whether a virtual host of a waypoint takes the Host, with the step that says why not.
func (vh *VirtualHost) Takes(host string) (Step, bool) {
	for _, domain := range vh.Domains {
		if domain == host || IsWildcardHost(domain) && HostMatches(domain, host) {
			return Step{}, true
		}
	}
	return NewStep(RuleWaypointOtherHost, None, vh.Service.Ref, strings.Join(vh.Domains, ", "), host), false
}

// waypointVirtualServices are rules 1 and 2, with steps about those that do not count.
func (s *Snapshot) waypointVirtualServices(waypoint *Workload, svc *Service) ([]*VirtualService, []Step) {
	var out []*VirtualService
	visible := s.meshVirtualServices(waypoint.Namespace)
	for _, vs := range visible {
		if overlappingHost(vs, svc.Hostname) != "" && (vs.Ref.Namespace == svc.Namespace || vs.Ref.Namespace == waypoint.Namespace) {
			out = append(out, vs)
		}
	}
	var steps []Step
	for _, vs := range s.virtualServicesOverlapping(svc.Hostname) {
		exact := slices.Contains(lowerHosts(vs), svc.Hostname)
		switch {
		case slices.Contains(out, vs):
		case !slices.Contains(vs.Gateways, MeshGateway):
			steps = append(steps, NewStep(RuleHostNotMesh, Skipped, vs.At("spec.gateways"), joinLimited(shownGateways(vs.Gateways), 3)).meantFor(exact))
		case !slices.Contains(visible, vs):
			steps = append(steps, NewStep(RuleWaypointRouteHidden, Skipped, vs.At("spec.exportTo"), waypoint.Namespace).meantFor(exact))
		default:
			near := svc.Namespace
			if waypoint.Namespace != near {
				near += " and " + waypoint.Namespace
			}
			steps = append(steps, NewStep(RuleWaypointRouteFar, Skipped, vs.Ref, vs.Ref.Namespace, svc.Hostname, near).meantFor(exact))
		}
	}
	return out, append(steps, s.routesWithParent(svc)...)
}

// leftOutAtWaypoint is rule 4: it reports whether a waypoint leaves the match out, with the step that says so.
func leftOutAtWaypoint(m sourceMatch, at func(field string) Ref) (Step, bool) {
	if labels := m.GetSourceLabels(); len(labels) > 0 {
		return NewStep(RuleWaypointSourceLabels, Skipped, at("sourceLabels"), describeLabels(labels)).meantFor(true), true
	}
	if _, http := m.(httpSource); !http && m.GetSourceNamespace() != "" {
		return NewStep(RuleWaypointSourceL4, Skipped, at("sourceNamespace"), m.GetSourceNamespace()).meantFor(true), true
	}
	return Step{}, false
}

// WaypointStream is rule 6: the route of a TCP connection; nil where it goes to the service itself.
func (s *Snapshot) WaypointStream(waypoint *Workload, svc *Service, port Port) (*L4Route, []Step) {
	found, steps := s.waypointVirtualServices(waypoint, svc)
	q := waypointQuery{waypoint: waypoint, host: svc.Hostname, port: port.Number}
	for _, find := range []func(*VirtualService) (*L4Route, []Step){q.tlsRule, q.tcpRule} {
		for _, vs := range found {
			route, more := find(vs)
			steps = append(steps, more...)
			if route == nil {
				continue
			}
			if len(route.Routes) == 0 {
				steps = append(steps, NewStep(RuleL4NoDestination, Skipped, route.Entry))
				continue
			}
			route.VirtualService = vs
			return route, append(steps, NewStep(RuleL4Matched, Matched, route.Ref))
		}
	}
	l4 := L4Query{Host: svc.Hostname, Port: port.Number, Gateways: map[string]bool{MeshGateway: true}, Proxy: waypoint}
	return nil, append(steps, IgnoredHTTPRules(found, l4, port)...)
}

// waypointQuery is a TCP connection to a service at its waypoint.
type waypointQuery struct {
	waypoint *Workload
	host     string
	port     int
}

// tlsRule is the first tls rule of the VirtualService for the connection.
func (q waypointQuery) tlsRule(vs *VirtualService) (*L4Route, []Step) {
	var steps []Step
	for i, rule := range vs.Spec.GetTls() {
		entry := vs.At(pathIndex("spec.tls", i))
		if len(rule.GetMatch()) == 0 {
			return &L4Route{Ref: entry, Entry: entry, Routes: rule.GetRoute()}, steps
		}
		for j, m := range rule.GetMatch() {
			ref := vs.At(fmt.Sprintf("spec.tls[%d].match[%d]", i, j))
			if names := m.GetSniHosts(); len(names) != 1 || names[0] != q.host {
				list := strings.Join(names, ", ")
				steps = append(steps, NewStep(RuleWaypointSNI, Skipped, ref.At(ref.Field+".sniHosts"), list, q.host).Unlike(list, q.host).meantFor(true))
				continue
			}
			applies, more := staticMatch(m, ref, q.port, map[string]bool{MeshGateway: true}, q.waypoint)
			steps = append(steps, more...)
			if applies {
				return &L4Route{Ref: ref, Entry: entry, SNIHosts: m.GetSniHosts(), Routes: rule.GetRoute()}, steps
			}
		}
	}
	return nil, steps
}

// tcpRule is the first tcp rule of the VirtualService for the connection.
func (q waypointQuery) tcpRule(vs *VirtualService) (*L4Route, []Step) {
	var steps []Step
	for i, rule := range vs.Spec.GetTcp() {
		entry := vs.At(pathIndex("spec.tcp", i))
		if len(rule.GetMatch()) == 0 {
			return &L4Route{Ref: entry, Entry: entry, Routes: rule.GetRoute()}, steps
		}
		if route, more := q.tcpMatch(vs, rule, i); route != nil {
			return route, append(steps, more...)
		} else {
			steps = append(steps, more...)
		}
	}
	return nil, steps
}

func (q waypointQuery) tcpMatch(vs *VirtualService, rule *networking.TCPRoute, i int) (*L4Route, []Step) {
	var steps []Step
	for j, m := range rule.GetMatch() {
		ref := vs.At(fmt.Sprintf("spec.tcp[%d].match[%d]", i, j))
		applies, more := staticMatch(m, ref, q.port, map[string]bool{MeshGateway: true}, q.waypoint)
		steps = append(steps, more...)
		if applies {
			return &L4Route{Ref: ref, Entry: vs.At(pathIndex("spec.tcp", i)), Routes: rule.GetRoute()}, steps
		}
	}
	return nil, steps
}
