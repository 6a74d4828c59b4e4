package resolve

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	api "istio.io/api/networking/v1alpha3"
)

// What a patch touches, by the names that istiod gives to what it makes.
//
//  1. A listener by its name, and by the port that it is bound to. virtualInbound and virtualOutbound hold the chains of many
//     ports: there the port is that of the filter chain's match. An internal listener has no port.
//  2. A filter chain by its name, and by what its match holds: one of the server names as written, the transport protocol, all of the
//     application protocols, the destination port. A filter by its own name, as written: older names for it are not known.
//  3. A route configuration by its name, and by its port: on a sidecar the number that the name is, or that stands in "inbound|PORT||";
//     the table of one service's own listener ("host:port") has none. At a gateway by the number of a server that it is made of, and
//     where it is that of one https server, by that server's port name and Gateway.
//  4. A virtual host by its name, and by one of its domains as written. A route by its name, and by what it does.
//  5. A cluster by its name alone where one is written; else by the parts of its name: subset, service, port.
//
// Source: pilot/pkg/networking/core/envoyfilter/listener_patch.go, listenerMatch, filterChainMatch; rc_patch.go,
// routeConfigurationMatch, virtualHostMatch, routeMatch; cluster_patch.go, clusterMatch.

// PatchPlace is where a request is at a proxy, in the terms of EnvoyFilters.
type PatchPlace struct {
	Proxy *Workload
	Side  ProxySide
	// Listener and FilterChain are Envoy's names.
	Listener, FilterChain string
	// ChainPort is the destination port of the filter chain's match, 0 without one.
	ChainPort int
	// ServerNames are those of the filter chain's match.
	ServerNames []string
	// Port is what the extensions of the proxy are asked for: the Service's port on the way out, the pod port on the way in and at gateways.
	Port int
	// HTTP is set where the filter chain reads HTTP.
	HTTP bool
	// RouteConfig is Envoy's name of the route table, and ServerPorts the numbers of the gateway's servers that it is made of.
	RouteConfig string
	ServerPorts []int
	// VirtualHosts are all of the route table; nil where only one is known.
	VirtualHosts func() []*VirtualHost
}

// hasVirtualHost reports whether the route table has a virtual host of the name, as far as that is known.
func (l *PatchPlace) hasVirtualHost(name string) bool {
	return l.VirtualHosts == nil || slices.ContainsFunc(l.VirtualHosts(), func(vh *VirtualHost) bool { return vh.Name == name })
}

// fit is whether a patch is for something, and if not, what it is for and what is there.
type fit struct {
	is        Truth
	want, got string
}

var fitting = fit{is: True}

func unlike(want, got string) fit { return fit{False, want, got} }

// also is a fit that another one must be as well.
func (f fit) also(other func() fit) fit {
	if f.is == False {
		return f
	}
	next := other()
	if next.is == True {
		return f
	}
	return next
}

// virtual reports whether the listener holds the filter chains of many ports.
func (l *PatchPlace) virtual() bool {
	return l.Listener == "virtualInbound" || l.Listener == "virtualOutbound"
}

// boundTo is the port of a listener's address, 0 without one.
func (l *PatchPlace) boundTo() int {
	switch l.Listener {
	case "virtualInbound":
		return 15006
	case "virtualOutbound":
		return 15001
	}
	port, _ := strconv.Atoi(l.Listener[strings.LastIndexByte(l.Listener, '_')+1:])
	return port
}

// listener is rule 1.
func (l *PatchPlace) listener(p *envoyPatch) fit {
	m := p.GetMatch().GetListener()
	if name := m.GetName(); name != "" && name != l.Listener {
		return unlike("listener "+name, "listener "+l.Listener)
	}
	if l.virtual() && p.GetApplyTo() != api.EnvoyFilter_LISTENER {
		return fitting
	}
	if port := int(m.GetPortNumber()); port != 0 && port != l.boundTo() {
		return unlike(fmt.Sprintf("listeners on port %d", port), "listener "+l.Listener)
	}
	return fitting
}

