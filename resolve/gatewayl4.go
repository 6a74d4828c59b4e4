package resolve

import (
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
)

// Rules of gateway servers that forward TCP or TLS.
const (
	RuleGatewayL4Route         RuleID = "gatewayl4/route"
	RuleGatewayL4Claims        RuleID = "gatewayl4/route-of-rejected-listener"
	RuleGatewayL4HostsApart    RuleID = "gatewayl4/hosts-apart"
	RuleGatewayL4NoMatch       RuleID = "gatewayl4/match-fails"
	RuleGatewayL4NoRoute       RuleID = "gatewayl4/no-route"
	RuleGatewayL4DuplicateName RuleID = "gatewayl4/server-name-taken"
)

var gatewayL4Rules = []Rule{
	{
		ID: RuleGatewayL4Route, Stage: StageRoute,
		Says:     "A TCP server takes the first tcp route of the first VirtualService that has one for its port and gateway; a PASSTHROUGH server takes every tls match for its port and gateway as a filter chain.",
		Template: "the connection follows this route of %s",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayNetworkFiltersFromTCPRoutes, buildGatewayNetworkFiltersFromTLSRoutes",
	},
	{
		ID: RuleGatewayL4Claims, Stage: StageListener,
		Says:     "Only a tcp or tls route makes a filter chain of a server that does not route HTTP; without the route the chain is not there to clash with another.",
		Template: "makes a filter chain of %s",
		Source:   "pilot/pkg/networking/core/gateway.go, createGatewayTCPFilterChainOpts",
	},
	{
		ID: RuleGatewayL4HostsApart, Stage: StageRoute,
		Says:     "A VirtualService whose hosts do not overlap those of the server is left out.",
		Template: "its hosts do not overlap those of %s",
		Source:   "pilot/pkg/networking/core/gateway.go, pickMatchingGatewayHosts",
	},
	{
		ID: RuleGatewayL4NoMatch, Stage: StageRoute,
		Says:     "On a gateway only port (server.port.number) and gateways of an L4 match are looked at; source and destination conditions are ignored.",
		Template: "none of its matches is for port %d of gateway %s",
		Source:   "pilot/pkg/networking/core/gateway.go, l4SingleMatch",
	},
	{
		ID: RuleGatewayL4NoRoute, Stage: StageListener,
		Says:     "A TCP or TLS server for which no VirtualService has a route gets no filter chain, and a listener without one is not made.",
		Template: "no %s bound to %s has a %s route for this server: it takes no connection",
		Source:   "pilot/pkg/networking/core/gateway.go, createGatewayTCPFilterChainOpts",
	},
	{
		ID: RuleGatewayL4DuplicateName, Stage: StageRoute,
		Says:     "A tls match with a server name that an earlier match on the same pod port has is skipped as a whole.",
		Template: "server name %s is taken on pod port %d by an earlier tls match (server %s): the whole match is skipped",
		Source:   "pilot/pkg/networking/core/gateway.go, buildGatewayNetworkFiltersFromTLSRoutes",
	},
}

// GatewayL4Route is the tcp or tls route of a gateway's filter chain.
type GatewayL4Route struct {
	VirtualService *VirtualService
	// Ref is spec.tcp[i], or spec.tls[i].match[j].
	Ref Ref
	// Entry is spec.tcp[i] or spec.tls[i].
	Entry        Ref
	Destinations []*networking.RouteDestination
	// Port is server.port.number: the port of a destination that names none, unless its service has one port only.
	Port int
	// Steps tell which VirtualServices were passed over.
	Steps []Step
}

// l4Chains are the filter chains of a server that does not route HTTP.
//
//  1. Plaintext and terminated TLS: VirtualServices bound to the gateway, in their order,
//     whose hosts overlap the server's; the first tcp route that fits, or route of a TLSRoute, is taken, nothing is merged.
//  2. PASSTHROUGH: every tls match of those VirtualServices that fits is a chain with its sniHosts;
//     a match that repeats a server name of the pod port is skipped as a whole.
//  3. AUTO_PASSTHROUGH: chains follow the services of the mesh (gatewayautopassthrough.go).
//
// Source: pilot/pkg/networking/core/gateway.go, createGatewayTCPFilterChainOpts.
func (g *MergedGateway) l4Chains(s *GatewayServer, claims map[int]map[string]gatewayHostClaim) ([]*GatewayFilterChain, []Step) {
	var chains []*GatewayFilterChain
	var steps []Step
	kind := "tcp"
	switch {
	case s.TLSMode() == networking.ServerTLSSettings_AUTO_PASSTHROUGH.String():
		return g.autoPassthroughChains(s)
	case s.Passthrough():
		kind = "tls"
		chains, steps = g.passthroughChains(s, claims)
	default:
		var route *GatewayL4Route
		if route, steps = g.tcpRoute(s); route != nil {
			chain := &GatewayFilterChain{Kind: GatewayTCP, Servers: []*GatewayServer{s}, L4: route}
			if s.hasTLS() {
				chain.Kind, chain.ServerNames = GatewayTLSTerminated, s.serverNames()
			}
			return []*GatewayFilterChain{chain}, nil
		}
	}
	if len(chains) == 0 {
		steps = append(steps, NewStep(RuleGatewayL4NoRoute, None, s.Ref, s.Gateway.takes(), shownListener(s.Gateway.FullName()), kind))
	}
	return chains, steps
}

// tcpRoute is step 1.
func (g *MergedGateway) tcpRoute(s *GatewayServer) (*GatewayL4Route, []Step) {
	var steps []Step
	for _, vs := range g.snapshot.VirtualServicesForGateway(s.Gateway.FullName(), g.Workload.Namespace) {
		if !overlapsServer(s, vs) {
			steps = append(steps, hostsApart(s, vs))
			continue
		}
		for i, tcp := range vs.Spec.GetTcp() {
			if len(tcp.GetRoute()) == 0 || !s.takesL4(tcp.GetMatch()) {
				continue
			}
			ref := vs.At("spec.tcp[" + strconv.Itoa(i) + "]")
			steps = append(steps, NewStep(RuleGatewayL4Route, Matched, ref, s.Ref))
			return &GatewayL4Route{VirtualService: vs, Ref: ref, Entry: ref, Destinations: tcp.GetRoute(), Port: s.Port(), Steps: steps}, steps
		}
		if route := s.terminatedRoute(vs); route != nil {
			steps = append(steps, NewStep(RuleGatewayL4Route, Matched, route.Ref, s.Ref))
			route.Steps = steps
			return route, steps
		}
		steps = append(steps, NewStep(RuleGatewayL4NoMatch, Skipped, vs.At("spec.tcp"), s.Port(), shownListener(s.Gateway.FullName())))
	}
	return nil, steps
}

// terminatedRoute is the route of a TLSRoute at a server that ends the TLS: the first with a match; server names do not count.
func (s *GatewayServer) terminatedRoute(vs *VirtualService) *GatewayL4Route {
	if vs.Ref.Kind != "TLSRoute" {
		return nil
	}
	for i, tls := range vs.Spec.GetTls() {
		for j, m := range tls.GetMatch() {
			if s.takesL4([]*networking.L4MatchAttributes{{Port: m.GetPort(), Gateways: m.GetGateways()}}) {
				field := pathIndex("spec.tls", i)
				return &GatewayL4Route{VirtualService: vs, Ref: vs.At(pathIndex(field+".match", j)), Entry: vs.At(field), Destinations: tls.GetRoute(), Port: s.Port()}
			}
		}
	}
	return nil
}