// chain is rules 1 and 2, but for the filters.
func (l *PatchPlace) chain(p *envoyPatch) fit {
	m := p.GetMatch().GetListener()
	f := l.listener(p)
	if port := int(m.GetPortNumber()); f.is == True && l.virtual() && port != 0 && port != l.ChainPort {
		return unlike(fmt.Sprintf("filter chains for port %d", port), l.chainInWords())
	}
	c := m.GetFilterChain()
	if f.is != True || c == nil {
		return f
	}
	switch {
	case c.GetName() != "" && c.GetName() != l.FilterChain:
		return unlike("filter chain "+c.GetName(), l.chainInWords())
	case c.GetSni() != "" && !slices.Contains(l.ServerNames, c.GetSni()):
		return unlike("filter chains for server name "+c.GetSni(), l.chainInWords())
	case c.GetDestinationPort() != 0 && int(c.GetDestinationPort()) != l.ChainPort:
		return unlike(fmt.Sprintf("filter chains for port %d", c.GetDestinationPort()), l.chainInWords())
	case c.GetTransportProtocol() != "" || c.GetApplicationProtocols() != "":
		return fit{is: Unknown, want: "transportProtocol or applicationProtocols of the filter chain"}
	}
	return fitting
}

func (l *PatchPlace) chainInWords() string {
	name := "the filter chain"
	if l.FilterChain != "" {
		name += " " + l.FilterChain
	}
	name += " of listener " + l.Listener
	if l.ChainPort != 0 {
		name += fmt.Sprintf(" for port %d", l.ChainPort)
	}
	if len(l.ServerNames) > 0 {
		name += " for " + joinLimited(l.ServerNames, 3)
	}
	return name
}

const connectionManager = "envoy.filters.network.http_connection_manager"

// filterNames are the network filter and the HTTP filter that the patch's match names; named is false where it has no such match.
func (p *envoyPatch) filterNames() (network string, networkNamed bool, http string, httpNamed bool) {
	f := p.GetMatch().GetListener().GetFilterChain().GetFilter()
	return f.GetName(), f != nil, f.GetSubFilter().GetName(), f.GetSubFilter() != nil
}

// routes is rule 3.
func (l *PatchPlace) routes(p *envoyPatch) fit {
	m := p.GetMatch().GetRouteConfiguration()
	here := "route configuration " + l.RouteConfig
	if name := m.GetName(); name != "" && name != l.RouteConfig {
		return unlike("route configuration "+name, here)
	}
	port := int(m.GetPortNumber())
	if l.Side != SideGateway {
		if port != 0 && port != l.tablePort() {
			return unlike(fmt.Sprintf("route configurations of port %d", port), here)
		}
		return fitting
	}
	number, portName, gateway := parseGatewayTable(l.RouteConfig)
	switch {
	case m.GetPortName() != "" && m.GetPortName() != portName:
		return unlike("port name "+m.GetPortName(), here)
	case m.GetGateway() != "" && m.GetGateway() != gateway:
		return unlike("Gateway "+m.GetGateway(), here)
	case port != 0 && len(l.ServerPorts) > 0 && !slices.Contains(l.ServerPorts, port),
		port != 0 && len(l.ServerPorts) == 0 && port != number:
		return unlike(fmt.Sprintf("servers of port %d", port), here)
	}
	return fitting
}

// tablePort is the port that a sidecar's route configuration is named after, 0 for none.
func (l *PatchPlace) tablePort() int {
	name := l.RouteConfig
	if parts := strings.Split(name, "|"); strings.HasPrefix(name, "inbound") && len(parts) >= 4 {
		name = parts[1]
	}
	port, _ := strconv.Atoi(name)
	return port
}

// parseGatewayTable reads http.PORT and https.PORT.PORTNAME.GATEWAY.NAMESPACE.
// Source: pilot/pkg/model/gateway.go, ParseGatewayRDSRouteName.
func parseGatewayTable(name string) (port int, portName, gateway string) {
	if number, ok := strings.CutPrefix(name, "http."); ok {
		port, _ = strconv.Atoi(number)
		return port, "", ""
	}
	if parts := strings.Split(name, "."); len(parts) == 5 && parts[0] == "https" {
		port, _ = strconv.Atoi(parts[1])
		return port, parts[2], parts[4] + "/" + parts[3]
	}
	return 0, "", ""
}

// virtualHost is rule 4.
func (l *PatchPlace) virtualHost(p *envoyPatch, vh *VirtualHost) fit {
	return l.routes(p).also(func() fit {
		m := p.GetMatch().GetRouteConfiguration().GetVhost()
		switch here := "virtual host " + vh.Name; {
		case m.GetName() != "" && m.GetName() != vh.Name:
			return unlike("virtual host "+m.GetName(), here)
		case m.GetDomainName() != "" && !slices.Contains(vh.Domains, m.GetDomainName()):
			return unlike("virtual hosts with domain "+m.GetDomainName(), here)
		}
		return fitting
	})
}