// passthroughChains is step 2.
func (g *MergedGateway) passthroughChains(s *GatewayServer, claims map[int]map[string]gatewayHostClaim) ([]*GatewayFilterChain, []Step) {
	var chains []*GatewayFilterChain
	var steps []Step
	told := map[Ref]bool{}
	for _, vs := range g.snapshot.VirtualServicesForGateway(s.Gateway.FullName(), g.Workload.Namespace) {
		if !overlapsServer(s, vs) {
			steps = append(steps, hostsApart(s, vs))
			continue
		}
		fits := false
		for i, tls := range vs.Spec.GetTls() {
			for j, m := range tls.GetMatch() {
				l4 := &networking.L4MatchAttributes{Port: m.GetPort(), Gateways: m.GetGateways()}
				if len(tls.GetRoute()) == 0 || !s.takesL4([]*networking.L4MatchAttributes{l4}) {
					continue
				}
				fits = true
				entry := vs.At(pathIndex("spec.tls", i))
				field := pathIndex(pathIndex("spec.tls", i)+".match", j)
				ref := vs.At(field)
				if told[entry] && vs.l4 != nil {
					continue // the same rule, for another hostname of its route
				}
				told[entry] = true
				if taken, by := claimServerNames(claims, s, m.GetSniHosts()); taken != "" {
					steps = append(steps, NewStep(RuleGatewayL4DuplicateName, Skipped, vs.At(field+".sniHosts"), taken, s.PodPort, by.Ref))
					continue
				}
				route := &GatewayL4Route{VirtualService: vs, Ref: ref, Entry: entry, Destinations: tls.GetRoute(), Port: s.Port()}
				route.Steps = []Step{NewStep(RuleGatewayL4Route, Matched, ref, s.Ref)}
				chains = append(chains, &GatewayFilterChain{
					Kind: GatewayTLSPassthrough, Servers: []*GatewayServer{s}, ServerNames: matchedServerNames(m.GetSniHosts()), L4: route,
				})
			}
		}
		if !fits {
			steps = append(steps, NewStep(RuleGatewayL4NoMatch, Skipped, vs.At("spec.tls"), s.Port(), shownListener(s.Gateway.FullName())))
		}
	}
	return chains, steps
}

// claimServerNames takes the names for the server, or returns the first that is taken and by whom.
// Source: pilot/pkg/model/gateway.go, CheckDuplicates.
func claimServerNames(claims map[int]map[string]gatewayHostClaim, s *GatewayServer, names []string) (string, *GatewayServer) {
	byName := claims[s.PodPort]
	if byName == nil {
		byName = map[string]gatewayHostClaim{}
		claims[s.PodPort] = byName
	}
	for _, n := range names {
		if c, ok := byName[n]; ok && c.bind == s.Spec.GetBind() {
			return n, c.server
		}
	}
	for _, n := range names {
		byName[n] = gatewayHostClaim{bind: s.Spec.GetBind(), server: s}
	}
	return "", nil
}

// overlapsServer reports whether a host of the VirtualService overlaps one of the server that its namespace may use.
// Source: pilot/pkg/networking/core/gateway.go, pickMatchingGatewayHosts.
func overlapsServer(s *GatewayServer, vs *VirtualService) bool {
	for _, h := range serverHostsFor(s.Hosts, vs.Ref.Namespace) {
		if slices.ContainsFunc(vs.Spec.GetHosts(), func(host string) bool { return HostMatches(h, host) }) {
			return true
		}
	}
	return false
}

func hostsApart(s *GatewayServer, vs *VirtualService) Step {
	return NewStep(RuleGatewayL4HostsApart, Skipped, vs.At("spec.hosts"), s.Ref).
		Unlike("overlap with "+strings.Join(s.Hosts, ", "), strings.Join(vs.Spec.GetHosts(), ", "))
}

// takesL4 reports whether one of the matches, if there are any, is for the server's port and gateway.
// Source: pilot/pkg/networking/core/gateway.go, l4MultiMatch, l4SingleMatch.
func (s *GatewayServer) takesL4(matches []*networking.L4MatchAttributes) bool {
	return len(matches) == 0 || slices.ContainsFunc(matches, func(m *networking.L4MatchAttributes) bool {
		return (m.GetPort() == 0 || int(m.GetPort()) == s.Port()) &&
			(len(m.GetGateways()) == 0 || slices.Contains(m.GetGateways(), s.Gateway.FullName()))
	})
}