// route is rule 4 for one route of a virtual host that fits.
func (p *envoyPatch) route(r *Route) fit {
	m := p.GetMatch().GetRouteConfiguration().GetVhost().GetRoute()
	if name := m.GetName(); name != "" && name != r.Name {
		return unlike("route "+name, "route "+strconv.Quote(r.Name))
	}
	want := map[api.EnvoyFilter_RouteConfigurationMatch_RouteMatch_Action]RouteAction{
		api.EnvoyFilter_RouteConfigurationMatch_RouteMatch_ROUTE:           RouteForwards,
		api.EnvoyFilter_RouteConfigurationMatch_RouteMatch_REDIRECT:        RouteRedirects,
		api.EnvoyFilter_RouteConfigurationMatch_RouteMatch_DIRECT_RESPONSE: RouteResponds,
	}[m.GetAction()]
	action, _ := ActionOf(r)
	if r.HTTP == nil {
		action = RouteForwards // one of istiod's own, to a cluster that the trace knows elsewhere
	}
	if want != "" && action != want && action != RouteInvalid {
		return unlike("routes that "+string(want), "a route that does "+string(action))
	}
	return fitting
}

// cluster is rule 5. hosts are the services that an inbound cluster is for, as far as they are known.
func (p *envoyPatch) cluster(name string, hosts []string) fit {
	m := p.GetMatch().GetCluster()
	here := "cluster " + name
	if m.GetName() != "" {
		if m.GetName() != name {
			return unlike("cluster "+m.GetName(), here)
		}
		return fitting
	}
	parts := strings.SplitN(name, "|", 4)
	if len(parts) < 4 {
		parts = []string{"", "", "", ""}
	}
	services := []string{parts[3]}
	inbound := parts[0] == "inbound" && len(hosts) > 0
	if inbound {
		services = hosts
	}
	port, _ := strconv.Atoi(parts[1])
	switch {
	case m.GetSubset() != "" && m.GetSubset() != parts[2]:
		return unlike("subset "+m.GetSubset(), here)
	case m.GetPortNumber() != 0 && int(m.GetPortNumber()) != port:
		return unlike(fmt.Sprintf("clusters of port %d", m.GetPortNumber()), here)
	case m.GetService() != "" && !slices.Contains(services, m.GetService()):
		if inbound {
			return fit{is: Unknown, want: "service " + m.GetService()}
		}
		return unlike("service "+m.GetService(), here)
	}
	return fitting
}

// elsewhere is the step about a patch that does not fit, or of which it is open.
func (p *envoyPatch) elsewhere(f fit) Step {
	if f.is == Unknown {
		return p.notModelled("whether it is for this: " + f.want)
	}
	return NewStep(RuleEnvoyFilterElsewhere, Skipped, p.field("match"), p.named(), f.want, f.got).Unlike(f.want, f.got)
}

// nothing is the step about a patch for something that is nowhere on the proxy.
func (p *envoyPatch) nothing(want, where, hint string) Step {
	return NewStep(RuleEnvoyFilterNothing, Skipped, p.field("match"), p.named(), want, where, hint).Unlike(want, "").meantFor(true)
}

// patchesAt are the patches of the place's context and one kind.
func (s *Snapshot) patchesAt(l *PatchPlace, kind api.EnvoyFilter_ApplyTo) []*envoyPatch {
	var out []*envoyPatch
	for _, p := range s.envoyPatches(l.Proxy).patches {
		c := p.GetMatch().GetContext()
		if p.GetApplyTo() == kind && (c == api.EnvoyFilter_ANY || c == l.Side.context()) {
			out = append(out, p)
		}
	}
	return out
}

// counts reports whether a patch is for what it was compared with, with the step that tells why not, or why that is open.
func (p *envoyPatch) counts(f fit) (step Step, counts bool) {
	switch {
	case f.is != True:
		return p.elsewhere(f), false
	case p.unsure.Rule != "":
		return p.unsure, false
	}
	return Step{}, true
}

// EnvoyFilterSteps are the steps about EnvoyFilters and patches that are not for the proxy, or not for that side of it.
func (s *Snapshot) EnvoyFilterSteps(l *PatchPlace) []Step {
	all := s.envoyPatches(l.Proxy)
	steps := all.steps
	for _, p := range all.patches {
		switch c := p.GetMatch().GetContext(); c {
		case api.EnvoyFilter_ANY, l.Side.context():
		case api.EnvoyFilter_WAYPOINT:
			steps = append(steps, NewStep(RuleEnvoyFilterWaypoint, Skipped, p.field("match.context"), p.named()).meantFor(true))
		default:
			steps = append(steps, NewStep(RuleEnvoyFilterContext, Skipped, p.field("match.context"), p.named(), c.String(), l.Side.context().String()))
		}
	}
	return steps
}
